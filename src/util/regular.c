/* SPDX-License-Identifier: ISC */
#include "util/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

FILE *regular_open(const char *path, const char **ret_why)
{
    /* Without O_NONBLOCK a FIFO keeps us until somebody writes to it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat stat = { .st_mode = 0 };
    FILE *file = NULL;
    int error;

    if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
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
