/* SPDX-License-Identifier: ISC */
/* When the agent posts: at once when something matters, else now and then. */
#ifndef BALLAST_TIMING_H
#define BALLAST_TIMING_H

#include <stdbool.h>

#include "report/report.h"

/* The agent looks so often. Nothing of what passes until a rise is served takes longer: a guest
 * that allocates 200 MiB/s is 20 MiB further between two looks, less than the daemon's margin.
 * Qubes' agent looks as often. */
#define TIMING_LOOK_MS 100

/* While free memory stays as it is a look is no more than that, one system call: to read all takes
 * seventy times as long (35 against 0.5 us, Linux 6.18), and every guest does it. All is read so
 * often. */
#define TIMING_READ_MS 500

/* Free memory, or free swap, that changed by so much has all read at once. */
#define TIMING_GLANCE_KIB 1024

/* A guest in which nothing changes posts so often. */
#define TIMING_HEARTBEAT_MS 10000

/* A change of memory by so much after `posted` is posted at the next look. */
uint64_t timing_matters_kib(const struct report *posted);

/* True when the report `now` should be posted, after `posted`, which was posted elapsed_ms ago.
 * Both are of the same guest; posted NULL: nothing was posted yet. */
bool timing_due(const struct report *now, const struct report *posted, uint64_t elapsed_ms);

#endif
