/* SPDX-License-Identifier: ISC */
#include "util/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KIB_MAX (UINT64_C(1) << 40)
#define MS_MAX (UINT64_C(30) * 24 * 3600 * 1000)

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* The first that divides a value exactly is how it is written. */
static const struct unit size_units[] = {
    { "T", UINT64_C(1) << 30 }, { "G", 1 << 20 }, { "M", 1 << 10 }, { "K", 1 }, { NULL, 0 },
};

static const struct unit time_units[] = {
    { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};

/* Decimal digits at the start of text, at most max. Returns their number, 0 for none, -ERANGE. */
static int leading_digits(const char *text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    int n = 0;

    for (; text[n] >= '0' && text[n] <= '9'; n++) {
        uint64_t digit = (uint64_t)(text[n] - '0');

        if (digit > max || value > (max - digit) / 10)
            return -ERANGE;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return n;
}

static int parse(const char *text, const struct unit *units, uint64_t bare_factor, uint64_t max,
                 uint64_t *ret_value)
{
    uint64_t factor = bare_factor;
    uint64_t value = 0;
    int n = leading_digits(text, max, &value);

    if (n < 0)
        return n;
    if (n == 0)
        return -EINVAL;
    if (text[n] != '\0') {
        while (units->suffix && strcmp(text + n, units->suffix) != 0)
            units++;
        factor = units->factor;
    }
    if (factor == 0)
        return -EINVAL;
    if (value > max / factor)
        return -ERANGE;
    *ret_value = value * factor;
    return 0;
}

int units_parse_kib(const char *text, uint64_t *ret_kib)
{
    return parse(text, size_units, 1024, KIB_MAX, ret_kib);
}

/* Without a unit nobody knows what is meant. */
int units_parse_ms(const char *text, uint64_t *ret_ms)
{
    return parse(text, time_units, 0, MS_MAX, ret_ms);
}

int units_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    bool negative = text[0] == '-';
    const char *digits = text + (negative || text[0] == '+');
    uint64_t magnitude = 0;
    int64_t value;
    int n = leading_digits(digits, INT64_MAX, &magnitude);

    if (n < 0)
        return n;
    if (n == 0 || digits[n] != '\0')
        return -EINVAL;
    value = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < min || value > max)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

const char *units_format_kib(int64_t kib, char buf[UNITS_TEXT_SIZE])
{
    double mib = (double)kib / 1024;

    if (mib > -10240 && mib < 10240)
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%.0f MiB", mib);
    else
        (void)snprintf(buf, UNITS_TEXT_SIZE, "%.1f GiB", mib / 1024);
    return buf;
}

static const char *write_exact(uint64_t value, const struct unit *units, char *buf)
{
    while (value % units->factor != 0)
        units++;
    if (value == 0)
        while (units->factor != 1)
            units++;
    (void)snprintf(buf, UNITS_TEXT_SIZE, "%" PRIu64 "%s", value / units->factor, units->suffix);
    return buf;
}

const char *units_write_kib(uint64_t kib, char buf[UNITS_TEXT_SIZE])
{
    return write_exact(kib, size_units, buf);
}

const char *units_write_ms(uint64_t ms, char buf[UNITS_TEXT_SIZE])
{
    return write_exact(ms, time_units, buf);
}
