/* SPDX-License-Identifier: ISC */
#include "core/reserve.h"

#include <stdio.h>
#include <string.h>

#include "core/round.h"
#include "util/bounds.h"
#include "util/units.h"

_Static_assert(RESERVATION_NAME_SIZE == DOMAIN_NAME_SIZE, "a domain's name fits");

/* One that has what it must have waits so much longer for what it may have besides: a balloon
 * that goes on letting go does so within 0.2 s (measured). */
#define STILL_MS 1000

/* One that could be met a moment ago: what has just gone may come back, such as the memory of a
 * domain that dies while another is built. */
#define LACKING_MS 3000

/* The start time that the toolstack notes is cut to seconds. */
#define START_MS 1000

/* A domain that reboots is built anew within this: a guest does that when it likes. One that was
 * there when a reservation was made is not what that is for, however long it takes. */
#define REBOOT_MS 10000

/* A failure names so many of those who keep memory. */
#define NAMED_MAX 4

struct reservation *reserve_add(struct reservations *reservations,
                                const struct reserve_request *request, uint64_t now_ms)
{
    struct reservation *reservation;

    if (reservations->count == RESERVATIONS_MAX)
        return NULL;
    reservation = &reservations->list[reservations->count++];
    *reservation = (struct reservation){
        .id = ++reservations->last_id,
        .least_kib = request->least_kib,
        .most_kib = request->most_kib,
        .hold_ms = request->hold_ms,
        .made_ms = now_ms,
        .until_ms = now_ms + request->wait_ms,
        .grown_ms = now_ms,
    };
    (void)snprintf(reservation->name, sizeof(reservation->name), "%s",
                   request->name ? request->name : "");
    return reservation;
}

struct reservation *reserve_find(struct reservations *reservations, uint64_t id)
{
    for (size_t i = 0; i < reservations->count; i++) {
        struct reservation *reservation = &reservations->list[i];

        if (reservation->id == id && reservation->state != RESERVATION_ENDED)
            return reservation;
    }
    return NULL;
}

static void end(struct reservation *reservation, enum reservation_end why)
{
    reservation->state = RESERVATION_ENDED;
    reservation->end = why;
    reservation->counted_kib = 0;
}

void reserve_release(struct reservation *reservation)
{
    end(reservation, END_RELEASED);
}

const char *reserve_label(const struct reservation *reservation, char text[RESERVE_LABEL_SIZE])
{
    char size[UNITS_TEXT_SIZE];

    (void)snprintf(text, RESERVE_LABEL_SIZE, "%llu (%s%s%.40s)",
                   (unsigned long long)reservation->id,
                   units_format_kib((int64_t)reservation->least_kib, size),
                   reservation->name[0] ? " for " : "", reservation->name);
    return text;
}

static void note(struct round *round, const struct reservation *reservation, const char *what)
{
    char label[RESERVE_LABEL_SIZE];

    round_note(round, EVENT_RESERVATION, NULL, "%s: %s", reserve_label(reservation, label), what);
}

static void note_end(struct round *round, struct reservation *reservation, enum reservation_end why)
{
    end(reservation, why);
    note(round, reservation, reservation_end_text(why));
}

static void forget_ended(struct reservations *reservations)
{
    size_t kept = 0;

    for (size_t i = 0; i < reservations->count; i++) {
        if (reservations->list[i].state != RESERVATION_ENDED)
            reservations->list[kept++] = reservations->list[i];
    }
    reservations->count = kept;
}

/* One that waits and has what it must have is not late: reserve_judge() makes it ready. Nor is one
 * that was not judged yet: even one that does not wait at all gets a round. */
static void end_late(struct round *round, struct reservation *reservation)
{
    if (reservation->state == RESERVATION_ENDED || round->now_ms < reservation->until_ms)
        return;
    if (reservation->state != RESERVATION_WAITING)
        note_end(round, reservation, END_EXPIRED);
    else if (reservation->gathered_kib < reservation->least_kib && reservation->can_ms != 0)
        note_end(round, reservation, END_LATE);
}

/* The hand-over. */

static void remember_gone(struct round *round)
{
    struct reservations *reservations = &round->reservations;

    for (size_t i = 0; i < round->event_count; i++) {
        struct reserve_gone *gone = &reservations->gone[reservations->gone_next];

        if (round->events[i].kind != EVENT_DOMAIN_GONE)
            continue;
        memcpy(gone->uuid, round->events[i].uuid, sizeof(gone->uuid));
        gone->at_ms = round->now_ms;
        reservations->gone_next = (reservations->gone_next + 1) % RESERVE_GONE_MAX;
    }
}

static bool reboots(const struct round *round, const struct reservation *reservation,
                    const struct domain *domain)
{
    for (size_t i = 0; i < RESERVE_GONE_MAX; i++) {
        const struct reserve_gone *gone = &round->reservations.gone[i];

        if (gone->at_ms != 0
            && (gone->at_ms > reservation->made_ms || round->now_ms - gone->at_ms < REBOOT_MS)
            && memcmp(gone->uuid, domain->uuid, sizeof(gone->uuid)) == 0)
            return true;
    }
    return false;
}

/* For a domain that nobody named there is no telling, in the first round of a daemon, whether it
 * came after the reservation did, unless it is being built there and then. */
static bool is_for(const struct round *round, const struct reservation *reservation,
                   const struct domain *domain, bool by_name)
{
    if (by_name)
        return (reservation->state == RESERVATION_WAITING
                || reservation->state == RESERVATION_READY)
               && strcmp(reservation->name, domain->name) == 0
               && domain->started_ms + START_MS >= reservation->made_ms;
    return reservation->state == RESERVATION_READY && reservation->name[0] == '\0'
           && (domain->phase == PHASE_BUILDING || round->number > 1)
           && !reboots(round, reservation, domain);
}

static struct reservation *find_for(struct round *round, const struct domain *domain, bool by_name)
{
    for (size_t i = 0; i < round->reservations.count; i++) {
        struct reservation *reservation = &round->reservations.list[i];

        if (is_for(round, reservation, domain, by_name))
            return reservation;
    }
    return NULL;
}

static void hand_over(struct round *round, struct domain *domain)
{
    struct reservation *reservation = find_for(round, domain, true);

    if (!reservation)
        reservation = find_for(round, domain, false);
    domain->appeared = true;
    if (!reservation)
        return;
    reservation->state = RESERVATION_TAKEN;
    /* Building takes the time that it takes: its time begins anew. */
    reservation->until_ms = larger(reservation->until_ms, round->now_ms + reservation->hold_ms);
    memcpy(reservation->uuid, domain->uuid, sizeof(reservation->uuid));
    round_note(round, EVENT_RESERVATION, domain, "takes reservation %llu",
               (unsigned long long)reservation->id);
}

/* The domain that takes it while that is being built, else NULL. One that died may be there as
 * well, with the same UUID, as long as somebody holds pages of it. */
static const struct domain *taker(const struct round *round, const struct reservation *reservation)
{
    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (domain->phase == PHASE_BUILDING
            && memcmp(domain->uuid, reservation->uuid, sizeof(reservation->uuid)) == 0)
            return domain;
    }
    return NULL;
}

/* What it holds and may take: counted once, for the domain. */
static uint64_t reach_kib(const struct domain *domain)
{
    uint64_t room = above(domain->cap_kib, domain->actual_low_kib);

    return domain->actual_low_kib + larger(room, domain->claim_kib);
}

/* What it counts with; at the end of the build it ends. */
static void count(struct round *round, struct reservation *reservation)
{
    const struct domain *domain;
    uint64_t reach;

    reservation->counted_kib = 0;
    if (reservation->state == RESERVATION_ENDED)
        return;
    reservation->counted_kib = reservation->gathered_kib;
    if (reservation->state != RESERVATION_TAKEN)
        return;
    domain = taker(round, reservation);
    if (!domain) {
        note_end(round, reservation, END_DONE);
        return;
    }
    reach = reach_kib(domain);
    reservation->counted_kib -= smaller(reach, reservation->counted_kib);
}

static void sum_up(struct round *round)
{
    round->reserved_kib = 0;
    for (size_t i = 0; i < round->reservations.count; i++)
        round->reserved_kib += round->reservations.list[i].counted_kib;
}

void reserve_begin(struct round *round)
{
    struct reservations *reservations = &round->reservations;

    forget_ended(reservations);
    remember_gone(round);
    for (size_t i = 0; i < reservations->count; i++)
        end_late(round, &reservations->list[i]);
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        if (!domain->appeared && !domain->nameless && domain->domid != 0)
            hand_over(round, domain);
    }
    for (size_t i = 0; i < reservations->count; i++)
        count(round, &reservations->list[i]);
    sum_up(round);
}

/* Gathering. */

void reserve_yield(struct round *round, uint64_t short_kib)
{
    struct reservations *reservations = &round->reservations;

    for (size_t i = reservations->count; i > 0; i--) {
        struct reservation *reservation = &reservations->list[i - 1];
        uint64_t less = smaller(short_kib, reservation->counted_kib);

        if (reservation->state != RESERVATION_TAKEN && !reservation->restored)
            continue;
        reservation->counted_kib -= less;
        short_kib -= less;
        if (reservation->state == RESERVATION_TAKEN)
            continue;
        reservation->gathered_kib -= less;
        if (reservation->gathered_kib < reservation->least_kib)
            reservation->state = RESERVATION_WAITING;
    }
    sum_up(round);
}

/* Up to its size; what it must have, or also what it may. Returns what is left of spare_kib. */
static uint64_t gather(const struct round *round, struct reservation *reservation, bool must,
                       uint64_t spare_kib)
{
    uint64_t size = must ? reservation->least_kib : reservation->most_kib;
    uint64_t more;

    if (reservation->state != RESERVATION_WAITING || reservation->gathered_kib >= size)
        return spare_kib;
    more = smaller(spare_kib, size - reservation->gathered_kib);
    if (more > 0)
        reservation->grown_ms = round->now_ms;
    reservation->gathered_kib += more;
    reservation->counted_kib += more;
    return spare_kib - more;
}

void reserve_gather(struct round *round, uint64_t keep_kib)
{
    uint64_t headroom = round->headroom_kib > 0 ? (uint64_t)round->headroom_kib : 0;
    uint64_t spare = above(headroom, keep_kib);
    uint64_t left = spare;

    for (size_t i = 0; i < round->reservations.count; i++)
        left = gather(round, &round->reservations.list[i], true, left);
    for (size_t i = 0; i < round->reservations.count; i++)
        left = gather(round, &round->reservations.list[i], false, left);
    round->headroom_kib -= (int64_t)(spare - left);
    sum_up(round);
}

struct reserve_wants reserve_wants(const struct reservations *reservations)
{
    struct reserve_wants wants = { 0 };

    for (size_t i = 0; i < reservations->count; i++) {
        const struct reservation *reservation = &reservations->list[i];
        uint64_t has = reservation->gathered_kib;

        if (reservation->state != RESERVATION_WAITING)
            continue;
        wants.must_kib += above(reservation->least_kib, has);
        wants.may_kib += reservation->most_kib - larger(has, reservation->least_kib);
    }
    return wants;
}

/* Judging. */

/* What a domain that shares keeps until then. What it showed that it cannot let go is not
 * counted on again before it has let go something. */
static uint64_t keeps_kib(const struct round *round, const struct domain *domain, uint64_t by_ms)
{
    uint64_t keeps = round_bottom_kib(round, domain, by_ms);

    if (!domain->conduct.stalled)
        return keeps;
    return larger(keeps, smaller(domain->actual_kib, domain->conduct.stalled_at_kib));
}

/* What can be had by then, besides what is gathered: what is shared out, above what its domains
 * keep, and what is on its way back to the host. */
static uint64_t obtainable_kib(const struct round *round, uint64_t by_ms)
{
    uint64_t there = round->share_kib + round->scrub_kib;
    uint64_t kept = 0;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (domain->shares)
            kept += keeps_kib(round, domain, by_ms);
        else if (domain->phase == PHASE_DYING)
            there += domain->actual_kib;
    }
    return above(there, kept);
}

static void make_ready(struct round *round, struct reservation *reservation)
{
    reservation->state = RESERVATION_READY;
    reservation->until_ms = round->now_ms + reservation->hold_ms;
    note(round, reservation, "ready");
}

/* before_kib: what those before it in the queue still lack. */
static void judge(struct round *round, struct reservation *reservation, uint64_t before_kib)
{
    uint64_t can = obtainable_kib(round, reservation->until_ms);

    can = reservation->gathered_kib + above(can, before_kib);
    reservation->can_kib = can;
    if (can >= reservation->least_kib) {
        reservation->can_ms = round->now_ms;
        return;
    }
    if (reservation->can_ms != 0 && round->now_ms - reservation->can_ms < LACKING_MS)
        return;
    /* Nobody gives for what it has gathered in vain, and the next in the queue may have it. */
    round->headroom_kib += (int64_t)reservation->counted_kib;
    round->share_kib += reservation->counted_kib;
    note_end(round, reservation, END_IMPOSSIBLE);
}

static bool is_ready(const struct round *round, const struct reservation *reservation)
{
    return reservation->gathered_kib >= reservation->most_kib
           || (reservation->gathered_kib >= reservation->least_kib
               && (round->now_ms - reservation->grown_ms >= STILL_MS
                   || round->now_ms >= reservation->until_ms));
}

void reserve_judge(struct round *round)
{
    uint64_t before = 0;

    for (size_t i = 0; i < round->reservations.count; i++) {
        struct reservation *reservation = &round->reservations.list[i];

        reservation->restored = false;
        if (reservation->state != RESERVATION_WAITING)
            continue;
        if (is_ready(round, reservation))
            make_ready(round, reservation);
        else if (reservation->gathered_kib < reservation->least_kib)
            judge(round, reservation, before);
        if (reservation->state == RESERVATION_WAITING
            && reservation->gathered_kib < reservation->least_kib)
            before += reservation->least_kib - reservation->gathered_kib;
    }
    sum_up(round);
}

uint64_t reserve_due_ms(const struct round *round)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < round->reservations.count; i++) {
        const struct reservation *reservation = &round->reservations.list[i];
        uint64_t at = reservation->until_ms;

        if (reservation->state == RESERVATION_ENDED)
            continue;
        if (reservation->state == RESERVATION_WAITING
            && reservation->gathered_kib >= reservation->least_kib)
            at = smaller(at, reservation->grown_ms + STILL_MS);
        due = smaller(due, above(at, round->now_ms));
    }
    return due;
}

/* Reporting. */

static void add_holder(struct reserve_report *report, struct reserve_holder holder)
{
    size_t at = report->count;

    if (holder.keeps_kib == 0)
        return;
    while (at > 0 && report->holders[at - 1].keeps_kib < holder.keeps_kib)
        at--;
    if (at == RESERVE_HOLDERS_MAX)
        return;
    if (report->count < RESERVE_HOLDERS_MAX)
        report->count++;
    memmove(&report->holders[at + 1], &report->holders[at],
            (report->count - 1 - at) * sizeof(report->holders[0]));
    report->holders[at] = holder;
}

static struct reserve_holder holder_of(const struct round *round, const struct domain *domain,
                                       uint64_t by_ms)
{
    struct reserve_holder holder = {
        .domain = domain,
        .holds_kib = domain->actual_kib,
        .keeps_kib = reach_kib(domain),
    };

    if (!domain->managed) {
        holder.why = HOLDS_UNMANAGED;
    } else if (!domain_touchable(domain)) {
        holder.why = HOLDS_UNTOUCHED;
    } else if (!domain->shares) {
        holder.why = HOLDS_UNHELPFUL;
    } else {
        holder.keeps_kib = keeps_kib(round, domain, by_ms);
        holder.why = holder.keeps_kib <= domain->min_kib ? HOLDS_MINIMUM
                     : domain->conduct.stalled           ? HOLDS_STALLED
                                                         : HOLDS_STARTING;
    }
    return holder;
}

/* What the others have, and those before it in the queue want. */
static uint64_t others_kib(const struct round *round, const struct reservation *reservation)
{
    uint64_t others = 0;

    for (size_t i = 0; i < round->reservations.count; i++) {
        const struct reservation *other = &round->reservations.list[i];

        if (other == reservation)
            continue;
        if (other->state == RESERVATION_WAITING && other->id < reservation->id)
            others += larger(other->least_kib, other->gathered_kib);
        else
            others += other->counted_kib;
    }
    return others;
}

void reserve_report(const struct round *round, const struct reservation *reservation,
                    struct reserve_report *ret_report)
{
    struct reserve_holder host = { .why = HOLDS_RESERVE };

    ret_report->count = 0;
    for (size_t i = 0; i < round->count; i++)
        add_holder(ret_report, holder_of(round, &round->domains[i], reservation->until_ms));
    host.holds_kib = host.keeps_kib = round->reserve_kib;
    add_holder(ret_report, host);
    host.why = HOLDS_RESERVED;
    host.holds_kib = host.keeps_kib = others_kib(round, reservation);
    add_holder(ret_report, host);
}

static const char *why_text(enum reserve_why why)
{
    static const char *const texts[] = {
        [HOLDS_MINIMUM] = "guaranteed to it",  [HOLDS_STARTING] = "in its grace",
        [HOLDS_STALLED] = "uses it",           [HOLDS_UNHELPFUL] = "does not let go",
        [HOLDS_UNTOUCHED] = "not touched now", [HOLDS_UNMANAGED] = "not managed",
        [HOLDS_RESERVE] = "the reserve",       [HOLDS_RESERVED] = "other reservations",
    };

    return texts[why];
}

static void append_holder(char text[RESERVE_TEXT_SIZE], const struct reserve_holder *holder)
{
    size_t len = strlen(text);
    char size[UNITS_TEXT_SIZE];

    units_format_kib((int64_t)holder->keeps_kib, size);
    if (holder->domain)
        (void)snprintf(text + len, RESERVE_TEXT_SIZE - len, ", %s keeps %s (%s)",
                       holder->domain->name, size, why_text(holder->why));
    else
        (void)snprintf(text + len, RESERVE_TEXT_SIZE - len, ", %s %s", why_text(holder->why), size);
}

void reserve_explain(const struct round *round, const struct reservation *reservation,
                     char text[RESERVE_TEXT_SIZE])
{
    struct reserve_report report;
    char size[UNITS_TEXT_SIZE];
    char can[UNITS_TEXT_SIZE];

    units_format_kib((int64_t)reservation->least_kib, size);
    if (reservation->end == END_IMPOSSIBLE)
        (void)snprintf(text, RESERVE_TEXT_SIZE, "%s cannot be had, but %s at most", size,
                       units_format_kib((int64_t)reservation->can_kib, can));
    else if (reservation->end == END_LATE)
        (void)snprintf(text, RESERVE_TEXT_SIZE, "%s of %s in the time given",
                       units_format_kib((int64_t)reservation->gathered_kib, can), size);
    else
        (void)snprintf(text, RESERVE_TEXT_SIZE, "%s", reservation_end_text(reservation->end));
    if (reservation->end != END_IMPOSSIBLE && reservation->end != END_LATE)
        return;
    reserve_report(round, reservation, &report);
    for (size_t i = 0; i < report.count && i < NAMED_MAX; i++)
        append_holder(text, &report.holders[i]);
    if (report.count > NAMED_MAX)
        (void)snprintf(text + strlen(text), RESERVE_TEXT_SIZE - strlen(text), ", and others");
}

const char *reservation_state_name(enum reservation_state state)
{
    static const char *const names[] = {
        [RESERVATION_WAITING] = "waiting",
        [RESERVATION_READY] = "ready",
        [RESERVATION_TAKEN] = "taken",
        [RESERVATION_ENDED] = "ended",
    };

    return names[state];
}

const char *reservation_end_text(enum reservation_end why)
{
    static const char *const texts[] = {
        [END_NONE] = "goes on",           [END_DONE] = "its domain has it",
        [END_RELEASED] = "given back",    [END_EXPIRED] = "its time is over",
        [END_LATE] = "not ready in time", [END_IMPOSSIBLE] = "more than can be had",
    };

    return texts[why];
}

const char *reserve_why_name(enum reserve_why why)
{
    static const char *const names[] = {
        [HOLDS_MINIMUM] = "minimum",     [HOLDS_STARTING] = "starting",
        [HOLDS_STALLED] = "stalled",     [HOLDS_UNHELPFUL] = "unhelpful",
        [HOLDS_UNTOUCHED] = "untouched", [HOLDS_UNMANAGED] = "unmanaged",
        [HOLDS_RESERVE] = "reserve",     [HOLDS_RESERVED] = "reserved",
    };

    return names[why];
}
