/* SPDX-License-Identifier: ISC */
/* Weighted max-min filling. A level is a size for each unit of weight, in 1/65536 KiB: as no weight
 * is above 65536, one step of the level never gives anybody more than 1 KiB. So the whole of what
 * is there is given out at the highest level that it is enough for, and what is left after that,
 * less than there are items, goes out 1 KiB each to those who would grow at the next level. */
#include "core/fill.h"

#include <stdbool.h>

#define LEVEL_UNIT 65536

/* At this level an item of weight 1 is at the highest ceiling. */
#define LEVEL_MAX (FILL_KIB_MAX * LEVEL_UNIT)

/* Passes of the search that may go by the slope, and its longest stride; it seldom needs 12. */
#define NEWTON_PASSES 20
#define STRIDE_MAX 65536

/* When the floors do not fit (scarce), they are the ceilings, and nobody has a floor. */
static uint64_t least(const struct fill_item *item, bool scarce)
{
    return scarce ? 0 : item->floor_kib;
}

static uint64_t most(const struct fill_item *item, bool scarce)
{
    return scarce ? item->floor_kib : item->ceiling_kib;
}

/* level * weight, clamped: in two parts, so that it stays within 64 bits. */
static uint64_t share(const struct fill_item *item, bool scarce, uint64_t level)
{
    uint64_t kib = level / LEVEL_UNIT * item->weight + level % LEVEL_UNIT * item->weight / LEVEL_UNIT;

    if (kib < least(item, scarce))
        return least(item, scarce);
    if (kib > most(item, scarce))
        return most(item, scarce);
    return kib;
}

static uint64_t sum_least(const struct fill_item *items, size_t n, bool scarce)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += least(&items[i], scarce);
    return sum;
}

static uint64_t sum_most(const struct fill_item *items, size_t n, bool scarce)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += most(&items[i], scarce);
    return sum;
}

static uint64_t sum_weights(const struct fill_item *items, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += items[i].weight;
    return sum;
}

/* The sum of the shares at a level; *ret_slope: the weights of those who are between their bounds. */
static uint64_t sum_shares(const struct fill_item *items, size_t n, bool scarce, uint64_t level,
                           uint64_t *ret_slope)
{
    uint64_t sum = 0;
    uint64_t slope = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t kib = share(&items[i], scarce, level);

        sum += kib;
        if (kib > least(&items[i], scarce) && kib < most(&items[i], scarce))
            slope += items[i].weight;
    }
    *ret_slope = slope;
    return sum;
}

/* How far the level must move to change the sum by kib, were the slope the same all the way. */
static uint64_t distance(uint64_t kib, uint64_t slope)
{
    if (slope == 0 || kib / slope >= FILL_KIB_MAX)
        return LEVEL_MAX;
    return kib / slope * LEVEL_UNIT + kib % slope * LEVEL_UNIT / slope + 1;
}

/* The middle of a bracket: by order of magnitude while it is wide. */
static uint64_t middle(uint64_t low, uint64_t high)
{
    uint64_t level = high;

    while (level / 4 > low)
        level /= 4;
    return level < high ? level : low + (high - low) / 2;
}

/* The highest level whose shares are no more than there_kib: Newton's method within a bracket. Its
 * steps grow while they fall short, and from some pass on the bracket is halved, which bounds the
 * search whatever the items are. The least of all must fit, the most of all must not. */
static uint64_t find_level(const struct fill_item *items, size_t n, bool scarce, uint64_t there_kib)
{
    uint64_t low = 0;
    uint64_t high = LEVEL_MAX;
    uint64_t level = distance(there_kib, sum_weights(items, n));
    uint64_t longer = 1;
    bool rising = false;

    for (unsigned pass = 0; high - low > 1; pass++) {
        uint64_t slope, sum, step;

        if (level <= low || level >= high || pass >= NEWTON_PASSES)
            level = middle(low, high);
        sum = sum_shares(items, n, scarce, level, &slope);
        if (sum == there_kib)
            return level;
        if (rising != (sum < there_kib))
            longer = 1;
        else if (longer < STRIDE_MAX)
            longer *= 2;
        rising = sum < there_kib;
        step = distance(rising ? there_kib - sum : sum - there_kib, slope);
        if (rising)
            low = level;
        else
            high = level;
        if (step >= (high - low) / longer)
            level = low; /* out of the bracket */
        else
            level = rising ? low + step * longer : high - step * longer;
    }
    return low;
}

uint64_t fill(struct fill_item *items, size_t n, uint64_t there_kib)
{
    bool scarce = sum_least(items, n, false) > there_kib;
    uint64_t left_kib = there_kib - sum_least(items, n, scarce);
    uint64_t level = LEVEL_MAX;

    if (sum_most(items, n, scarce) > there_kib)
        level = find_level(items, n, scarce, there_kib);
    for (size_t i = 0; i < n; i++) {
        uint64_t floor_kib = least(&items[i], scarce);
        uint64_t more_kib = share(&items[i], scarce, level) - floor_kib;

        if (more_kib > left_kib)
            more_kib = left_kib;
        items[i].given_kib = floor_kib + more_kib;
        left_kib -= more_kib;
    }
    for (size_t i = 0; i < n && left_kib > 0; i++) {
        if (share(&items[i], scarce, level + 1) > items[i].given_kib) {
            items[i].given_kib++;
            left_kib--;
        }
    }
    return left_kib;
}
