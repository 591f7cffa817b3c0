/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "check.h"
#include "report/report.h"

#define LEAST "v=1 seq=7 total_kib=1000 available_kib=400"

static int parse(const char *text, struct report *report)
{
    return report_parse(text, strlen(text), report);
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        uint64_t max;
        int r;
        uint64_t value;
    } cases[] = {
        { "0", 10, 0, 0 },
        { "10", 10, 0, 10 },
        { "007\n", 10, 0, 7 },
        { "11", 10, -ERANGE, 0 },
        { "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
        { "99999999999999999999999", UINT64_MAX, -ERANGE, 0 },
        { "5", 3, -ERANGE, 0 },
        { "", 10, -EINVAL, 0 },
        { "\n", 10, -EINVAL, 0 },
        { "-1", 10, -EINVAL, 0 },
        { "+1", 10, -EINVAL, 0 },
        { " 1", 10, -EINVAL, 0 },
        { "1 ", 10, -EINVAL, 0 },
        { "1\n\n", 10, -EINVAL, 0 },
        { "0x1", 10, -EINVAL, 0 },
        { "1e1", 10, -EINVAL, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 0;

        CHECK_EQ(report_number(cases[i].text, strlen(cases[i].text), cases[i].max, &value),
                 cases[i].r);
        CHECK_EQ(value, cases[i].value);
    }
}

static void test_round_trip(void)
{
    for (int n = 0; n < 1000; n++) {
        uint64_t fields[sizeof(struct report) / sizeof(uint64_t)];
        struct report in;
        struct report out;
        char text[REPORT_MAX];
        int len;

        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
            fields[i] =
                check_random_below(3) ? check_random_below(REPORT_VALUE_MAX) : REPORT_ABSENT;
        memcpy(&in, fields, sizeof(in));
        in.version = REPORT_VERSION;
        in.seq = (uint64_t)n;
        in.total_kib = REPORT_VALUE_MAX;
        in.available_kib = check_random_below(REPORT_VALUE_MAX);
        in.swap_total_kib = REPORT_VALUE_MAX;
        len = report_format(&in, text, sizeof(text));
        CHECK(len > 0 && len < REPORT_MAX);
        CHECK_EQ(strlen(text), len);
        CHECK_EQ(report_parse(text, (size_t)len, &out), 0);
        if (!CHECK(memcmp(&in, &out, sizeof(in)) == 0))
            return;
    }
}

static void test_the_longest_fits(void)
{
    uint64_t fields[sizeof(struct report) / sizeof(uint64_t)];
    struct report report;
    char text[REPORT_MAX];
    char small[32];

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        fields[i] = REPORT_VALUE_MAX;
    memcpy(&report, fields, sizeof(report));
    CHECK(report_format(&report, text, sizeof(text)) > 0);
    CHECK_EQ(report_format(&report, small, sizeof(small)), -ENOSPC);
}

static void test_good(void)
{
    static const char *const texts[] = {
        LEAST,
        LEAST "\n",
        "available_kib=400 total_kib=1000 seq=7 v=1",
        LEAST " some_key_of_tomorrow=whatever",
        LEAST " swap_total_kib=10 swap_free_kib=10",
        LEAST " swap_free_kib=10",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct report report;

        CHECK_EQ(parse(texts[i], &report), 0);
        CHECK_EQ(report.seq, 7);
        CHECK_EQ(report.available_kib, 400);
        CHECK(report.committed_kib == REPORT_ABSENT);
    }
}

static void test_bad(void)
{
    static const char *const texts[] = {
        "",
        "\n",
        "rubbish",
        "v=1",
        "v=2 seq=7 total_kib=1000 available_kib=400",
        "seq=7 total_kib=1000 available_kib=400",
        "v=1 total_kib=1000 available_kib=400",
        "v=1 seq=7 available_kib=400",
        "v=1 seq=7 total_kib=1000",
        "v=1 seq=7 total_kib=1000 available_kib=1001",
        LEAST " ",
        " " LEAST,
        "v=1  seq=7 total_kib=1000 available_kib=400",
        LEAST " seq=7",
        LEAST " =7",
        LEAST " free_kib",
        LEAST " free_kib=",
        LEAST " free_kib=-1",
        LEAST " free_kib=+1",
        LEAST " free_kib=1.5",
        LEAST " free_kib=0x10",
        LEAST " free_kib=9007199254740993",
        LEAST " free_kib=99999999999999999999999999",
        LEAST " free_kib=1\n dirty_kib=1",
        LEAST "\tfree_kib=1",
        LEAST " swap_total_kib=10 swap_free_kib=11",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct report report = { .seq = 99 };

        if (!CHECK_EQ(parse(texts[i], &report), -EINVAL))
            fprintf(stderr, "  it was \"%s\"\n", texts[i]);
        CHECK_EQ(report.seq, 99);
    }
}

static void test_huge_and_binary(void)
{
    struct report report;
    char huge[REPORT_MAX + 1];
    char zero[] = LEAST " free_kib=1\0002";

    memset(huge, 'x', sizeof(huge));
    CHECK_EQ(report_parse(huge, sizeof(huge), &report), -EMSGSIZE);
    CHECK_EQ(report_parse(huge, REPORT_MAX, &report), -EINVAL);
    CHECK_EQ(report_parse(zero, sizeof(zero) - 1, &report), -EINVAL);
    for (int n = 0; n < 20000; n++) {
        char text[64];
        size_t len = check_random_below(sizeof(text));

        for (size_t i = 0; i < len; i++)
            text[i] = (char)check_random();
        CHECK(report_parse(text, len, &report) < 0);
    }
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("numbers are read whole or not at all", test_numbers);
    check_run("what is written is read", test_round_trip);
    check_run("the longest report fits", test_the_longest_fits);
    check_run("good reports", test_good);
    check_run("bad reports", test_bad);
    check_run("huge and binary reports", test_huge_and_binary);
    return check_done();
}
