/* SPDX-License-Identifier: ISC */
#include "daemon/service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/paths.h"
#include "util/log.h"

/* Written to when we are ready, while the parent waits at the other end; -1: nobody waits. */
static int ready_fd = -1;

/* The parent's part: as the child fares, so does the command that started us. */
static void wait_for_child(int fd, pid_t child)
{
    char byte;
    ssize_t n;

    do
        n = read(fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        _exit(EXIT_SUCCESS);
    (void)waitpid(child, NULL, 0);
    fputs("ballastd did not start; the reason is above, or in the system's log\n", stderr);
    _exit(EXIT_FAILURE);
}

static int background_fail(int error)
{
    log_error("cannot go to the background: %s", strerror(error));
    return -error;
}

int service_background(void)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return background_fail(errno);
    child = fork();
    if (child < 0) {
        int error = errno;

        (void)close(ends[0]);
        (void)close(ends[1]);
        return background_fail(error);
    }
    if (child > 0) {
        (void)close(ends[1]);
        wait_for_child(ends[0], child);
    }
    (void)close(ends[0]);
    ready_fd = ends[1];
    (void)setsid();
    if (chdir("/") < 0)
        log_warning("cannot leave the working directory: %s, ignoring", strerror(errno));
    (void)umask(022);
    return 0;
}

/* The protocol of sd_notify(3): a datagram of VARIABLE=value lines to a socket whose name begins
 * with '/', or with '@' for an abstract one. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = path ? strlen(path) : 0;
    int fd;

    if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len))
        < 0)
        log_warning("the service manager cannot be told: %s, ignoring", strerror(errno));
    (void)close(fd);
}

void service_ready(void)
{
    notify("READY=1");
    if (ready_fd >= 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null >= 0) {
            (void)dup2(null, STDIN_FILENO);
            (void)dup2(null, STDOUT_FILENO);
            (void)dup2(null, STDERR_FILENO);
            if (null > STDERR_FILENO)
                (void)close(null);
        }
        if (write(ready_fd, "", 1) < 0)
            log_warning("nobody waits for us any more: %s, ignoring", strerror(errno));
        (void)close(ready_fd);
        ready_fd = -1;
    }
}

void service_reloading(void)
{
    struct timespec now;
    char state[64];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    notify(state);
}

void service_stopping(void)
{
    notify("STOPPING=1");
}

/* Makes the directory that a file is to lie in, if its own parent is there: /run/ballast. */
static void make_directory_of(const char *file)
{
    char *directory = strdup(file);
    char *slash = directory ? strrchr(directory, '/') : NULL;

    if (slash && slash != directory) {
        *slash = '\0';
        (void)mkdir(directory, 0755); /* whether it is there shows when the file is opened */
    }
    free(directory);
}

static int lock_fail(const char *file, int fd, int error)
{
    if (error == EWOULDBLOCK)
        log_error("%s is locked: another ballastd is running", file);
    else
        log_error("%s: %s", file, strerror(error));
    if (fd >= 0)
        (void)close(fd);
    return error == EWOULDBLOCK ? -EEXIST : -error;
}

/* The descriptor of the file, which is made when it is missing and locked for as long as we
 * live. */
static int lock_file(const char *file, mode_t mode)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(file, flags, mode);

    if (fd < 0 && errno == ENOENT) {
        make_directory_of(file);
        fd = open(file, flags, mode);
    }
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return lock_fail(file, fd, errno);
    return fd;
}

int service_lock_host(void)
{
    return lock_file(HOST_LOCK_PATH, 0600);
}

int service_pidfile(const char *file)
{
    int fd = lock_file(file, 0644);

    if (fd >= 0 && (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0))
        return lock_fail(file, fd, errno);
    return fd;
}

/* True when somebody answers. A full backlog (EAGAIN) is an answer, too. */
static bool is_served(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool served;

    if (fd < 0)
        return true;
    served = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0
             || (errno != ECONNREFUSED && errno != ENOENT && errno != ENOTDIR);
    (void)close(fd);
    return served;
}

/* Anything but a socket is not ours to remove: bind() fails on it. */
static void remove_stale(const char *path)
{
    struct stat status;

    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
        (void)unlink(path);
}

/* Everybody may connect: who may change something is decided by whom the kernel says it is. */
static int bind_for_all(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0111);
    int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

    (void)umask(mask);
    return r;
}

static int make_socket(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd, r;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    make_directory_of(path);
    if (is_served(&address))
        return -EBUSY;
    remove_stale(path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    r = bind_for_all(fd, &address);
    if (r == 0 && listen(fd, SOMAXCONN) < 0)
        r = -errno;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    return fd;
}

int service_listen(const char *path)
{
    int r = make_socket(path);

    if (r == -EBUSY)
        log_error("%s: in use; another ballastd answers there", path);
    else if (r == -EADDRINUSE)
        log_error("%s: something is there that is no socket", path);
    else if (r < 0)
        log_error("%s: %s", path, strerror(-r));
    return r;
}

void service_lock_memory(void)
{
    const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

    /* Under a limit, an allocation above it would fail later: then rather nothing is locked. Only
     * pages that were touched (ONFAULT): the rest of what libraries map is never needed. */
    if (setrlimit(RLIMIT_MEMLOCK, &unlimited) < 0
        || mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_warning("memory cannot be locked: %s, ignoring", strerror(errno));
}
