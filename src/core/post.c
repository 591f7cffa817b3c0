/* SPDX-License-Identifier: ISC */
#include "core/post.h"

#include <errno.h>
#include <string.h>

#include "util/bounds.h"

/* A post may be older than the last shrink: so much more it may say than is held now. A balloon
 * lets go about 520 MiB in a second (measured). It gains nothing by it: used_kib is at most
 * held_kib. */
#define SLACK_KIB (512 * 1024)

/* What a guest holds and does not see as its own, as measured on Debian's kernels under Xen 4.17:
 * the kernel and what it sets aside at boot, and struct page and the table of frames for each MiB
 * that it may grow to. */
#define HIDDEN_KIB (46 * 1024)
#define HIDDEN_KIB_PER_MIB 21

/* An agent takes its figures one after the other, and may have to wait between them when its guest
 * stalls: so far they may be apart. */
#define CLOCKS_MS 5000

/* Nothing larger than the report's own limit, so that sums of a few stay in 64 bits. */
static int number(struct post_text node, uint64_t *ret_value)
{
    if (!node.text)
        return -EINVAL;
    return report_number(node.text, node.len, REPORT_VALUE_MAX, ret_value) < 0 ? -EINVAL : 0;
}

static int refuse(struct post *post)
{
    post->bad = true;
    return -EINVAL;
}

/* It can be read, and says what cannot be. Each is counted once, however often it is read. */
static int refuse_lie(struct post *post, uint64_t seq)
{
    post->lies += post->lies == 0 || post->lie_seq != seq;
    post->lie_seq = seq;
    return refuse(post);
}

/* What a guest says that it has cannot be more than what the hypervisor counts for it. */
static bool believable(const struct report *report, uint64_t held_kib)
{
    return report->total_kib <= held_kib + SLACK_KIB && report->available_kib <= report->total_kib;
}

/* True when it says that its tasks stalled for longer than time passed: since its boot, or since
 * the report before, by its own clock and by ours. */
static bool stalls_too_long(const struct post *before, const struct report *report, uint64_t now_ms)
{
    uint64_t stall_ms = report->some_us / 1000;
    uint64_t since_ms = larger(now_ms, before->at_ms) - before->at_ms;

    if (report->some_us == REPORT_ABSENT)
        return false;
    if (report->uptime_ms != REPORT_ABSENT && stall_ms > report->uptime_ms + CLOCKS_MS)
        return true;
    if (before->dialect != DIALECT_BALLAST || before->report.some_us == REPORT_ABSENT)
        return false;
    if (report->uptime_ms != REPORT_ABSENT && before->report.uptime_ms != REPORT_ABSENT
        && report->uptime_ms > before->report.uptime_ms)
        since_ms = larger(since_ms, report->uptime_ms - before->report.uptime_ms);
    return stall_ms > before->report.some_us / 1000 + since_ms + CLOCKS_MS;
}

/* A count of its kernel's went back although it did not boot. */
static bool went_back(const struct post *before, const struct report *report)
{
    if (before->dialect != DIALECT_BALLAST || report->uptime_ms == REPORT_ABSENT
        || before->report.uptime_ms == REPORT_ABSENT
        || report->uptime_ms < before->report.uptime_ms)
        return false;
    return report->some_us != REPORT_ABSENT && before->report.some_us != REPORT_ABSENT
           && report->some_us < before->report.some_us;
}

/* Held and not droppable. What was held when the guest took its figures is better known to its
 * balloon driver than to us, who read them later. */
static uint64_t used_kib(const struct report *report, uint64_t held_kib)
{
    uint64_t then_kib =
        report->balloon_current_kib == REPORT_ABSENT ? held_kib : report->balloon_current_kib;

    if (then_kib <= report->available_kib)
        return 0;
    return smaller(then_kib - report->available_kib, held_kib);
}

/* A good post begins like this; each dialect adds what it says. */
static struct post start(enum dialect dialect, uint64_t held_kib, uint64_t now_ms)
{
    struct post post = {
        .dialect = dialect,
        .at_ms = now_ms,
        .held_kib = held_kib,
    };

    report_clear(&post.report);
    return post;
}

/* The active part of the file cache can be dropped, but is read again at once. What is dropped
 * first is the rest of what is available. At most left_kib: what is held and not used. */
static uint64_t active_cache_kib(const struct report *report, uint64_t left_kib)
{
    if (report->active_file_kib == REPORT_ABSENT)
        return 0;
    return smaller(smaller(report->active_file_kib, report->available_kib), left_kib);
}

int post_take_ballast(struct post *post, struct post_text stats, uint64_t held_kib, uint64_t now_ms)
{
    struct post good = start(DIALECT_BALLAST, held_kib, now_ms);

    if (!stats.text || report_parse(stats.text, stats.len, &good.report) < 0)
        return refuse(post);
    if (post->dialect == DIALECT_BALLAST && !post->bad && good.report.seq == post->report.seq)
        return 0;
    if (!believable(&good.report, held_kib) || stalls_too_long(post, &good.report, now_ms))
        return refuse_lie(post, good.report.seq);
    good.lies = post->lies + went_back(post, &good.report);
    good.lie_seq = post->lie_seq;
    good.used_kib = used_kib(&good.report, held_kib);
    good.wish_kib = good.report.selftarget_kib == REPORT_ABSENT ? 0 : good.report.selftarget_kib;
    good.minimum_kib = good.report.minimum_kib == REPORT_ABSENT ? 0 : good.report.minimum_kib;
    good.cache_kib = active_cache_kib(&good.report, held_kib - good.used_kib);
    *post = good;
    return 0;
}

int post_take_xenserver(struct post *post, struct post_text total, struct post_text available,
                        uint64_t held_kib, uint64_t now_ms)
{
    struct post good = start(DIALECT_XENSERVER, held_kib, now_ms);

    if (number(total, &good.report.total_kib) < 0
        || number(available, &good.report.available_kib) < 0 || !believable(&good.report, held_kib))
        return refuse(post);
    good.lies = post->lies;
    good.used_kib = used_kib(&good.report, held_kib);
    *post = good;
    return 0;
}

int post_take_qubes(struct post *post, struct post_text meminfo, struct post_text swapinfo,
                    uint64_t held_kib, uint64_t static_max_kib, uint64_t now_ms)
{
    struct post good = start(DIALECT_QUBES, held_kib, now_ms);
    uint64_t hidden_kib = HIDDEN_KIB + static_max_kib / 1024 * HIDDEN_KIB_PER_MIB;
    uint64_t said_kib;
    uint64_t swapped_kib;

    if (number(meminfo, &said_kib) < 0 || (swapinfo.text && number(swapinfo, &swapped_kib) < 0))
        return refuse(post);
    good.lies = post->lies;
    good.used_kib = smaller(said_kib + hidden_kib, held_kib);
    *post = good;
    return 0;
}

int post_take_selfballoon(struct post *post, struct post_text selftarget, struct post_text minimum,
                          uint64_t held_kib, uint64_t now_ms)
{
    struct post good = start(DIALECT_SELFBALLOON, held_kib, now_ms);

    if (number(selftarget, &good.wish_kib) < 0
        || (minimum.text && number(minimum, &good.minimum_kib) < 0) || good.wish_kib == 0)
        return refuse(post);
    good.lies = post->lies;
    good.used_kib = smaller(good.wish_kib, held_kib);
    *post = good;
    return 0;
}

bool post_usable(const struct post *post, uint64_t now_ms)
{
    return post->dialect != DIALECT_NONE && !post->bad
           && (now_ms < post->at_ms || now_ms - post->at_ms <= POST_STALE_MS);
}

const char *dialect_name(enum dialect dialect)
{
    static const char *const names[] = {
        [DIALECT_NONE] = "none",
        [DIALECT_BALLAST] = "ballast",
        [DIALECT_XENSERVER] = "xenserver",
        [DIALECT_QUBES] = "qubes",
        [DIALECT_SELFBALLOON] = "selfballoon",
    };

    return names[dialect];
}
