/* SPDX-License-Identifier: ISC */
/* weighted: guarantees first, then need, priority by priority, then what nobody needs. Need comes
 * in two steps: what a domain would miss at once, and only when all have that, its room to grow.
 * Between the two comes the pool: what is free on the host is room to grow for all of them.
 *
 * But what somebody insists on above his share (demand.c) is shared out with the others' room; for
 * that the pool is given up, too.
 *
 * Within each step memory is filled in by weight: two domains that both need more than there is
 * hold memory in proportion to their weights, with the minimum as a floor under that and the need
 * as a ceiling above it.
 *
 * What nobody needs is taxed: an idle page counts for only 1 - tax of a needed one, so a domain
 * that needs N and has P counts as N + k (P - N) with k = 1 / (1 - tax), and that by weight is what
 * the domains are made equal in. Divided by k it is the same as N / k + (P - N), where no product
 * can overflow and each KiB given is one KiB: what a domain needs counts as a floor, reduced by the
 * tax. */
#include "core/policy.h"

#include "core/conduct.h"
#include "core/demand.h"
#include "util/bounds.h"

/* When nobody had to give for so long, what nobody needs is shared out by weight, if more of it
 * lies free than the pool, or if somebody's size is by the first share of it from what it would be
 * then; until nobody's is by the second, or a step. Were each change of need followed, as much
 * memory would be moved for what nobody needs as for need: where need undoes it as soon, the next
 * time waits twice as long. */
#define QUIET_MS 60000
#define QUIET_MOST_MS 240000
#define UNEVEN_SHARE 8
#define EVEN_SHARE 64
#define EVEN_KIB 4096

/* So much of the pool may be used up before others must give: noise in what is needed moves
 * nothing. */
#define POOL_USED_SHARE 4

static uint64_t bottom(const struct domain *domain)
{
    return domain->bottom_kib;
}

static uint64_t core(const struct domain *domain)
{
    return clamp(demand_first_kib(domain), domain->bottom_kib, domain->top_kib);
}

static uint64_t wanted(const struct domain *domain)
{
    return domain->want_kib;
}

static uint64_t need(const struct domain *domain)
{
    return clamp(domain->need_kib, domain->bottom_kib, domain->top_kib);
}

/* Domains whose posts are rubbish, that do not let go what they have, or that size themselves and
 * would not take it, get no surplus. */
static bool may_have_surplus(const struct domain *domain)
{
    return domain->shares && !domain->post.bad && domain->post.wish_kib == 0
           && conduct_trusted(domain);
}

/* What it is asked to hold, and may, beyond what it needs. Whoever has a record holds nothing above
 * his share for later: that is asked for before what others hold. */
static uint64_t spare_kib(const struct round *round, const struct domain *domain)
{
    int64_t asked_kib = (int64_t)domain->target_kib + domain->offset_kib;
    uint64_t most_kib = domain->top_kib;

    if (!conduct_clean(round, domain))
        most_kib = clamp(domain->entitled_kib, domain->want_kib, domain->top_kib);
    return clamp(asked_kib > 0 ? (uint64_t)asked_kib : 0, domain->want_kib, most_kib)
           - domain->want_kib;
}

/* Puts those who may have surplus into round->fill, by weight, whatever the priority, each with
 * what counts of what it wants, and notes what it has beyond that. Returns the sum of the latter,
 * and how many they are. */
static uint64_t gather_spare(struct round *round, size_t *ret_n)
{
    uint64_t spare = 0;
    size_t n = 0;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!may_have_surplus(domain))
            continue;
        round->fill[n].floor_kib = policy_taxed_kib(round, domain, domain->want_kib);
        round->fill[n].weight = domain->limits.weight;
        round->spare_kib[n] = spare_kib(round, domain);
        spare += round->spare_kib[n];
        round->fill_index[n++] = (uint32_t)i;
    }
    *ret_n = n;
    return spare;
}

/* Each keeps the same part of what it has, in thousandths. */
static void keep_spare(struct round *round, size_t n, uint64_t part)
{
    for (size_t k = 0; k < n; k++)
        round->domains[round->fill_index[k]].want_kib += round->spare_kib[k] * part / 1000;
}

/* Up to all that a domain may have, or only up to what it has. */
static void fill_spare(struct round *round, size_t n, uint64_t left_kib, bool only_has)
{
    for (size_t k = 0; k < n; k++) {
        const struct domain *domain = &round->domains[round->fill_index[k]];
        uint64_t most_kib = only_has ? round->spare_kib[k] : domain->top_kib - domain->want_kib;

        left_kib += round->fill[k].floor_kib;
        round->fill[k].ceiling_kib = round->fill[k].floor_kib + most_kib;
    }
    (void)fill(round->fill, n, left_kib);
}

static void give_filled(struct round *round, size_t n)
{
    for (size_t k = 0; k < n; k++)
        round->domains[round->fill_index[k]].want_kib +=
            round->fill[k].given_kib - round->fill[k].floor_kib;
}

/* Is somebody's size far from what round->fill would give? */
static bool uneven(const struct round *round, size_t n)
{
    uint64_t share = round->spreading ? EVEN_SHARE : UNEVEN_SHARE;

    for (size_t k = 0; k < n; k++) {
        const struct domain *domain = &round->domains[round->fill_index[k]];
        uint64_t has_kib = round->spare_kib[k];
        uint64_t gets_kib = round->fill[k].given_kib - round->fill[k].floor_kib;

        if (distance(has_kib, gets_kib) > larger(EVEN_KIB, (domain->want_kib + has_kib) / share))
            return true;
    }
    return false;
}

/* How long nobody must have had to give before sizes are made even. */
static uint64_t even_ms(const struct round *round)
{
    return larger(round->even_ms, QUIET_MS);
}

/* Somebody has to give; or the host is new, and has yet to be quiet. */
static void note_taking(struct round *round)
{
    bool soon = round->now_ms - round->spread_ms < even_ms(round);

    if (round->spread_ms > round->taken_ms)
        round->even_ms = soon ? smaller(2 * even_ms(round), QUIET_MOST_MS) : QUIET_MS;
    round->taken_ms = round->now_ms;
}

/* What nobody needs. It stays where it is: were it shared out anew with each change of anybody's
 * need, most of what is moved would be moved for nothing. When the pool gets low those give who
 * have most, until it is full again, or all together where a guarantee waits; and when nobody had
 * to for a while, all get their share, where that differs much or more than the pool lies free. But
 * nowhere, when it would count for nothing. */
static void share_surplus(struct round *round, uint64_t left_kib, uint64_t pool_kib)
{
    uint64_t least_kib = round->pool_kib;
    uint64_t spare;
    uint64_t quiet_ms;
    size_t n;

    if (!round->taking)
        least_kib -= least_kib / POOL_USED_SHARE;
    if (!round->surplus_spread || round->idle_tax == IDLE_TAX_MAX)
        return;
    spare = gather_spare(round, &n);
    round->taking = spare > 0 && spare + least_kib > left_kib + pool_kib;
    if (round->taking || round->taken_ms == 0)
        note_taking(round);
    quiet_ms = round->now_ms - round->taken_ms;
    if (quiet_ms >= QUIET_MS || round->taking)
        fill_spare(round, n, left_kib, round->taking);
    round->spreading = (quiet_ms >= QUIET_MS && left_kib > spare + round->pool_kib)
                       || (quiet_ms >= even_ms(round) && uneven(round, n));
    if (round->spreading)
        round->spread_ms = round->now_ms;
    round->staying = !round->spreading;
    if (round->taking && round->urgent)
        keep_spare(round, n, smaller(left_kib, spare) * 1000 / spare);
    else if (round->spreading || round->taking)
        give_filled(round, n);
    else
        keep_spare(round, n, 1000);
}

static void decide(struct round *round)
{
    uint64_t left_kib = round->share_kib;
    uint64_t pool_kib;

    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        if (!domain->shares)
            continue;
        domain->want_kib = domain->bottom_kib;
        left_kib -= smaller(domain->want_kib, left_kib);
    }
    policy_note_step(round);
    left_kib = policy_fill(round, left_kib, bottom, core);
    policy_note_step(round);
    pool_kib = smaller(round->pool_kib - smaller(round->insisted_kib, round->pool_kib), left_kib);
    left_kib = pool_kib + policy_fill(round, left_kib - pool_kib, wanted, need);
    policy_note_step(round);
    pool_kib = smaller(round->pool_kib, left_kib);
    share_surplus(round, left_kib - pool_kib, pool_kib);
    policy_note_step(round);
}

const struct policy policy_weighted = {
    .name = "weighted",
    .summary = "guarantees and need by priority and weight, then surplus by weight",
    .decide = decide,
};
