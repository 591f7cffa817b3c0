/* SPDX-License-Identifier: ISC */
#include "core/policy.h"

#include <ctype.h>
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

const char *policy_command(const char *text)
{
    const char *command = text + strlen(POLICY_EXTERNAL);

    if (strncmp(text, POLICY_EXTERNAL, strlen(POLICY_EXTERNAL)) != 0)
        return NULL;
    if (command[0] == '\0' || command[0] == ' ' || strlen(command) > POLICY_COMMAND_MAX)
        return NULL;
    for (const char *p = command; *p; p++) {
        if (iscntrl((unsigned char)*p))
            return NULL;
    }
    return command;
}

static bool within_bounds(const struct round *round, const struct domain *domain)
{
    if (domain->want_kib > domain->top_kib)
        return false;
    return !round->minimums_fit || domain->want_kib >= domain->bottom_kib;
}

int policy_check(const struct round *round, const struct domain **ret_culprit)
{
    uint64_t left = round->share_kib;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!domain->shares)
            continue;
        *ret_culprit = domain;
        if (!within_bounds(round, domain))
            return -ERANGE;
        if (domain->want_kib > left)
            return -E2BIG;
        left -= domain->want_kib;
    }
    return 0;
}

/* Without a policy a domain wants what it holds; but one that does not let go is asked, when its
 * time comes, for all that is above its guarantee. */
void policy_hold(struct round *round)
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
    const struct domain *culprit;
    int r;

    policy_hold(round);
    policy->decide(round);
    r = policy_check(round, &culprit);
    if (r < 0)
        policy_hold(round);
    return r;
}
