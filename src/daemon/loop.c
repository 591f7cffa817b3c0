/* SPDX-License-Identifier: ISC */
#include "daemon/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "util/log.h"

#define SIGNALS_MAX 8

/* Anybody may connect, so that a status is there for all; the places that only root and the
 * daemon's own user get let them in when all others are taken. */
#define CLIENTS_MAX 128
#define CLIENTS_RESERVED 16

/* No further request of a client is read while so much waits for it: it asks faster than it
 * reads. */
#define WAITING_PAUSE ((size_t)64 * 1024)

/* Events are not held back for a client that does not read. More than this, on top of the answer
 * that it has asked for, and it is dropped. */
#define WAITING_MAX ((size_t)256 * 1024)

/* A client that takes nothing of what waits for it, for so long, is dropped. */
#define STUCK_S 30

struct loop_client {
    LIST_ENTRY(loop_client) entry;
    struct loop *loop;
    struct bufferevent *stream;
    uid_t uid;
    size_t answer_size; /* of the last answer */
    bool subscribed;
    bool ended;    /* the other side will send no more */
    bool dropping; /* no more is read; freed when all is written */
};

struct loop {
    const struct loop_calls *calls;
    void *context;
    struct event_base *base;
    struct event *timer;
    uint64_t timer_ms; /* when it is due; 0: not set */
    struct event *watch;
    struct event *signals[SIGNALS_MAX];
    size_t signal_count;
    struct evconnlistener *listener;
    size_t line_max;
    const char *full;
    LIST_HEAD(, loop_client) clients;
    size_t client_count;
};

/* The timer, the watched descriptor, signals. */

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct loop *loop = context;

    loop->timer_ms = 0;
    loop->calls->due(loop->context);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct loop *loop = context;

    loop->calls->readable(loop->context);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct loop *loop = context;

    loop->calls->signalled(loop->context, number);
}

/* A round that is due and a signal go before what clients ask, and wait for one answer at most: a
 * hundred clients that ask for a thousand domains each would hold up a round for seconds. The
 * watched descriptor is ordinary: guests keep it readable if they like. */
enum { URGENT, ORDINARY, PRIORITIES };

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (config && event_config_set_max_dispatch_interval(config, NULL, 1, ORDINARY) == 0)
        base = event_base_new_with_config(config);
    if (config)
        event_config_free(config);
    if (base && event_base_priority_init(base, PRIORITIES) < 0) {
        event_base_free(base);
        base = NULL;
    }
    return base;
}

struct loop *loop_new(const struct loop_calls *calls, void *context)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return NULL;
    loop->calls = calls;
    loop->context = context;
    LIST_INIT(&loop->clients);
    loop->base = base_new();
    if (loop->base)
        loop->timer = event_new(loop->base, -1, 0, on_timer, loop);
    if (!loop->timer) {
        loop_free(loop);
        return NULL;
    }
    (void)event_priority_set(loop->timer, URGENT);
    return loop;
}

int loop_run(struct loop *loop)
{
    return event_base_dispatch(loop->base) < 0 ? -EIO : 0;
}

void loop_stop(struct loop *loop)
{
    (void)event_base_loopbreak(loop->base);
}

int loop_signal(struct loop *loop, int number)
{
    struct event *event;

    if (loop->signal_count == SIGNALS_MAX)
        return -ENOSPC;
    event = evsignal_new(loop->base, number, on_signal, loop);
    if (!event)
        return -ENOMEM;
    (void)event_priority_set(event, URGENT);
    if (event_add(event, NULL) < 0) {
        event_free(event);
        return -EINVAL;
    }
    loop->signals[loop->signal_count++] = event;
    return 0;
}

static uint64_t monotonic_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void loop_due_in(struct loop *loop, uint64_t ms)
{
    struct timeval wait = {
        .tv_sec = (time_t)(ms / 1000),
        .tv_usec = (suseconds_t)(ms % 1000) * 1000,
    };
    uint64_t due_ms = monotonic_ms() + ms;

    if (loop->timer_ms != 0 && loop->timer_ms <= due_ms)
        return;
    loop->timer_ms = due_ms;
    (void)event_add(loop->timer, &wait);
}

int loop_watch(struct loop *loop, int fd)
{
    if (loop->watch)
        event_free(loop->watch);
    loop->watch = NULL;
    if (fd < 0)
        return 0;
    loop->watch = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, loop);
    if (!loop->watch)
        return -ENOMEM;
    return event_add(loop->watch, NULL) < 0 ? -EIO : 0;
}

/* Clients. */

static size_t waiting(const struct loop_client *client)
{
    return evbuffer_get_length(bufferevent_get_output(client->stream));
}

static void client_free(struct loop_client *client)
{
    struct loop *loop = client->loop;

    LIST_REMOVE(client, entry);
    loop->client_count--;
    loop->calls->left(loop->context, client);
    bufferevent_free(client->stream);
    free(client);
    if (loop->listener)
        (void)evconnlistener_enable(loop->listener);
}

void loop_drop(struct loop_client *client)
{
    client->dropping = true;
    (void)bufferevent_disable(client->stream, EV_READ);
}

/* Frees the client soon: not at once, since it may be the one whose line is being answered. */
static void client_abandon(struct loop_client *client)
{
    loop_drop(client);
    bufferevent_trigger_event(client->stream, BEV_EVENT_ERROR, BEV_OPT_DEFER_CALLBACKS);
}

/* Hands on the lines that are there: all of them, since one that is in the buffer already makes no
 * further event; but none while the client does not read the answers. */
static void take_lines(struct loop_client *client)
{
    struct loop *loop = client->loop;
    struct evbuffer *input = bufferevent_get_input(client->stream);

    while (!client->dropping && waiting(client) < WAITING_PAUSE) {
        size_t len;
        char *line = evbuffer_readln(input, &len, EVBUFFER_EOL_CRLF);

        if (!line) {
            if (client->ended) {
                loop_drop(client);
            } else if (evbuffer_get_length(input) > loop->line_max) {
                loop->calls->line(loop->context, client, NULL, 0);
                loop_drop(client);
            }
            break;
        }
        if (len > loop->line_max) {
            loop->calls->line(loop->context, client, NULL, 0);
            loop_drop(client);
        } else {
            loop->calls->line(loop->context, client, line, len);
        }
        free(line);
    }
    if (client->dropping && waiting(client) == 0)
        client_free(client);
}

static void on_input(struct bufferevent *stream, void *context)
{
    take_lines(context);
}

static void on_drained(struct bufferevent *stream, void *context)
{
    take_lines(context);
}

static void on_end(struct bufferevent *stream, short what, void *context)
{
    struct loop_client *client = context;

    if (what & BEV_EVENT_EOF) {
        client->ended = true;
        take_lines(client);
    } else {
        client_free(client);
    }
}

uid_t loop_client_uid(const struct loop_client *client)
{
    return client->uid;
}

static void send_line(struct loop_client *client, const char *text, size_t len)
{
    if (bufferevent_write(client->stream, text, len) < 0
        || bufferevent_write(client->stream, "\n", 1) < 0)
        client_abandon(client);
}

void loop_send(struct loop_client *client, const char *text, size_t len)
{
    client->answer_size = len;
    send_line(client, text, len);
}

void loop_subscribe(struct loop_client *client)
{
    client->subscribed = true;
}

void loop_publish(struct loop *loop, const char *text, size_t len)
{
    struct loop_client *client;

    LIST_FOREACH(client, &loop->clients, entry)
    {
        if (!client->subscribed || client->dropping)
            continue;
        if (waiting(client) + len > WAITING_MAX + client->answer_size)
            client_abandon(client);
        else
            send_line(client, text, len);
    }
}

static bool is_privileged(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

static struct loop_client *client_new(struct loop *loop, evutil_socket_t fd, uid_t uid)
{
    struct loop_client *client = calloc(1, sizeof(*client));

    if (!client)
        return NULL;
    client->stream = bufferevent_socket_new(loop->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!client->stream) {
        free(client);
        return NULL;
    }
    client->loop = loop;
    client->uid = uid;
    LIST_INSERT_HEAD(&loop->clients, client, entry);
    loop->client_count++;
    return client;
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
                          struct sockaddr *address, int address_len, void *context)
{
    const struct timeval stuck = { .tv_sec = STUCK_S };
    struct loop *loop = context;
    struct loop_client *client;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    size_t limit = CLIENTS_MAX;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
        (void)evutil_closesocket(fd);
        return;
    }
    if (is_privileged(peer.uid))
        limit += CLIENTS_RESERVED;
    if (loop->client_count >= limit) {
        (void)send(fd, loop->full, strlen(loop->full), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)evutil_closesocket(fd);
        return;
    }
    client = client_new(loop, fd, peer.uid);
    if (!client) {
        (void)evutil_closesocket(fd);
        return;
    }
    bufferevent_setcb(client->stream, on_input, on_drained, on_end, client);
    bufferevent_setwatermark(client->stream, EV_READ, 0, loop->line_max + 2);
    (void)bufferevent_set_timeouts(client->stream, NULL, &stuck);
    (void)bufferevent_enable(client->stream, EV_READ | EV_WRITE);
    loop->calls->joined(loop->context, client);
}

/* No descriptor is left: waits until a client goes, instead of being called again at once. */
static void on_accept_error(struct evconnlistener *listener, void *context)
{
    struct loop *loop = context;

    log_warning("a client cannot be accepted: %s", strerror(errno));
    if (loop->client_count > 0)
        (void)evconnlistener_disable(listener);
}

int loop_listen(struct loop *loop, int fd, size_t line_max, const char *full)
{
    loop->line_max = line_max;
    loop->full = full;
    loop->listener =
        evconnlistener_new(loop->base, on_connection, loop, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (!loop->listener)
        return -ENOMEM;
    evconnlistener_set_error_cb(loop->listener, on_accept_error);
    return 0;
}

/* Writes what waits without waiting for anybody: the answer to the request that ends us. */
static void last_words(struct loop_client *client)
{
    struct evbuffer *output = bufferevent_get_output(client->stream);

    (void)evbuffer_unfreeze(output, 1);
    (void)evbuffer_write(output, bufferevent_getfd(client->stream));
}

void loop_free(struct loop *loop)
{
    struct loop_client *client;

    if (!loop)
        return;
    if (loop->listener)
        evconnlistener_free(loop->listener);
    loop->listener = NULL;
    while ((client = LIST_FIRST(&loop->clients))) {
        last_words(client);
        client_free(client);
    }
    for (size_t i = 0; i < loop->signal_count; i++)
        event_free(loop->signals[i]);
    if (loop->watch)
        event_free(loop->watch);
    if (loop->timer)
        event_free(loop->timer);
    if (loop->base)
        event_base_free(loop->base);
    free(loop);
}
