/* SPDX-License-Identifier: ISC */
/* Stage pace: how fast to go where the policy wants a domain to be. Growing is not slowed down;
 * shrinking goes in steps that the guest can follow, and a stuck balloon driver is woken. */
#ifndef BALLAST_PACE_H
#define BALLAST_PACE_H

#include "core/round.h"

/* Sets goal_kib (a target) of every domain from want_kib. */
void pace_moderate(struct round *round);

#endif
