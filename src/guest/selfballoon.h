/* SPDX-License-Identifier: ISC */
/* A domain that sizes itself by the memory that it has committed, as the self-balloon driver of
 * 2008 did, within what dom0 allows: never above memory/target, and only if memory/selfballoon does
 * not say no. Only dom0 can write below memory/. */
#ifndef BALLAST_SELFBALLOON_H
#define BALLAST_SELFBALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/procfs.h"
#include "report/report.h"

/* Time between two steps down, and two looks at what dom0 says: the driver's own. */
#define SELFBALLOON_MS 5000

struct selfballoon {
    bool wanted; /* switched on from inside; dom0's word goes before it */
    bool on;
    uint64_t looked_ms; /* at what dom0 says; 0: never */
    uint64_t static_max_kib;
    uint64_t allowed_kib; /* dom0's target, as the balloon driver counts */
    uint64_t offset_kib;  /* dom0's target less the driver's own */
};

/* What the domain would hold if it held no more than it has committed and what its kernel uses. */
uint64_t selfballoon_goal_kib(const struct report *report, uint64_t kernel_kib);

/* The next target on the way from current_kib to goal_kib: at once up, in steps down, and not
 * down while programs wait for memory. Never below floor_kib, and never above allowed_kib
 * whatever else. */
uint64_t selfballoon_step_kib(uint64_t current_kib, uint64_t goal_kib, uint64_t floor_kib,
                              uint64_t allowed_kib, bool pressed);

/* Does what is due at now_ms; store is an open connection. Adds to the report what it would like to
 * hold when it is on. Returns 0; a negative errno when the driver's target cannot be written; or
 * another when the store does not answer: then the connection is of no more use (*ret_lost). */
int selfballoon_run(struct selfballoon *selfballoon, int store, const struct procfs *procfs,
                    uint64_t now_ms, struct report *report, bool *ret_lost);

/* Gives the driver dom0's target again, at the end. */
void selfballoon_end(struct selfballoon *selfballoon, const struct procfs *procfs);

#endif
