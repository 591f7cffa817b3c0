/* SPDX-License-Identifier: ISC */
#include "check.h"
#include "host/guest-sim.h"

#define MIB UINT64_C(1024)
#define PLENTY (UINT64_C(1) << 30)

static uint64_t now_ms;

static struct guest_spec plain_spec(void)
{
    return (struct guest_spec){
        .name = "g",
        .memory_kib = 256 * MIB,
        .maxmem_kib = 512 * MIB,
        .need_kib = 160 * MIB,
        .hidden_kib = 57 * MIB,
        .up_kib_s = 900 * MIB,
        .down_kib_s = 520 * MIB,
        .alloc_kib_s = 200 * MIB,
        .boot_ms = 4000,
        .posts = DIALECT_BALLAST,
    };
}

static struct guest *begin(const struct guest_spec *spec)
{
    static struct guest guest;

    guest_free(&guest);
    now_ms = 1000;
    guest_init(&guest, spec, 7);
    guest_begin(&guest, 1, now_ms);
    return &guest;
}

/* As a host does it: steps it whenever it is due. */
static void live(struct guest *guest, uint64_t ms, uint64_t free_kib)
{
    uint64_t end_ms = now_ms + ms;

    while (guest->next_ms <= end_ms) {
        uint64_t held_kib = guest->actual_kib;

        now_ms = guest->next_ms > now_ms ? guest->next_ms : now_ms + 1;
        guest_step(guest, now_ms, free_kib);
        if (guest->actual_kib > held_kib)
            free_kib -= guest->actual_kib - held_kib;
        else
            free_kib += held_kib - guest->actual_kib;
    }
    now_ms = end_ms;
    guest_step(guest, now_ms, free_kib);
}

static void target(struct guest *guest, uint64_t mib)
{
    guest_set_target(guest, mib * MIB, mib * MIB + GUEST_SLACK_KIB);
}

static void test_follows(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);

    target(guest, 400);
    live(guest, 100, PLENTY);
    CHECK(guest->actual_kib > 256 * MIB && guest->actual_kib < 400 * MIB);
    live(guest, 300, PLENTY);
    CHECK_EQ(guest->actual_kib, 400 * MIB);
    target(guest, 200);
    live(guest, 250, PLENTY);
    CHECK(guest->actual_kib > 200 * MIB);
    live(guest, 350, PLENTY);
    CHECK_EQ(guest->actual_kib, 200 * MIB);
    CHECK_EQ(guest->stats.moved_kib, 144 * MIB);
}

/* Linux 6.1: takes what is easily freed, tries again after 2, 4 and 8 s, then sleeps until the
 * target is another one. */
static void test_stops_at_what_is_used(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);
    uint64_t stopped_kib;

    target(guest, 100);
    live(guest, 1000, PLENTY);
    stopped_kib = guest->actual_kib;
    CHECK(stopped_kib >= 160 * MIB && stopped_kib < 164 * MIB);
    live(guest, 30000, PLENTY);
    CHECK_EQ(guest->actual_kib, stopped_kib);
    guest_set_need(guest, 90 * MIB, 0, 0);
    live(guest, 20000, PLENTY);
    CHECK_EQ(guest->actual_kib, stopped_kib);
    target(guest, 100);
    live(guest, 5000, PLENTY);
    CHECK_EQ(guest->actual_kib, stopped_kib);
    guest_set_target(guest, 100 * MIB - 4, 101 * MIB - 4);
    live(guest, 1000, PLENTY);
    CHECK_EQ(guest->actual_kib, 100 * MIB - 4);
    CHECK_EQ(guest->stats.oom_kills, 0);
}

static void test_keeps_partial_gains(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);

    target(guest, 400);
    live(guest, 1000, 50 * MIB);
    CHECK_EQ(guest->actual_kib, 306 * MIB);
    /* It tries again 2 s after its first failure. */
    live(guest, 1000, PLENTY);
    CHECK_EQ(guest->actual_kib, 306 * MIB);
    live(guest, 2000, PLENTY);
    CHECK_EQ(guest->actual_kib, 400 * MIB);
}

static void test_never_above_its_cap(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);

    guest_set_target(guest, 400 * MIB, 300 * MIB);
    live(guest, 60000, PLENTY);
    CHECK_EQ(guest->actual_kib, 300 * MIB);
}

static void test_swaps_in_small_steps(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest;

    spec.swap_kib = 256 * MIB;
    guest = begin(&spec);
    for (uint64_t mib = 160; mib >= 120; mib -= 8) {
        target(guest, mib);
        live(guest, 1000, PLENTY);
    }
    CHECK_EQ(guest->actual_kib, 120 * MIB);
    CHECK_EQ(guest->stats.oom_kills, 0);
    CHECK(guest->swapped_kib >= 38 * MIB);
    CHECK(guest->some > 0.3 && guest->some < 0.9);
    CHECK(guest->swap_in_pages > 1000);
    target(guest, 200);
    live(guest, 10000, PLENTY);
    CHECK_EQ(guest->swapped_kib, 0);
    CHECK(guest->some < 0.01);
}

static void test_one_big_step_kills(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest;

    spec.swap_kib = 256 * MIB;
    guest = begin(&spec);
    target(guest, 100);
    live(guest, 2000, PLENTY);
    CHECK_EQ(guest->stats.oom_kills, 1);
}

static void test_demand_kills_without_swap(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);

    guest_set_need(guest, 400 * MIB, 0, 0);
    live(guest, 3000, PLENTY);
    CHECK_EQ(guest->stats.oom_kills, 1);
}

static void test_rises(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest;

    spec.swap_kib = 256 * MIB;
    guest = begin(&spec);
    guest_set_need(guest, 300 * MIB, 0, 0);
    /* 140 MiB at 200 MiB/s: short after 480 ms. */
    live(guest, 1480, PLENTY);
    target(guest, 320);
    live(guest, 2000, PLENTY);
    CHECK_EQ(guest->stats.rises.count, 1);
    CHECK_EQ(guest->stats.rises.unserved, 0);
    if (CHECK_EQ(guest->stats.rises.kept, 1))
        CHECK(guest->stats.rises.wait_ms_of[0] >= 1000 && guest->stats.rises.wait_ms_of[0] < 1300);
    guest_set_need(guest, 500 * MIB, 0, 2000);
    live(guest, 3000, PLENTY);
    CHECK_EQ(guest->stats.rises.count, 2);
    CHECK_EQ(guest->stats.rises.unserved, 1);
    CHECK_EQ(guest->need_kib, 160 * MIB);
    CHECK(guest->stats.unmet_kib_ms > 0);
}

static void test_sticks(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);

    guest_stick(guest, 5000);
    target(guest, 200);
    live(guest, 4900, PLENTY);
    CHECK_EQ(guest->actual_kib, 256 * MIB);
    live(guest, 1000, PLENTY);
    CHECK_EQ(guest->actual_kib, 200 * MIB);
}

static void test_pauses(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);

    guest_pause(guest, 2000);
    target(guest, 200);
    guest_stick(guest, 1000);
    live(guest, 1900, PLENTY);
    CHECK_EQ(guest->life, GUEST_PAUSED);
    CHECK_EQ(guest->actual_kib, 256 * MIB);
    live(guest, 1000, PLENTY);
    CHECK_EQ(guest->actual_kib, 200 * MIB);
}

static void test_is_built_and_dies(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);

    guest_init(guest, &spec, 7);
    guest_build(guest, 2, now_ms);
    live(guest, 200, PLENTY);
    CHECK_EQ(guest->life, GUEST_BUILDING);
    CHECK_EQ(guest_claim_kib(guest) + guest->actual_kib, 256 * MIB);
    live(guest, 400, PLENTY);
    CHECK_EQ(guest->life, GUEST_RUNNING);
    live(guest, 3000, PLENTY);
    CHECK(!guest->has_post);
    live(guest, 2000, PLENTY);
    CHECK(guest->has_post);
    guest_destroy(guest);
    CHECK_EQ(guest->life, GUEST_DYING);
    CHECK_EQ(guest_reach_kib(guest), 256 * MIB);
    live(guest, 1000, PLENTY);
    CHECK_EQ(guest->life, GUEST_ABSENT);
    CHECK_EQ(guest_reach_kib(guest), 0);
}

static void test_is_off_by_some(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest;

    spec.offset_kib = 64;
    guest = begin(&spec);
    target(guest, 300);
    live(guest, 1000, PLENTY);
    CHECK_EQ(guest->actual_kib, 300 * MIB + 64);
}

static void test_posts(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);
    struct report report;

    live(guest, 300, PLENTY);
    CHECK(guest->fresh);
    if (!CHECK_EQ(report_parse(guest->text[0], strlen(guest->text[0]), &report), 0))
        return;
    CHECK_EQ(report.total_kib, 199 * MIB);
    CHECK(report.available_kib > 94 * MIB && report.available_kib < 96 * MIB);
    guest->fresh = false;
    live(guest, 9000, PLENTY);
    CHECK(!guest->fresh); /* at rest: nothing before the heartbeat */
    live(guest, 1500, PLENTY);
    CHECK(guest->fresh);
    guest->fresh = false;
    guest_set_need(guest, 200 * MIB, 0, 0);
    live(guest, 300, PLENTY);
    CHECK(guest->fresh); /* at the next look */
}

/* What a guest that posts now says of itself. */
static void read_post(const struct guest *guest, struct report *ret_report)
{
    report_clear(ret_report);
    CHECK_EQ(report_parse(guest->text[0], strlen(guest->text[0]), ret_report), 0);
}

/* A backup fills what is free, and counts refaults; nothing is harder to have for it. */
static void test_reads(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);
    struct report before, during, after;

    live(guest, 300, PLENTY);
    read_post(guest, &before);
    guest_read(guest, 100 * MIB, 5000);
    live(guest, 4000, PLENTY);
    read_post(guest, &during);
    CHECK(during.free_kib < 2 * MIB);
    CHECK_EQ(during.available_kib, before.available_kib);
    CHECK(during.refault_file_pages > 10000 && during.refault_file_pages < 14000);
    CHECK_EQ(guest->stats.stall_ms, 0);
    live(guest, 20000, PLENTY);
    read_post(guest, &after);
    CHECK(after.refault_file_pages < 17000);
    CHECK_EQ(after.free_kib, before.free_kib);
    target(guest, 170);
    live(guest, 1000, PLENTY);
    CHECK_EQ(guest->actual_kib, 170 * MIB);
}

static void test_commits(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest = begin(&spec);
    struct report report;
    uint64_t plain_kib, available_kib;

    live(guest, 300, PLENTY);
    read_post(guest, &report);
    plain_kib = report.committed_kib;
    available_kib = report.available_kib;
    spec.commit_kib = 500 * MIB;
    guest = begin(&spec);
    live(guest, 300, PLENTY);
    read_post(guest, &report);
    CHECK_EQ(report.committed_kib, plain_kib + 500 * MIB);
    CHECK_EQ(report.available_kib, available_kib);
}

/* Stall that came of a lower target is told from stall that came of a rise. */
static void test_squeezed(void)
{
    struct guest_spec spec = plain_spec();
    struct guest *guest;

    spec.swap_kib = 256 * MIB;
    guest = begin(&spec);
    guest_set_need(guest, 300 * MIB, 0, 5000);
    live(guest, 4000, PLENTY);
    CHECK(guest->stats.stall_ms > 0);
    CHECK_EQ(guest->stats.squeezed_ms, 0);
    live(guest, 20000, PLENTY);
    guest->stats.stall_ms = 0;
    for (uint64_t mib = 152; mib >= 128; mib -= 8) {
        target(guest, mib);
        live(guest, 1000, PLENTY);
    }
    CHECK(guest->stats.squeezed_ms > 0);
    CHECK_EQ(guest->stats.squeezed_ms, guest->stats.stall_ms);
    target(guest, 256);
    live(guest, 30000, PLENTY);
    CHECK(!guest->squeezed);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("the balloon follows its target at its speed", test_follows);
    check_run("it stops at what is used, and sleeps", test_stops_at_what_is_used);
    check_run("it keeps partial gains and tries again", test_keeps_partial_gains);
    check_run("it never goes above its cap", test_never_above_its_cap);
    check_run("small steps make it swap and stall", test_swaps_in_small_steps);
    check_run("one big step kills", test_one_big_step_kills);
    check_run("demand kills without swap", test_demand_kills_without_swap);
    check_run("rises are timed", test_rises);
    check_run("stuck for a while", test_sticks);
    check_run("paused for a while", test_pauses);
    check_run("built, booted, destroyed", test_is_built_and_dies);
    check_run("off by some pages", test_is_off_by_some);
    check_run("posts when it matters", test_posts);
    check_run("a backup fills what is free", test_reads);
    check_run("what is committed is not used", test_commits);
    check_run("stall that shrinking made", test_squeezed);
    return check_done();
}
