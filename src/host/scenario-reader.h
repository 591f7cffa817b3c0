/* SPDX-License-Identifier: ISC */
/* What the files that read a scenario share: scenario.c (the host and its guests),
 * scenario-events.c, scenario-trace.c and scenario-limits.c. */
#ifndef BALLAST_SCENARIO_READER_H
#define BALLAST_SCENARIO_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/scenario.h"
#include "util/cfgfile.h"

#define WORDS_MAX 32
#define EXPECT_SIZE 512

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct word {
    char *name;
    char *value; /* NULL without '=' */
};

/* One item of a list, split. */
struct words {
    char *copy;
    int line;
    size_t count;
    struct word word[WORDS_MAX];
};

struct reader {
    struct cfgfile *file;
    struct scenario *scenario;
    bool no_memory;
};

/* Kinds of values that a table of keys can hold. */
enum kind { KIND_SIZE, KIND_MS, KIND_COUNT };

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
};

/* What a value of each kind looks like, for people. */
extern const char *const reader_expected[];

/* Tells of a fault in the file. */
#define fault(reader, line, ...) cfgfile_fault((reader)->file, (line), __VA_ARGS__)

/* All names that a function gives by index, for "expected ...". Returns text. */
const char *reader_all_of(const char *(*name_at)(size_t), char text[EXPECT_SIZE]);

/* One more element at the end of an array, all zero; NULL without memory (kept in the reader). */
void *reader_grow(struct reader *reader, void **array, size_t *count, size_t size);

/* A value from text. Returns 0 or -EINVAL. */
int reader_parse(enum kind kind, const char *text, uint64_t *ret_value);

/* "200M", or "160M..240M". Returns 0 or -EINVAL. */
int reader_range(enum kind kind, char *text, uint64_t *ret_low, uint64_t *ret_high);

/* Sets the member of `object` that the key names. Returns false when there is no such key. */
bool reader_take(struct reader *reader, const struct key *keys, size_t count, int line,
                 const struct word *word, void *object);

/* An item of a list as words; the caller frees ret_words->copy. Returns false when it cannot be had
 * (told already). */
bool reader_split(struct reader *reader, const char *key, int index, struct words *ret_words);

/* The words of a guest, whose names stand in word[at]: those after it, but for `create`. */
void reader_guest(struct reader *reader, const struct words *words, size_t at);

/* One event, and one limit; adds it to the scenario. */
void reader_event(struct reader *reader, const struct words *words);
void reader_limit(struct reader *reader, const char *item, const struct words *words);

/* The file of points that `trace` names in this line; adds its events. */
void reader_trace(struct reader *reader, const char *name, int line);

/* Once all is read: events of guests that are not there, or after the end. */
void reader_check_events(struct reader *reader);

#endif
