/* SPDX-License-Identifier: ISC */
/* The guard against a model of the hypervisor whose guests do the worst they may between any two
 * calls, over random hosts. docs/promise.md explains the model. */
#include "core/guard.h"

#include "check.h"

#define DOMAINS 12

/* What is true, as opposed to what the guard was shown: the counters of the hypervisor. */
struct model {
    uint64_t free_kib;
    uint64_t taken_kib; /* claims of others, reserve, reservations */
    size_t n;
    struct {
        uint64_t actual_kib;
        uint64_t cap_kib;
        uint64_t claim_kib;
    } domains[DOMAINS];
};

/* One random host, as the guard is shown it, the truth about it, and the plan. */
struct world {
    struct guard_host host;
    struct guard_domain domains[DOMAINS];
    size_t n;
    struct model model;
    struct guard_call calls[DOMAINS];
    size_t count;
};

typedef __int128 wide; /* so that the checks cannot overflow where the guard would */

static uint64_t rounds(uint64_t quick)
{
    return check_long ? 1000000 : quick;
}

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static wide untaken(uint64_t actual_kib, uint64_t cap_kib, uint64_t claim_kib)
{
    return most_of(claim_kib, cap_kib > actual_kib ? cap_kib - actual_kib : 0);
}

static wide model_headroom(const struct model *model)
{
    wide headroom = (wide)model->free_kib - model->taken_kib;

    for (size_t i = 0; i < model->n; i++)
        headroom -= untaken(model->domains[i].actual_kib, model->domains[i].cap_kib,
                            model->domains[i].claim_kib);
    return headroom;
}

static wide seen_headroom(const struct world *world)
{
    wide headroom = (wide)world->host.free_kib - world->host.claims_kib - world->host.reserve_kib
                    - world->host.reserved_kib;

    for (size_t i = 0; i < world->n; i++)
        headroom -= untaken(world->domains[i].actual_kib, world->domains[i].cap_kib,
                            world->domains[i].claim_kib);
    return headroom;
}

static uint64_t random_size(uint64_t most)
{
    switch (check_random_below(12)) {
    case 0:
        return 0;
    case 1:
        return most;
    default:
        return check_random_below((most >> check_random_below(8)) + 1);
    }
}

/* The host's free memory is chosen last, so that its headroom is near zero as often as not. */
static void random_world(struct world *world)
{
    uint64_t most = check_random_below(8) ? 1 << 20 : GUARD_KIB_MAX / 4;
    uint64_t untaken_kib = 0;

    memset(world, 0, sizeof(*world));
    world->n = check_random_below(DOMAINS + 1);
    for (size_t i = 0; i < world->n; i++) {
        struct guard_domain *domain = &world->domains[i];

        domain->fixed = check_random_below(4) == 0;
        domain->actual_kib = random_size(most);
        domain->cap_kib = check_random_below(3) ? random_size(most) : domain->actual_kib;
        domain->claim_kib = check_random_below(6) ? 0 : random_size(most);
        domain->slack_kib = check_random_below(3) * 1024;
        if (check_random_below(6) == 0)
            domain->slack_kib = random_size(most);
        domain->target_kib = check_random_below(2) ? random_size(most)
                             : domain->cap_kib > domain->slack_kib
                                 ? domain->cap_kib - domain->slack_kib
                                 : 0;
        domain->max_kib = random_size(most);
        domain->min_kib = random_size(domain->max_kib);
        domain->goal_kib = check_random_below(10) ? random_size(most) : check_random();
        domain->grant_cap_kib = check_random();
        untaken_kib += (uint64_t)untaken(domain->actual_kib, domain->cap_kib, domain->claim_kib);

        world->model.domains[i].actual_kib = domain->actual_kib;
        world->model.domains[i].cap_kib = domain->cap_kib;
        world->model.domains[i].claim_kib = domain->claim_kib;
        if (check_random_below(4) == 0) /* the lower of two readings */
            domain->actual_kib -= check_random_below(domain->actual_kib + 1);
    }
    world->host.claims_kib = check_random_below(4) ? 0 : random_size(most);
    world->host.reserve_kib = random_size(most);
    world->host.reserved_kib = check_random_below(4) ? 0 : random_size(most);
    world->host.free_kib =
        world->host.claims_kib + world->host.reserve_kib + world->host.reserved_kib + untaken_kib;
    if (check_random_below(3) == 0)
        world->host.free_kib -= least_of(random_size(most), world->host.free_kib);
    else
        world->host.free_kib += random_size(most);
    world->host.free_kib = least_of(world->host.free_kib, GUARD_KIB_MAX);

    world->model.n = world->n;
    world->model.free_kib = world->host.free_kib;
    world->model.taken_kib =
        world->host.claims_kib + world->host.reserve_kib + world->host.reserved_kib;
    world->count = guard_plan(&world->host, world->domains, world->n, world->calls);
}

/* A domain lets go of some memory. */
static void guest_shrinks(struct model *model, size_t i)
{
    uint64_t less_kib = random_size(model->domains[i].actual_kib);

    model->domains[i].actual_kib -= less_kib;
    model->free_kib += less_kib;
}

/* A domain takes all that it may: what it claimed first, and as far as there is any. */
static void guest_grows(struct model *model, size_t i)
{
    uint64_t more_kib = (uint64_t)untaken(model->domains[i].actual_kib, model->domains[i].cap_kib,
                                          model->domains[i].claim_kib);

    more_kib = least_of(more_kib, model->free_kib);
    if (check_random_below(4) == 0)
        more_kib = random_size(more_kib);
    model->domains[i].actual_kib += more_kib;
    model->domains[i].claim_kib -= least_of(more_kib, model->domains[i].claim_kib);
    model->free_kib -= more_kib;
}

static void guests_move(struct model *model)
{
    for (size_t i = 0; i < model->n; i++) {
        if (check_random_below(4) == 0)
            guest_shrinks(model, i);
        if (check_random_below(2) == 0)
            guest_grows(model, i);
    }
}

/* Headroom is never below zero, and where it was, it never falls. The model is looked at before
 * each call, so this also says that the daemon may die after any of them. */
static bool promise_holds(const struct world *world, const struct model *model)
{
    wide at_first = model_headroom(&world->model);

    return CHECK(model_headroom(model) >= (at_first < 0 ? at_first : 0))
           && CHECK(seen_headroom(world) >= 0 || model_headroom(model) >= at_first);
}

static void test_every_prefix(void)
{
    struct world world;

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        struct model model;

        random_world(&world);
        model = world.model;
        guests_move(&model);
        promise_holds(&world, &model);
        for (size_t k = 0; k < world.count; k++) {
            model.domains[world.calls[k].index].cap_kib = world.calls[k].cap_kib;
            promise_holds(&world, &model);
            guests_move(&model);
            promise_holds(&world, &model);
        }
    }
}

/* Calls that fail, in whatever order the others are made. */
static void test_any_calls(void)
{
    struct world world;

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        struct model model;

        random_world(&world);
        model = world.model;
        for (size_t left = world.count; left > 0; left--) {
            size_t k = check_random_below(left);

            if (check_random_below(3))
                model.domains[world.calls[k].index].cap_kib = world.calls[k].cap_kib;
            world.calls[k] = world.calls[left - 1];
            guests_move(&model);
            promise_holds(&world, &model);
        }
    }
}

static void check_call(const struct world *world, const struct guard_call *call, bool fit)
{
    const struct guard_domain *domain = &world->domains[call->index];

    CHECK(!domain->fixed);
    CHECK_EQ(call->cap_kib, call->target_kib + domain->slack_kib);
    CHECK_EQ(call->cap_kib, domain->grant_cap_kib);
    CHECK_EQ(call->gift, call->cap_kib > domain->cap_kib);
    CHECK(call->cap_kib != domain->cap_kib || call->target_kib != domain->target_kib);
    CHECK(call->target_kib <= domain->max_kib);
    if (fit && seen_headroom(world) >= 0) {
        uint64_t min_cap_kib = domain->min_kib + domain->slack_kib;

        CHECK(call->cap_kib >= least_of(min_cap_kib, domain->cap_kib));
    }
    if (call->gift)
        CHECK(seen_headroom(world) > 0 || call->cap_kib <= domain->actual_kib + domain->claim_kib);
}

/* Needs no call: is not to be touched, or has what the plan says. */
static bool at_rest(const struct guard_domain *domain)
{
    if (domain->grant_cap_kib != domain->cap_kib)
        return false;
    return domain->fixed || domain->cap_kib < domain->slack_kib
           || domain->target_kib == domain->cap_kib - domain->slack_kib;
}

static void test_calls(void)
{
    struct world world;

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        bool called[DOMAINS] = { false };
        bool fit;

        random_world(&world);
        fit = guard_minimums_fit(&world.host, world.domains, world.n);
        if (!CHECK(world.count <= world.n))
            continue;
        for (size_t k = 0; k < world.count; k++) {
            const struct guard_call *call = &world.calls[k];

            if (!CHECK(call->index < world.n))
                break;
            CHECK(!called[call->index]);
            called[call->index] = true;
            CHECK(k == 0 || call->gift >= world.calls[k - 1].gift);
            check_call(&world, call, fit);
            CHECK(!call->gift || seen_headroom(&world) >= 0);
        }
        for (size_t i = 0; i < world.n; i++)
            CHECK(called[i] || at_rest(&world.domains[i]));
    }
}

static uint64_t goal_cap(const struct guard_domain *domain, bool fit)
{
    uint64_t goal_kib = least_of(domain->goal_kib, domain->max_kib);

    return (fit ? most_of(goal_kib, domain->min_kib) : goal_kib) + domain->slack_kib;
}

static wide cost(const struct guard_domain *domain, uint64_t from_kib, uint64_t to_kib)
{
    return untaken(domain->actual_kib, most_of(from_kib, to_kib), domain->claim_kib)
           - untaken(domain->actual_kib, from_kib, domain->claim_kib);
}

/* A guard that does nothing keeps the promise too: this one gives all that it can, guarantees
 * first, and takes what is above the goal. */
static void test_gives_all(void)
{
    struct world world;

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        wide left, above = 0;
        bool fit;

        random_world(&world);
        left = seen_headroom(&world);
        fit = guard_minimums_fit(&world.host, world.domains, world.n);
        if (left < 0)
            continue;
        for (size_t i = 0; i < world.n; i++) {
            const struct guard_domain *domain = &world.domains[i];
            uint64_t min_cap_kib = most_of(domain->min_kib + domain->slack_kib, domain->cap_kib);

            left -= cost(domain, domain->cap_kib, domain->grant_cap_kib);
            above += cost(domain, min_cap_kib, domain->grant_cap_kib);
        }
        CHECK(left >= 0);
        for (size_t i = 0; i < world.n; i++) {
            const struct guard_domain *domain = &world.domains[i];
            uint64_t cap_kib = domain->grant_cap_kib;
            uint64_t goal_kib = goal_cap(domain, fit);
            uint64_t next_kib = least_of(goal_kib, cap_kib + GUARD_STEP_KIB);
            uint64_t min_cap_kib = least_of(goal_kib, domain->min_kib + domain->slack_kib);

            if (domain->fixed)
                continue;
            CHECK(cap_kib <= goal_kib);
            if (domain->cap_kib >= goal_kib)
                CHECK_EQ(cap_kib, goal_kib);
            if (cap_kib < next_kib && next_kib >= domain->slack_kib)
                CHECK(cost(domain, cap_kib, next_kib) > left);
            if (cap_kib > domain->cap_kib && cap_kib < min_cap_kib)
                CHECK(above < GUARD_STEP_KIB);
        }
    }
}

/* When the promise was broken by others, the calls mend it, or leave no domain anything to take;
 * and nobody loses more for it than is needed. */
static void test_mends(void)
{
    struct world world;

    for (uint64_t r = 0; r < rounds(20000) && !check_faults; r++) {
        wide headroom;
        bool fit, cut = false;

        random_world(&world);
        headroom = seen_headroom(&world);
        fit = guard_minimums_fit(&world.host, world.domains, world.n);
        if (headroom >= 0)
            continue;
        for (size_t i = 0; i < world.n; i++) {
            const struct guard_domain *domain = &world.domains[i];

            CHECK(domain->grant_cap_kib <= domain->cap_kib);
            headroom += cost(domain, domain->grant_cap_kib, domain->cap_kib);
            if (domain->grant_cap_kib < least_of(domain->cap_kib, goal_cap(domain, fit)))
                cut = true;
        }
        CHECK(!cut || headroom <= 0);
        for (size_t i = 0; i < world.n && headroom < 0; i++) {
            const struct guard_domain *domain = &world.domains[i];

            CHECK(domain->fixed || domain->grant_cap_kib <= domain->slack_kib
                  || domain->grant_cap_kib <= domain->actual_kib + domain->claim_kib);
        }
    }
}

/* With the same goals, the guard comes to rest. */
static void test_rests(void)
{
    struct world world;

    for (uint64_t r = 0; r < rounds(5000) && !check_faults; r++) {
        random_world(&world);
        for (unsigned round = 0; round < 4; round++) {
            for (size_t k = 0; k < world.count; k++) {
                struct guard_domain *domain = &world.domains[world.calls[k].index];

                domain->cap_kib = world.calls[k].cap_kib;
                domain->target_kib = world.calls[k].target_kib;
            }
            world.count = guard_plan(&world.host, world.domains, world.n, world.calls);
        }
        CHECK_EQ(world.count, 0);
    }
}

static void test_sums(void)
{
    struct world world;

    for (uint64_t r = 0; r < rounds(5000) && !check_faults; r++) {
        wide left;

        random_world(&world);
        left = seen_headroom(&world);
        CHECK(guard_headroom_kib(&world.host, world.domains, world.n) == left);
        for (size_t i = 0; i < world.n; i++) {
            const struct guard_domain *domain = &world.domains[i];

            if (!domain->fixed)
                left += untaken(domain->actual_kib, domain->cap_kib, domain->claim_kib)
                        + domain->actual_kib - domain->min_kib - domain->slack_kib;
        }
        CHECK_EQ(guard_minimums_fit(&world.host, world.domains, world.n), left >= 0);
    }
}

#define MIB 1024

static void test_gift_needs_headroom(void)
{
    struct guard_host host = { .free_kib = 164 * MIB, .reserve_kib = 64 * MIB };
    struct guard_domain domains[2] = {
        { .actual_kib = 500 * MIB,
          .cap_kib = 500 * MIB,
          .target_kib = 499 * MIB,
          .slack_kib = 1 * MIB,
          .max_kib = 2000 * MIB,
          .goal_kib = 2000 * MIB },
        { .actual_kib = 300 * MIB,
          .cap_kib = 380 * MIB,
          .target_kib = 379 * MIB,
          .slack_kib = 1 * MIB,
          .max_kib = 2000 * MIB,
          .goal_kib = 299 * MIB },
    };
    struct guard_call calls[2];

    /* 164 free, less 64 of reserve and 80 that the second may take: 20 are there. What the second
     * loses is not: it may have taken it by the time of the call. */
    CHECK_EQ(guard_headroom_kib(&host, domains, 2), 20 * MIB);
    CHECK_EQ(guard_plan(&host, domains, 2, calls), 2);
    CHECK_EQ(calls[0].index, 1);
    CHECK(!calls[0].gift);
    CHECK_EQ(calls[0].cap_kib, 300 * MIB);
    CHECK_EQ(calls[0].target_kib, 299 * MIB);
    CHECK_EQ(calls[1].index, 0);
    CHECK(calls[1].gift);
    CHECK_EQ(calls[1].cap_kib, 520 * MIB);
    CHECK_EQ(calls[1].target_kib, 519 * MIB);

    /* At the next look it is. */
    for (size_t i = 0; i < 2; i++)
        domains[i].cap_kib = domains[i].grant_cap_kib;
    domains[0].target_kib = 519 * MIB;
    domains[1].target_kib = 299 * MIB;
    CHECK_EQ(guard_plan(&host, domains, 2, calls), 1);
    CHECK_EQ(calls[0].cap_kib, 600 * MIB);
}

static void test_first_is_given_first(void)
{
    struct guard_host host = { .free_kib = 30 * MIB };
    struct guard_domain domains[3];
    struct guard_call calls[3];

    for (size_t i = 0; i < 3; i++)
        domains[i] = (struct guard_domain){ .actual_kib = 100 * MIB,
                                            .cap_kib = 100 * MIB,
                                            .target_kib = 100 * MIB,
                                            .min_kib = 50 * MIB,
                                            .max_kib = 200 * MIB,
                                            .goal_kib = 117 * MIB };
    domains[2].min_kib = 110 * MIB;
    CHECK_EQ(guard_plan(&host, domains, 3, calls), 2);
    CHECK_EQ(domains[0].grant_cap_kib, 117 * MIB);
    CHECK_EQ(domains[1].grant_cap_kib, 100 * MIB); /* 3 are left: less than a step */
    CHECK_EQ(domains[2].grant_cap_kib, 110 * MIB);

    host.free_kib = 0;
    for (size_t i = 0; i < 3; i++) {
        domains[i].cap_kib = 110 * MIB;
        domains[i].target_kib = 110 * MIB;
    }
    host.free_kib = 15 * MIB;
    CHECK_EQ(guard_plan(&host, domains, 3, calls), 2);
    CHECK_EQ(domains[0].grant_cap_kib, 105 * MIB);
    CHECK_EQ(domains[1].grant_cap_kib, 100 * MIB);
    CHECK_EQ(domains[2].grant_cap_kib, 110 * MIB); /* it has its minimum and no more */

    host.free_kib = 5 * MIB;
    CHECK_EQ(guard_plan(&host, domains, 3, calls), 3);
    CHECK_EQ(domains[0].grant_cap_kib, 100 * MIB);
    CHECK_EQ(domains[1].grant_cap_kib, 100 * MIB);
    CHECK_EQ(domains[2].grant_cap_kib, 105 * MIB);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("a gift needs headroom", test_gift_needs_headroom);
    check_run("the first is given first and cut last", test_first_is_given_first);
    check_run("headroom and minimums are summed right", test_sums);
    check_run("the promise holds after every prefix", test_every_prefix);
    check_run("the promise holds whichever calls are made", test_any_calls);
    check_run("every call is a right one", test_calls);
    check_run("gives all it can, guarantees first", test_gives_all);
    check_run("mends what others broke", test_mends);
    check_run("comes to rest", test_rests);
    return check_done();
}
