/* SPDX-License-Identifier: ISC */
#include "host/store.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenstore.h>
#include <xenstore_lib.h>

/* Events taken in at once; the rest waits for the next turn of the loop. */
#define EVENTS_AT_ONCE 256

/* So many turns without an event on a readable descriptor: the store has closed it. */
#define EMPTY_TURNS 16

/* True when somebody listens at the store's socket. A full backlog (EAGAIN) is an answer, too. */
static bool has_socket(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answers;

    if (fd < 0)
        return false;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", xs_daemon_socket());
    answers =
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
    (void)close(fd);
    return answers;
}

/* Without a socket libxenstore asks through the kernel: that reaches a store in a domain of its
 * own. But where there was a socket its end is the store's, and who asks the kernel then waits for
 * ever. */
int store_open(struct store *store)
{
    bool answers = has_socket();

    *store = (struct store){ .by_socket = store->by_socket || answers };
    if (answers || !store->by_socket) {
        store->watcher = xs_open(0);
        store->reader = xs_open(0);
    }
    if (store->watcher && store->reader)
        return 0;
    store_close(store);
    return -ENOTCONN;
}

void store_close(struct store *store)
{
    if (store->watcher)
        xs_close(store->watcher);
    if (store->reader)
        xs_close(store->reader);
    *store = (struct store){ .by_socket = store->by_socket, .lost = true };
}

/* The errors that the store itself answers leave the connection whole. Returns it, negative. */
static int failure(struct store *store)
{
    static const int answered[] = { ENOENT, EACCES, EINVAL, ENOMEM, ENOSPC, E2BIG, EPERM };
    int error = errno;

    for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
        if (error == answered[i])
            return -error;
    }
    store->lost = true;
    return -error;
}

int store_fd(const struct store *store)
{
    return store->watcher ? xs_fileno(store->watcher) : -1;
}

void store_watch(struct store *store, const char *path, const char *token)
{
    if (!xs_watch(store->watcher, path, token) && errno != EEXIST)
        store->lost = true;
}

void store_unwatch(struct store *store, const char *path, const char *token)
{
    (void)xs_unwatch(store->watcher, path, token);
}

void store_take_events(struct store *store,
                       void (*take)(void *context, const char *path, const char *token),
                       void *context)
{
    struct pollfd readable = { .fd = store_fd(store), .events = POLLIN };
    unsigned taken = 0;

    if (!store->lost && poll(&readable, 1, 0) == 0)
        return;
    while (taken < EVENTS_AT_ONCE && !store->lost) {
        char **event = xs_check_watch(store->watcher);

        if (!event) {
            if (errno != EAGAIN)
                store->lost = true;
            break;
        }
        take(context, event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
        free(event);
        taken++;
    }
    store->empty_turns = taken ? 0 : store->empty_turns + 1;
    if (store->empty_turns >= EMPTY_TURNS)
        store->lost = true;
}

int store_read(struct store *store, const char *path, char **ret_text, size_t *ret_len)
{
    unsigned len = 0;
    char *text;

    if (store->lost)
        return -ENOTCONN;
    text = xs_read(store->reader, XBT_NULL, path, &len);
    if (!text)
        return failure(store);
    *ret_text = text;
    *ret_len = len;
    return 0;
}

int store_write(struct store *store, const char *path, const char *text)
{
    bool done;

    if (store->lost)
        return -ENOTCONN;
    done = text ? xs_write(store->reader, XBT_NULL, path, text, (unsigned)strlen(text))
                : xs_rm(store->reader, XBT_NULL, path) || errno == ENOENT;
    return done ? 0 : failure(store);
}

bool store_answers(struct store *store)
{
    char *text = NULL;
    size_t len;

    (void)store_read(store, "/tool", &text, &len);
    free(text);
    return !store->lost;
}

int store_list(struct store *store, const char *path, void (*each)(void *context, const char *name),
               void *context)
{
    unsigned count = 0;
    char **names;

    if (store->lost)
        return -ENOTCONN;
    names = xs_directory(store->reader, XBT_NULL, path, &count);
    if (!names)
        return errno == ENOENT ? 0 : failure(store);
    for (unsigned i = 0; i < count; i++)
        each(context, names[i]);
    free(names);
    return 0;
}
