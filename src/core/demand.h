/* SPDX-License-Identifier: ISC */
/* Stage estimate: what each domain needs, from what it posts. */
#ifndef BALLAST_DEMAND_H
#define BALLAST_DEMAND_H

#include "core/round.h"

/* Fills core_kib, need_kib, entitled_kib and available_kib of every domain; share_kib and the
 * limits must be set. */
void demand_estimate(struct round *round);

/* True when the domain's post says something that the last round did not know and that matters: the
 * next round should not wait for its time. */
bool demand_has_news(const struct domain *domain);

/* Of what it would miss at once, what comes before others' room to grow: all, or only its weight's
 * share of one that insists; all that it uses, where it only has not shown that it does, and cannot
 * swap. */
uint64_t demand_first_kib(const struct domain *domain);

#endif
