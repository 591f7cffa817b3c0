/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "check.h"
#include "core/post.h"

#define HELD 262144
#define SLACK (512 * 1024)

static struct post_text text(const char *of)
{
    return (struct post_text){ .text = of, .len = of ? strlen(of) : 0 };
}

static void test_ballast(void)
{
    struct post post = { .bad = true };

    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=7 total_kib=200000 available_kib=50000 "
                                    "active_file_kib=20000 some_us=5"),
                               HELD, 99),
             0);
    CHECK_EQ(post.dialect, DIALECT_BALLAST);
    CHECK(!post.bad);
    CHECK_EQ(post.at_ms, 99);
    CHECK_EQ(post.held_kib, HELD);
    CHECK_EQ(post.used_kib, HELD - 50000);
    CHECK_EQ(post.cache_kib, 20000);
    CHECK_EQ(post.wish_kib, 0);
    CHECK_EQ(post.minimum_kib, 0);
    CHECK_EQ(post.report.seq, 7);
    CHECK_EQ(post.report.some_us, 5);
    CHECK_EQ(post.report.full_us, REPORT_ABSENT);
}

/* The cache that can be taken is never more than what is available. */
static void test_cache(void)
{
    struct post post = { 0 };

    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=1 total_kib=200000 available_kib=5000 "
                                    "active_file_kib=20000 balloon_current_kib=200000"),
                               HELD, 1),
             0);
    CHECK_EQ(post.cache_kib, 5000); /* of the 67144 that it holds and does not use */
    CHECK_EQ(
        post_take_ballast(&post, text("v=1 seq=2 total_kib=200000 available_kib=5000"), HELD, 1),
        0);
    CHECK_EQ(post.cache_kib, 0);

    /* It says that it uses more than it holds, and caches what it holds. */
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=3 total_kib=262144 available_kib=262144 "
                                    "active_file_kib=262144 balloon_current_kib=500000"),
                               HELD, 1),
             0);
    CHECK_EQ(post.used_kib, 500000 - HELD);
    CHECK_EQ(post.cache_kib, HELD - post.used_kib);
}

static void test_ballast_bad(void)
{
    static const char *const bad[] = {
        "",
        "rubbish",
        "v=2 seq=1 total_kib=1000 available_kib=1000",
        "v=1 seq=1 total_kib=1000 available_kib=1001",
        "v=1 seq=1 total_kib=-1000 available_kib=-2000",
        "v=1 seq=1 total_kib=18446744073709551615 available_kib=0",
        "v=1 seq=1 total_kib=9007199254740992 available_kib=0",
        "v=1 seq=1 total_kib=786433 available_kib=0", /* held and slack, and one more */
        NULL,
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct post post = { .dialect = DIALECT_XENSERVER, .at_ms = 5, .used_kib = 77 };

        if (!CHECK_EQ(post_take_ballast(&post, text(bad[i]), HELD, 99), -EINVAL))
            fprintf(stderr, "  with \"%s\"\n", bad[i] ? bad[i] : "(null)");
        CHECK(post.bad);
        CHECK_EQ(post.at_ms, 5);
        CHECK_EQ(post.used_kib, 77);
        CHECK_EQ(post.dialect, DIALECT_XENSERVER);
    }
}

/* A guest that was just shrunk still says what it had before. */
static void test_slack(void)
{
    struct post post = { 0 };

    CHECK_EQ(
        post_take_ballast(&post, text("v=1 seq=1 total_kib=786432 available_kib=786432"), HELD, 1),
        0);
    CHECK_EQ(post.used_kib, 0);
}

/* What was held when the guest looked is what its balloon driver says, not what is held now. */
static void test_balloon(void)
{
    struct post post = { 0 };

    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=1 total_kib=200000 available_kib=50000 "
                                    "balloon_current_kib=250000"),
                               HELD, 1),
             0);
    CHECK_EQ(post.used_kib, 200000);
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=2 total_kib=200000 available_kib=50000 "
                                    "balloon_current_kib=9007199254740992"),
                               HELD, 1),
             0);
    CHECK_EQ(post.used_kib, HELD);
}

/* The node is read again and nothing new was posted: the post does not become younger by it. */
static void test_same_again(void)
{
    struct post post = { 0 };
    struct post_text stats = text("v=1 seq=1 total_kib=200000 available_kib=50000");

    CHECK_EQ(post_take_ballast(&post, stats, HELD, 1), 0);
    CHECK_EQ(post_take_ballast(&post, stats, HELD / 2, 2), 0);
    CHECK_EQ(post.at_ms, 1);
    CHECK_EQ(post.held_kib, HELD);
    CHECK_EQ(post_take_ballast(&post, text("rubbish"), HELD, 3), -EINVAL);
    CHECK_EQ(post_take_ballast(&post, stats, HELD, 4), 0);
    CHECK(!post.bad);
    CHECK_EQ(post.at_ms, 4);
}

static void test_xenserver(void)
{
    struct post post = { 0 };

    CHECK_EQ(post_take_xenserver(&post, text("200000\n"), text("50000"), HELD, 3), 0);
    CHECK_EQ(post.dialect, DIALECT_XENSERVER);
    CHECK_EQ(post.used_kib, HELD - 50000);
    CHECK_EQ(post.report.total_kib, 200000);
    CHECK_EQ(post.report.available_kib, 50000);
    CHECK_EQ(post.report.seq, REPORT_ABSENT);
    CHECK_EQ(post_take_xenserver(&post, text("200000"), text(NULL), HELD, 4), -EINVAL);
    CHECK_EQ(post_take_xenserver(&post, text("200000"), text(""), HELD, 4), -EINVAL);
    CHECK_EQ(post_take_xenserver(&post, text("200000"), text("200001"), HELD, 4), -EINVAL);
    CHECK_EQ(post_take_xenserver(&post, text("999999"), text("1"), HELD, 4), -EINVAL);
    CHECK_EQ(post_take_xenserver(&post, text("200000"), text("-1"), HELD, 4), -EINVAL);
    CHECK_EQ(post_take_xenserver(&post, text("200000"), text("1e3"), HELD, 4), -EINVAL);
    CHECK_EQ(post_take_xenserver(&post, text("200000 kB"), text("1000"), HELD, 4), -EINVAL);
    CHECK(post.bad);
    CHECK_EQ(post.at_ms, 3);
    CHECK_EQ(post_take_xenserver(&post, text("200000"), text("1000"), HELD, 5), 0);
    CHECK(!post.bad);
}

static void test_qubes(void)
{
    struct post post = { 0 };
    uint64_t hidden_kib = 46 * 1024 + 512 * 21;

    CHECK_EQ(post_take_qubes(&post, text("60000"), text(NULL), HELD, 512 * 1024, 3), 0);
    CHECK_EQ(post.dialect, DIALECT_QUBES);
    CHECK_EQ(post.used_kib, 60000 + hidden_kib);
    CHECK_EQ(post_take_qubes(&post, text("9007199254740992"), text("0"), HELD, 512 * 1024, 3), 0);
    CHECK_EQ(post.used_kib, HELD);
    CHECK_EQ(post_take_qubes(&post, text(NULL), text("0"), HELD, 512 * 1024, 3), -EINVAL);
    CHECK_EQ(post_take_qubes(&post, text("MemTotal: 1"), text("0"), HELD, 512 * 1024, 3), -EINVAL);
    CHECK_EQ(post_take_qubes(&post, text("60000"), text("x"), HELD, 512 * 1024, 3), -EINVAL);
    CHECK_EQ(post_take_qubes(&post, text("9007199254740993"), text("0"), HELD, 512 * 1024, 3),
             -EINVAL);
}

static void test_selfballoon(void)
{
    struct post post = { 0 };

    CHECK_EQ(post_take_selfballoon(&post, text("300000"), text("70000"), HELD, 3), 0);
    CHECK_EQ(post.dialect, DIALECT_SELFBALLOON);
    CHECK_EQ(post.wish_kib, 300000);
    CHECK_EQ(post.used_kib, HELD);
    CHECK_EQ(post.minimum_kib, 70000);
    CHECK_EQ(post_take_selfballoon(&post, text("100000"), text(NULL), HELD, 3), 0);
    CHECK_EQ(post.used_kib, 100000);
    CHECK_EQ(post.minimum_kib, 0);
    CHECK_EQ(post_take_selfballoon(&post, text("0"), text(NULL), HELD, 3), -EINVAL);
    CHECK_EQ(post_take_selfballoon(&post, text("100000"), text("-5"), HELD, 3), -EINVAL);
    CHECK_EQ(post_take_selfballoon(&post, text(NULL), text("5"), HELD, 3), -EINVAL);
}

static void test_usable(void)
{
    struct post post = { 0 };

    CHECK(!post_usable(&post, 0));
    CHECK_EQ(post_take_xenserver(&post, text("200000"), text("50000"), HELD, 1000), 0);
    CHECK(post_usable(&post, 1000));
    CHECK(post_usable(&post, 1000 + POST_STALE_MS));
    CHECK(!post_usable(&post, 1001 + POST_STALE_MS));
    CHECK_EQ(post_take_xenserver(&post, text("x"), text("50000"), HELD, 1000), -EINVAL);
    CHECK(!post_usable(&post, 1000));
}

/* Whatever numbers a guest posts, what is believed of them is bounded by what it holds. */
static void test_bounds(void)
{
    for (int i = 0; i < 20000; i++) {
        char first[32];
        char second[32];
        struct post post = { 0 };
        uint64_t held_kib = check_random() >> (20 + check_random_below(44));
        uint64_t shift = check_random_below(64);

        snprintf(first, sizeof(first), "%" PRIu64, check_random() >> shift);
        snprintf(second, sizeof(second), "%" PRIu64, check_random() >> shift);
        switch (check_random_below(3)) {
        case 0:
            if (post_take_xenserver(&post, text(first), text(second), held_kib, 1) == 0)
                CHECK(post.report.total_kib <= held_kib + SLACK);
            break;
        case 1:
            (void)post_take_qubes(&post, text(first), text(second), held_kib, held_kib, 1);
            break;
        default:
            (void)post_take_selfballoon(&post, text(first), text(second), held_kib, 1);
        }
        if (!CHECK(post.used_kib <= held_kib) || !CHECK(post.cache_kib <= held_kib)
            || !CHECK(post.wish_kib <= REPORT_VALUE_MAX))
            break;
    }
}

/* More stall than time passed, or a count that goes back: neither can be. */
static void test_lies(void)
{
    struct post post = { 0 };
    const char *good =
        "v=1 seq=1 uptime_ms=100000 total_kib=200000 available_kib=50000 some_us=2000000";

    CHECK_EQ(post_take_ballast(&post, text(good), HELD, 1000), 0);
    CHECK_EQ(post.lies, 0);
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=2 uptime_ms=101000 total_kib=200000 "
                                    "available_kib=50000 some_us=20000000"),
                               HELD, 2000),
             -EINVAL);
    CHECK_EQ(post.lies, 1);
    CHECK(post.bad);

    /* The same one again is the same lie; another is another. */
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=2 uptime_ms=101000 total_kib=200000 "
                                    "available_kib=50000 some_us=20000000"),
                               HELD, 3000),
             -EINVAL);
    CHECK_EQ(post.lies, 1);
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=3 uptime_ms=102000 total_kib=9999999 "
                                    "available_kib=50000 some_us=2000000"),
                               HELD, 3000),
             -EINVAL);
    CHECK_EQ(post.lies, 2);

    /* An agent that had to wait between its figures; and one that was not heard for a minute. */
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=4 uptime_ms=102000 total_kib=200000 "
                                    "available_kib=50000 some_us=7000000"),
                               HELD, 3000),
             0);
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=5 uptime_ms=162000 total_kib=200000 "
                                    "available_kib=50000 some_us=60000000"),
                               HELD, 63000),
             0);
    CHECK_EQ(post.lies, 2);

    /* Back without a boot, and with one. */
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=6 uptime_ms=163000 total_kib=200000 "
                                    "available_kib=50000 some_us=5"),
                               HELD, 64000),
             0);
    CHECK_EQ(post.lies, 3);
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=1 uptime_ms=3000 total_kib=200000 "
                                    "available_kib=50000 some_us=1"),
                               HELD, 70000),
             0);
    CHECK_EQ(post.lies, 3);

    /* Since its boot. */
    CHECK_EQ(post_take_ballast(&post,
                               text("v=1 seq=2 uptime_ms=4000 total_kib=200000 "
                                    "available_kib=50000 some_us=99000000"),
                               HELD, 300000),
             -EINVAL);
    CHECK_EQ(post.lies, 4);

    /* Rubbish is no lie, and what others than our agent say is only refused. */
    CHECK_EQ(post_take_ballast(&post, text("rubbish"), HELD, 300001), -EINVAL);
    CHECK_EQ(post_take_xenserver(&post, text("9999999"), text("1"), HELD, 300002), -EINVAL);
    CHECK_EQ(post.lies, 4);
}

static void test_names(void)
{
    CHECK_STR(dialect_name(DIALECT_NONE), "none");
    CHECK_STR(dialect_name(DIALECT_BALLAST), "ballast");
    CHECK_STR(dialect_name(DIALECT_XENSERVER), "xenserver");
    CHECK_STR(dialect_name(DIALECT_QUBES), "qubes");
    CHECK_STR(dialect_name(DIALECT_SELFBALLOON), "selfballoon");
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("takes our own report", test_ballast);
    check_run("the active cache is within what is available", test_cache);
    check_run("refuses reports that are wrong or contradict", test_ballast_bad);
    check_run("a total from before the last shrink is taken", test_slack);
    check_run("what was held is what the balloon driver says", test_balloon);
    check_run("the same post again is no new one", test_same_again);
    check_run("takes XenServer's figures", test_xenserver);
    check_run("takes Qubes' figure", test_qubes);
    check_run("takes the self-balloon driver's wish", test_selfballoon);
    check_run("an old or bad post is not used", test_usable);
    check_run("nothing above what the domain holds is believed", test_bounds);
    check_run("what cannot be is counted", test_lies);
    check_run("dialects have names", test_names);
    return check_done();
}
