/* SPDX-License-Identifier: ISC */
/* A simulated host: a hypervisor's counters and rules, and the guests of a scenario. It owns the
 * truth, and checks the promise after every single event. */
#ifndef BALLAST_HOST_SIM_H
#define BALLAST_HOST_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/guest-sim.h"
#include "host/host.h"
#include "host/scenario.h"

/* Its clock when the scenario begins: the guests that are there then have run for so long. */
#define HOST_SIM_BEGIN_MS 600000

/* Borrows the scenario until the host is closed. The seed decides all that is left to chance. In
 * real time the host lives by the system's clock, through fd() and dispatch(); else only by
 * host_sim_advance(). Returns 0 or a negative errno (logged already). */
int host_sim_open(const struct scenario *scenario, uint64_t seed, bool real_time,
                  struct host **ret_host);

/* Lives until to_ms, or until something happened after which a round should run soon: then it
 * returns true, at once. */
bool host_sim_advance(struct host *host, uint64_t to_ms);

/* The guests of the scenario in its order, by index: NULL after the last. */
const struct guest *host_sim_guest(const struct host *host, size_t index);

/* Is called after everything that happens to a guest; index: in the scenario's order. */
typedef void host_sim_watcher(void *context, size_t index, const struct guest *guest,
                              uint64_t now_ms);
void host_sim_watch(struct host *host, host_sim_watcher *watcher, void *context);

struct host_sim_truth {
    uint64_t free_kib;
    uint64_t least_free_kib;
    uint64_t calls;
    uint64_t calls_failed;
    uint64_t create_failed;
    uint64_t promise_broken; /* events after which it was */
    const char *broken;      /* when, and who, the first time; empty when it never was */
};
void host_sim_truth(const struct host *host, struct host_sim_truth *ret_truth);

/* Ends the accounts of all guests. */
void host_sim_finish(struct host *host);

/* What happens in the scenario, in the order of time; false after the last. *ret_ms counts from its
 * begin. Chance is already in it, but for whom a "random" event takes. */
bool host_sim_event(const struct host *host, size_t index, uint64_t *ret_ms,
                    const struct scenario_event **ret_event);

#endif
