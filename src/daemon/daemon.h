/* SPDX-License-Identifier: ISC */
/* The daemon at work: rounds when something happens, answers in between. */
#ifndef BALLAST_DAEMON_H
#define BALLAST_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine.h"
#include "daemon/control.h"
#include "daemon/ledger.h"
#include "daemon/loop.h"
#include "host/host.h"

struct daemon {
    struct host *host; /* not owned */
    struct engine engine;
    struct control control;
    struct ledger ledger;
    struct loop *loop;
    uint64_t told;     /* notices that were logged and published */
    bool round_wanted; /* whatever else there is */
    uint64_t round_ms; /* the next round is due then, on the host's clock */
    bool lost;         /* the host could not be observed, and that was told */
    bool ending;       /* clients go because we do: what was reserved for them stays */
};

/* Takes over *config. listen_fd stays the caller's until after daemon_end(). config_file: for
 * reloads, or NULL; not owned. Runs the first round; from then on everything can be asked for.
 * Returns 0, or a negative errno (already logged) after which daemon_end() is due as after
 * success. */
int daemon_start(struct daemon *daemon, struct host *host, struct config *config,
                 const char *config_file, bool dry_run, int listen_fd);

/* Runs until it is told to end, by a signal or over the socket. Returns 0 or a negative errno. */
int daemon_run(struct daemon *daemon);

/* Leaves every domain as it is. */
void daemon_end(struct daemon *daemon);

#endif
