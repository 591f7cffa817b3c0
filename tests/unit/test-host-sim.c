/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "check.h"
#include "host/host-sim.h"

#define MIB UINT64_C(1024)

static struct guest_spec specs[2];
static struct scenario scenario;
static struct host *host;
static struct round whole;

/* Two guests of 256 MiB on 1 GiB; 64 MiB of reserve, so 1024 - 24 - 192 - 64 = 744 MiB to have. */
static void open_host(struct scenario_event *event)
{
    for (int i = 0; i < 2; i++) {
        specs[i] = (struct guest_spec){
            .memory_kib = 256 * MIB,
            .maxmem_kib = 900 * MIB,
            .need_kib = 100 * MIB,
            .hidden_kib = 57 * MIB,
            .up_kib_s = 900 * MIB,
            .down_kib_s = 520 * MIB,
            .alloc_kib_s = 200 * MIB,
            .posts = DIALECT_BALLAST,
        };
        (void)snprintf(specs[i].name, sizeof(specs[i].name), "g%d", i);
    }
    scenario = (struct scenario){
        .memory_kib = 1024 * MIB,
        .xen_kib = 24 * MIB,
        .dom0_kib = 192 * MIB,
        .length_ms = 60000,
        .guests = specs,
        .guest_count = 2,
        .events = event,
        .event_count = event ? 1 : 0,
        .config = { .reserve_kib = 64 * MIB },
    };
    if (host_sim_open(&scenario, check_seed, false, &host) < 0)
        abort();
    round_init(&whole);
}

static void close_host(void)
{
    round_free(&whole);
    host->ops->close(host);
}

static void pass(uint64_t ms)
{
    uint64_t end_ms = host->ops->now_ms(host) + ms;

    while (host_sim_advance(host, end_ms))
        ;
}

static const struct domain *look(const char *name)
{
    CHECK_EQ(host->ops->observe(host, &whole), 0);
    return round_find_name(&whole, name);
}

static int set(const char *name, uint64_t mib)
{
    const struct domain *domain = look(name);

    return domain ? host->ops->set_target(host, domain, mib * MIB, mib * MIB + GUEST_SLACK_KIB)
                  : -ENOENT;
}

static uint64_t broken(void)
{
    struct host_sim_truth truth;

    host_sim_truth(host, &truth);
    return truth.promise_broken;
}

static void test_observes(void)
{
    const struct domain *domain;

    open_host(NULL);
    pass(1000);
    domain = look("g1");
    CHECK_EQ(whole.count, 3);
    CHECK_EQ(whole.free_kib, (1024 - 24 - 192 - 512) * MIB);
    if (CHECK(domain)) {
        CHECK_EQ(domain->actual_kib, 256 * MIB);
        CHECK_EQ(domain->cap_kib, 257 * MIB);
        CHECK_EQ(domain->slack_kib, 1024);
        CHECK_EQ(domain->static_max_kib, 900 * MIB);
        CHECK_EQ(domain->post.dialect, DIALECT_BALLAST);
        CHECK(post_usable(&domain->post, host->ops->now_ms(host)));
    }
    close_host();
}

static void test_gives_what_is_there(void)
{
    open_host(NULL);
    CHECK_EQ(set("g0", 486), 0);
    pass(2000);
    CHECK_EQ(look("g0")->actual_kib, 486 * MIB);
    CHECK_EQ(broken(), 0);
    close_host();
}

/* One page more than there is, although nobody has taken it yet. */
static void test_cries(void)
{
    struct host_sim_truth truth;

    open_host(NULL);
    CHECK_EQ(set("g0", 487), 0);
    CHECK(broken() > 0);
    host_sim_truth(host, &truth);
    CHECK(strstr(truth.broken, "g0"));
    close_host();
}

/* The cap counts from the call on, but what is still held counts as well. */
static void test_counts_what_is_held(void)
{
    open_host(NULL);
    CHECK_EQ(set("g1", 120), 0);
    CHECK_EQ(set("g0", 600), 0);
    CHECK(broken() > 0);
    close_host();

    open_host(NULL);
    CHECK_EQ(set("g1", 120), 0);
    pass(2000);
    CHECK_EQ(set("g0", 600), 0);
    CHECK_EQ(broken(), 0);
    close_host();
}

/* What somebody in dom0 does is his; to make it worse is not. */
static void test_excuses_dom0(void)
{
    struct scenario_event event = { .at_ms = 1000,
                                    .until_ms = 1000,
                                    .guests = "g0",
                                    .action = ACTION_MEM_SET,
                                    .low_kib = 700 * MIB,
                                    .high_kib = 700 * MIB };

    open_host(&event);
    pass(2000);
    CHECK_EQ(broken(), 0);
    CHECK_EQ(set("g1", 240), 0);
    CHECK_EQ(broken(), 0);
    CHECK_EQ(set("g0", 710), 0);
    CHECK(broken() > 0);
    close_host();
}

static void test_caps_of_dom0(void)
{
    struct scenario_event event = { .at_ms = 1000,
                                    .until_ms = 1000,
                                    .guests = "g0",
                                    .action = ACTION_MEM_MAX,
                                    .low_kib = 700 * MIB,
                                    .high_kib = 700 * MIB };

    open_host(&event);
    pass(2000);
    CHECK_EQ(broken(), 0);
    CHECK_EQ(look("g0")->cap_kib, 700 * MIB);
    CHECK_EQ(look("g0")->target_kib, 256 * MIB);
    CHECK_EQ(set("g1", 300), 0);
    CHECK(broken() > 0);
    close_host();
}

/* Between the look and the call that follows from it, which takes a while. */
static void test_excuses_what_cannot_be_seen(void)
{
    struct scenario_event event = {
        .at_ms = 1000,
        .until_ms = 1000,
        .guests = "g1",
        .action = ACTION_MEM_MAX,
        .low_kib = 700 * MIB,
        .high_kib = 700 * MIB,
    };

    open_host(&event);
    scenario.call_ms = 200;
    pass(900);
    CHECK_EQ(set("g0", 300), 0);
    CHECK_EQ(broken(), 0);
    CHECK_EQ(set("g0", 301), 0);
    CHECK_EQ(broken(), 1);
    close_host();
}

/* It dies when it is asked, and is there again with another UUID. */
static void test_comes_back(void)
{
    struct scenario_event event = { .guests = "g0",
                                    .action = ACTION_ACTS,
                                    .acts = UINT32_C(1) << ACT_REBOOT };
    struct domain before;

    open_host(&event);
    pass(40000);
    before = *look("g0");
    CHECK_EQ(set("g0", 200), 0);
    pass(2000);
    CHECK_EQ(look("g0")->domid, before.domid);
    CHECK(memcmp(look("g0")->uuid, before.uuid, sizeof(before.uuid)) != 0);
    CHECK_EQ(look("g0")->phase, PHASE_RUNNING);
    CHECK_EQ(look("g0")->actual_kib, 256 * MIB);
    CHECK_EQ(broken(), 0);
    close_host();
}

static void test_refuses(void)
{
    struct domain gone;

    open_host(NULL);
    CHECK_EQ(set("g0", 901), -EINVAL);
    gone = *look("g0");
    gone.uuid[3]++;
    CHECK_EQ(host->ops->set_target(host, &gone, 200 * MIB, 201 * MIB), -ESRCH);
    CHECK_EQ(host->ops->set_target(host, look("Domain-0"), 200 * MIB, 201 * MIB), -ESRCH);
    close_host();
}

static void test_fails_calls(void)
{
    struct scenario_event event = { .at_ms = 0,
                                    .until_ms = 0,
                                    .guests = "host",
                                    .for_ms = 1000,
                                    .action = ACTION_FAIL,
                                    .percent = 100 };

    open_host(&event);
    pass(10);
    CHECK_EQ(set("g0", 250), -EIO);
    pass(2000);
    CHECK_EQ(set("g0", 250), 0);
    close_host();
}

static void test_same_seed_same_result(void)
{
    uint64_t sums[2];

    for (int k = 0; k < 2; k++) {
        open_host(NULL);
        specs[0].noise_kib = 8 * MIB;
        pass(30000);
        sums[k] = (uint64_t)host_sim_guest(host, 0)->stats.need_kib_ms;
        close_host();
    }
    CHECK_EQ(sums[0], sums[1]);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("it shows what there is", test_observes);
    check_run("what is there can be given", test_gives_what_is_there);
    check_run("it cries when the promise is broken", test_cries);
    check_run("what is held counts", test_counts_what_is_held);
    check_run("what dom0 broke is excused", test_excuses_dom0);
    check_run("caps that dom0 set are excused, too", test_caps_of_dom0);
    check_run("so is what it does while calls are made", test_excuses_what_cannot_be_seen);
    check_run("who reboots comes back under the same domid", test_comes_back);
    check_run("calls that make no sense are refused", test_refuses);
    check_run("calls fail when they should", test_fails_calls);
    check_run("the same seed gives the same result", test_same_seed_same_result);
    return check_done();
}
