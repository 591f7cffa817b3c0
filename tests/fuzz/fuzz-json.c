/* SPDX-License-Identifier: ISC */
/* JSON: what is read can be written, and reads back as the same. Any bytes can be written. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *copy_of(const struct json_value *value)
{
    struct json *json = json_new(false);
    size_t len;
    const char *text;
    char *copy;

    if (!json)
        abort();
    json_copy(json, NULL, value);
    text = json_text(json, &len);
    assert(text && strlen(text) == len && !memchr(text, '\n', len));
    copy = strdup(text);
    if (!copy)
        abort();
    json_free(json);
    return copy;
}

static void read_and_write(const char *text)
{
    char error[128] = "";
    struct json_value *value = json_parse(text, error, sizeof(error));
    struct json_value *back;
    char *written;
    char *again;

    if (!value) {
        assert(*error);
        return;
    }
    written = copy_of(value);
    back = json_parse(written, error, sizeof(error));
    assert(back);
    again = copy_of(back);
    assert(strcmp(written, again) == 0);
    free(written);
    free(again);
    json_value_free(value);
    json_value_free(back);
}

static void write_and_read(const char *text)
{
    struct json *json = json_new(true);
    struct json_value *back;
    char error[128];
    size_t len;

    if (!json)
        abort();
    json_map(json, NULL);
    json_string(json, text, text);
    json_map_end(json);
    back = json_parse(json_text(json, &len), error, sizeof(error));
    assert(back && json_get_string(json_get(back, json_key_at(back, 0))));
    assert(strlen(json_key_at(back, 0)) == strlen(text));
    json_value_free(back);
    json_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    read_and_write(text);
    write_and_read(text);
    free(text);
    return 0;
}
