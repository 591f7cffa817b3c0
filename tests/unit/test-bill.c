/* SPDX-License-Identifier: ISC */
#include "check.h"
#include "core/bill.h"

#include <errno.h>
#include <string.h>

#define MIB 1024
#define HOUR_MS UINT64_C(3600000)

static void test_an_hour(void)
{
    const struct bill_sizes sizes = { .held_kib = 512 * MIB,
                                      .entitled_kib = 384 * MIB,
                                      .need_kib = 600 * MIB };
    struct bill bill = { 0 };

    (void)bill_add(&bill, &sizes, 1000);
    CHECK_EQ(bill_kib_s(&bill.granted), 0);
    (void)bill_add(&bill, &sizes, 1000 + HOUR_MS);
    CHECK_EQ(bill_kib_s(&bill.granted), UINT64_C(512) * MIB * 3600);
    CHECK_EQ(bill_kib_s(&bill.above), UINT64_C(128) * MIB * 3600);
    CHECK_EQ(bill_kib_s(&bill.unmet), UINT64_C(88) * MIB * 3600);
    CHECK_EQ(bill_kib_s(&bill.idle), 0);
    CHECK(bill_mib_h(&bill.entitled) == 384.0);
}

/* The sum of small pieces is the whole, to the KiB ms. */
static void test_exact(void)
{
    struct bill pieces = { 0 };
    struct bill whole = { 0 };
    struct bill_sizes sizes = { .held_kib = 123457, .entitled_kib = 7, .need_kib = 99999991 };
    uint64_t now_ms = 5;

    (void)bill_add(&pieces, &sizes, now_ms);
    (void)bill_add(&whole, &sizes, now_ms);
    for (int i = 0; i < 100000; i++) {
        now_ms += check_random() % 2000;
        (void)bill_add(&pieces, &sizes, now_ms);
    }
    (void)bill_add(&whole, &sizes, now_ms);
    CHECK_EQ(bill_kib_s(&pieces.granted), bill_kib_s(&whole.granted));
    CHECK_EQ(pieces.granted.kib_ms % 1000, whole.granted.kib_ms % 1000);
    CHECK_EQ(bill_kib_s(&pieces.unmet), bill_kib_s(&whole.unmet));
    CHECK_EQ(pieces.unmet.kib_ms % 1000, whole.unmet.kib_ms % 1000);
    CHECK_EQ(pieces.entitled.kib_ms % 1000, whole.entitled.kib_ms % 1000);
}

/* A year of a host of 1 TiB, in rounds of a minute and in one look. */
static void test_years(void)
{
    const struct bill_sizes sizes = { .held_kib = UINT64_C(1) << 30 };
    const uint64_t year_ms = 365 * 24 * HOUR_MS;
    struct bill bill = { 0 };

    (void)bill_add(&bill, &sizes, 1);
    for (int year = 0; year < 20; year++)
        (void)bill_add(&bill, &sizes, bill.at_ms + year_ms);
    CHECK_EQ(bill_kib_s(&bill.granted), (UINT64_C(1) << 30) * 20 * (year_ms / 1000));
    CHECK_EQ(bill_kib_s(&bill.idle), bill_kib_s(&bill.granted));
}

static void test_goodness(void)
{
    struct bill_sizes sizes = { .held_kib = 200 * MIB, .entitled_kib = 300 * MIB };
    struct bill bill = { 0 };
    uint64_t now_ms = 1;

    CHECK_EQ(bill_add(&bill, &sizes, now_ms), 1000);
    sizes.entitled_kib = 50 * MIB;
    CHECK(bill_add(&bill, &sizes, now_ms += 100) > 995);
    for (int i = 0; i < 10000; i++)
        (void)bill_add(&bill, &sizes, now_ms += 100);
    CHECK_EQ(bill_add(&bill, &sizes, now_ms + 100), 250);
    sizes.entitled_kib = 0;
    CHECK_EQ(bill_add(&bill, &sizes, now_ms += HOUR_MS), 0);
    sizes.held_kib = 0;
    CHECK_EQ(bill_add(&bill, &sizes, now_ms += HOUR_MS), 1000);
}

static void test_kept(void)
{
    const struct bill_sizes sizes = { .held_kib = 777777, .entitled_kib = 5, .need_kib = 888887 };
    struct bill bill = { 0 };
    struct bill again = { 0 };
    char text[BILL_TEXT_SIZE];

    (void)bill_add(&bill, &sizes, 1);
    (void)bill_add(&bill, &sizes, 1234567891);
    CHECK(bill_write(&bill, text) < sizeof(text));
    CHECK_EQ(bill_read(text, &again), 0);
    CHECK_EQ(bill_kib_s(&again.granted), bill_kib_s(&bill.granted));
    CHECK_EQ(again.granted.kib_ms % 1000, bill.granted.kib_ms % 1000);
    CHECK_EQ(bill_kib_s(&again.unmet), bill_kib_s(&bill.unmet));
    CHECK_EQ(bill_read(text, &again), 0); /* what has come meanwhile stays */
    CHECK(bill_kib_s(&again.granted) >= 2 * bill_kib_s(&bill.granted));
}

static void test_no_bill(void)
{
    static const char *const texts[] = {
        "",
        "1",
        "2 0 0 0 0 0 0 0 0 0 0",
        "1 0 0 0 0 0 0 0 0 0",
        "1 0 0 0 0 0 0 0 0 0 0 0",
        "1 0 0 0 0 0 0 0 0 0 0 ",
        "1 0 1000 0 0 0 0 0 0 0 0",
        "1 -1 0 0 0 0 0 0 0 0 0",
        "1 99999999999999999999 0 0 0 0 0 0 0 0 0",
        "1 x 0 0 0 0 0 0 0 0 0",
    };
    struct bill bill = { 0 };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        CHECK_EQ(bill_read(texts[i], &bill), -EINVAL);
    CHECK_EQ(bill_kib_s(&bill.granted), 0);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("an hour", test_an_hour);
    check_run("pieces add up exactly", test_exact);
    check_run("years do not overflow", test_years);
    check_run("goodness follows", test_goodness);
    check_run("a bill that was kept goes on", test_kept);
    check_run("what is no bill is refused", test_no_bill);
    return check_done();
}
