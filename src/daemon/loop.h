/* SPDX-License-Identifier: ISC */
/* The loop that the daemon sits in: one timer, one descriptor that is watched, signals, and the
 * socket with its clients. The one file that includes libevent. */
#ifndef BALLAST_LOOP_H
#define BALLAST_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;
struct loop_client;

/* What the loop calls; context is what was given to loop_new(). */
struct loop_calls {
    void (*due)(void *context);      /* the time of loop_due_in() has come */
    void (*readable)(void *context); /* the watched descriptor is */
    void (*signalled)(void *context, int number);

    /* A client has connected. */
    void (*joined)(void *context, struct loop_client *client);

    /* A client is gone; with the loop itself they all are. */
    void (*left)(void *context, struct loop_client *client);

    /* A client sent line[0..len), without its newline and with a NUL after it. line NULL: it was
     * longer than line_max; the client is dropped once it was answered. */
    void (*line)(void *context, struct loop_client *client, const char *line, size_t len);
};

/* Returns NULL without memory. loop_free() takes NULL; what clients still have to get is handed to
 * the kernel as far as it takes it without waiting. */
struct loop *loop_new(const struct loop_calls *calls, void *context);
void loop_free(struct loop *loop);

/* Runs until loop_stop(). Returns 0 or a negative errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* `signalled` is called for this signal, outside of the signal handler. At most 8 signals. Returns
 * 0 or a negative errno. */
int loop_signal(struct loop *loop, int number);

/* `due` is called once, so many ms from now, or earlier when that was asked for before. */
void loop_due_in(struct loop *loop, uint64_t ms);

/* Watches this descriptor instead of the one before; -1: none. To be called again after the
 * descriptor was closed and opened anew, also when its number is the same. Returns 0 or a negative
 * errno. */
int loop_watch(struct loop *loop, int fd);

/* Serves a listening socket, which stays the caller's. Clients above a limit are told `full`, a
 * whole line (not owned), and dropped; some places are kept for root and the daemon's own user.
 * Returns 0 or a negative errno. */
int loop_listen(struct loop *loop, int fd, size_t line_max, const char *full);

/* The user at the other end, as the kernel knows it. */
uid_t loop_client_uid(const struct loop_client *client);

/* Sends text[0..len) and a newline. */
void loop_send(struct loop_client *client, const char *text, size_t len);

/* From now on the client gets what is published. */
void loop_subscribe(struct loop_client *client);

/* Sends text[0..len) and a newline to all clients that were subscribed. One that does not read is
 * dropped when too much waits for it. */
void loop_publish(struct loop *loop, const char *text, size_t len);

/* Drops the client when it has got what waits for it, or takes none of it for long. */
void loop_drop(struct loop_client *client);

#endif
