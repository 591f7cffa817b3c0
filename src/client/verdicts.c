/* SPDX-License-Identifier: ISC */
#include "client/verdicts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host-sim.h"
#include "util/bounds.h"

int verdicts_init(struct verdicts *ret_verdicts, size_t count)
{
    struct verdicts verdicts = { .count = count };

    verdicts.guests = calloc(count + 1, sizeof(*verdicts.guests));
    if (!verdicts.guests)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        verdicts.guests[i].recognised_ms = UINT64_MAX;
    *ret_verdicts = verdicts;
    return 0;
}

void verdicts_free(struct verdicts *verdicts)
{
    free(verdicts->guests);
    verdicts->guests = NULL;
}

static bool accused(enum conduct_class class)
{
    return class == CONDUCT_UNHELPFUL || class == CONDUCT_MALICIOUS;
}

static void judged(struct verdict *verdict, const struct guest *guest, enum conduct_class class,
                   uint64_t now_ms)
{
    const struct mischief *mischief = &guest->mischief;

    if (class != verdict->class) {
        verdict->unhelpful += class == CONDUCT_UNHELPFUL;
        verdict->malicious += class == CONDUCT_MALICIOUS;
    }
    verdict->class = class;
    if (accused(class) && mischief->offence_ms > 0 && verdict->recognised_ms == UINT64_MAX) {
        verdict->recognised_ms = now_ms - mischief->offence_ms;
        verdict->attempts = mischief->offences;
    }
}

void verdicts_look(struct verdicts *verdicts, const struct round *round, const struct host *host)
{
    uint64_t gap_ms = verdicts->last_ms > 0 ? round->now_ms - verdicts->last_ms : 0;

    verdicts->last_ms = round->now_ms;
    verdicts->gap_ms = larger(verdicts->gap_ms, gap_ms);
    verdicts->told += round->event_count + round->events_lost;
    for (size_t i = 0; i < round->event_count; i++)
        verdicts->logged += round->events[i].kind != EVENT_REASON;
    for (size_t i = 0; i < verdicts->count; i++) {
        const struct guest *guest = host_sim_guest(host, i);
        const struct domain *domain = round_find(round, guest->domid);
        struct verdict *verdict = &verdicts->guests[i];

        if (accused(verdict->class))
            verdict->accused_ms += gap_ms;
        if (domain && guest->life != GUEST_ABSENT
            && memcmp(domain->uuid, guest->uuid, sizeof(guest->uuid)) == 0)
            judged(verdict, guest, domain->conduct.class, round->now_ms);
        else
            verdict->class = CONDUCT_STARTING;
    }
}

/* One that offended and was never recognised counts up to the end. */
static void report_recognised(const struct verdict *verdict, const struct guest *guest,
                              double values[METRICS])
{
    const struct mischief *mischief = &guest->mischief;

    if (verdict->recognised_ms != UINT64_MAX) {
        values[METRIC_RECOGNISED] = (double)verdict->recognised_ms;
        values[METRIC_ATTEMPTS] = (double)verdict->attempts;
    } else if (mischief->offence_ms > 0) {
        values[METRIC_RECOGNISED] = (double)(guest->last_ms - mischief->offence_ms);
        values[METRIC_ATTEMPTS] = (double)mischief->offences;
    }
}

void verdicts_report(const struct verdicts *verdicts, const struct host *host,
                     struct outcome *outcome)
{
    static const enum metric sums[] = { METRIC_ACCUSED_UNHELPFUL, METRIC_ACCUSED_MALICIOUS,
                                        METRIC_ACCUSED_TIME, METRIC_UNFORGIVEN };
    static const enum metric worst[] = { METRIC_RECOGNISED, METRIC_ATTEMPTS };

    for (size_t i = 0; i < verdicts->count; i++) {
        const struct verdict *verdict = &verdicts->guests[i];
        double *values = outcome->guests[i];

        values[METRIC_ACCUSED_UNHELPFUL] = (double)verdict->unhelpful;
        values[METRIC_ACCUSED_MALICIOUS] = (double)verdict->malicious;
        values[METRIC_ACCUSED_TIME] = (double)verdict->accused_ms;
        values[METRIC_UNFORGIVEN] = accused(verdict->class);
        report_recognised(verdict, host_sim_guest(host, i), values);
        for (size_t k = 0; k < sizeof(sums) / sizeof(sums[0]); k++)
            outcome->host[sums[k]] += values[sums[k]];
        for (size_t k = 0; k < sizeof(worst) / sizeof(worst[0]); k++) {
            if (values[worst[k]] > outcome->host[worst[k]])
                outcome->host[worst[k]] = values[worst[k]];
        }
    }
    outcome->host[METRIC_ROUND_GAP] = (double)verdicts->gap_ms;
    outcome->host[METRIC_TOLD] = (double)verdicts->told;
    outcome->host[METRIC_LOGGED] = (double)verdicts->logged;
}
