/* SPDX-License-Identifier: ISC */
#include "client/clairvoyant.h"

#include <errno.h>
#include <stdlib.h>

#include "core/fill.h"
#include "host/host-sim.h"
#include "util/bounds.h"

/* While memory is on its way, this is how far one step of it goes. */
#define STEP_MS 10.0

/* Less than a page is nothing. */
#define NOTHING_KIB 1.0

/* Whose memory goes where: each is an order of the guests, in groups that are served one after the
 * other; within a group by weight. */
enum order {
    AT_NO_COST, /* by weight, the highest first */
    IN_REACH,   /* by priority, and in it by weight */
    FAIR,       /* by priority alone */
    ORDERS,
};

enum state {
    GONE,
    BUILT, /* or boots: holds what it was started with */
    STILL, /* cannot be moved */
    MOVES,
};

struct one {
    struct limits limits;
    uint64_t start_kib;
    uint64_t slack_kib;
    double up_kib_ms;
    double down_kib_ms;
    bool frozen;

    /* as last seen */
    enum state state;
    bool stuck;
    bool counts; /* runs: what it needs and has not is counted */
    uint64_t need_kib;
    uint64_t courses;
    uint64_t risen_ms; /* the end of its rise */

    uint64_t given_kib[ORDERS];
    double held_kib; /* in reach */
    struct clairvoyant_figures figures;
};

struct clairvoyant {
    struct host *host;
    uint64_t base_kib; /* for guests and the slack above them */
    double at_ms;      /* accounts go up to here */
    bool changed;
    struct one *ones;
    size_t count;
    uint32_t *order[ORDERS];
    struct fill_item *items;
};

/* Who goes where, at one instant. */

/* Before or after the other, 0 in one group. */
static int compare(const struct one *a, const struct one *b, enum order order)
{
    if (order != AT_NO_COST && a->limits.priority != b->limits.priority)
        return a->limits.priority > b->limits.priority ? -1 : 1;
    if (order != FAIR && a->limits.weight != b->limits.weight)
        return a->limits.weight > b->limits.weight ? -1 : 1;
    return 0;
}

static bool moves(const struct one *one, enum order order)
{
    return one->state == MOVES && !(order == IN_REACH && one->stuck);
}

/* What it would be given, were there enough. */
static uint64_t ceiling_kib(const struct one *one)
{
    return smaller(one->need_kib, one->limits.max_kib);
}

/* What is there for those that move. */
static uint64_t there_kib(const struct clairvoyant *seer, enum order order)
{
    double there = (double)seer->base_kib;

    for (size_t i = 0; i < seer->count; i++) {
        const struct one *one = &seer->ones[i];

        if (one->state == GONE)
            continue;
        there -= (double)one->slack_kib;
        if (one->state == BUILT)
            there -= (double)one->start_kib;
        else if (!moves(one, order))
            there -= order == IN_REACH ? one->held_kib : (double)one->given_kib[AT_NO_COST];
    }
    return there > 0 ? (uint64_t)there : 0;
}

/* One group after the other, each guest from what it has to its ceiling, or to its guarantee.
 * Returns what is left. */
static uint64_t serve(struct clairvoyant *seer, enum order order, bool guarantees,
                      uint64_t left_kib)
{
    const uint32_t *index = seer->order[order];
    size_t i = 0;

    while (i < seer->count) {
        const struct one *first = &seer->ones[index[i]];
        size_t begin = i, n = 0;

        for (; i < seer->count && compare(first, &seer->ones[index[i]], order) == 0; i++) {
            const struct one *one = &seer->ones[index[i]];
            uint64_t most_kib = ceiling_kib(one);

            if (!moves(one, order))
                continue;
            seer->items[n++] = (struct fill_item){
                .floor_kib = one->given_kib[order],
                .ceiling_kib = guarantees ? smaller(most_kib, one->limits.min_kib) : most_kib,
                .weight = one->limits.weight,
            };
            left_kib += one->given_kib[order];
        }
        left_kib = fill(seer->items, n, left_kib);
        for (size_t k = begin, item = 0; k < i; k++) {
            if (moves(&seer->ones[index[k]], order))
                seer->ones[index[k]].given_kib[order] = seer->items[item++].given_kib;
        }
    }
    return left_kib;
}

static void place(struct clairvoyant *seer, enum order order)
{
    uint64_t there = there_kib(seer, order);
    uint64_t wanted = 0;
    bool enough;

    for (size_t i = 0; i < seer->count; i++) {
        if (moves(&seer->ones[i], order))
            wanted += ceiling_kib(&seer->ones[i]);
    }
    enough = wanted <= there;
    for (size_t i = 0; i < seer->count; i++) {
        struct one *one = &seer->ones[i];

        if (moves(one, order))
            one->given_kib[order] = enough ? ceiling_kib(one) : 0;
        else if (one->state == BUILT)
            one->given_kib[order] = one->start_kib;
        else if (one->state == GONE)
            one->given_kib[order] = 0;
        else if (order == FAIR)
            one->given_kib[order] = smaller(one->need_kib, one->given_kib[AT_NO_COST]);
        else if (order == IN_REACH)
            one->given_kib[order] = (uint64_t)one->held_kib;
    }
    if (enough)
        return;
    if (order != AT_NO_COST)
        there = serve(seer, order, true, there);
    (void)serve(seer, order, false, there);
}

/* In reach: memory on its way. */

static double short_kib(const struct one *one)
{
    double missing = (double)one->need_kib - one->held_kib;

    return one->counts && missing > 0 ? missing : 0;
}

/* More than it should have: negative when it has less. */
static double surplus_kib(const struct one *one)
{
    if (one->state != BUILT && !moves(one, IN_REACH))
        return 0;
    return one->held_kib - (double)one->given_kib[IN_REACH];
}

/* What is missing to those that have too little, less what is free. */
static double wanting_kib(const struct clairvoyant *seer, double *ret_free_kib,
                          double *ret_missing_kib)
{
    double free_kib = (double)seer->base_kib, missing = 0;

    for (size_t i = 0; i < seer->count; i++) {
        const struct one *one = &seer->ones[i];
        double surplus = surplus_kib(one);

        if (one->state != GONE)
            free_kib -= one->held_kib + (double)one->slack_kib;
        if (surplus < 0)
            missing -= surplus;
    }
    *ret_free_kib = free_kib;
    *ret_missing_kib = missing;
    return missing - free_kib;
}

/* The rise that is under way, after a step at whose end it is short by so much. */
static void follow_rise(struct one *one, double begin_ms, double dt, double served_ms,
                        double before_kib, double after_kib)
{
    struct rises *rises = &one->figures.reach_rises;
    double end_ms = begin_ms + served_ms;

    if (!rises->rising)
        return;
    if (after_kib > RISES_SERVED_KIB)
        rises->wait_ms += dt;
    else if (before_kib > RISES_SERVED_KIB)
        rises->wait_ms += served_ms;
    if (after_kib <= RISES_SERVED_KIB && begin_ms + dt >= (double)one->risen_ms)
        rises_end(rises, larger((uint64_t)end_ms, one->risen_ms), true);
}

/* Unmet need goes in a straight line from what it was to what it is now; one that has all it needs
 * had it after served_ms. */
static void account_reach(struct one *one, double begin_ms, double dt, double served_ms,
                          double before_kib)
{
    double after_kib = short_kib(one);

    if (before_kib > 0 || after_kib > 0)
        one->figures.reach_kib_ms += after_kib < NOTHING_KIB ? before_kib / 2 * served_ms
                                                             : (before_kib + after_kib) / 2 * dt;
    follow_rise(one, begin_ms, dt, served_ms, before_kib, after_kib);
}

/* What all that have more than they should could give within dt. */
static double can_give_kib(const struct clairvoyant *seer, double dt)
{
    double can_kib = 0;

    for (size_t i = 0; i < seer->count; i++) {
        double surplus = surplus_kib(&seer->ones[i]), most = seer->ones[i].down_kib_ms * dt;

        if (surplus > 0)
            can_kib += surplus < most ? surplus : most;
    }
    return can_kib;
}

/* Inflates for dt at its speed, or for the share of it that is wanted. */
static void give(struct one *one, double surplus_kib, double dt, double share)
{
    double most = one->down_kib_ms * dt;

    one->held_kib -= (surplus_kib < most ? surplus_kib : most) * share;
}

/* Deflates for dt at its speed, as far as memory is free. Returns when it had what it took. */
static double take(struct one *one, double missing_kib, double dt, double *free_kib)
{
    double most = one->up_kib_ms * dt;
    double got = missing_kib < most ? missing_kib : most;

    got = got < *free_kib ? got : *free_kib;
    one->held_kib += got;
    one->figures.reach_moved_kib += got;
    *free_kib -= got;
    return got / one->up_kib_ms;
}

/* All that have more than they should give at the same time, and no more than is wanting; who
 * should have more takes what is free, the first in order first. */
static void step(struct clairvoyant *seer, double dt)
{
    double free_kib, missing_kib, share = 0;
    double wanting = wanting_kib(seer, &free_kib, &missing_kib);
    double can_kib = wanting > 0 ? can_give_kib(seer, dt) : 0;

    if (can_kib > 0)
        share = wanting < can_kib ? wanting / can_kib : 1;
    free_kib += can_kib * share;
    for (size_t i = 0; i < seer->count; i++) {
        struct one *one = &seer->ones[seer->order[IN_REACH][i]];
        double surplus = surplus_kib(one), before_kib = short_kib(one), served_ms = dt;

        if (surplus > 0)
            give(one, surplus, dt, share);
        else if (surplus < 0 && free_kib > 0)
            served_ms = take(one, -surplus, dt, &free_kib);
        if (surplus < 0 && served_ms < share * dt)
            served_ms = share * dt;
        account_reach(one, seer->at_ms, dt, served_ms, before_kib);
    }
    seer->at_ms += dt;
}

static bool on_the_way(const struct clairvoyant *seer)
{
    double free_kib, missing_kib;
    double wanting = wanting_kib(seer, &free_kib, &missing_kib);

    if (missing_kib > NOTHING_KIB && free_kib > NOTHING_KIB)
        return true;
    for (size_t i = 0; i < seer->count && wanting > NOTHING_KIB; i++) {
        if (surplus_kib(&seer->ones[i]) > NOTHING_KIB)
            return true;
    }
    return false;
}

/* Looking on. */

static void account(struct one *one, double dt)
{
    if (!one->counts)
        return;
    one->figures.bound_kib_ms += (double)above(one->need_kib, one->given_kib[AT_NO_COST]) * dt;
    one->figures.fair_kib_ms += (double)one->given_kib[FAIR] * dt;
}

/* From where the accounts are up to now all was as it was last seen. */
static void live(struct clairvoyant *seer, uint64_t now_ms)
{
    double end_ms = (double)now_ms;

    if (seer->at_ms >= end_ms)
        return;
    if (seer->changed) {
        for (enum order order = 0; order < ORDERS; order++)
            place(seer, order);
        seer->changed = false;
    }
    for (size_t i = 0; i < seer->count; i++)
        account(&seer->ones[i], end_ms - seer->at_ms);
    while (seer->at_ms < end_ms) {
        double left_ms = end_ms - seer->at_ms;

        step(seer, left_ms > STEP_MS && on_the_way(seer) ? STEP_MS : left_ms);
    }
}

static enum state state_of(const struct guest *guest)
{
    switch (guest->life) {
    case GUEST_ABSENT:
    case GUEST_DYING:
        return GONE;
    case GUEST_BUILDING:
        return BUILT;
    case GUEST_RUNNING:
        return guest->booting ? BUILT : guest->spec->frozen ? STILL : MOVES;
    case GUEST_PAUSED:
    case GUEST_SHUTDOWN:
        break;
    }
    return STILL;
}

/* Its course of need is another one than before. */
static void turn(struct one *one, const struct guest *guest, uint64_t now_ms)
{
    struct rises *rises = &one->figures.reach_rises;

    one->courses = guest->courses;
    rises_end(rises, now_ms, short_kib(one) <= RISES_SERVED_KIB);
    if (!guest->climbs)
        return;
    rises_begin(rises, now_ms);
    one->risen_ms = guest->to_ms;
}

static void look(struct clairvoyant *seer, struct one *one, const struct guest *guest,
                 uint64_t now_ms)
{
    enum state state = state_of(guest);

    if (guest->courses != one->courses)
        turn(one, guest, now_ms);
    if (state == GONE && one->state != GONE) {
        rises_end(&one->figures.reach_rises, now_ms, short_kib(one) <= RISES_SERVED_KIB);
        one->held_kib = 0;
    }
    if (state == one->state && guest->stuck == one->stuck && guest->need_kib == one->need_kib
        && one->counts == (guest->life == GUEST_RUNNING))
        return;
    one->state = state;
    one->stuck = guest->stuck;
    one->counts = guest->life == GUEST_RUNNING;
    one->need_kib = guest->need_kib;
    seer->changed = true;
}

static void saw(void *context, size_t index, const struct guest *guest, uint64_t now_ms)
{
    struct clairvoyant *seer = context;

    live(seer, now_ms);
    look(seer, &seer->ones[index], guest, now_ms);
}

void clairvoyant_finish(struct clairvoyant *seer)
{
    uint64_t now_ms = seer->host->ops->now_ms(seer->host);

    live(seer, now_ms);
    for (size_t i = 0; i < seer->count; i++)
        rises_end(&seer->ones[i].figures.reach_rises, now_ms,
                  short_kib(&seer->ones[i]) <= RISES_SERVED_KIB);
}

const struct clairvoyant_figures *clairvoyant_of(const struct clairvoyant *seer, size_t index)
{
    return &seer->ones[index].figures;
}

/* Opening. */

static int by_weight(const void *a, const void *b, void *context)
{
    const struct one *ones = context;
    uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;
    int order = compare(&ones[l], &ones[r], AT_NO_COST);

    return order ? order : l < r ? -1 : 1;
}

static int by_priority_and_weight(const void *a, const void *b, void *context)
{
    const struct one *ones = context;
    uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;
    int order = compare(&ones[l], &ones[r], IN_REACH);

    return order ? order : l < r ? -1 : 1;
}

static int by_priority(const void *a, const void *b, void *context)
{
    const struct one *ones = context;
    uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;
    int order = compare(&ones[l], &ones[r], FAIR);

    return order ? order : l < r ? -1 : 1;
}

static int sort(struct clairvoyant *seer)
{
    static int (*const by[ORDERS])(const void *, const void *, void *) = {
        [AT_NO_COST] = by_weight,
        [IN_REACH] = by_priority_and_weight,
        [FAIR] = by_priority,
    };

    for (enum order order = 0; order < ORDERS; order++) {
        uint32_t *index = calloc(seer->count, sizeof(*index));

        if (!index)
            return -ENOMEM;
        for (size_t i = 0; i < seer->count; i++)
            index[i] = (uint32_t)i;
        qsort_r(index, seer->count, sizeof(*index), by[order], seer->ones);
        seer->order[order] = index;
    }
    return 0;
}

static void begin(struct clairvoyant *seer, const struct scenario *scenario, uint64_t now_ms)
{
    for (size_t i = 0; i < seer->count; i++) {
        const struct guest_spec *spec = &scenario->guests[i];
        const struct guest *guest = host_sim_guest(seer->host, i);
        struct one *one = &seer->ones[i];
        /* A balloon driver that is off its target uses some of the slack, or leaves more. */
        int64_t slack_kib = spec->frozen ? 0 : GUEST_SLACK_KIB - spec->offset_kib;

        one->limits = scenario_limits(scenario, spec);
        one->start_kib = spec->memory_kib;
        one->slack_kib = slack_kib > 0 ? (uint64_t)slack_kib : 0;
        one->up_kib_ms = (double)spec->up_kib_s / 1000;
        one->down_kib_ms = (double)spec->down_kib_s / 1000;
        one->held_kib = (double)guest->actual_kib;
        one->given_kib[AT_NO_COST] = guest->actual_kib;
        one->courses = guest->courses;
        look(seer, one, guest, now_ms);
    }
}

int clairvoyant_open(const struct scenario *scenario, struct host *host,
                     struct clairvoyant **ret_clairvoyant)
{
    struct clairvoyant *seer = calloc(1, sizeof(*seer));
    uint64_t now_ms = host->ops->now_ms(host);

    if (!seer)
        return -ENOMEM;
    seer->host = host;
    seer->count = scenario->guest_count;
    seer->at_ms = (double)now_ms;
    seer->base_kib = above(scenario->memory_kib,
                           scenario->xen_kib + scenario->dom0_kib + scenario->config.reserve_kib);
    seer->ones = calloc(seer->count, sizeof(*seer->ones));
    seer->items = calloc(seer->count, sizeof(*seer->items));
    if (seer->ones && seer->items)
        begin(seer, scenario, now_ms);
    if (!seer->ones || !seer->items || sort(seer) < 0) {
        clairvoyant_free(seer);
        return -ENOMEM;
    }
    host_sim_watch(host, saw, seer);
    *ret_clairvoyant = seer;
    return 0;
}

void clairvoyant_free(struct clairvoyant *seer)
{
    if (!seer)
        return;
    host_sim_watch(seer->host, NULL, NULL);
    for (size_t i = 0; seer->ones && i < seer->count; i++)
        rises_free(&seer->ones[i].figures.reach_rises);
    for (enum order order = 0; order < ORDERS; order++)
        free(seer->order[order]);
    free(seer->ones);
    free(seer->items);
    free(seer);
}
