/* SPDX-License-Identifier: ISC */
#include "util/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* /dev/null, by its number in Linux, is an empty file to those who name it. */
static bool is_file(const struct stat *stat)
{
    return S_ISREG(stat->st_mode) || (S_ISCHR(stat->st_mode) && stat->st_rdev == makedev(1, 3));
}

FILE *regular_open(const char *path, const char **ret_why)
{
    /* Without O_NONBLOCK a FIFO keeps us until somebody writes to it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat stat = { .st_mode = 0 };
    FILE *file = NULL;
    int error;

    if (fd >= 0 && fstat(fd, &stat) == 0 && is_file(&stat))
        file = fdopen(fd, "r");
    else if (fd >= 0)
        errno = S_ISDIR(stat.st_mode) ? EISDIR : EINVAL;
    if (file)
        return file;
    error = errno;
    *ret_why = error == EINVAL ? "it is no regular file" : strerror(error);
    if (fd >= 0)
        (void)close(fd);
    errno = error;
    return NULL;
}
