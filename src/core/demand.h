/* SPDX-License-Identifier: ISC */
/* Stage estimate: what each domain needs, from what it posts. */
#ifndef BALLAST_DEMAND_H
#define BALLAST_DEMAND_H

#include "core/round.h"

/* The size below which a Linux guest of this static-max does not live: the piecewise straight line
 * of the self-balloon driver (minimum_target() in Linux' xen-selfballoon, 2008 to 2019), in MiB:
 * 0:0 16:16 32:24 128:72 512:168 2048:360 8192:552 32768:1320 131072:4392. */
uint64_t demand_floor_kib(uint64_t static_max_kib);

/* Fills need_kib and available_kib of every domain; share_kib and the limits must be set. */
void demand_estimate(struct round *round);

/* True when the domain's post says something that the last round did not know and that matters: the
 * next round should not wait for its time. */
bool demand_has_news(const struct domain *domain);

#endif
