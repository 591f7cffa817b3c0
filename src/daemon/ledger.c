/* SPDX-License-Identifier: ISC */
#include "daemon/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "util/bounds.h"

/* Each is a request to the store, which takes some 30 us (measured), and domains wait meanwhile. */
#define RECALLS_AT_ONCE 32

/* A bill is kept so often: a crash loses no more than this. Twice the share of all bills that a
 * round is due to keep is enough when rounds come at odd times. */
#define BILL_MS 60000
#define BILLS_LEAST 16
#define BILLS_TIMES 2

/* More ends of domains than a round can tell are not told: then what is kept of the dead is looked
 * for, so often at most, and so much of it removed at once. */
#define SWEEP_MS 60000
#define SWEEP_MOST 256

/* A domain that reboots is gone for seconds, before another is built with its UUID. As long as a
 * sweep waits, so that a restart of the daemon meanwhile takes it no bill. */
#define PARTED_MS SWEEP_MS

/* After a call for a remedy failed. */
#define REMEDY_RETRY_MS 10000

#define KEY_SIZE (16 + UUID_TEXT_SIZE)

static const char *key_of(const char *folder, const uint8_t uuid[16], char key[KEY_SIZE])
{
    char text[UUID_TEXT_SIZE];

    domain_uuid_text(uuid, text);
    (void)snprintf(key, KEY_SIZE, "%s/%s", folder, text);
    return key;
}

static int put(struct host *host, const char *folder, const uint8_t uuid[16], const char *text)
{
    char key[KEY_SIZE];

    return host->ops->state_set(host, key_of(folder, uuid, key), text);
}

/* ---- bills ---- */

static void put_bill(struct host *host, const uint8_t uuid[16], const struct bill *bill)
{
    char text[BILL_TEXT_SIZE];

    (void)bill_write(bill, text);
    (void)put(host, "bills", uuid, text);
}

/* One that is dying may have been followed by another with its UUID. */
static bool keeps_bill(const struct domain *domain)
{
    return domain->recalled && domain->phase != PHASE_DYING;
}

/* In turn, so that each is kept in time whatever their number, and however seldom a round is. */
static void keep_bills(struct ledger *ledger, struct host *host, struct round *round)
{
    uint64_t elapsed_ms = smaller(round->now_ms - ledger->kept_ms, BILL_MS);
    uint64_t most = larger(BILLS_LEAST, round->count * elapsed_ms * BILLS_TIMES / BILL_MS);
    uint64_t kept = 0;

    ledger->kept_ms = round->now_ms;
    for (size_t n = 0; n < round->count && kept < most; n++) {
        struct domain *domain;

        ledger->cursor = ledger->cursor < round->count ? ledger->cursor : 0;
        domain = &round->domains[ledger->cursor++];
        if (!keeps_bill(domain) || round->now_ms - domain->kept_ms < BILL_MS)
            continue;
        put_bill(host, domain->uuid, &domain->bill);
        domain->kept_ms = round->now_ms;
        kept++;
    }
}

/* ---- remedies ---- */

static bool same(const struct sched *a, const struct sched *b)
{
    return a->weight == b->weight && a->cap == b->cap;
}

static const char *say(const struct sched *sched, char text[64])
{
    if (sched->cap == 0)
        (void)snprintf(text, 64, "CPU weight %" PRIu32 ", no CPU cap", sched->weight);
    else
        (void)snprintf(text, 64, "CPU weight %" PRIu32 ", CPU cap %" PRIu32 " %%", sched->weight,
                       sched->cap);
    return text;
}

/* Nobody gets more of the CPUs by a remedy. */
static struct sched remedied(const struct remedies *remedies, const struct sched *was)
{
    struct sched set = *was;

    if (remedies->cpu_weight)
        set.weight = (uint32_t)smaller(was->weight, remedies->cpu_weight);
    if (remedies->cpu_cap && (was->cap == 0 || remedies->cpu_cap < was->cap))
        set.cap = remedies->cpu_cap;
    return set;
}

/* What is needed to undo it is kept before anything is done. */
static int keep_remedy(struct host *host, const struct domain *domain, const struct sched *set)
{
    const struct sched *was = &domain->remedy.was;
    char text[80];

    (void)snprintf(text, sizeof(text), "%" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32,
                   domain->domid, was->weight, was->cap, set->weight, set->cap);
    return put(host, "remedies", domain->uuid, text);
}

/* What keep_remedy() wrote. False when it is none of this domain: one with its UUID lived before, and
 * its CPUs died with it. */
static bool read_remedy(const char *text, uint32_t domid, struct remedy *ret_remedy)
{
    uint64_t numbers[5];

    for (size_t i = 0; i < 5; i++) {
        size_t len = strcspn(text, " ");

        if (report_number(text, len, UINT32_MAX, &numbers[i]) < 0)
            return false;
        text += len;
        text += i < 4 && *text == ' ';
    }
    if (*text != '\0' || numbers[0] != domid)
        return false;
    *ret_remedy = (struct remedy){
        .applied = true,
        .was = { .weight = (uint32_t)numbers[1], .cap = (uint32_t)numbers[2] },
        .set = { .weight = (uint32_t)numbers[3], .cap = (uint32_t)numbers[4] },
    };
    return true;
}

static void note(struct control *control, const struct domain *domain, const char *what,
                 const struct sched *sched)
{
    char text[64];

    if (control->engine->config.remedies.event)
        control_note(control, "REMEDY", domain->domid, domain->name, "%s: %s", what,
                     say(sched, text));
}

static int apply(struct control *control, struct domain *domain)
{
    struct host *host = control->engine->host;
    struct remedy *remedy = &domain->remedy;
    struct sched set;
    int r = 0;

    if (!remedy->applied)
        r = host->ops->sched_get(host, domain, &remedy->was);
    if (r < 0)
        return r;
    set = remedied(&control->engine->config.remedies, &remedy->was);
    if (same(&set, remedy->applied ? &remedy->set : &remedy->was) && !remedy->failed)
        return 0;
    r = keep_remedy(host, domain, &set);
    if (r < 0)
        return r;
    remedy->applied = true;
    remedy->set = set;
    r = host->ops->sched_set(host, domain, &set);
    remedy->failed = r < 0;
    if (r == 0)
        note(control, domain, "is malicious", &set);
    return r;
}

/* What somebody else has changed meanwhile stays. */
static int undo(struct control *control, struct domain *domain)
{
    struct host *host = control->engine->host;
    struct remedy *remedy = &domain->remedy;
    struct sched now;
    int r = host->ops->sched_get(host, domain, &now);

    if (r == 0) {
        if (now.weight == remedy->set.weight)
            now.weight = remedy->was.weight;
        if (now.cap == remedy->set.cap)
            now.cap = remedy->was.cap;
        r = host->ops->sched_set(host, domain, &now);
    }
    if (r < 0 && r != -ESRCH)
        return r;
    if (r == 0)
        note(control, domain, "is put back", &now);
    remedy->applied = false;
    remedy->failed = false;
    return put(host, "remedies", domain->uuid, NULL);
}

/* Domain 0 is never judged malicious, and never slowed down. */
static bool is_due(const struct control *control, const struct domain *domain)
{
    const struct remedies *remedies = &control->engine->config.remedies;

    return domain->conduct.class == CONDUCT_MALICIOUS && domain->domid != 0
           && (remedies->cpu_weight || remedies->cpu_cap);
}

static void fail(struct control *control, struct domain *domain, int r)
{
    struct remedy *remedy = &domain->remedy;

    remedy->retry_ms = control->engine->round.now_ms + REMEDY_RETRY_MS;
    if (!remedy->told && r != -ESRCH)
        control_note(control, "REMEDY", domain->domid, domain->name, "cannot be applied: %s",
                     strerror(-r));
    remedy->told = true;
}

static void remedy_one(struct control *control, struct domain *domain)
{
    struct remedy *remedy = &domain->remedy;
    bool due = is_due(control, domain);
    int r;

    if (!domain->recalled || (!due && !remedy->applied)
        || control->engine->round.now_ms < remedy->retry_ms)
        return;
    r = due ? apply(control, domain) : undo(control, domain);
    if (r < 0)
        fail(control, domain, r);
    else
        remedy->told = false;
}

/* ---- coming and going ---- */

/* Returns a negative errno when that could not be learnt now. */
static int recall(struct control *control, struct domain *domain)
{
    struct host *host = control->engine->host;
    char key[KEY_SIZE];
    char *text = NULL;
    int r;

    r = host->ops->state_get(host, key_of("bills", domain->uuid, key), &text);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && bill_read(text, &domain->bill) < 0)
        control_note(control, "LEDGER", domain->domid, domain->name,
                     "the bill that was kept is none: it begins anew");
    free(r == 0 ? text : NULL);
    r = host->ops->state_get(host, key_of("remedies", domain->uuid, key), &text);
    if (r == 0) {
        if (!read_remedy(text, domain->domid, &domain->remedy))
            (void)put(host, "remedies", domain->uuid, NULL);
        free(text);
    }
    domain->kept_ms = control->engine->round.now_ms;
    return 0;
}

static void recall_new(struct control *control)
{
    struct round *round = &control->engine->round;
    unsigned recalls = 0;

    for (size_t i = 0; i < round->count && recalls < RECALLS_AT_ONCE; i++) {
        struct domain *domain = &round->domains[i];

        if (domain->recalled)
            continue;
        domain->recalled = recall(control, domain) == 0;
        recalls++;
    }
}

static bool is_there(const struct round *round, const uint8_t uuid[16])
{
    for (size_t i = 0; i < round->count; i++) {
        if (memcmp(round->domains[i].uuid, uuid, sizeof(round->domains[i].uuid)) == 0)
            return true;
    }
    return false;
}

/* Forgets the first of those that are gone, for good if it has not come back. */
static void forget_first(struct ledger *ledger, struct control *control)
{
    const uint8_t *uuid = ledger->parted[0].uuid;

    if (!is_there(&control->engine->round, uuid))
        (void)put(control->engine->host, "bills", uuid, NULL);
    ledger->parted_count--;
    memmove(&ledger->parted[0], &ledger->parted[1],
            ledger->parted_count * sizeof(ledger->parted[0]));
}

/* A domain that reboots comes back with another domid and the same UUID, and its bill goes on. */
static void part(struct ledger *ledger, struct control *control, const struct event *event)
{
    struct parted *parted;

    (void)put(control->engine->host, "remedies", event->uuid, NULL);
    if (event->bill.at_ms != 0)
        put_bill(control->engine->host, event->uuid, &event->bill);
    if (ledger->parted_count == LEDGER_PARTED_MAX)
        forget_first(ledger, control);
    parted = &ledger->parted[ledger->parted_count++];
    memcpy(parted->uuid, event->uuid, sizeof(parted->uuid));
    parted->at_ms = control->engine->round.now_ms;
}

static void forget_gone(struct ledger *ledger, struct control *control)
{
    const struct round *round = &control->engine->round;

    while (ledger->parted_count > 0 && round->now_ms - ledger->parted[0].at_ms >= PARTED_MS)
        forget_first(ledger, control);
    for (size_t i = 0; i < round->event_count; i++) {
        const struct event *event = &round->events[i];

        if (event->kind == EVENT_DOMAIN_GONE && !is_there(round, event->uuid))
            part(ledger, control, event);
    }
}

static bool has_parted(const struct ledger *ledger, const uint8_t uuid[16])
{
    for (size_t i = 0; i < ledger->parted_count; i++) {
        if (memcmp(ledger->parted[i].uuid, uuid, sizeof(ledger->parted[i].uuid)) == 0)
            return true;
    }
    return false;
}

struct sweep {
    const struct ledger *ledger;
    const struct round *round;
    size_t count;
    char names[SWEEP_MOST][UUID_TEXT_SIZE];
};

static void sweep_name(void *context, const char *name)
{
    struct sweep *sweep = context;
    uint8_t uuid[16];

    if (domain_uuid_parse(name, uuid) == 0
        && (is_there(sweep->round, uuid) || has_parted(sweep->ledger, uuid)))
        return;
    if (sweep->count < SWEEP_MOST && strlen(name) < UUID_TEXT_SIZE)
        (void)snprintf(sweep->names[sweep->count++], UUID_TEXT_SIZE, "%s", name);
}

/* Removes what is kept of domains that ended while nobody looked. Returns true when there may be
 * more of it. */
static bool sweep(const struct ledger *ledger, struct control *control, const char *folder)
{
    struct host *host = control->engine->host;
    struct sweep gone = { .ledger = ledger, .round = &control->engine->round };

    if (host->ops->state_list(host, folder, sweep_name, &gone) < 0)
        return false;
    for (size_t i = 0; i < gone.count; i++) {
        char key[KEY_SIZE];

        (void)snprintf(key, sizeof(key), "%s/%s", folder, gone.names[i]);
        (void)host->ops->state_set(host, key, NULL);
    }
    return gone.count == SWEEP_MOST;
}

/* At the start, for the remedies: of a bill it is not known yet whether its domain only reboots. */
static void sweep_in_time(struct ledger *ledger, struct control *control)
{
    const struct round *round = &control->engine->round;
    bool first = ledger->swept_ms == 0;

    ledger->lost |= round->events_lost > 0;
    if (!first && (!ledger->lost || round->now_ms - ledger->swept_ms < SWEEP_MS))
        return;
    ledger->swept_ms = round->now_ms;
    ledger->lost = sweep(ledger, control, "remedies");
    ledger->lost |= first || sweep(ledger, control, "bills");
}

/* ---- the whole ---- */

void ledger_round(struct ledger *ledger, struct control *control)
{
    struct engine *engine = control->engine;
    struct round *round = &engine->round;

    if (engine->dry_run)
        return;
    forget_gone(ledger, control);
    sweep_in_time(ledger, control);
    recall_new(control);
    keep_bills(ledger, engine->host, round);
    for (size_t i = 0; i < round->count; i++)
        remedy_one(control, &round->domains[i]);
}

void ledger_close(struct control *control)
{
    struct engine *engine = control->engine;
    struct round *round = &engine->round;

    if (engine->dry_run)
        return;
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        if (domain->remedy.applied)
            (void)undo(control, domain);
        if (keeps_bill(domain))
            put_bill(engine->host, domain->uuid, &domain->bill);
    }
}
