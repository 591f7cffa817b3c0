/* SPDX-License-Identifier: ISC */
/* Reservations on the socket, whose answers come later, and in the store, where they outlive us. */
#ifndef BALLAST_RESERVATIONS_H
#define BALLAST_RESERVATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/reserve.h"
#include "util/json.h"

struct control;
struct control_peer;
struct fault;

/* Whose one is. */
struct owner {
    uint64_t id;
    void *client;               /* NULL: nobody's, for a while */
    uint64_t until_ms;          /* nobody's until then */
    bool keep;                  /* held also when the client has gone, once it is ready */
    struct json_value *request; /* to be answered; NULL: was answered */
};

struct owners {
    struct owner list[RESERVATIONS_MAX];
    size_t count;
    struct reservations saved; /* as they are in the store */
    bool unsaved_told;         /* the store does not take them, and that was told */
};

/* The commands; see commands.h. `reserve` of a peer with a client is answered later. */
int reservations_reserve(struct control *control, struct control_peer *peer,
                         const struct json_value *arguments, struct json *json,
                         struct fault *fault);
int reservations_release(struct control *control, struct control_peer *peer,
                         const struct json_value *arguments, struct json *json,
                         struct fault *fault);
int reservations_query(struct control *control, struct control_peer *peer,
                       const struct json_value *arguments, struct json *json, struct fault *fault);

/* Takes over the request that peer->put_off is the reservation of. */
void reservations_put_off(struct control *control, const struct control_peer *peer,
                          struct json_value *request);

/* The next answer that has become due, and to whom; NULL: there is none. The caller frees it. */
struct json *reservations_next_answer(struct control *control, void **ret_client);

/* A client has gone, and with it what was reserved for it. */
void reservations_left(struct control *control, const void *client);

/* Takes those that an earlier daemon has left out of the store: before the first round. */
void reservations_restore(struct control *control);

/* Writes what has changed into the store, and ends what nobody has claimed: after each round,
 * and when one was asked for or has ended. A dry run writes nothing. */
void reservations_save(struct control *control);

void reservations_free(struct control *control);

#endif
