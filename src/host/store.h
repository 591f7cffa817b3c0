/* SPDX-License-Identifier: ISC */
/* The store, xenstored, over two connections: one for its events, one for all else. Once a
 * connection is lost nothing more comes of it, and store_open() makes another. */
#ifndef BALLAST_STORE_H
#define BALLAST_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xs_handle;

/* All zero: never opened. */
struct store {
    struct xs_handle *watcher; /* has a thread of libxenstore's; only for events */
    struct xs_handle *reader;  /* has none; for all else */
    bool by_socket;            /* it was there once */
    bool lost;
    unsigned empty_turns;
};

/* Returns 0 or -ENOTCONN, and then it is closed. */
int store_open(struct store *store);

void store_close(struct store *store);

/* Asks it something. libxenstore does not tell of a store that ends while nobody asks. */
bool store_answers(struct store *store);

/* Readable when there are events. */
int store_fd(const struct store *store);

/* Sets a watch, and takes it away. */
void store_watch(struct store *store, const char *path, const char *token);
void store_unwatch(struct store *store, const char *path, const char *token);

/* Takes the events that are there, without blocking: calls take() for each. */
void store_take_events(struct store *store,
                       void (*take)(void *context, const char *path, const char *token),
                       void *context);

/* Returns 0, -ENOENT when the node is not there, or another negative errno. The caller frees
 * *ret_text, which has a NUL after its *ret_len bytes. */
int store_read(struct store *store, const char *path, char **ret_text, size_t *ret_len);

/* text NULL: removes the node and all below it, and it is no error when there is none. Returns 0 or
 * a negative errno. */
int store_write(struct store *store, const char *path, const char *text);

/* Calls each() for every name directly below path. Returns 0, also when there is none, or a
 * negative errno. */
int store_list(struct store *store, const char *path, void (*each)(void *context, const char *name),
               void *context);

#endif
