/* SPDX-License-Identifier: ISC */
/* What stands in the store of a domain: which of its nodes say what, and reading them. */
#ifndef BALLAST_NODES_H
#define BALLAST_NODES_H

#include <stdint.h>

#include "core/round.h"
#include "host/store.h"

/* What is to be read anew of a domain. */
enum {
    NODES_NAME = 1,
    NODES_TARGET = 2,
    NODES_BALLAST = 4,
    NODES_XENSERVER = 8,
    NODES_QUBES = 16,
    NODES_SELFBALLOON = 32,
    NODES_POSTS = NODES_BALLAST | NODES_XENSERVER | NODES_QUBES | NODES_SELFBALLOON,
    NODES_ALL = NODES_NAME | NODES_TARGET | NODES_POSTS,
};

/* The directories to watch, below the domain's own; NULL after the last. */
extern const char *const nodes_watched[];

#define NODES_PATH_SIZE 128

/* The path of a domain's node. Returns path. */
const char *nodes_path(uint32_t domid, const char *node, char path[NODES_PATH_SIZE]);

/* What an event on this path below /local/domain/ makes stale: NODES_... or 0. */
unsigned nodes_stale_by(const char *path);

/* A node that holds one decimal number. Returns 0, -ENOENT when it cannot be read, -EINVAL or
 * -ERANGE. */
int nodes_read_kib(struct store *store, uint32_t domid, const char *node, uint64_t *ret_kib);

/* Name, and whether it has one. */
void nodes_read_name(struct store *store, struct domain *domain);

/* Target and static-max, which is no more than the host has, and the memory of its screen, which is
 * part of the target and not of the node. */
void nodes_read_target(struct store *store, uint64_t total_kib, struct domain *domain,
                       uint64_t *ret_videoram_kib);

/* The posts among stale. The richest dialect counts: a poorer one only when the domain has no
 * better post that is of use. Returns the dialect of a post that was no report, else
 * DIALECT_NONE. */
enum dialect nodes_read_posts(struct store *store, struct domain *domain, unsigned stale,
                              uint64_t now_ms);

#endif
