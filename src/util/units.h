/* SPDX-License-Identifier: ISC */
/* Sizes and durations as people write them. Numbers are read whole or not at all. */
#ifndef BALLAST_UNITS_H
#define BALLAST_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* "64M", "1G", "4096K", "2T"; a bare number is MiB, as in xl's memory=. Returns 0, -EINVAL, or
 * -ERANGE above 2^40 KiB. */
int units_parse_kib(const char *text, uint64_t *ret_kib);

/* "500ms", "30s", "5m", "1h". Returns 0, -EINVAL, or -ERANGE above 30 days. */
int units_parse_ms(const char *text, uint64_t *ret_ms);

/* A decimal number in [min, max], a sign allowed. Returns 0, -EINVAL or -ERANGE. */
int units_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value);

/* Into buf, for people: "512 MiB", "1.5 GiB", "-12 MiB". Returns buf. */
#define UNITS_TEXT_SIZE 24
const char *units_format_kib(int64_t kib, char buf[UNITS_TEXT_SIZE]);

/* The shortest exact form that units_parse_kib reads back: "64M", "1G", "1028K". Returns buf. */
const char *units_write_kib(uint64_t kib, char buf[UNITS_TEXT_SIZE]);
const char *units_write_ms(uint64_t ms, char buf[UNITS_TEXT_SIZE]);

#endif
