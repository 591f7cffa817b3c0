/* SPDX-License-Identifier: ISC */
#include "host/state-memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

struct state_entry {
    struct state_entry *next;
    char *text;
    char key[];
};

static void free_entry(struct state_entry *entry)
{
    free(entry->text);
    free(entry);
}

void state_memory_free(struct state_memory *state)
{
    while (state->first) {
        struct state_entry *entry = state->first;

        state->first = entry->next;
        free_entry(entry);
    }
}

/* What follows "KEY/" in a key below it, else NULL. */
static const char *below(const char *key, const char *other)
{
    size_t len = strlen(key);

    return strncmp(key, other, len) == 0 && other[len] == '/' ? other + len + 1 : NULL;
}

static struct state_entry *find(const struct state_memory *state, const char *key)
{
    struct state_entry *entry = state->first;

    while (entry && strcmp(entry->key, key) != 0)
        entry = entry->next;
    return entry;
}

int state_memory_get(const struct state_memory *state, const char *key, char **ret_text)
{
    const struct state_entry *entry = find(state, key);
    char *text;

    if (!entry)
        return -ENOENT;
    text = strdup(entry->text);
    if (!text)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

static void remove_all(struct state_memory *state, const char *key)
{
    struct state_entry **link = &state->first;

    while (*link) {
        struct state_entry *entry = *link;

        if (strcmp(entry->key, key) != 0 && !below(key, entry->key)) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        free_entry(entry);
    }
}

int state_memory_set(struct state_memory *state, const char *key, const char *text)
{
    struct state_entry *entry;
    char *copy;

    if (!text) {
        remove_all(state, key);
        return 0;
    }
    if (strlen(key) > STATE_KEY_MAX)
        return -ENAMETOOLONG;
    if (strlen(text) > STATE_MAX)
        return -E2BIG;
    copy = strdup(text);
    entry = find(state, key);
    if (copy && !entry) {
        entry = calloc(1, sizeof(*entry) + strlen(key) + 1);
        if (entry) {
            memcpy(entry->key, key, strlen(key) + 1);
            entry->next = state->first;
            state->first = entry;
        }
    }
    if (!copy || !entry) {
        free(copy);
        return -ENOMEM;
    }
    free(entry->text);
    entry->text = copy;
    return 0;
}

void state_memory_list(const struct state_memory *state, const char *key,
                       void (*each)(void *context, const char *name), void *context)
{
    for (const struct state_entry *entry = state->first; entry; entry = entry->next) {
        const char *name = below(key, entry->key);

        if (name && !strchr(name, '/'))
            each(context, name);
    }
}
