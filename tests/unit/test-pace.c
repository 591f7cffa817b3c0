/* SPDX-License-Identifier: ISC */
#include "check.h"
#include "core/pace.h"

#define MIB 1024

/* One domain at rest with 512 MiB, of which it uses 200. */
static struct domain *one(struct round *round)
{
    static const uint8_t uuid[16] = { 1 };
    struct domain *domain;

    round_init(round);
    round_begin(round, 1000000);
    domain = round_see(round, 1, uuid);
    domain->started_ms = 0;
    round->grace_ms = 30000;
    domain->managed = true;
    domain->has_target = true;
    domain->conduct.class = CONDUCT_COOPERATIVE;
    domain->actual_kib = 512 * MIB;
    domain->target_kib = 512 * MIB;
    domain->slack_kib = 1024;
    domain->min_kib = 100 * MIB;
    domain->max_kib = 1024 * MIB;
    domain->core_kib = 200 * MIB;
    domain->need_kib = 224 * MIB;
    domain->want_kib = 512 * MIB;
    return domain;
}

static uint64_t goal_after(struct round *round, uint64_t ms)
{
    round->now_ms += ms;
    pace_moderate(round);
    return round->domains[0].goal_kib;
}

static void test_grow_at_once(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->want_kib = 901 * MIB;
    CHECK_EQ(goal_after(&round, 0), 900 * MIB);
    domain->want_kib = domain->max_kib;
    CHECK_EQ(goal_after(&round, 100), domain->max_kib);
    round_free(&round);
}

static void test_shrink_in_steps(void)
{
    struct round round;
    struct domain *domain = one(&round);

    /* Fast where it is not used, and the next step only when it has followed. */
    domain->want_kib = 100 * MIB;
    CHECK_EQ(goal_after(&round, 100), 448 * MIB);
    domain->target_kib = 448 * MIB;
    domain->conduct.progress_ms = round.now_ms;
    CHECK_EQ(goal_after(&round, 100), 448 * MIB);
    domain->actual_kib = 448 * MIB;
    CHECK_EQ(goal_after(&round, 100), 384 * MIB);

    /* Careful where it is. */
    domain->target_kib = domain->actual_kib = 240 * MIB;
    CHECK_EQ(goal_after(&round, 1000), 208 * MIB);
    domain->target_kib = domain->actual_kib = 208 * MIB;
    CHECK_EQ(goal_after(&round, 1000), 200 * MIB);
    domain->target_kib = domain->actual_kib = 200 * MIB;
    CHECK_EQ(goal_after(&round, 100), 200 * MIB);
    CHECK_EQ(goal_after(&round, 100), 192 * MIB);

    /* More careful when it stalls, and full speed when a guarantee waits. */
    domain->target_kib = domain->actual_kib = 192 * MIB;
    domain->demand.boost_kib = MIB;
    domain->entitled_kib = 192 * MIB;
    CHECK_EQ(goal_after(&round, 500), 192 * MIB);
    domain->entitled_kib = 128 * MIB; /* who has more than his weight gives him cannot plead that */
    CHECK_EQ(goal_after(&round, 100), 184 * MIB);
    round.urgent = true;
    CHECK_EQ(goal_after(&round, 100), 128 * MIB);
    domain->target_kib = domain->actual_kib = 104 * MIB;
    CHECK_EQ(goal_after(&round, 100), 100 * MIB);
    round_free(&round);
}

/* A change that is too small waits; but not for ever, and not when somebody waits for it. */
static void test_small_changes(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->want_kib = 509 * MIB;
    CHECK_EQ(goal_after(&round, 100), 512 * MIB);
    CHECK_EQ(goal_after(&round, 29000), 512 * MIB);
    CHECK_EQ(goal_after(&round, 2000), 508 * MIB);

    domain->small_ms = 0;
    CHECK_EQ(goal_after(&round, 100), 512 * MIB);
    round.missing = true;
    CHECK_EQ(goal_after(&round, 100), 508 * MIB);
    round_free(&round);
}

/* Need that goes up and down a little moves nobody; what is missed is given. */
static void test_noise(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->target_kib = domain->actual_kib = 216 * MIB;
    for (unsigned i = 0; i < 200; i++) {
        domain->want_kib = (i % 2 ? 214 : 222) * MIB;
        domain->small_ms = 0;
        if (!CHECK_EQ(goal_after(&round, 100), 216 * MIB))
            break;
    }
    domain->core_kib = domain->want_kib = 222 * MIB;
    CHECK_EQ(goal_after(&round, 100), 220 * MIB);
    round_free(&round);
}

/* A core that sinks slowly is not followed in crumbs. */
static void test_no_crumbs(void)
{
    struct round round;
    struct domain *domain = one(&round);
    unsigned calls = 0;

    domain->target_kib = domain->actual_kib = 216 * MIB;
    domain->core_kib = domain->want_kib = 212 * MIB;
    for (unsigned i = 0; i < 300; i++) {
        uint64_t goal = goal_after(&round, 100);

        calls += goal != domain->target_kib;
        domain->target_kib = domain->actual_kib = goal;
        domain->core_kib -= 100;
        domain->want_kib = domain->core_kib;
    }
    CHECK(domain->target_kib <= domain->want_kib + 216 * MIB / 16);
    CHECK(calls <= 5);
    round_free(&round);
}

/* A policy that does not want to be moderated is not; but those that do not share are left to
 * us. */
static void test_unpaced(void)
{
    struct round round;
    struct domain *domain = one(&round);

    round.unpaced = true;
    domain->shares = true;
    domain->offset_kib = 100;
    domain->want_kib = 100 * MIB + 700;
    CHECK_EQ(goal_after(&round, 100), 100 * MIB + 600);
    domain->shares = false;
    CHECK(goal_after(&round, 100) > 400 * MIB);
    round_free(&round);
}

/* A driver that stopped short sleeps until the value of its target changes. */
static void test_nudge(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->actual_kib = 400 * MIB;
    domain->conduct.short_ms = round.now_ms;
    CHECK_EQ(goal_after(&round, 500), 512 * MIB);
    CHECK_EQ(goal_after(&round, 600), 512 * MIB - 4);
    domain->target_kib -= 4;
    CHECK_EQ(goal_after(&round, 100), domain->target_kib);

    /* The same on the way down. */
    domain->actual_kib = 600 * MIB;
    domain->want_kib = 300 * MIB;
    domain->conduct.short_ms = 0;
    domain->conduct.asked_ms = domain->conduct.progress_ms = round.now_ms;
    CHECK_EQ(goal_after(&round, 900), domain->target_kib);
    CHECK_EQ(goal_after(&round, 200), domain->target_kib - 4);

    /* And when it has been asked for all that it is to give. */
    domain->want_kib = domain->target_kib = 500 * MIB;
    domain->conduct.progress_ms = round.now_ms;
    CHECK_EQ(goal_after(&round, 900), domain->target_kib);
    CHECK_EQ(goal_after(&round, 200), domain->target_kib - 4);

    /* Not below its guarantee. */
    domain->min_kib = domain->target_kib = domain->want_kib = 512 * MIB;
    domain->actual_kib = 400 * MIB;
    domain->conduct.asked_ms = 0;
    domain->conduct.short_ms = round.now_ms;
    CHECK_EQ(goal_after(&round, 5000), 512 * MIB);
    round_free(&round);
}

static void test_grace(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->started_ms = round.now_ms - 10000;
    domain->start_kib = 512 * MIB;
    domain->want_kib = 200 * MIB;
    CHECK_EQ(goal_after(&round, 100), 512 * MIB);
    domain->want_kib = 600 * MIB;
    CHECK_EQ(goal_after(&round, 100), 600 * MIB);
    domain->want_kib = 200 * MIB;
    CHECK(goal_after(&round, 30000) < 512 * MIB);

    /* What it was given since it started is anybody's, the size that it was started with is not. */
    domain->started_ms = round.now_ms;
    domain->start_kib = 480 * MIB;
    CHECK_EQ(goal_after(&round, 100), 480 * MIB);
    domain->start_kib = 600 * MIB;
    CHECK_EQ(goal_after(&round, 100), 512 * MIB);
    round_free(&round);
}

/* After a failure its target is where it is, and for one that does not let go its cap too. */
static void test_stay(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->want_kib = 200 * MIB;
    domain->target_kib = 448 * MIB;
    domain->conduct.retry_ms = round.now_ms + 5000;
    domain->conduct.stalled_at_kib = 512 * MIB;
    CHECK_EQ(goal_after(&round, 100), 512 * MIB);

    /* It takes the slack of its cap: it is not followed up. */
    domain->target_kib = 512 * MIB;
    domain->actual_kib = 513 * MIB;
    CHECK_EQ(goal_after(&round, 100), 512 * MIB);
    domain->actual_kib = 512 * MIB;

    domain->target_kib = 448 * MIB;
    domain->conduct.class = CONDUCT_UNHELPFUL;
    CHECK_EQ(goal_after(&round, 100), 511 * MIB);

    /* It lets go of a little: it is not followed down, so that it can be asked anew. */
    domain->target_kib = domain->actual_kib = 511 * MIB;
    CHECK_EQ(goal_after(&round, 100), 511 * MIB);
    CHECK(goal_after(&round, 5000) < 511 * MIB);
    round_free(&round);
}

static void test_left_alone(void)
{
    static const enum domain_phase phases[] = { PHASE_BUILDING, PHASE_PAUSED, PHASE_SHUTDOWN,
                                                PHASE_DYING };
    struct round round;
    struct domain *domain = one(&round);

    domain->want_kib = 900 * MIB;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        domain->phase = phases[i];
        CHECK_EQ(goal_after(&round, 100), 512 * MIB);
    }
    domain->phase = PHASE_RUNNING;
    domain->managed = false;
    CHECK_EQ(goal_after(&round, 100), 512 * MIB);
    round_free(&round);
}

/* The offset between held and target goes both ways through. */
static void test_offset(void)
{
    struct round round;
    struct domain *domain = one(&round);

    domain->offset_kib = 64;
    domain->want_kib = domain->max_kib;
    CHECK_EQ(goal_after(&round, 100), domain->max_kib - 64);
    domain->want_kib = domain->min_kib;
    round.urgent = true;
    domain->actual_kib = domain->min_kib + 8 * MIB;
    domain->target_kib = domain->actual_kib - 64;
    CHECK_EQ(goal_after(&round, 100), domain->min_kib - 64);
    round_free(&round);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("growing is not slowed down", test_grow_at_once);
    check_run("shrinking goes in steps", test_shrink_in_steps);
    check_run("small changes wait", test_small_changes);
    check_run("noise moves nobody", test_noise);
    check_run("no crumbs", test_no_crumbs);
    check_run("without moderation", test_unpaced);
    check_run("a sleeping driver is woken", test_nudge);
    check_run("in its grace nothing is taken", test_grace);
    check_run("after a failure it stays where it is", test_stay);
    check_run("who is not to be touched is not", test_left_alone);
    check_run("the offset", test_offset);
    return check_done();
}
