/* SPDX-License-Identifier: ISC */
/* Runs rounds over a host. */
#ifndef BALLAST_ENGINE_H
#define BALLAST_ENGINE_H

#include "core/config.h"
#include "core/policy.h"
#include "core/round.h"
#include "external/external.h"
#include "host/host.h"

struct engine {
    struct host *host;    /* not owned */
    struct config config; /* owned */
    const struct policy *policy;
    struct external *external; /* asked before it, when the configuration names a program */
    struct round round;
    bool dry_run;       /* everything but the calls */
    bool patient;       /* in virtual time: an external policy may take its time, and talk */
    bool minimums_told; /* the operator knows that the minimums do not fit */
    bool headroom_told; /* ... that the promise is broken */
    uint64_t next_ms;   /* the next round comes within so long after the last */
    uint64_t calls_made;
    uint64_t calls_failed;
};

/* Takes over *config (leaves it empty). */
void engine_init(struct engine *ret_engine, struct host *host, struct config *config);
void engine_free(struct engine *engine);

/* Replaces the configuration; takes over *config. */
void engine_configure(struct engine *engine, struct config *config);

/* The same after a reload: a program that is the policy is started anew, since it may be
 * another. */
void engine_reload(struct engine *engine, struct config *config);

/* One round. *ret_next_ms: run the next after so many ms at the latest (less than the interval
 * while memory is on its way). Returns 0, or a negative errno when the host could not be observed:
 * nothing was changed then. */
int engine_round(struct engine *engine, uint64_t *ret_next_ms);

/* The host's figures for people. */
struct engine_totals {
    uint64_t actual_kib;       /* held by all domains */
    uint64_t freeable_kib;     /* what could be taken without hurting: down to need */
    uint64_t freeable_min_kib; /* down to the minimums */
    uint64_t guaranteed_kib;   /* sum of the minimums */
    uint64_t unhelpful;        /* domains that are not trusted: unhelpful or malicious */
};
void engine_totals(const struct engine *engine, struct engine_totals *ret_totals);

#endif
