/* SPDX-License-Identifier: ISC */
#include "core/pace.h"

#include "core/conduct.h"
#include "util/bounds.h"

/* Sizes move in steps of this: finer ones are many calls, and a covert channel between guests. */
#define STEP_KIB 4096

/* A change of less than a 64th of the target waits, or of less than a 32nd when the domain would not
 * miss the memory; but no longer than SMALL_MS. When another domain misses memory, all that is too
 * much is given at once, but for a crumb. */
#define SMALL_SHARE 64
#define ROUGH_SHARE 32
#define SMALL_MS 30000
#define CRUMB_KIB 1024

/* Above what it uses a domain shrinks by so much a step, and gets the next when it has followed.
 * Linux lets go 520 MiB/s of free memory (measured): a step lasts about as long as a round
 * takes. */
#define FAST_STEP_KIB 65536

/* Below that it uses what it is asked for: small steps, so that it can page out what is cold.
 * One far target instead killed a guest's worker with its swap still empty (measured). */
#define CAREFUL_STEP_KIB 8192
#define CAREFUL_MS 200
#define CAREFUL_PRESSED_MS 1000

/* A driver that has not moved for so long sleeps. */
#define NUDGE_MS 1000
#define PAGE_KIB 4

/* The target at which a domain holds so much. */
static uint64_t target_for(const struct domain *domain, uint64_t held_kib)
{
    int64_t target = (int64_t)held_kib - domain->offset_kib;

    return target > 0 ? (uint64_t)target : 0;
}

/* Where the policy wants the target, in whole steps but at the limits. */
static uint64_t wanted_target(const struct domain *domain)
{
    uint64_t target = target_for(domain, domain->want_kib);
    uint64_t whole = target - target % STEP_KIB;

    if (domain->want_kib == domain->max_kib)
        return target;
    if (domain->want_kib >= domain->min_kib)
        return larger(whole, target_for(domain, domain->min_kib));
    return whole;
}

/* So much it must change by to be worth a call at once. What a domain would miss is worth more than
 * what it has beyond that: need that goes up and down a little would move everybody to and fro. */
static uint64_t worth_kib(const struct domain *domain)
{
    if (domain->target_kib < target_for(domain, smaller(domain->core_kib, domain->want_kib)))
        return larger(STEP_KIB, domain->target_kib / SMALL_SHARE);
    return larger(2 * STEP_KIB, domain->target_kib / ROUGH_SHARE);
}

/* True while a change is not worth a call. */
static bool too_small(const struct round *round, struct domain *domain, uint64_t wanted)
{
    uint64_t exact = target_for(domain, domain->want_kib);
    uint64_t change = distance(domain->target_kib, wanted);

    if (change == 0) {
        domain->small_ms = 0;
        return true;
    }
    if (smaller(change, distance(domain->target_kib, exact)) >= worth_kib(domain)) {
        domain->small_ms = 0;
        return false;
    }
    /* Else, where many are to give a little each, none would. */
    if (round->urgent && exact < domain->target_kib)
        return false;
    if (round->missing && change >= STEP_KIB && exact + CRUMB_KIB <= domain->target_kib)
        return false;
    if (domain->small_ms == 0)
        domain->small_ms = round->now_ms;
    return round->now_ms - domain->small_ms < SMALL_MS;
}

/* A driver that could not go on sleeps, for 2, 4, 8 s and then for an hour; a page less is another
 * value of the target, costs nothing, and wakes it at once. still_ms: when it last moved. */
static uint64_t nudge(const struct round *round, struct domain *domain, uint64_t still_ms)
{
    if (round->now_ms - larger(still_ms, domain->nudge_ms) < NUDGE_MS
        || domain->target_kib < target_for(domain, domain->min_kib) + PAGE_KIB)
        return domain->target_kib;
    domain->nudge_ms = round->now_ms;
    return domain->target_kib - PAGE_KIB;
}

/* Its target is where it should be; but it may have stopped short of that. */
static uint64_t rest(const struct round *round, struct domain *domain)
{
    if (conduct_owes(domain))
        return nudge(round, domain, domain->conduct.progress_ms);
    if (domain->conduct.short_ms == 0)
        return domain->target_kib;
    return nudge(round, domain, domain->conduct.short_ms);
}

/* The next step down, where it uses what it is asked for. Pressure makes it slow only up to what
 * its weight gives it: above that, who says that he stalls would keep longest what others need. */
static uint64_t careful_step(const struct round *round, struct domain *domain, uint64_t from,
                             uint64_t wanted)
{
    bool pressed = domain->demand.boost_kib > 0 && domain->actual_kib <= domain->entitled_kib;
    uint64_t pause = pressed ? CAREFUL_PRESSED_MS : CAREFUL_MS;

    domain->pace = pressed ? PACE_PRESSED : PACE_CAREFUL;
    if (round->now_ms - domain->step_ms < pause)
        return from;
    domain->step_ms = round->now_ms;
    return larger(wanted, above(from, CAREFUL_STEP_KIB));
}

static uint64_t shrink(const struct round *round, struct domain *domain, uint64_t wanted)
{
    uint64_t here = target_for(domain, domain->actual_kib);
    uint64_t core = target_for(domain, domain->core_kib + CAREFUL_STEP_KIB);
    uint64_t from = smaller(domain->target_kib, here);
    uint64_t fast = larger(wanted, above(from, FAST_STEP_KIB));

    /* What it does not hold is not taken from it. */
    domain->pace = PACE_UNHELD;
    if (wanted >= from)
        return wanted;
    domain->pace = PACE_FOLLOWING;
    if (conduct_owes(domain))
        return nudge(round, domain, domain->conduct.progress_ms);
    domain->pace = round->urgent ? PACE_URGENT : PACE_FAST;
    if (round->urgent || fast >= core)
        return fast;
    if (from >= core + STEP_KIB)
        return larger(wanted, core);
    return careful_step(round, domain, from, wanted);
}

/* A domain that failed is not asked until its time comes: its target is moved to where it is, since
 * a driver below its cap and above its target spins. One that does not let go gets no slack either,
 * so its cap is what it holds. Once that is so it is left there, not followed down, nor up when it
 * takes the slack that its cap leaves. */
static uint64_t stay(const struct domain *domain)
{
    uint64_t here = target_for(domain, domain->actual_kib);

    if (conduct_trusted(domain))
        here = smaller(here, target_for(domain, domain->conduct.stalled_at_kib));
    if (domain->target_kib <= here && here - domain->target_kib <= STEP_KIB)
        return domain->target_kib;
    if (conduct_trusted(domain))
        return here;
    here = above(domain->actual_kib, domain->slack_kib);
    return larger(here, target_for(domain, domain->min_kib));
}

/* In its grace nothing is taken of what it was started with; what it was given since is as
 * anybody's. */
static uint64_t kept_target(const struct round *round, const struct domain *domain)
{
    bool in_grace = round->now_ms - domain->started_ms < round->grace_ms;

    return in_grace ? smaller(domain->start_kib, domain->target_kib) : 0;
}

static uint64_t next_target(const struct round *round, struct domain *domain)
{
    uint64_t kept = kept_target(round, domain);
    uint64_t wanted = larger(wanted_target(domain), kept);

    domain->pace = PACE_UNPACED;
    if (round->unpaced && domain->shares)
        return target_for(domain, domain->want_kib);
    domain->pace = PACE_LEFT;
    if (domain->conduct.retry_ms > round->now_ms && wanted < target_for(domain, domain->actual_kib))
        return stay(domain);
    domain->pace = PACE_GRACE;
    if (wanted == kept && kept == domain->target_kib)
        return domain->target_kib;
    domain->pace = wanted == domain->target_kib ? PACE_THERE : PACE_SMALL;
    if (too_small(round, domain, wanted))
        return rest(round, domain);
    domain->pace = PACE_UP;
    if (wanted > domain->target_kib)
        return wanted;
    return shrink(round, domain, wanted);
}

void pace_moderate(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        domain->goal_kib = domain->target_kib;
        domain->pace = PACE_UNTOUCHED;
        if (domain_touchable(domain))
            domain->goal_kib = next_target(round, domain);
    }
}

void pace_figures(enum pace pace, uint64_t *ret_step_kib, uint64_t *ret_pause_ms)
{
    bool large = pace == PACE_FAST || pace == PACE_URGENT;
    bool small = pace == PACE_CAREFUL || pace == PACE_PRESSED;

    *ret_step_kib = large ? FAST_STEP_KIB : small ? CAREFUL_STEP_KIB : 0;
    *ret_pause_ms = pace == PACE_SMALL     ? SMALL_MS
                    : pace == PACE_CAREFUL ? CAREFUL_MS
                    : pace == PACE_PRESSED ? CAREFUL_PRESSED_MS
                                           : 0;
}
