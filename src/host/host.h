/* SPDX-License-Identifier: ISC */
/* The single seam between the engine and a system: a real Xen, or a simulated host. */
#ifndef BALLAST_HOST_H
#define BALLAST_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/round.h"

struct host;

struct host_ops {
    const char *name; /* "xen", "sim": shown to the operator */

    /* The host's monotonic clock. */
    uint64_t (*now_ms)(struct host *host);

    /* Reads the host and every domain into the round, between round_begin() and round_end(), which
     * it calls. The counters cannot be read at one instant, and guests move meanwhile: the list of
     * domains is read before and after the host's free memory, and actual_low_kib is the lesser
     * reading, so that what a domain may still take is never counted too small; moved_kib tells how
     * much it may be counted too large. Takes in new posts (post.h). Returns 0, or a negative errno when the round must be abandoned. */
    int (*observe)(struct host *host, struct round *round);

    /* Sets target and cap together. The domain is looked at once more before: one that is gone, was
     * replaced, or is no longer running is not touched. Returns 0 only when the cap was read back as
     * cap_kib or lower and the target as target_kib; -ESRCH when the domain is gone or not to be
     * touched; another negative errno when the call failed. */
    int (*set_target)(struct host *host, const struct domain *domain, uint64_t target_kib,
                      uint64_t cap_kib);

    /* A descriptor that is readable when something happened; it may change after dispatch() failed. */
    int (*fd)(struct host *host);

    /* Takes in what happened, without blocking and in bounded time. Returns 1 when a round should
     * run soon, 0 when not, a negative errno when the connection is lost (it is tried again by
     * observe()). */
    int (*dispatch)(struct host *host);

    /* Leaves every domain as it is. */
    void (*close)(struct host *host);
};

/* Each implementation embeds this as its first member. */
struct host {
    const struct host_ops *ops;
};

/* Opens the real host: libxl and libxenstore. Returns 0 or a negative errno (already logged).
 * The caller closes *ret_host with ops->close. */
int host_xen_open(struct host **ret_host);

#endif
