/* SPDX-License-Identifier: ISC */
/* Files that are read: what may keep its reader waiting, or never ends, is none. */
#ifndef BALLAST_REGULAR_H
#define BALLAST_REGULAR_H

#include <stdio.h>

/* Opens a regular file, or /dev/null, to be read, at once whatever the path names. Returns NULL
 * with errno and *ret_why, the same in words, when it cannot: EINVAL for a pipe or a device. */
FILE *regular_open(const char *path, const char **ret_why);

#endif
