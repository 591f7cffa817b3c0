/* SPDX-License-Identifier: ISC */
/* A client of xenstored in the wire protocol itself, as small as the agent needs it: it writes,
 * reads and removes nodes. libxenstore allocates memory for each reply and starts a thread; the
 * agent must work when the guest has no memory left. */
#ifndef BALLAST_XENBUS_H
#define BALLAST_XENBUS_H

#include <stddef.h>

/* Opens the kernel's device, or the Unix socket that XENSTORED_PATH names. Returns a descriptor or
 * a negative errno. The caller closes it. */
int xenbus_open(void);

/* Writes a node below the domain's own directory. Blocks until the store has answered. Returns 0,
 * or a negative errno: -EACCES, -ENOSPC and so on as the store says, -EPROTO for an answer that
 * makes no sense, others when the connection is lost. */
int xenbus_write(int fd, const char *node, const char *value, size_t len);

/* Reads a node below the domain's own directory into buf, with a NUL after it. Returns its length,
 * -ENOSPC when it does not fit, or as xenbus_write(): -ENOENT when it is not there. */
int xenbus_read(int fd, const char *node, char *buf, size_t size);

/* Removes a node; one that is not there is no fault. Returns as xenbus_write(). */
int xenbus_remove(int fd, const char *node);

#endif
