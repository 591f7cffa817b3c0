/* SPDX-License-Identifier: ISC */
#include "core/conduct.h"

#include "util/bounds.h"

/* A domain that holds so much more than its target is not in debt: the kernel's and the toolstack's
 * own pages differ by some hundred KiB (measured: PV 0, PVH 64), and a balloon driver that is asked
 * for less than this may wait for a round of its own. */
#define TOLERANCE_KIB 4096

/* No real progress for so long is a failure. Linux' driver takes what is easily freed within 0.2 s,
 * and tries again after 2 and 4 s (measured on 6.1); the third pause would be 8 s. */
#define PATIENCE_MS 7000

/* Progress that counts, within PATIENCE_MS: a page now and then is none. */
#define PROGRESS_KIB 1024
#define PROGRESS_SHARE 16

/* After a failure a domain is asked again, at growing intervals. */
#define RETRY_FIRST_MS 5000
#define RETRY_MOST_MS 300000

/* Below its target for so long, while the memory is there for it: it does not want it. The driver's own
 * pauses are 32 s at most before it gives up, and it is woken all the time. */
#define SHORT_PATIENCE_MS 40000

/* A pair of figures that did not move for so long is where the domain rests. */
#define REST_MS 2000

static uint64_t asked_kib(const struct domain *domain)
{
    int64_t held = (int64_t)domain->target_kib + domain->offset_kib;

    return held > 0 ? (uint64_t)held : 0;
}

bool conduct_owes(const struct domain *domain)
{
    return domain->actual_kib > asked_kib(domain) + TOLERANCE_KIB;
}

/* One that sizes itself stays below its target as it likes. */
static bool is_short(const struct domain *domain)
{
    uint64_t asked = asked_kib(domain);

    if (domain->post.wish_kib > 0)
        asked = smaller(asked, domain->post.wish_kib);
    return domain->actual_kib + TOLERANCE_KIB < asked;
}

static void set_class(struct round *round, struct domain *domain, enum conduct_class class,
                      const char *why)
{
    struct conduct *conduct = &domain->conduct;

    if (conduct->class == class)
        return;
    round_note(round, EVENT_CONDUCT, domain, "%s, was %s: %s", conduct_name(class),
               conduct_name(conduct->class), why);
    conduct->class = class;
    conduct->why = why;
    conduct->since_ms = round->now_ms;
}

/* Held minus target of a PV guest is 0; PVH and HVM differ by pages that nobody balloons. */
static void learn_offset(const struct round *round, struct domain *domain)
{
    int64_t offset = (int64_t)domain->actual_kib - (int64_t)domain->target_kib;

    if (domain->actual_kib != domain->rest_held_kib
        || domain->target_kib != domain->rest_target_kib) {
        domain->rest_held_kib = domain->actual_kib;
        domain->rest_target_kib = domain->target_kib;
        domain->rest_ms = round->now_ms;
        return;
    }
    if (domain->type == DOMAIN_PV || domain->conduct.class == CONDUCT_UNHELPFUL
        || domain->conduct.stalled || round->now_ms < domain->rest_ms + REST_MS)
        return;
    if (offset >= -TOLERANCE_KIB && offset <= TOLERANCE_KIB)
        domain->offset_kib = offset;
}

static void succeed(struct round *round, struct domain *domain)
{
    domain->conduct.stalled = false;
    domain->conduct.retry_ms = 0;
    domain->conduct.retry_wait_ms = 0;
    set_class(round, domain, CONDUCT_COOPERATIVE, "let go what it was asked for");
}

/* Asked for memory that its own posts say it uses: it cannot give that, and is not to blame. */
static bool uses_what_it_holds(const struct round *round, const struct domain *domain)
{
    return post_usable(&domain->post, round->now_ms)
           && domain->post.used_kib + 2 * TOLERANCE_KIB >= asked_kib(domain);
}

/* The pause after one more failure. */
static uint64_t longer(uint64_t wait_ms)
{
    wait_ms = wait_ms ? wait_ms * 2 : RETRY_FIRST_MS;
    return wait_ms < RETRY_MOST_MS ? wait_ms : RETRY_MOST_MS;
}

static void fail(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (uses_what_it_holds(round, domain)) {
        conduct->stalled = true;
        conduct->stalled_at_kib = domain->actual_kib;
    } else {
        set_class(round, domain, CONDUCT_UNHELPFUL, "was asked to shrink and does not");
    }
    conduct->retry_wait_ms = longer(conduct->retry_wait_ms);
    conduct->retry_ms = round->now_ms + conduct->retry_wait_ms;
}

/* It holds more than it was asked to. */
static void watch_debt(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;
    uint64_t owed = domain->actual_kib - asked_kib(domain);
    uint64_t progress = owed / PROGRESS_SHARE > PROGRESS_KIB ? owed / PROGRESS_SHARE : PROGRESS_KIB;

    if (round->now_ms < conduct->retry_ms)
        return;
    if (conduct->asked_ms == 0) {
        conduct->asked_ms = round->now_ms;
        conduct->asked_from_kib = domain->actual_kib;
        conduct->low_kib = domain->actual_kib;
        conduct->progress_ms = round->now_ms;
        return;
    }
    if (domain->actual_kib + progress <= conduct->low_kib) {
        conduct->low_kib = domain->actual_kib;
        conduct->progress_ms = round->now_ms;
        if (conduct->asked_from_kib - conduct->low_kib >= TOLERANCE_KIB)
            succeed(round, domain);
    } else if (round->now_ms - conduct->progress_ms >= PATIENCE_MS) {
        fail(round, domain);
    }
}

/* It holds no more than it was asked to. */
static void close_debt(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    /* Less than the tolerance let go: its target was moved to where it is, which proves nothing. */
    if (conduct->asked_ms != 0 && conduct->asked_from_kib >= domain->actual_kib + TOLERANCE_KIB)
        succeed(round, domain);
    conduct->asked_ms = 0;
}

/* It holds less than its target: its driver may be asleep. What is promised to one that does not take
 * it is nobody else's meanwhile, so it is taken back, for growing times. */
static void watch_shortfall(const struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (!is_short(domain)) {
        conduct->short_ms = 0;
        return;
    }
    if (conduct->short_ms != 0 && domain->actual_kib >= conduct->short_kib + PROGRESS_KIB)
        conduct->short_wait_ms = 0;
    if (conduct->short_ms != 0 && round->now_ms - conduct->short_ms >= SHORT_PATIENCE_MS
        && round->now_ms >= conduct->short_retry_ms) {
        conduct->short_wait_ms = longer(conduct->short_wait_ms);
        conduct->short_retry_ms = round->now_ms + conduct->short_wait_ms;
    }
    if (conduct->short_ms == 0 || domain->actual_kib >= conduct->short_kib + PROGRESS_KIB) {
        conduct->short_ms = round->now_ms;
        conduct->short_kib = domain->actual_kib;
    }
}

static void judge(struct round *round, struct domain *domain)
{
    if (!domain->managed || !domain->has_target || domain->phase != PHASE_RUNNING) {
        domain->conduct.asked_ms = 0;
        domain->conduct.short_ms = 0;
        return;
    }
    if (domain->conduct.class == CONDUCT_STARTING && domain->post.dialect != DIALECT_NONE)
        set_class(round, domain, CONDUCT_COOPERATIVE, "posts how its memory is doing");
    if (conduct_owes(domain))
        watch_debt(round, domain);
    else
        close_debt(round, domain);
    watch_shortfall(round, domain);
    learn_offset(round, domain);
}

void conduct_judge(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        judge(round, &round->domains[i]);
}
