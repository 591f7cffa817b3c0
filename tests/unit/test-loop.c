/* SPDX-License-Identifier: ISC */
/* What goes first when much happens at once. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "daemon/loop.h"

#define CLIENTS 50

struct seen {
    struct loop *loop;
    unsigned lines;
    unsigned lines_at_due; /* when the timer ran */
};

static void on_due(void *context)
{
    struct seen *seen = context;

    seen->lines_at_due = seen->lines;
    loop_stop(seen->loop);
}

static void on_nothing(void *context)
{
}

static void on_signalled(void *context, int number)
{
}

static void on_client(void *context, struct loop_client *client)
{
}

/* The first makes a round due at once. */
static void on_line(void *context, struct loop_client *client, const char *line, size_t len)
{
    struct seen *seen = context;

    if (seen->lines++ == 0)
        loop_due_in(seen->loop, 0);
}

static const struct loop_calls calls = {
    .due = on_due,
    .readable = on_nothing,
    .signalled = on_signalled,
    .joined = on_client,
    .left = on_client,
    .line = on_line,
};

/* All clients have asked when the first is answered: what is due does not wait for the others. */
static void test_due_first(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX }; /* and a name that the kernel gives */
    socklen_t len = sizeof(address);
    struct seen seen = { .lines = 0 };
    int clients[CLIENTS];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address.sun_family)) == 0);
    CHECK(listen(fd, CLIENTS) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(connect(clients[i], (struct sockaddr *)&address, len) == 0);
        CHECK(write(clients[i], "x\n", 2) == 2);
    }
    seen.loop = loop_new(&calls, &seen);
    if (CHECK(seen.loop != NULL) && CHECK_EQ(loop_listen(seen.loop, fd, 100, "full\n"), 0)
        && CHECK_EQ(loop_run(seen.loop), 0))
        CHECK(seen.lines_at_due > 0 && seen.lines_at_due < CLIENTS / 2);
    loop_free(seen.loop);
    for (int i = 0; i < CLIENTS; i++)
        (void)close(clients[i]);
    (void)close(fd);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("what is due goes before what clients ask", test_due_first);
    return check_done();
}
