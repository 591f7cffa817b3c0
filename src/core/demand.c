/* SPDX-License-Identifier: ISC */
#include "core/demand.h"

#include "core/conduct.h"
#include "report/timing.h"
#include "util/bounds.h"

/* Room to grow into, beyond what a domain uses: a guest that allocates 100 MiB/s gets its next
 * memory about 0.3 s after its agent saw the need. */
#define MARGIN_KIB 24576
#define MARGIN_SHARE 8

/* Where another swaps and waits, who has no swap left loses a process: with no more room than the
 * others guests lost one that grew by 25 to 50 MiB/s (measured). */
#define MARGIN_NO_SWAP_KIB (2 * MARGIN_KIB)

/* Who has less than this part of it is given that, whoever has the memory; who has more keeps that.
 * Were each always given all of it, a rise of one would have all the others give, and take back
 * afterwards. */
#define ROOM_GIVEN 3
#define ROOM_PARTS 4

/* So much of that it would miss at once, if all can have it: who has what he uses and no more is
 * short at the first MiB of a rise, of noise, or of a size that is rounded down. */
#define SPARE_KIB (MARGIN_KIB / 2)

/* XenServer's agents say no more than total and available, and only once a minute. */
#define MARGIN_SPARSE_KIB 32768
#define MARGIN_SPARSE_SHARE 4

/* Qubes' agent says one figure, with the cache counted as free; qmemman's own factor is 1.3. */
#define MARGIN_QUBES_SHARE 3

/* Stall time per time, in thousandths. Any stall at all as the trigger sticks for ever, so there is
 * a gap between the two. */
#define STALL_HIGH 20
#define STALL_LOW 5

/* Swapping in at this rate while it stalls a little: it wants back what was taken. 1 MiB/s. */
#define SWAP_IN_PAGES_PER_S 256

/* Memory that is asked for now is there so much later, with the post after this one: a look of the
 * agent, the gathering, and two balloons that begin to move. */
#define SERVE_MS 300

/* What is foreseen is kept for so long without another post: a guest whose CPU is wanted by others
 * looks at itself, and posts, that much later. */
#define RISE_KEPT_MS 1000

/* Need goes up within one post, and down with this time constant; what a domain would miss at once
 * (core) goes down sooner, so that others can have it who are short. What pressure added is a
 * guess, and goes once it is calm. */
#define DOWN_MS 4000
#define CORE_DOWN_MS 1500
#define BOOST_DOWN_MS 2000

/* A post that differs by less can wait: no call would follow from it. */
#define NEWS_KIB 2048

/* What a domain asked for by its pressure, and got, it must use within so long: a quarter of it is
 * used once, or is not free in the end. Linux fills what it is given with what it had to drop
 * within seconds (measured: 185,000 refaults in 5 s). */
#define PLEA_MS 10000
#define PLEA_USED_SHARE 4

/* When it does not, so many thousandths of what it would get for pressure are doubted, and twice as
 * many each further time; honest guests do that now and then (what was pressed has ended). Doubt
 * fades within so long, and goes by half each time that the memory is used. At most this: some of
 * it is always given, since who is doubted may be in need. */
#define DOUBT_FIRST 100
#define DOUBT_MOST 900
#define DOUBT_FADES_MS 600000

/* What is honestly used stays what it is when more or less is held, or is swapped out; who lies uses,
 * as it says, all or all but a little of whatever it holds. So use is shown when what is held changes
 * by a step and that does not. */
#define SHOWN_KIB 4096

/* Who holds more than its weight's share has so long to show that. */
#define INSIST_MS 60000

/* How much a count grew per second, 0 when it was not posted or went back. */
static uint64_t per_second(uint64_t now, uint64_t before, uint64_t elapsed_ms)
{
    if (now == REPORT_ABSENT || before == REPORT_ABSENT || now < before)
        return 0;
    return (now - before) * 1000 / elapsed_ms;
}

/* By the swap that it posts; of the other dialects it is not known. */
static bool cannot_swap(const struct post *post)
{
    return post->report.swap_free_kib != REPORT_ABSENT && post->report.swap_free_kib < MARGIN_KIB;
}

/* One that sizes itself asks beyond what it uses for all its room to grow. */
static uint64_t margin_kib(const struct post *post)
{
    uint64_t said_kib = post->used_kib + post->cache_kib;
    uint64_t asked_kib = above(post->wish_kib, said_kib);
    uint64_t least_kib = cannot_swap(post) ? MARGIN_NO_SWAP_KIB : MARGIN_KIB;

    switch (post->dialect) {
    case DIALECT_XENSERVER:
        return larger(MARGIN_SPARSE_KIB, post->used_kib / MARGIN_SPARSE_SHARE);
    case DIALECT_QUBES:
        return post->used_kib / MARGIN_QUBES_SHARE;
    case DIALECT_SELFBALLOON:
        return 0;
    default:
        return larger(asked_kib, larger(least_kib, post->used_kib / MARGIN_SHARE));
    }
}

static uint64_t swapped_kib(const struct post *post)
{
    const struct report *report = &post->report;

    if (report->swap_total_kib == REPORT_ABSENT || report->swap_free_kib == REPORT_ABSENT)
        return 0;
    return above(report->swap_total_kib, report->swap_free_kib);
}

/* By how much more it would use, had it all the memory that it wants, than at the post before. Who
 * leaves nothing free of what he was given since shows no growth of his own by that, but by what he
 * swapped out. */
static uint64_t growth_kib(const struct domain *domain)
{
    const struct demand *before = &domain->demand;
    uint64_t used = domain->post.used_kib, swapped = swapped_kib(&domain->post);
    uint64_t grown = above(used + swapped, before->used_kib + before->swapped_kib);

    if (domain->post.held_kib >= used + NEWS_KIB)
        return grown;
    return smaller(grown, before->room_kib + above(swapped, before->swapped_kib));
}

/* How much more it will use before it is served, if it goes on growing as it did: as fast as it did
 * since the post before; or faster, since an agent of ours posts what matters when it sees it, so
 * that all of a rise but that may have come since the look before. */
static uint64_t rise_kib(const struct domain *domain, uint64_t elapsed_ms)
{
    const struct post *post = &domain->post;
    uint64_t grown = growth_kib(domain);
    uint64_t rise, late;

    if (elapsed_ms == 0 || post->dialect == DIALECT_SELFBALLOON)
        return 0;
    rise = grown * SERVE_MS / larger(elapsed_ms, TIMING_LOOK_MS);
    if (post->dialect == DIALECT_BALLAST && elapsed_ms >= 2 * TIMING_LOOK_MS) {
        late = above(grown, timing_matters_kib(&post->report));
        rise = larger(rise, late * SERVE_MS / TIMING_LOOK_MS);
    }
    return smaller(rise, post->held_kib / 2);
}

/* What the post says is in use, without regard to pressure. */
static uint64_t stated_kib(const struct domain *domain)
{
    const struct post *post = &domain->post;

    /* Nothing shows whether it uses what it wishes: that counts up to what its weight gives it, and
     * more it has of the surplus. Its margin is in it. */
    if (post->dialect == DIALECT_SELFBALLOON)
        return larger(smaller(post->wish_kib, domain->entitled_kib), post->minimum_kib);
    return post->used_kib + post->cache_kib;
}

/* Posts that tell of pressure say by that what the domain misses; of others, the room to grow is
 * part of what it would miss. */
static bool tells_pressure(const struct post *post)
{
    return post->report.some_us != REPORT_ABSENT;
}

static uint64_t raw_kib(const struct domain *domain)
{
    uint64_t margin = tells_pressure(&domain->post) ? 0 : margin_kib(&domain->post);

    return stated_kib(domain) + margin;
}

/* Stall since the post before, in thousandths of the time; 1000 at most. */
static uint64_t stall_share(const struct domain *domain, uint64_t elapsed_ms)
{
    uint64_t stall =
        per_second(domain->post.report.some_us, domain->demand.stall_us, elapsed_ms) / 1000;

    return smaller(stall, 1000);
}

/* One that sizes itself asks for another size, and that is in its room to grow. */
static bool asks_anew(const struct domain *domain)
{
    return domain->post.wish_kib > 0 && tells_pressure(&domain->post)
           && distance(margin_kib(&domain->post), domain->demand.margin_kib) >= NEWS_KIB;
}

bool demand_has_news(const struct domain *domain)
{
    const struct demand *demand = &domain->demand;
    uint64_t elapsed_ms = domain->post.at_ms - demand->post_ms;
    uint64_t raw, rise;

    if (!domain->shares || domain->post.at_ms == demand->post_ms)
        return false;
    if (demand->post_ms == 0 || stall_share(domain, elapsed_ms) >= STALL_LOW)
        return true;
    raw = raw_kib(domain);
    rise = rise_kib(domain, elapsed_ms);
    /* A rise that came as it was foreseen is news, too: what is foreseen is forgotten soon. */
    return distance(raw, demand->raw_kib) >= NEWS_KIB
           || distance(raw + rise, demand->raw_kib + demand->rise_kib) >= NEWS_KIB
           || asks_anew(domain);
}

/* What is free inside, by this post. */
static uint64_t free_kib(const struct post *post)
{
    return post->report.free_kib == REPORT_ABSENT ? post->report.available_kib
                                                  : post->report.free_kib;
}

/* How much more a stalling domain gets at once: the more the harder it stalls. 0: leave it. What is
 * free inside already is part of it: a guest that swaps in stalls for a while although it has the
 * memory. */
static uint64_t boost_step_kib(const struct domain *domain, uint64_t stall, uint64_t swap_in)
{
    const struct post *post = &domain->post;
    uint64_t part = stall < 100 ? 32 : stall < 400 ? 16 : 4;
    uint64_t step = post->held_kib / part;

    if (stall < STALL_HIGH && !(stall >= STALL_LOW && swap_in >= SWAP_IN_PAGES_PER_S))
        return 0;
    return step - smaller(step, free_kib(post));
}

/* Doubt fades with time, whatever it does. */
static void fade(struct demand *demand, uint64_t now_ms)
{
    uint64_t steps = (now_ms - demand->doubt_ms) * DOUBT_MOST / DOUBT_FADES_MS;

    if (demand->doubt == 0) {
        demand->doubt_ms = now_ms;
    } else if (steps > 0) {
        demand->doubt -= (uint32_t)smaller(steps, demand->doubt);
        demand->doubt_ms = now_ms;
    }
}

/* It was given memory on its word: did it use that? */
static void settle_plea(struct domain *domain)
{
    struct demand *demand = &domain->demand;
    const struct post *post = &domain->post;
    uint64_t more = free_kib(post) - smaller(free_kib(post), demand->plea_free_kib);
    bool given = post->held_kib >= demand->plea_kib;
    bool used = post->used_kib >= demand->plea_used_kib;

    if (demand->plea_kib == 0 || (!used && post->at_ms - demand->plea_ms < PLEA_MS))
        return;
    if (used || (given && more < demand->plea_unused_kib))
        demand->doubt /= 2;
    else if (given)
        demand->doubt = (uint32_t)clamp(2 * (uint64_t)demand->doubt, DOUBT_FIRST, DOUBT_MOST);
    demand->plea_kib = 0;
}

/* What pressure adds beyond what the domain uses, not again before that can have come; it is to be
 * explained when it has come. */
static void plead(struct domain *domain, uint64_t step)
{
    struct demand *demand = &domain->demand;
    const struct post *post = &domain->post;

    step = step * (1000 - demand->doubt) / 1000;
    if (post->held_kib + step <= demand->raw_kib + demand->boost_kib
        || post->at_ms - demand->boost_ms < SERVE_MS)
        return;
    demand->boost_ms = post->at_ms;
    demand->boost_kib = post->held_kib + step - demand->raw_kib;
    if (demand->plea_kib != 0)
        return;
    demand->plea_kib = post->held_kib + step - step / PLEA_USED_SHARE;
    demand->plea_unused_kib = step - step / PLEA_USED_SHARE;
    demand->plea_free_kib = free_kib(post);
    demand->plea_used_kib = post->used_kib + step / PLEA_USED_SHARE;
    demand->plea_ms = post->at_ms;
}

/* The posts of other dialects come too seldom, or do not say what is swapped out. */
static bool can_show(const struct post *post)
{
    return post->dialect == DIALECT_BALLAST;
}

/* Has it shown that it uses what it says, but for room to grow? That it waits for memory shows
 * nothing: it costs nothing to say so. What it held when it looked at itself is as it says; what the
 * hypervisor says may have changed since, but is no lie: both have to. */
static void watch_showing(struct domain *domain)
{
    struct demand *demand = &domain->demand;
    const struct post *post = &domain->post;
    uint64_t stated = stated_kib(domain), own = stated + swapped_kib(post);
    uint64_t held = stated + above(post->report.available_kib, post->cache_kib);

    if (!can_show(post))
        return;
    demand->shown_kib = smaller(demand->shown_kib, stated);
    if (distance(own, demand->own_kib) > NEWS_KIB) {
        demand->own_kib = own;
        demand->own_said_kib = held;
        demand->own_held_kib = post->held_kib;
    }
    if (distance(held, demand->own_said_kib) >= SHOWN_KIB
        && distance(post->held_kib, demand->own_held_kib) >= SHOWN_KIB) {
        demand->own_said_kib = held;
        demand->own_held_kib = post->held_kib;
        demand->shown_kib = stated;
        demand->unshown_ms = 0;
    }
    demand->unshown = stated > demand->shown_kib + MARGIN_KIB;
}

/* A post came: what it says, and what it says of the time since the one before. */
static void take_post(struct domain *domain)
{
    const struct post *post = &domain->post;
    struct demand *demand = &domain->demand;
    uint64_t elapsed_ms = demand->post_ms ? post->at_ms - demand->post_ms : 0;

    /* What it uses more than before is what it missed. */
    demand->boost_kib -= smaller(demand->boost_kib, above(raw_kib(domain), demand->raw_kib));
    demand->raw_kib = raw_kib(domain);
    demand->rise_kib = rise_kib(domain, elapsed_ms);
    demand->margin_kib = tells_pressure(post) ? margin_kib(post) : 0;
    if (elapsed_ms > 0) {
        uint64_t stall = stall_share(domain, elapsed_ms);
        uint64_t swap_in =
            per_second(post->report.swap_in_pages, demand->swap_in_pages, elapsed_ms);
        uint64_t step = boost_step_kib(domain, stall, swap_in);

        demand->calm = stall < STALL_LOW;
        fade(demand, post->at_ms);
        settle_plea(domain);
        if (step > 0)
            plead(domain, step);
    }
    watch_showing(domain);
    demand->post_ms = post->at_ms;
    demand->used_kib = post->used_kib;
    demand->swapped_kib = swapped_kib(post);
    demand->room_kib = above(post->held_kib, post->used_kib);
    demand->stall_us = post->report.some_us;
    demand->swap_in_pages = post->report.swap_in_pages;
}

/* A share of `gap` that goes in elapsed_ms, with constant_ms as time constant, at least 1 MiB/s. */
static uint64_t let_down_kib(uint64_t gap, uint64_t elapsed_ms, uint64_t constant_ms)
{
    uint64_t part = gap * (elapsed_ms < constant_ms ? elapsed_ms : constant_ms) / constant_ms;
    uint64_t least = elapsed_ms * 1024 / 1000;

    part = larger(part, least);
    return part < gap ? part : gap;
}

/* Counts for how long something is so, up to twice what makes one insist; it is forgotten as
 * slowly. */
static uint64_t count_ms(uint64_t ms, bool is_so, uint64_t elapsed_ms)
{
    return is_so ? smaller(ms + elapsed_ms, 2 * INSIST_MS) : ms - smaller(elapsed_ms, ms);
}

/* Has it risen above its share, and not shown for long that it uses what it says? Then it insists
 * until it has. One that cannot show it does when it has left nothing unused there for as long, until
 * it has left something for as long. But a higher priority comes first, whatever it says. */
static void watch_insisting(const struct round *round, struct domain *domain, uint64_t elapsed_ms)
{
    struct demand *demand = &domain->demand;
    uint64_t stated = stated_kib(domain);
    bool full = stated + demand->boost_kib + NEWS_KIB > domain->actual_kib;
    bool more = domain->actual_kib > domain->entitled_kib;
    bool claims = more && stated + SPARE_KIB > domain->entitled_kib;

    if (more || !full)
        demand->full_ms = count_ms(demand->full_ms, full, elapsed_ms);
    demand->unshown_ms = count_ms(demand->unshown_ms, claims && demand->unshown, elapsed_ms);
    domain->insists = domain->shares && domain->limits.priority == round->least_priority
                      && (demand->unshown_ms >= INSIST_MS
                          || (!can_show(&domain->post) && demand->full_ms >= INSIST_MS));
}

uint64_t demand_first_kib(const struct domain *domain)
{
    uint64_t first_kib = domain->entitled_kib;

    if (!domain->insists)
        return domain->core_kib;
    /* Who has left something, and is honest, might lose a process before it has shown its use. */
    if (domain->demand.full_ms < INSIST_MS && cannot_swap(&domain->post))
        first_kib = larger(first_kib, stated_kib(domain));
    return smaller(domain->core_kib, first_kib);
}

/* What it needs with the room to grow that it has, or is to have. */
static uint64_t roomy_kib(const struct domain *domain, uint64_t core_kib)
{
    uint64_t most_kib = domain->demand.roomy_kib;
    int64_t asked_kib = (int64_t)domain->target_kib + domain->offset_kib;

    return clamp(asked_kib > 0 ? (uint64_t)asked_kib : 0,
                 core_kib + (most_kib - core_kib) * ROOM_GIVEN / ROOM_PARTS, most_kib);
}

static void estimate(const struct round *round, struct domain *domain)
{
    struct demand *demand = &domain->demand;
    uint64_t elapsed_ms = demand->updated_ms ? round->now_ms - demand->updated_ms : 0;
    bool first = demand->post_ms == 0;
    uint64_t core;
    uint64_t need;

    if (domain->post.at_ms != demand->post_ms)
        take_post(domain);
    if (demand->calm)
        demand->boost_kib -= let_down_kib(demand->boost_kib, elapsed_ms, BOOST_DOWN_MS);
    if (round->now_ms - demand->post_ms >= RISE_KEPT_MS)
        demand->rise_kib = 0;
    core = demand->raw_kib + demand->boost_kib;
    /* Half of its room to grow is for the rise that is foreseen. */
    need = demand->raw_kib + demand->margin_kib
           + larger(above(demand->rise_kib, demand->margin_kib / 2), demand->boost_kib);
    /* What was guessed before it said anything is not let down: it is forgotten. */
    if (core < demand->core_kib && !first)
        core = demand->core_kib - let_down_kib(demand->core_kib - core, elapsed_ms, CORE_DOWN_MS);
    demand->core_kib = core;
    core = larger(core, demand->raw_kib + demand->rise_kib);
    if (need < demand->roomy_kib && !first)
        need = demand->roomy_kib - let_down_kib(demand->roomy_kib - need, elapsed_ms, DOWN_MS);
    demand->roomy_kib = larger(need, core);
    domain->core_kib = smaller(core, domain->max_kib);
    domain->need_kib = clamp(roomy_kib(domain, core), domain->min_kib, domain->max_kib);
    watch_insisting(round, domain, elapsed_ms);
    demand->updated_ms = round->now_ms;
}

static void ask(struct domain *domain, uint64_t kib)
{
    domain->core_kib = kib;
    domain->need_kib = kib;
}

/* Of one that does not share: its guarantee, or what it holds and may. */
static uint64_t entitled_alone_kib(const struct domain *domain)
{
    if (!conduct_trusted(domain))
        return domain->min_kib;
    if (!domain->managed)
        return domain->actual_kib;
    return clamp(domain->actual_kib, domain->min_kib, domain->max_kib);
}

/* Notes what a domain shares by. True when that is not as it was. */
static bool note_stake(struct domain *domain)
{
    struct stake was = domain->stake;

    domain->stake = (struct stake){ 0 };
    if (domain->shares)
        domain->stake = (struct stake){
            .min_kib = domain->min_kib,
            .max_kib = domain->max_kib,
            .weight = domain->limits.weight,
        };
    return was.min_kib != domain->stake.min_kib || was.max_kib != domain->stake.max_kib
           || was.weight != domain->stake.weight;
}

static void fill_entitled(struct round *round, uint64_t there_kib)
{
    size_t n = 0;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!domain->shares)
            continue;
        round->fill[n] = (struct fill_item){
            .floor_kib = domain->min_kib,
            .ceiling_kib = domain->max_kib,
            .weight = domain->limits.weight,
        };
        round->fill_index[n++] = (uint32_t)i;
    }
    (void)fill(round->fill, n, there_kib);
    for (size_t k = 0; k < n; k++) {
        struct domain *domain = &round->domains[round->fill_index[k]];

        domain->entitled_kib = larger(round->fill[k].given_kib, domain->min_kib);
    }
}

/* What its weight gives each domain that shares, between its minimum and maximum, were everybody to
 * use all they may. The pool is nobody's. In most rounds that is what it was in the round
 * before. */
static void entitle(struct round *round)
{
    uint64_t there_kib = round->share_kib - smaller(round->pool_kib, round->share_kib);
    bool changed = there_kib != round->entitled_of_kib;
    size_t sharers = 0;

    round->least_priority = INT32_MAX;
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        if (domain->shares && domain->limits.priority < round->least_priority)
            round->least_priority = domain->limits.priority;
        changed |= note_stake(domain);
        sharers += domain->shares;
        if (!domain->shares)
            domain->entitled_kib = entitled_alone_kib(domain);
    }
    if (changed || sharers != round->sharers)
        fill_entitled(round, there_kib);
    round->entitled_of_kib = there_kib;
    round->sharers = sharers;
}

static uint64_t spare_kib(const struct domain *domain)
{
    return domain->shares ? smaller(SPARE_KIB, domain->need_kib - domain->core_kib) : 0;
}

/* Gives each its spare, or the same part of it as far as there is enough when all have their
 * cores. */
static void spare(struct round *round, uint64_t cores_kib, uint64_t spares_kib)
{
    uint64_t left_kib = round->share_kib - smaller(cores_kib, round->share_kib);

    left_kib = smaller(left_kib, spares_kib);
    for (size_t i = 0; i < round->count && left_kib > 0; i++)
        round->domains[i].core_kib += spare_kib(&round->domains[i]) * left_kib / spares_kib;
}

/* One that may yet say what it needs has what it holds meanwhile: others would give for a guess. */
static bool may_yet_say(const struct round *round, struct domain *domain)
{
    struct demand *demand = &domain->demand;

    if (demand->silent_ms == 0)
        demand->silent_ms = round->now_ms;
    return demand->post_ms == 0 && round->now_ms - demand->silent_ms < round->grace_ms;
}

void demand_estimate(struct round *round)
{
    uint64_t cores_kib = 0, spares_kib = 0;

    entitle(round);
    round->insisted_kib = 0;
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        round_fetch_ahead(round, i, offsetof(struct domain, demand.calm),
                          offsetof(struct domain, post.report));
        domain->insists = false;
        if (!domain->managed)
            ask(domain, domain->actual_kib);
        else if (!conduct_trusted(domain))
            ask(domain, domain->min_kib);
        else if (post_usable(&domain->post, round->now_ms))
            estimate(round, domain);
        else if (domain->shares && !may_yet_say(round, domain))
            ask(domain, domain->entitled_kib); /* of one that says nothing, only that is known */
        else
            ask(domain, clamp(domain->actual_kib, domain->min_kib, domain->max_kib));
        domain->available_kib = (int64_t)domain->actual_kib - (int64_t)domain->need_kib;
        cores_kib += domain->shares ? domain->core_kib : 0;
        if (domain->insists)
            round->insisted_kib += domain->core_kib - demand_first_kib(domain);
        spares_kib += spare_kib(domain);
    }
    spare(round, cores_kib, spares_kib);
}
