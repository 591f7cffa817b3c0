/* SPDX-License-Identifier: ISC */
/* What happened on a simulated host, recorded, and drawn. */
#ifndef BALLAST_SVG_H
#define BALLAST_SVG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "host/host.h"
#include "host/scenario.h"

/* Sizes at regular times. */
struct trace {
    size_t columns; /* that there is room for */
    size_t used;
    size_t guests;
    uint64_t step_ms;
    float *actual_mib; /* [guest * columns + column] */
    float *need_mib;
};

/* Room for a recording over length_ms. Returns 0 or -ENOMEM. */
int trace_init(struct trace *ret_trace, size_t guests, uint64_t length_ms);
void trace_free(struct trace *trace);

/* Records the host as it is now; to be called every step_ms. */
void trace_sample(struct trace *trace, const struct host *host);

/* Draws it: memory of each domain stacked, free memory on top; need against memory of each; what
 * happened. Returns 0 or a negative errno. */
int svg_draw(const struct trace *trace, const struct scenario *scenario, const struct host *host,
             const char *title, FILE *out);

#endif
