/* SPDX-License-Identifier: ISC */
/* What could have been done at best: clairvoyants, who see what each guest of a simulated host really
 * needs, beside the real thing. They keep the same reserve free, and the cap's slack above each
 * target; what cannot be moved (a guest that is built, boots, is paused or has no balloon driver)
 * they leave where it is. All of it is exact between any two things that happen.
 *
 *   at no cost  memory lies where need is, at each instant; when there is too little, the lowest
 *               weights are short. No policy has less unmet need, weighted or not.
 *   in reach    sees need at once, but moves memory no faster than the balloons do, keeps
 *               guarantees, and then has the lowest priority and in it the lowest weight short. What
 *               nobody needs stays where it is until somebody does. It does not foresee. */
#ifndef BALLAST_CLAIRVOYANT_H
#define BALLAST_CLAIRVOYANT_H

#include <stddef.h>
#include <stdint.h>

#include "host/host.h"
#include "host/rises.h"
#include "host/scenario.h"

/* Of one guest. */
struct clairvoyant_figures {
    double bound_kib_ms; /* unmet need at no cost */
    double reach_kib_ms; /* and in reach */
    double reach_moved_kib;
    struct rises reach_rises;
    double fair_kib_ms; /* what guarantee, priority and weight give it of what it needs */
};

struct clairvoyant;

/* Looks on from now. Borrows both until clairvoyant_free(). Returns 0 or -ENOMEM. */
int clairvoyant_open(const struct scenario *scenario, struct host *host,
                     struct clairvoyant **ret_clairvoyant);
void clairvoyant_free(struct clairvoyant *seer); /* NULL is fine */

/* Ends the accounts; the host's must have been ended before. */
void clairvoyant_finish(struct clairvoyant *seer);

/* Of the guest with this index in the scenario's order. */
const struct clairvoyant_figures *clairvoyant_of(const struct clairvoyant *seer, size_t index);

#endif
