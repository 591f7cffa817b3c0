/* SPDX-License-Identifier: ISC */
/* The store, through /dev/xen/xenbus: a test guest has no library for it. One connection a
 * process. */
#ifndef TESTS_XEN_STORE_H
#define TESTS_XEN_STORE_H

#include <stdbool.h>
#include <stddef.h>

/* Opens a connection of this process' own, in place of an inherited one. */
bool store_open(void);

/* One request, one answer. value NULL: a read. answer, if not NULL, gets the value that was read,
 * NUL-terminated. */
bool store_request(const char *node, const char *value, char *answer, size_t answer_size);

/* Writes a node. A node that dom0 has not made yet, or a full store, is no error: who writes once a
 * second tries again. */
void store_write(const char *node, const char *value);

#endif
