/* SPDX-License-Identifier: ISC */
#include "core/round.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bounds.h"

#define ROOM_FIRST 64

void round_init(struct round *ret_round)
{
    memset(ret_round, 0, sizeof(*ret_round));
}

void round_free(struct round *round)
{
    free(round->domains);
    free(round->fill);
    free(round->fill_index);
    free(round->spare_kib);
    free(round->guard);
    free(round->order);
    free(round->calls);
    round_init(round);
}

void round_begin(struct round *round, uint64_t now_ms)
{
    round->now_ms = now_ms;
    round->event_count = 0;
    round->events_lost = 0;
    for (size_t i = 0; i < round->count; i++)
        round->domains[i].seen = false;
}

/* Where a domid is, or would be. */
static size_t position(const struct round *round, uint32_t domid)
{
    size_t low = 0;
    size_t high = round->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (round->domains[middle].domid < domid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The array, `room` long; as it was, with *ok false, without memory. */
static void *lengthen(void *array, size_t size, size_t room, bool *ok)
{
    void *longer = reallocarray(array, room, size);

    if (!longer)
        *ok = false;
    return longer ? longer : array;
}

/* The domains and the scratch of the stages grow together. */
static bool make_room(struct round *round)
{
    size_t room = round->room ? round->room * 2 : ROOM_FIRST;
    bool ok = round->count < DOMAINS_MAX;

    if (!ok || round->count < round->room)
        return ok;
    round->fill = lengthen(round->fill, sizeof(*round->fill), room, &ok);
    round->fill_index = lengthen(round->fill_index, sizeof(*round->fill_index), room, &ok);
    round->spare_kib = lengthen(round->spare_kib, sizeof(*round->spare_kib), room, &ok);
    round->guard = lengthen(round->guard, sizeof(*round->guard), room, &ok);
    round->order = lengthen(round->order, sizeof(*round->order), room, &ok);
    round->calls = lengthen(round->calls, sizeof(*round->calls), room, &ok);
    round->domains = lengthen(round->domains, sizeof(*round->domains), room, &ok);
    if (ok)
        round->room = room;
    return ok;
}

/* A domain's end, with what it has had. */
static void note_gone(struct round *round, const struct domain *domain, const char *how)
{
    size_t at = round->event_count;
    char bill[EVENT_TEXT_SIZE];

    bill_say(&domain->bill, bill, sizeof(bill));
    round_note(round, EVENT_DOMAIN_GONE, domain, "%s; %s", how, bill);
    if (at < round->event_count && domain->recalled)
        round->events[at].bill = domain->bill;
}

struct domain *round_see(struct round *round, uint32_t domid, const uint8_t uuid[16])
{
    size_t at = position(round, domid);
    struct domain *domain;

    if (at < round->count && round->domains[at].domid == domid) {
        domain = &round->domains[at];
        if (memcmp(domain->uuid, uuid, sizeof(domain->uuid)) == 0) {
            domain->seen = true;
            return domain;
        }
        note_gone(round, domain, "replaced by another with its domid");
    } else {
        if (!make_room(round))
            return NULL;
        domain = &round->domains[at];
        memmove(domain + 1, domain, (round->count - at) * sizeof(*domain));
        round->count++;
    }
    memset(domain, 0, sizeof(*domain));
    domain->domid = domid;
    memcpy(domain->uuid, uuid, sizeof(domain->uuid));
    domain->seen = true;
    domain->is_new = true;
    domain->started_ms = round->now_ms;
    return domain;
}

void round_end(struct round *round)
{
    size_t kept = 0;

    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        if (!domain->seen) {
            note_gone(round, domain, "gone");
            continue;
        }
        if (!domain->told && domain->phase != PHASE_BUILDING) {
            round_note(round, EVENT_DOMAIN_NEW, domain, "new");
            domain->told = true;
        }
        domain->is_new = false;
        if (kept != i)
            round->domains[kept] = *domain;
        kept++;
    }
    round->count = kept;
}

struct domain *round_find(const struct round *round, uint32_t domid)
{
    size_t at = position(round, domid);

    return at < round->count && round->domains[at].domid == domid ? &round->domains[at] : NULL;
}

struct domain *round_find_name(const struct round *round, const char *name)
{
    for (size_t i = 0; i < round->count; i++) {
        if (strcmp(round->domains[i].name, name) == 0)
            return &round->domains[i];
    }
    return NULL;
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strnlen(from, size - 1);

    memcpy(to, from, len);
    to[len] = '\0';
}

/* NULL when there is no room for it, which is counted. */
static struct event *add_event(struct round *round, enum event_kind kind,
                               const struct domain *domain)
{
    struct event *event;

    if (round->event_count == EVENTS_MAX) {
        round->events_lost++;
        return NULL;
    }
    event = &round->events[round->event_count++];
    event->kind = kind;
    event->domid = domain ? domain->domid : UINT32_MAX;
    event->bill = (struct bill){ 0 };
    memset(event->uuid, 0, sizeof(event->uuid));
    if (domain)
        memcpy(event->uuid, domain->uuid, sizeof(event->uuid));
    copy_text(event->name, sizeof(event->name), domain ? domain->name : "");
    return event;
}

void round_tell(struct round *round, enum event_kind kind, const struct domain *domain,
                const char *text)
{
    struct event *event = add_event(round, kind, domain);

    if (event)
        copy_text(event->text, sizeof(event->text), text);
}

void round_note(struct round *round, enum event_kind kind, const struct domain *domain,
                const char *format, ...)
{
    struct event *event = add_event(round, kind, domain);
    va_list args;

    if (!event)
        return;
    va_start(args, format);
    (void)vsnprintf(event->text, sizeof(event->text), format, args);
    va_end(args);
}

void domain_uuid_text(const uint8_t uuid[16], char ret_text[UUID_TEXT_SIZE])
{
    size_t used = 0;

    for (size_t i = 0; i < 16; i++) {
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";

        used += (size_t)snprintf(ret_text + used, UUID_TEXT_SIZE - used, "%s%02x", dash, uuid[i]);
    }
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int domain_uuid_parse(const char *text, uint8_t ret_uuid[16])
{
    uint8_t uuid[16];

    if (strlen(text) != UUID_TEXT_SIZE - 1)
        return -EINVAL;
    for (size_t i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return -EINVAL;
        if (digit(text[0]) < 0 || digit(text[1]) < 0)
            return -EINVAL;
        uuid[i] = (uint8_t)(digit(text[0]) * 16 + digit(text[1]));
        text += 2;
    }
    memcpy(ret_uuid, uuid, sizeof(uuid));
    return 0;
}

/* The highest priority below `below`; INT64_MIN: there is none. */
static int64_t next_priority(const struct round *round, int64_t below)
{
    int64_t highest = INT64_MIN;

    for (size_t i = 0; i < round->count; i++) {
        int64_t priority = round->domains[i].limits.priority;

        if (priority < below && priority > highest)
            highest = priority;
    }
    return highest;
}

void round_order(struct round *round)
{
    int64_t priority = INT64_MAX;
    size_t n = 0;

    while (n < round->count) {
        priority = next_priority(round, priority);
        for (size_t i = 0; i < round->count; i++) {
            if (round->domains[i].limits.priority == priority)
                round->order[n++] = (uint32_t)i;
        }
    }
}

uint64_t round_bottom_kib(const struct round *round, const struct domain *domain, uint64_t at_ms)
{
    uint64_t bottom = domain->min_kib;

    if (at_ms - domain->started_ms < round->grace_ms)
        bottom = larger(bottom, smaller(domain->target_kib, domain->start_kib));
    if (domain->conduct.stalled && at_ms < domain->conduct.retry_ms)
        bottom = larger(bottom, smaller(domain->actual_kib, domain->conduct.stalled_at_kib));
    return smaller(bottom, domain->max_kib);
}

const char *domain_type_name(enum domain_type type)
{
    static const char *const names[] = {
        [DOMAIN_PV] = "pv",
        [DOMAIN_PVH] = "pvh",
        [DOMAIN_HVM] = "hvm",
    };

    return names[type];
}

const char *domain_phase_name(enum domain_phase phase)
{
    static const char *const names[] = {
        [PHASE_RUNNING] = "running",   [PHASE_BUILDING] = "building", [PHASE_PAUSED] = "paused",
        [PHASE_SHUTDOWN] = "shutdown", [PHASE_DYING] = "dying",
    };

    return names[phase];
}

const char *conduct_name(enum conduct_class class)
{
    static const char *const names[] = {
        [CONDUCT_STARTING] = "starting",
        [CONDUCT_COOPERATIVE] = "cooperative",
        [CONDUCT_UNHELPFUL] = "unhelpful",
        [CONDUCT_MALICIOUS] = "malicious",
    };

    return names[class];
}

const char *step_name(enum policy_step step)
{
    static const char *const names[STEPS] = {
        [STEP_GUARANTEE] = "guarantee",
        [STEP_CORE] = "core",
        [STEP_ROOM] = "room",
        [STEP_SURPLUS] = "surplus",
    };

    return names[step];
}

const char *pace_name(enum pace pace)
{
    static const char *const names[] = {
        [PACE_UNTOUCHED] = "untouched", [PACE_THERE] = "there",         [PACE_SMALL] = "small",
        [PACE_GRACE] = "grace",         [PACE_LEFT] = "left",           [PACE_UP] = "up",
        [PACE_UNHELD] = "unheld",       [PACE_FOLLOWING] = "following", [PACE_FAST] = "fast",
        [PACE_URGENT] = "urgent",       [PACE_CAREFUL] = "careful",     [PACE_PRESSED] = "pressed",
        [PACE_UNPACED] = "unpaced",
    };

    return names[pace];
}

static const struct {
    const char *name;
    const char *text;
} reasons[] = {
    [REASON_UNMANAGED] = { "unmanaged", "is not managed" },
    [REASON_UNTOUCHED] = { "untouched", "is not touched now" },
    [REASON_STARTING] = { "starting", "keeps what it was started with" },
    [REASON_UNHELPFUL] = { "unhelpful", "does not let go what it is asked for" },
    [REASON_MALICIOUS] = { "malicious", "takes instead of giving: has its guarantee only" },
    [REASON_STALLED] = { "stalled", "cannot let go more now" },
    [REASON_MINIMUM_SHORT] = { "minimum-short", "goes short: the minimums do not fit the host" },
    [REASON_WAITING] = { "waiting", "waits for memory that is not free yet" },
    [REASON_GROWING] = { "growing", "grows" },
    [REASON_SHRINKING] = { "shrinking", "shrinks" },
    [REASON_SHARE] = { "share", "has its share of too little" },
    [REASON_MINIMUM] = { "minimum", "needs no more than its minimum" },
    [REASON_MAXIMUM] = { "maximum", "has its maximum" },
    [REASON_NEED] = { "need", "has what it needs" },
    [REASON_SURPLUS] = { "surplus", "has its share of the surplus" },
};

const char *reason_name(enum reason reason)
{
    return reasons[reason].name;
}

const char *reason_text(enum reason reason)
{
    return reasons[reason].text;
}

const char *event_name(enum event_kind kind)
{
    static const char *const names[] = {
        [EVENT_DOMAIN_NEW] = "DOMAIN_NEW",   [EVENT_DOMAIN_GONE] = "DOMAIN_GONE",
        [EVENT_CONDUCT] = "CONDUCT",         [EVENT_REASON] = "REASON",
        [EVENT_BAD_POST] = "BAD_POST",       [EVENT_FLOOD] = "FLOOD",
        [EVENT_MINIMUMS] = "MINIMUMS",       [EVENT_HEADROOM] = "HEADROOM",
        [EVENT_CALL_FAILED] = "CALL_FAILED", [EVENT_POLICY] = "POLICY",
        [EVENT_RESERVATION] = "RESERVATION",
    };

    return names[kind];
}
