/* SPDX-License-Identifier: ISC */
/* What is measured of a scenario, and what must be kept of it: the list `limits`. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/scenario-reader.h"

static const struct metric_info metrics[METRICS] = {
    [METRIC_UNMET] = { "unmet", "unmet_mib_s", UNIT_MIB_S, false, false },
    [METRIC_UNMET_WEIGHTED] = { "unmet-weighted", "unmet_weighted_mib_s", UNIT_MIB_S, false,
                                false },
    [METRIC_BOUND] = { "bound", "bound_mib_s", UNIT_MIB_S, false, false },
    [METRIC_BOUND_WEIGHTED] = { "bound-weighted", "bound_weighted_mib_s", UNIT_MIB_S, false,
                                false },
    [METRIC_REACH] = { "reach", "reach_mib_s", UNIT_MIB_S, false, false },
    [METRIC_REACH_WEIGHTED] = { "reach-weighted", "reach_weighted_mib_s", UNIT_MIB_S, false,
                                false },
    [METRIC_STALL] = { "stall", "stall_pct", UNIT_PERCENT, false, false },
    [METRIC_SQUEEZED] = { "squeezed", "squeezed_pct", UNIT_PERCENT, false, false },
    [METRIC_OOM] = { "oom", "oom_kills", UNIT_COUNT, false, false },
    [METRIC_IDLE] = { "idle", "idle_mib", UNIT_MIB, false, false },
    [METRIC_MOVED] = { "moved", "moved_mib", UNIT_MIB, false, false },
    [METRIC_REACH_MOVED] = { "reach-moved", "reach_moved_mib", UNIT_MIB, false, false },
    [METRIC_MOVES] = { "moves", "moves", UNIT_COUNT, false, false },
    [METRIC_RISES] = { "rises", "rises", UNIT_COUNT, false, false },
    [METRIC_UNSERVED] = { "unserved", "unserved", UNIT_COUNT, false, false },
    [METRIC_SERVE_P50] = { "serve-p50", "serve_ms_p50", UNIT_MS, false, false },
    [METRIC_SERVE_P99] = { "serve-p99", "serve_ms_p99", UNIT_MS, false, false },
    [METRIC_REACH_SERVE_P50] = { "reach-serve-p50", "reach_serve_ms_p50", UNIT_MS, false, false },
    [METRIC_REACH_SERVE_P99] = { "reach-serve-p99", "reach_serve_ms_p99", UNIT_MS, false, false },
    [METRIC_RISE_P50] = { "rise-p50", "rise_ms_p50", UNIT_MS, false, false },
    [METRIC_RISE_P99] = { "rise-p99", "rise_ms_p99", UNIT_MS, false, false },
    [METRIC_REACH_RISE_P50] = { "reach-rise-p50", "reach_rise_ms_p50", UNIT_MS, false, false },
    [METRIC_REACH_RISE_P99] = { "reach-rise-p99", "reach_rise_ms_p99", UNIT_MS, false, false },
    [METRIC_JAIN] = { "jain", "jain", UNIT_PART, true, false },
    [METRIC_BELOW_MIN] = { "below-min", "below_min", UNIT_COUNT, false, false },
    [METRIC_ACTUAL] = { "actual", "actual_kib", UNIT_SIZE, false, true },
    [METRIC_PROMISE_BROKEN] = { "promise-broken", "promise_broken", UNIT_COUNT, true, false },
    [METRIC_LEAST_FREE] = { "least-free", "least_free_kib", UNIT_SIZE, true, false },
    [METRIC_CREATE_FAILED] = { "create-failed", "create_failed", UNIT_COUNT, true, false },
    [METRIC_BELOW_GUARANTEE] = { "below-guarantee", "below_guarantee_ms", UNIT_MS, false, false },
    [METRIC_HELD] = { "held", "mean_held_kib", UNIT_SIZE, false, true },
    [METRIC_ACCUSED_UNHELPFUL] = { "accused-unhelpful", "accused_unhelpful", UNIT_COUNT, false,
                                   false },
    [METRIC_ACCUSED_MALICIOUS] = { "accused-malicious", "accused_malicious", UNIT_COUNT, false,
                                   false },
    [METRIC_ACCUSED_TIME] = { "accused-time", "accused_ms", UNIT_MS, false, false },
    [METRIC_UNFORGIVEN] = { "unforgiven", "unforgiven", UNIT_COUNT, false, false },
    [METRIC_RECOGNISED] = { "recognised", "recognised_ms", UNIT_MS, false, false },
    [METRIC_ATTEMPTS] = { "attempts", "attempts", UNIT_COUNT, false, false },
    [METRIC_HAD] = { "had", "had_kib", UNIT_SIZE, false, true },
    [METRIC_GAINED] = { "gained", "gained_kib", UNIT_SIZE, false, true },
    [METRIC_ROUND_GAP] = { "round-gap", "round_gap_ms", UNIT_MS, true, false },
    [METRIC_TOLD] = { "told", "told", UNIT_COUNT, true, false },
    [METRIC_LOGGED] = { "logged", "logged", UNIT_COUNT, true, false },
};

const struct metric_info *metric_info(enum metric metric)
{
    return &metrics[metric];
}

static const char *limit_name(size_t index)
{
    return index < METRICS ? metrics[index].name : NULL;
}

/* "0.95" */
static int parse_part(const char *text, double *ret_value)
{
    char *end;
    double value = strtod(text, &end);

    if (!isdigit((unsigned char)text[0]) || *end != '\0' || !(value >= 0 && value <= 1))
        return -EINVAL;
    *ret_value = value;
    return 0;
}

static const enum kind kinds[] = {
    [UNIT_COUNT] = KIND_COUNT, [UNIT_SIZE] = KIND_SIZE,     [UNIT_MIB] = KIND_SIZE,
    [UNIT_MS] = KIND_MS,       [UNIT_PERCENT] = KIND_COUNT, [UNIT_MIB_S] = KIND_COUNT,
};

static int parse_value(enum metric_unit unit, const char *text, double *ret_value)
{
    uint64_t value;
    int r;

    if (unit == UNIT_PART)
        return parse_part(text, ret_value);
    r = reader_parse(kinds[unit], text, &value);
    if (r == 0)
        *ret_value = (double)value;
    return r;
}

/* "unmet<=20": cfgfile_word() splits it after the '<'. */
static enum limit_op take_op(char *name)
{
    size_t len = strlen(name);
    char last = len > 0 ? name[len - 1] : '\0';

    if (last == '<' || last == '>')
        len--;
    while (len > 0 && isspace((unsigned char)name[len - 1]))
        len--;
    name[len] = '\0';
    return last == '<' ? LIMIT_AT_MOST : last == '>' ? LIMIT_AT_LEAST : LIMIT_EQUAL;
}

void reader_limit(struct reader *reader, const char *item, const struct words *words)
{
    struct scenario *scenario = reader->scenario;
    const struct word *word = &words->word[words->count - 1];
    struct scenario_limit limit = { .line = words->line };
    struct scenario_limit *added;
    char all[EXPECT_SIZE];
    size_t i;

    (void)snprintf(limit.text, sizeof(limit.text), "%s", item);
    if (words->count > 2 || !word->value || (words->count == 2 && words->word[0].value)) {
        fault(reader, words->line, "'%s'; expected such as unmet<=200, or vm3, stall<=1", item);
        return;
    }
    if (words->count == 2) {
        (void)snprintf(limit.guests, sizeof(limit.guests), "%s", words->word[0].name);
        if (!scenario_any(scenario, limit.guests))
            fault(reader, words->line, "'%s' matches no guest", limit.guests);
    }
    limit.op = take_op(word->name);
    for (i = 0; i < METRICS && strcmp(metrics[i].name, word->name) != 0; i++)
        ;
    if (i == METRICS) {
        fault(reader, words->line, "'%s' is not measured; expected %s", word->name,
              reader_all_of(limit_name, all));
        return;
    }
    limit.metric = (enum metric)i;
    if (parse_value(metrics[i].unit, word->value, &limit.value) < 0)
        fault(reader, words->line, "'%s'; expected %s", item,
              metrics[i].unit == UNIT_PART ? "a part of 1, such as 0.95"
                                           : reader_expected[kinds[metrics[i].unit]]);
    if (limit.guests[0] ? metrics[i].host_only : metrics[i].guest_only)
        fault(reader, words->line, "%s is measured of %s only", metrics[i].name,
              metrics[i].host_only ? "the host" : "a guest");
    added = reader_grow(reader, (void **)&scenario->limits, &scenario->limit_count, sizeof(*added));
    if (added)
        *added = limit;
}
