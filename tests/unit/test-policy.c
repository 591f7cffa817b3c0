/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "check.h"
#include "core/policy.h"

#define MIB 1024

static struct domain *add(struct round *round, uint32_t domid, uint64_t min_mib, uint64_t need_mib,
                          uint64_t max_mib, uint32_t weight, int32_t priority)
{
    uint8_t uuid[16] = { (uint8_t)domid };
    struct domain *domain = round_see(round, domid, uuid);

    domain->managed = true;
    domain->shares = true;
    domain->min_kib = min_mib * MIB;
    domain->bottom_kib = min_mib * MIB;
    domain->core_kib = need_mib * MIB;
    domain->need_kib = need_mib * MIB;
    domain->max_kib = max_mib * MIB;
    domain->top_kib = domain->max_kib;
    domain->actual_kib = min_mib * MIB;
    domain->start_kib = min_mib * MIB;
    domain->limits.weight = weight;
    domain->limits.priority = priority;
    return domain;
}

static uint64_t want(const struct round *round, uint32_t domid)
{
    return round_find(round, domid)->want_kib;
}

static void begin(struct round *round, uint64_t share_mib)
{
    round_init(round);
    round_begin(round, 1000);
    round->share_kib = share_mib * MIB;
    round->minimums_fit = true;
    round->surplus_spread = true;
}

static void test_find(void)
{
    CHECK(policy_find("weighted") == &policy_weighted);
    CHECK(policy_find("static") == &policy_static);
    CHECK(policy_find("") == NULL);
    for (size_t i = 0; policy_at(i); i++)
        CHECK(policy_find(policy_at(i)->name) == policy_at(i));
}

static void test_need_by_priority(void)
{
    struct round round;

    begin(&round, 1000);
    add(&round, 1, 100, 600, 2000, 256, 0);
    add(&round, 2, 100, 600, 2000, 256, 10);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 2), 600 * MIB);
    CHECK_EQ(want(&round, 1), 400 * MIB);
    round_free(&round);
}

/* Nobody has room to grow before everybody has what he would miss. */
static void test_core_before_room(void)
{
    struct round round;

    begin(&round, 1000);
    add(&round, 1, 100, 600, 2000, 256, 0)->core_kib = 300 * MIB;
    add(&round, 2, 100, 700, 2000, 256, 0);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 2), 700 * MIB);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    round_free(&round);
}

static void test_surplus(void)
{
    struct round round;

    begin(&round, 1000);
    round.pool_kib = 100 * MIB;
    add(&round, 1, 100, 200, 2000, 256, 0);
    add(&round, 2, 100, 300, 2000, 512, 0);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    CHECK_EQ(want(&round, 2), 600 * MIB);

    round.surplus_spread = false;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 200 * MIB);
    CHECK_EQ(want(&round, 2), 300 * MIB);

    /* Rubbish posts have no claim on it. */
    round.surplus_spread = true;
    round_find(&round, 1)->post.bad = true;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 200 * MIB);
    CHECK_EQ(want(&round, 2), 700 * MIB);
    round_free(&round);
}

static void test_minimums_short(void)
{
    struct round round;

    begin(&round, 500);
    round.minimums_fit = false;
    add(&round, 1, 300, 300, 2000, 256, 0);
    add(&round, 2, 300, 300, 2000, 512, 0);
    add(&round, 3, 200, 200, 2000, 256, 1);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 3), 200 * MIB);
    CHECK_EQ(want(&round, 1), 100 * MIB);
    CHECK_EQ(want(&round, 2), 200 * MIB);
    round_free(&round);
}

static void test_static(void)
{
    struct round round;

    begin(&round, 1000);
    add(&round, 1, 100, 900, 2000, 256, 0)->start_kib = 300 * MIB;
    add(&round, 2, 100, 900, 2000, 256, 0)->limits.size_kib = 500 * MIB;
    CHECK_EQ(policy_decide(&policy_static, &round), 0);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    CHECK_EQ(want(&round, 2), 500 * MIB);
    round_free(&round);
}

static void greedy(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        round->domains[i].want_kib = round->domains[i].max_kib;
}

/* A policy that gives out what is not there is rejected whole. */
static void test_wrong_policy(void)
{
    static const struct policy policy_greedy = { .name = "greedy", .decide = greedy };
    struct round round;

    begin(&round, 1000);
    add(&round, 1, 100, 900, 2000, 256, 0);
    add(&round, 2, 150, 900, 2000, 256, 0);
    CHECK_EQ(policy_decide(&policy_greedy, &round), -E2BIG);
    CHECK_EQ(want(&round, 1), 100 * MIB);
    CHECK_EQ(want(&round, 2), 150 * MIB);
    round_free(&round);
}

#define HOST_DOMAINS 12

static void random_host(struct round *round)
{
    uint64_t minimums = 0;

    begin(round, 0);
    for (uint32_t domid = 1; domid <= HOST_DOMAINS; domid++) {
        uint64_t min = 10 + check_random_below(100);
        uint64_t max = min + check_random_below(1000);

        add(round, domid, min, min + check_random_below(max - min + 1), max,
            1 + (uint32_t)check_random_below(1000), (int32_t)check_random_below(3));
        minimums += min;
    }
    round->share_kib = check_random_below(6000) * MIB + check_random_below(1024);
    round->pool_kib = check_random_below(200) * MIB;
    round->minimums_fit = minimums * MIB <= round->share_kib;
    round->surplus_spread = check_random_below(2) == 0;
}

/* More memory never gives anybody less; a domain that needs more never gets less for it. */
static void test_monotone(void)
{
    unsigned hosts = check_long ? 100000 : 2000;

    for (unsigned h = 0; h < hosts; h++) {
        struct round round;
        uint64_t before[HOST_DOMAINS];
        uint32_t one = (uint32_t)check_random_below(HOST_DOMAINS);
        struct domain *domain;
        bool fit;

        random_host(&round);
        fit = round.minimums_fit;
        for (size_t p = 0; policy_at(p); p++)
            CHECK_EQ(policy_decide(policy_at(p), &round), 0);
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        for (uint32_t i = 0; i < HOST_DOMAINS; i++)
            before[i] = round.domains[i].want_kib;

        round.share_kib += check_random_below(100000);
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        for (uint32_t i = 0; i < HOST_DOMAINS; i++)
            CHECK(round.domains[i].want_kib >= before[i]);

        before[one] = round.domains[one].want_kib;
        domain = &round.domains[one];
        domain->need_kib += check_random_below(domain->max_kib - domain->need_kib + 1);
        domain->core_kib += check_random_below(domain->need_kib - domain->core_kib + 1);
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        if (!CHECK(domain->want_kib >= before[one]) || !CHECK(round.minimums_fit == fit))
            h = hosts;
        round_free(&round);
    }
}

/* Equal domains get equal shares, within the KiB that cannot be halved. */
static void test_equal(void)
{
    struct round round;

    begin(&round, 1000);
    for (uint32_t domid = 1; domid <= 7; domid++)
        add(&round, domid, 50, 400, 800, 256, 0);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    for (uint32_t domid = 2; domid <= 7; domid++) {
        CHECK(want(&round, domid) + 1 >= want(&round, 1));
        CHECK(want(&round, domid) <= want(&round, 1) + 1);
    }
    round_free(&round);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("policies are found by name", test_find);
    check_run("need goes by priority", test_need_by_priority);
    check_run("what is missed at once comes before room to grow", test_core_before_room);
    check_run("surplus goes by weight above the pool", test_surplus);
    check_run("minimums that do not fit go by priority and weight", test_minimums_short);
    check_run("static sizes", test_static);
    check_run("a wrong policy is rejected whole", test_wrong_policy);
    check_run("monotone in memory and in need", test_monotone);
    check_run("equal domains are equal", test_equal);
    return check_done();
}
