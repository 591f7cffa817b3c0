/* SPDX-License-Identifier: ISC */
/* Stage pace: how fast to go where the policy wants a domain to be. Growing is not slowed down;
 * shrinking goes in steps that the guest can follow, and a stuck balloon driver is woken. */
#ifndef BALLAST_PACE_H
#define BALLAST_PACE_H

#include "core/round.h"

/* Sets goal_kib (a target) of every domain from want_kib. */
void pace_moderate(struct round *round);

/* How large the steps of this pace are and how long the pauses between two; 0: that does not
 * apply. */
void pace_figures(enum pace pace, uint64_t *ret_step_kib, uint64_t *ret_pause_ms);

#endif
