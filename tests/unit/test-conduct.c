/* SPDX-License-Identifier: ISC */
#include "check.h"
#include "core/conduct.h"

#include <stdlib.h>

#include "model.h"

/* One domain that holds 512 MiB and has been asked for nothing. */
static struct domain *one(struct round *round)
{
    static const uint8_t uuid[16] = { 1 };
    struct domain *domain;

    round_init(round);
    round_begin(round, 1000000);
    domain = round_see(round, 1, uuid);
    domain->managed = true;
    domain->has_target = true;
    domain->actual_kib = 512 * MIB;
    domain->target_kib = 512 * MIB;
    return domain;
}

static void pass(struct round *round, uint64_t ms)
{
    round->now_ms += ms;
    conduct_judge(round);
}

static void test_lets_go(void)
{
    struct round round;
    struct domain *domain = one(&round);

    pass(&round, 0);
    CHECK_EQ(domain->conduct.class, CONDUCT_STARTING);
    domain->target_kib = 256 * MIB;
    pass(&round, 100);
    CHECK(conduct_owes(domain));
    domain->actual_kib = 256 * MIB;
    pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    CHECK_EQ(domain->conduct.since_ms, round.now_ms);
    round_free(&round);
}

static void test_a_post_is_a_sign_of_life(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->post.dialect = DIALECT_BALLAST;
    pass(&round, 0);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    round_free(&round);
}

/* Asks for half, and lets the domain give so much each second for 60 s. */
static enum conduct_class after_giving(uint64_t kib_per_s)
{
    struct round round;
    struct domain *domain = one(&round);
    enum conduct_class class;

    pass(&round, 0);
    domain->target_kib = 256 * MIB;
    for (int s = 0; s < 60 && domain->actual_kib > domain->target_kib; s++) {
        pass(&round, 1000);
        domain->actual_kib -= kib_per_s;
    }
    class = domain->conduct.class;
    round_free(&round);
    return class;
}

static void test_slow_is_not_unhelpful(void)
{
    CHECK_EQ(after_giving(0), CONDUCT_UNHELPFUL);
    CHECK_EQ(after_giving(4), CONDUCT_UNHELPFUL);
    CHECK_EQ(after_giving(5 * MIB), CONDUCT_COOPERATIVE);
    CHECK_EQ(after_giving(100 * MIB), CONDUCT_COOPERATIVE);
}

static void test_retry_grows_and_forgives(void)
{
    struct round round;
    struct domain *domain = one(&round);
    uint64_t first_ms;

    pass(&round, 0);
    domain->target_kib = 256 * MIB;
    for (int i = 0; i < 160 && domain->conduct.class != CONDUCT_UNHELPFUL; i++)
        pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_UNHELPFUL);
    first_ms = domain->conduct.retry_ms - round.now_ms;
    CHECK(first_ms >= 1000);

    /* Its target is moved to where it is: that is no forgiveness. */
    domain->target_kib = 511 * MIB;
    pass(&round, first_ms + 1000);
    CHECK_EQ(domain->conduct.class, CONDUCT_UNHELPFUL);

    /* Asked again, failed again: a longer pause. */
    domain->target_kib = 448 * MIB;
    for (int i = 0; i < 260 && domain->conduct.retry_ms < round.now_ms; i++)
        pass(&round, 100);
    CHECK(domain->conduct.retry_ms - round.now_ms > first_ms);

    /* Asked again after that, and it delivers. */
    domain->target_kib = 511 * MIB;
    pass(&round, 600000);
    domain->target_kib = 448 * MIB;
    pass(&round, 100);
    domain->actual_kib = 448 * MIB;
    pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    CHECK_EQ(domain->conduct.retry_ms, 0);

    /* Again soon after: the pause goes on growing. */
    domain->target_kib = 320 * MIB;
    for (int i = 0; i < 160 && domain->conduct.class != CONDUCT_UNHELPFUL; i++)
        pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_UNHELPFUL);
    CHECK(domain->conduct.retry_ms - round.now_ms > 2 * first_ms);

    /* It grows up to five minutes. */
    for (int k = 0; k < 8; k++) {
        domain->target_kib = 447 * MIB;
        pass(&round, domain->conduct.retry_ms - round.now_ms + 1000);
        domain->target_kib = 320 * MIB;
        for (int i = 0; i < 260 && domain->conduct.retry_ms < round.now_ms; i++)
            pass(&round, 100);
    }
    CHECK(domain->conduct.retry_ms - round.now_ms > 290000);
    CHECK(domain->conduct.retry_ms - round.now_ms <= 300000);
    round_free(&round);
}

/* It holds what it is to hold, and nobody asks it for more: it cannot show that it gives. */
static void test_forgiven_where_nothing_is_asked(void)
{
    struct round round;
    struct domain *domain = one(&round);

    pass(&round, 0);
    domain->target_kib = 256 * MIB;
    for (int i = 0; i < 200 && domain->conduct.class != CONDUCT_UNHELPFUL; i++)
        pass(&round, 100);
    domain->target_kib = domain->actual_kib = 256 * MIB;
    for (int i = 0; i < 30; i++)
        pass(&round, 1000);
    CHECK_EQ(domain->conduct.class, CONDUCT_UNHELPFUL);
    for (int i = 0; i < 60; i++)
        pass(&round, 1000);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    round_free(&round);
}

/* A domain that posts that it uses what it is asked for cannot give it, and is not to blame. */
static void test_using_is_not_refusing(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->post = (struct post){ .dialect = DIALECT_BALLAST, .used_kib = 500 * MIB };
    pass(&round, 0);
    domain->target_kib = 256 * MIB;
    for (int i = 0; i < 100; i++) {
        domain->post.at_ms = round.now_ms;
        pass(&round, 100);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    CHECK(domain->conduct.stalled);
    round_free(&round);
}

static void test_paused_time_does_not_count(void)
{
    struct round round;
    struct domain *domain = one(&round);

    pass(&round, 0);
    domain->target_kib = 256 * MIB;
    pass(&round, 100);
    domain->phase = PHASE_PAUSED;
    pass(&round, 60000);
    domain->phase = PHASE_RUNNING;
    pass(&round, 100);
    pass(&round, 1000);
    CHECK_EQ(domain->conduct.class, CONDUCT_STARTING);
    round_free(&round);
}

/* A domain that waits below its target because the host has nothing is none of these. */
static void test_waiting_is_no_fault(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->post.dialect = DIALECT_BALLAST;
    domain->target_kib = 800 * MIB;
    for (int i = 0; i < 600; i++)
        pass(&round, 1000);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    CHECK(domain->conduct.short_ms != 0);
    round_free(&round);
}

/* What a PVH guest holds beside its target is learnt at rest, and bounded. */
static void test_offset(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->type = DOMAIN_PVH;
    domain->post.dialect = DIALECT_BALLAST;
    domain->actual_kib += 64;
    pass(&round, 0);
    pass(&round, 1000);
    CHECK_EQ(domain->offset_kib, 0);
    pass(&round, 1500);
    CHECK_EQ(domain->offset_kib, 64);
    domain->actual_kib += 100 * MIB;
    for (int i = 0; i < 5; i++)
        pass(&round, 1000);
    CHECK_EQ(domain->offset_kib, 64);
    round_free(&round);
}

/* ---- giving: against its own speed ---- */

#define STEP (64 * MIB)

/* Asks for a step less than it holds whenever it owes nothing, as pace.c does, and lets it give
 * what `gives` says of each 100 ms. Returns after how many ms it was called unhelpful; 0: not
 * within so many. */
static uint64_t unhelpful_after(uint64_t ms, uint64_t (*gives)(uint64_t at_ms))
{
    struct round round;
    struct domain *domain = one(&round);
    uint64_t at_ms;

    domain->actual_kib = domain->target_kib = 512 * 1024 * UINT64_C(1024);
    pass(&round, 0);
    for (at_ms = 100; at_ms <= ms; at_ms += 100) {
        uint64_t owed;

        if (!conduct_owes(domain))
            domain->target_kib = domain->actual_kib - STEP;
        owed = domain->actual_kib - domain->target_kib;
        owed = owed < gives(at_ms) ? owed : gives(at_ms);
        domain->actual_kib -= owed;
        pass(&round, 100);
        if (domain->conduct.class == CONDUCT_UNHELPFUL) {
            round_free(&round);
            return at_ms;
        }
    }
    round_free(&round);
    return 0;
}

static uint64_t a_page_in_5s(uint64_t at_ms)
{
    return at_ms % 5000 == 0 ? 4 : 0;
}

static uint64_t a_second_in_20(uint64_t at_ms)
{
    return at_ms % 20000 < 1000 ? 50 * MIB : 0;
}

static uint64_t just_in_time(uint64_t at_ms)
{
    return at_ms % 6000 < 200 ? 50 * MIB : 0;
}

/* A sixteenth of the step within 5 s, once it has shown its speed. */
static uint64_t a_fraction(uint64_t at_ms)
{
    return at_ms <= 10000 ? 50 * MIB : STEP / 16 / 50;
}

/* Nobody's balloon is so slow. */
static uint64_t a_trickle(uint64_t at_ms)
{
    (void)at_ms;
    return 10;
}

static uint64_t fast_then_nothing(uint64_t at_ms)
{
    return at_ms <= 10000 ? 50 * MIB : 0;
}

static uint64_t slow_then_nothing(uint64_t at_ms)
{
    return at_ms <= 60000 ? MIB / 2 : 0;
}

static uint64_t slow(uint64_t at_ms)
{
    (void)at_ms;
    return MIB / 10;
}

static uint64_t slower_yet(uint64_t at_ms)
{
    return at_ms % 1000 == 0 ? MIB / 2 : 0;
}

/* Linux: what is free at once, and then nothing for 2 s and for 4 s. */
static uint64_t pauses(uint64_t at_ms)
{
    uint64_t in = at_ms % 6000;

    return in < 200 || (in >= 2000 && in < 2200) ? 30 * MIB : 0;
}

/* Its CPUs have other things to do: a tenth of what it has shown. */
static uint64_t loaded(uint64_t at_ms)
{
    return at_ms <= 10000 ? 50 * MIB : 5 * MIB;
}

static void test_dodges(void)
{
    uint64_t after;

    CHECK((after = unhelpful_after(60000, a_page_in_5s)) != 0 && after <= 15200);
    CHECK(unhelpful_after(60000, a_second_in_20) != 0);
    CHECK(unhelpful_after(120000, just_in_time) != 0);
    CHECK((after = unhelpful_after(60000, a_fraction)) != 0 && after <= 10000 + 15200);
    CHECK((after = unhelpful_after(60000, a_trickle)) != 0 && after <= 60000);
}

static void test_recognised_in_time(void)
{
    uint64_t after = unhelpful_after(60000, fast_then_nothing);

    CHECK(after > 10000 + 4000 && after <= 10000 + 5500);
    after = unhelpful_after(120000, slow_then_nothing);
    CHECK(after > 60000 + 4000 && after <= 60000 + 15200);
}

static void test_own_speed(void)
{
    CHECK_EQ(unhelpful_after(600000, slow), 0);
    CHECK_EQ(unhelpful_after(600000, slower_yet), 0);
    CHECK_EQ(unhelpful_after(600000, pauses), 0);
    CHECK_EQ(unhelpful_after(600000, loaded), 0);
}

/* Its agent posts late: what it was asked for was in use already. */
static void test_posts_late(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->post = (struct post){ .dialect = DIALECT_BALLAST, .used_kib = 100 * MIB };
    pass(&round, 0);
    domain->target_kib = 448 * MIB;
    for (int i = 0; i < 160 && domain->conduct.class != CONDUCT_UNHELPFUL; i++) {
        domain->post.at_ms = 1000000;
        pass(&round, 100);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_UNHELPFUL);
    domain->target_kib = 511 * MIB;
    domain->post.used_kib = 508 * MIB;
    domain->post.at_ms = round.now_ms + 50;
    pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    CHECK(domain->conduct.stalled);
    round_free(&round);
}

/* Nor is anybody excused who uses more than his guarantee, but not what he was asked for at
 * first. */
static void test_guarantee_is_no_excuse(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->post = (struct post){ .dialect = DIALECT_BALLAST, .used_kib = 300 * MIB };
    pass(&round, 0);
    domain->target_kib = 448 * MIB;
    for (int i = 0; i < 400; i++) {
        domain->post.at_ms = round.now_ms;
        if (!conduct_trusted(domain))
            domain->target_kib = 128 * MIB;
        pass(&round, 100);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_UNHELPFUL);
    CHECK_EQ(domain->conduct.forgiven_ms, 0);
    domain->post.used_kib = 448 * MIB;
    domain->post.at_ms = round.now_ms;
    for (int i = 0; i < 100; i++)
        pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    round_free(&round);
}

/* Before its agent has posted, or while it says that what it is asked for is in use, nobody is
 * blamed so soon; that it is free at last does not make bad what was. */
static void test_waits_for_a_post(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->post = (struct post){ .dialect = DIALECT_BALLAST, .used_kib = 100 * MIB };
    domain->post.at_ms = round.now_ms - 1000;
    domain->conduct.speed_kib_s = STEP;
    pass(&round, 0);
    domain->target_kib = 448 * MIB;
    for (int i = 0; i < 145; i++)
        pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    CHECK(!domain->conduct.stalled);
    domain->post.at_ms = round.now_ms;
    domain->post.used_kib = 500 * MIB;
    pass(&round, 100);
    domain->post.used_kib = 100 * MIB;
    pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
    CHECK(domain->conduct.stalled);
    round_free(&round);
}

/* One that gives nothing of the 8 MiB that it is asked for. */
struct refusal {
    uint64_t each_ms;    /* it posts so often */
    uint64_t driver_kib; /* what its driver is to hold, as it says */
    uint64_t used_kib;   /* the same of what it uses, and has to write to its disks */
    uint64_t dirty_kib;
    uint64_t min_kib;
    bool took; /* before */
};

static const struct refusal told = { 1000, 504 * MIB, 100 * MIB, 0, 128 * MIB, false };

static void refuse_once(struct round *round, struct domain *domain, const struct refusal *refusal)
{
    domain->post = (struct post){
        .dialect = DIALECT_BALLAST,
        .at_ms = round->now_ms,
        .held_kib = domain->actual_kib,
        .used_kib = refusal->used_kib,
    };
    report_clear(&domain->post.report);
    domain->post.report.balloon_current_kib = 512 * MIB;
    domain->post.report.balloon_target_kib = refusal->driver_kib;
    domain->post.report.dirty_kib = refusal->dirty_kib;
}

/* After how long it is held against it, or taken for use. */
static uint64_t blamed_after(struct refusal refusal)
{
    struct round round;
    struct domain *domain = one(&round);
    uint64_t ms = 0;

    domain->conduct.speed_kib_s = STEP;
    domain->min_kib = refusal.min_kib;
    pass(&round, 100);
    domain->conduct.takes =
        (struct tally){ .since_ms = round.now_ms, .count = refusal.took ? 1 : 0 };
    domain->target_kib = 504 * MIB;
    for (; conduct_trusted(domain) && !domain->conduct.stalled && ms < 20000; ms += 100) {
        if (ms % refusal.each_ms == 0)
            refuse_once(&round, domain, &refusal);
        pass(&round, 100);
    }
    CHECK_EQ(domain->conduct.stalled, refusal.used_kib >= 496 * MIB);
    round_free(&round);
    return ms;
}

#define CHECK_BLAMED(least_ms, most_ms, ...)        \
    do {                                            \
        struct refusal refusal = told;              \
        uint64_t ms;                                \
                                                    \
        __VA_ARGS__;                                \
        ms = blamed_after(refusal);                 \
        CHECK(ms >= (least_ms) && ms <= (most_ms)); \
    } while (0)

/* Who posts all the while that its driver is to give, and not that it uses what it holds, runs, and
 * will not. */
static void test_told(void)
{
    CHECK_BLAMED(3000, 4000, (void)0);
    CHECK_BLAMED(3000, 5000, refusal.each_ms = 2000);
    CHECK_BLAMED(5000, 5500, refusal.each_ms = 2100);
    CHECK_BLAMED(5000, 5500, refusal.driver_kib = 508 * MIB);
    CHECK_BLAMED(5000, 5500, refusal.driver_kib = REPORT_ABSENT);
    CHECK_BLAMED(5000, 5500, refusal.took = true);
    CHECK_BLAMED(5000, 5500, refusal.min_kib = 504 * MIB);
    CHECK_BLAMED(5000, 5500, refusal.used_kib = 496 * MIB);
    CHECK_BLAMED(5000, 5500, refusal.dirty_kib = 400 * MIB);
    CHECK_BLAMED(3000, 4000, refusal.dirty_kib = 300 * MIB);
    CHECK_BLAMED(3000, 4000, refusal.dirty_kib = REPORT_ABSENT);
}

/* Each request has its own time: what was told of the one before does not count. */
static void test_told_anew(void)
{
    struct round round;
    struct domain *domain = one(&round);
    struct refusal refusal = told;
    uint64_t ms = 0;

    domain->conduct.speed_kib_s = STEP;
    pass(&round, 100);
    domain->target_kib = 504 * MIB;
    for (int i = 0; i < 26; i++) {
        if (i % 10 == 0)
            refuse_once(&round, domain, &refusal);
        pass(&round, 100);
    }
    domain->actual_kib = 504 * MIB;
    for (int i = 0; i < 12; i++)
        pass(&round, 100);
    domain->target_kib = 496 * MIB;
    refusal.driver_kib = 496 * MIB;
    for (; conduct_trusted(domain) && ms < 20000; ms += 100) {
        if (ms % 1000 == 0)
            refuse_once(&round, domain, &refusal);
        pass(&round, 100);
    }
    CHECK(ms >= 2900 && ms <= 4000);
    round_free(&round);
}

/* ---- taking ---- */

static struct domain *at_rest(struct round *round)
{
    struct domain *domain = one(round);

    domain->slack_kib = MIB;
    domain->cap_kib = domain->target_kib + MIB;
    for (int i = 0; i < 10; i++)
        pass(round, 1000);
    return domain;
}

static void order(struct round *round, struct domain *domain, uint64_t target_kib)
{
    domain->target_kib = target_kib;
    domain->cap_kib = target_kib + MIB;
    pass(round, 100);
}

static void hold(struct round *round, struct domain *domain, uint64_t held_kib)
{
    domain->actual_kib = held_kib;
    pass(round, 1000);
}

static void test_second_attempt(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    hold(&round, domain, 513 * MIB);
    CHECK(conduct_trusted(domain));
    hold(&round, domain, 512 * MIB);
    CHECK(conduct_trusted(domain));
    hold(&round, domain, 513 * MIB);
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    CHECK(!conduct_trusted(domain));
    round_free(&round);
}

/* Each time that it is asked it lets go, but for the slack. */
static void test_keeps_the_slack(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    for (uint64_t mib = 448; mib >= 320 && conduct_trusted(domain); mib -= 64) {
        order(&round, domain, mib * MIB);
        hold(&round, domain, (mib + 1) * MIB);
        for (int i = 0; i < 5; i++)
            hold(&round, domain, (mib + 1) * MIB);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    round_free(&round);
}

/* Its cap holds it once it is asked to give. */
static void test_takes_and_refuses(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    hold(&round, domain, 513 * MIB);
    CHECK(conduct_trusted(domain));
    order(&round, domain, 448 * MIB);
    for (int i = 0; i < 160 && conduct_trusted(domain); i++)
        pass(&round, 100);
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    round_free(&round);
}

/* Each order is followed by the next before anybody has looked twice. */
static void test_takes_of_each_order(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    for (uint64_t mib = 520; mib <= 600 && conduct_trusted(domain); mib += 8) {
        domain->actual_kib = (mib + 1) * MIB;
        order(&round, domain, mib * MIB);
        round.now_ms += 500;
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    round_free(&round);
}

/* A guest that is not PV, in what it does at rest: an honest one may be off by as much as its cap
 * leaves, and goes there by itself. */
static void test_not_pv(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    domain->type = DOMAIN_HVM;
    for (uint64_t mib = 520; mib <= 800; mib += 40) {
        order(&round, domain, mib * MIB);
        hold(&round, domain, (mib - 3) * MIB);
        hold(&round, domain, mib * MIB);
        for (int i = 0; i < 10; i++)
            hold(&round, domain, (mib + 1) * MIB);
        /* Its target is moved to what it holds. */
        order(&round, domain, (mib + 1) * MIB);
        for (int i = 0; i < 10; i++)
            hold(&round, domain, (mib + 2) * MIB);
        /* A backend borrows, and gives back. */
        for (int i = 0; i < 10; i++)
            hold(&round, domain, (mib - 10) * MIB);
        for (int i = 0; i < 10; i++)
            hold(&round, domain, (mib + 2) * MIB);
    }
    CHECK(conduct_trusted(domain));
    for (int k = 0; k < 2; k++) {
        CHECK(conduct_trusted(domain));
        order(&round, domain, (900 + 10 * (uint64_t)k) * MIB);
        for (int i = 0; i < 10; i++)
            hold(&round, domain, domain->target_kib);
        hold(&round, domain, domain->cap_kib);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    round_free(&round);
}

/* What looks like it, and is not. */
static void test_no_taking(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    /* On its way up when its target is lowered, it runs into its cap. */
    for (int i = 0; i < 5; i++) {
        order(&round, domain, 800 * MIB);
        hold(&round, domain, 590 * MIB);
        order(&round, domain, 600 * MIB);
        hold(&round, domain, 601 * MIB);
        hold(&round, domain, 600 * MIB);
        order(&round, domain, 512 * MIB);
        hold(&round, domain, 512 * MIB);
    }
    CHECK(conduct_trusted(domain));

    /* xl mem-set, xl mem-max. */
    for (int i = 0; i < 5; i++) {
        order(&round, domain, 700 * MIB);
        hold(&round, domain, 700 * MIB);
        domain->cap_kib = 800 * MIB;
        hold(&round, domain, 790 * MIB);
        order(&round, domain, 512 * MIB);
        hold(&round, domain, 512 * MIB);
    }
    CHECK(conduct_trusted(domain));

    /* Paused, and moved by others meanwhile. */
    for (int i = 0; i < 5; i++) {
        domain->phase = PHASE_PAUSED;
        hold(&round, domain, 513 * MIB);
        domain->phase = PHASE_RUNNING;
        hold(&round, domain, 513 * MIB);
        hold(&round, domain, 512 * MIB);
    }
    CHECK(conduct_trusted(domain));

    /* It has stopped on its way down, and its cap has been lowered to what it holds. */
    for (int i = 0; i < 5; i++) {
        order(&round, domain, 448 * MIB);
        hold(&round, domain, 480 * MIB);
        order(&round, domain, 479 * MIB);
        for (int k = 0; k < 5; k++)
            hold(&round, domain, 480 * MIB);
        order(&round, domain, 512 * MIB);
        hold(&round, domain, 512 * MIB);
    }
    CHECK(conduct_trusted(domain));

    /* A backend that borrows and gives back pages below its target; a PVH guest's own pages. */
    domain->type = DOMAIN_PVH;
    for (int i = 0; i < 5; i++) {
        hold(&round, domain, 500 * MIB);
        hold(&round, domain, 512 * MIB + 64);
        hold(&round, domain, 512 * MIB + 400);
    }
    CHECK(conduct_trusted(domain));
    round_free(&round);
}

static void test_domain_0_is_trusted(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    domain->domid = 0;
    for (int i = 0; i < 20; i++) {
        hold(&round, domain, 513 * MIB);
        hold(&round, domain, 512 * MIB);
        domain->floods += 10;
        domain->post.lies += 10;
    }
    CHECK(conduct_trusted(domain));
    round_free(&round);
}

static void test_lies_and_floods(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);

    /* Four are none; nor is one every five minutes. */
    for (int i = 0; i < 4; i++) {
        domain->post.lies++;
        domain->floods++;
        pass(&round, 10000);
    }
    for (int i = 0; i < 50; i++) {
        pass(&round, 300000);
        domain->post.lies++;
        domain->floods++;
    }
    CHECK(conduct_trusted(domain));
    pass(&round, 1000000);
    for (int i = 0; i < 5; i++) {
        domain->post.lies++;
        pass(&round, 10000);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    round_free(&round);

    domain = at_rest(&round);
    for (int i = 0; i < 5; i++) {
        domain->floods++;
        pass(&round, 31000);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    round_free(&round);
}

static size_t events_of(const struct round *round, enum event_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < round->event_count; i++)
        count += round->events[i].kind == kind;
    return count;
}

/* Not of each flood, and no longer once it is malicious: that is told by itself. */
static void test_a_flood_is_told_once(void)
{
    struct round round;
    struct domain *domain = at_rest(&round);
    size_t before = round.event_count;

    CHECK_EQ(events_of(&round, EVENT_FLOOD), 0);
    for (int i = 0; i < 4; i++) {
        domain->floods++;
        pass(&round, 31000);
        CHECK_EQ(events_of(&round, EVENT_FLOOD), 1);
    }
    pass(&round, 300000);
    domain->floods++;
    pass(&round, 100);
    CHECK_EQ(events_of(&round, EVENT_FLOOD), 2);
    for (int i = 0; i < 20; i++) {
        domain->floods++;
        pass(&round, 31000);
    }
    CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
    CHECK_EQ(events_of(&round, EVENT_FLOOD), 2);
    CHECK_EQ(round.event_count - before, 3);
    round_free(&round);
}

/* No flag is for ever; but it takes long, and longer the second time. */
static void test_penance(void)
{
    static const uint64_t penance_min[] = { 10, 20, 40, 80, 160, 240, 240 };
    struct round round;
    struct domain *domain = at_rest(&round);

    for (int k = 0; k < 7; k++) {
        uint64_t took_ms;

        for (int i = 0; i < 2; i++) {
            hold(&round, domain, 513 * MIB);
            hold(&round, domain, 512 * MIB);
        }
        CHECK_EQ(domain->conduct.class, CONDUCT_MALICIOUS);
        took_ms = round.now_ms;
        while (domain->conduct.class == CONDUCT_MALICIOUS && round.now_ms < took_ms + 86400000)
            pass(&round, 1000);
        CHECK_EQ(domain->conduct.class, CONDUCT_UNHELPFUL);
        took_ms = round.now_ms - took_ms;
        CHECK(took_ms + 10000 >= penance_min[k] * 60000);
        CHECK(took_ms <= penance_min[k] * 60000 + 1000);
        order(&round, domain, 448 * MIB);
        hold(&round, domain, 448 * MIB);
        CHECK_EQ(domain->conduct.class, CONDUCT_COOPERATIVE);
        order(&round, domain, 512 * MIB);
        hold(&round, domain, 512 * MIB);
        for (int i = 0; i < 1000; i++)
            pass(&round, 1000);
    }
    round_free(&round);
}

/* ---- the innocent ---- */

#define HONEST 12
#define PAGE_KIB 4

/* A balloon takes only what is free. Every fourth guest says nothing, and has little in use. */
static void restrain(struct model_guest *guest, bool asleep, bool silent)
{
    guest->frozen = asleep
                    || (!silent && guest->target_kib < guest->actual_kib
                        && guest->actual_kib <= guest->used_kib + 2 * MIB);
}

/* A guest whose balloon stands still until wake_ms: its driver sleeps, and another target wakes it; or
 * it waits for a CPU, and posts nothing either. */
struct nap {
    bool driver;
    uint64_t target_kib;
    uint64_t wake_ms;
};

static void fall_asleep(struct nap *nap, const struct model_guest *guest, uint64_t now_ms)
{
    *nap = (struct nap){
        .driver = check_random_below(2) == 0,
        .target_kib = guest->target_kib,
        .wake_ms = now_ms + check_random_below(5000),
    };
}

static bool sleeps(const struct nap *nap, const struct model_guest *guest, uint64_t now_ms)
{
    return now_ms < nap->wake_ms && !(nap->driver && guest->target_kib != nap->target_kib);
}

/* Ordinary load: needs come and go, balloons are quick or slow and stand still now and then, posts
 * come late, domains are paused. */
static void live(struct model *model, uint64_t hours, unsigned *ret_unhelpful,
                 unsigned *ret_malicious)
{
    uint64_t wake_ms[HONEST] = { 0 };
    struct nap naps[HONEST] = { 0 };
    uint64_t post_ms[HONEST] = { 0 };
    enum conduct_class before[HONEST] = { CONDUCT_STARTING };
    uint64_t end_ms = model->now_ms + hours * 3600000;

    while (model->now_ms < end_ms) {
        size_t i = check_random_below(HONEST);
        struct model_guest *guest = &model->guests[i];

        if (check_random_below(20) == 0)
            guest->used_kib = (60 + check_random_below(700)) * MIB;
        if (check_random_below(200) == 0)
            fall_asleep(&naps[i], guest, model->now_ms);
        if (check_random_below(50) == 0)
            post_ms[i] = model->now_ms + check_random_below(20000);
        if (check_random_below(500) == 0) {
            guest->phase = PHASE_PAUSED;
            wake_ms[i] = model->now_ms + check_random_below(60000);
        }
        if (check_random_below(10) == 0)
            model->step_kib = MIB + PAGE_KIB * check_random_below(63 * MIB / PAGE_KIB);
        for (i = 0; i < HONEST; i++) {
            bool asleep = sleeps(&naps[i], &model->guests[i], model->now_ms);

            model->guests[i].posts =
                i % 4 != 0 && model->now_ms >= post_ms[i] && !(asleep && !naps[i].driver);
            restrain(&model->guests[i], asleep, i % 4 == 0);
        }
        model_round(model);
        for (i = 0; i < HONEST; i++) {
            const struct domain *domain = model_domain(model, i);
            enum conduct_class class = domain ? domain->conduct.class : CONDUCT_STARTING;

            if (model->now_ms >= wake_ms[i])
                model->guests[i].phase = PHASE_RUNNING;
            *ret_unhelpful += class != before[i] && class == CONDUCT_UNHELPFUL;
            *ret_malicious += class == CONDUCT_MALICIOUS;
            before[i] = class;
        }
    }
}

static void test_innocent(void)
{
    uint64_t hours = getenv("BALLAST_LONG") ? 1000 : 84;
    unsigned unhelpful = 0;
    unsigned malicious = 0;
    struct model model;

    model_init(&model, 4000 * MIB);
    for (size_t i = 0; i < HONEST; i++)
        model_add(&model, i, 300 * MIB, 1024 * MIB, 200 * MIB)->posts = i % 4 != 0;
    live(&model, hours, &unhelpful, &malicious);
    printf("# %llu domain-hours: %u times unhelpful, %u malicious, %llu calls\n",
           (unsigned long long)hours * HONEST, unhelpful, malicious,
           (unsigned long long)model.engine.calls_made);
    CHECK_EQ(malicious, 0);
    CHECK(unhelpful * 100 <= hours * HONEST + 99);
    CHECK_EQ(model.broken, 0);
    /* Whoever was, is forgiven. */
    for (size_t i = 0; i < HONEST; i++) {
        model.guests[i].frozen = false;
        model.guests[i].posts = i % 4 != 0;
        model.guests[i].phase = PHASE_RUNNING;
        model.guests[i].used_kib = 60 * MIB;
    }
    model.step_kib = 64 * MIB;
    model_run(&model, 400000);
    for (size_t i = 0; i < HONEST; i++)
        CHECK(conduct_trusted(model_domain(&model, i)));
    model_free_all(&model);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("a domain that lets go is cooperative", test_lets_go);
    check_run("a post is a sign of life", test_a_post_is_a_sign_of_life);
    check_run("slow is not unhelpful, a trickle is", test_slow_is_not_unhelpful);
    check_run("asked again at growing intervals, and forgiven", test_retry_grows_and_forgives);
    check_run("and where there is nothing to ask it for", test_forgiven_where_nothing_is_asked);
    check_run("who uses its memory is not to blame", test_using_is_not_refusing);
    check_run("time while paused does not count", test_paused_time_does_not_count);
    check_run("waiting for memory is no fault", test_waiting_is_no_fault);
    check_run("the offset is learnt at rest", test_offset);
    check_run("a trickle, a duty cycle, or stopping and starting clears nobody", test_dodges);
    check_run("a refuser is recognised in time", test_recognised_in_time);
    check_run("each is measured by its own speed", test_own_speed);
    check_run("whose agent posts late is not to blame", test_posts_late);
    check_run("a guarantee is less than anybody uses, and no excuse", test_guarantee_is_no_excuse);
    check_run("nobody is blamed before it had time to post", test_waits_for_a_post);
    check_run("who posts that it is asked is known sooner", test_told);
    check_run("... and each time anew", test_told_anew);
    check_run("who takes is malicious at the second attempt", test_second_attempt);
    check_run("so is who keeps the slack each time", test_keeps_the_slack);
    check_run("so is who takes, and then does not give", test_takes_and_refuses);
    check_run("so is who takes of each order", test_takes_of_each_order);
    check_run("so is a guest that is not PV, if it rests elsewhere", test_not_pv);
    check_run("what looks like taking and is not", test_no_taking);
    check_run("domain 0 is trusted", test_domain_0_is_trusted);
    check_run("lies and floods, again and again", test_lies_and_floods);
    check_run("a flood is told once in a while", test_a_flood_is_told_once);
    check_run("penance is long, and longer the second time", test_penance);
    check_run("the innocent are not accused", test_innocent);
    return check_done();
}
