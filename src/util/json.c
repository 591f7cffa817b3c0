/* SPDX-License-Identifier: ISC */
#include "util/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

#include "util/utf8.h"

/* What is deeper is no request of ours; freeing a tree takes stack for each level. */
#define DEPTH_MAX 32

/* yajl's own limit is 128, and it writes beyond its array there. */
#define DEPTH_WRITTEN_MAX 64

/* Above it not every whole number is a double. */
#define WHOLE_MAX 9007199254740992.0

struct json {
    yajl_gen gen;
    int depth; /* of maps and arrays that are open */
    bool failed;
};

/* Writing. */

struct json *json_new(bool pretty)
{
    struct json *json = calloc(1, sizeof(*json));

    if (!json)
        return NULL;
    json->gen = yajl_gen_alloc(NULL);
    if (!json->gen) {
        free(json);
        return NULL;
    }
    yajl_gen_config(json->gen, yajl_gen_beautify, pretty);
    yajl_gen_config(json->gen, yajl_gen_indent_string, "  ");
    return json;
}

void json_free(struct json *json)
{
    if (!json)
        return;
    yajl_gen_free(json->gen);
    free(json);
}

static void note(struct json *json, yajl_gen_status status)
{
    json->failed |= status != yajl_gen_status_ok;
}

/* Changes the depth by one. False when that cannot be, and once anything failed. */
static bool step(struct json *json, int by)
{
    json->depth += by;
    json->failed |= json->depth < 0 || json->depth > DEPTH_WRITTEN_MAX;
    return !json->failed;
}

static void replace_invalid(unsigned char *text)
{
    while (*text) {
        size_t length = utf8_length((const char *)text);

        if (length == 0)
            *text = '?';
        text += length ? length : 1;
    }
}

static void write_string(struct json *json, const char *value)
{
    size_t len = strlen(value);
    char *copy = strdup(value);

    if (!copy) {
        json->failed = true;
        return;
    }
    replace_invalid((unsigned char *)copy);
    note(json, yajl_gen_string(json->gen, (const unsigned char *)copy, len));
    free(copy);
}

static void write_key(struct json *json, const char *key)
{
    if (key)
        write_string(json, key);
}

static void write_number(struct json *json, const char *text)
{
    note(json, yajl_gen_number(json->gen, text, strlen(text)));
}

void json_map(struct json *json, const char *key)
{
    write_key(json, key);
    if (step(json, 1))
        note(json, yajl_gen_map_open(json->gen));
}

void json_map_end(struct json *json)
{
    if (step(json, -1))
        note(json, yajl_gen_map_close(json->gen));
}

void json_array(struct json *json, const char *key)
{
    write_key(json, key);
    if (step(json, 1))
        note(json, yajl_gen_array_open(json->gen));
}

void json_array_end(struct json *json)
{
    if (step(json, -1))
        note(json, yajl_gen_array_close(json->gen));
}

static void json_null(struct json *json, const char *key)
{
    write_key(json, key);
    note(json, yajl_gen_null(json->gen));
}

void json_string(struct json *json, const char *key, const char *value)
{
    if (!value) {
        json_null(json, key);
        return;
    }
    write_key(json, key);
    write_string(json, value);
}

void json_uint(struct json *json, const char *key, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    write_key(json, key);
    write_number(json, text);
}

void json_int(struct json *json, const char *key, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    write_key(json, key);
    write_number(json, text);
}

/* 0.1 as 0.1, and what needs all digits with all digits. */
void json_double(struct json *json, const char *key, double value)
{
    char text[40];

    if (!isfinite(value)) {
        json_null(json, key);
        return;
    }
    (void)snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value)
        (void)snprintf(text, sizeof(text), "%.17g", value);
    write_key(json, key);
    write_number(json, text);
}

void json_bool(struct json *json, const char *key, bool value)
{
    write_key(json, key);
    note(json, yajl_gen_bool(json->gen, value));
}

const char *json_text(struct json *json, size_t *ret_len)
{
    const unsigned char *text = NULL;
    size_t len = 0;

    if (json->failed || yajl_gen_get_buf(json->gen, &text, &len) != yajl_gen_status_ok)
        return NULL;
    *ret_len = len;
    return text ? (const char *)text : "";
}

/* Reading. A struct json_value is a node of yajl's tree. */

static const struct yajl_val_s *node(const struct json_value *value)
{
    return (const struct yajl_val_s *)value;
}

static const struct json_value *value_of(const struct yajl_val_s *of)
{
    return (const struct json_value *)of;
}

/* What yajl lets pass and we do not: comments, NUL in a string (it would end there), and depth.
 * Returns what is wrong, or NULL. */
static const char *refused(const char *text)
{
    bool in_string = false;
    int depth = 0;

    for (; *text; text++) {
        if (in_string && *text == '\\') {
            if (strncmp(text, "\\u0000", 6) == 0)
                return "a NUL in a string";
            if (text[1])
                text++;
        } else if (*text == '"') {
            in_string = !in_string;
        } else if (in_string) {
            continue;
        } else if (*text == '/') {
            return "a '/' outside a string";
        } else if (*text == '[' || *text == '{') {
            if (++depth > DEPTH_MAX)
                return "nested too deep";
        } else if (*text == ']' || *text == '}') {
            depth--;
        }
    }
    return NULL;
}

struct json_value *json_parse(const char *text, char *error, size_t error_size)
{
    char message[512] = "";
    const char *wrong = refused(text);
    yajl_val tree = NULL;

    if (!wrong) {
        tree = yajl_tree_parse(text, message, sizeof(message));
        message[strcspn(message, "\n")] = '\0'; /* a picture of the text follows */
        wrong = message[0] ? message : "no JSON";
    }
    if (!tree)
        (void)snprintf(error, error_size, "%s", wrong);
    return (struct json_value *)tree;
}

void json_value_free(struct json_value *value)
{
    yajl_tree_free((yajl_val)value);
}

bool json_is_map(const struct json_value *value)
{
    return YAJL_IS_OBJECT(node(value));
}

const struct json_value *json_get(const struct json_value *map, const char *key)
{
    const struct yajl_val_s *of = node(map);

    if (!YAJL_IS_OBJECT(of))
        return NULL;
    for (size_t i = 0; i < of->u.object.len; i++) {
        if (strcmp(of->u.object.keys[i], key) == 0)
            return value_of(of->u.object.values[i]);
    }
    return NULL;
}

const char *json_get_string(const struct json_value *value)
{
    return YAJL_GET_STRING(node(value));
}

bool json_get_int(const struct json_value *value, int64_t *ret_value)
{
    const struct yajl_val_s *of = node(value);
    double number;

    if (YAJL_IS_INTEGER(of)) {
        *ret_value = of->u.number.i;
        return true;
    }
    if (!json_get_double(value, &number) || number < -WHOLE_MAX || number > WHOLE_MAX
        || number != (double)(int64_t)number)
        return false;
    *ret_value = (int64_t)number;
    return true;
}

bool json_get_double(const struct json_value *value, double *ret_value)
{
    const struct yajl_val_s *of = node(value);

    if (!YAJL_IS_DOUBLE(of) || !isfinite(of->u.number.d))
        return false;
    *ret_value = of->u.number.d;
    return true;
}

bool json_get_bool(const struct json_value *value, bool *ret_value)
{
    const struct yajl_val_s *of = node(value);

    if (!YAJL_IS_TRUE(of) && !YAJL_IS_FALSE(of))
        return false;
    *ret_value = YAJL_IS_TRUE(of);
    return true;
}

size_t json_length(const struct json_value *array)
{
    const struct yajl_val_s *of = node(array);

    return YAJL_IS_ARRAY(of) ? of->u.array.len : 0;
}

const struct json_value *json_at(const struct json_value *array, size_t index)
{
    if (index >= json_length(array))
        return NULL;
    return value_of(node(array)->u.array.values[index]);
}

const char *json_key_at(const struct json_value *map, size_t index)
{
    const struct yajl_val_s *of = node(map);

    return YAJL_IS_OBJECT(of) && index < of->u.object.len ? of->u.object.keys[index] : NULL;
}

const struct json_value *json_value_at(const struct json_value *map, size_t index)
{
    const struct yajl_val_s *of = node(map);

    return YAJL_IS_OBJECT(of) && index < of->u.object.len ? value_of(of->u.object.values[index])
                                                          : NULL;
}

static void copy_map(struct json *json, const char *key, const struct yajl_val_s *of)
{
    json_map(json, key);
    for (size_t i = 0; i < of->u.object.len; i++)
        json_copy(json, of->u.object.keys[i], value_of(of->u.object.values[i]));
    json_map_end(json);
}

static void copy_array(struct json *json, const char *key, const struct yajl_val_s *of)
{
    json_array(json, key);
    for (size_t i = 0; i < of->u.array.len; i++)
        json_copy(json, NULL, value_of(of->u.array.values[i]));
    json_array_end(json);
}

void json_copy(struct json *json, const char *key, const struct json_value *value)
{
    const struct yajl_val_s *of = node(value);

    if (YAJL_IS_OBJECT(of)) {
        copy_map(json, key, of);
    } else if (YAJL_IS_ARRAY(of)) {
        copy_array(json, key, of);
    } else if (YAJL_IS_NUMBER(of)) {
        write_key(json, key);
        write_number(json, of->u.number.r);
    } else if (YAJL_IS_TRUE(of) || YAJL_IS_FALSE(of)) {
        json_bool(json, key, YAJL_IS_TRUE(of));
    } else {
        json_string(json, key, json_get_string(value));
    }
}
