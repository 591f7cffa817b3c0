/* SPDX-License-Identifier: ISC */
/* proportional: each domain the same fraction of the way from its minimum to its maximum, whatever
 * it needs, as squeezed's users know it.
 *
 * The fraction is searched as a level, in parts so small that one more of them gives nobody more
 * than a KiB. What is left then, less than there are domains, goes out a KiB each to those who
 * would have it at the next level: so more memory never gives anybody less. */
#include "core/policy.h"

#include "util/bounds.h"

/* The level at which everybody is at the top; no top is above it. */
#define LEVEL_MAX FILL_KIB_MAX

static uint64_t at_level(const struct domain *domain, uint64_t level)
{
    unsigned __int128 way = domain->top_kib - domain->bottom_kib;

    return domain->bottom_kib + (uint64_t)(way * level / LEVEL_MAX);
}

static uint64_t sum_at(const struct round *round, uint64_t level)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < round->count; i++) {
        if (round->domains[i].shares)
            sum += at_level(&round->domains[i], level);
    }
    return sum;
}

/* The highest level that there_kib is enough for. */
static uint64_t find_level(const struct round *round, uint64_t there_kib)
{
    uint64_t low = 0;
    uint64_t high = LEVEL_MAX + 1;

    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        if (sum_at(round, middle) <= there_kib)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static void decide(struct round *round)
{
    uint64_t bottoms_kib = sum_at(round, 0);
    uint64_t there_kib =
        larger(bottoms_kib, round->share_kib - smaller(round->pool_kib, round->share_kib));
    uint64_t level = find_level(round, there_kib);
    uint64_t left_kib = there_kib - smaller(sum_at(round, level), there_kib);

    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        if (!domain->shares)
            continue;
        domain->want_kib = at_level(domain, level);
        if (left_kib > 0 && level < LEVEL_MAX && at_level(domain, level + 1) > domain->want_kib) {
            domain->want_kib++;
            left_kib--;
        }
    }
}

const struct policy policy_proportional = {
    .name = "proportional",
    .summary = "each domain the same fraction of the way from min to max",
    .decide = decide,
};
