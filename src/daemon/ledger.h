/* SPDX-License-Identifier: ISC */
/* What of the domains outlives the daemon: their bills, and what remedies changed on them. Kept by
 * UUID as the host's state (host.h): "bills/UUID", "remedies/UUID". */
#ifndef BALLAST_LEDGER_H
#define BALLAST_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/control.h"

/* A domain that is gone, and may only be booting anew. */
struct parted {
    uint8_t uuid[16];
    uint64_t at_ms;
};

#define LEDGER_PARTED_MAX 256

struct ledger {
    size_t cursor;    /* the domain whose bill may be kept next */
    uint64_t kept_ms; /* bills were kept last */
    bool lost; /* ends of domains were not told, or not seen: something may be kept of them */
    uint64_t swept_ms;                       /* that was looked for last; 0: never */
    struct parted parted[LEDGER_PARTED_MAX]; /* first gone, first */
    size_t parted_count;
};

/* After a round: recalls what was kept of new domains, forgets those that have been gone for a
 * while, keeps bills that are due, applies and undoes remedies. Bounded work. Notes what it did. */
void ledger_round(struct ledger *ledger, struct control *control);

/* At a clean stop: undoes all remedies, keeps all bills. */
void ledger_close(struct control *control);

#endif
