/* SPDX-License-Identifier: ISC */
/* Cases that can be reckoned by hand. Guests hold what they are started with: nobody sets a target
 * here, so what the clairvoyants do is theirs alone. */
#include "check.h"
#include "client/clairvoyant.h"
#include "host/host-sim.h"

#define MIB UINT64_C(1024)

static struct guest_spec specs[3];
static struct scenario scenario;
static struct scenario_event events[4];
static struct host *host;
static struct clairvoyant *seer;

/* So many guests of 200 MiB that need 100, at 100 MiB/s up and 50 down. There is `spare_mib` beyond
 * what they hold, the reserve and the slack of each. */
static void prepare(size_t count, uint64_t spare_mib)
{
    memset(events, 0, sizeof(events));
    for (size_t i = 0; i < count; i++) {
        specs[i] = (struct guest_spec){
            .memory_kib = 200 * MIB,
            .maxmem_kib = 900 * MIB,
            .need_kib = 100 * MIB,
            .swap_kib = 900 * MIB,
            .up_kib_s = 100 * MIB,
            .down_kib_s = 50 * MIB,
            .alloc_kib_s = 1000000 * MIB,
            .boot_ms = 1000,
            .posts = DIALECT_NONE,
            .rule = { .given = LIMIT_MIN, .limits = { .min_kib = 1 } },
        };
        (void)snprintf(specs[i].name, sizeof(specs[i].name), "g%zu", i);
    }
    scenario = (struct scenario){
        .memory_kib = (216 + 64 + count * 201 + spare_mib) * MIB,
        .xen_kib = 24 * MIB,
        .dom0_kib = 192 * MIB,
        .length_ms = 20000,
        .guests = specs,
        .guest_count = count,
        .events = events,
        .config = { .reserve_kib = 64 * MIB, .defaults = { .weight = 256 } },
    };
}

static void need(uint64_t at_ms, const char *name, uint64_t mib)
{
    struct scenario_event *event = &events[scenario.event_count++];

    *event = (struct scenario_event){
        .at_ms = at_ms,
        .until_ms = at_ms,
        .action = ACTION_NEED,
        .low_kib = mib * MIB,
        .high_kib = mib * MIB,
    };
    (void)snprintf(event->guests, sizeof(event->guests), "%s", name);
}

static void weigh(size_t guest, uint32_t weight, int32_t priority, uint64_t min_mib)
{
    specs[guest].rule.given |= LIMIT_WEIGHT | LIMIT_PRIORITY | LIMIT_MIN;
    specs[guest].rule.limits.weight = weight;
    specs[guest].rule.limits.priority = priority;
    specs[guest].rule.limits.min_kib = min_mib * MIB;
}

static void play(void)
{
    if (host_sim_open(&scenario, check_seed, false, &host) < 0
        || clairvoyant_open(&scenario, host, &seer) < 0)
        abort();
    while (host_sim_advance(host, HOST_SIM_BEGIN_MS + scenario.length_ms))
        ;
    host_sim_finish(host);
    clairvoyant_finish(seer);
}

static void end(void)
{
    clairvoyant_free(seer);
    host->ops->close(host);
}

/* In MiB*s, or MiB; as near as steps of 10 ms allow. */
static void check_near(double kib, double mib, double by)
{
    if (!CHECK(kib / 1024 > mib - by && kib / 1024 < mib + by))
        fprintf(stderr, "%.2f MiB, expected %.2f\n", kib / 1024, mib);
}

#define BOUND(i) (clairvoyant_of(seer, i)->bound_kib_ms / 1000)
#define REACH(i) (clairvoyant_of(seer, i)->reach_kib_ms / 1000)
#define MOVED(i) (clairvoyant_of(seer, i)->reach_moved_kib)

static void test_rest(void)
{
    prepare(2, 0);
    play();
    check_near(BOUND(0) + BOUND(1) + REACH(0) + REACH(1), 0, 0.001);
    check_near(MOVED(0) + MOVED(1), 0, 0.001);
    end();
}

/* 200 to 280 at once: 80 MiB that only the other has, at 50 MiB/s: 1.6 s, 80 * 1.6 / 2 MiB*s. */
static void test_speed(void)
{
    prepare(2, 0);
    need(10000, "g0", 280);
    play();
    check_near(BOUND(0) + BOUND(1), 0, 0.001);
    check_near(REACH(0), 64, 1);
    check_near(REACH(1), 0, 0.001);
    check_near(MOVED(0), 80, 0.01);
    check_near(MOVED(1), 0, 0.01);
    if (CHECK_EQ(clairvoyant_of(seer, 0)->reach_rises.kept, 1)) {
        CHECK(clairvoyant_of(seer, 0)->reach_rises.wait_ms_of[0] >= 1570);
        CHECK(clairvoyant_of(seer, 0)->reach_rises.wait_ms_of[0] <= 1610);
    }
    end();
}

/* Free memory comes first, and then only the balloon of who takes it counts: 80 MiB in 0.8 s. */
static void test_free_first(void)
{
    prepare(2, 100);
    need(10000, "g0", 280);
    play();
    check_near(REACH(0), 32, 1);
    end();
}

/* Two give at the same time: 80 MiB in 0.8 s. */
static void test_all_give(void)
{
    prepare(3, 0);
    need(10000, "g0", 280);
    play();
    check_near(REACH(0), 32, 1);
    end();
}

/* 2 * 300 needed and 400 there, for 10 s: the lower weight is short of all of it, but in reach not
 * below its guarantee. */
static void test_famine(void)
{
    prepare(2, 0);
    weigh(0, 512, 0, 1);
    weigh(1, 256, 0, 150);
    need(10000, "g*", 300);
    play();
    check_near(BOUND(0), 0, 0.001);
    check_near(BOUND(1), 2000, 5);
    /* 50 MiB go over in 1 s, and then it stays at 250 : 150. */
    check_near(REACH(0), 100 * 0.5 + 50 * 0.5 + 50 * 9, 5);
    check_near(REACH(1), 100 * 0.5 + 150 * 0.5 + 150 * 9, 5);
    /* Fair: 266.7 : 133.3 by weight, but 150 are guaranteed. */
    check_near((clairvoyant_of(seer, 0)->fair_kib_ms) / 1000, 100 * 10 + 250 * 10, 5);
    check_near((clairvoyant_of(seer, 1)->fair_kib_ms) / 1000, 100 * 10 + 150 * 10, 5);
    end();
}

/* Priority goes before weight, but not at no cost: that is the least weighted need. */
static void test_priority(void)
{
    prepare(2, 0);
    weigh(0, 512, 0, 1);
    weigh(1, 256, 5, 1);
    need(10000, "g*", 300);
    play();
    check_near(BOUND(0), 0, 0.001);
    check_near(BOUND(1), 2000, 5);
    CHECK(REACH(0) > REACH(1));
    check_near(clairvoyant_of(seer, 1)->fair_kib_ms / 1000, 100 * 10 + 300 * 10, 5);
    end();
}

/* What has no balloon keeps what it holds, and nobody has more than its maximum. */
static void test_what_cannot_be(void)
{
    prepare(3, 0);
    specs[1].frozen = true;
    specs[2].rule.given |= LIMIT_MAX;
    specs[2].rule.limits.max_kib = 220 * MIB;
    need(10000, "g0", 301);
    need(10000, "g1", 210);
    need(10000, "g2", 230);
    play();
    /* Its own slack is none: 201 of 603 are its. Of 402 less 2, g2 has 220 and g0 the other 181. */
    check_near(BOUND(0) + BOUND(2), (301 + 230 - 401) * 10.0, 10);
    check_near(BOUND(1), 100, 1);
    end();
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("where all have enough nothing is short and nothing moves", test_rest);
    check_run("memory moves at the donor's speed", test_speed);
    check_run("free memory comes first", test_free_first);
    check_run("all donors give at the same time", test_all_give);
    check_run("the lowest weight is short, but keeps its guarantee", test_famine);
    check_run("priority goes before weight", test_priority);
    check_run("no balloon, and maximums", test_what_cannot_be);
    return check_done();
}
