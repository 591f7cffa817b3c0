/* SPDX-License-Identifier: ISC */
#include "client/connect.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Between two tries to reach a daemon that is being started. */
#define AGAIN_US 100000

/* 32,752 domains of 600 bytes are 20 MB. */
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

volatile sig_atomic_t connect_interrupted;

struct connection {
    int fd;
    const char *path;
    bool quiet;
    int patience_s;
    char *buffer; /* what came and was not taken yet */
    size_t len;
    size_t room;
    size_t taken; /* the line that was handed out last */
    char version[32];
};

static void say(const struct connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct connection *connection, const char *format, ...)
{
    va_list args;

    if (connection->quiet)
        return;
    fprintf(stderr, "ballast: %s: ", connection->path);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void say_unreachable(const struct connection *connection, int error)
{
    say(connection, "%s", strerror(error));
    if (!connection->quiet && (error == ENOENT || error == ECONNREFUSED))
        fputs("ballastd does not run, or listens elsewhere. To be looked at:\n"
              "  systemctl status ballastd   (or: /etc/init.d/ballast status)\n"
              "  ballastd --check            whether its configuration is good\n"
              "  ballast --socket PATH ...   if it was started with --socket\n",
              stderr);
}

static int dial(const struct connection *connection)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(connection->path);
    int fd;

    if (len >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, connection->path, len + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        int error = errno;

        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void set_patience(struct connection *connection, int seconds)
{
    struct timeval wait = { .tv_sec = seconds };

    connection->patience_s = seconds;
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static int make_room(struct connection *connection)
{
    size_t room = connection->room ? connection->room * 2 : 16384;
    char *buffer;

    if (connection->len + 1 < connection->room)
        return 0;
    if (room > ANSWER_MAX)
        return -EMSGSIZE;
    buffer = realloc(connection->buffer, room);
    if (!buffer)
        return -ENOMEM;
    connection->buffer = buffer;
    connection->room = room;
    return 0;
}

static int read_more(struct connection *connection)
{
    ssize_t n;
    int r = make_room(connection);

    if (r < 0) {
        say(connection, "the answer is too long: %s", strerror(-r));
        return r;
    }
    do
        n = recv(connection->fd, connection->buffer + connection->len,
                 connection->room - connection->len - 1, 0);
    while (n < 0 && errno == EINTR && !connect_interrupted);
    if (n > 0) {
        connection->len += (size_t)n;
        return 0;
    }
    if (n < 0 && errno == EINTR)
        return -EINTR;
    if (n == 0)
        say(connection, "the daemon has closed the connection");
    else if (errno == EAGAIN)
        say(connection, "the daemon does not answer for %d seconds", connection->patience_s);
    else
        say(connection, "%s", strerror(errno));
    return -EIO;
}

/* The next line, which stays ours and is good until the next call; NULL on failure. */
static const char *next_line(struct connection *connection)
{
    size_t looked_at = 0;
    char *newline;

    connection->len -= connection->taken;
    if (connection->taken > 0)
        memmove(connection->buffer, connection->buffer + connection->taken, connection->len);
    connection->taken = 0;
    for (;;) {
        newline = connection->len > looked_at
                      ? memchr(connection->buffer + looked_at, '\n', connection->len - looked_at)
                      : NULL;
        if (newline)
            break;
        looked_at = connection->len;
        if (read_more(connection) < 0)
            return NULL;
    }
    *newline = '\0';
    connection->taken = (size_t)(newline - connection->buffer) + 1;
    return connection->buffer;
}

static struct json_value *next_object(struct connection *connection)
{
    const char *line = next_line(connection);
    struct json_value *value;
    char error[256];

    if (!line)
        return NULL;
    value = json_parse(line, error, sizeof(error));
    if (!value)
        say(connection, "what came is not JSON: %s", error);
    return value;
}

static bool is_refused(const struct connection *connection, const struct json_value *answer)
{
    const struct json_value *error = json_get(answer, "error");
    const char *desc = json_get_string(json_get(error, "desc"));

    if (!error)
        return false;
    fprintf(stderr, "ballast: %s\n", desc ? desc : "the daemon refused, without a reason");
    return true;
}

static int take_greeting(struct connection *connection)
{
    struct json_value *greeting = next_object(connection);
    const char *version = json_get_string(json_get(json_get(greeting, "ballast"), "version"));
    int r = -EPROTO;

    if (version) {
        snprintf(connection->version, sizeof(connection->version), "%s", version);
        r = 0;
    } else if (greeting && !is_refused(connection, greeting)) {
        say(connection, "this is not ballastd's socket");
    }
    json_value_free(greeting);
    return r;
}

static struct connection *open_one(const char *path, bool quiet)
{
    struct connection *connection = calloc(1, sizeof(*connection));

    if (!connection) {
        perror("ballast");
        return NULL;
    }
    connection->path = path;
    connection->quiet = quiet;
    connection->fd = dial(connection);
    if (connection->fd < 0) {
        say_unreachable(connection, errno);
        connect_close(connection);
        return NULL;
    }
    set_patience(connection, CONNECT_ANSWER_S);
    if (take_greeting(connection) < 0) {
        connect_close(connection);
        return NULL;
    }
    connection->quiet = false;
    return connection;
}

struct connection *connect_open(const char *path)
{
    return open_one(path, false);
}

struct connection *connect_again(const char *path, int seconds)
{
    struct connection *connection = open_one(path, true);

    for (int i = 0; !connection && i < seconds * (1000000 / AGAIN_US); i++) {
        (void)usleep(AGAIN_US);
        connection = open_one(path, true);
    }
    return connection || seconds == 0 ? connection : open_one(path, false);
}

void connect_close(struct connection *connection)
{
    if (!connection)
        return;
    if (connection->fd >= 0)
        (void)close(connection->fd);
    free(connection->buffer);
    free(connection);
}

const char *connect_version(const struct connection *connection)
{
    return connection->version;
}

static int send_request(const struct connection *connection, const char *command,
                        const char *arguments)
{
    char *text;
    int len = asprintf(&text, "{\"execute\":\"%s\"%s%s}\n", command,
                       arguments ? ",\"arguments\":" : "", arguments ? arguments : "");
    size_t sent = 0;

    if (len < 0)
        return -ENOMEM;
    while (sent < (size_t)len) {
        ssize_t n = send(connection->fd, text + sent, (size_t)len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            say(connection, "%s", errno == EAGAIN ? "the daemon does not read" : strerror(errno));
            free(text);
            return -EIO;
        }
        sent += (size_t)n;
    }
    free(text);
    return 0;
}

struct json_value *connect_exchange(struct connection *connection, const char *command,
                                    const char *arguments, int seconds)
{
    struct json_value *answer;

    set_patience(connection, seconds);
    if (send_request(connection, command, arguments) < 0)
        return NULL;
    while ((answer = next_object(connection)) && json_get(answer, "event"))
        json_value_free(answer);
    return answer;
}

struct json_value *connect_ask(struct connection *connection, const char *command,
                               const char *arguments)
{
    struct json_value *answer = connect_exchange(connection, command, arguments, CONNECT_ANSWER_S);

    if (!answer)
        return NULL;
    if (!is_refused(connection, answer)) {
        if (json_get(answer, "return"))
            return answer;
        say(connection, "what came is no answer");
    }
    json_value_free(answer);
    return NULL;
}

struct json_value *connect_next_event(struct connection *connection)
{
    struct json_value *value;

    set_patience(connection, 0);
    while ((value = next_object(connection)) && !json_get(value, "event"))
        json_value_free(value);
    return value;
}

void connect_print(const struct json_value *value, bool pretty)
{
    struct json *json = json_new(pretty);
    const char *text;
    size_t len;

    if (!json)
        return;
    json_copy(json, NULL, value);
    text = json_text(json, &len);
    if (text) {
        fwrite(text, 1, len, stdout);
        if (len == 0 || text[len - 1] != '\n')
            putchar('\n');
    }
    json_free(json);
}
