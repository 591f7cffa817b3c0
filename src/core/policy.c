/* SPDX-License-Identifier: ISC */
#include "core/policy.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "core/conduct.h"
#include "util/bounds.h"

/* A table, not constructors: the linker drops an object that nobody names. */
static const struct policy *const policies[] = {
    &policy_weighted,
    &policy_proportional,
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

/* One step over one class: each domain of one priority, from *at on in the order, from floor_of()
 * to ceiling_of(). Returns what is left of left_kib plus what the class already wanted, and *at
 * behind it. */
static uint64_t fill_class(struct round *round, size_t *at, uint64_t left_kib,
                           uint64_t (*floor_of)(const struct domain *),
                           uint64_t (*ceiling_of)(const struct domain *))
{
    int64_t priority = round->domains[round->order[*at]].limits.priority;
    size_t n = 0;

    for (; *at < round->count; ++*at) {
        uint32_t i = round->order[*at];
        const struct domain *domain = &round->domains[i];

        if (domain->limits.priority != priority)
            break;
        if (!domain->shares)
            continue;
        left_kib += domain->want_kib;
        round->fill[n] = (struct fill_item){
            .floor_kib = floor_of(domain),
            .ceiling_kib = ceiling_of(domain),
            .weight = domain->limits.weight,
        };
        round->fill_index[n++] = i;
    }
    left_kib = fill(round->fill, n, left_kib);
    for (size_t k = 0; k < n; k++)
        round->domains[round->fill_index[k]].want_kib = round->fill[k].given_kib;
    return left_kib;
}

uint64_t policy_fill(struct round *round, uint64_t left_kib,
                     uint64_t (*floor_of)(const struct domain *),
                     uint64_t (*ceiling_of)(const struct domain *))
{
    size_t at = 0;

    while (at < round->count)
        left_kib = fill_class(round, &at, left_kib, floor_of, ceiling_of);
    return left_kib;
}

static uint64_t nothing(const struct domain *domain)
{
    (void)domain;
    return 0;
}

static uint64_t bottom(const struct domain *domain)
{
    return domain->bottom_kib;
}

static uint64_t core_of_bottom(const struct domain *domain)
{
    return smaller(domain->core_kib, domain->bottom_kib);
}

static uint64_t wanted(const struct domain *domain)
{
    return domain->want_kib;
}

uint64_t policy_taxed_kib(const struct round *round, const struct domain *domain, uint64_t held_kib)
{
    uint64_t needed_kib = smaller(domain->need_kib, held_kib);

    return held_kib - needed_kib + needed_kib * (IDLE_TAX_MAX - round->idle_tax) / IDLE_TAX_MAX;
}

void policy_note_step(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        round->domains[i].step_kib[round->steps] = round->domains[i].want_kib;
    round->steps++;
}

/* When the minimums do not fit, the lowest priority goes short first, and within one everybody by
 * weight: whatever the policy. But nobody goes short for what another does not use of his
 * minimum. */
static void share_minimums(struct round *round)
{
    uint64_t left_kib = round->share_kib;

    for (size_t i = 0; i < round->count; i++) {
        if (round->domains[i].shares)
            round->domains[i].want_kib = 0;
    }
    left_kib = policy_fill(round, left_kib, nothing, core_of_bottom);
    (void)policy_fill(round, left_kib, wanted, bottom);
    policy_note_step(round);
}

/* Without a policy a domain wants what it holds; but one that does not let go is asked, when its
 * time comes, for all that is above its guarantee. */
void policy_hold(struct round *round)
{
    round_order(round);
    round->steps = 0;
    round->staying = false;
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        domain->want_kib = domain->actual_kib;
        if (!conduct_trusted(domain) && domain->min_kib < domain->actual_kib)
            domain->want_kib = domain->min_kib;
    }
}

int policy_decide(const struct policy *policy, struct round *round)
{
    const struct domain *culprit;
    int r;

    policy_hold(round);
    if (round->minimums_fit)
        policy->decide(round);
    else
        share_minimums(round);
    r = policy_check(round, &culprit);
    if (r < 0)
        policy_hold(round);
    return r;
}
