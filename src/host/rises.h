/* SPDX-License-Identifier: ISC */
/* How often need rose, and how long it took until what was needed was there. */
#ifndef BALLAST_RISES_H
#define BALLAST_RISES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A rise is more than this, and is served when less than the second is missing. */
#define RISES_LEAST_KIB 8192
#define RISES_SERVED_KIB 1024

struct rises {
    /* the one that is under way */
    bool rising;
    uint64_t from_ms;
    double wait_ms; /* short, so far */

    uint64_t count; /* that have ended */
    uint64_t unserved;
    uint32_t *wait_ms_of;  /* of each: how long it was short */
    uint32_t *whole_ms_of; /* of each: from its begin until all of it was there */
    size_t kept;           /* figures there; less than count only without memory */
};

void rises_free(struct rises *rises);

/* Need begins to rise. The one before must have ended. */
void rises_begin(struct rises *rises, uint64_t now_ms);

/* The one under way, if there is one, was served, or ended before it was. */
void rises_end(struct rises *rises, uint64_t now_ms, bool served);

#endif
