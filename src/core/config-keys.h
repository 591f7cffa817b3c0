/* SPDX-License-Identifier: ISC */
/* What the files of the configuration share: the tables of its keys, and limits. Every key stands
 * in one of the tables, once, with how its value is read. */
#ifndef BALLAST_CONFIG_KEYS_H
#define BALLAST_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

#define DOM0_NAME "Domain-0"

/* Of Xen's credit schedulers: 16 bits each. */
#define CPU_WEIGHT_MAX 65535
#define CPU_CAP_MAX 65535

struct key;

/* Writes what text says into *object, a struct config or limits. False: text is no such value. */
typedef bool take_fn(const struct key *key, const char *text, void *object);

struct key {
    const char *name;
    const char *value;    /* the default, as the file has it */
    const char *expected; /* in a fault: "NAME = VALUE; expected ..." */
    const char *help;
    take_fn *take; /* NULL for what is more than one value */
    bool is_list;
    size_t offset; /* of the member */
    int64_t min;
    int64_t max;
    unsigned bit; /* of a limit: LIMIT_... */
    bool live;    /* of a setting of the host: `ballast set` may change it */
};

struct keys {
    const struct key *list;
    size_t count;
};

/* Those of the host, and those of `defaults` and of a rule in `domains`. */
extern const struct keys host_keys, limit_keys;

/* NULL when there is none of that name. */
const struct key *keys_find(const struct keys *keys, const char *name);

/* "weight, min, max": the names of all, or of those that are live, for "expected ...". Returns
 * text. */
const char *keys_names(const struct keys *keys, bool live, char *text, size_t size);

/* Takes the given ones (LIMIT_...) over. */
void limits_overlay(struct limits *limits, unsigned given, const struct limits *over);

/* Writes a sentence about what contradicts itself, and returns false, when something does. */
bool limits_agree(const struct limits *limits, char *error, size_t error_size);

#endif
