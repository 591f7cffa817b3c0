/* SPDX-License-Identifier: ISC */
#include "host/host-sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "core/demand.h"
#include "host/state-memory.h"
#include "util/bounds.h"
#include "util/log.h"

/* In real time the guests live in steps of this. */
#define TICK_MS 20

/* Who found no memory for a guest that rebooted tries again. */
#define COME_BACK_MS 1000

/* An event of the scenario each time that it happens. */
struct occurrence {
    uint64_t at_ms; /* on the host's clock */
    const struct scenario_event *event;
};

struct host_sim {
    struct host host;
    const struct scenario *scenario;
    uint64_t random;
    uint64_t now_ms;
    bool stirred; /* something happened since host_sim_advance() was called */
    bool changed; /* something but a post since the last observation */

    /* The hypervisor's. */
    struct guest *guests;
    uint64_t *due_ms; /* of each guest: beside each other, because they are looked through often */
    size_t count;
    uint32_t next_domid;
    uint64_t free_kib;
    uint64_t claims_kib;
    uint64_t reach_kib; /* sum of all guests */

    struct occurrence *occurrences;
    size_t occurrence_count;
    size_t next_occurrence;

    uint64_t fail_random; /* of its own: what happens does not depend on how many calls are made */
    const struct scenario_event *asked[RESERVATIONS_MAX]; /* reservations, since the last look */
    size_t asked_count;

    uint32_t fail_percent;
    uint64_t fail_until_ms;

    uint64_t reserve_kib;
    uint64_t excused_kib; /* so far dom0 itself has broken the promise */
    bool overtaken;       /* dom0 itself has acted since the host was looked at */
    struct host_sim_truth truth;
    char broken[200];

    struct state_memory state;

    host_sim_watcher *watcher;
    void *watcher_context;

    bool real_time;
    int timer;
    uint64_t clock_ms; /* of the system when the scenario began */
};

static struct host_sim *sim_of(struct host *host)
{
    return (struct host_sim *)host;
}

static const struct host_sim *const_sim_of(const struct host *host)
{
    return (const struct host_sim *)host;
}

/* The truth. */

/* More than the host has; 0 while the promise is kept. */
static uint64_t excess_kib(const struct host_sim *sim)
{
    const struct scenario *scenario = sim->scenario;
    uint64_t taken_kib = sim->reach_kib + scenario->dom0_kib + scenario->xen_kib + sim->reserve_kib;

    return above(taken_kib, scenario->memory_kib);
}

static void cry(struct host_sim *sim, const char *who, const char *what, uint64_t kib)
{
    sim->truth.promise_broken++;
    if (sim->broken[0] == '\0')
        (void)snprintf(sim->broken, sizeof(sim->broken), "at %.3f s, %s: %s by %" PRIu64 " KiB",
                       (double)(sim->now_ms - HOST_SIM_BEGIN_MS) / 1000, who, what, kib);
    if (sim->real_time)
        log_error("promise broken: %s: %s by %" PRIu64 " KiB", who, what, kib);
}

/* To be called after every event. What somebody in dom0 broke is excused, and may only mend. */
static void check(struct host_sim *sim, const char *who)
{
    uint64_t excess = excess_kib(sim);

    if (excess > sim->excused_kib)
        cry(sim, who, "more can be taken than there is", excess - sim->excused_kib);
    sim->excused_kib = excess;
    sim->truth.least_free_kib = smaller(sim->truth.least_free_kib, sim->free_kib);
}

static void excuse(struct host_sim *sim)
{
    sim->excused_kib = larger(sim->excused_kib, excess_kib(sim));
}

/* The sums, once more from the beginning: the books must agree. */
static void audit(struct host_sim *sim)
{
    uint64_t reach_kib = 0;
    uint64_t held_kib = sim->scenario->dom0_kib + sim->scenario->xen_kib + sim->free_kib;

    for (size_t i = 0; i < sim->count; i++) {
        reach_kib += guest_reach_kib(&sim->guests[i]);
        held_kib += sim->guests[i].actual_kib;
    }
    if (reach_kib != sim->reach_kib || held_kib != sim->scenario->memory_kib)
        cry(sim, "the simulator", "its own books are wrong", reach_kib);
}

/* What was counted of a guest before an event. */
struct before {
    uint64_t actual_kib;
    uint64_t reach_kib;
    uint64_t claim_kib;
    enum guest_life life;
};

static struct before begin_change(const struct guest *guest)
{
    return (struct before){
        .actual_kib = guest->actual_kib,
        .reach_kib = guest_reach_kib(guest),
        .claim_kib = guest_claim_kib(guest),
        .life = guest->life,
    };
}

static void end_change(struct host_sim *sim, const struct guest *guest, struct before before,
                       bool by_dom0)
{
    sim->free_kib = sim->free_kib + before.actual_kib - guest->actual_kib;
    sim->claims_kib = sim->claims_kib - before.claim_kib + guest_claim_kib(guest);
    sim->reach_kib = sim->reach_kib - before.reach_kib + guest_reach_kib(guest);
    sim->due_ms[guest - sim->guests] = guest->next_ms;
    sim->changed |= by_dom0 || guest->life != before.life;
    sim->stirred |= sim->changed || guest->fresh;
    /* What was still to be given when it acted could not know of it. */
    sim->overtaken |= by_dom0;
    if (sim->overtaken)
        excuse(sim);
    check(sim, guest->spec->name);
    if (sim->watcher)
        sim->watcher(sim->watcher_context, (size_t)(guest - sim->guests), guest, sim->now_ms);
}

/* Guests. */

/* What others may take: not what is claimed for one that is being built. */
static uint64_t free_for(const struct host_sim *sim, const struct guest *guest)
{
    uint64_t others_kib = sim->claims_kib - guest_claim_kib(guest);

    return above(sim->free_kib, others_kib);
}

static bool fits(const struct host_sim *sim, const struct guest *guest)
{
    return sim->free_kib >= sim->claims_kib + guest->spec->memory_kib;
}

/* A guest that rebooted is built anew by its toolstack, when there is memory for it, and has the
 * same domid: so far a hypervisor could only bring it after all others were used. */
static void come_back(struct host_sim *sim, struct guest *guest)
{
    struct before before = begin_change(guest);

    if (fits(sim, guest))
        guest_build(guest, guest->domid, sim->now_ms);
    else
        guest->next_ms = sim->now_ms + COME_BACK_MS;
    end_change(sim, guest, before, true);
}

static void step(struct host_sim *sim, struct guest *guest)
{
    struct before before = begin_change(guest);

    guest_step(guest, sim->now_ms, free_for(sim, guest));
    end_change(sim, guest, before, false);
    if (guest->life == GUEST_ABSENT && guest->mischief.again)
        come_back(sim, guest);
}

static uint64_t first_due_ms(const struct host_sim *sim)
{
    uint64_t due_ms = UINT64_MAX;

    for (size_t i = 0; i < sim->count; i++)
        due_ms = smaller(due_ms, sim->due_ms[i]);
    return due_ms;
}

static void step_due(struct host_sim *sim)
{
    for (size_t i = 0; i < sim->count; i++) {
        if (sim->due_ms[i] <= sim->now_ms)
            step(sim, &sim->guests[i]);
    }
}

/* Events. */

static void create(struct host_sim *sim, struct guest *guest)
{
    if (guest->life != GUEST_ABSENT || !fits(sim, guest)) {
        sim->truth.create_failed++;
        return;
    }
    guest_build(guest, sim->next_domid++, sim->now_ms);
}

static uint64_t draw_kib(struct host_sim *sim, const struct scenario_event *event)
{
    return event->low_kib
           + guest_random(&sim->random) % (event->high_kib - event->low_kib + 1) / 1024 * 1024;
}

static void act(struct host_sim *sim, const struct scenario_event *event, struct guest *guest)
{
    uint64_t kib;

    switch (event->action) {
    case ACTION_NEED:
        guest_set_need(guest, draw_kib(sim, event), event->over_ms, event->for_ms);
        break;
    case ACTION_READ:
        guest_read(guest, draw_kib(sim, event), event->for_ms);
        break;
    case ACTION_STUCK:
        guest_stick(guest, event->for_ms);
        break;
    case ACTION_LOOSE:
        guest_loosen(guest);
        break;
    case ACTION_PAUSE:
        guest_pause(guest, event->for_ms);
        break;
    case ACTION_UNPAUSE:
        guest_unpause(guest);
        break;
    case ACTION_CREATE:
        create(sim, guest);
        break;
    case ACTION_SHUTDOWN:
        guest_shutdown(guest);
        break;
    case ACTION_DESTROY:
        guest_destroy(guest);
        break;
    case ACTION_ACTS:
        mischief_set(guest, event->acts);
        break;
    case ACTION_MEM_SET:
        kib = smaller(draw_kib(sim, event), guest->spec->maxmem_kib);
        guest_set_target(guest, kib, kib + GUEST_SLACK_KIB);
        break;
    case ACTION_MEM_MAX:
        guest_set_cap(guest, draw_kib(sim, event));
        break;
    case ACTION_FAIL:
    case ACTION_RESERVE:
        break;
    }
}

/* What happens to a guest that is not there happens to nobody, but that it may be created. */
static bool concerns(const struct scenario_event *event, const struct guest *guest)
{
    bool there = guest->life != GUEST_ABSENT && guest->life != GUEST_DYING;

    return there != (event->action == ACTION_CREATE)
           && scenario_match(event->guests, guest->spec->name);
}

static void happen_to(struct host_sim *sim, const struct scenario_event *event, struct guest *guest)
{
    struct before before;

    step(sim, guest);
    if (!concerns(event, guest))
        return;
    before = begin_change(guest);
    act(sim, event, guest);
    end_change(sim, guest, before,
               event->action == ACTION_CREATE || event->action == ACTION_MEM_SET
                   || event->action == ACTION_MEM_MAX);
}

static void happen(struct host_sim *sim, const struct scenario_event *event)
{
    size_t match = 0;

    if (event->action == ACTION_FAIL) {
        sim->fail_percent = event->percent;
        sim->fail_until_ms = event->for_ms > 0 ? sim->now_ms + event->for_ms : UINT64_MAX;
        return;
    }
    if (event->action == ACTION_RESERVE) {
        if (sim->asked_count < RESERVATIONS_MAX)
            sim->asked[sim->asked_count++] = event;
        sim->stirred = true;
        return;
    }
    for (size_t i = 0; i < sim->count; i++) {
        if (!concerns(event, &sim->guests[i]))
            continue;
        match++;
        if (!event->random)
            happen_to(sim, event, &sim->guests[i]);
    }
    if (match == 0 && event->action == ACTION_CREATE)
        sim->truth.create_failed++;
    if (!event->random || match == 0)
        return;
    match = guest_random(&sim->random) % match;
    for (size_t i = 0; i < sim->count; i++) {
        if (concerns(event, &sim->guests[i]) && match-- == 0) {
            happen_to(sim, event, &sim->guests[i]);
            return;
        }
    }
}

static uint64_t next_event_ms(const struct host_sim *sim)
{
    return sim->next_occurrence < sim->occurrence_count
               ? sim->occurrences[sim->next_occurrence].at_ms
               : UINT64_MAX;
}

bool host_sim_advance(struct host *host, uint64_t to_ms)
{
    struct host_sim *sim = sim_of(host);

    while (!sim->stirred) {
        uint64_t due_ms = smaller(first_due_ms(sim), next_event_ms(sim));

        /* Whole quanta: so guests that are busy are stepped together. */
        if (due_ms < UINT64_MAX - GUEST_QUANTUM_MS)
            due_ms = (due_ms + GUEST_QUANTUM_MS - 1) / GUEST_QUANTUM_MS * GUEST_QUANTUM_MS;
        if (due_ms > to_ms)
            break;
        sim->now_ms = larger(sim->now_ms, due_ms);
        step_due(sim);
        while (next_event_ms(sim) <= sim->now_ms)
            happen(sim, sim->occurrences[sim->next_occurrence++].event);
    }
    if (sim->stirred) {
        sim->stirred = false;
        return true;
    }
    sim->now_ms = larger(sim->now_ms, to_ms);
    return false;
}

/* To to_ms, whatever happens meanwhile. Returns true when something did. */
static bool advance_all(struct host_sim *sim, uint64_t to_ms)
{
    bool stirred = false;

    while (host_sim_advance(&sim->host, to_ms))
        stirred = true;
    return stirred;
}

/* The host's operations. */

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In real time: to the present. */
static bool catch_up(struct host_sim *sim)
{
    return sim->real_time && advance_all(sim, HOST_SIM_BEGIN_MS + clock_ms() - sim->clock_ms);
}

static uint64_t now_ms(struct host *host)
{
    return sim_of(host)->now_ms;
}

static struct post_text text_of(const char *text)
{
    return (struct post_text){ .text = text, .len = strlen(text) };
}

/* Returns 0 or -EINVAL. */
static int take_post(struct guest *guest, struct domain *domain, uint64_t now_ms)
{
    struct post_text first = text_of(guest->text[0]);
    struct post_text second = text_of(guest->text[1]);

    switch (guest->spec->posts) {
    case DIALECT_BALLAST:
        return post_take_ballast(&domain->post, first, domain->actual_kib, now_ms);
    case DIALECT_XENSERVER:
        return post_take_xenserver(&domain->post, first, second, domain->actual_kib, now_ms);
    case DIALECT_QUBES:
        return post_take_qubes(&domain->post, first, second, domain->actual_kib,
                               domain->static_max_kib, now_ms);
    case DIALECT_NONE:
    case DIALECT_SELFBALLOON:
        break;
    }
    return 0;
}

static enum domain_phase phase_of(enum guest_life life)
{
    static const enum domain_phase phases[] = {
        [GUEST_BUILDING] = PHASE_BUILDING, [GUEST_RUNNING] = PHASE_RUNNING,
        [GUEST_PAUSED] = PHASE_PAUSED,     [GUEST_SHUTDOWN] = PHASE_SHUTDOWN,
        [GUEST_DYING] = PHASE_DYING,
    };

    return phases[life];
}

static void tell_bad_post(struct guest *guest, struct round *round, const struct domain *domain)
{
    if (guest->bad_told_ms != 0 && round->now_ms - guest->bad_told_ms < HOST_BAD_TOLD_MS)
        return;
    guest->bad_told_ms = round->now_ms;
    round_note(round, EVENT_BAD_POST, domain, "its post is no report: not counted");
}

static int observe_guest(struct guest *guest, struct round *round)
{
    struct domain *domain = round_see(round, guest->domid, guest->uuid);

    if (!domain)
        return -ENOMEM;
    if (!domain->has_target) {
        memcpy(domain->name, guest->spec->name, sizeof(domain->name));
        domain->type = guest->spec->type;
        domain->has_target = true;
        domain->started_ms = guest->started_ms;
        domain->start_kib = guest->target_kib;
        domain->static_max_kib = guest->spec->maxmem_kib;
        domain->slack_kib = GUEST_SLACK_KIB;
    }
    domain->phase = phase_of(guest->life);
    domain->actual_kib = domain->actual_low_kib = guest->actual_kib;
    domain->cap_kib = guest->cap_kib;
    domain->claim_kib = guest_claim_kib(guest);
    domain->target_kib = guest->target_kib;
    if (guest->fresh && take_post(guest, domain, round->now_ms) < 0)
        tell_bad_post(guest, round, domain);
    guest->fresh = false;
    return 0;
}

static int observe_dom0(const struct host_sim *sim, struct round *round)
{
    static const uint8_t uuid[16];
    struct domain *dom0 = round_see(round, 0, uuid);

    if (!dom0)
        return -ENOMEM;
    (void)snprintf(dom0->name, sizeof(dom0->name), "Domain-0");
    dom0->phase = PHASE_RUNNING;
    dom0->actual_kib = dom0->actual_low_kib = sim->scenario->dom0_kib;
    dom0->cap_kib = dom0->target_kib = dom0->static_max_kib = sim->scenario->dom0_kib;
    return 0;
}

/* Whoever reserves memory on this host does so when it is looked at. */
static void reserve(struct host_sim *sim, struct round *round)
{
    for (size_t i = 0; i < sim->asked_count; i++) {
        const struct scenario_event *event = sim->asked[i];
        const struct reserve_request request = {
            .least_kib = event->low_kib,
            .most_kib = event->high_kib,
            .wait_ms = RESERVE_WAIT_MS,
            .hold_ms = event->for_ms > 0 ? event->for_ms : RESERVE_HOLD_MS,
        };

        (void)reserve_add(&round->reservations, &request, sim->now_ms);
    }
    sim->asked_count = 0;
}

static int observe(struct host *host, struct round *round)
{
    struct host_sim *sim = sim_of(host);
    int r;

    sim->stirred |= catch_up(sim);
    audit(sim);
    /* The operator may lower the reserve of a running daemon. */
    if (sim->real_time && round->number > 0)
        sim->reserve_kib = smaller(sim->scenario->config.reserve_kib, round->reserve_kib);
    round_begin(round, sim->now_ms);
    reserve(sim, round);
    sim->changed = false;
    sim->overtaken = false;
    round->total_kib = sim->scenario->memory_kib;
    round->free_kib = sim->free_kib;
    round->scrub_kib = 0;
    round->claims_kib = 0;
    r = observe_dom0(sim, round);
    for (size_t i = 0; i < sim->count && r == 0; i++) {
        if (sim->guests[i].life != GUEST_ABSENT)
            r = observe_guest(&sim->guests[i], round);
    }
    round_end(round);
    return r;
}

static struct guest *find(struct host_sim *sim, const struct domain *domain)
{
    for (size_t i = 0; i < sim->count; i++) {
        if (sim->guests[i].life == GUEST_RUNNING && sim->guests[i].domid == domain->domid
            && memcmp(sim->guests[i].uuid, domain->uuid, sizeof(domain->uuid)) == 0)
            return &sim->guests[i];
    }
    return NULL;
}

static bool call_fails(struct host_sim *sim)
{
    return sim->now_ms < sim->fail_until_ms
           && guest_random(&sim->fail_random) % 100 < sim->fail_percent;
}

static int set_target(struct host *host, const struct domain *domain, uint64_t target_kib,
                      uint64_t cap_kib)
{
    struct host_sim *sim = sim_of(host);
    struct before before;
    struct guest *guest;

    /* Guests do not wait while we call. */
    if (!sim->real_time && advance_all(sim, sim->now_ms + sim->scenario->call_ms))
        sim->stirred = true;
    guest = find(sim, domain);
    if (!guest)
        return -ESRCH;
    sim->truth.calls++;
    guest->stats.moves++;
    if (call_fails(sim)) {
        sim->truth.calls_failed++;
        return -EIO;
    }
    if (target_kib > guest->spec->maxmem_kib)
        return -EINVAL;
    step(sim, guest);
    before = begin_change(guest);
    if (target_kib < guest->target_kib
        && target_kib < scenario_limits(sim->scenario, guest->spec).min_kib)
        guest->stats.below_min++;
    guest_set_target(guest, target_kib, target_kib + GUEST_SLACK_KIB);
    end_change(sim, guest, before, false);
    return guest->cap_kib <= cap_kib ? 0 : -EIO;
}

static int sched_get(struct host *host, const struct domain *domain, struct sched *ret_sched)
{
    const struct guest *guest = find(sim_of(host), domain);

    if (!guest)
        return -ESRCH;
    *ret_sched = guest->sched;
    return 0;
}

static int sched_set(struct host *host, const struct domain *domain, const struct sched *sched)
{
    struct guest *guest = find(sim_of(host), domain);

    if (!guest)
        return -ESRCH;
    guest->sched = *sched;
    return 0;
}

static int fd(struct host *host)
{
    return sim_of(host)->timer;
}

static int dispatch(struct host *host)
{
    struct host_sim *sim = sim_of(host);
    uint64_t expirations;

    if (read(sim->timer, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
        return -errno;
    return catch_up(sim) ? 1 : 0;
}

/* Takes in the post of one guest. What is no report is left to the next observation to tell. */
static bool post_has_news(struct guest *guest, struct domain *domain, uint64_t now_ms)
{
    if (!guest->fresh)
        return false;
    if (take_post(guest, domain, now_ms) < 0)
        return true;
    guest->fresh = false;
    return demand_has_news(domain);
}

static bool has_news(struct host *host, struct round *round)
{
    struct host_sim *sim = sim_of(host);
    bool news = sim->changed;

    for (size_t i = 0; i < sim->count; i++) {
        struct guest *guest = &sim->guests[i];
        struct domain *domain =
            guest->life == GUEST_ABSENT ? NULL : round_find(round, guest->domid);

        if (domain && memcmp(domain->uuid, guest->uuid, sizeof(guest->uuid)) == 0)
            news |= post_has_news(guest, domain, sim->now_ms);
    }
    return news;
}

static int state_get(struct host *host, const char *key, char **ret_text)
{
    return state_memory_get(&sim_of(host)->state, key, ret_text);
}

static int state_set(struct host *host, const char *key, const char *text)
{
    return state_memory_set(&sim_of(host)->state, key, text);
}

static int state_list(struct host *host, const char *key,
                      void (*each)(void *context, const char *name), void *context)
{
    state_memory_list(&sim_of(host)->state, key, each, context);
    return 0;
}

static void close_sim(struct host *host)
{
    struct host_sim *sim = sim_of(host);

    for (size_t i = 0; sim->guests && i < sim->count; i++)
        guest_free(&sim->guests[i]);
    if (sim->timer >= 0)
        (void)close(sim->timer);
    free(sim->guests);
    free(sim->due_ms);
    free(sim->occurrences);
    state_memory_free(&sim->state);
    free(sim);
}

static const struct host_ops sim_ops = {
    .name = "sim",
    .now_ms = now_ms,
    .observe = observe,
    .set_target = set_target,
    .sched_get = sched_get,
    .sched_set = sched_set,
    .state_get = state_get,
    .state_set = state_set,
    .state_list = state_list,
    .fd = fd,
    .dispatch = dispatch,
    .has_news = has_news,
    .close = close_sim,
};

/* Opening. */

static size_t times(const struct scenario_event *event)
{
    return event->every_ms ? (size_t)((event->until_ms - event->at_ms) / event->every_ms) + 1 : 1;
}

static int by_time(const void *a, const void *b)
{
    const struct occurrence *l = a, *r = b;

    if (l->at_ms != r->at_ms)
        return l->at_ms < r->at_ms ? -1 : 1;
    return l->event < r->event ? -1 : l->event > r->event;
}

static int plan_events(struct host_sim *sim)
{
    const struct scenario *scenario = sim->scenario;
    size_t room = 0;

    for (size_t i = 0; i < scenario->event_count; i++)
        room += times(&scenario->events[i]);
    sim->occurrences = calloc(room + 1, sizeof(*sim->occurrences));
    if (!sim->occurrences)
        return -ENOMEM;
    for (size_t i = 0; i < scenario->event_count; i++) {
        const struct scenario_event *event = &scenario->events[i];

        for (size_t k = 0; k < times(event); k++) {
            struct occurrence *occurrence = &sim->occurrences[sim->occurrence_count++];

            occurrence->event = event;
            occurrence->at_ms = HOST_SIM_BEGIN_MS + event->at_ms + k * event->every_ms
                                + guest_random(&sim->random) % (event->jitter_ms + 1);
        }
    }
    qsort(sim->occurrences, sim->occurrence_count, sizeof(*sim->occurrences), by_time);
    return 0;
}

static int begin_guests(struct host_sim *sim, uint64_t seed)
{
    const struct scenario *scenario = sim->scenario;

    sim->guests = calloc(scenario->guest_count, sizeof(*sim->guests));
    sim->due_ms = calloc(scenario->guest_count, sizeof(*sim->due_ms));
    if (!sim->guests || !sim->due_ms)
        return -ENOMEM;
    sim->count = scenario->guest_count;
    sim->free_kib = scenario->memory_kib - scenario->xen_kib - scenario->dom0_kib;
    for (size_t i = 0; i < sim->count; i++) {
        struct guest *guest = &sim->guests[i];

        guest_init(guest, &scenario->guests[i], seed);
        guest->min_kib = scenario_limits(scenario, guest->spec).min_kib;
        if (!scenario->guests[i].later)
            guest_begin(guest, sim->next_domid++, sim->now_ms);
        sim->due_ms[i] = guest->next_ms;
        sim->free_kib -= guest->actual_kib;
        sim->reach_kib += guest_reach_kib(guest);
    }
    return 0;
}

static int start_timer(struct host_sim *sim)
{
    const struct itimerspec every = {
        .it_interval = { .tv_nsec = TICK_MS * 1000000L },
        .it_value = { .tv_nsec = TICK_MS * 1000000L },
    };

    sim->clock_ms = clock_ms();
    sim->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (sim->timer < 0 || timerfd_settime(sim->timer, 0, &every, NULL) < 0)
        return -errno;
    return 0;
}

int host_sim_open(const struct scenario *scenario, uint64_t seed, bool real_time,
                  struct host **ret_host)
{
    struct host_sim *sim = calloc(1, sizeof(*sim));
    int r = -ENOMEM;

    if (!sim)
        goto out;
    sim->host.ops = &sim_ops;
    sim->scenario = scenario;
    sim->random = seed;
    sim->fail_random = ~seed;
    sim->now_ms = HOST_SIM_BEGIN_MS;
    sim->next_domid = 1;
    sim->reserve_kib = scenario->config.reserve_kib;
    sim->real_time = real_time;
    sim->timer = -1;
    r = begin_guests(sim, guest_random(&sim->random));
    if (r == 0)
        r = plan_events(sim);
    if (r == 0 && real_time)
        r = start_timer(sim);
    if (r < 0)
        goto out;
    sim->truth.least_free_kib = sim->free_kib;
    sim->truth.broken = sim->broken;
    excuse(sim);
    *ret_host = &sim->host;
    return 0;
out:
    log_error("the simulated host: %s", strerror(-r));
    if (sim)
        close_sim(&sim->host);
    return r;
}

/* For who looks on. */

const struct guest *host_sim_guest(const struct host *host, size_t index)
{
    const struct host_sim *sim = const_sim_of(host);

    return index < sim->count ? &sim->guests[index] : NULL;
}

void host_sim_watch(struct host *host, host_sim_watcher *watcher, void *context)
{
    struct host_sim *sim = sim_of(host);

    sim->watcher = watcher;
    sim->watcher_context = context;
}

void host_sim_truth(const struct host *host, struct host_sim_truth *ret_truth)
{
    const struct host_sim *sim = const_sim_of(host);

    *ret_truth = sim->truth;
    ret_truth->free_kib = sim->free_kib;
}

void host_sim_finish(struct host *host)
{
    struct host_sim *sim = sim_of(host);

    for (size_t i = 0; i < sim->count; i++) {
        step(sim, &sim->guests[i]);
        guest_finish(&sim->guests[i]);
    }
}

bool host_sim_event(const struct host *host, size_t index, uint64_t *ret_ms,
                    const struct scenario_event **ret_event)
{
    const struct host_sim *sim = const_sim_of(host);

    if (index >= sim->occurrence_count)
        return false;
    *ret_ms = sim->occurrences[index].at_ms - HOST_SIM_BEGIN_MS;
    *ret_event = sim->occurrences[index].event;
    return true;
}
