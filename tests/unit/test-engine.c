/* SPDX-License-Identifier: ISC */
/* Whole rounds over a model host. */
#include "core/conduct.h"

#include "model.h"

static void set_min(struct model *model, size_t index, const char *min)
{
    char error[128];

    CHECK_EQ(config_set(&model->engine.config, model_domain(model, index), "min", min, error,
                        sizeof(error)),
             0);
}

static void test_load_moves_memory(void)
{
    struct model model;

    model_init(&model, 1700 * MIB);
    for (size_t i = 0; i < 4; i++)
        model_add(&model, i, 256 * MIB, 1024 * MIB, 90 * MIB);
    model_run(&model, 55000);
    CHECK_EQ(model.guests[0].calls, 0); /* what lies free is given out when the host is quiet */
    model_run(&model, 10000);
    for (size_t i = 0; i < 4; i++)
        CHECK(model.guests[i].actual_kib > 350 * MIB);

    model.guests[1].used_kib = 700 * MIB;
    model_run(&model, 10000);
    CHECK(model.guests[1].actual_kib >= 724 * MIB);
    CHECK_EQ(model_domain(&model, 1)->reason, REASON_NEED);

    model.guests[1].used_kib = 90 * MIB;
    model_run(&model, 240000);
    for (size_t i = 0; i < 4; i++)
        CHECK(model.guests[i].actual_kib > 350 * MIB && model.guests[i].actual_kib < 420 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* Weights 1 : 2 under load above what is there give sizes 1 : 2; a minimum is a floor under
 * that. */
static void test_weights(void)
{
    struct model model;
    uint64_t ratio_permille;

    model_init(&model, 1000 * MIB);
    for (size_t i = 0; i < 2; i++)
        model_add(&model, i, 256 * MIB, 2048 * MIB, 2048 * MIB);
    model_round(&model);
    for (size_t i = 0; i < 2; i++) {
        char error[128];

        CHECK_EQ(config_set(&model.engine.config, model_domain(&model, i), "weight",
                            i ? "512" : "256", error, sizeof(error)),
                 0);
        set_min(&model, i, "100M");
    }
    model_run(&model, 60000);
    ratio_permille = model.guests[1].actual_kib * 1000 / model.guests[0].actual_kib;
    CHECK(ratio_permille >= 1950 && ratio_permille <= 2050);
    CHECK(model.guests[0].actual_kib + model.guests[1].actual_kib > 880 * MIB);
    CHECK_EQ(model_domain(&model, 0)->reason, REASON_SHARE);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* A domain waits for a call that is not worth it yet: it does not shrink meanwhile. */
static void test_reason_of_small_change(void)
{
    struct model model;
    char error[128];

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 160 * MIB, 256 * MIB, 110 * MIB);
    model_round(&model);
    CHECK_EQ(config_set(&model.engine.config, model_domain(&model, 0), "max", "153M", error,
                        sizeof(error)),
             0);
    model_run(&model, 20000);
    CHECK_EQ(model.guests[0].calls, 0);
    CHECK_EQ(model_domain(&model, 0)->reason, REASON_MAXIMUM);
    model_run(&model, 20000);
    CHECK_EQ(model.guests[0].calls, 1);
    model_free_all(&model);
}

/* A host at rest makes no calls at all. */
static void test_steady(void)
{
    struct model model;
    uint64_t before;

    model_init(&model, 2000 * MIB);
    for (size_t i = 0; i < 8; i++)
        model_add(&model, i, 200 * MIB, 512 * MIB, (60 + 10 * i) * MIB);
    model_run(&model, 120000);
    before = model.engine.calls_made;
    model_run(&model, 600000);
    CHECK_EQ(model.engine.calls_made, before);
    model_free_all(&model);
}

/* Whatever the policy, the host and the needs: when nothing changes, nothing is moved after a
 * while. */
static void test_random_steady(void)
{
    unsigned hosts = check_long ? 500 : 30;

    for (unsigned h = 0; h < hosts && check_faults == 0; h++) {
        struct model model;
        size_t guests = 2 + check_random_below(14);
        uint64_t before;
        char error[128];

        model_init(&model, (1000 + check_random_below(3000)) * MIB);
        for (size_t p = h % 3, i = 0; i <= p; i++)
            snprintf(model.engine.config.policy, sizeof(model.engine.config.policy), "%s",
                     policy_at(i)->name);
        for (size_t i = 0; i < guests; i++)
            model_add(&model, i, 900 * MIB / guests, (450 + check_random_below(1000)) * MIB,
                      (20 + check_random_below(500)) * MIB)
                ->posts = check_random_below(5) > 0;
        model_round(&model);
        for (size_t i = 0; i < guests; i++)
            CHECK_EQ(config_set(&model.engine.config, model_domain(&model, i), "weight",
                                check_random_below(2) ? "1000" : "256", error, sizeof(error)),
                     0);
        model_run(&model, 300000);
        before = model.engine.calls_made;
        for (unsigned r = 0; r < 1000; r++)
            model_round(&model);
        CHECK_EQ(model.engine.calls_made, before);
        CHECK_EQ(model.broken, 0);
        model_free_all(&model);
    }
}

static void test_frozen_is_unhelpful(void)
{
    struct model model;

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 500 * MIB, 1024 * MIB, 90 * MIB)->frozen = true;
    model_add(&model, 1, 300 * MIB, 1024 * MIB, 800 * MIB);
    model_run(&model, 15000);
    CHECK_EQ(model_domain(&model, 0)->conduct.class, CONDUCT_UNHELPFUL);
    CHECK_EQ(model_domain(&model, 0)->reason, REASON_UNHELPFUL);
    CHECK_EQ(model.guests[0].actual_kib, 500 * MIB);
    CHECK(model.guests[0].cap_kib <= 500 * MIB);
    CHECK(model.guests[1].actual_kib > 380 * MIB);

    /* It is asked again, and forgiven when it delivers. */
    model.guests[0].frozen = false;
    model_run(&model, 60000);
    CHECK_EQ(model_domain(&model, 0)->conduct.class, CONDUCT_COOPERATIVE);
    CHECK(model.guests[1].actual_kib > 500 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

static void test_no_surplus_on_probation(void)
{
    struct model model;
    const struct domain *vm;

    model_init(&model, 4096 * MIB);
    for (size_t i = 0; i < 2; i++)
        model_add(&model, i, 512 * MIB, 1024 * MIB, 300 * MIB);
    model_run(&model, 1000);
    model.engine.round.domains[0].conduct.forgiven_ms = model.now_ms;
    model_run(&model, 60000);
    vm = model_domain(&model, 0);
    CHECK(vm->want_kib >= 300 * MIB && vm->want_kib <= vm->need_kib);
    CHECK_EQ(model_domain(&model, 1)->want_kib, 1024 * MIB);
    model_run(&model, 700000);
    CHECK_EQ(vm->want_kib, 1024 * MIB);
    model_free_all(&model);
}

/* What is above its share is not given to it, be it free, and not taken from it while it needs
 * it. */
static void test_share_on_probation(void)
{
    struct model model;
    const struct domain *vm;

    model_init(&model, 1200 * MIB);
    for (size_t i = 0; i < 3; i++)
        model_add(&model, i, 300 * MIB, 1024 * MIB, 200 * MIB);
    model_run(&model, 1000);
    model.engine.round.domains[0].conduct.forgiven_ms = model.now_ms;
    model.guests[0].used_kib = 600 * MIB;
    model_run(&model, 60000);
    vm = model_domain(&model, 0);
    CHECK(vm->need_kib > vm->entitled_kib);
    CHECK(vm->actual_kib <= vm->entitled_kib + 4 * MIB);
    CHECK(vm->actual_kib + 16 * MIB >= vm->entitled_kib);
    model.engine.round.domains[0].conduct.forgiven_ms = 0;
    model_run(&model, 60000);
    CHECK(vm->actual_kib >= 600 * MIB);
    model.engine.round.domains[0].conduct.forgiven_ms = model.now_ms;
    model_run(&model, 60000);
    CHECK(vm->actual_kib >= 600 * MIB);
    model_free_all(&model);
}

/* Somebody in dom0 raised the caps: they are lowered before anything is given. */
static void test_broken_at_start(void)
{
    struct model model;

    model_init(&model, 1000 * MIB);
    for (size_t i = 0; i < 4; i++)
        model_add(&model, i, 200 * MIB, 1024 * MIB, 400 * MIB)->cap_kib = 1024 * MIB;
    CHECK(model_headroom(&model) < 0);
    model_round(&model);
    CHECK(model.engine.round.urgent);
    CHECK(model_headroom(&model) >= 0);
    model.broken = 0;
    model_run(&model, 30000);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* What a refuser holds is not counted on: the priorities above it have their guarantees. */
static void test_minimums_beside_a_refuser(void)
{
    struct model model;
    char error[128];

    model_init(&model, 4000 * MIB);
    model_add(&model, 0, 2400 * MIB, 2400 * MIB, 90 * MIB)->frozen = true;
    model_add(&model, 1, 1024 * MIB, 2048 * MIB, 300 * MIB);
    model_add(&model, 2, 372 * MIB, 2048 * MIB, 600 * MIB);
    model_round(&model);
    set_min(&model, 1, "1G");
    set_min(&model, 2, "900M");
    config_set(&model.engine.config, model_domain(&model, 2), "priority", "10", error,
               sizeof(error));
    model_run(&model, 60000);
    CHECK_EQ(model_domain(&model, 0)->conduct.class, CONDUCT_UNHELPFUL);
    CHECK(model.guests[2].actual_kib >= 900 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* What a domain does not take is not kept for it: its driver does not grow. */
static void test_promise_not_taken(void)
{
    struct model model;

    model_init(&model, 1600 * MIB);
    model_add(&model, 0, 256 * MIB, 1400 * MIB, 0)->frozen = true;
    model.guests[0].posts = false;
    model_add(&model, 1, 256 * MIB, 2048 * MIB, 2048 * MIB);
    model_run(&model, 120000);
    CHECK(model.guests[0].cap_kib < 300 * MIB);
    CHECK(model.guests[1].actual_kib > 1100 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* A maximum that is lowered is walked down to. */
static void test_lowered_maximum(void)
{
    struct model model;
    char error[128];
    uint64_t before;

    model_init(&model, 2000 * MIB);
    model_add(&model, 0, 1024 * MIB, 1024 * MIB, 1000 * MIB);
    model_run(&model, 5000);
    config_set(&model.engine.config, model_domain(&model, 0), "max", "512M", error, sizeof(error));
    before = model.guests[0].target_kib;
    for (int i = 0; i < 50; i++) {
        model_round(&model);
        CHECK(model.guests[0].target_kib + 64 * MIB >= before);
        before = model.guests[0].target_kib;
    }
    model_run(&model, 60000);
    CHECK_EQ(model.guests[0].target_kib, 512 * MIB);
    model_free_all(&model);
}

/* A call that fails is not made again at once, and told of once. */
static void test_failing_call_is_paced(void)
{
    struct model model;
    char error[128];

    model_init(&model, 2000 * MIB);
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 400 * MIB)->fail = -EINVAL;
    model_run(&model, 60000);
    CHECK(model.guests[0].calls >= 3 && model.guests[0].calls <= 10);
    model.guests[0].fail = 0;
    model_run(&model, 60000);
    CHECK(model.guests[0].actual_kib > 400 * MIB);

    /* Once a call went well, the pauses begin anew. */
    model.guests[0].fail = -EINVAL;
    model.guests[0].calls = 0;
    CHECK_EQ(config_set(&model.engine.config, model_domain(&model, 0), "max", "300M", error,
                        sizeof(error)),
             0);
    model_run(&model, 3000);
    CHECK(model.guests[0].calls >= 3);
    model_free_all(&model);
}

/* Guests that move while the counters are read make the headroom seem negative: that cuts
 * nobody. */
static void test_reading_while_guests_move(void)
{
    struct model model;

    model_init(&model, 1000 * MIB);
    for (size_t i = 0; i < 4; i++)
        model_add(&model, i, 220 * MIB, 512 * MIB, 500 * MIB);
    model_run(&model, 30000);
    CHECK(model.guests[0].cap_kib > 220 * MIB);
    for (int i = 0; i < 20; i++) {
        uint64_t cap_kib = model.guests[0].cap_kib;

        model.moved_kib = 200 * MIB;
        model_round(&model);
        CHECK(model.engine.round.headroom_kib >= 0);
        CHECK(model.guests[0].cap_kib >= cap_kib);
    }
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* A call that fails costs the others nothing. */
static void test_failing_calls(void)
{
    struct model model;

    model_init(&model, 1200 * MIB);
    for (size_t i = 0; i < 4; i++)
        model_add(&model, i, 270 * MIB, 1024 * MIB, 90 * MIB);
    model.guests[0].fail = -EIO;
    model.guests[3].used_kib = 500 * MIB;
    model_run(&model, 30000);
    CHECK(model.engine.calls_failed > 0);
    CHECK_EQ(model.broken, 0);
    model.guests[0].fail = 0;
    model_run(&model, 30000);
    CHECK(model.guests[3].actual_kib > 300 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

static unsigned failures_told(int error)
{
    struct model model;
    unsigned told = 0;

    model_init(&model, 1200 * MIB);
    model_add(&model, 0, 270 * MIB, 1024 * MIB, 500 * MIB)->fail = error;
    for (int i = 0; i < 20; i++) {
        model_round(&model);
        for (size_t k = 0; k < model.engine.round.event_count; k++)
            told += model.engine.round.events[k].kind == EVENT_CALL_FAILED;
    }
    CHECK(model.engine.calls_failed > 1);
    model_free_all(&model);
    return told;
}

/* Once; and that a domain was gone before its call came is no failure. */
static void test_failures_are_told_once(void)
{
    CHECK_EQ(failures_told(-EIO), 1);
    CHECK_EQ(failures_told(-ESRCH), 0);
}

/* A paused domain, and one that is being built, are left alone and count for all they can reach. */
static void test_untouched(void)
{
    struct model model;

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 100 * MIB, 1024 * MIB, 90 * MIB)->phase = PHASE_BUILDING;
    model.guests[0].cap_kib = 400 * MIB;
    model_add(&model, 1, 200 * MIB, 1024 * MIB, 90 * MIB)->phase = PHASE_PAUSED;
    model_add(&model, 2, 100 * MIB, 1024 * MIB, 900 * MIB);
    model_run(&model, 20000);
    CHECK_EQ(model.guests[0].calls, 0);
    CHECK_EQ(model.guests[1].calls, 0);
    CHECK(model.guests[2].actual_kib > 250 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* The hypervisor gives a dying domain nothing: what its cap would allow, or its claim, is there for
 * others. */
static void test_dying_takes_nothing(void)
{
    static const struct {
        enum domain_phase phase;
        uint64_t claim_mib;
        uint64_t reach_mib;
    } cases[] = {
        { PHASE_PAUSED, 0, 500 },
        { PHASE_PAUSED, 400, 600 },
        { PHASE_DYING, 0, 200 },
        { PHASE_DYING, 400, 200 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model model;

        model_init(&model, 1000 * MIB);
        model_add(&model, 0, 200 * MIB, 1024 * MIB, 90 * MIB);
        model_add(&model, 1, 200 * MIB, 1024 * MIB, 90 * MIB);
        model.guests[0].cap_kib = 500 * MIB;
        model.guests[0].claim_kib = cases[i].claim_mib * MIB;
        model.guests[0].phase = cases[i].phase;
        model_round(&model);
        CHECK_EQ(model.engine.round.headroom_kib,
                 (int64_t)(1000 - cases[i].reach_mib - 201) * MIB - (int64_t)model.reserve_kib);
        CHECK_EQ(model.guests[0].calls, 0);
        model_free_all(&model);
    }
}

/* Minimums that do not fit: the operator is told, the lowest priority goes short. */
static void test_minimums_do_not_fit(void)
{
    struct model model;
    char error[128];

    model_init(&model, 800 * MIB);
    for (size_t i = 0; i < 3; i++)
        model_add(&model, i, 200 * MIB, 1024 * MIB, 90 * MIB);
    model_round(&model);
    for (size_t i = 0; i < 3; i++)
        set_min(&model, i, "300M");
    config_set(&model.engine.config, model_domain(&model, 2), "priority", "5", error,
               sizeof(error));
    model_run(&model, 30000);
    CHECK(!model.engine.round.minimums_fit);
    CHECK(model.guests[2].actual_kib >= 300 * MIB);
    CHECK(model.guests[0].actual_kib < 300 * MIB);
    CHECK_EQ(model_domain(&model, 0)->reason, REASON_MINIMUM_SHORT);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* A balloon that is stuck is not found out at once. Until then who needs memory gets from the others
 * all that these do not need. */
static void test_stuck_costs_no_time(void)
{
    struct model model;

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 300 * MIB, 512 * MIB, 50 * MIB);
    model_add(&model, 1, 300 * MIB, 512 * MIB, 50 * MIB);
    model_add(&model, 2, 250 * MIB, 1024 * MIB, 200 * MIB);
    model_run(&model, 10000);
    CHECK_EQ(model.guests[1].actual_kib, 300 * MIB);
    model.guests[0].frozen = true;
    model.guests[2].used_kib = 500 * MIB;
    model_run(&model, 3000);
    CHECK(conduct_trusted(model_domain(&model, 0)));
    CHECK_EQ(model.guests[0].actual_kib, 300 * MIB);
    CHECK_EQ(model.guests[1].actual_kib, model_domain(&model, 1)->need_kib);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* Where one misses memory the others give at once what would not be worth a call else: each has
 * little to give. */
static void test_crumbs_of_many(void)
{
    struct model model;

    model_init(&model, 4000 * MIB);
    model.memory_kib = model.reserve_kib + (16 * 206 + 200) * MIB + 17 * MODEL_SLACK_KIB;
    for (size_t i = 0; i < 16; i++)
        model_add(&model, i, 206 * MIB, 512 * MIB, 175 * MIB);
    model_add(&model, 16, 200 * MIB, 512 * MIB, 170 * MIB);
    model_run(&model, 10000);
    CHECK(model.guests[16].actual_kib < 210 * MIB);
    model.guests[16].used_kib = 260 * MIB;
    model_run(&model, 5000);
    CHECK(model.guests[16].actual_kib > 260 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* A guarantee that waits has the others shrink in large steps, use what they may. */
static void test_guarantee_is_urgent(void)
{
    struct model model;

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 700 * MIB, 1024 * MIB, 690 * MIB);
    model_add(&model, 1, 200 * MIB, 1024 * MIB, 90 * MIB);
    model_run(&model, 10000);
    CHECK(model.guests[0].actual_kib > 650 * MIB);
    set_min(&model, 1, "500M");
    model_run(&model, 2000);
    CHECK(model.guests[1].actual_kib >= 500 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* And where one of them is stuck the others let go, meanwhile, what they need. */
static void test_guarantee_beside_a_stuck(void)
{
    struct model model;
    uint64_t stuck_kib;

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 300 * MIB, 512 * MIB, 50 * MIB);
    model_add(&model, 1, 300 * MIB, 512 * MIB, 290 * MIB);
    model_add(&model, 2, 250 * MIB, 1024 * MIB, 200 * MIB);
    model_run(&model, 10000);
    model.guests[0].frozen = true;
    stuck_kib = model.guests[0].actual_kib;
    CHECK(stuck_kib > 250 * MIB);
    set_min(&model, 2, "450M");
    model_run(&model, 2500);
    CHECK(conduct_trusted(model_domain(&model, 0)));
    CHECK_EQ(model.guests[0].actual_kib, stuck_kib);
    CHECK(model.guests[2].actual_kib >= 450 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* What domains keep besides their minimums gives way when it does not fit the host. */
static void test_grace_does_not_fit(void)
{
    struct model model;
    const struct round *round = &model.engine.round;

    model_init(&model, 1000 * MIB);
    model.engine.config.grace_ms = 30000;
    model.engine.config.defaults.min_kib = 100 * MIB;
    for (size_t i = 0; i < 2; i++)
        model_add(&model, i, 450 * MIB, 1024 * MIB, 90 * MIB);
    model_round(&model);
    CHECK_EQ(model_domain(&model, 0)->bottom_kib, 450 * MIB);
    model.engine.config.reserve_kib = 300 * MIB;
    model_round(&model);
    CHECK_EQ(model_domain(&model, 0)->bottom_kib, 100 * MIB);
    for (size_t i = 0; i < round->event_count; i++)
        CHECK(round->events[i].kind != EVENT_POLICY);
    model_free_all(&model);
}

/* In its grace a domain keeps what it was started with; what it was given besides it gives back to
 * who needs it. */
static void test_grace(void)
{
    struct model model;

    model_init(&model, 1000 * MIB);
    model.engine.config.grace_ms = 30000;
    model_add(&model, 0, 600 * MIB, 1024 * MIB, 90 * MIB);
    model_add(&model, 1, 200 * MIB, 1024 * MIB, 800 * MIB);
    model_run(&model, 20000);
    CHECK_EQ(model.guests[0].actual_kib, 600 * MIB);
    model_run(&model, 30000);
    CHECK(model.guests[0].actual_kib < 300 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);

    model_init(&model, 1000 * MIB);
    model.engine.config.grace_ms = 30000;
    model_add(&model, 0, 200 * MIB, 1024 * MIB, 380 * MIB);
    model_add(&model, 1, 200 * MIB, 1024 * MIB, 90 * MIB);
    model_run(&model, 9000);
    CHECK(model.guests[0].actual_kib > 400 * MIB);
    model.guests[0].used_kib = 90 * MIB;
    model_run(&model, 1000);
    model.guests[1].used_kib = 600 * MIB;
    model_run(&model, 15000);
    CHECK(model.guests[1].actual_kib > 600 * MIB);
    CHECK(model.guests[0].actual_kib >= 200 * MIB);
    CHECK(model.guests[0].actual_kib < 300 * MIB);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

/* Hosts at random, with guests that come, go, freeze and change their minds: never broken. */
static void test_random_hosts(void)
{
    unsigned hosts = check_long ? 2000 : 40;

    for (unsigned h = 0; h < hosts; h++) {
        struct model model;

        model_init(&model, (1000 + check_random_below(4000)) * MIB);
        model.step_kib = 4 + check_random_below(200 * MIB);
        for (unsigned step = 0; step < 300; step++) {
            size_t i = check_random_below(MODEL_GUESTS);
            struct model_guest *guest = &model.guests[i];
            uint64_t size = (64 + check_random_below(200)) * MIB;

            if (!guest->there && model_headroom(&model) > (int64_t)(size + MODEL_SLACK_KIB))
                model_add(&model, i, size, size + check_random_below(1024 * MIB), 0);
            else if (guest->there && check_random_below(8) == 0)
                guest->there = false;
            guest->used_kib = check_random_below(800 * MIB);
            guest->posts = check_random_below(4) != 0;
            guest->frozen = check_random_below(5) == 0;
            guest->phase = check_random_below(6) == 0 ? PHASE_PAUSED : PHASE_RUNNING;
            guest->fail = check_random_below(12) == 0 ? -EIO : 0;
            model_round(&model);
        }
        if (!CHECK_EQ(model.broken, 0)) {
            model_free_all(&model);
            return;
        }
        model_free_all(&model);
    }
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("memory follows load and returns", test_load_moves_memory);
    check_run("weights give sizes", test_weights);
    check_run("a small change is not on its way", test_reason_of_small_change);
    check_run("a host at rest makes no calls", test_steady);
    check_run("random hosts at rest make no calls", test_random_steady);
    check_run("a frozen balloon is unhelpful, and forgiven", test_frozen_is_unhelpful);
    check_run("who was forgiven has what he needs, for a while", test_no_surplus_on_probation);
    check_run("and nothing of it above his share", test_share_on_probation);
    check_run("a broken promise is mended at once", test_broken_at_start);
    check_run("counters read while guests move", test_reading_while_guests_move);
    check_run("minimums beside a refuser", test_minimums_beside_a_refuser);
    check_run("a promise that is not taken", test_promise_not_taken);
    check_run("a maximum that is lowered", test_lowered_maximum);
    check_run("a call that fails is paced", test_failing_call_is_paced);
    check_run("calls that fail", test_failing_calls);
    check_run("... are told once", test_failures_are_told_once);
    check_run("paused and half-built domains are left alone", test_untouched);
    check_run("a dying domain takes nothing", test_dying_takes_nothing);
    check_run("minimums that do not fit", test_minimums_do_not_fit);
    check_run("a balloon that is stuck costs nobody time", test_stuck_costs_no_time);
    check_run("many give little, where one misses memory", test_crumbs_of_many);
    check_run("a guarantee that waits is urgent", test_guarantee_is_urgent);
    check_run("a guarantee that waits beside one that is stuck", test_guarantee_beside_a_stuck);
    check_run("the grace of a new domain", test_grace);
    check_run("a grace that does not fit", test_grace_does_not_fit);
    check_run("random hosts keep the promise", test_random_hosts);
    return check_done();
}
