/* SPDX-License-Identifier: ISC */
/* The guard: the only one that turns what a policy wants into calls to the hypervisor.
 *
 * The promise: whatever guests do, between any two calls, also when the daemon dies there and then,
 *
 *   headroom = free - claims - reserve - reserved - sum of untaken   >= 0
 *   untaken  = max(claim, cap - actual, 0)       what a domain may still take without being asked
 *
 * Only headroom is given, and only what was there when the host was looked at: a cap that is
 * lowered in the same plan frees nothing yet, because the domain may have grown up to it in the
 * meantime. What it did free is seen at the next look. So whichever of the calls are made, in any
 * order, the promise holds; and where it was broken before (by somebody in dom0), there are only
 * losses, each of which brings the host nearer to it. docs/promise.md says what of this is proved.
 *
 * Cap and target move in one call: cap = target + slack. All is a pure function of its input. */
#ifndef BALLAST_GUARD_H
#define BALLAST_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_KIB_MAX (UINT64_C(1) << 40)
#define GUARD_DOMAINS_MAX 32768

/* Partial gifts are multiples of this: finer sizes are many calls, and a covert channel. */
#define GUARD_STEP_KIB 4096

/* All sizes at most GUARD_KIB_MAX. */
struct guard_host {
    uint64_t free_kib;     /* in the hypervisor's free list, scrubbed */
    uint64_t claims_kib;   /* claims beyond those in the list of domains */
    uint64_t reserve_kib;  /* always left free */
    uint64_t reserved_kib; /* gathered for reservations */
};

/* All sizes at most GUARD_KIB_MAX; goal_kib may be anything. */
struct guard_domain {
    bool fixed;          /* not to be touched: counts for all it can reach */
    bool uncounted;      /* does not let go: what it holds is not counted on for the minimums */
    uint64_t actual_kib; /* a lower bound of what it holds: see host.h on reading twice */
    uint64_t cap_kib;
    uint64_t claim_kib;
    uint64_t target_kib;
    uint64_t slack_kib; /* cap above target after a call */
    uint64_t min_kib;   /* targets; min_kib <= max_kib */
    uint64_t max_kib;
    uint64_t goal_kib;
    uint64_t grant_cap_kib; /* out: cap after all calls */
};

struct guard_call {
    uint32_t index; /* of the domain in the array */
    bool gift;      /* raises the cap */
    uint64_t target_kib;
    uint64_t cap_kib; /* target_kib + slack */
};

/* What a domain may still take without being asked, with its cap at cap_kib. */
uint64_t guard_untaken_kib(const struct guard_domain *domain, uint64_t cap_kib);

/* The headroom as observed; negative when the promise is broken. n <= GUARD_DOMAINS_MAX. */
int64_t guard_headroom_kib(const struct guard_host *host, const struct guard_domain *domains,
                           size_t n);

/* True when all that are not fixed could have their minimums at once, without what those hold that do
 * not let go. */
bool guard_minimums_fit(const struct guard_host *host, const struct guard_domain *domains,
                        size_t n);

/* Plans the calls that bring the domains toward their goals, at most one each, losses first.
 * Domains earlier in the array are given first, and are cut last when the promise is broken. When
 * the minimums fit, goals are raised to them; goals above max_kib are always lowered to it.
 * calls has room for n. Returns their number. A gift may have to wait for a loss of this plan: the
 * host is worth another look soon after losses. */
size_t guard_plan(const struct guard_host *host, struct guard_domain *domains, size_t n,
                  struct guard_call *calls);

#endif
