/* SPDX-License-Identifier: ISC */
#include "host/scenario-reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/units.h"

/* Faults. */

static void append(char *text, size_t size, const char *word)
{
    size_t used = strlen(text);

    (void)snprintf(text + used, size - used, "%s%s", used ? ", " : "", word);
}

/* All names that a function gives by index, for "expected ...". */
const char *reader_all_of(const char *(*name_at)(size_t), char text[EXPECT_SIZE])
{
    const char *name;

    text[0] = '\0';
    for (size_t i = 0; (name = name_at(i)); i++)
        append(text, EXPECT_SIZE, name);
    return text;
}

/* One more element at the end, all zero; NULL without memory. Room is doubled at powers of two. */
void *reader_grow(struct reader *reader, void **array, size_t *count, size_t size)
{
    if ((*count & (*count - 1)) == 0) {
        void *more = realloc(*array, (*count ? *count * 2 : 1) * size);

        if (!more) {
            reader->no_memory = true;
            return NULL;
        }
        *array = more;
    }
    memset((char *)*array + *count * size, 0, size);
    return (char *)*array + (*count)++ * size;
}

/* Values. */

const char *const reader_expected[] = {
    [KIND_SIZE] = "a size such as 64M or 1G",
    [KIND_MS] = "a time such as 500ms, 30s or 5m",
    [KIND_COUNT] = "a whole number",
};

int reader_parse(enum kind kind, const char *text, uint64_t *ret_value)
{
    int64_t number;
    int r;

    switch (kind) {
    case KIND_SIZE:
        return units_parse_kib(text, ret_value);
    case KIND_MS:
        return units_parse_ms(text, ret_value);
    case KIND_COUNT:
        r = units_parse_int(text, 0, INT32_MAX, &number);
        if (r == 0)
            *ret_value = (uint64_t)number;
        return r;
    }
    return -EINVAL;
}

/* Sets the member of `object` that the key names. Returns false when there is no such key. */
bool reader_take(struct reader *reader, const struct key *keys, size_t count, int line,
                 const struct word *word, void *object)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, word->name) != 0)
            continue;
        if (!word->value
            || reader_parse(keys[i].kind, word->value,
                            (uint64_t *)((char *)object + keys[i].offset))
                   < 0)
            fault(reader, line, "%s=%s; expected %s", word->name, word->value ? word->value : "",
                  reader_expected[keys[i].kind]);
        return true;
    }
    return false;
}

/* "200M", or "160M..240M". */
int reader_range(enum kind kind, char *text, uint64_t *ret_low, uint64_t *ret_high)
{
    char *dots = strstr(text, "..");
    uint64_t low, high;
    int r;

    if (dots)
        *dots = '\0';
    r = reader_parse(kind, text, &low);
    if (r == 0 && dots)
        r = reader_parse(kind, dots + 2, &high);
    else
        high = low;
    if (dots)
        *dots = '.';
    if (r < 0 || high < low)
        return -EINVAL;
    *ret_low = low;
    *ret_high = high;
    return 0;
}

/* An item of a list as words. Returns false when it cannot be had (told already). */
bool reader_split(struct reader *reader, const char *key, int index, struct words *ret_words)
{
    const char *item = cfgfile_item(reader->file, key, index, &ret_words->line);
    struct word word;
    char *cursor;

    ret_words->count = 0;
    cursor = ret_words->copy = strdup(item ? item : "");
    if (!cursor) {
        reader->no_memory = true;
        return false;
    }
    while ((word.name = cfgfile_word(&cursor, &word.value))) {
        if (ret_words->count == WORDS_MAX) {
            fault(reader, ret_words->line, "too many words; expected at most %d", WORDS_MAX);
            break;
        }
        ret_words->word[ret_words->count++] = word;
    }
    if (ret_words->count == 0 || ret_words->word[0].name[0] == '\0') {
        fault(reader, ret_words->line, "an empty item in %s", key);
        free(ret_words->copy);
        return false;
    }
    return true;
}
