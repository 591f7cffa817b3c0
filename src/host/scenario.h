/* SPDX-License-Identifier: ISC */
/* A scenario: a host, its guests, what happens to them, and the limits that the outcome must keep.
 * The file is described in ballast-scenario(5). */
#ifndef BALLAST_SCENARIO_H
#define BALLAST_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/config.h"
#include "core/round.h"

#define SCENARIO_GUESTS_MAX 10000
#define SCENARIO_PATTERN_SIZE 64

struct guest_spec {
    char name[DOMAIN_NAME_SIZE];
    enum domain_type type;
    bool later;          /* does not exist before an event creates it */
    uint64_t memory_kib; /* target when it is started */
    uint64_t maxmem_kib;
    uint64_t need_kib;   /* of memory held, to run well, at rest */
    uint64_t cache_kib;  /* the part of every need that is file cache */
    uint64_t commit_kib; /* committed beyond what it uses, and never touched */
    uint64_t noise_kib;  /* need is up to this much above its course */
    uint64_t swap_kib;
    uint64_t hidden_kib; /* held, and not in MemTotal */
    uint64_t up_kib_s;   /* speed of the balloon driver when the guest grows */
    uint64_t down_kib_s;
    uint64_t alloc_kib_s; /* need rises no faster */
    int64_t offset_kib;   /* what the driver is off its target */
    uint64_t boot_ms;     /* from the end of building to the first sign of life */
    bool frozen;          /* has no balloon driver */
    enum dialect posts;
    uint64_t lag_ms;  /* its agent looks only so often while the guest stalls */
    uint32_t acts;    /* how it misbehaves (mischief.h) */
    struct rule rule; /* limits for ballast; pattern is the name */
};

enum action {
    ACTION_NEED,
    ACTION_READ, /* from the disk, what is not needed again */
    ACTION_STUCK,
    ACTION_LOOSE,
    ACTION_PAUSE,
    ACTION_UNPAUSE,
    ACTION_CREATE,
    ACTION_SHUTDOWN,
    ACTION_DESTROY,
    ACTION_ACTS,    /* they misbehave from now on */
    ACTION_MEM_SET, /* the operator sets a target himself */
    ACTION_MEM_MAX, /* the operator sets a cap himself */
    ACTION_FAIL,    /* of the host: calls fail */
    ACTION_RESERVE, /* of the host: somebody reserves memory */
};

struct scenario_event {
    int line;
    uint64_t at_ms;
    uint64_t until_ms; /* at_ms when it happens once */
    uint64_t every_ms;
    uint64_t jitter_ms; /* each time it is up to this much later */
    bool random;        /* one of the guests that match, else all of them */
    char guests[SCENARIO_PATTERN_SIZE];
    enum action action;
    uint64_t low_kib; /* of need, size or speed: one between them is drawn */
    uint64_t high_kib;
    uint64_t over_ms; /* a ramp */
    uint64_t for_ms;  /* taken back after so long; 0: not */
    uint32_t percent; /* of the calls that fail */
    uint32_t acts;
    bool traced; /* from a file of points */
};

/* What is measured, of the host or of each guest. "In reach" and "at no cost": clairvoyant.h. */
enum metric {
    METRIC_UNMET,          /* MiB*s needed and not held */
    METRIC_UNMET_WEIGHTED, /* the same, times weight / 256 */
    METRIC_BOUND,          /* the same two at no cost */
    METRIC_BOUND_WEIGHTED,
    METRIC_REACH, /* and in reach */
    METRIC_REACH_WEIGHTED,
    METRIC_STALL,       /* percent of the time; of the host: its worst guest */
    METRIC_SQUEEZED,    /* the part of it that came of lowering the guest's target */
    METRIC_OOM,         /* processes killed for want of memory */
    METRIC_IDLE,        /* held and not needed, mean KiB */
    METRIC_MOVED,       /* KiB that went from one place to another */
    METRIC_REACH_MOVED, /* the same in reach */
    METRIC_MOVES,       /* calls that set a target */
    METRIC_RISES,       /* times that need rose */
    METRIC_UNSERVED,    /* rises that ended before they were served */
    METRIC_SERVE_P50,   /* ms that a rise waited */
    METRIC_SERVE_P99,
    METRIC_REACH_SERVE_P50,
    METRIC_REACH_SERVE_P99,
    METRIC_RISE_P50, /* ms from the begin of a rise until all of it was there */
    METRIC_RISE_P99,
    METRIC_REACH_RISE_P50,
    METRIC_REACH_RISE_P99,
    METRIC_JAIN,              /* Jain's index of the need met, as a part of what is fair */
    METRIC_BELOW_MIN,         /* calls that took a guest below its minimum */
    METRIC_ACTUAL,            /* KiB held at the end */
    METRIC_PROMISE_BROKEN,    /* events after which more could be taken than there is */
    METRIC_LEAST_FREE,        /* KiB */
    METRIC_CREATE_FAILED,     /* guests that could not be created */
    METRIC_BELOW_GUARANTEE,   /* ms that a guest held less than its minimum; of the host: all */
    METRIC_HELD,              /* KiB, the mean */
    METRIC_ACCUSED_UNHELPFUL, /* so often it was called that */
    METRIC_ACCUSED_MALICIOUS,
    METRIC_ACCUSED_TIME, /* ms as one or the other */
    METRIC_UNFORGIVEN,   /* is one or the other at the end */
    METRIC_RECOGNISED,   /* ms from its first offence to the accusation; of the host: the longest */
    METRIC_ATTEMPTS,     /* its offences until then; of the host: the most */
    METRIC_HAD,          /* KiB held at its first offence */
    METRIC_GAINED,       /* KiB held at most on top of that since */
    METRIC_ROUND_GAP,    /* ms between two rounds, the longest */
    METRIC_TOLD,         /* events for the operator */
    METRIC_LOGGED,       /* those of them that the daemon logs */
    METRICS,
};

/* Of a metric's value, which is in KiB for both kinds of sizes; UNIT_MIB is MiB in JSON. */
enum metric_unit {
    UNIT_COUNT,
    UNIT_SIZE,
    UNIT_MIB,
    UNIT_MS,
    UNIT_PERCENT,
    UNIT_MIB_S,
    UNIT_PART, /* of 1 */
};

struct metric_info {
    const char *name; /* as in `limits` */
    const char *json; /* as a JSON key, with its unit */
    enum metric_unit unit;
    bool host_only;
    bool guest_only;
};

const struct metric_info *metric_info(enum metric metric);

enum limit_op { LIMIT_AT_MOST, LIMIT_AT_LEAST, LIMIT_EQUAL };

struct scenario_limit {
    int line;
    char guests[SCENARIO_PATTERN_SIZE]; /* empty: the host */
    enum metric metric;
    enum limit_op op;
    double value;  /* in the metric's unit */
    char text[96]; /* as written */
};

struct scenario {
    char *file;
    uint64_t memory_kib;
    uint64_t xen_kib;
    uint64_t dom0_kib;
    uint64_t length_ms;
    uint64_t call_ms;     /* what a call into the hypervisor takes */
    struct config config; /* without rules: those stand in the guests */
    struct guest_spec *guests;
    size_t guest_count;
    struct scenario_event *events;
    size_t event_count;
    struct scenario_limit *limits;
    size_t limit_count;
};

/* Reads a file. Every fault is printed to `report`, as "FILE:LINE: what is wrong; what was
 * expected", all of them in one go. Returns 0, or a negative errno (-EINVAL for faults) with
 * *ret_scenario not written. The caller frees it with scenario_free(). */
int scenario_read(const char *file, FILE *report, struct scenario *ret_scenario);
void scenario_free(struct scenario *scenario);

/* The configuration that the scenario carries, for config_free(). Returns 0 or -ENOMEM. */
int scenario_config(const struct scenario *scenario, struct config *ret_config);

/* What ballast is told of a guest, with what stands for it where it is told nothing. */
struct limits scenario_limits(const struct scenario *scenario, const struct guest_spec *spec);

/* True when a name matches: "vm[1-15]" by number, else as fnmatch() does. */
bool scenario_match(const char *pattern, const char *name);

/* True when it matches the name of any guest. */
bool scenario_any(const struct scenario *scenario, const char *pattern);

/* The keys by index, for the manual's check; NULL after the last. */
const char *scenario_key(size_t index);
const char *scenario_guest_key(size_t index);
const char *scenario_event_key(size_t index);

/* The word for what happens, as the file has it. */
const char *scenario_action_name(enum action action);

#endif
