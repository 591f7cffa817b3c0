/* SPDX-License-Identifier: ISC */
/* The single seam between the engine and a system: a real Xen, or a simulated host. */
#ifndef BALLAST_HOST_H
#define BALLAST_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/round.h"

#define STATE_KEY_MAX 127
#define STATE_MAX 2000

/* A domain whose posts are rubbish is told of once in so long. */
#define HOST_BAD_TOLD_MS 600000

struct host;

struct host_ops {
    const char *name; /* "xen", "sim": shown to the operator */

    /* The host's monotonic clock. */
    uint64_t (*now_ms)(struct host *host);

    /* Reads the host and every domain into the round, between round_begin() and round_end(), which
     * it calls. The counters cannot be read at one instant, and guests move meanwhile: the list of
     * domains is read before and after the host's free memory, and actual_low_kib is the lesser
     * reading, so that what a domain may still take is never counted too small; moved_kib tells how
     * much it may be counted too large. Takes in new posts (post.h). Returns 0, or a negative errno
     * when the round must be abandoned. */
    int (*observe)(struct host *host, struct round *round);

    /* Sets target and cap together. The domain is looked at once more before: one that is gone, was
     * replaced, or is no longer running is not touched. Returns 0 only when the cap was read back
     * as cap_kib or lower and the target as target_kib; -ESRCH when the domain is gone or not to be
     * touched; another negative errno when the call failed. */
    int (*set_target)(struct host *host, const struct domain *domain, uint64_t target_kib,
                      uint64_t cap_kib);

    /* Small texts that outlive the daemon, kept where only dom0 can write: /tool/ballast in the
     * store. A key is "bills/<uuid>": at most STATE_KEY_MAX bytes of [a-z0-9/-]; a text at most
     * STATE_MAX bytes. All return 0 or a negative errno.
     * state_get: -ENOENT when there is none; the caller frees *ret_text.
     * state_set: text NULL removes the key and all below it, and none is no error.
     * state_list: calls each() for every name directly below key; each() may not change the state. */
    int (*state_get)(struct host *host, const char *key, char **ret_text);
    int (*state_set)(struct host *host, const char *key, const char *text);
    int (*state_list)(struct host *host, const char *key,
                      void (*each)(void *context, const char *name), void *context);

    /* What dom0 says of a domain's sizing itself, where it can read it and only dom0 write it: "1",
     * "0", or NULL: nothing. Returns 0, -ESRCH when the domain is gone or does not run, or another
     * negative errno. NULL: the host has no such thing. */
    int (*set_selfballoon)(struct host *host, const struct domain *domain, const char *text);

    /* A domain's share of the CPUs. The domain is looked at once more before, and one that was
     * replaced is not touched. sched_set sets both figures. Return 0; -ESRCH when it is gone;
     * -ENOTSUP when the scheduler has no weights; another negative errno. */
    int (*sched_get)(struct host *host, const struct domain *domain, struct sched *ret_sched);
    int (*sched_set)(struct host *host, const struct domain *domain, const struct sched *sched);

    /* A descriptor that is readable when something happened; it may change after dispatch()
     * failed. */
    int (*fd)(struct host *host);

    /* Takes in what happened, without blocking and in bounded time. Returns 1 when it is to be
     * looked into soon, 0 when not, a negative errno when the connection is lost (it is tried again
     * by observe()). */
    int (*dispatch)(struct host *host);

    /* Looks into what happened: takes new posts into the domains that the round knows already.
     * Returns true when a round should run now: a post has news (demand.h), or there is something
     * else that observe() should look at. */
    bool (*has_news)(struct host *host, struct round *round);

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
