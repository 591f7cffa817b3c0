/* SPDX-License-Identifier: ISC */
/* The client's side of the socket. All of them say on standard error what went wrong. */
#ifndef BALLAST_CONNECT_H
#define BALLAST_CONNECT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/json.h"

/* A daemon that is alive answers between two rounds, which are short. */
#define CONNECT_ANSWER_S 10

/* Set by the handler of a signal that is to end us: then nothing is waited for any more, and what
 * fails for that reason says nothing. */
extern volatile sig_atomic_t connect_interrupted;

struct connection;

/* Connects and takes in the greeting. Returns NULL on failure. connect_close() takes NULL. */
struct connection *connect_open(const char *path);
void connect_close(struct connection *connection);

/* The same, with a daemon that may be about to be started: tries for so many seconds, and says only
 * then what went wrong. With 0 tries once, and says nothing. */
struct connection *connect_again(const char *path, int seconds);

/* The daemon's version, from the greeting; never NULL. */
const char *connect_version(const struct connection *connection);

/* Asks for `command` with arguments, the text of a JSON object, or NULL. Returns the whole
 * answer, whose "return" is there, for json_value_free(); NULL on failure. Events that come before
 * the answer are dropped. */
struct json_value *connect_ask(struct connection *connection, const char *command,
                               const char *arguments);

/* The same with an answer that may take so many seconds. Returns it whatever it is, an error,
 * too; NULL when there was none. */
struct json_value *connect_exchange(struct connection *connection, const char *command,
                                    const char *arguments, int seconds);

/* The next event, however long it takes, for json_value_free(); NULL when the daemon is gone. */
struct json_value *connect_next_event(struct connection *connection);

/* Prints a value as it came, on one line or over several. */
void connect_print(const struct json_value *value, bool pretty);

#endif
