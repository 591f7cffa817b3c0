/* SPDX-License-Identifier: ISC */
/* When the agent posts: at once when something matters, else now and then. */
#ifndef BALLAST_TIMING_H
#define BALLAST_TIMING_H

#include <stdbool.h>

#include "report/report.h"

/* The agent looks so often: 0.1 ms of work each, 0.1 % of a CPU (measured, Linux 6.18). Nothing of
 * what passes until a rise is served takes longer: a guest that allocates 200 MiB/s is 20 MiB further
 * between two looks, less than the daemon's margin. Qubes' agent looks as often. */
#define TIMING_LOOK_MS 100

/* A guest in which nothing changes posts so often. */
#define TIMING_HEARTBEAT_MS 10000

/* A change of memory by so much after `posted` is posted at the next look. */
uint64_t timing_matters_kib(const struct report *posted);

/* True when the report `now` should be posted, after `posted`, which was posted elapsed_ms ago.
 * Both are of the same guest; posted NULL: nothing was posted yet. */
bool timing_due(const struct report *now, const struct report *posted, uint64_t elapsed_ms);

#endif
