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
    round_begin(round, 1000000);
    round->taken_ms = 1;
    round->share_kib = share_mib * MIB;
    round->minimums_fit = true;
    round->surplus_spread = true;
}

static void test_find(void)
{
    CHECK(policy_find("weighted") == &policy_weighted);
    CHECK(policy_find("static") == &policy_static);
    CHECK(policy_find("proportional") == &policy_proportional);
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

/* What is kept free for all is worth more than room for each. */
static void test_pool_before_room(void)
{
    struct round round;

    begin(&round, 1000);
    round.pool_kib = 100 * MIB;
    add(&round, 1, 100, 700, 2000, 256, 0)->core_kib = 300 * MIB;
    add(&round, 2, 100, 700, 2000, 256, 0)->core_kib = 550 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 350 * MIB);
    CHECK_EQ(want(&round, 2), 550 * MIB);

    /* It is not kept at the cost of what is missed at once. */
    round_find(&round, 1)->core_kib = 450 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 450 * MIB);
    round_free(&round);
}

/* Who insists has what is above his share together with the others' room, by weight, and the pool
 * is for that: not more than the other, and never less than the share. */
static void test_insisting(void)
{
    struct round round;
    struct domain *insists;

    begin(&round, 1000);
    round.pool_kib = 100 * MIB;
    add(&round, 1, 100, 450, 2000, 256, 0)->core_kib = 300 * MIB;
    insists = add(&round, 2, 100, 900, 2000, 256, 0);
    insists->entitled_kib = 450 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    CHECK_EQ(want(&round, 2), 700 * MIB);

    insists->insists = true;
    round.insisted_kib = 450 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 450 * MIB);
    CHECK_EQ(want(&round, 2), 550 * MIB);

    /* What another would miss at once comes first, what is above his share, too. */
    round_find(&round, 1)->core_kib = 540 * MIB;
    round_find(&round, 1)->need_kib = 540 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 540 * MIB);
    CHECK_EQ(want(&round, 2), 460 * MIB);
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

static void holds(struct round *round, uint32_t domid, uint64_t mib)
{
    round_find(round, domid)->target_kib = mib * MIB;
}

/* What nobody needs stays where it is while needs change; those give who have most, when the pool
 * is low and until it is full; and when nobody had to give for long, all is shared by weight. */
static void test_surplus_stays(void)
{
    struct round round;

    begin(&round, 1000);
    round.pool_kib = 100 * MIB;
    add(&round, 1, 100, 100, 2000, 256, 0);
    add(&round, 2, 100, 100, 2000, 256, 0);
    add(&round, 3, 100, 100, 2000, 256, 0);
    holds(&round, 1, 500);
    holds(&round, 2, 150);
    holds(&round, 3, 250);
    round.taken_ms = round.now_ms;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 500 * MIB);
    CHECK_EQ(want(&round, 2), 150 * MIB);
    CHECK_EQ(want(&round, 3), 250 * MIB);

    /* 20 MiB come from the pool, 30 are too much for it. */
    round_find(&round, 2)->need_kib = 170 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 500 * MIB);
    CHECK_EQ(want(&round, 2), 170 * MIB);
    round_find(&round, 2)->need_kib = 180 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 470 * MIB);
    CHECK_EQ(want(&round, 2), 180 * MIB);
    CHECK_EQ(want(&round, 3), 250 * MIB);
    holds(&round, 2, 180);
    holds(&round, 1, 490);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 470 * MIB);
    holds(&round, 1, 470);
    round.now_ms += 30000;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 470 * MIB);

    round_find(&round, 2)->need_kib = 100 * MIB;
    round.now_ms += 150000;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    for (uint32_t domid = 1; domid <= 3; domid++)
        CHECK_EQ(want(&round, domid), 300 * MIB);

    /* Once it has begun all of it is shared out; then what differs by less than an eighth stays. */
    holds(&round, 1, 310);
    holds(&round, 2, 290);
    holds(&round, 3, 300);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    holds(&round, 1, 303);
    holds(&round, 2, 297);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 303 * MIB);
    holds(&round, 1, 330);
    holds(&round, 2, 270);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 330 * MIB);
    CHECK_EQ(want(&round, 2), 270 * MIB);

    /* But no more than the pool lies about free. */
    holds(&round, 1, 230);
    holds(&round, 2, 260);
    holds(&round, 3, 250);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    round_free(&round);
}

/* A host that is new has yet to be quiet. Where need undoes soon what was shared out anew, the next
 * time waits twice as long, and what lies free does not wait for that. */
static void test_surplus_waits(void)
{
    struct round round;

    begin(&round, 600);
    round.taken_ms = 0;
    add(&round, 1, 80, 80, 2000, 256, 0);
    add(&round, 2, 80, 80, 2000, 256, 0);
    holds(&round, 1, 300);
    holds(&round, 2, 100);
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 2), 100 * MIB);
    round.now_ms += 60000;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    CHECK_EQ(want(&round, 2), 300 * MIB);

    round.spread_ms = round.taken_ms = 0;
    round.share_kib = 400 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    for (uint64_t wait_ms = 60000; wait_ms <= 240000; wait_ms *= 2) {
        round.now_ms += wait_ms - 1;
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        CHECK_EQ(want(&round, 1), 300 * MIB);
        round.now_ms++;
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        CHECK_EQ(want(&round, 1), 200 * MIB);
        CHECK_EQ(want(&round, 2), 200 * MIB);
        round.now_ms += wait_ms / 2;
        round_find(&round, 1)->need_kib = 310 * MIB;
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        CHECK_EQ(want(&round, 1), 310 * MIB);
        CHECK_EQ(want(&round, 2), 90 * MIB);
        round_find(&round, 1)->need_kib = 80 * MIB;
    }
    round.now_ms += 60000;
    round.share_kib = 600 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 300 * MIB);
    CHECK_EQ(want(&round, 2), 300 * MIB);
    round_free(&round);
}

/* Who had to be forgiven or takes has nothing above his share for later. */
static void test_surplus_of_a_record(void)
{
    struct round round;
    struct conduct *conduct;

    begin(&round, 1000);
    add(&round, 1, 100, 100, 2000, 256, 0);
    add(&round, 2, 100, 100, 2000, 256, 0);
    holds(&round, 1, 700);
    holds(&round, 2, 300);
    round.taken_ms = round.now_ms;
    for (uint32_t domid = 1; domid <= 2; domid++)
        round_find(&round, domid)->entitled_kib = 500 * MIB;
    conduct = &round_find(&round, 1)->conduct;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 700 * MIB);

    conduct->forgiven_ms = 1;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 500 * MIB);
    CHECK_EQ(want(&round, 2), 300 * MIB);
    conduct->forgiven_ms = 0;
    conduct->takes = (struct tally){ .since_ms = round.now_ms, .count = 1 };
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 500 * MIB);
    round_find(&round, 1)->need_kib = 600 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 1), 600 * MIB);
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

    /* What a minimum is above what its owner uses goes to those who use theirs, whatever the
     * priority; what is left of it is his. */
    round_find(&round, 3)->core_kib = 50 * MIB;
    round_find(&round, 1)->core_kib = 120 * MIB;
    CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
    CHECK_EQ(want(&round, 3), 80 * MIB);
    CHECK_EQ(want(&round, 1), 120 * MIB);
    CHECK_EQ(want(&round, 2), 300 * MIB);
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

static uint64_t between(uint64_t low, uint64_t high)
{
    return low + check_random_below(high - low + 1);
}

/* A host whose domains are as reckoning and estimating leave them: most of them ordinary, some in
 * their grace, some that take no more, some that do not share; and some are alike. */
static void random_host(struct round *round)
{
    uint64_t bottoms_kib = 0;

    begin(round, 0);
    for (uint32_t domid = 1; domid <= HOST_DOMAINS; domid++) {
        uint64_t min = between(10, 110);
        uint64_t max = between(min, min + 1000);
        uint64_t need = between(min, max);
        struct domain *domain = add(round, domid, min, need, max, (uint32_t)between(1, 1000),
                                    (int32_t)check_random_below(3));

        domain->max_kib = domain->top_kib += check_random_below(1024);
        domain->core_kib = between(domain->min_kib, domain->need_kib);
        domain->entitled_kib = between(domain->min_kib, domain->max_kib);
        domain->insists = check_random_below(4) == 0;
        domain->limits.size_kib = between(0, 1) * between(domain->min_kib, domain->max_kib);
        domain->shares = check_random_below(8) > 0;
        if (check_random_below(6) == 0)
            domain->top_kib = between(domain->min_kib, domain->max_kib);
        if (check_random_below(6) == 0)
            domain->bottom_kib = between(domain->min_kib, domain->top_kib);
        domain->target_kib = between(0, domain->max_kib);
        domain->post.bad = check_random_below(10) == 0;
        if (domid > 1 && check_random_below(3) == 0) {
            *domain = domain[-1];
            domain->domid = domid;
        }
        bottoms_kib += domain->shares ? domain->bottom_kib : 0;
    }
    round->share_kib = check_random_below(6000) * MIB + check_random_below(1024);
    round->pool_kib = check_random_below(3) * check_random_below(200 * MIB);
    round->insisted_kib = check_random_below(2) * check_random_below(200 * MIB);
    round->minimums_fit = bottoms_kib <= round->share_kib;
    round->surplus_spread = check_random_below(4) > 0;
    round->taken_ms = check_random_below(2) ? round->now_ms : 1;
    round->taking = check_random_below(2) == 0;
    round->idle_tax = (uint32_t)(between(0, 5) * IDLE_TAX_MAX / 5);
}

static void take_wants(const struct policy *policy, struct round *round, uint64_t wants[])
{
    CHECK_EQ(policy_decide(policy, round), 0);
    for (size_t i = 0; i < round->count; i++)
        wants[i] = round->domains[i].want_kib;
}

/* What each would have, had it all that the policy may give it. */
static uint64_t most_of(const struct policy *policy, const struct domain *domain)
{
    uint64_t size = domain->limits.size_kib ? domain->limits.size_kib : domain->start_kib;

    if (policy != &policy_static)
        return domain->top_kib;
    size = size < domain->bottom_kib ? domain->bottom_kib : size;
    return size < domain->top_kib ? size : domain->top_kib;
}

/* Everything is given out, and no KiB more. */
static void check_sum(const struct policy *policy, struct round *round)
{
    uint64_t wants[HOST_DOMAINS];
    uint64_t sum_kib = 0;
    uint64_t most_kib = 0;

    round->pool_kib = 0;
    round->surplus_spread = true;
    round->idle_tax %= IDLE_TAX_MAX;
    round->taken_ms = 1;
    for (size_t i = 0; i < round->count; i++)
        round->domains[i].post.bad = false;
    take_wants(policy, round, wants);
    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!domain->shares)
            continue;
        sum_kib += wants[i];
        most_kib += round->minimums_fit ? most_of(policy, domain) : domain->bottom_kib;
    }
    CHECK_EQ(sum_kib, most_kib < round->share_kib ? most_kib : round->share_kib);
}

/* In another order everybody has the same, but for a KiB of each step that could be this one's or
 * that one's. */
static void check_order(const struct policy *policy, const struct round *round)
{
    struct round turned;
    uint64_t wants[HOST_DOMAINS];

    begin(&turned, 0);
    turned.share_kib = round->share_kib;
    turned.pool_kib = round->pool_kib;
    turned.insisted_kib = round->insisted_kib;
    turned.minimums_fit = round->minimums_fit;
    turned.surplus_spread = round->surplus_spread;
    turned.idle_tax = round->idle_tax;
    turned.taken_ms = round->taken_ms;
    turned.spread_ms = round->spread_ms;
    turned.even_ms = round->even_ms;
    turned.taking = round->taking;
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = add(&turned, (uint32_t)i + 1, 0, 0, 0, 1, 0);
        uint32_t domid = domain->domid;

        *domain = round->domains[round->count - 1 - i];
        domain->domid = domid;
    }
    take_wants(policy, &turned, wants);
    for (size_t i = 0; i < round->count; i++) {
        int64_t differs =
            (int64_t)wants[round->count - 1 - i] - (int64_t)round->domains[i].want_kib;

        CHECK(differs >= -3 && differs <= 3);
    }
    round_free(&turned);
}

/* What it gives out now, and whether that is in the manner of the last time: what nobody needs
 * stays, is taken or is spread. */
static bool take_alike(const struct policy *policy, struct round *round, uint64_t wants[])
{
    bool taking = round->taking, spreading = round->spreading;

    take_wants(policy, round, wants);
    return round->taking == taking && round->spreading == spreading;
}

/* More memory never gives anybody less; a domain that needs more never gets less for it. Of what
 * nobody needs that is so as long as it is dealt with alike. */
static void check_monotone(const struct policy *policy, struct round *round)
{
    uint64_t before[HOST_DOMAINS], after[HOST_DOMAINS];
    size_t one = check_random_below(HOST_DOMAINS);
    struct domain *domain = &round->domains[one];
    bool alike;

    take_wants(policy, round, before);
    round->share_kib += check_random_below(3) ? check_random_below(100000) : 1;
    alike = take_alike(policy, round, after);
    for (size_t i = 0; i < round->count; i++) {
        uint64_t need_kib = alike ? UINT64_MAX : round->domains[i].need_kib;

        CHECK(after[i] >= before[i] || after[i] >= need_kib);
    }

    domain->need_kib = between(domain->need_kib, domain->max_kib);
    domain->core_kib = between(domain->core_kib, domain->need_kib);
    alike = take_alike(policy, round, before);
    CHECK(before[one] >= after[one] || (!alike && before[one] >= domain->need_kib));
}

static void test_properties(void)
{
    unsigned hosts = check_long ? 100000 : 2000;

    for (unsigned h = 0; h < hosts && check_faults == 0; h++) {
        for (size_t p = 0; policy_at(p); p++) {
            struct round round;
            uint64_t wants[HOST_DOMAINS];

            random_host(&round);
            take_wants(policy_at(p), &round, wants);
            check_order(policy_at(p), &round);
            check_monotone(policy_at(p), &round);
            check_sum(policy_at(p), &round);
            round_free(&round);
        }
    }
}

/* An idle page counts for 1 - tax of a needed one: what is made equal by weight is that sum. */
static void test_idle_tax(void)
{
    static const struct {
        uint32_t tax;
        uint64_t first_mib, second_mib;
    } cases[] = {
        { 0, 450, 450 },    /* sizes are equal */
        { 500, 400, 500 },  /* 100 + 2 * 300 = 300 + 2 * 200 */
        { 750, 375, 525 },  /* 100 + 4 * 275 = 300 + 4 * 225 */
        { 1000, 100, 300 }, /* kept free */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct round round;

        begin(&round, 900);
        round.idle_tax = cases[i].tax;
        add(&round, 1, 50, 100, 2000, 256, 0);
        add(&round, 2, 50, 300, 2000, 256, 0);
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        CHECK_EQ(want(&round, 1), cases[i].first_mib * MIB);
        CHECK_EQ(want(&round, 2), cases[i].second_mib * MIB);
        round_free(&round);
    }
}

/* What a domain is left, though it does not need it, is no reason to give it more: in the end of
 * its grace nothing moves. */
static void test_left_is_idle(void)
{
    static const struct {
        uint64_t share_mib, first_mib, second_mib;
    } cases[] = {
        { 900, 450, 450 },
        { 450, 300, 150 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct round round;

        begin(&round, cases[i].share_mib);
        round.idle_tax = 750;
        add(&round, 1, 50, 100, 2000, 256, 0)->bottom_kib = 300 * MIB;
        add(&round, 2, 50, 100, 2000, 256, 0);
        CHECK_EQ(policy_decide(&policy_weighted, &round), 0);
        CHECK_EQ(want(&round, 1), cases[i].first_mib * MIB);
        CHECK_EQ(want(&round, 2), cases[i].second_mib * MIB);
        round_free(&round);
    }
}

/* The largest sizes that there are, at every tax. */
static void test_largest(void)
{
    for (uint32_t tax = 0; tax <= IDLE_TAX_MAX; tax += 111) {
        for (size_t p = 0; policy_at(p); p++) {
            uint64_t sum_kib = 0;
            struct round round;

            begin(&round, 0);
            round.share_kib = 3 * FILL_KIB_MAX - 5;
            round.idle_tax = tax;
            for (uint32_t domid = 1; domid <= 3; domid++) {
                struct domain *domain = add(&round, domid, 64, 128, 0, 65536 / domid, 0);

                domain->max_kib = domain->top_kib = FILL_KIB_MAX;
                domain->need_kib = FILL_KIB_MAX / domid;
                domain->limits.size_kib = FILL_KIB_MAX;
            }
            CHECK_EQ(policy_decide(policy_at(p), &round), 0);
            for (size_t i = 0; i < round.count; i++)
                sum_kib += round.domains[i].want_kib;
            CHECK_EQ(sum_kib, round.share_kib);
            round_free(&round);
        }
    }
}

static void test_proportional(void)
{
    struct round round;

    begin(&round, 1000);
    round.pool_kib = 100 * MIB;
    add(&round, 1, 100, 900, 500, 256, 0);
    add(&round, 2, 200, 200, 1400, 4096, 7);
    CHECK_EQ(policy_decide(&policy_proportional, &round), 0);
    CHECK_EQ(want(&round, 1), (100 + 400 * 600 / 1600) * MIB);
    CHECK_EQ(want(&round, 2), (200 + 1200 * 600 / 1600) * MIB);

    /* The pool is not kept at the cost of a minimum. */
    round.share_kib = 310 * MIB;
    CHECK_EQ(policy_decide(&policy_proportional, &round), 0);
    CHECK_EQ(want(&round, 1), 100 * MIB);
    CHECK_EQ(want(&round, 2), 200 * MIB);
    round_free(&round);
}

/* Equal domains get equal shares, within the KiB that cannot be halved. */
static void test_equal(void)
{
    for (size_t p = 0; policy_at(p); p++) {
        struct round round;

        begin(&round, 1000);
        for (uint32_t domid = 1; domid <= 7; domid++)
            add(&round, domid, 50, 400, 800, 256, 0)->limits.size_kib = 400 * MIB;
        CHECK_EQ(policy_decide(policy_at(p), &round), 0);
        for (uint32_t domid = 2; domid <= 7; domid++) {
            CHECK(want(&round, domid) + 1 >= want(&round, 1));
            CHECK(want(&round, domid) <= want(&round, 1) + 1);
        }
        round_free(&round);
    }
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("policies are found by name", test_find);
    check_run("need goes by priority", test_need_by_priority);
    check_run("what is missed at once comes before room to grow", test_core_before_room);
    check_run("the pool comes before room to grow", test_pool_before_room);
    check_run("so does the others' room, before what one insists on", test_insisting);
    check_run("surplus goes by weight above the pool", test_surplus);
    check_run("surplus stays where it is for a while", test_surplus_stays);
    check_run("what nobody needs is shared anew on a quiet host only", test_surplus_waits);
    check_run("but not with those who have a record", test_surplus_of_a_record);
    check_run("minimums that do not fit go by priority and weight", test_minimums_short);
    check_run("static sizes", test_static);
    check_run("a wrong policy is rejected whole", test_wrong_policy);
    check_run("an idle page counts less", test_idle_tax);
    check_run("what a domain is left counts as idle", test_left_is_idle);
    check_run("the same fraction of the way", test_proportional);
    check_run("the largest sizes", test_largest);
    check_run("properties over random hosts", test_properties);
    check_run("equal domains are equal", test_equal);
    return check_done();
}
