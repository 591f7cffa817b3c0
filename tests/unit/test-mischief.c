/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "check.h"
#include "core/post.h"
#include "host/guest-sim.h"
#include "host/mischief.h"

#define MIB UINT64_C(1024)
#define PLENTY (UINT64_C(1) << 30)

static uint64_t now_ms;

/* 256 of 512 MiB, with 160 MiB in use, and as it was told. */
static struct guest *begin(const char *acts)
{
    static struct guest_spec spec;
    static struct guest guest;

    spec = (struct guest_spec){
        .name = "g",
        .memory_kib = 256 * MIB,
        .maxmem_kib = 512 * MIB,
        .need_kib = 160 * MIB,
        .hidden_kib = 57 * MIB,
        .up_kib_s = 900 * MIB,
        .down_kib_s = 520 * MIB,
        .alloc_kib_s = 200 * MIB,
        .posts = DIALECT_BALLAST,
    };
    CHECK_EQ(mischief_parse(acts, &spec.acts), 0);
    guest_free(&guest);
    now_ms = 600000;
    guest_init(&guest, &spec, check_seed);
    guest_begin(&guest, 1, now_ms);
    return &guest;
}

static void live(struct guest *guest, uint64_t ms)
{
    uint64_t end_ms = now_ms + ms;

    while (guest->next_ms <= end_ms) {
        now_ms = guest->next_ms > now_ms ? guest->next_ms : now_ms + 1;
        guest_step(guest, now_ms, PLENTY);
    }
    now_ms = end_ms;
    guest_step(guest, now_ms, PLENTY);
}

static void target(struct guest *guest, uint64_t mib)
{
    guest_set_target(guest, mib * MIB, mib * MIB + GUEST_SLACK_KIB);
}

static void test_words(void)
{
    uint32_t acts = 0;
    const char *word;

    for (size_t i = 0; (word = mischief_word(i)); i++) {
        CHECK_EQ(mischief_parse(word, &acts), 0);
        CHECK_EQ(acts, UINT32_C(1) << i);
    }
    CHECK_EQ(mischief_parse(" refuse  grab ", &acts), 0);
    CHECK_EQ(acts, 1U << ACT_REFUSE | 1U << ACT_GRAB);
    CHECK_EQ(mischief_parse("none", &acts), 0);
    CHECK_EQ(acts, 0);
    CHECK_EQ(mischief_parse("", &acts), -EINVAL);
    CHECK_EQ(mischief_parse("refuse none", &acts), -EINVAL);
    CHECK_EQ(mischief_parse("refus", &acts), -EINVAL);
}

static void test_refuses(void)
{
    struct guest *guest = begin("refuse");

    target(guest, 300);
    live(guest, 1000);
    CHECK_EQ(guest->actual_kib, 300 * MIB);
    CHECK_EQ(guest->mischief.offences, 0);
    target(guest, 200);
    live(guest, 20000);
    CHECK_EQ(guest->actual_kib, 300 * MIB);
    CHECK_EQ(guest->mischief.offences, 1);
    CHECK_EQ(guest->mischief.offence_kib, 300 * MIB);
    CHECK_EQ(guest->mischief.gained_kib, 0);
    mischief_set(guest, 0);
    live(guest, 1000);
    CHECK_EQ(guest->actual_kib, 200 * MIB);
}

static void test_trickles(void)
{
    struct guest *guest = begin("trickle");

    target(guest, 200);
    live(guest, 60000);
    CHECK(guest->actual_kib < 256 * MIB && guest->actual_kib >= 256 * MIB - 12 * 4);
}

static void test_dozes(void)
{
    struct guest *guest = begin("doze");

    live(guest, 2000); /* it was awake just now: 600 s are a multiple of twenty */
    target(guest, 200);
    live(guest, 10000);
    CHECK_EQ(guest->actual_kib, 256 * MIB);
    live(guest, 10000);
    CHECK_EQ(guest->actual_kib, 200 * MIB);
}

static void test_grabs(void)
{
    struct guest *guest = begin("grab");

    live(guest, 100);
    CHECK_EQ(guest->actual_kib, 256 * MIB + GUEST_SLACK_KIB); /* what its cap leaves */
    target(guest, 200);
    live(guest, 30000);
    CHECK_EQ(guest->actual_kib, 256 * MIB + GUEST_SLACK_KIB);
    guest_set_cap(guest, 300 * MIB);
    live(guest, 1000); /* it never sleeps for long */
    CHECK_EQ(guest->actual_kib, 300 * MIB);
    CHECK(guest->mischief.offences >= 1);
}

static void test_takes_back(void)
{
    struct guest *guest = begin("take-back");

    target(guest, 200);
    live(guest, 1500);
    CHECK_EQ(guest->actual_kib, 200 * MIB + GUEST_SLACK_KIB);
    CHECK_EQ(guest->mischief.offences, 1);
    live(guest, 10000);
    CHECK_EQ(guest->actual_kib, 200 * MIB);
}

static void test_takes_late(void)
{
    struct guest *guest = begin("late");

    target(guest, 300);
    live(guest, 59000);
    CHECK_EQ(guest->actual_kib, 256 * MIB);
    live(guest, 3000);
    CHECK_EQ(guest->actual_kib, 300 * MIB);
    target(guest, 200);
    live(guest, 1000);
    CHECK_EQ(guest->actual_kib, 200 * MIB); /* it gives at once */
}

/* Its last post as the daemon takes it. */
static int posted(struct guest *guest, struct post *ret_post)
{
    struct post_text text = { guest->text[0], strlen(guest->text[0]) };

    memset(ret_post, 0, sizeof(*ret_post));
    return post_take_ballast(ret_post, text, guest->actual_kib, now_ms);
}

static void test_lies(void)
{
    static const char *const liars[] = { "over-report", "nearly-all", "contradict", "wrap" };
    struct guest *guest;
    struct post post;

    for (size_t i = 0; i < sizeof(liars) / sizeof(liars[0]); i++) {
        guest = begin(liars[i]);
        live(guest, 20000);
        CHECK_EQ(posted(guest, &post), 0); /* a lie reads like a report */
    }
    guest = begin("over-report");
    live(guest, 20000);
    CHECK_EQ(posted(guest, &post), 0);
    CHECK_EQ(post.used_kib, 256 * MIB);
    guest = begin("nearly-all");
    live(guest, 20000);
    CHECK_EQ(posted(guest, &post), 0);
    CHECK_EQ(post.used_kib, 253 * MIB);
    guest = begin("under-report");
    live(guest, 20000);
    CHECK_EQ(posted(guest, &post), 0);
    CHECK(post.used_kib < 64 * MIB);
    guest = begin("forge");
    live(guest, 20000);
    CHECK(posted(guest, &post) < 0); /* more stall than time */
    CHECK_EQ(post.lies, 1);
    guest = begin("rubbish");
    live(guest, 20000);
    CHECK(posted(guest, &post) < 0);
}

static void test_floods(void)
{
    struct guest *guest = begin("flood");
    unsigned posts = 0;

    for (int i = 0; i < 1000; i++) {
        guest->fresh = false;
        live(guest, 10);
        posts += guest->fresh;
    }
    CHECK(posts > 900);
}

static void test_reboots(void)
{
    struct guest *guest = begin("reboot");

    live(guest, 31000);
    CHECK_EQ(guest->life, GUEST_RUNNING);
    target(guest, 200);
    live(guest, 100);
    CHECK_EQ(guest->life, GUEST_DYING);
    CHECK(guest->mischief.again);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("words", test_words);
    check_run("refuse: takes and never gives", test_refuses);
    check_run("trickle: a page every five seconds", test_trickles);
    check_run("doze: one second in twenty", test_dozes);
    check_run("grab: all that its cap leaves, awake all the time", test_grabs);
    check_run("take-back: gives, and takes the slack", test_takes_back);
    check_run("late: takes a minute later", test_takes_late);
    check_run("lies read like reports, rubbish does not", test_lies);
    check_run("flood: posts all the time", test_floods);
    check_run("reboot: dies when it is asked", test_reboots);
    return check_done();
}
