/* SPDX-License-Identifier: ISC */
/* An outcome, for people and for programs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/outcome.h"
#include "util/units.h"

/* KiB */
#define MIB 1024.0

/* Of so many guests all are shown; of more only those that lacked most. */
#define SHOWN_ALL 64
#define SHOWN_WORST 24

/* For people. */

struct column {
    const char *title;
    const char *unit;
    int width;
    int decimals;
    double scale;
    enum metric metric;
};

static const struct column columns[] = {
    { "idle", "MiB", 7, 0, MIB, METRIC_IDLE },
    { "unmet", "MiB*s", 9, 1, 1, METRIC_UNMET },
    { "reach", "MiB*s", 9, 1, 1, METRIC_REACH },
    { "no cost", "MiB*s", 9, 1, 1, METRIC_BOUND },
    { "stall", "%", 6, 2, 1, METRIC_STALL },
    { "oom", "", 4, 0, 1, METRIC_OOM },
    { "rises", "", 6, 0, 1, METRIC_RISES },
    { "unserved", "", 9, 0, 1, METRIC_UNSERVED },
    { "wait p50", "ms", 9, 0, 1, METRIC_SERVE_P50 },
    { "wait p99", "ms", 9, 0, 1, METRIC_SERVE_P99 },
    { "moved", "MiB", 8, 0, MIB, METRIC_MOVED },
    { "reach", "MiB", 8, 0, MIB, METRIC_REACH_MOVED },
    { "calls", "", 7, 0, 1, METRIC_MOVES },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct column compared[] = {
    { "unmet", "MiB*s", 10, 1, 1, METRIC_UNMET },
    { "weighted", "MiB*s", 10, 1, 1, METRIC_UNMET_WEIGHTED },
    { "stall", "%", 7, 2, 1, METRIC_STALL },
    { "squeezed", "%", 9, 2, 1, METRIC_SQUEEZED },
    { "oom", "", 5, 0, 1, METRIC_OOM },
    { "idle", "MiB", 8, 0, MIB, METRIC_IDLE },
    { "wait p50", "ms", 9, 0, 1, METRIC_SERVE_P50 },
    { "wait p99", "ms", 9, 0, 1, METRIC_SERVE_P99 },
    { "rise p50", "ms", 9, 0, 1, METRIC_RISE_P50 },
    { "moved", "MiB", 9, 0, MIB, METRIC_MOVED },
    { "calls", "", 8, 0, 1, METRIC_MOVES },
    { "jain", "", 7, 4, 1, METRIC_JAIN },
    { "broken", "", 7, 0, 1, METRIC_PROMISE_BROKEN },
};

#define COMPARED (sizeof(compared) / sizeof(compared[0]))

static void print_titles(FILE *out, const struct column *table, size_t count, bool units)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%*s", table[i].width, units ? table[i].unit : table[i].title);
    fputc('\n', out);
}

static void print_values(FILE *out, const struct column *table, size_t count,
                         const double values[METRICS])
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%*.*f", table[i].width, table[i].decimals,
                values[table[i].metric] / table[i].scale);
    fputc('\n', out);
}

static int name_width(const struct scenario *scenario)
{
    size_t width = strlen("domain");

    for (size_t i = 0; i < scenario->guest_count; i++) {
        if (strlen(scenario->guests[i].name) > width)
            width = strlen(scenario->guests[i].name);
    }
    return (int)width;
}

static void print_row(FILE *out, int width, const char *name, double need_kib, double held_kib,
                      const double values[METRICS])
{
    fprintf(out, "%-*s %7.0f %7.0f", width, name, need_kib / MIB, held_kib / MIB);
    print_values(out, columns, COLUMNS, values);
}

/* Who is shown: true for all of few, and of many for those with the most unmet need. */
static bool is_shown(const struct outcome *outcome, size_t index)
{
    size_t count = outcome->scenario->guest_count;
    double mine = outcome->guests[index][METRIC_UNMET];
    size_t worse = 0;

    if (count <= SHOWN_ALL)
        return true;
    for (size_t i = 0; i < count; i++) {
        double other = outcome->guests[i][METRIC_UNMET];

        worse += other > mine || (other == mine && i < index);
    }
    return worse < SHOWN_WORST;
}

static void print_guests(const struct outcome *outcome, FILE *out)
{
    const struct scenario *scenario = outcome->scenario;
    int width = name_width(scenario);
    double need_kib = 0, held_kib = 0;

    fprintf(out, "%-*s %7s %7s", width, "domain", "need", "held");
    print_titles(out, columns, COLUMNS, false);
    fprintf(out, "%-*s %7s %7s", width, "", "MiB", "MiB");
    print_titles(out, columns, COLUMNS, true);
    for (size_t i = 0; i < scenario->guest_count; i++) {
        if (is_shown(outcome, i))
            print_row(out, width, scenario->guests[i].name, outcome->need_kib[i],
                      outcome->held_kib[i], outcome->guests[i]);
        need_kib += outcome->need_kib[i];
        held_kib += outcome->held_kib[i];
    }
    print_row(out, width, "all", need_kib, held_kib, outcome->host);
    if (scenario->guest_count > SHOWN_ALL)
        fprintf(out, "(the %d that lacked most are shown)\n", SHOWN_WORST);
}

static void print_head(const struct outcome *outcome, FILE *out)
{
    const struct scenario *scenario = outcome->scenario;
    char memory[UNITS_TEXT_SIZE];

    fprintf(out, "%s: a host of %s, %zu domains, %.0f s of virtual time, seed %" PRIu64,
            scenario->file, units_format_kib((int64_t)scenario->memory_kib, memory),
            scenario->guest_count, (double)scenario->length_ms / 1000, outcome->seed);
}

/* What the clairvoyants have of it: the rest is blank. */
static void print_best(const struct outcome *outcome, FILE *out)
{
    const double *host = outcome->host;

    fprintf(out,
            "\nunmet need, MiB*s: %.1f, weighted %.1f; in reach %.1f, weighted %.1f; at no cost "
            "%.1f, weighted %.1f\n",
            host[METRIC_UNMET], host[METRIC_UNMET_WEIGHTED], host[METRIC_REACH],
            host[METRIC_REACH_WEIGHTED], host[METRIC_BOUND], host[METRIC_BOUND_WEIGHTED]);
    fprintf(out,
            "waits, ms: median %.0f, 99 of 100 %.0f; in reach %.0f and %.0f; whole rises: %.0f and "
            "%.0f; in reach %.0f and %.0f\n",
            host[METRIC_SERVE_P50], host[METRIC_SERVE_P99], host[METRIC_REACH_SERVE_P50],
            host[METRIC_REACH_SERVE_P99], host[METRIC_RISE_P50], host[METRIC_RISE_P99],
            host[METRIC_REACH_RISE_P50], host[METRIC_REACH_RISE_P99]);
}

void outcome_print(const struct outcome *outcome, FILE *out)
{
    const struct scenario *scenario = outcome->scenario;
    const double *host = outcome->host;
    char reserve[UNITS_TEXT_SIZE], least_free[UNITS_TEXT_SIZE];
    size_t broken = outcome_broken(outcome, NULL);

    print_head(outcome, out);
    fprintf(out, ", policy %s, %" PRIu64 " rounds\n\n", outcome->policy, outcome->rounds);
    print_guests(outcome, out);
    fprintf(out,
            "\nneed, held, idle: means; unmet: needed and not held; wait: of a rise until it is "
            "served;\nreach, no cost: the same of one who sees every need at once and moves memory "
            "at the balloons'\nspeed, or at no cost; stall of all: of the worst.\n");
    print_best(outcome, out);
    fprintf(out, "fairness (Jain's index) %.4f; least free memory %s, reserve %s\n",
            host[METRIC_JAIN], units_format_kib((int64_t)host[METRIC_LEAST_FREE], least_free),
            units_format_kib((int64_t)scenario->config.reserve_kib, reserve));
    if (host[METRIC_CREATE_FAILED] > 0)
        fprintf(out, "domains that could not be created: %.0f\n", host[METRIC_CREATE_FAILED]);
    fprintf(out, "promise broken: %.0f%s%s\n", host[METRIC_PROMISE_BROKEN],
            outcome->broken[0] ? ", first " : "", outcome->broken);
    if (scenario->limit_count > 0)
        fprintf(out, "limits: %zu, broken: %zu\n", scenario->limit_count, broken);
}

/* A clairvoyant's row: what it has figures of, the others are blank. */
static void print_clairvoyant(FILE *out, int width, const char *name,
                              const double *const figures[COMPARED])
{
    fprintf(out, "%-*s", width, name);
    for (size_t i = 0; i < COMPARED; i++) {
        if (figures[i])
            fprintf(out, "%*.*f", compared[i].width, compared[i].decimals,
                    *figures[i] / compared[i].scale);
        else
            fprintf(out, "%*s", compared[i].width, "");
    }
    fputc('\n', out);
}

void outcome_compare(const struct outcome *outcomes, size_t count, FILE *out)
{
    const double *host = outcomes[0].host;
    const double *const reach[COMPARED] = {
        [0] = &host[METRIC_REACH],           [1] = &host[METRIC_REACH_WEIGHTED],
        [6] = &host[METRIC_REACH_SERVE_P50], [7] = &host[METRIC_REACH_SERVE_P99],
        [8] = &host[METRIC_REACH_RISE_P50],  [9] = &host[METRIC_REACH_MOVED],
    };
    const double *const bound[COMPARED] = {
        [0] = &host[METRIC_BOUND],
        [1] = &host[METRIC_BOUND_WEIGHTED],
    };
    int width = (int)strlen("(in reach)");

    for (size_t i = 0; i < count; i++) {
        if ((int)strlen(outcomes[i].policy) > width)
            width = (int)strlen(outcomes[i].policy);
    }
    print_head(&outcomes[0], out);
    fprintf(out, "\n\n%-*s", width, "policy");
    print_titles(out, compared, COMPARED, false);
    fprintf(out, "%-*s", width, "");
    print_titles(out, compared, COMPARED, true);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%-*s", width, outcomes[i].policy);
        print_values(out, compared, COMPARED, outcomes[i].host);
    }
    print_clairvoyant(out, width, "(in reach)", reach);
    print_clairvoyant(out, width, "(no cost)", bound);
    fputs("\nstall, squeezed: of the worst; broken: how often the promise was, it must be 0.\n",
          out);
}

/* For programs. */

static void json_figures(struct json *json, const double values[METRICS], bool host)
{
    for (enum metric metric = 0; metric < METRICS; metric++) {
        const struct metric_info *info = metric_info(metric);

        if (host ? info->guest_only : info->host_only)
            continue;
        if (info->unit == UNIT_COUNT || info->unit == UNIT_SIZE || info->unit == UNIT_MS)
            json_uint(json, info->json, (uint64_t)values[metric]);
        else
            json_double(json, info->json, values[metric] / (info->unit == UNIT_MIB ? MIB : 1));
    }
}

static void json_limits(struct json *json, const struct outcome *outcome)
{
    const struct scenario *scenario = outcome->scenario;
    const char *name;
    double value;

    json_array(json, "limits");
    for (size_t i = 0; i < scenario->limit_count; i++) {
        bool is_kept = outcome_limit(outcome, i, &name, &value);

        json_map(json, NULL);
        json_string(json, "limit", scenario->limits[i].text);
        json_bool(json, "kept", is_kept);
        json_string(json, "of", name);
        json_double(json, "value", value);
        json_map_end(json);
    }
    json_array_end(json);
}

void outcome_json(const struct outcome *outcome, struct json *json)
{
    const struct scenario *scenario = outcome->scenario;

    json_map(json, NULL);
    json_string(json, "scenario", scenario->file);
    json_uint(json, "seed", outcome->seed);
    json_string(json, "policy", outcome->policy);
    json_uint(json, "length_ms", scenario->length_ms);
    json_uint(json, "rounds", outcome->rounds);
    json_map(json, "host");
    json_uint(json, "memory_kib", scenario->memory_kib);
    json_uint(json, "reserve_kib", scenario->config.reserve_kib);
    json_figures(json, outcome->host, true);
    json_map_end(json);
    json_string(json, "broken", outcome->broken[0] ? outcome->broken : NULL);
    json_array(json, "domains");
    for (size_t i = 0; i < scenario->guest_count; i++) {
        json_map(json, NULL);
        json_string(json, "name", scenario->guests[i].name);
        json_double(json, "need_kib", outcome->need_kib[i]);
        json_double(json, "held_kib", outcome->held_kib[i]);
        json_figures(json, outcome->guests[i], false);
        json_map_end(json);
    }
    json_array_end(json);
    json_limits(json, outcome);
    json_map_end(json);
}
