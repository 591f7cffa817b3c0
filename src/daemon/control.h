/* SPDX-License-Identifier: ISC */
/* The protocol of the socket, without the socket: a line of text in, a line of text out. What is
 * said on it is described in docs/protocol.md. */
#ifndef BALLAST_CONTROL_H
#define BALLAST_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/engine.h"
#include "daemon/publish.h"
#include "daemon/reservations.h"
#include "util/json.h"

/* A request is one line of at most so many bytes. */
#define CONTROL_LINE_MAX 65536

/* So many of the last notices are kept for `query-events`: more than one round can make. */
#define CONTROL_NOTICES 512

struct control {
    struct engine *engine;   /* not owned */
    const char *config_file; /* not owned; NULL: of the scenario, nothing to reload */
    uint64_t started_ms;     /* on the host's clock */

    /* What a request asked for, to be done and cleared by the caller after it was answered. */
    bool round_wanted;
    bool stop_wanted;

    struct owners owners; /* of reservations */

    uint64_t noted; /* notices ever made; the last ones are in the ring, at (number % size) */
    struct notice notices[CONTROL_NOTICES];
};

/* Who asks. */
struct control_peer {
    bool may_change;  /* set, reload, shutdown, reserve, release */
    void *client;     /* whom answers that come later are for; NULL: then all come at once */
    bool subscribed;  /* set by the request that asks for events */
    uint64_t put_off; /* set by the request that is answered later: the reservation's number */
};

/* The first line that a client gets. The caller frees it with json_free(); NULL without memory. */
struct json *control_greeting(const struct control *control);

/* Answers the request line[0..len), which is followed by a NUL; line NULL: it was longer than
 * CONTROL_LINE_MAX. What is wrong with the request is part of the answer. The caller frees it with
 * json_free(); NULL without memory, or when peer->put_off is set. */
struct json *control_answer(struct control *control, struct control_peer *peer, const char *line,
                            size_t len);

/* Reads the configuration file anew and swaps it in whole, or keeps the old one: then every fault
 * is in error, one a line. Either is noted. Returns 0 or a negative errno. */
int control_reload(struct control *control, char *error, size_t error_size);

/* Notes what happened, to be logged, kept and told. kind is a constant string. domid NOTICE_HOST
 * with name NULL: of the host. Longer texts than a notice has room for are cut. */
void control_note(struct control *control, const char *kind, uint32_t domid, const char *name,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Notes the events of the round that has just run. */
void control_note_round(struct control *control);

#endif
