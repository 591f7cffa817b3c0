/* SPDX-License-Identifier: ISC */
#include "util/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

void descriptors_fill(void)
{
    /* open() takes the lowest that is free, and those below are taken. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}
