/* SPDX-License-Identifier: ISC */
#include "core/policy.h"

#include <errno.h>
#include <string.h>

/* A table, not constructors: the linker drops an object that nobody names. */
static const struct policy *const policies[] = {
    &policy_weighted,
    &policy_static,
    NULL,
};

const struct policy *policy_at(size_t index)
{
    return index < sizeof(policies) / sizeof(policies[0]) ? policies[index] : NULL;
}

const struct policy *policy_find(const char *name)
{
    for (size_t i = 0; policies[i]; i++) {
        if (strcmp(policies[i]->name, name) == 0)
            return policies[i];
    }
    return NULL;
}

static bool within_bounds(const struct round *round, const struct domain *domain)
{
    if (domain->want_kib > domain->top_kib)
        return false;
    return !round->minimums_fit || domain->want_kib >= domain->bottom_kib;
}

static bool checks_out(const struct round *round)
{
    uint64_t left = round->share_kib;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!domain->shares)
            continue;
        if (!within_bounds(round, domain) || domain->want_kib > left)
            return false;
        left -= domain->want_kib;
    }
    return true;
}

/* Without a policy a domain wants what it holds; but one that does not let go is asked, when its
 * time comes, for all that is above its guarantee. */
static void want_what_is_held(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        domain->want_kib = domain->actual_kib;
        if (domain->conduct.class == CONDUCT_UNHELPFUL && domain->min_kib < domain->actual_kib)
            domain->want_kib = domain->min_kib;
    }
}

int policy_decide(const struct policy *policy, struct round *round)
{
    want_what_is_held(round);
    policy->decide(round);
    if (checks_out(round))
        return 0;
    want_what_is_held(round);
    return -ERANGE;
}
