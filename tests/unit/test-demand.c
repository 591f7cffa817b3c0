/* SPDX-License-Identifier: ISC */
#include "check.h"
#include "core/demand.h"
#include "report/timing.h"
#include "util/bounds.h"
#include "util/floor.h"

#define MIB 1024

static void test_floor(void)
{
    static const struct {
        uint64_t size_mib;
        uint64_t floor_mib;
    } cases[] = {
        { 0, 0 },      { 16, 16 },      { 32, 24 },       { 80, 48 },
        { 128, 72 },   { 512, 168 },    { 1024, 232 },    { 2048, 360 },
        { 8192, 552 }, { 32768, 1320 }, { 131072, 4392 }, { 262144, 8488 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_EQ(floor_kib(cases[i].size_mib * MIB) / MIB, cases[i].floor_mib);
    for (uint64_t kib = 0; kib < 300000 * MIB; kib += 100003)
        CHECK(floor_kib(kib) <= floor_kib(kib + 1));
}

/* A round of one domain of 512 MiB, 128 to 1024. */
static struct domain *one(struct round *round)
{
    static const uint8_t uuid[16] = { 1 };
    struct domain *domain;

    round_init(round);
    round_begin(round, 1000000);
    domain = round_see(round, 1, uuid);
    domain->managed = true;
    domain->shares = true;
    domain->has_target = true;
    domain->actual_kib = 512 * MIB;
    domain->target_kib = 512 * MIB;
    domain->min_kib = 128 * MIB;
    domain->max_kib = 1024 * MIB;
    domain->limits.weight = 256;
    round->share_kib = 2048 * MIB;
    return domain;
}

static void post(struct round *round, struct domain *domain, uint64_t used_kib, uint64_t stall_us)
{
    domain->post = (struct post){
        .dialect = DIALECT_BALLAST,
        .at_ms = round->now_ms,
        .held_kib = domain->actual_kib,
        .used_kib = used_kib,
    };
    report_clear(&domain->post.report);
    domain->post.report.total_kib = domain->actual_kib;
    domain->post.report.available_kib = domain->actual_kib - smaller(used_kib, domain->actual_kib);
    domain->post.report.some_us = stall_us;
    demand_estimate(round);
}

static bool news(struct round *round, struct domain *domain, uint64_t used_kib, uint64_t stall_us)
{
    domain->post.at_ms = round->now_ms;
    domain->post.used_kib = used_kib;
    domain->post.report.some_us = stall_us;
    return demand_has_news(domain);
}

static void test_news(void)
{
    struct round round;
    struct domain *domain = one(&round);

    CHECK(!demand_has_news(domain));
    domain->post = (struct post){ .dialect = DIALECT_BALLAST, .at_ms = round.now_ms };
    CHECK(demand_has_news(domain)); /* the first */
    post(&round, domain, 200 * MIB, 0);
    CHECK(!demand_has_news(domain));
    round.now_ms += 1000;
    CHECK(!news(&round, domain, 200 * MIB, 0));
    CHECK(!news(&round, domain, 201 * MIB - 512, 4000));
    CHECK(news(&round, domain, 202 * MIB, 0));
    CHECK(news(&round, domain, 198 * MIB, 0));
    CHECK(news(&round, domain, 200 * MIB, 5000)); /* it stalls, if little */
    domain->post.wish_kib = 227 * MIB - 1; /* it sizes itself: what it asks for is in its need */
    CHECK(!news(&round, domain, 200 * MIB, 0));
    domain->post.wish_kib = 227 * MIB;
    CHECK(news(&round, domain, 200 * MIB, 0));
    demand_estimate(&round);
    CHECK_EQ(domain->demand.core_kib, 200 * MIB);
    CHECK_EQ(domain->need_kib, 227 * MIB);
    domain->shares = false;
    CHECK(!demand_has_news(domain));
    domain->shares = true;

    /* A rise that is as large as was foreseen. */
    round.now_ms += 60000;
    post(&round, domain, 200 * MIB, 0);
    round.now_ms += TIMING_LOOK_MS;
    post(&round, domain, 210 * MIB, 0);
    CHECK_EQ(domain->demand.raw_kib + domain->demand.rise_kib, 240 * MIB);
    round.now_ms += 3 * TIMING_LOOK_MS;
    CHECK(news(&round, domain, 225 * MIB, 0));
    demand_estimate(&round);
    CHECK_EQ(domain->demand.raw_kib + domain->demand.rise_kib, 240 * MIB);
    round_free(&round);
}

static void test_up_at_once_down_slowly(void)
{
    struct round round;
    struct domain *domain = one(&round);
    uint64_t high;

    post(&round, domain, 200 * MIB, 0);
    CHECK_EQ(domain->demand.core_kib, 200 * MIB);
    CHECK_EQ(domain->need_kib, 225 * MIB);
    CHECK_EQ(domain->available_kib, (512 - 225) * MIB);
    round.now_ms += 1000;
    post(&round, domain, 400 * MIB, 0);
    high = domain->need_kib;
    CHECK(high >= 450 * MIB);
    domain->target_kib = high;

    round.now_ms += 250;
    post(&round, domain, 200 * MIB, 0);
    CHECK(domain->need_kib > high - 50 * MIB);
    CHECK(domain->core_kib < domain->need_kib - 20 * MIB);
    for (int i = 0; i < 60; i++) {
        round.now_ms += 1000;
        post(&round, domain, 200 * MIB, 0);
    }
    CHECK_EQ(domain->need_kib, 225 * MIB);
    round_free(&round);
}

/* Of its room to grow it keeps what it has, and is given the rest only up to three quarters. */
static void test_room(void)
{
    struct round round;
    struct domain *domain = one(&round);

    post(&round, domain, 240 * MIB, 0);
    CHECK_EQ(domain->need_kib, 270 * MIB);
    domain->target_kib = 265 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 265 * MIB);
    domain->target_kib = 250 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 240 * MIB + 30 * MIB * 3 / 4);
    round_free(&round);
}

/* What grew between two looks goes on growing until it is served; what it swapped out meanwhile, it
 * would use, too. */
static void test_rise(void)
{
    struct round round;
    struct domain *domain = one(&round);

    post(&round, domain, 200 * MIB, 0);
    round.now_ms += TIMING_LOOK_MS;
    post(&round, domain, 220 * MIB, 0);
    CHECK_EQ(domain->demand.rise_kib, 60 * MIB);
    CHECK_EQ(domain->core_kib, (280 + 12) * MIB);
    CHECK_EQ(domain->demand.core_kib, 220 * MIB); /* not to be let down slowly */

    /* A look came late: it grew as fast as it did since the post before. */
    round.now_ms += 3 * TIMING_LOOK_MS;
    post(&round, domain, 226 * MIB, 0);
    CHECK_EQ(domain->demand.rise_kib, 6 * MIB);

    /* Of a post that comes after a pause only what matters can have come before the last look. */
    round.now_ms += 9000;
    post(&round, domain, 220 * MIB, 0);
    round.now_ms += 9000;
    post(&round, domain, 223 * MIB, 0);
    CHECK_EQ(domain->demand.rise_kib, 3 * MIB * 300 / 9000);
    round.now_ms += 9000;
    post(&round, domain, 249 * MIB, 0);
    CHECK_EQ(domain->demand.rise_kib, 30 * MIB);

    /* It does not go on: nothing is posted. */
    round.now_ms += 999;
    demand_estimate(&round);
    CHECK_EQ(domain->demand.rise_kib, 30 * MIB);
    round.now_ms += 1;
    demand_estimate(&round);
    CHECK_EQ(domain->demand.rise_kib, 0);
    CHECK_EQ(domain->core_kib, (249 + 12) * MIB);

    domain->post.at_ms = round.now_ms;
    domain->post.report.swap_total_kib = 100 * MIB;
    domain->post.report.swap_free_kib = 90 * MIB;
    demand_estimate(&round);
    round.now_ms += TIMING_LOOK_MS;
    domain->post.at_ms = round.now_ms;
    domain->post.report.swap_free_kib = 80 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->demand.rise_kib, 30 * MIB);

    /* What it swaps in again is no growth. */
    round.now_ms += TIMING_LOOK_MS;
    domain->post.at_ms = round.now_ms;
    domain->post.used_kib += 10 * MIB;
    domain->post.report.swap_free_kib = 90 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->demand.rise_kib, 0);

    /* Never more than half of what it holds. */
    round.now_ms += TIMING_LOOK_MS;
    post(&round, domain, 512 * MIB, 0);
    CHECK_EQ(domain->demand.rise_kib, 256 * MIB);

    /* Who says that he uses all that he was given shows no growth of his own by that. */
    round.now_ms += TIMING_LOOK_MS;
    domain->actual_kib = 600 * MIB;
    post(&round, domain, 600 * MIB, 0);
    CHECK_EQ(domain->demand.rise_kib, 0);
    round.now_ms += TIMING_LOOK_MS;
    domain->actual_kib = 660 * MIB;
    post(&round, domain, 640 * MIB, 0);
    CHECK_EQ(domain->demand.rise_kib, 120 * MIB);
    round_free(&round);
}

static void test_pressure(void)
{
    struct round round;
    struct domain *domain = one(&round);
    uint64_t stall_us = 0;
    uint64_t need;

    post(&round, domain, 500 * MIB, stall_us);
    need = domain->need_kib;

    /* 1 % stall: neither high nor low, nothing changes. */
    round.now_ms += 1000;
    stall_us += 10000;
    post(&round, domain, 500 * MIB, stall_us);
    CHECK_EQ(domain->need_kib, need);

    /* 50 % stall: a quarter more than it holds, less what is free inside. */
    round.now_ms += 1000;
    stall_us += 500000;
    post(&round, domain, 500 * MIB, stall_us);
    CHECK_EQ(domain->demand.core_kib, 628 * MIB);

    /* Not more before that can have come. */
    round.now_ms += 250;
    stall_us += 200000;
    domain->actual_kib = 540 * MIB;
    post(&round, domain, 540 * MIB, stall_us);
    CHECK(domain->demand.core_kib < 675 * MIB);
    round.now_ms += 50;
    stall_us += 50000;
    post(&round, domain, 540 * MIB, stall_us);
    CHECK_EQ(domain->demand.core_kib, 675 * MIB);
    domain->actual_kib = 512 * MIB;

    /* A count that goes back is no pressure. */
    round.now_ms += 1000;
    post(&round, domain, 500 * MIB, 5);
    CHECK(domain->core_kib <= 680 * MIB);

    /* When it is calm the boost goes. */
    for (int i = 0; i < 120; i++) {
        round.now_ms += 1000;
        post(&round, domain, 500 * MIB, 5);
    }
    CHECK_EQ(domain->need_kib, need);
    round_free(&round);
}

/* Some of the room to grow is missed at once, the same part of it for all, as far as there is
 * enough. */
static void test_spare(void)
{
    struct round round;
    struct domain *domain = one(&round);
    static const uint8_t uuid[16] = { 2 };
    struct domain *other = round_see(&round, 2, uuid);

    domain = round_find(&round, 1);
    *other = *domain;
    other->domid = 2;
    post(&round, other, 150 * MIB, 0);
    post(&round, domain, 200 * MIB, 0);
    CHECK_EQ(domain->core_kib, 212 * MIB);
    CHECK_EQ(other->core_kib, 162 * MIB);
    CHECK_EQ(domain->need_kib, 225 * MIB);

    round.share_kib = 362 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->core_kib, 206 * MIB);
    CHECK_EQ(other->core_kib, 156 * MIB);

    round.share_kib = 300 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->core_kib, 200 * MIB);
    CHECK_EQ(other->core_kib, 150 * MIB);
    round_free(&round);
}

/* Who has no swap left to wait with gets more room to grow, unless he is large and has it anyway. */
static void test_no_swap(void)
{
    struct round round;
    struct domain *domain = one(&round);

    post(&round, domain, 200 * MIB, 0);
    CHECK_EQ(domain->demand.margin_kib, 25 * MIB);
    domain->post.report.swap_total_kib = 64 * MIB;
    domain->post.report.swap_free_kib = 24 * MIB;
    domain->post.at_ms = ++round.now_ms;
    demand_estimate(&round);
    CHECK_EQ(domain->demand.margin_kib, 25 * MIB);
    domain->post.report.swap_free_kib--;
    domain->post.at_ms = ++round.now_ms;
    demand_estimate(&round);
    CHECK_EQ(domain->demand.margin_kib, 48 * MIB);
    domain->post.used_kib = 480 * MIB;
    domain->post.at_ms = ++round.now_ms;
    demand_estimate(&round);
    CHECK_EQ(domain->demand.margin_kib, 60 * MIB);
    round_free(&round);
}

static void test_bounds(void)
{
    struct round round;
    struct domain *domain = one(&round);

    post(&round, domain, 0, 0);
    CHECK_EQ(domain->need_kib, 128 * MIB);
    domain->actual_kib = 4096 * MIB;
    round.now_ms += 1000;
    post(&round, domain, 4096 * MIB, REPORT_ABSENT);
    CHECK_EQ(domain->need_kib, 1024 * MIB);
    CHECK_EQ(domain->available_kib, 3072 * MIB);
    round_free(&round);
}

/* Silent, rubbish and old posts are all the same: the weight's share. */
static void test_silent(void)
{
    struct round round;
    struct domain *domain = one(&round);
    static const uint8_t uuid[16] = { 2 };
    struct domain *other = round_see(&round, 2, uuid);

    domain = round_find(&round, 1);
    *other = *domain;
    other->domid = 2;
    other->limits.weight = 768;
    other->max_kib = 4096 * MIB;
    round.share_kib = 1024 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 256 * MIB);
    CHECK_EQ(other->need_kib, 768 * MIB);

    /* The pool is nobody's. */
    round.share_kib += 100 * MIB;
    round.pool_kib = 100 * MIB;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 256 * MIB);

    post(&round, domain, 300 * MIB, 0);
    CHECK(domain->need_kib > 300 * MIB);
    domain->post.bad = true;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 256 * MIB);
    domain->post.bad = false;
    round.now_ms += POST_STALE_MS + 1;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 256 * MIB);
    round_free(&round);
}

/* One that has never said anything may yet: for the grace it has what it holds. */
static void test_not_yet(void)
{
    struct round round;
    struct domain *domain = one(&round);

    round.grace_ms = 30000;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 512 * MIB);
    round.now_ms += 29999;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 512 * MIB);
    round.now_ms += 1;
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 1024 * MIB);
    round_free(&round);
}

static void test_dialects(void)
{
    struct round round;
    struct domain *domain = one(&round);
    struct post_text total = { "440000", 6 };
    struct post_text available = { "300000\n", 7 };
    struct post_text wish = { "614400", 6 };

    CHECK_EQ(post_take_xenserver(&domain->post, total, available, domain->actual_kib, round.now_ms),
             0);
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, domain->post.used_kib + domain->post.used_kib / 4);

    round.now_ms += 1000;
    CHECK_EQ(post_take_selfballoon(&domain->post, wish, (struct post_text){ NULL, 0 },
                                   domain->actual_kib, round.now_ms),
             0);
    demand_estimate(&round);
    CHECK_EQ(domain->need_kib, 614400);
    round_free(&round);
}

static void post_free(struct round *round, struct domain *domain, uint64_t stall_us,
                      uint64_t free_kib)
{
    domain->post = (struct post){
        .dialect = DIALECT_BALLAST,
        .at_ms = round->now_ms,
        .held_kib = domain->actual_kib,
        .used_kib = 500 * MIB,
    };
    report_clear(&domain->post.report);
    domain->post.report.some_us = stall_us;
    domain->post.report.free_kib = free_kib;
    demand_estimate(round);
}

/* Asks by pressure for what it then leaves free, again and again; or uses it. Returns what the last
 * ask added, and waits a while after each. */
static uint64_t last_boost(bool uses, int asks, uint64_t wait_ms)
{
    struct round round;
    struct domain *domain = one(&round);
    uint64_t stall_us = 0;
    uint64_t added = 0;

    for (int k = 0; k < asks; k++) {
        domain->actual_kib = 512 * MIB;
        domain->demand.boost_kib = 0;
        for (int s = 0; s < 17; s++) {
            stall_us += s == 1 ? 500000 : 0;
            domain->actual_kib = (s < 2 ? 512 : 700) * MIB;
            post_free(&round, domain, stall_us, s < 2 || uses ? 10 * MIB : 190 * MIB);
            if (s == 1)
                added = domain->demand.boost_kib;
            round.now_ms += 1000;
        }
        round.now_ms += wait_ms;
    }
    round_free(&round);
    return added;
}

static void test_doubt(void)
{
    uint64_t first = last_boost(false, 1, 0);

    CHECK_EQ(last_boost(true, 5, 0), first);
    CHECK(last_boost(false, 2, 0) < first);
    CHECK(last_boost(false, 6, 0) < first / 2);
    CHECK(last_boost(false, 6, 0) > 0);
    CHECK_EQ(last_boost(false, 6, 700000), first); /* it fades */
}

/* For so many seconds it uses of what it holds all but free_kib. */
static void use_all_but(struct round *round, struct domain *domain, uint64_t free_kib, int seconds)
{
    for (int s = 0; s < seconds; s++) {
        round->now_ms += 1000;
        post(round, domain, domain->actual_kib - free_kib, 0);
    }
}

/* It holds less for a moment, and uses as much. */
static void show_use(struct round *round, struct domain *domain)
{
    uint64_t held_kib = domain->actual_kib, used_kib = held_kib - 4 * MIB;

    round->now_ms += 100;
    post(round, domain, used_kib, 0);
    domain->actual_kib = used_kib;
    round->now_ms += 100;
    post(round, domain, used_kib, 0);
    domain->actual_kib = held_kib;
}

/* Who leaves nothing of more than his share insists after a minute, until he has shown that he uses
 * it, or has had no more than that for a minute. */
static void test_insisting(void)
{
    struct round round;
    struct domain *domain = one(&round);

    round.share_kib = 400 * MIB;
    use_all_but(&round, domain, 0, 60);
    CHECK_EQ(domain->entitled_kib, 400 * MIB);
    CHECK(!domain->insists);
    CHECK_EQ(demand_first_kib(domain), domain->core_kib);
    use_all_but(&round, domain, 0, 1);
    CHECK(domain->insists);
    CHECK_EQ(demand_first_kib(domain), 400 * MIB);

    round.share_kib = 600 * MIB;
    use_all_but(&round, domain, 0, 2);
    CHECK(!domain->insists);
    round.share_kib = 400 * MIB;
    use_all_but(&round, domain, 0, 2);
    CHECK(domain->insists);
    domain->post.bad = true;
    demand_estimate(&round);
    CHECK(!domain->insists);

    /* One that has shown what it uses may leave nothing. */
    domain->post.bad = false;
    show_use(&round, domain);
    CHECK(!domain->insists);
    use_all_but(&round, domain, 0, 1000);
    CHECK(!domain->insists);
    round_free(&round);
}

/* Whose posts are of another dialect cannot show anything, and insists when he leaves nothing. */
static void test_insisting_of_others(void)
{
    struct round round;
    struct domain *domain = one(&round);

    round.share_kib = 400 * MIB;
    for (int s = 0; s <= 130; s++) {
        uint64_t left_kib = s < 61 ? 0 : 3 * MIB;

        round.now_ms += 1000;
        domain->post.at_ms = round.now_ms;
        domain->post.dialect = DIALECT_XENSERVER;
        domain->post.held_kib = domain->actual_kib;
        domain->post.used_kib = domain->actual_kib - left_kib;
        report_clear(&domain->post.report);
        domain->post.report.available_kib = left_kib;
        demand_estimate(&round);
        CHECK_EQ(domain->insists, s == 60);
    }
    round_free(&round);
}

/* Given more and asked for some, each time for two seconds, it uses all but 3 MiB of whatever it
 * holds; or, the honest one, what it used first. */
static void swing(struct round *round, struct domain *domain, bool honest)
{
    uint64_t held_kib = domain->actual_kib, used_kib = held_kib - 3 * MIB;

    for (int s = 0; s < 8; s++) {
        domain->actual_kib = held_kib + (uint64_t)(s / 2 % 2) * 8 * MIB;
        round->now_ms += 1000;
        post(round, domain, honest ? used_kib : domain->actual_kib - 3 * MIB, 0);
    }
    domain->actual_kib = held_kib;
}

/* Who rises above his share insists when for a minute nothing has shown that he uses what he says.
 * What he says that he uses stays first where he cannot swap. */
static void test_showing(void)
{
    struct round round;
    struct domain *domain = one(&round);

    round.share_kib = 400 * MIB;
    use_all_but(&round, domain, 3 * MIB, 55);
    CHECK(!domain->insists);
    swing(&round, domain, false);
    CHECK(domain->insists);
    CHECK_EQ(demand_first_kib(domain), 400 * MIB);
    domain->post.report.swap_free_kib = 0;
    CHECK(demand_first_kib(domain) >= 509 * MIB);

    /* To say nothing of pressure does not excuse it. */
    round.now_ms += 1000;
    post(&round, domain, 509 * MIB, REPORT_ABSENT);
    CHECK(domain->insists);

    /* What it uses stays when it holds more or less. */
    swing(&round, domain, true);
    CHECK(!domain->insists);
    CHECK_EQ(demand_first_kib(domain), domain->core_kib);
    use_all_but(&round, domain, 3 * MIB, 1000);
    CHECK(!domain->insists);

    /* Half as much again is another rise; less than the room to grow is none. */
    domain->actual_kib = 520 * MIB;
    use_all_but(&round, domain, 3 * MIB, 100);
    CHECK(!domain->insists);
    domain->actual_kib = 700 * MIB;
    use_all_but(&round, domain, 3 * MIB, 61);
    CHECK(domain->insists);

    /* That it waits for memory explains nothing, nor that it held less, as it says itself; that it
     * has to swap out what it is asked for does. */
    round.now_ms += 1000;
    post(&round, domain, 697 * MIB, 500000);
    CHECK(domain->insists);
    round.now_ms += 1000;
    domain->post.at_ms = round.now_ms;
    domain->post.report.available_kib += 5 * MIB;
    demand_estimate(&round);
    CHECK(domain->insists);
    round.now_ms += 1000;
    domain->post.at_ms = round.now_ms;
    domain->post.held_kib = 696 * MIB;
    domain->post.used_kib = 693 * MIB;
    domain->post.report.available_kib = 3 * MIB;
    domain->post.report.swap_total_kib = 512 * MIB;
    domain->post.report.swap_free_kib = 508 * MIB;
    demand_estimate(&round);
    CHECK(!domain->insists);

    /* What it used once it has to show anew; within its share it need not. */
    use_all_but(&round, domain, 500 * MIB, 1);
    use_all_but(&round, domain, 3 * MIB, 61);
    CHECK(domain->insists);
    round.share_kib = 800 * MIB;
    use_all_but(&round, domain, 3 * MIB, 100);
    CHECK(!domain->insists);
    use_all_but(&round, domain, 3 * MIB, 1000);
    CHECK(!domain->insists);
    round_free(&round);
}

/* What is of a higher priority comes first, whatever it says. */
static void test_priority_insists(void)
{
    struct round round;
    struct domain *domain = one(&round);
    static const uint8_t uuid[16] = { 2 };
    struct domain *other = round_see(&round, 2, uuid);

    domain = round_find(&round, 1);
    *other = *domain;
    other->domid = 2;
    other->limits.priority = -1;
    round.share_kib = 800 * MIB;
    use_all_but(&round, domain, 0, 100);
    CHECK(!domain->insists);
    other->limits.priority = 0;
    use_all_but(&round, domain, 0, 1);
    CHECK(domain->insists);

    /* One that is paused takes part in nothing: for it no pool is given up. */
    domain->shares = false;
    use_all_but(&round, domain, 0, 1);
    CHECK(!domain->insists);
    CHECK_EQ(round.insisted_kib, 0);
    round_free(&round);
}

/* A wish that nothing explains counts up to what the weight gives. */
static void test_wish(void)
{
    struct round round;
    struct domain *domain = one(&round);
    static const uint8_t uuid[16] = { 2 };
    struct domain *other = round_see(&round, 2, uuid);

    domain = round_find(&round, 1);
    *other = *domain;
    other->domid = 2;
    round.share_kib = 1024 * MIB;
    CHECK_EQ(post_take_selfballoon(&domain->post, (struct post_text){ "1048576", 7 },
                                   (struct post_text){ NULL, 0 }, domain->actual_kib, round.now_ms),
             0);
    demand_estimate(&round);
    CHECK_EQ(domain->entitled_kib, 512 * MIB);
    CHECK_EQ(domain->need_kib, 512 * MIB);
    round_free(&round);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("the floor of a Linux guest", test_floor);
    check_run("a post that says what is known is no news", test_news);
    check_run("need goes up at once and down slowly", test_up_at_once_down_slowly);
    check_run("room to grow is kept, and given in part", test_room);
    check_run("a rise goes on until it is served", test_rise);
    check_run("pressure adds to need", test_pressure);
    check_run("some room to grow is missed at once", test_spare);
    check_run("who cannot swap gets more room to grow", test_no_swap);
    check_run("need stays within the limits", test_bounds);
    check_run("domains that say nothing", test_silent);
    check_run("one that may yet say what it needs has what it holds", test_not_yet);
    check_run("other dialects", test_dialects);
    check_run("who asks without need is given less", test_doubt);
    check_run("who leaves nothing above his share insists", test_insisting);
    check_run("so does who cannot show what he uses", test_insisting_of_others);
    check_run("who follows what he holds does, too", test_showing);
    check_run("a higher priority does not", test_priority_insists);
    check_run("a wish counts up to the entitlement", test_wish);
    return check_done();
}
