/* SPDX-License-Identifier: ISC */
/* Small texts by key, in memory: what a real host keeps in the store (host.h). */
#ifndef BALLAST_STATE_MEMORY_H
#define BALLAST_STATE_MEMORY_H

struct state_entry;

/* All zero: nothing is kept. */
struct state_memory {
    struct state_entry *first;
};

void state_memory_free(struct state_memory *state);

/* As in host.h. */
int state_memory_get(const struct state_memory *state, const char *key, char **ret_text);
int state_memory_set(struct state_memory *state, const char *key, const char *text);
void state_memory_list(const struct state_memory *state, const char *key,
                       void (*each)(void *context, const char *name), void *context);

#endif
