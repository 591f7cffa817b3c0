/* SPDX-License-Identifier: ISC */
/* Weighted max-min filling. A level is a size for each unit of weight, in 1/65536 KiB, and the levels
 * that count are so far apart, a grain, that from one to the next nobody grows by more than 1 KiB. So
 * the whole of what is there is given out at the highest level that it is enough for, and what is left
 * after that, less than there are items, goes out 1 KiB each to those who would grow at the next.
 *
 * The comments with an @ are what `make check-proof` proves of the code, in ACSL. They do not rest
 * on the search for the level: whatever level is found, exactly what is there is given out. */
#include "core/fill.h"

#include <stdbool.h>

#define LEVEL_UNIT 65536

/* At this level an item of weight 1 is at the highest ceiling. */
#define LEVEL_MAX (FILL_KIB_MAX * LEVEL_UNIT)

/* Passes of the search that may go by the slope, and its longest stride; it seldom needs 12. */
#define NEWTON_PASSES 20
#define STRIDE_MAX 65536

/*@ predicate item_ok{L}(struct fill_item *item) = \valid_read(item) &&
  @     item->floor_kib <= item->ceiling_kib <= FILL_KIB_MAX &&
  @     1 <= item->weight <= FILL_WEIGHT_MAX;
  @ predicate items_ok{L}(struct fill_item *items, integer n) = 0 <= n <= FILL_ITEMS_MAX &&
  @     \forall integer i; 0 <= i < n ==> item_ok(items + i);
  @ predicate same_items{L1,L2}(struct fill_item *items, integer n) =
  @     \forall integer i; 0 <= i < n ==>
  @         \at(items[i].floor_kib, L1) == \at(items[i].floor_kib, L2) &&
  @         \at(items[i].ceiling_kib, L1) == \at(items[i].ceiling_kib, L2) &&
  @         \at(items[i].weight, L1) == \at(items[i].weight, L2);
  @
  @ logic integer floor_sum{L}(struct fill_item *items, integer n) = n <= 0 ? 0 :
  @     floor_sum(items, n - 1) + items[n-1].floor_kib;
  @ logic integer given_sum{L}(struct fill_item *items, integer n) = n <= 0 ? 0 :
  @     given_sum(items, n - 1) + items[n-1].given_kib;
  @
  @ // The bounds that hold: when the floors do not fit, they are the ceilings.
  @ logic integer lowest{L}(struct fill_item *item, integer scarce) =
  @     scarce != 0 ? 0 : item->floor_kib;
  @ logic integer highest{L}(struct fill_item *item, integer scarce) =
  @     scarce != 0 ? item->floor_kib : item->ceiling_kib;
  @ predicate within{L}(struct fill_item *items, integer n, integer scarce) =
  @     \forall integer i; 0 <= i < n ==>
  @         lowest(items + i, scarce) <= items[i].given_kib <= highest(items + i, scarce);
  @ predicate at_ceilings{L}(struct fill_item *items, integer n, integer scarce) =
  @     \forall integer i; 0 <= i < n ==> items[i].given_kib == highest(items + i, scarce);
  @*/

/* When the floors do not fit (scarce), they are the ceilings, and nobody has a floor. */
/*@ requires item_ok(item);
  @ assigns \nothing;
  @ ensures \result == lowest(item, scarce) <= FILL_KIB_MAX;
  @*/
static uint64_t least(const struct fill_item *item, bool scarce)
{
    return scarce ? 0 : item->floor_kib;
}

/*@ requires item_ok(item);
  @ assigns \nothing;
  @ ensures \result == highest(item, scarce) <= FILL_KIB_MAX;
  @*/
static uint64_t most(const struct fill_item *item, bool scarce)
{
    return scarce ? item->floor_kib : item->ceiling_kib;
}

/* level * weight, clamped: in two parts, so that it stays within 64 bits. */
/*@ requires item_ok(item) && level <= LEVEL_MAX + LEVEL_UNIT;
  @ assigns \nothing;
  @ ensures lowest(item, scarce) <= \result <= highest(item, scarce);
  @*/
static uint64_t share(const struct fill_item *item, bool scarce, uint64_t level)
{
    uint64_t whole = level / LEVEL_UNIT;
    uint64_t part = level % LEVEL_UNIT;
    uint64_t kib;

    //@ assert whole * item->weight <= (FILL_KIB_MAX + 1) * FILL_WEIGHT_MAX;
    //@ assert part * item->weight <= LEVEL_UNIT * FILL_WEIGHT_MAX;
    kib = whole * item->weight + part * item->weight / LEVEL_UNIT;
    if (kib < least(item, scarce))
        return least(item, scarce);
    if (kib > most(item, scarce))
        return most(item, scarce);
    return kib;
}

/*@ requires items_ok(items, n);
  @ assigns \nothing;
  @ ensures \result == floor_sum(items, n);
  @*/
static uint64_t sum_floors(const struct fill_item *items, size_t n)
{
    uint64_t sum = 0;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant sum == floor_sum(items, i);
      @ loop invariant sum <= i * FILL_KIB_MAX;
      @ loop assigns i, sum;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++)
        sum += items[i].floor_kib;
    return sum;
}

/*@ requires items_ok(items, n);
  @ assigns \nothing;
  @*/
static uint64_t sum_most(const struct fill_item *items, size_t n, bool scarce)
{
    uint64_t sum = 0;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant sum <= i * FILL_KIB_MAX;
      @ loop assigns i, sum;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++)
        sum += most(&items[i], scarce);
    return sum;
}

/*@ requires items_ok(items, n);
  @ assigns \nothing;
  @ ensures \result <= FILL_ITEMS_MAX * FILL_WEIGHT_MAX;
  @*/
static uint64_t sum_weights(const struct fill_item *items, size_t n)
{
    uint64_t sum = 0;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant sum <= i * FILL_WEIGHT_MAX;
      @ loop assigns i, sum;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++)
        sum += items[i].weight;
    return sum;
}

/* From one level to the next: a power of two, so that LEVEL_MAX is one of them. */
/*@ requires items_ok(items, n);
  @ assigns \nothing;
  @ ensures 1 <= \result <= LEVEL_UNIT;
  @*/
static uint64_t grain_of(const struct fill_item *items, size_t n)
{
    uint64_t grain = LEVEL_UNIT;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant 1 <= grain <= LEVEL_UNIT;
      @ loop assigns i, grain;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++) {
        /*@ loop invariant 1 <= grain <= LEVEL_UNIT;
          @ loop assigns grain;
          @ loop variant grain;
          @*/
        while (grain > 1 && grain * items[i].weight > LEVEL_UNIT)
            grain /= 2;
    }
    return grain;
}

/* The sum of the shares at a level; *ret_slope: the weights of those between their bounds. */
/*@ requires items_ok(items, n) && level <= LEVEL_MAX;
  @ requires \valid(ret_slope) && \separated(ret_slope, items + (0 .. n-1));
  @ assigns *ret_slope;
  @ ensures *ret_slope <= FILL_ITEMS_MAX * FILL_WEIGHT_MAX;
  @*/
static uint64_t sum_shares(const struct fill_item *items, size_t n, bool scarce, uint64_t level,
                           uint64_t *ret_slope)
{
    uint64_t sum = 0;
    uint64_t slope = 0;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant sum <= i * FILL_KIB_MAX;
      @ loop invariant slope <= i * FILL_WEIGHT_MAX;
      @ loop assigns i, sum, slope;
      @ loop variant n - i;
      @*/
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
/*@ requires slope <= FILL_ITEMS_MAX * FILL_WEIGHT_MAX;
  @ assigns \nothing;
  @ ensures \result <= 2 * LEVEL_MAX;
  @*/
static uint64_t distance(uint64_t kib, uint64_t slope)
{
    uint64_t part;

    if (slope == 0 || kib / slope >= FILL_KIB_MAX)
        return LEVEL_MAX;
    //@ assert kib % slope < slope;
    part = kib % slope * LEVEL_UNIT;
    //@ assert part / slope <= part;
    return kib / slope * LEVEL_UNIT + part / slope;
}

/* The middle of a bracket: by order of magnitude while it is wide. */
/*@ requires low + 1 < high <= LEVEL_MAX;
  @ assigns \nothing;
  @ ensures low < \result < high;
  @*/
static uint64_t middle(uint64_t low, uint64_t high)
{
    uint64_t level = high;

    /*@ loop invariant low < level <= high;
      @ loop assigns level;
      @ loop variant level;
      @*/
    while (level / 4 > low)
        level /= 4;
    return level < high ? level : low + (high - low) / 2;
}

/* The highest level, in grains, whose shares are no more than there_kib: Newton's method within a
 * bracket. Its steps grow while they fall short, and from some pass on the bracket is halved, which
 * bounds the search whatever the items are. The least of all must fit, the most of all must not. */
/*@ requires items_ok(items, n) && 1 <= grain <= LEVEL_UNIT;
  @ assigns \nothing;
  @ ensures \result * grain <= LEVEL_MAX;
  @*/
static uint64_t find_level(const struct fill_item *items, size_t n, bool scarce, uint64_t there_kib,
                           uint64_t grain)
{
    uint64_t low = 0;
    uint64_t high = LEVEL_MAX / grain;
    uint64_t level = distance(there_kib, sum_weights(items, n)) / grain;
    uint64_t longer = 1;
    uint64_t slope = 0;
    bool rising = false;

    //@ assert high * grain <= LEVEL_MAX;
    /*@ loop invariant 0 <= low < high <= LEVEL_MAX;
      @ loop invariant high * grain <= LEVEL_MAX;
      @ loop invariant 1 <= longer <= STRIDE_MAX;
      @ loop invariant 0 <= pass <= NEWTON_PASSES;
      @ loop assigns low, high, level, longer, slope, rising, pass;
      @ loop variant high - low;
      @*/
    for (unsigned pass = 0; high - low > 1; pass += pass < NEWTON_PASSES) {
        uint64_t sum, step;

        if (level <= low || level >= high || pass == NEWTON_PASSES)
            level = middle(low, high);
        //@ assert level * grain <= high * grain <= LEVEL_MAX;
        sum = sum_shares(items, n, scarce, level * grain, &slope);
        if (sum == there_kib)
            return level;
        if (rising != (sum < there_kib))
            longer = 1;
        else if (longer < STRIDE_MAX / 2)
            longer *= 2;
        rising = sum < there_kib;
        step = distance(rising ? there_kib - sum : sum - there_kib, slope) / grain + 1;
        if (rising)
            low = level;
        else
            high = level;
        level = low;
        if (step < (high - low) / longer) {
            //@ assert step * longer <= (high - low) / longer * longer <= high - low;
            level = rising ? low + step * longer : high - step * longer;
        }
    }
    return low;
}

/* Sets what an item is given. */
/*@ requires 0 <= i < FILL_ITEMS_MAX && \valid(items + i);
  @ assigns items[i].given_kib;
  @ ensures items[i].given_kib == kib;
  @ ensures \forall integer m; 0 <= m <= i ==> given_sum(items, m) == given_sum{Pre}(items, m);
  @ ensures \forall integer m; i < m <= FILL_ITEMS_MAX ==> given_sum(items, m) ==
  @             given_sum{Pre}(items, m) + kib - \old(items[i].given_kib);
  @*/
static void set_given(struct fill_item *items, size_t i, uint64_t kib)
{
    items[i].given_kib = kib;
    /*@ ghost
      /@ loop invariant 0 <= k <= FILL_ITEMS_MAX;
         loop invariant \forall integer m; 0 <= m <= k && m <= i ==>
                            given_sum(items, m) == given_sum{Pre}(items, m);
         loop invariant \forall integer m; i < m <= k ==> given_sum(items, m) ==
                            given_sum{Pre}(items, m) + kib - \at(items[i].given_kib, Pre);
         loop assigns k;
         loop variant FILL_ITEMS_MAX - k; @/
      for (size_t k = 0; k < FILL_ITEMS_MAX; k++) ;
    */
}

/*@ requires items_ok(items, n) && \valid(items + (0 .. n-1));
  @ assigns items[0 .. n-1].given_kib;
  @ ensures given_sum(items, n) + \result == there_kib;
  @ ensures within(items, n, floor_sum{Pre}(items, n) > there_kib ? 1 : 0);
  @ ensures \result > 0 ==> at_ceilings(items, n, floor_sum{Pre}(items, n) > there_kib ? 1 : 0);
  @ ensures same_items{Pre,Post}(items, n);
  @*/
uint64_t fill(struct fill_item *items, size_t n, uint64_t there_kib)
{
    uint64_t floors_kib = sum_floors(items, n);
    bool scarce = floors_kib > there_kib;
    uint64_t left_kib = scarce ? there_kib : there_kib - floors_kib;
    uint64_t grain = grain_of(items, n);
    uint64_t level = LEVEL_MAX;

    if (sum_most(items, n, scarce) > there_kib)
        level = find_level(items, n, scarce, there_kib, grain) * grain;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant same_items{Pre,Here}(items, n);
      @ loop invariant items_ok(items, n);
      @ loop invariant within(items, i, scarce);
      @ loop invariant given_sum(items, i) + left_kib == there_kib -
      @                    (scarce ? 0 : floor_sum{Pre}(items, n) - floor_sum{Pre}(items, i));
      @ loop assigns i, left_kib, items[0 .. n-1].given_kib;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++) {
        uint64_t floor_kib = least(&items[i], scarce);
        uint64_t more_kib = share(&items[i], scarce, level) - floor_kib;

        if (more_kib > left_kib)
            more_kib = left_kib;
        set_given(items, i, floor_kib + more_kib);
        left_kib -= more_kib;
    }

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant same_items{Pre,Here}(items, n);
      @ loop invariant items_ok(items, n);
      @ loop invariant within(items, n, scarce);
      @ loop invariant given_sum(items, n) + left_kib == there_kib;
      @ loop assigns i, left_kib, items[0 .. n-1].given_kib;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n && left_kib > 0; i++) {
        if (share(&items[i], scarce, level + grain) > items[i].given_kib) {
            set_given(items, i, items[i].given_kib + 1);
            left_kib--;
        }
    }

    /* Nobody has room for more here, unless the search went wrong: it need not be proved right. */
    /*@ loop invariant 0 <= i <= n;
      @ loop invariant same_items{Pre,Here}(items, n);
      @ loop invariant items_ok(items, n);
      @ loop invariant within(items, n, scarce);
      @ loop invariant given_sum(items, n) + left_kib == there_kib;
      @ loop invariant left_kib > 0 ==> at_ceilings(items, i, scarce);
      @ loop assigns i, left_kib, items[0 .. n-1].given_kib;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n && left_kib > 0; i++) {
        uint64_t more_kib = most(&items[i], scarce) - items[i].given_kib;

        if (more_kib > left_kib)
            more_kib = left_kib;
        set_given(items, i, items[i].given_kib + more_kib);
        left_kib -= more_kib;
    }
    return left_kib;
}
