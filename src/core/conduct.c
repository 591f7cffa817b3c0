/* SPDX-License-Identifier: ISC */
#include "core/conduct.h"

#include "util/bounds.h"

/* A domain that holds so much more than its target is not in debt: the kernel's and the toolstack's
 * own pages differ by some hundred KiB (measured: PV 0, PVH 64), and a balloon driver that is asked
 * for less than this may wait for a round of its own. */
#define TOLERANCE_KIB 4096

/* A look that comes later than this says nothing of all the time since the one before: the whole
 * machine may have stood still. */
#define LOOK_MOST_MS 2000

/* How far a domain may fall behind its own speed: three times what the request would have taken it,
 * in these bounds. Linux' driver takes what is easily freed within 0.2 s, and tries again after 2
 * and 4 s (measured on 6.1) if pace.c does not wake it before, which it can not while its vCPU
 * waits: the least is as long as simulated honest domains wait at most (docs/attacks.md). Others
 * wait, too: not above 15 s, with the looks at both ends. */
#define PATIENCE_TIMES 3
#define PATIENCE_LEAST_MS 5000
#define PATIENCE_MOST_MS 14800

/* The least where all that time it posted, so often at least, that its driver is asked for memory,
 * and not that it uses it: its CPUs ran, and its driver, which pace.c wakes each second. Three times
 * what a whole step of pace.c takes at SPEED_MOST_KIB_S. An agent of ours posts each second then. */
#define PATIENCE_TOLD_MS 3000
#define TOLD_MS 2000

/* One that failed before is not counted on, and it costs nobody anything to ask it for longer: who
 * works one second in twenty is met at work. */
#define PATIENCE_ACCUSED_MS 25000

/* A domain must deliver this share (one in so many) of what its own speed would have delivered. */
#define SHARE 4

/* Its own speed is what it has shown, but no more is expected than a whole step of pace.c in a
 * second (an idle Linux guest shows 520 MiB/s, and a tenth of that while its CPUs are busy), and no
 * less than 1 MiB/s: slower than a quarter of this is a trickle, by nature or not. So slow is what
 * is expected of memory that it says it uses, too. Before anything was shown, patience is for a
 * step in 4 s. */
#define SPEED_MOST_KIB_S 65536
#define SPEED_LEAST_KIB_S 1024
#define SPEED_FIRST_KIB_S 16384

/* A sample of the speed is taken over so long, or until the debt is paid; and of so much at
 * least. */
#define SAMPLE_MS 1000
#define SAMPLE_LEAST_MS 100

/* What was shown once is worth half after so long a time in debt: guests become slower under
 * load. */
#define SPEED_HALVES_MS 30000

/* What a domain is behind is forgotten in so many times the time in which nothing is asked: who is
 * silent for 5 s of every request is found out at the second. */
#define LATE_FORGET 8

/* After a failure a domain is asked again, at growing intervals; one that failed again so soon
 * after it was forgiven goes on where it was. */
#define RETRY_FIRST_MS 5000
#define RETRY_MOST_MS 300000
#define PROBATION_MS 600000

/* Forgiven when one in so many of the KiB that it was asked for were let go. */
#define FORGIVEN_SHARE 2

/* Forgiven, too, when it is not asked for so long though it would be: it holds what it is to hold,
 * and could not show that it gives. pace.c asks for the least thing after half of this. */
#define NOTHING_ASKED_MS 60000

/* Taking: so much more than it had under the same target. Xen leaves a domain 1024 KiB above its
 * target (libxl's slack) and not a page more (measured), so this is half of what can be taken. */
#define TAKE_KIB 512

/* A driver that was on its way up when its target was lowered may run into the cap first: it gets
 * its CPU and the watch's event within this. */
#define RACE_MS 5000

/* Offences within a window that make a domain malicious. A second take: the first may be an
 * accident of its kernel's, and what it takes within a second is one. Five impossible reports: an
 * agent that is restarted, or a guest that boots another kernel, makes one. Five floods within 3
 * min: who never stops makes one each 31 s, and an agent that writes a hundred nodes each minute
 * makes four at most. */
#define TAKES 2
#define TAKES_MS 600000
#define TAKE_PAUSE_MS 1000
#define TAKES_WHY "takes memory while it is asked to give"
#define LIES 5
#define LIES_MS 600000
#define FLOODS 5
#define FLOODS_MS 180000

/* A malicious domain must go so long without an offence until it is only unhelpful; twice as long
 * when it was one within the day before. */
#define PENANCE_FIRST_MS 600000
#define PENANCE_MOST_MS 14400000
#define PENANCE_MEMORY_MS 86400000

/* Below its target for so long, while the memory is there for it: it does not want it. The driver's
 * own pauses are 32 s at most before it gives up, and it is woken all the time. */
#define SHORT_PATIENCE_MS 40000
#define SHORT_PROGRESS_KIB 1024

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

bool conduct_on_probation(const struct round *round, const struct domain *domain)
{
    return domain->conduct.forgiven_ms != 0
           && round->now_ms - domain->conduct.forgiven_ms <= PROBATION_MS;
}

/* It took before. One that is asked to give is held by its cap, which is lowered with its target:
 * it cannot be seen to take again, so that giving nothing is the second attempt. */
static bool has_taken(const struct round *round, const struct conduct *conduct)
{
    return conduct->takes.count > 0 && round->now_ms - conduct->takes.since_ms <= TAKES_MS;
}

bool conduct_clean(const struct round *round, const struct domain *domain)
{
    return conduct_trusted(domain) && domain->conduct.forgiven_ms == 0
           && !has_taken(round, &domain->conduct);
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

/* True when it happened `most` times within window_ms of the first, times of them just now. */
static bool too_many(struct tally *tally, uint64_t now_ms, uint32_t times, uint32_t most,
                     uint64_t window_ms)
{
    if (times == 0)
        return false;
    if (tally->count == 0 || now_ms - tally->since_ms > window_ms)
        *tally = (struct tally){ .since_ms = now_ms };
    tally->count += times;
    return tally->count >= most;
}

/* ---- offences ---- */

static void offend(struct round *round, struct domain *domain, const char *why)
{
    struct conduct *conduct = &domain->conduct;

    if (conduct->class != CONDUCT_MALICIOUS) {
        bool again =
            conduct->penance_ms != 0 && round->now_ms - conduct->atone_ms < PENANCE_MEMORY_MS;

        conduct->penance_ms =
            again ? smaller(conduct->penance_ms * 2, PENANCE_MOST_MS) : PENANCE_FIRST_MS;
        conduct->stalled = false;
        set_class(round, domain, CONDUCT_MALICIOUS, why);
    }
    conduct->atone_ms = round->now_ms + conduct->penance_ms;
}

/* ---- where it rests ---- */

/* What rests at its cap may press against it: that is no offset. */
static bool at_cap(const struct domain *domain)
{
    return domain->actual_kib == domain->cap_kib
           && domain->actual_kib > domain->target_kib + TAKE_KIB;
}

static bool rests(const struct round *round, const struct domain *domain)
{
    return domain->actual_kib == domain->rest_held_kib
           && domain->target_kib == domain->rest_target_kib
           && round->now_ms >= domain->rest_ms + REST_MS;
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
    if (domain->type == DOMAIN_PV || !conduct_trusted(domain) || domain->conduct.stalled
        || !rests(round, domain) || at_cap(domain))
        return;
    if (offset >= -TOLERANCE_KIB && offset <= TOLERANCE_KIB)
        domain->offset_kib = offset;
}

/* ---- giving ---- */

/* Asked for memory that its own posts say it uses: it cannot give that, and is not to blame. */
static bool uses(const struct round *round, const struct domain *domain, uint64_t kib)
{
    return post_usable(&domain->post, round->now_ms)
           && domain->post.used_kib + 2 * TOLERANCE_KIB >= kib;
}

static bool uses_what_it_holds(const struct round *round, const struct domain *domain)
{
    return uses(round, domain, asked_kib(domain));
}

/* What may be expected of it in a second. */
static uint64_t own_speed_kib_s(const struct round *round, const struct domain *domain)
{
    if (uses_what_it_holds(round, domain))
        return SPEED_LEAST_KIB_S;
    return clamp(domain->conduct.speed_kib_s, SPEED_LEAST_KIB_S, SPEED_MOST_KIB_S);
}

/* It posts, and its last post is older than the request: the next may say that it uses what it
 * holds. */
static bool may_tell(const struct domain *domain)
{
    return domain->post.dialect != DIALECT_NONE && domain->post.at_ms < domain->conduct.asked_ms;
}

/* Its driver knows that it is to shrink, and by more than a rest, as its agent posts; and it need not
 * write to its disks first what it is asked for. */
static bool is_told(const struct domain *domain)
{
    const struct report *report = &domain->post.report;
    uint64_t dirty = report->dirty_kib == REPORT_ABSENT ? 0 : report->dirty_kib;

    return report_owed_kib(report) > TOLERANCE_KIB
           && domain->post.used_kib + dirty + 2 * TOLERANCE_KIB < asked_kib(domain);
}

static uint64_t patience_ms(const struct domain *domain, uint64_t least_ms)
{
    const struct conduct *conduct = &domain->conduct;
    uint64_t request = conduct->asked_from_kib - conduct->asked_to_kib;
    uint64_t speed = conduct->speed_kib_s ? conduct->speed_kib_s : SPEED_FIRST_KIB_S;

    if (conduct->uses)
        return PATIENCE_LEAST_MS;
    if (!conduct_trusted(domain))
        return PATIENCE_ACCUSED_MS;
    if (may_tell(domain) || conduct->class == CONDUCT_STARTING)
        return PATIENCE_MOST_MS;
    return clamp(request * 1000 / speed * PATIENCE_TIMES, least_ms, PATIENCE_MOST_MS);
}

/* From one post that says so to the next it ran, if that came soon. */
static void count_told(struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;
    uint64_t at_ms = domain->post.at_ms;

    if (is_told(domain) && !may_tell(domain) && at_ms > conduct->told_ms) {
        if (at_ms - conduct->told_ms <= TOLD_MS)
            conduct->told_late_ms += at_ms - conduct->told_ms;
        conduct->told_ms = at_ms;
    }
    conduct->told_late_ms = smaller(conduct->told_late_ms, conduct->late_ms);
}

/* Whoever took and then gives nothing means harm: of that it is to be certain. And who is to hold his
 * guarantee cannot be woken by another page. */
static bool is_late(const struct round *round, const struct domain *domain)
{
    const struct conduct *conduct = &domain->conduct;
    bool certain = !has_taken(round, conduct) && asked_kib(domain) > domain->min_kib;
    uint64_t told_ms = certain ? PATIENCE_TOLD_MS : PATIENCE_LEAST_MS;

    return conduct->late_ms >= patience_ms(domain, PATIENCE_LEAST_MS)
           || conduct->told_late_ms >= patience_ms(domain, told_ms);
}

/* Ends a sample of its speed. What it has shown before fades with the time in debt. */
static void take_sample(struct conduct *conduct)
{
    uint64_t shown = conduct->work_kib * 1000 / larger(conduct->work_ms, SAMPLE_LEAST_MS);
    uint64_t faded =
        conduct->speed_kib_s
        - conduct->speed_kib_s * smaller(conduct->work_ms, SPEED_HALVES_MS) / (2 * SPEED_HALVES_MS);

    conduct->speed_kib_s = smaller(larger(shown, faded), SPEED_MOST_KIB_S);
    conduct->work_ms = 0;
    conduct->work_kib = 0;
}

/* What it failed before goes on for a while: its next failure is not its first. */
static void forgive(struct round *round, struct domain *domain, const char *why)
{
    struct conduct *conduct = &domain->conduct;

    if (conduct->class == CONDUCT_UNHELPFUL)
        conduct->forgiven_ms = round->now_ms;
    else if (!conduct_on_probation(round, domain))
        conduct->retry_wait_ms = 0;
    conduct->stalled = false;
    conduct->retry_ms = 0;
    set_class(round, domain, CONDUCT_COOPERATIVE, why);
}

/* Something of what was asked for came: enough of it makes good what was. */
static void deliver(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;
    uint64_t request = conduct->asked_from_kib - conduct->asked_to_kib;
    uint64_t given = above(conduct->asked_from_kib, domain->actual_kib);

    if (given < TOLERANCE_KIB || conduct->class == CONDUCT_MALICIOUS)
        return;
    if (conduct->class == CONDUCT_UNHELPFUL && given < request / FORGIVEN_SHARE)
        return;
    forgive(round, domain, "let go what it was asked for");
}

/* The pause after one more failure. */
static uint64_t longer(uint64_t wait_ms)
{
    wait_ms = wait_ms ? wait_ms * 2 : RETRY_FIRST_MS;
    return wait_ms < RETRY_MOST_MS ? wait_ms : RETRY_MOST_MS;
}

/* Unhelpful. Only that it uses denied_kib explains it. */
static void accuse(struct round *round, struct domain *domain, uint64_t denied_kib, const char *why)
{
    domain->conduct.denied_kib = denied_kib;
    set_class(round, domain, CONDUCT_UNHELPFUL, why);
}

static void fail(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (conduct_trusted(domain) && !conduct->stalled && !conduct_on_probation(round, domain))
        conduct->retry_wait_ms = 0;
    if (conduct->class != CONDUCT_MALICIOUS) {
        conduct->stalled = conduct->uses;
        conduct->stalled_at_kib = domain->actual_kib;
        if (!conduct->stalled && has_taken(round, conduct))
            offend(round, domain, TAKES_WHY);
        else if (!conduct->stalled && conduct_trusted(domain))
            accuse(round, domain, conduct->asked_to_kib, "was asked to shrink and does not");
    }
    conduct->late_ms = 0;
    conduct->asked_ms = 0;
    conduct->retry_wait_ms = longer(conduct->retry_wait_ms);
    conduct->retry_ms = round->now_ms + conduct->retry_wait_ms;
}

/* It holds, or held at the last look, more than it was asked to: what it has let go since pays for
 * the time that this would have taken at its own speed, SHARE times. */
static void watch_debt(struct round *round, struct domain *domain, uint64_t elapsed_ms)
{
    struct conduct *conduct = &domain->conduct;
    uint64_t before = larger(conduct->seen_kib, domain->actual_kib);
    uint64_t given = before - domain->actual_kib;

    if (round->now_ms < conduct->retry_ms)
        return;
    if (conduct->asked_ms == 0) {
        conduct->asked_ms = round->now_ms - elapsed_ms;
        conduct->asked_from_kib = before;
        conduct->asked_to_kib = asked_kib(domain);
        conduct->progress_ms = round->now_ms;
        conduct->told_late_ms = 0;
        conduct->told_ms = 0;
        conduct->uses = false;
    }
    conduct->uses |= uses_what_it_holds(round, domain);
    conduct->asked_from_kib = larger(conduct->asked_from_kib, domain->actual_kib);
    conduct->asked_to_kib = smaller(conduct->asked_to_kib, asked_kib(domain));
    if (given > 0)
        conduct->progress_ms = round->now_ms;
    conduct->work_ms += elapsed_ms;
    conduct->work_kib += given;
    if (conduct->work_ms >= SAMPLE_MS || !conduct_owes(domain))
        take_sample(conduct);
    conduct->late_ms += elapsed_ms;
    conduct->late_ms -=
        smaller(conduct->late_ms, given * 1000 * SHARE / own_speed_kib_s(round, domain));
    count_told(domain);
    deliver(round, domain);
    if (!conduct_owes(domain))
        conduct->asked_ms = 0;
    else if (is_late(round, domain))
        fail(round, domain);
}

static void watch_giving(struct round *round, struct domain *domain, uint64_t elapsed_ms)
{
    struct conduct *conduct = &domain->conduct;

    if (larger(conduct->seen_kib, domain->actual_kib) > asked_kib(domain) + TOLERANCE_KIB) {
        conduct->owed_ms = round->now_ms;
        watch_debt(round, domain, elapsed_ms);
        return;
    }
    conduct->asked_ms = 0;
    if (conduct->class == CONDUCT_UNHELPFUL
        && round->now_ms >= larger(conduct->retry_ms, larger(conduct->owed_ms, conduct->since_ms))
                                + NOTHING_ASKED_MS)
        forgive(round, domain, "holds no more than it is asked to");
    conduct->late_ms -= smaller(conduct->late_ms, elapsed_ms / LATE_FORGET);
}

/* ---- waiting ---- */

/* It holds less than its target: its driver may be asleep. What is promised to one that does not
 * take it is nobody else's meanwhile, so it is taken back, for growing times. */
static void watch_shortfall(const struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (!is_short(domain)) {
        conduct->short_ms = 0;
        return;
    }
    if (conduct->short_ms != 0 && domain->actual_kib >= conduct->short_kib + SHORT_PROGRESS_KIB)
        conduct->short_wait_ms = 0;
    if (conduct->short_ms != 0 && round->now_ms - conduct->short_ms >= SHORT_PATIENCE_MS
        && round->now_ms >= conduct->short_retry_ms) {
        conduct->short_wait_ms = longer(conduct->short_wait_ms);
        conduct->short_retry_ms = round->now_ms + conduct->short_wait_ms;
    }
    if (conduct->short_ms == 0 || domain->actual_kib >= conduct->short_kib + SHORT_PROGRESS_KIB) {
        conduct->short_ms = round->now_ms;
        conduct->short_kib = domain->actual_kib;
    }
}

/* ---- taking ---- */

/* Of an order that is not ours nothing can be told: what it does it may do by that. */
static bool our_order(const struct domain *domain)
{
    return domain->conduct.seen_ms != 0
           && domain->cap_kib <= domain->target_kib + domain->slack_kib;
}

static bool same_order(const struct domain *domain)
{
    return our_order(domain) && domain->target_kib == domain->conduct.seen_target_kib
           && domain->cap_kib == domain->conduct.seen_cap_kib;
}

/* A PV guest's balloon holds its target to the page; another may be off by what its cap leaves. */
static uint64_t offset_most_kib(const struct domain *domain)
{
    return domain->type == DOMAIN_PV ? 0 : domain->slack_kib;
}

/* What it holds is what it goes back to under this order. Where that is beside the target of a
 * guest that is not PV is seen only when it is done: at its target or above, and not on its way any
 * more. */
static bool has_arrived(const struct round *round, const struct domain *domain)
{
    return domain->type == DOMAIN_PV
           || (domain->actual_kib >= asked_kib(domain)
               && domain->actual_kib == domain->rest_held_kib
               && domain->target_kib == domain->rest_target_kib
               && round->now_ms >= domain->rest_ms + RACE_MS);
}

/* Another order: what it may hold under it. One that was on its way up may run on for a moment;
 * what is above its cap came there before. */
static void take_order(const struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;
    bool lowered = domain->target_kib < conduct->seen_target_kib;
    uint64_t had = domain->actual_kib > domain->cap_kib || !our_order(domain) ? domain->actual_kib
                                                                              : conduct->seen_kib;

    if (conduct->seen_ms == 0
        || (lowered && conduct->seen_kib + TAKE_KIB < conduct->seen_target_kib))
        conduct->race_ms = round->now_ms + RACE_MS;
    conduct->base_kib = larger(asked_kib(domain) + offset_most_kib(domain), had);
    conduct->order_kib = larger(conduct->seen_kib, domain->actual_kib);
    conduct->pressed = false;
}

/* A PV guest that let go, under this order, what it was asked for but for the slack that its cap
 * leaves, to the page, and says itself that it could, has taken that. */
static bool presses(const struct round *round, const struct domain *domain)
{
    return domain->type == DOMAIN_PV && !domain->conduct.pressed && at_cap(domain)
           && domain->conduct.order_kib > domain->actual_kib + TOLERANCE_KIB && rests(round, domain)
           && conduct_trusted(domain) && !uses_what_it_holds(round, domain);
}

static bool takes(const struct round *round, const struct domain *domain)
{
    return domain->actual_kib > domain->conduct.base_kib + TAKE_KIB || presses(round, domain);
}

/* Domain 0 is trusted: whoever runs there has no need to steal. */
static void watch_taking(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (!same_order(domain))
        take_order(round, domain);
    if (round->now_ms < conduct->race_ms || domain->domid == 0)
        conduct->base_kib = larger(conduct->base_kib, domain->actual_kib);
    if (takes(round, domain)) {
        bool anew = round->now_ms >= conduct->took_ms + TAKE_PAUSE_MS;

        conduct->base_kib = larger(conduct->base_kib, domain->actual_kib);
        conduct->pressed = true;
        conduct->took_ms = anew ? round->now_ms : conduct->took_ms;
        if (too_many(&conduct->takes, round->now_ms, anew, TAKES, TAKES_MS)
            || conduct->class == CONDUCT_MALICIOUS)
            offend(round, domain, TAKES_WHY);
    }
    if (has_arrived(round, domain))
        conduct->base_kib =
            smaller(conduct->base_kib, larger(asked_kib(domain), domain->actual_kib));
}

/* ---- lies and floods ---- */

/* How often since the last look. A count that went back began anew. */
static uint32_t since(uint32_t count, uint32_t *seen)
{
    uint32_t more = count > *seen ? count - *seen : 0;

    *seen = count;
    return more;
}

static void watch_posts(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;
    uint32_t lies = since(domain->post.lies, &conduct->lies_seen);
    uint32_t floods = since(domain->floods, &conduct->floods_seen);

    if (domain->domid == 0)
        return;
    if (too_many(&conduct->lies, round->now_ms, lies, LIES, LIES_MS))
        offend(round, domain, "reports what cannot be, again and again");
    if (too_many(&conduct->floods, round->now_ms, floods, FLOODS, FLOODS_MS))
        offend(round, domain, "floods the store and does not stop");
    else if (floods > 0 && conduct->floods.count == floods && conduct->class != CONDUCT_MALICIOUS)
        round_tell(round, EVENT_FLOOD, domain,
                   "floods the store: for a while it is read once a second");
}

/* ---- the whole ---- */

/* After its penance it is on probation: one that was asked and has not given yet. */
static void absolve(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (conduct->class != CONDUCT_MALICIOUS || round->now_ms < conduct->atone_ms)
        return;
    conduct->retry_ms = 0;
    conduct->retry_wait_ms = 0;
    accuse(round, domain, domain->actual_kib, "has taken nothing and told no lies for a while");
}

/* It was thought to refuse, and then said that it uses what it was asked for: its agent posts late
 * when it has much to do. It is asked again as one that stalls. What is asked of it since, down to
 * its guarantee, does not count: anybody uses that. */
static void believe(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (conduct->class != CONDUCT_UNHELPFUL || domain->post.at_ms <= conduct->since_ms
        || conduct->asked_ms != 0 || conduct->forgiven_ms > conduct->since_ms
        || !uses(round, domain, conduct->denied_kib))
        return;
    conduct->stalled = true;
    conduct->stalled_at_kib = domain->actual_kib;
    conduct->forgiven_ms = round->now_ms;
    set_class(round, domain, CONDUCT_COOPERATIVE, "uses what it holds, as it posts");
}

/* It could not give what it used, and says since that it does not use it any more: it is asked
 * again at once. */
static void take_up_again(const struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;

    if (!conduct->stalled || round->now_ms >= conduct->retry_ms
        || domain->post.at_ms + conduct->retry_wait_ms <= conduct->retry_ms
        || !post_usable(&domain->post, round->now_ms) || uses(round, domain, conduct->asked_to_kib))
        return;
    conduct->stalled = false;
    conduct->retry_ms = 0;
}

static void remember(const struct round *round, struct domain *domain)
{
    domain->conduct.seen_ms = round->now_ms;
    domain->conduct.seen_kib = domain->actual_kib;
    domain->conduct.seen_target_kib = domain->target_kib;
    domain->conduct.seen_cap_kib = domain->cap_kib;
}

static void judge(struct round *round, struct domain *domain)
{
    struct conduct *conduct = &domain->conduct;
    uint64_t elapsed_ms = conduct->seen_ms ? round->now_ms - conduct->seen_ms : 0;

    if (!domain_touchable(domain)) {
        conduct->asked_ms = 0;
        conduct->short_ms = 0;
        conduct->seen_ms = 0;
        conduct->seen_kib = 0;
        return;
    }
    elapsed_ms = smaller(elapsed_ms, LOOK_MOST_MS);
    if (conduct->class == CONDUCT_STARTING && domain->post.dialect != DIALECT_NONE)
        set_class(round, domain, CONDUCT_COOPERATIVE, "posts how its memory is doing");
    watch_taking(round, domain);
    watch_posts(round, domain);
    absolve(round, domain);
    watch_giving(round, domain, elapsed_ms);
    believe(round, domain);
    take_up_again(round, domain);
    watch_shortfall(round, domain);
    learn_offset(round, domain);
    remember(round, domain);
}

void conduct_judge(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        round_fetch_ahead(round, i, 0, offsetof(struct domain, conduct.since_ms));
        round_fetch_ahead(round, i, offsetof(struct domain, rest_ms),
                          offsetof(struct domain, started_ms));
        judge(round, &round->domains[i]);
    }
}
