/* SPDX-License-Identifier: ISC */
/* weighted: guarantees first, then need, priority by priority, then what nobody needs. Need comes in
 * two steps: what a domain would miss at once, and only when all have that, its room to grow.
 *
 * Within each step memory is filled in by weight: two domains that both need more than there is
 * hold memory in proportion to their weights, with the minimum as a floor under that and the need
 * as a ceiling above it. */
#include "core/policy.h"

#include "util/bounds.h"

/* The highest priority below `below` of a domain that shares; false when there is none. */
static bool next_priority(const struct round *round, int64_t below, int64_t *ret_priority)
{
    bool found = false;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!domain->shares || domain->limits.priority >= below)
            continue;
        if (!found || domain->limits.priority > *ret_priority)
            *ret_priority = domain->limits.priority;
        found = true;
    }
    return found;
}

/* One step over one class: each domain of this priority from floor_of() to ceiling_of().
 * Returns what is left of left_kib plus what the class already wanted. */
static uint64_t fill_class(struct round *round, int64_t priority, uint64_t left_kib,
                           uint64_t (*floor_of)(const struct domain *),
                           uint64_t (*ceiling_of)(const struct domain *))
{
    size_t n = 0;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!domain->shares || domain->limits.priority != priority)
            continue;
        left_kib += domain->want_kib;
        round->fill[n] = (struct fill_item){
            .floor_kib = floor_of(domain),
            .ceiling_kib = ceiling_of(domain),
            .weight = domain->limits.weight,
        };
        round->fill_index[n++] = (uint32_t)i;
    }
    left_kib = fill(round->fill, n, left_kib);
    for (size_t k = 0; k < n; k++)
        round->domains[round->fill_index[k]].want_kib = round->fill[k].given_kib;
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

static uint64_t core(const struct domain *domain)
{
    return clamp(domain->core_kib, domain->bottom_kib, domain->top_kib);
}

static uint64_t wanted(const struct domain *domain)
{
    return domain->want_kib;
}

static uint64_t need(const struct domain *domain)
{
    return clamp(domain->need_kib, domain->bottom_kib, domain->top_kib);
}

/* A step over all, priority by priority. Returns what is left. */
static uint64_t fill_step(struct round *round, uint64_t left_kib,
                          uint64_t (*floor_of)(const struct domain *),
                          uint64_t (*ceiling_of)(const struct domain *))
{
    int64_t priority = INT64_MAX;

    while (next_priority(round, priority, &priority))
        left_kib = fill_class(round, priority, left_kib, floor_of, ceiling_of);
    return left_kib;
}

/* Domains whose posts are rubbish, or that do not let go what they have, get no surplus. */
static bool may_have_surplus(const struct domain *domain)
{
    return domain->shares && !domain->post.bad && domain->conduct.class != CONDUCT_UNHELPFUL;
}

/* What nobody needs goes by weight, whatever the priority, once the pool is full. */
static void fill_surplus(struct round *round, uint64_t left_kib)
{
    size_t n = 0;

    left_kib = left_kib > round->pool_kib ? left_kib - round->pool_kib : 0;
    if (!round->surplus_spread || left_kib == 0)
        return;
    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!may_have_surplus(domain))
            continue;
        left_kib += domain->want_kib;
        round->fill[n] = (struct fill_item){
            .floor_kib = domain->want_kib,
            .ceiling_kib = domain->top_kib,
            .weight = domain->limits.weight,
        };
        round->fill_index[n++] = (uint32_t)i;
    }
    (void)fill(round->fill, n, left_kib);
    for (size_t k = 0; k < n; k++)
        round->domains[round->fill_index[k]].want_kib = round->fill[k].given_kib;
}

static void decide(struct round *round)
{
    uint64_t left_kib = round->share_kib;

    for (size_t i = 0; i < round->count; i++) {
        if (round->domains[i].shares)
            round->domains[i].want_kib = 0;
    }
    left_kib = fill_step(round, left_kib, nothing, bottom);
    if (!round->minimums_fit)
        return;
    left_kib = fill_step(round, left_kib, bottom, core);
    left_kib = fill_step(round, left_kib, wanted, need);
    fill_surplus(round, left_kib);
}

const struct policy policy_weighted = {
    .name = "weighted",
    .summary = "guarantees and need by priority and weight, then surplus by weight",
    .decide = decide,
};
