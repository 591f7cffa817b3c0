/* SPDX-License-Identifier: ISC */
#include "external/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "external/said.h"
#include "util/bounds.h"

/* What is killed is gone at once, but for one that waits for a device: that one is left. */
#define REAP_MS 1000

/* From the end of a program's output to its own: a busy machine may take so long. */
#define LAST_MS 100

#define ROOM_FIRST 4096

extern char **environ;

struct child {
    pid_t pid;
    int to;   /* its standard input */
    int from; /* its standard output */
    int err;  /* its standard error; -1: it is ours, or was closed */
    struct said *said;
    bool owes;
    char *question;
    size_t question_len;
    size_t sent;
    char *answer;
    size_t answer_len;
    size_t answer_room;
};

static uint64_t clock_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void close_all(int pipes[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)close(pipes[i][0]);
        (void)close(pipes[i][1]);
    }
}

/* Signals as a program expects them: we ignore some, and may block some. */
static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t defaults, mask;

    (void)sigemptyset(&mask);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGXFSZ);
    (void)sigaddset(&defaults, SIGHUP);
    (void)sigaddset(&defaults, SIGINT);
    (void)sigaddset(&defaults, SIGTERM);
    (void)posix_spawnattr_setsigmask(attributes, &mask);
    (void)posix_spawnattr_setsigdefault(attributes, &defaults);
    (void)posix_spawnattr_setpgroup(attributes, 0);
    return -posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK
                                                     | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(char *const argv[], int in, int out, int err, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r;

    r = -posix_spawnattr_init(&attributes);
    if (r < 0)
        return r;
    r = -posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        r = set_signals(&attributes);
        if (r == 0)
            r = -posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
        if (r == 0)
            r = -posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        if (r == 0)
            r = -posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
        if (r == 0)
            r = -posix_spawn(ret_pid, argv[0], &actions, &attributes, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)posix_spawnattr_destroy(&attributes);
    return r;
}

/* Closes the other end of a pipe, which the program has. */
static int keep_end(int ours, int theirs)
{
    (void)close(theirs);
    (void)fcntl(ours, F_SETFL, O_NONBLOCK);
    return ours;
}

int child_start(char *const argv[], struct said *said, struct child **ret_child)
{
    enum { TO, FROM, ERR };
    struct child *child = calloc(1, sizeof(*child));
    size_t wanted = said ? ERR + 1 : ERR;
    size_t made = 0;
    int pipes[ERR + 1][2];
    int r = child ? 0 : -ENOMEM;

    while (r == 0 && made < wanted) {
        r = pipe2(pipes[made], O_CLOEXEC) < 0 ? -errno : 0;
        made += r == 0;
    }
    if (r == 0)
        r = spawn(argv, pipes[TO][0], pipes[FROM][1], said ? pipes[ERR][1] : STDERR_FILENO,
                  &child->pid);
    if (r < 0) {
        close_all(pipes, made);
        free(child);
        return r;
    }
    child->to = keep_end(pipes[TO][1], pipes[TO][0]);
    child->from = keep_end(pipes[FROM][0], pipes[FROM][1]);
    child->err = said ? keep_end(pipes[ERR][0], pipes[ERR][1]) : -1;
    child->said = said;
    *ret_child = child;
    return 0;
}

/* Takes the line and its end over into a buffer of its own: the child may read it late. */
static int take_question(struct child *child, const char *line, size_t len)
{
    char *longer = realloc(child->question, len + 1);

    if (!longer)
        return -ENOMEM;
    memcpy(longer, line, len);
    longer[len] = '\n';
    child->question = longer;
    child->question_len = len + 1;
    child->sent = 0;
    child->answer_len = 0;
    return 0;
}

/* As much as fits into the pipe. */
static int send_more(struct child *child)
{
    while (child->sent < child->question_len) {
        ssize_t n =
            write(child->to, child->question + child->sent, child->question_len - child->sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        child->sent += (size_t)n;
    }
    return 0;
}

/* One byte stays free for the end. */
static int make_room(struct child *child)
{
    size_t room = child->answer_room ? child->answer_room * 2 : ROOM_FIRST;
    char *longer;

    if (child->answer_len > CHILD_ANSWER_MAX)
        return -EMSGSIZE;
    if (child->answer_len + 1 < child->answer_room)
        return 0;
    longer = realloc(child->answer, room);
    if (!longer)
        return -ENOMEM;
    child->answer = longer;
    child->answer_room = room;
    return 0;
}

/* As much as is there. Returns 1 when the answer is whole, 0 when it is not. */
static int receive_more(struct child *child)
{
    for (;;) {
        int r = make_room(child);
        char *new, *end;
        ssize_t n;

        if (r < 0)
            return r;
        new = child->answer + child->answer_len;
        n = read(child->from, new, child->answer_room - child->answer_len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return -EPIPE;
        child->answer_len += (size_t)n;
        end = memchr(new, '\n', (size_t)n);
        if (end && (end + 1 != new + n || child->sent < child->question_len))
            return -EPROTO;
        if (!end)
            continue;
        *end = '\0';
        return strlen(child->answer) == child->answer_len - 1 ? 1 : -EPROTO;
    }
}

/* Also when nothing is asked of it: a full pipe would stop it. */
static void hear(struct child *child)
{
    if (child->err < 0 || said_take(child->said, child->err, clock_ms()))
        return;
    (void)close(child->err);
    child->err = -1;
}

int child_wait(struct child *child, uint64_t wait_ms, const char **ret_answer)
{
    uint64_t end_ms = clock_ms() + wait_ms;

    for (;;) {
        struct pollfd polled[] = {
            { .fd = child->from, .events = POLLIN },
            { .fd = -1, .events = POLLIN },
            { .fd = child->to, .events = POLLOUT },
        };
        uint64_t now_ms;
        int r;

        hear(child);
        polled[1].fd = child->err; /* -1 is passed over */
        /* Answers first: one that is there before the question is told has nothing to do with
         * it. */
        r = receive_more(child);
        if (r == 0)
            r = send_more(child);
        if (r < 0)
            return r;
        if (r > 0) {
            child->owes = false;
            *ret_answer = child->answer;
            return 0;
        }
        now_ms = clock_ms();
        if (now_ms >= end_ms)
            return -EAGAIN;
        (void)poll(polled, child->sent < child->question_len ? 3 : 2, (int)(end_ms - now_ms));
    }
}

int child_ask(struct child *child, const char *line, size_t len, uint64_t wait_ms,
              const char **ret_answer)
{
    int r = take_question(child, line, len);

    if (r < 0)
        return r;
    child->owes = true;
    return child_wait(child, wait_ms, ret_answer);
}

bool child_owes(const struct child *child)
{
    return child->owes;
}

/* Its end is seen by that of its output, which it still may fill meanwhile: true when that came. */
static bool wait_for_end(const struct child *child, uint64_t wait_ms)
{
    struct pollfd polled = { .fd = child->from, .events = POLLIN };
    uint64_t now_ms = clock_ms();
    uint64_t end_ms = now_ms + wait_ms;

    do {
        char rest[4096];

        if (poll(&polled, 1, (int)(end_ms - now_ms)) > 0
            && read(child->from, rest, sizeof(rest)) == 0)
            return true;
        now_ms = clock_ms();
    } while (now_ms < end_ms);
    return false;
}

/* One whose output has ended is about to end. It stays to be waited for, so that its number is not
 * another's. False when it goes on. */
static bool let_it_end(const struct child *child)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    uint64_t end_ms = clock_ms() + LAST_MS;
    siginfo_t info;

    do {
        info.si_pid = 0;
        if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0
            || info.si_pid != 0)
            return true;
        (void)nanosleep(&pause, NULL);
    } while (clock_ms() < end_ms);
    return false;
}

static void tell_fate(int status, char *fate, size_t fate_size)
{
    if (WIFEXITED(status))
        (void)snprintf(fate, fate_size, "ended with status %d", WEXITSTATUS(status));
    else
        (void)snprintf(fate, fate_size, "was killed by signal %d", WTERMSIG(status));
}

void child_end(struct child *child, uint64_t wait_ms, char *fate, size_t fate_size)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    uint64_t end_ms;
    int status = 0;
    bool mute = false;
    pid_t pid = 0;

    (void)close(child->to);
    if (wait_for_end(child, wait_ms))
        mute = !let_it_end(child);
    (void)close(child->from);
    /* As long as it was not waited for, its number is not another's; it may have left its group. */
    (void)kill(-child->pid, SIGKILL);
    (void)kill(child->pid, SIGKILL);
    for (end_ms = clock_ms() + REAP_MS; pid == 0 && clock_ms() < end_ms;) {
        pid = waitpid(child->pid, &status, WNOHANG);
        if (pid == 0)
            (void)nanosleep(&pause, NULL);
    }
    if (fate && pid > 0 && mute)
        (void)snprintf(fate, fate_size, "closed its output");
    else if (fate && pid > 0)
        tell_fate(status, fate, fate_size);
    else if (fate)
        (void)snprintf(fate, fate_size, "does not end");
    hear(child);
    if (child->err >= 0)
        (void)close(child->err);
    if (child->said)
        said_end(child->said);
    free(child->question);
    free(child->answer);
    free(child);
}
