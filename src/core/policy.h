/* SPDX-License-Identifier: ISC */
/* Stage decide: what each domain should have. A policy is one file in policies/, a pure function of
 * the round: no I/O, no clock, no allocation, no state but what the round carries. */
#ifndef BALLAST_POLICY_H
#define BALLAST_POLICY_H

#include "core/round.h"

struct policy {
    const char *name;    /* as in the configuration */
    const char *summary; /* one line, for --help and the manual */

    /* Sets want_kib of each domain with `shares`, in [bottom_kib, top_kib] when the minimums fit,
     * so that the sum is at most share_kib. */
    void (*decide)(struct round *round);
};

extern const struct policy policy_weighted;
extern const struct policy policy_static;

/* NULL when there is none of this name. */
const struct policy *policy_find(const char *name);

/* Policies by index, NULL after the last. */
const struct policy *policy_at(size_t index);

/* Calls the policy and checks what comes out: the sum, and the bounds. When it is wrong all of it is
 * rejected: every domain wants what it holds, and -ERANGE is returned. Domains without `shares` want
 * what they hold in any case; those that are unhelpful, no more than their guarantee. */
int policy_decide(const struct policy *policy, struct round *round);

#endif
