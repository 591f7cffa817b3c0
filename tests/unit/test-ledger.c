/* SPDX-License-Identifier: ISC */
/* What outlives the daemon: bills and remedies, on a host whose calls can fail. */
#include "check.h"
#include "core/engine.h"
#include "daemon/ledger.h"
#include "host/state-memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB UINT64_C(1024)
/* More than a round keeps the bills of, or recalls, if it is not late. */
#define GUESTS 40

struct fake {
    struct host host;
    struct state_memory state;
    struct sched sched[GUESTS + 1];
    bool gone[GUESTS + 1];
    bool zombie;    /* one that cannot end is there, with the UUID of domain 1 */
    int fail_state; /* what state_set() returns; 0: it works */
    int fail_sched;
    int fail_sched_set; /* only this; reading works */
    uint64_t now_ms;
};

static struct fake fake;
static struct engine engine;
static struct control control;
static struct ledger ledger;

static uint64_t now_ms(struct host *host)
{
    (void)host;
    return fake.now_ms;
}

static void see(struct round *round, uint32_t domid, uint8_t life)
{
    const uint8_t uuid[16] = { 1, 2, 3, [15] = life };
    struct domain *domain = round_see(round, domid, uuid);

    domain->actual_kib = domain->actual_low_kib = domain->target_kib = 256 * MIB;
    domain->cap_kib = 257 * MIB;
    domain->slack_kib = MIB;
    domain->static_max_kib = 512 * MIB;
    domain->has_target = true;
}

static int observe(struct host *host, struct round *round)
{
    (void)host;
    round_begin(round, fake.now_ms);
    round->total_kib = 4096 * MIB;
    round->free_kib = 1024 * MIB;
    for (uint32_t domid = 0; domid <= GUESTS; domid++) {
        if (!fake.gone[domid])
            see(round, domid, (uint8_t)domid);
    }
    if (fake.zombie) {
        see(round, GUESTS + 1, 1);
        round_find(round, GUESTS + 1)->phase = PHASE_DYING;
    }
    round_end(round);
    return 0;
}

static int set_target(struct host *host, const struct domain *domain, uint64_t target_kib,
                      uint64_t cap_kib)
{
    (void)host, (void)domain, (void)target_kib, (void)cap_kib;
    return 0;
}

static int sched_get(struct host *host, const struct domain *domain, struct sched *ret_sched)
{
    (void)host;
    *ret_sched = fake.sched[domain->domid];
    return fake.fail_sched;
}

static int sched_set(struct host *host, const struct domain *domain, const struct sched *sched)
{
    int r = fake.fail_sched ? fake.fail_sched : fake.fail_sched_set;

    (void)host;
    if (r == 0)
        fake.sched[domain->domid] = *sched;
    return r;
}

static int state_get(struct host *host, const char *key, char **ret_text)
{
    (void)host;
    return state_memory_get(&fake.state, key, ret_text);
}

static int state_set(struct host *host, const char *key, const char *text)
{
    (void)host;
    return fake.fail_state ? fake.fail_state : state_memory_set(&fake.state, key, text);
}

static int state_list(struct host *host, const char *key,
                      void (*each)(void *context, const char *name), void *context)
{
    (void)host;
    state_memory_list(&fake.state, key, each, context);
    return 0;
}

static const struct host_ops ops = {
    .name = "fake",
    .now_ms = now_ms,
    .observe = observe,
    .set_target = set_target,
    .sched_get = sched_get,
    .sched_set = sched_set,
    .state_get = state_get,
    .state_set = state_set,
    .state_list = state_list,
};

/* Another daemon on the same host. */
static void start(void)
{
    struct config config;

    config_init(&config);
    config.remedies = (struct remedies){ .cpu_weight = 64, .cpu_cap = 50, .event = true };
    engine_init(&engine, &fake.host, &config);
    memset(&control, 0, sizeof(control));
    memset(&ledger, 0, sizeof(ledger));
    control.engine = &engine;
}

static void begin(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.host.ops = &ops;
    fake.now_ms = 1000000;
    for (size_t i = 0; i <= GUESTS; i++)
        fake.sched[i] = (struct sched){ .weight = 256 };
    start();
}

static void end(void)
{
    engine_free(&engine);
    state_memory_free(&fake.state);
}

static void turn(uint64_t ms)
{
    uint64_t next_ms;

    fake.now_ms += ms;
    CHECK_EQ(engine_round(&engine, &next_ms), 0);
    ledger_round(&ledger, &control);
}

static void call_malicious(uint32_t domid, bool is)
{
    struct domain *domain = round_find(&engine.round, domid);

    domain->conduct.class = is ? CONDUCT_MALICIOUS : CONDUCT_COOPERATIVE;
    domain->conduct.atone_ms = UINT64_MAX;
}

static void count_name(void *context, const char *name)
{
    (void)name;
    (*(unsigned *)context)++;
}

static unsigned kept(const char *folder)
{
    unsigned count = 0;

    state_memory_list(&fake.state, folder, count_name, &count);
    return count;
}

static void test_applied_and_undone(void)
{
    begin();
    turn(0);
    call_malicious(1, true);
    call_malicious(0, true);
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 64);
    CHECK_EQ(fake.sched[1].cap, 50);
    CHECK_EQ(fake.sched[2].weight, 256);
    CHECK_EQ(fake.sched[0].weight, 256); /* domain 0 never */
    CHECK_EQ(kept("remedies"), 1);
    call_malicious(1, false);
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 256);
    CHECK_EQ(fake.sched[1].cap, 0);
    CHECK_EQ(kept("remedies"), 0);
    end();
}

static void test_nobody_gains(void)
{
    begin();
    fake.sched[1] = (struct sched){ .weight = 32, .cap = 20 };
    turn(0);
    call_malicious(1, true);
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 32);
    CHECK_EQ(fake.sched[1].cap, 20);
    CHECK_EQ(kept("remedies"), 0);
    end();
}

static void test_crash(void)
{
    begin();
    turn(0);
    call_malicious(1, true);
    turn(1000);
    engine_free(&engine);
    start();
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 256);
    CHECK_EQ(fake.sched[1].cap, 0);
    CHECK_EQ(kept("remedies"), 0);
    end();
}

/* The record of one that died while nobody looked is no reason to touch another. */
static void test_crash_and_death(void)
{
    begin();
    turn(0);
    call_malicious(1, true);
    turn(1000);
    engine_free(&engine);
    fake.gone[1] = true;
    start();
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 64);
    CHECK_EQ(kept("remedies"), 0);
    end();
}

static void test_stop(void)
{
    begin();
    turn(0);
    call_malicious(2, true);
    turn(1000);
    ledger_close(&control);
    CHECK_EQ(fake.sched[2].weight, 256);
    CHECK_EQ(kept("remedies"), 0);
    CHECK_EQ(kept("bills"), GUESTS + 1);
    end();
}

static void test_reload(void)
{
    begin();
    turn(0);
    call_malicious(1, true);
    turn(1000);
    engine.config.remedies.cpu_weight = 0;
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 256);
    CHECK_EQ(fake.sched[1].cap, 50);
    engine.config.remedies.cpu_cap = 0;
    turn(1000);
    CHECK_EQ(fake.sched[1].cap, 0);
    CHECK_EQ(kept("remedies"), 0);
    end();
}

/* What the operator has changed meanwhile stays. */
static void test_others_change(void)
{
    begin();
    turn(0);
    call_malicious(1, true);
    turn(1000);
    fake.sched[1].weight = 128;
    call_malicious(1, false);
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 128);
    CHECK_EQ(fake.sched[1].cap, 0);
    end();
}

/* Nothing is done that could not be undone; what fails is tried again, and told once. */
static void test_failures(void)
{
    uint64_t noted;

    begin();
    turn(0);
    call_malicious(1, true);
    fake.fail_state = -ENOSPC;
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 256);
    noted = control.noted;
    for (int i = 0; i < 100; i++)
        turn(1000);
    CHECK_EQ(control.noted, noted);
    fake.fail_state = 0;
    turn(20000);
    CHECK_EQ(fake.sched[1].weight, 64);
    fake.fail_sched = -EIO;
    call_malicious(1, false);
    turn(1000);
    CHECK_EQ(kept("remedies"), 1);
    fake.fail_sched = 0;
    turn(20000);
    CHECK_EQ(fake.sched[1].weight, 256);
    CHECK_EQ(kept("remedies"), 0);
    end();
}

static void keep_remedy(const char *text)
{
    const uint8_t uuid[16] = { 1, 2, 3, [15] = 1 };
    char name[UUID_TEXT_SIZE];
    char key[64];

    domain_uuid_text(uuid, name);
    (void)snprintf(key, sizeof(key), "remedies/%s", name);
    CHECK_EQ(state_memory_set(&fake.state, key, text), 0);
}

/* What was kept is read whole, or thrown away. */
static void test_wrong_remedies(void)
{
    static const char *const texts[] = {
        "",
        "1",
        "1 64 0 256",
        "1 64 0 256 0 ",
        "1 64 0 256 0 0",
        " 1 64 0 256 0",
        "1  64 0 256 0",
        "1 64 0 256 0x",
        "1 +64 0 256 0",
        "1 4294967360 0 256 0",
        "2 64 0 256 0",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        begin();
        keep_remedy("1 64 0 256 0");
        turn(0);
        CHECK_EQ(fake.sched[1].weight, 64);
        end();

        begin();
        keep_remedy(texts[i]);
        turn(0);
        CHECK_EQ(fake.sched[1].weight, 256);
        CHECK_EQ(kept("remedies"), 0);
        end();
    }
}

/* What can be kept and then not be done is not taken for done. */
static void test_call_fails(void)
{
    begin();
    turn(0);
    call_malicious(1, true);
    fake.fail_sched_set = -EIO;
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 256);
    fake.fail_sched_set = 0;
    turn(20000);
    CHECK_EQ(fake.sched[1].weight, 64);
    CHECK_EQ(fake.sched[1].cap, 50);
    call_malicious(1, false);
    turn(1000);
    CHECK_EQ(fake.sched[1].weight, 256);
    CHECK_EQ(kept("remedies"), 0);
    end();
}

/* More than is removed at once. */
static void test_many_dead(void)
{
    begin();
    for (unsigned i = 0; i < 300; i++) {
        uint8_t uuid[16] = { 9, (uint8_t)(i >> 8), (uint8_t)i };
        char key[64];
        char text[UUID_TEXT_SIZE];

        domain_uuid_text(uuid, text);
        (void)snprintf(key, sizeof(key), "bills/%s", text);
        CHECK_EQ(state_memory_set(&fake.state, key, "1 0 0 0 0 0 0 0 0 0 0"), 0);
    }
    turn(0);
    CHECK_EQ(kept("bills"), 300);
    turn(30000);
    turn(30000);
    CHECK(kept("bills") <= 300 - 256 + GUESTS + 1);
    for (int i = 0; i < 130; i++)
        turn(1000);
    CHECK_EQ(kept("bills"), GUESTS + 1);
    end();
}

static void test_bills(void)
{
    uint64_t had;

    begin();
    turn(0);
    for (int i = 0; i < 600; i++)
        turn(1000);
    CHECK_EQ(kept("bills"), GUESTS + 1);
    had = bill_kib_s(&round_find(&engine.round, 1)->bill.granted);
    CHECK_EQ(had, 600 * 256 * MIB);
    engine_free(&engine);
    start();
    turn(1000);
    CHECK(bill_kib_s(&round_find(&engine.round, 1)->bill.granted) >= had - 61 * 256 * MIB);
    fake.gone[1] = true;
    turn(1000);
    CHECK_EQ(kept("bills"), GUESTS + 1);
    turn(60000);
    CHECK_EQ(kept("bills"), GUESTS);
    end();
}

/* Also where the host is looked at once in a minute. */
static void test_rare_rounds(void)
{
    begin();
    turn(0);
    turn(60000);
    turn(60000);
    CHECK_EQ(kept("bills"), GUESTS + 1);
    end();
}

/* However often: also when no bill of its was due since it was started. */
static void test_reboots(void)
{
    const struct domain *domain;

    begin();
    turn(0);
    for (uint64_t life = 1; life <= 3; life++) {
        for (int i = 0; i < 30; i++)
            turn(1000);
        domain = round_find(&engine.round, 1);
        CHECK_EQ(bill_kib_s(&domain->bill.granted), life * 30 * 256 * MIB);
        fake.gone[1] = true;
        turn(1000);
        turn(2000);
        fake.gone[1] = false;
        turn(1000);
    }
    end();
}

/* Also when the daemon is started anew while it is gone. One that does not come back leaves
 * nothing. */
static void test_restart_in_reboot(void)
{
    begin();
    turn(0);
    for (int i = 0; i < 30; i++)
        turn(1000);
    fake.gone[1] = fake.gone[2] = true;
    turn(1000);
    ledger_close(&control);
    engine_free(&engine);
    start();
    turn(1000);
    fake.gone[1] = false;
    turn(1000);
    CHECK_EQ(bill_kib_s(&round_find(&engine.round, 1)->bill.granted), 30 * 256 * MIB);
    CHECK_EQ(kept("bills"), GUESTS + 1);
    turn(60000);
    CHECK_EQ(kept("bills"), GUESTS);
    end();
}

/* The bill of one that cannot end does not take the place of that of its next life. */
static void test_zombie(void)
{
    uint64_t had;

    begin();
    fake.zombie = true;
    turn(0);
    for (int i = 0; i < 200; i++) {
        turn(1000);
        round_find(&engine.round, GUESTS + 1)->bill.granted = (struct bill_item){ 0 };
    }
    had = bill_kib_s(&round_find(&engine.round, 1)->bill.granted);
    engine_free(&engine);
    start();
    turn(0);
    CHECK(bill_kib_s(&round_find(&engine.round, 1)->bill.granted) >= had - 61 * 256 * MIB);
    end();
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("remedies are applied to the malicious, and undone", test_applied_and_undone);
    check_run("nobody gains by a remedy", test_nobody_gains);
    check_run("after a crash they are put back", test_crash);
    check_run("but not on another domain", test_crash_and_death);
    check_run("a clean stop puts them back, and keeps the bills", test_stop);
    check_run("a reload changes them", test_reload);
    check_run("what others have set stays", test_others_change);
    check_run("failures are tried again, and told once", test_failures);
    check_run("a call that fails is made again", test_call_fails);
    check_run("what was kept of one is read whole, or thrown away", test_wrong_remedies);
    check_run("nothing is left of many that died unseen", test_many_dead);
    check_run("bills outlive the daemon, not the domain", test_bills);
    check_run("... and are kept in time", test_rare_rounds);
    check_run("a bill goes on over reboots", test_reboots);
    check_run("... also when the daemon restarts meanwhile", test_restart_in_reboot);
    check_run("one that cannot end has no bill any more", test_zombie);
    return check_done();
}
