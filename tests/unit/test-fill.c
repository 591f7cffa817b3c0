/* SPDX-License-Identifier: ISC */
/* Weighted max-min filling, as properties over random items. */
#include "core/fill.h"

#include "check.h"

#define ITEMS 40

static uint64_t rounds(uint64_t quick)
{
    return check_long ? quick * 50 : quick;
}

/* Often at the ends, else of any order of magnitude up to most. */
static uint64_t random_size(uint64_t most)
{
    switch (check_random_below(8)) {
    case 0:
        return 0;
    case 1:
        return most;
    case 2:
        return check_random_below(most + 1);
    default:
        return check_random_below((most >> check_random_below(40)) + 1);
    }
}

/* Items that are alike, far apart, or small enough that a KiB matters. */
static size_t random_items(struct fill_item *items)
{
    static const uint64_t mosts[] = { 5, 1000, 1 << 22, FILL_KIB_MAX };
    static const uint64_t weights[] = { 1, 3, 1000, FILL_WEIGHT_MAX };
    uint64_t most = mosts[check_random_below(4)];
    uint64_t weight = weights[check_random_below(4)];
    size_t n = check_random_below(ITEMS) + 1;

    for (size_t i = 0; i < n; i++) {
        items[i].ceiling_kib = random_size(most);
        items[i].floor_kib = random_size(items[i].ceiling_kib);
        items[i].weight = 1 + check_random_below(weight);
        items[i].given_kib = check_random();
        if (i > 0 && check_random_below(3) == 0)
            items[i] = items[i - 1];
    }
    return n;
}

static uint64_t floors(const struct fill_item *items, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += items[i].floor_kib;
    return sum;
}

static uint64_t ceilings(const struct fill_item *items, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += items[i].ceiling_kib;
    return sum;
}

static uint64_t given(const struct fill_item *items, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += items[i].given_kib;
    return sum;
}

/* Something to give: around the sums where behaviour changes, or anywhere. */
static uint64_t random_there(const struct fill_item *items, size_t n)
{
    switch (check_random_below(6)) {
    case 0:
        return floors(items, n) + check_random_below(3);
    case 1:
        return ceilings(items, n) + check_random_below(3);
    case 2:
        return check_random_below(floors(items, n) + 1);
    case 3:
        return check_random_below(20);
    default:
        return check_random_below(ceilings(items, n) + 1);
    }
}

/* A level in 1/65536 KiB for each unit of weight: written down again, in wide numbers, so that a
 * mistake in the one is not in the other. */
static uint64_t reference_share(const struct fill_item *item, bool scarce, uint64_t level)
{
    uint64_t least = scarce ? 0 : item->floor_kib;
    uint64_t most = scarce ? item->floor_kib : item->ceiling_kib;
    unsigned __int128 kib = (unsigned __int128)level * item->weight >> 16;

    return kib < least ? least : kib > most ? most : (uint64_t)kib;
}

static uint64_t reference_sum(const struct fill_item *items, size_t n, bool scarce, uint64_t level)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += reference_share(&items[i], scarce, level);
    return sum;
}

/* The widest of the steps 1, 2, 4 ... by which no weight makes more than 1 KiB. */
static uint64_t reference_grain(const struct fill_item *items, size_t n)
{
    uint64_t grain = 65536;

    for (size_t i = 0; i < n; i++) {
        while (grain * items[i].weight > 65536)
            grain /= 2;
    }
    return grain;
}

/* Slow and obviously right: halves [0, 2^57) until the level is found, then gives KiB by KiB. */
static uint64_t reference_fill(struct fill_item *items, size_t n, uint64_t there_kib)
{
    bool scarce = floors(items, n) > there_kib;
    uint64_t grain = reference_grain(items, n);
    uint64_t low = 0;
    uint64_t high = (UINT64_C(1) << 57) / grain;
    uint64_t left;

    while (high - low > 1) {
        uint64_t level = low + (high - low) / 2;

        if (reference_sum(items, n, scarce, level * grain) <= there_kib)
            low = level;
        else
            high = level;
    }
    left = there_kib - reference_sum(items, n, scarce, low * grain);
    for (size_t i = 0; i < n; i++) {
        items[i].given_kib = reference_share(&items[i], scarce, low * grain);
        if (left > 0
            && reference_share(&items[i], scarce, (low + 1) * grain) > items[i].given_kib) {
            items[i].given_kib++;
            left--;
        }
    }
    return left;
}

static void test_reference(void)
{
    struct fill_item items[ITEMS];
    struct fill_item expected[ITEMS];

    for (uint64_t r = 0; r < rounds(4000) && !check_faults; r++) {
        size_t n = random_items(items);
        uint64_t there = random_there(items, n);

        memcpy(expected, items, sizeof(items[0]) * n);
        CHECK_EQ(fill(items, n, there), reference_fill(expected, n, there));
        for (size_t i = 0; i < n; i++)
            CHECK_EQ(items[i].given_kib, expected[i].given_kib);
    }
}

static void test_exact(void)
{
    struct fill_item items[ITEMS];

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        size_t n = random_items(items);
        uint64_t there = random_there(items, n);
        bool scarce = floors(items, n) > there;
        uint64_t left = fill(items, n, there);

        CHECK_EQ(given(items, n) + left, there);
        for (size_t i = 0; i < n; i++) {
            uint64_t most = scarce ? items[i].floor_kib : items[i].ceiling_kib;

            CHECK(items[i].given_kib >= (scarce ? 0 : items[i].floor_kib));
            CHECK(items[i].given_kib <= most);
            CHECK(left == 0 || items[i].given_kib == most);
        }
    }
}

/* Nobody who is above his floor has more for his weight than somebody below his ceiling. */
static void test_fair(void)
{
    struct fill_item items[ITEMS];

    for (uint64_t r = 0; r < rounds(3000) && !check_faults; r++) {
        size_t n = random_items(items);
        uint64_t there = random_there(items, n);
        bool scarce = floors(items, n) > there;

        fill(items, n, there);
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j < n; j++) {
                const struct fill_item *rich = &items[i], *poor = &items[j];
                uint64_t most = scarce ? poor->floor_kib : poor->ceiling_kib;

                if (rich->given_kib <= (scarce ? 0 : rich->floor_kib) || poor->given_kib >= most)
                    continue;
                CHECK((unsigned __int128)(rich->given_kib - 1) * poor->weight
                      <= (unsigned __int128)(poor->given_kib + 1) * rich->weight);
            }
        }
    }
}

static void test_equals(void)
{
    struct fill_item items[ITEMS];

    for (uint64_t r = 0; r < rounds(5000) && !check_faults; r++) {
        size_t n = random_items(items);

        for (size_t i = 1; i < n; i++)
            items[i] = items[0];
        fill(items, n, random_there(items, n));
        for (size_t i = 1; i < n; i++) {
            CHECK(items[i].given_kib <= items[i - 1].given_kib);
            CHECK(items[i].given_kib + 1 >= items[0].given_kib);
        }
    }
}

static void test_more_there(void)
{
    struct fill_item items[ITEMS];
    struct fill_item more[ITEMS];

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        size_t n = random_items(items);
        uint64_t there = random_there(items, n);

        memcpy(more, items, sizeof(items[0]) * n);
        fill(items, n, there);
        fill(more, n, there + 1 + random_size(check_random_below(2) ? 3 : FILL_KIB_MAX));
        for (size_t i = 0; i < n; i++)
            CHECK(more[i].given_kib >= items[i].given_kib);
    }
}

/* A higher floor, ceiling or weight never gives its owner less, nor another more. */
static void test_more_asked(void)
{
    struct fill_item items[ITEMS];
    struct fill_item more[ITEMS];

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        size_t n = random_items(items);
        size_t owner = check_random_below(n);
        uint64_t there = random_there(items, n);
        struct fill_item *item = &more[owner];

        memcpy(more, items, sizeof(items[0]) * n);
        switch (check_random_below(3)) {
        case 0:
            item->floor_kib += random_size(item->ceiling_kib - item->floor_kib);
            break;
        case 1:
            item->ceiling_kib += random_size(FILL_KIB_MAX - item->ceiling_kib);
            break;
        default:
            item->weight += check_random_below(FILL_WEIGHT_MAX - item->weight + 1);
            break;
        }
        fill(items, n, there);
        fill(more, n, there);
        CHECK(more[owner].given_kib >= items[owner].given_kib);
    }
}

/* The order of the items decides about single KiB at most. */
static void test_order(void)
{
    struct fill_item items[ITEMS];
    struct fill_item turned[ITEMS];

    for (uint64_t r = 0; r < rounds(5000) && !check_faults; r++) {
        size_t n = random_items(items);
        uint64_t there = random_there(items, n);

        for (size_t i = 0; i < n; i++)
            turned[i] = items[n - 1 - i];
        fill(items, n, there);
        fill(turned, n, there);
        for (size_t i = 0; i < n; i++) {
            int64_t differ = (int64_t)(items[i].given_kib - turned[n - 1 - i].given_kib);

            CHECK(differ >= -1 && differ <= 1);
        }
    }
}

static void test_examples(void)
{
    struct fill_item by_weight[] = { { 0, 1000, 1, 0 }, { 0, 1000, 3, 0 } };
    struct fill_item bounded[] = { { 50, 60, 1, 0 }, { 0, 30, 1, 0 }, { 0, 1000, 1, 0 } };
    struct fill_item scarce[] = { { 100, 200, 1, 0 }, { 30, 200, 1, 0 } };

    CHECK_EQ(fill(by_weight, 2, 100), 0);
    CHECK_EQ(by_weight[0].given_kib, 25);
    CHECK_EQ(by_weight[1].given_kib, 75);
    CHECK_EQ(fill(bounded, 3, 120), 0);
    CHECK_EQ(bounded[0].given_kib, 50);
    CHECK_EQ(bounded[1].given_kib, 30);
    CHECK_EQ(bounded[2].given_kib, 40);
    CHECK_EQ(fill(scarce, 2, 80), 0);
    CHECK_EQ(scarce[0].given_kib, 50);
    CHECK_EQ(scarce[1].given_kib, 30);
    CHECK_EQ(fill(scarce, 2, 500), 100);
    CHECK_EQ(fill(NULL, 0, 7), 7);
}

/* The most items, of the largest sizes: nothing wraps. */
static void test_extremes(void)
{
    static struct fill_item items[FILL_ITEMS_MAX];
    const uint64_t theres[] = { 0,
                                1,
                                FILL_ITEMS_MAX * (FILL_KIB_MAX / 2) + 12345,
                                FILL_ITEMS_MAX * FILL_KIB_MAX - 1,
                                FILL_ITEMS_MAX * FILL_KIB_MAX,
                                UINT64_MAX };

    for (size_t t = 0; t < sizeof(theres) / sizeof(theres[0]); t++) {
        uint64_t left;

        for (size_t i = 0; i < FILL_ITEMS_MAX; i++)
            items[i] = (struct fill_item){ 0, FILL_KIB_MAX, i % 2 ? 1 : FILL_WEIGHT_MAX, 0 };
        left = fill(items, FILL_ITEMS_MAX, theres[t]);
        CHECK_EQ(given(items, FILL_ITEMS_MAX) + left, theres[t]);
        CHECK(left == 0 || given(items, FILL_ITEMS_MAX) == FILL_ITEMS_MAX * FILL_KIB_MAX);
    }
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("examples", test_examples);
    check_run("gives what a slow reference gives", test_reference);
    check_run("gives exactly what is there, within bounds", test_exact);
    check_run("is fair by weight", test_fair);
    check_run("equals get the same", test_equals);
    check_run("more there gives nobody less", test_more_there);
    check_run("asking for more gives its owner no less", test_more_asked);
    check_run("order decides single KiB only", test_order);
    check_run("extremes", test_extremes);
    return check_done();
}
