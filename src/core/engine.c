/* SPDX-License-Identifier: ISC */
/* One round, in the order in which it is read:
 *
 *   observe --> judge --> estimate --> decide --> pace --> guard --> apply --> publish
 *   host        conduct   demand       policies/  pace     guard     host      events, reasons
 *
 * Between judge and estimate the host's memory is reckoned up: what there is to share, and who
 * takes part. Everything between observe and apply is pure, but for a policy that is a program of
 * the operator's own, which is asked there. */
#include "core/engine.h"

#include <errno.h>
#include <string.h>

#include "core/conduct.h"
#include "core/demand.h"
#include "core/pace.h"
#include "util/bounds.h"

/* While memory is on its way: Linux' balloon takes 60 to 110 ms for a step (measured). */
#define MOVING_MS 100

/* A balloon that has stood still for so long is not on its way. */
#define STANDING_MS 5000

/* After a call that failed the domain is left alone so long, doubled each time, and told of
 * once. */
#define CALL_RETRY_FIRST_MS 100
#define CALL_RETRY_MOST_MS 60000

/* An external policy that is slower than this is broken, even where nobody waits for it. */
#define PATIENT_MS 10000

/* A balloon driver that was woken lets go something within this, if it can (measured: 0.2 s). */
#define LATE_MS 500

/* The pool serves what grows within a second or two: on a larger host that is more. */
#define POOL_LEAST_KIB 65536
#define POOL_SHARE 256

/* Nearer than this to a size is at it. */
#define NEAR_KIB 4096

void engine_init(struct engine *ret_engine, struct host *host, struct config *config)
{
    memset(ret_engine, 0, sizeof(*ret_engine));
    ret_engine->host = host;
    round_init(&ret_engine->round);
    engine_configure(ret_engine, config);
}

void engine_free(struct engine *engine)
{
    external_free(engine->external);
    round_free(&engine->round);
    config_free(&engine->config);
}

void engine_configure(struct engine *engine, struct config *config)
{
    config_free(&engine->config);
    engine->config = *config;
    config_init(config);
}

void engine_reload(struct engine *engine, struct config *config)
{
    external_free(engine->external);
    engine->external = NULL;
    engine_configure(engine, config);
}

/* A program stands before `weighted`, which decides when the program does not. */
static void choose_policy(struct engine *engine)
{
    const char *name = engine->config.policy;

    engine->policy = policy_find(name);
    if (engine->external && !external_is(engine->external, name)) {
        external_free(engine->external);
        engine->external = NULL;
    }
    if (engine->policy)
        return;
    engine->policy = &policy_weighted;
    if (!engine->external)
        engine->external = external_new(name, !engine->patient);
}

static void configure(struct engine *engine)
{
    const struct config *config = &engine->config;
    struct round *round = &engine->round;

    choose_policy(engine);
    round->reserve_kib = config->reserve_kib;
    round->pool_kib = config->pool_kib;
    if (round->pool_kib == POOL_AUTO)
        round->pool_kib = larger(POOL_LEAST_KIB, round->total_kib / POOL_SHARE);
    round->surplus_spread = config->surplus_spread;
    round->idle_tax = config->idle_tax;
    round->grace_ms = config->grace_ms;
    for (size_t i = 0; i < round->count; i++) {
        if (round->domains[i].config_generation != config->generation)
            config_apply(config, &round->domains[i]);
    }
}

/* On probation a domain may have what it needs, but is given nothing above its share: one that gives
 * and keeps by turns would keep that, too. */
static uint64_t top_on_probation(const struct domain *domain)
{
    uint64_t most = larger(domain->entitled_kib, domain->actual_kib);

    return clamp(smaller(domain->need_kib, most), domain->min_kib, domain->max_kib);
}

/* One that does not let go has no more than its guarantee from us, and no surplus for a while
 * after; one that does not take what it is given gets no more than it holds for a while. */
static uint64_t top_of(const struct round *round, const struct domain *domain)
{
    if (!conduct_trusted(domain))
        return domain->min_kib;
    if (conduct_on_probation(round, domain))
        return top_on_probation(domain);
    if (round->now_ms >= domain->conduct.short_retry_ms)
        return domain->max_kib;
    return smaller(larger(domain->actual_kib, domain->min_kib), domain->max_kib);
}

/* What a domain can reach. The hypervisor gives a dying one nothing: one that cannot end, since
 * something holds pages of it, takes no more whatever its cap is. */
static struct guard_domain reach_of(const struct domain *domain)
{
    bool dying = domain->phase == PHASE_DYING;

    return (struct guard_domain){
        .actual_kib = domain->actual_low_kib,
        .cap_kib = dying ? domain->actual_low_kib : smaller(domain->cap_kib, GUARD_KIB_MAX),
        .claim_kib = dying ? 0 : domain->claim_kib,
    };
}

/* What the guard sees of a domain. Where a maximum was lowered below the target, pace.c takes the
 * domain down to it step by step: until then the target stands for the maximum. libxl takes no
 * target above static-max. */
static struct guard_domain as_guard_domain(const struct round *round, const struct domain *domain)
{
    int64_t min = (int64_t)domain->min_kib - domain->offset_kib;
    int64_t max = (int64_t)domain->max_kib - domain->offset_kib;
    uint64_t most = smaller(max > 0 ? (uint64_t)max : 0, domain->static_max_kib);
    struct guard_domain seen = reach_of(domain);

    seen.fixed = !domain_touchable(domain) || round->now_ms < domain->call_retry_ms;
    seen.uncounted = !domain->shares;
    seen.target_kib = domain->target_kib;
    seen.slack_kib = domain->slack_kib;
    seen.min_kib = min > 0 ? (uint64_t)min : 0;
    seen.max_kib = larger(most, domain->target_kib);
    seen.goal_kib = domain->goal_kib;
    return seen;
}

static struct guard_host as_guard_host(const struct round *round)
{
    return (struct guard_host){
        .free_kib = round->free_kib + round->slip_kib,
        .claims_kib = round->claims_kib,
        .reserve_kib = round->reserve_kib,
        .reserved_kib = round->reserved_kib,
    };
}

/* Guests moved while the counters were read, so the headroom that they give may be too small by
 * moved_kib. A shortfall within that is none: nobody's cap is cut for it, but nothing is there to
 * give either. */
static uint64_t slip(int64_t headroom_kib, uint64_t moved_kib)
{
    uint64_t shortfall = headroom_kib < 0 ? (uint64_t)-headroom_kib : 0;

    return shortfall <= moved_kib ? shortfall : 0;
}

/* What is summed up over the domains that share. */
struct sums {
    uint64_t minimums_kib;
    uint64_t bottoms_kib;
    uint64_t needs_kib; /* as last estimated */
    uint64_t owed_kib;  /* what their caps lack of their minimums */
    uint64_t late_kib;  /* kept by those that were asked for it and do not move */
    bool below_min;
};

static uint64_t lacks_of_min_kib(const struct domain *domain)
{
    int64_t cap = (int64_t)domain->min_kib - domain->offset_kib + (int64_t)domain->slack_kib;

    return cap > (int64_t)domain->cap_kib ? (uint64_t)cap - domain->cap_kib : 0;
}

static uint64_t late_kib(const struct round *round, const struct domain *domain)
{
    bool late = conduct_owes(domain) && domain->conduct.asked_ms != 0
                && round->now_ms - domain->conduct.progress_ms >= LATE_MS;

    return late && domain->actual_kib > domain->want_kib ? domain->actual_kib - domain->want_kib
                                                         : 0;
}

static void add_up(const struct round *round, struct domain *domain, struct sums *sums)
{
    domain->top_kib = top_of(round, domain);
    domain->bottom_kib = smaller(round_bottom_kib(round, domain, round->now_ms), domain->top_kib);
    sums->minimums_kib += domain->min_kib;
    sums->bottoms_kib += domain->bottom_kib;
    sums->needs_kib += clamp(domain->need_kib, domain->bottom_kib, domain->top_kib);
    sums->owed_kib += lacks_of_min_kib(domain);
    sums->late_kib += late_kib(round, domain);
    sums->below_min |=
        (int64_t)domain->target_kib + domain->offset_kib + NEAR_KIB < (int64_t)domain->min_kib;
}

/* Takes wanted_kib away, but nothing below bottom_kib. Returns what is left. */
static uint64_t take_above(uint64_t there_kib, uint64_t bottom_kib, uint64_t wanted_kib)
{
    return there_kib > bottom_kib ? larger(bottom_kib, there_kib - smaller(wanted_kib, there_kib))
                                  : there_kib;
}

/* What reservations still lack is not shared out: what they must have down to what the domains
 * keep, what they may have besides only down to what the domains need. Where a domain does not let
 * go, the others let go more meanwhile: a dead one costs no time. Returns true when somebody waits
 * for what he must have. */
static bool withhold(struct round *round, const struct sums *sums)
{
    struct reserve_wants wants = reserve_wants(&round->reservations);

    if (wants.must_kib > 0 || (round->waiting && sums->owed_kib > 0))
        wants.must_kib += sums->late_kib;
    else if (round->waiting)
        wants.may_kib += sums->late_kib;
    round->share_kib = take_above(round->share_kib, sums->bottoms_kib, wants.must_kib);
    round->share_kib = take_above(round->share_kib, sums->needs_kib, wants.may_kib);
    return wants.must_kib > 0;
}

/* Headroom, and with it what reservations hold of it. The guarantees that wait come before them. */
static void reckon_headroom(struct round *round, const struct sums *sums)
{
    int64_t headroom = (int64_t)round->free_kib - (int64_t)round->claims_kib
                       - (int64_t)round->reserve_kib - (int64_t)round->promised_kib;
    int64_t left;

    reserve_begin(round);
    left = headroom - (int64_t)round->reserved_kib;
    round->slip_kib = slip(left, round->moved_kib);
    left += (int64_t)round->slip_kib;
    if (left < 0)
        reserve_yield(round, (uint64_t)-left);
    round->headroom_kib = headroom + (int64_t)round->slip_kib - (int64_t)round->reserved_kib;
    reserve_gather(round, sums->owed_kib);
}

/* held_kib: what those that share hold and may still take, less the slack of their caps, which they
 * leave untaken at rest. */
static void reckon_share(struct round *round, const struct sums *sums, int64_t held_kib)
{
    int64_t share_kib = round->headroom_kib + held_kib;

    round->share_kib = share_kib > 0 ? (uint64_t)share_kib : 0;
    round->minimums_fit = sums->minimums_kib <= round->share_kib;
}

/* Reckons up the host: who shares, what there is to share, and whether the minimums fit. */
static void reckon(struct round *round)
{
    struct sums sums = { 0 };
    int64_t held = 0;
    bool waiting;

    round->promised_kib = 0;
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];
        const struct guard_domain reach = reach_of(domain);
        uint64_t untaken = guard_untaken_kib(&reach, reach.cap_kib);

        round->promised_kib += untaken;
        domain->shares = domain_touchable(domain)
                         && (conduct_trusted(domain) || domain->actual_kib < domain->min_kib);
        if (!domain->shares)
            continue;
        /* At rest a domain's cap is so much above what it holds. */
        held += (int64_t)untaken + (int64_t)domain->actual_low_kib - (int64_t)domain->slack_kib
                + domain->offset_kib;
        add_up(round, domain, &sums);
    }
    reckon_headroom(round, &sums);
    reckon_share(round, &sums, held);
    reserve_judge(round);
    reckon_share(round, &sums, held); /* with what the end of one has given back */
    waiting = withhold(round, &sums);
    round->urgent = round->headroom_kib < 0 || waiting || (round->waiting && sums.below_min);
    if (sums.bottoms_kib <= round->share_kib)
        return;
    for (size_t i = 0; i < round->count; i++)
        round->domains[i].bottom_kib = round->domains[i].min_kib;
}

/* What each should have: by the operator's own program if there is one and it works. */
static void decide(struct engine *engine)
{
    struct round *round = &engine->round;
    uint64_t wait_ms = engine->patient ? PATIENT_MS : engine->config.policy_deadline_ms;

    round->unpaced = false;
    if (engine->external && external_decide(engine->external, round, wait_ms) == 0)
        return;
    if (policy_decide(engine->policy, round) < 0)
        round_note(round, EVENT_POLICY, NULL, "policy %s gave out what is not there: all stay",
                   engine->policy->name);
}

static void guard(struct round *round)
{
    struct guard_host host = as_guard_host(round);

    for (size_t k = 0; k < round->count; k++) {
        struct domain *domain = &round->domains[round->order[k]];

        domain->grant_kib = domain->target_kib;
        round->guard[k] = as_guard_domain(round, domain);
    }
    round->call_count = guard_plan(&host, round->guard, round->count, round->calls);
    round->waiting = false;
    round->missing = false;
    for (size_t k = 0; k < round->count; k++) {
        const struct guard_domain *planned = &round->guard[k];

        if (planned->fixed)
            continue;
        if (planned->grant_cap_kib + GUARD_STEP_KIB > planned->goal_kib + planned->slack_kib)
            continue;
        round->waiting = true;
        round->missing |= planned->grant_cap_kib < round->domains[round->order[k]].core_kib;
    }
    for (size_t c = 0; c < round->call_count; c++)
        round->domains[round->order[round->calls[c].index]].grant_kib = round->calls[c].target_kib;
}

/* In the guard's order. A call that fails leaves the others as right as they were: gifts draw only
 * on the headroom that was observed, not on what this round's losses let go. */
static void apply(struct engine *engine)
{
    struct round *round = &engine->round;
    const struct host_ops *ops = engine->host->ops;

    for (size_t c = 0; c < round->call_count && !engine->dry_run; c++) {
        const struct guard_call *call = &round->calls[c];
        struct domain *domain = &round->domains[round->order[call->index]];
        int r = ops->set_target(engine->host, domain, call->target_kib, call->cap_kib);

        if (r == 0) {
            engine->calls_made++;
            domain->target_kib = call->target_kib;
            domain->cap_kib = call->cap_kib;
            domain->call_wait_ms = 0;
            continue;
        }
        engine->calls_failed++;
        if (domain->call_wait_ms == 0 && r != -ESRCH)
            round_note(round, EVENT_CALL_FAILED, domain, "target %llu KiB: %s",
                       (unsigned long long)call->target_kib, strerror(-r));
        domain->call_wait_ms =
            smaller(domain->call_wait_ms ? domain->call_wait_ms * 2 : CALL_RETRY_FIRST_MS,
                    CALL_RETRY_MOST_MS);
        domain->call_retry_ms = round->now_ms + domain->call_wait_ms;
    }
}

static void keep_account(const struct round *round, struct domain *domain)
{
    const struct bill_sizes sizes = {
        .held_kib = domain->actual_kib,
        .entitled_kib = domain->entitled_kib,
        .need_kib = domain->need_kib,
    };

    domain->goodness = bill_add(&domain->bill, &sizes, round->now_ms);
}

/* due: what it should hold; while a change is too small to be made, what it was last asked to. */
static enum reason reason_of(const struct round *round, const struct domain *domain)
{
    uint64_t held = domain->actual_kib;
    uint64_t granted = (uint64_t)((int64_t)domain->grant_kib + domain->offset_kib);
    uint64_t due = domain->pace == PACE_SMALL ? granted : domain->want_kib;

    if (!domain->managed)
        return REASON_UNMANAGED;
    if (!domain_touchable(domain))
        return REASON_UNTOUCHED;
    if (domain->conduct.class == CONDUCT_MALICIOUS)
        return REASON_MALICIOUS;
    if (domain->conduct.class == CONDUCT_UNHELPFUL)
        return REASON_UNHELPFUL;
    if (round->now_ms - domain->started_ms < round->grace_ms && domain->want_kib <= held
        && domain->target_kib <= domain->start_kib)
        return REASON_STARTING;
    if (domain->conduct.stalled && round->now_ms < domain->conduct.retry_ms)
        return REASON_STALLED;
    if (!round->minimums_fit && domain->want_kib < domain->min_kib)
        return REASON_MINIMUM_SHORT;
    if (granted + NEAR_KIB < due)
        return REASON_WAITING;
    if (held + NEAR_KIB < granted)
        return REASON_GROWING;
    if (held > due + larger(NEAR_KIB, held / 32))
        return REASON_SHRINKING;
    if (domain->want_kib + NEAR_KIB < domain->need_kib)
        return REASON_SHARE;
    if (domain->want_kib >= domain->max_kib)
        return REASON_MAXIMUM;
    if (domain->want_kib <= domain->min_kib)
        return REASON_MINIMUM;
    return domain->want_kib > domain->need_kib + NEAR_KIB ? REASON_SURPLUS : REASON_NEED;
}

/* One pass: a thousand domains do not fit a small cache. */
static void close_accounts(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];
        enum reason reason = reason_of(round, domain);

        round_fetch_ahead(round, i, offsetof(struct domain, bill),
                          offsetof(struct domain, recalled));
        keep_account(round, domain);
        if (reason != domain->reason && domain->reasoned)
            round_tell(round, EVENT_REASON, domain, reason_text(reason));
        domain->reason = reason;
        domain->reasoned = true;
    }
}

/* Tells the operator of what touches the whole host, once when it begins and once when it ends. */
static void tell(struct engine *engine)
{
    struct round *round = &engine->round;
    bool broken = round->headroom_kib < 0;

    if (!round->minimums_fit != engine->minimums_told) {
        engine->minimums_told = !round->minimums_fit;
        round_note(round, EVENT_MINIMUMS, NULL,
                   round->minimums_fit ? "the minimums fit the host again"
                                       : "the minimums do not fit the host: the lowest priority "
                                         "goes short first");
    }
    if (broken != engine->headroom_told) {
        engine->headroom_told = broken;
        round_note(round, EVENT_HEADROOM, NULL,
                   broken ? "%lld KiB are missing of the reserve and what is promised: nothing is "
                            "given"
                          : "the reserve and what is promised are there again, and %lld KiB more",
                   (long long)(broken ? -round->headroom_kib : round->headroom_kib));
    }
}

static bool moving(const struct round *round, const struct domain *domain)
{
    const struct conduct *conduct = &domain->conduct;

    if (!domain_touchable(domain))
        return false;
    if (conduct->asked_ms != 0 && round->now_ms >= conduct->retry_ms)
        return true;
    if (domain->goal_kib != domain->grant_kib && domain->goal_kib < domain->target_kib)
        return true;
    return conduct->short_ms != 0 && round->now_ms - conduct->short_ms < STANDING_MS;
}

static uint64_t next_ms(const struct engine *engine)
{
    const struct round *round = &engine->round;
    bool soon = (round->call_count > 0 && !engine->dry_run)
                || reserve_wants(&round->reservations).must_kib > 0;
    uint64_t at_most = larger(1, smaller(engine->config.interval_ms, reserve_due_ms(round)));

    for (size_t i = 0; i < round->count && !soon; i++)
        soon = moving(round, &round->domains[i]);
    return soon ? smaller(MOVING_MS, at_most) : at_most;
}

int engine_round(struct engine *engine, uint64_t *ret_next_ms)
{
    struct round *round = &engine->round;
    int r;

    r = engine->host->ops->observe(engine->host, round);
    if (r < 0)
        return r;
    round->number++;
    configure(engine);
    conduct_judge(round);
    reckon(round);
    demand_estimate(round);
    decide(engine);
    pace_moderate(round);
    guard(round);
    apply(engine);
    close_accounts(round);
    tell(engine);
    engine->next_ms = next_ms(engine);
    *ret_next_ms = engine->next_ms;
    return 0;
}

void engine_totals(const struct engine *engine, struct engine_totals *ret_totals)
{
    const struct round *round = &engine->round;
    struct engine_totals totals = { 0 };

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        totals.actual_kib += domain->actual_kib;
        if (!domain_touchable(domain))
            continue;
        totals.guaranteed_kib += domain->min_kib;
        if (!conduct_trusted(domain)) {
            totals.unhelpful++;
            continue;
        }
        if (domain->actual_kib > domain->need_kib)
            totals.freeable_kib += domain->actual_kib - domain->need_kib;
        if (domain->actual_kib > domain->min_kib)
            totals.freeable_min_kib += domain->actual_kib - domain->min_kib;
    }
    *ret_totals = totals;
}
