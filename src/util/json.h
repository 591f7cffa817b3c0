/* SPDX-License-Identifier: ISC */
/* JSON out and in; the one file that includes yajl. */
#ifndef BALLAST_JSON_H
#define BALLAST_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A writer. Errors (out of memory, invalid UTF-8, which is written as '?') are kept and told by
 * json_text(). `key` is NULL inside an array and at the top. */
struct json;

struct json *json_new(bool pretty); /* NULL without memory */
void json_free(struct json *json);  /* NULL is fine */
void json_map(struct json *json, const char *key);
void json_map_end(struct json *json);
void json_array(struct json *json, const char *key);
void json_array_end(struct json *json);
void json_string(struct json *json, const char *key, const char *value); /* NULL: null */
void json_uint(struct json *json, const char *key, uint64_t value);
void json_int(struct json *json, const char *key, int64_t value);
void json_double(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, bool value);

/* The text so far, owned by json, *ret_len bytes and a NUL after them; NULL after an error. */
const char *json_text(struct json *json, size_t *ret_len);

/* A parsed document. */
struct json_value;

/* text is NUL-terminated. On a fault returns NULL and writes a sentence into error. */
struct json_value *json_parse(const char *text, char *error, size_t error_size);
void json_value_free(struct json_value *value); /* only what json_parse() returned; NULL is fine */

/* All of these take NULL for value and then behave as if it were of another type. */
bool json_is_map(const struct json_value *value);
const struct json_value *json_get(const struct json_value *map, const char *key); /* or NULL */
const char *json_get_string(const struct json_value *value);                      /* or NULL */
bool json_get_int(const struct json_value *value, int64_t *ret_value);
bool json_get_double(const struct json_value *value, double *ret_value);
bool json_get_bool(const struct json_value *value, bool *ret_value);
size_t json_length(const struct json_value *array); /* 0 for all but arrays */
const struct json_value *json_at(const struct json_value *array, size_t index);

/* The keys and values of a map by index; NULL after the last. */
const char *json_key_at(const struct json_value *map, size_t index);
const struct json_value *json_value_at(const struct json_value *map, size_t index);

/* Writes a parsed value again (the "id" of a request). */
void json_copy(struct json *json, const char *key, const struct json_value *value);

#endif
