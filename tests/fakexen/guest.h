/* SPDX-License-Identifier: ISC */
/* The inside of a domain, as far as ballast can tell: a balloon driver that follows the target at
 * its own pace, and an agent that posts how the memory is doing, over the domain's own connection
 * to the store and with its own rights. */
#ifndef BALLAST_FAKEXEN_GUEST_H
#define BALLAST_FAKEXEN_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "domain.h"
#include "hv.h"

enum dialect { DIALECT_NONE, DIALECT_BALLAST, DIALECT_XENSERVER, DIALECT_QUBES, DIALECT_SELF };

struct guest {
    bool used;
    bool awake; /* its driver and its agent run */
    struct domain_spec spec;
    struct xs_handle *xs; /* as the domain; NULL: not connected */
    uint64_t goal_kib;    /* memory/target as last seen */
    uint64_t rate_kib;    /* a second, both ways; 0: the balloon is frozen */
    uint64_t floor_kib;   /* the driver stops there */
    bool greedy;          /* takes all that its cap allows, and lets nothing go */
    enum dialect dialect;
    uint64_t need_kib; /* memory in use that cannot be dropped */
    uint64_t beat_ms;  /* posts at least that often; 0: only when asked to */
    uint64_t seq;
    uint64_t stalled_us;
    uint64_t refaults;
    uint64_t last_post_ms;
    uint64_t last_held_kib; /* at the last post */
};

/* What the domain holds; 0 when it is gone. */
uint64_t guest_held_kib(const struct hv *hv, const struct guest *guest);

/* What the driver would like to hold: the target and what the target does not name. */
uint64_t guest_goal_kib(const struct guest *guest);

/* Lets the driver work for so long. Returns whether it has more to do. */
bool guest_step(struct hv *hv, struct guest *guest, uint64_t elapsed_ms);

/* Writes a node as the domain, connecting when need be. Returns 0 or a negative errno. */
int guest_write(struct guest *guest, const char *node, const void *value, unsigned length);

/* Posts how it is doing, in the guest's dialect. Returns 0 (also with DIALECT_NONE) or -errno. */
int guest_post(struct hv *hv, struct guest *guest, uint64_t now_ms);

/* Whether a post is due: the heartbeat, or it holds another amount than it said. */
bool guest_post_due(const struct hv *hv, const struct guest *guest, uint64_t now_ms);

void guest_disconnect(struct guest *guest);

/* Lets dom0 make the nodes that the dialect needs and the domain may not make. */
int guest_set_dialect(struct guest *guest, struct xs_handle *dom0, const char *word);

#endif
