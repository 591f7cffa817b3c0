/* SPDX-License-Identifier: ISC */
#include "util/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KIB_MAX (UINT64_C(1) << 40)
#define MS_MAX (UINT64_C(30) * 24 * 60 * 60 * 1000)

struct unit {
    const char *name;
    uint64_t factor;
};

/* From small to large. */
static const struct unit sizes[] = {
    { "K", 1 },
    { "M", UINT64_C(1) << 10 },
    { "G", UINT64_C(1) << 20 },
    { "T", UINT64_C(1) << 30 },
};

static const struct unit durations[] = {
    { "ms", 1 },
    { "s", 1000 },
    { "m", 60 * 1000 },
    { "h", 60 * 60 * 1000 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reads the decimal digits at the start of text, of which there must be one. Stops at max. */
static int read_digits(const char *text, uint64_t max, uint64_t *ret_value, const char **ret_rest)
{
    uint64_t value = 0;
    bool above = false;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        above |= digit > max || value > (max - digit) / 10;
        if (!above)
            value = value * 10 + digit;
    }
    if (p == text)
        return -EINVAL;
    *ret_value = value;
    *ret_rest = p;
    return above ? -ERANGE : 0;
}

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    }
    return NULL;
}

/* A number with a unit; bare: the unit of a number without one, or NULL. */
static int parse(const struct unit *units, size_t count, const struct unit *bare, const char *text,
                 uint64_t max, uint64_t *ret_value)
{
    const struct unit *unit;
    const char *rest;
    uint64_t value;
    int r = read_digits(text, max, &value, &rest);

    if (r == -EINVAL)
        return r;
    unit = *rest ? find_unit(units, count, rest) : bare;
    if (!unit)
        return -EINVAL;
    if (r < 0 || value > max / unit->factor)
        return -ERANGE;
    *ret_value = value * unit->factor;
    return 0;
}

int units_parse_kib(const char *text, uint64_t *ret_kib)
{
    return parse(sizes, COUNT(sizes), &sizes[1], text, KIB_MAX, ret_kib);
}

int units_parse_ms(const char *text, uint64_t *ret_ms)
{
    return parse(durations, COUNT(durations), NULL, text, MS_MAX, ret_ms);
}

int units_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    bool negative = *text == '-';
    uint64_t magnitude;
    const char *rest;
    int64_t value;
    int r;

    if (*text == '-' || *text == '+')
        text++;
    r = read_digits(text, INT64_MAX, &magnitude, &rest);
    if (r == -EINVAL || *rest)
        return -EINVAL;
    if (r < 0)
        return r;
    value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < min || value > max)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

const char *units_format_kib(int64_t kib, char buf[UNITS_TEXT_SIZE])
{
    uint64_t magnitude = kib < 0 ? 0 - (uint64_t)kib : (uint64_t)kib;
    const char *sign = kib < 0 ? "-" : "";
    uint64_t factor;
    uint64_t tenths;
    size_t i = 0;

    while (i < COUNT(sizes) - 1 && magnitude >= sizes[i + 1].factor)
        i++;
    factor = sizes[i].factor;
    tenths = magnitude / factor * 10 + (magnitude % factor * 10 + factor / 2) / factor;

    /* Three digits are enough for people: 128 MiB, 12.5 MiB. */
    if (tenths >= 1000 || tenths % 10 == 0)
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%s%" PRIu64 " %siB", sign, (tenths + 5) / 10,
                       sizes[i].name);
    else
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%s%" PRIu64 ".%" PRIu64 " %siB", sign, tenths / 10,
                       tenths % 10, sizes[i].name);
    return buf;
}

/* In the largest unit that is exact. */
static const char *write_exact(const struct unit *units, size_t count, uint64_t value,
                               char buf[UNITS_TEXT_SIZE])
{
    size_t i = 0;

    while (value > 0 && i < count - 1 && value % units[i + 1].factor == 0)
        i++;
    (void)snprintf(buf, UNITS_TEXT_SIZE, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
    return buf;
}

const char *units_write_kib(uint64_t kib, char buf[UNITS_TEXT_SIZE])
{
    return write_exact(sizes, COUNT(sizes), kib, buf);
}

const char *units_write_ms(uint64_t ms, char buf[UNITS_TEXT_SIZE])
{
    return write_exact(durations, COUNT(durations), ms, buf);
}
