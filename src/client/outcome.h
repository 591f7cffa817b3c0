/* SPDX-License-Identifier: ISC */
/* What came out of a simulated scenario: figures of the host and of each guest, and whether the
 * scenario's limits were kept. */
#ifndef BALLAST_OUTCOME_H
#define BALLAST_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/clairvoyant.h"
#include "host/host.h"
#include "host/scenario.h"
#include "util/json.h"

struct outcome {
    const struct scenario *scenario; /* borrowed */
    uint64_t seed;
    const char *policy;
    uint64_t rounds;
    char broken[200];          /* the promise, the first time: when and who; or empty */
    double host[METRICS];      /* in the metric's unit */
    double (*guests)[METRICS]; /* of each in the scenario's order */
    double *need_kib;          /* means over its life */
    double *held_kib;
};

/* Takes the figures of a host, and of who looked on, whose accounts are ended. The caller sets
 * seed, policy and rounds. Returns 0 or -ENOMEM. */
int outcome_take(const struct scenario *scenario, const struct host *host,
                 const struct clairvoyant *clairvoyant, struct outcome *ret_outcome);
void outcome_free(struct outcome *outcome);

/* How many limits were broken; the promise is always one. Each is printed to `report`, when it is
 * not NULL, as "FILE:LINE: LIMIT: ...". */
size_t outcome_broken(const struct outcome *outcome, FILE *report);

/* Whether a limit was kept: by the host, or by all guests that it is of. *ret_name and *ret_value:
 * who is farthest from keeping it. */
bool outcome_limit(const struct outcome *outcome, size_t index, const char **ret_name,
                   double *ret_value);

/* A table for people. */
void outcome_print(const struct outcome *outcome, FILE *out);

/* The hosts of several outcomes of one scenario and seed, one a line. */
void outcome_compare(const struct outcome *outcomes, size_t count, FILE *out);

/* The same as an object. */
void outcome_json(const struct outcome *outcome, struct json *json);

#endif
