/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "check.h"
#include "util/units.h"

struct text_case {
    const char *text;
    int r;
    uint64_t value;
};

static void test_parse_kib(void)
{
    static const struct text_case cases[] = {
        { "0", 0, 0 },
        { "64", 0, 64 * 1024 },
        { "64M", 0, 64 * 1024 },
        { "1G", 0, 1024 * 1024 },
        { "4096K", 0, 4096 },
        { "2T", 0, UINT64_C(2) << 30 },
        { "0007M", 0, 7 * 1024 },
        { "1099511627776K", 0, UINT64_C(1) << 40 },
        { "1024T", 0, UINT64_C(1) << 40 },
        { "1099511627777K", -ERANGE, 0 },
        { "1025T", -ERANGE, 0 },
        { "18446744073709551616", -ERANGE, 0 },
        { "99999999999999999999999999999999T", -ERANGE, 0 },
        { "99999999999999999999999999999999Q", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "M", -EINVAL, 0 },
        { "-1M", -EINVAL, 0 },
        { "+1M", -EINVAL, 0 },
        { " 1M", -EINVAL, 0 },
        { "1M ", -EINVAL, 0 },
        { "1 M", -EINVAL, 0 },
        { "1m", -EINVAL, 0 },
        { "1MB", -EINVAL, 0 },
        { "1.5G", -EINVAL, 0 },
        { "0x10M", -EINVAL, 0 },
        { "1e3", -EINVAL, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 4711;

        if (!CHECK_EQ(units_parse_kib(cases[i].text, &value), cases[i].r)
            || !CHECK_EQ(value, cases[i].r ? 4711 : cases[i].value))
            fprintf(stderr, "  with \"%s\"\n", cases[i].text);
    }
}

static void test_parse_ms(void)
{
    static const struct text_case cases[] = {
        { "0ms", 0, 0 },
        { "500ms", 0, 500 },
        { "30s", 0, 30000 },
        { "5m", 0, 300000 },
        { "1h", 0, 3600000 },
        { "720h", 0, UINT64_C(2592000000) },
        { "721h", -ERANGE, 0 },
        { "2592000001ms", -ERANGE, 0 },
        { "99999999999999999999s", -ERANGE, 0 },
        { "0", -EINVAL, 0 },
        { "30", -EINVAL, 0 },
        { "1.5s", -EINVAL, 0 },
        { "-1s", -EINVAL, 0 },
        { "1 s", -EINVAL, 0 },
        { "s", -EINVAL, 0 },
        { "1d", -EINVAL, 0 },
        { "", -EINVAL, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 4711;

        if (!CHECK_EQ(units_parse_ms(cases[i].text, &value), cases[i].r)
            || !CHECK_EQ(value, cases[i].r ? 4711 : cases[i].value))
            fprintf(stderr, "  with \"%s\"\n", cases[i].text);
    }
}

static void test_parse_int(void)
{
    int64_t value = 4711;

    CHECK_EQ(units_parse_int("12", 0, 12, &value), 0);
    CHECK_EQ(value, 12);
    CHECK_EQ(units_parse_int("-1000", -1000, 1000, &value), 0);
    CHECK_EQ(value, -1000);
    CHECK_EQ(units_parse_int("+7", 0, 10, &value), 0);
    CHECK_EQ(value, 7);
    CHECK_EQ(units_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &value), 0);
    CHECK_EQ(value, INT64_MAX);
    CHECK_EQ(units_parse_int("-9223372036854775807", INT64_MIN, INT64_MAX, &value), 0);
    CHECK_EQ(value, -INT64_MAX);
    CHECK_EQ(units_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &value), -ERANGE);
    CHECK_EQ(units_parse_int("13", 0, 12, &value), -ERANGE);
    CHECK_EQ(units_parse_int("-1", 0, 12, &value), -ERANGE);
    CHECK_EQ(units_parse_int("", 0, 12, &value), -EINVAL);
    CHECK_EQ(units_parse_int("-", 0, 12, &value), -EINVAL);
    CHECK_EQ(units_parse_int("--1", -2, 12, &value), -EINVAL);
    CHECK_EQ(units_parse_int("1 ", 0, 12, &value), -EINVAL);
    CHECK_EQ(units_parse_int("0x1", 0, 12, &value), -EINVAL);
    CHECK_EQ(value, -INT64_MAX);
}

static void test_format_kib(void)
{
    char buf[UNITS_TEXT_SIZE];

    CHECK_STR(units_format_kib(0, buf), "0 KiB");
    CHECK_STR(units_format_kib(1023, buf), "1023 KiB");
    CHECK_STR(units_format_kib(512 * 1024, buf), "512 MiB");
    CHECK_STR(units_format_kib(1536 * 1024, buf), "1.5 GiB");
    CHECK_STR(units_format_kib(-12 * 1024, buf), "-12 MiB");
    CHECK_STR(units_format_kib(12 * 1024 + 512, buf), "12.5 MiB");
    CHECK_STR(units_format_kib(128 * 1024 + 512, buf), "129 MiB");
    CHECK_STR(units_format_kib(INT64_C(3) << 30, buf), "3 TiB");
    CHECK_STR(units_format_kib(INT64_MAX, buf), "8589934592 TiB");
    CHECK_STR(units_format_kib(INT64_MIN, buf), "-8589934592 TiB");
}

static void test_write(void)
{
    char buf[UNITS_TEXT_SIZE];

    CHECK_STR(units_write_kib(0, buf), "0K");
    CHECK_STR(units_write_kib(64 * 1024, buf), "64M");
    CHECK_STR(units_write_kib(1024 * 1024, buf), "1G");
    CHECK_STR(units_write_kib(1028, buf), "1028K");
    CHECK_STR(units_write_ms(0, buf), "0ms");
    CHECK_STR(units_write_ms(1500, buf), "1500ms");
    CHECK_STR(units_write_ms(90000, buf), "90s");
    CHECK_STR(units_write_ms(300000, buf), "5m");
    CHECK_STR(units_write_ms(7200000, buf), "2h");
}

/* What is written is read back as the same. */
static void test_round_trip(void)
{
    for (int i = 0; i < 10000; i++) {
        uint64_t kib = check_random() >> (24 + check_random_below(40));
        uint64_t ms = check_random_below(UINT64_C(2592000001));
        char buf[UNITS_TEXT_SIZE];
        uint64_t back;

        if (!CHECK_EQ(units_parse_kib(units_write_kib(kib, buf), &back), 0) || !CHECK_EQ(back, kib)
            || !CHECK_EQ(units_parse_ms(units_write_ms(ms, buf), &back), 0) || !CHECK_EQ(back, ms))
            break;
    }
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("sizes are read whole or not at all", test_parse_kib);
    check_run("durations are read whole or not at all", test_parse_ms);
    check_run("numbers keep to their range", test_parse_int);
    check_run("sizes for people", test_format_kib);
    check_run("sizes and durations in the largest exact unit", test_write);
    check_run("what is written is read back", test_round_trip);
    return check_done();
}
