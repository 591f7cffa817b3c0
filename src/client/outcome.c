/* SPDX-License-Identifier: ISC */
#include "client/outcome.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/host-sim.h"
#include "util/units.h"

/* KiB */
#define MIB 1024.0

/* Figures. */

static int by_value(const void *a, const void *b)
{
    uint32_t l = *(const uint32_t *)a, r = *(const uint32_t *)b;

    return l < r ? -1 : l > r;
}

/* The least of the values that so many percent do not exceed; 0 without values. */
static double percentile(const uint32_t *sorted, size_t count, unsigned percent)
{
    size_t rank = (count * percent + 99) / 100;

    return count == 0 ? 0 : sorted[rank > 0 ? rank - 1 : 0];
}

/* Sorts them. */
static void take_times(uint32_t *times_ms, size_t count, double *ret_p50, double *ret_p99)
{
    if (count > 0)
        qsort(times_ms, count, sizeof(*times_ms), by_value);
    *ret_p50 = percentile(times_ms, count, 50);
    *ret_p99 = percentile(times_ms, count, 99);
}

static double mean(double sum, uint64_t over)
{
    return over > 0 ? sum / (double)over : 0;
}

static double mib_s(double kib_ms)
{
    return kib_ms / MIB / 1000;
}

/* Both kinds of times, of the real rises and of those in reach, one guest after the other: where a
 * guest's begin, and how many there are in all. */
struct times {
    uint32_t *wait_ms;
    uint32_t *whole_ms;
    size_t count;
};

static int add_times(struct times *times, const struct rises *rises)
{
    size_t count = times->count + rises->kept;
    uint32_t *wait = realloc(times->wait_ms, (count + 1) * sizeof(*wait));
    uint32_t *whole = realloc(times->whole_ms, (count + 1) * sizeof(*whole));

    times->wait_ms = wait ? wait : times->wait_ms;
    times->whole_ms = whole ? whole : times->whole_ms;
    if (!wait || !whole)
        return -ENOMEM;
    for (size_t i = 0; i < rises->kept; i++) {
        wait[times->count + i] = rises->wait_ms_of[i];
        whole[times->count + i] = rises->whole_ms_of[i];
    }
    times->count = count;
    return 0;
}

/* Of the times from `from` on; sorts those. */
static void take_rises(const struct times *real, size_t from, const struct times *reach,
                       size_t reach_from, double values[METRICS])
{
    take_times(real->wait_ms + from, real->count - from, &values[METRIC_SERVE_P50],
               &values[METRIC_SERVE_P99]);
    take_times(real->whole_ms + from, real->count - from, &values[METRIC_RISE_P50],
               &values[METRIC_RISE_P99]);
    take_times(reach->wait_ms + reach_from, reach->count - reach_from,
               &values[METRIC_REACH_SERVE_P50], &values[METRIC_REACH_SERVE_P99]);
    take_times(reach->whole_ms + reach_from, reach->count - reach_from,
               &values[METRIC_REACH_RISE_P50], &values[METRIC_REACH_RISE_P99]);
}

static void take_guest(const struct scenario *scenario, const struct guest *guest,
                       const struct clairvoyant_figures *best, double values[METRICS])
{
    const struct guest_stats *stats = &guest->stats;
    double weight = scenario_limits(scenario, guest->spec).weight / 256.0;

    values[METRIC_UNMET] = mib_s(stats->unmet_kib_ms);
    values[METRIC_UNMET_WEIGHTED] = values[METRIC_UNMET] * weight;
    values[METRIC_BOUND] = mib_s(best->bound_kib_ms);
    values[METRIC_BOUND_WEIGHTED] = values[METRIC_BOUND] * weight;
    values[METRIC_REACH] = mib_s(best->reach_kib_ms);
    values[METRIC_REACH_WEIGHTED] = values[METRIC_REACH] * weight;
    values[METRIC_STALL] = mean(stats->stall_ms * 100, stats->lived_ms);
    values[METRIC_SQUEEZED] = mean(stats->squeezed_ms * 100, stats->lived_ms);
    values[METRIC_OOM] = (double)stats->oom_kills;
    values[METRIC_IDLE] = mean(stats->idle_kib_ms, stats->lived_ms);
    values[METRIC_MOVED] = (double)stats->moved_kib;
    values[METRIC_REACH_MOVED] = best->reach_moved_kib;
    values[METRIC_MOVES] = (double)stats->moves;
    values[METRIC_RISES] = (double)stats->rises.count;
    values[METRIC_UNSERVED] = (double)stats->rises.unserved;
    values[METRIC_BELOW_MIN] = (double)stats->below_min;
    values[METRIC_ACTUAL] = (double)guest->actual_kib;
    values[METRIC_BELOW_GUARANTEE] = (double)stats->short_ms;
    values[METRIC_HELD] = mean(stats->held_kib_ms, stats->lived_ms);
    values[METRIC_HAD] = (double)guest->mischief.offence_kib;
    values[METRIC_GAINED] = (double)guest->mischief.gained_kib;
}

static void add_to_host(double host[METRICS], const double guest[METRICS])
{
    static const enum metric sums[] = {
        METRIC_UNMET,
        METRIC_UNMET_WEIGHTED,
        METRIC_BOUND,
        METRIC_BOUND_WEIGHTED,
        METRIC_REACH,
        METRIC_REACH_WEIGHTED,
        METRIC_OOM,
        METRIC_IDLE,
        METRIC_MOVED,
        METRIC_REACH_MOVED,
        METRIC_MOVES,
        METRIC_RISES,
        METRIC_UNSERVED,
        METRIC_BELOW_MIN,
        METRIC_BELOW_GUARANTEE,
    };

    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        host[sums[i]] += guest[sums[i]];
    if (guest[METRIC_STALL] > host[METRIC_STALL])
        host[METRIC_STALL] = guest[METRIC_STALL];
    if (guest[METRIC_SQUEEZED] > host[METRIC_SQUEEZED])
        host[METRIC_SQUEEZED] = guest[METRIC_SQUEEZED];
}

/* Jain's index, (sum x)^2 / (n sum x^2), of the guests' need met, each as a part of what guarantee,
 * priority and weight give it of its need. */
static double jain(const struct host *host, const struct clairvoyant *clairvoyant)
{
    const struct guest *guest;
    double sum = 0, squares = 0, n = 0;

    for (size_t i = 0; (guest = host_sim_guest(host, i)); i++) {
        const struct guest_stats *stats = &guest->stats;
        double fair = clairvoyant_of(clairvoyant, i)->fair_kib_ms;
        double met = fair > 0 ? (stats->need_kib_ms - stats->unmet_kib_ms) / fair : 0;

        if (fair <= 0)
            continue;
        sum += met;
        squares += met * met;
        n++;
    }
    return squares > 0 ? sum * sum / (n * squares) : 1;
}

static int take_guests(struct outcome *outcome, const struct host *host,
                       const struct clairvoyant *clairvoyant)
{
    struct times real = { 0 }, reach = { 0 };
    const struct guest *guest;
    int r = 0;

    for (size_t i = 0; r == 0 && (guest = host_sim_guest(host, i)); i++) {
        const struct clairvoyant_figures *best = clairvoyant_of(clairvoyant, i);
        size_t from = real.count, reach_from = reach.count;

        r = add_times(&real, &guest->stats.rises);
        if (r == 0)
            r = add_times(&reach, &best->reach_rises);
        if (r < 0)
            break;
        take_rises(&real, from, &reach, reach_from, outcome->guests[i]);
        take_guest(outcome->scenario, guest, best, outcome->guests[i]);
        add_to_host(outcome->host, outcome->guests[i]);
        outcome->need_kib[i] = mean(guest->stats.need_kib_ms, guest->stats.lived_ms);
        outcome->held_kib[i] = mean(guest->stats.held_kib_ms, guest->stats.lived_ms);
    }
    if (r == 0)
        take_rises(&real, 0, &reach, 0, outcome->host);
    free(real.wait_ms);
    free(real.whole_ms);
    free(reach.wait_ms);
    free(reach.whole_ms);
    return r;
}

int outcome_take(const struct scenario *scenario, const struct host *host,
                 const struct clairvoyant *clairvoyant, struct outcome *ret_outcome)
{
    struct outcome outcome = { .scenario = scenario };
    struct host_sim_truth truth;

    outcome.guests = calloc(scenario->guest_count, sizeof(*outcome.guests));
    outcome.need_kib = calloc(scenario->guest_count, sizeof(*outcome.need_kib));
    outcome.held_kib = calloc(scenario->guest_count, sizeof(*outcome.held_kib));
    if (!outcome.guests || !outcome.need_kib || !outcome.held_kib
        || take_guests(&outcome, host, clairvoyant) < 0) {
        outcome_free(&outcome);
        return -ENOMEM;
    }
    host_sim_truth(host, &truth);
    outcome.host[METRIC_JAIN] = jain(host, clairvoyant);
    outcome.host[METRIC_PROMISE_BROKEN] = (double)truth.promise_broken;
    outcome.host[METRIC_LEAST_FREE] = (double)truth.least_free_kib;
    outcome.host[METRIC_CREATE_FAILED] = (double)truth.create_failed;
    (void)snprintf(outcome.broken, sizeof(outcome.broken), "%s", truth.broken);
    *ret_outcome = outcome;
    return 0;
}

void outcome_free(struct outcome *outcome)
{
    free(outcome->guests);
    free(outcome->need_kib);
    free(outcome->held_kib);
    memset(outcome, 0, sizeof(*outcome));
}

/* Limits. */

static bool kept(const struct scenario_limit *limit, double value)
{
    switch (limit->op) {
    case LIMIT_AT_MOST:
        return value <= limit->value;
    case LIMIT_AT_LEAST:
        return value >= limit->value;
    case LIMIT_EQUAL:
        return value == limit->value;
    }
    return false;
}

/* Is one value farther from keeping the limit than another? */
static bool worse(const struct scenario_limit *limit, double value, double than)
{
    switch (limit->op) {
    case LIMIT_AT_MOST:
        return value > than;
    case LIMIT_AT_LEAST:
        return value < than;
    case LIMIT_EQUAL:
        return kept(limit, than) && !kept(limit, value);
    }
    return false;
}

static const char *show(enum metric_unit unit, double value, char buf[UNITS_TEXT_SIZE])
{
    switch (unit) {
    case UNIT_SIZE:
    case UNIT_MIB:
        return units_format_kib((int64_t)value, buf);
    case UNIT_MS:
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%.0f ms", value);
        break;
    case UNIT_PERCENT:
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%.2f %%", value);
        break;
    case UNIT_MIB_S:
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%.1f MiB*s", value);
        break;
    case UNIT_PART:
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%.4f", value);
        break;
    case UNIT_COUNT:
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%.0f", value);
        break;
    }
    return buf;
}

bool outcome_limit(const struct outcome *outcome, size_t index, const char **ret_name,
                   double *ret_value)
{
    const struct scenario *scenario = outcome->scenario;
    const struct scenario_limit *limit = &scenario->limits[index];
    const char *name = NULL;
    double value = outcome->host[limit->metric];

    for (size_t i = 0; i < scenario->guest_count && limit->guests[0]; i++) {
        double has = outcome->guests[i][limit->metric];

        if (!scenario_match(limit->guests, scenario->guests[i].name)
            || (name && !worse(limit, has, value)))
            continue;
        name = scenario->guests[i].name;
        value = has;
    }
    *ret_name = name ? name : "host";
    *ret_value = value;
    return kept(limit, value);
}

size_t outcome_broken(const struct outcome *outcome, FILE *report)
{
    const struct scenario *scenario = outcome->scenario;
    char text[UNITS_TEXT_SIZE];
    size_t broken = 0;
    const char *name;
    double value;

    if (outcome->host[METRIC_PROMISE_BROKEN] > 0) {
        broken++;
        if (report)
            fprintf(report, "%s: seed %" PRIu64 ": the promise was broken %.0f times, first %s\n",
                    scenario->file, outcome->seed, outcome->host[METRIC_PROMISE_BROKEN],
                    outcome->broken);
    }
    for (size_t i = 0; i < scenario->limit_count; i++) {
        const struct scenario_limit *limit = &scenario->limits[i];

        if (outcome_limit(outcome, i, &name, &value))
            continue;
        broken++;
        if (report)
            fprintf(report, "%s:%d: seed %" PRIu64 ": limit %s broken: %s has %s\n", scenario->file,
                    limit->line, outcome->seed, limit->text, name,
                    show(metric_info(limit->metric)->unit, value, text));
    }
    return broken;
}
