/* SPDX-License-Identifier: ISC */
/* File names that Xen's programs have compiled in, moved below $FAKEXEN_DIR: wrappers of the libc
 * functions that these programs use on them. Every other name passes as it is. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hv.h"
#include "preload.h"

#define PATH_SIZE 512

static const struct {
    const char *from;
    const char *to;
} moved[] = {
    { "/proc/xen/xsd_kva", "xsd_kva" }, { "/proc/xen/xsd_port", "xsd_port" },
    { "/var/lib/xen", "lib" },          { "/var/run/xen", "lib" },
    { "/var/run/xenstored", "xs" },     { "/var/log/xen", "log" },
};

/* Returns path itself, or the moved name in buf. */
static const char *redirect(const char *path, char buf[PATH_SIZE])
{
    size_t i;

    for (i = 0; path && i < sizeof(moved) / sizeof(moved[0]); i++) {
        size_t length = strlen(moved[i].from);

        if (strncmp(path, moved[i].from, length) != 0)
            continue;
        if (path[length] != '\0' && path[length] != '/')
            continue;
        return hv_path(buf, PATH_SIZE, "%s%s", moved[i].to, path + length) < 0 ? path : buf;
    }
    return path;
}

/* The function of this name that the program would have called. */
static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (!function) {
        fprintf(stderr, "fakexen: no function %s in the C library\n", name);
        abort();
    }
    return function;
}

static int open_as(const char *name, const char *path, int flags, mode_t mode)
{
    int (*real)(const char *, int, ...) = next(name);
    char buf[PATH_SIZE];

    return real(redirect(path, buf), flags, mode);
}

/* The mode is there only when a file may be made. */
static mode_t mode_argument(int flags, va_list ap)
{
    return flags & (O_CREAT | O_TMPFILE) ? (mode_t)va_arg(ap, unsigned) : 0;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_argument(flags, ap);
    va_end(ap);
    return open_as("open", path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = mode_argument(flags, ap);
    va_end(ap);
    return open_as("open64", path, flags, mode);
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *) = next("fopen");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
    FILE *(*real)(const char *, const char *) = next("fopen64");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), mode);
}

EXPORT int stat(const char *path, struct stat *st)
{
    int (*real)(const char *, struct stat *) = next("stat");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), st);
}

EXPORT int stat64(const char *path, struct stat64 *st)
{
    int (*real)(const char *, struct stat64 *) = next("stat64");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), st);
}

EXPORT int lstat(const char *path, struct stat *st)
{
    int (*real)(const char *, struct stat *) = next("lstat");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), st);
}

EXPORT int lstat64(const char *path, struct stat64 *st)
{
    int (*real)(const char *, struct stat64 *) = next("lstat64");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), st);
}

EXPORT int access(const char *path, int mode)
{
    int (*real)(const char *, int) = next("access");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), mode);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t) = next("mkdir");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), mode);
}

EXPORT int unlink(const char *path)
{
    int (*real)(const char *) = next("unlink");
    char buf[PATH_SIZE];

    return real(redirect(path, buf));
}

EXPORT int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = next("rename");
    char from_buf[PATH_SIZE];
    char to_buf[PATH_SIZE];

    return real(redirect(from, from_buf), redirect(to, to_buf));
}

EXPORT int chmod(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t) = next("chmod");
    char buf[PATH_SIZE];

    return real(redirect(path, buf), mode);
}

EXPORT int glob(const char *pattern, int flags, int (*on_error)(const char *, int), glob_t *result)
{
    int (*real)(const char *, int, int (*)(const char *, int), glob_t *) = next("glob");
    char buf[PATH_SIZE];

    return real(redirect(pattern, buf), flags, on_error, result);
}

/* oxenstored has the name of its socket compiled in. */
EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    int (*real)(int, const struct sockaddr *, socklen_t) = next("bind");
    const struct sockaddr_un *name = (const struct sockaddr_un *)address;
    struct sockaddr_un other = { .sun_family = AF_UNIX };
    char buf[PATH_SIZE];
    const char *path;

    if (address->sa_family != AF_UNIX || name->sun_path[0] != '/')
        return real(fd, address, length);
    path = redirect(name->sun_path, buf);
    if (path == name->sun_path)
        return real(fd, address, length);
    if (strlen(path) >= sizeof(other.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(other.sun_path, path, strlen(path) + 1);
    return real(fd, (const struct sockaddr *)&other, sizeof(other));
}

/* oxenstored asks for as many open files as the kernel can have, and gives up when it may not. */
EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    int (*real)(__rlimit_resource_t, const struct rlimit *) = next("setrlimit");
    int r = real(resource, limit);

    return r < 0 && errno == EPERM ? 0 : r;
}
