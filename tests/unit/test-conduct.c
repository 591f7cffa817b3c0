/* SPDX-License-Identifier: ISC */
#include "check.h"
#include "core/conduct.h"

#define MIB 1024

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
    for (int i = 0; i < 100 && domain->conduct.class != CONDUCT_UNHELPFUL; i++)
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
    for (int i = 0; i < 100 && domain->conduct.retry_ms < round.now_ms; i++)
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
    CHECK_EQ(domain->conduct.retry_wait_ms, 0);
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

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("a domain that lets go is cooperative", test_lets_go);
    check_run("a post is a sign of life", test_a_post_is_a_sign_of_life);
    check_run("slow is not unhelpful, a trickle is", test_slow_is_not_unhelpful);
    check_run("asked again at growing intervals, and forgiven", test_retry_grows_and_forgives);
    check_run("who uses its memory is not to blame", test_using_is_not_refusing);
    check_run("time while paused does not count", test_paused_time_does_not_count);
    check_run("waiting for memory is no fault", test_waiting_is_no_fault);
    check_run("the offset is learnt at rest", test_offset);
    return check_done();
}
