/* SPDX-License-Identifier: ISC */
#include "host/mischief.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/guest-sim.h"
#include "util/bounds.h"

#define PAGE_KIB 4

#define DRIP_MS 5000 /* between two pages that trickle */
#define DOZE_MS 20000
#define AWAKE_MS 1000
#define TAKE_MS 5000
#define LATE_MS 60000
#define SWING_MS 10000
#define REBOOT_MS 30000 /* it lives at least so long */
#define WAKE_MS 500     /* a driver that its own guest drives sleeps no longer */

/* Less than this nobody misses; and who takes less was off its target. */
#define DEBT_KIB 4096
#define TAKEN_KIB 256

/* Less than what is given to all that it may have at once, so that it is given more; and more than
 * what counts as nothing. */
#define LEFT_KIB 3072

/* It says that it waited so long, once in so long: a little pressure, for nothing. */
#define MOAN_US 100000
#define MOAN_MS 50000

/* After such a pause it is another offence. */
#define PAUSE_MS 1000

#define ACT(act) (UINT32_C(1) << (act))
#define OF_BALLOON                                                                           \
    (ACT(ACT_REFUSE) | ACT(ACT_TRICKLE) | ACT(ACT_DOZE) | ACT(ACT_TAKE_BACK) | ACT(ACT_GRAB) \
     | ACT(ACT_LATE))
#define OF_POSTS                                                                              \
    (ACT(ACT_OVER_REPORT) | ACT(ACT_NEARLY_ALL) | ACT(ACT_UNDER_REPORT) | ACT(ACT_CONTRADICT) \
     | ACT(ACT_FORGE) | ACT(ACT_WRAP) | ACT(ACT_OSCILLATE) | ACT(ACT_RUBBISH) | ACT(ACT_FLOOD))

static const char *const words[ACTS] = {
    [ACT_REFUSE] = "refuse",
    [ACT_TRICKLE] = "trickle",
    [ACT_DOZE] = "doze",
    [ACT_TAKE_BACK] = "take-back",
    [ACT_GRAB] = "grab",
    [ACT_LATE] = "late",
    [ACT_OVER_REPORT] = "over-report",
    [ACT_NEARLY_ALL] = "nearly-all",
    [ACT_UNDER_REPORT] = "under-report",
    [ACT_CONTRADICT] = "contradict",
    [ACT_FORGE] = "forge",
    [ACT_WRAP] = "wrap",
    [ACT_OSCILLATE] = "oscillate",
    [ACT_RUBBISH] = "rubbish",
    [ACT_FLOOD] = "flood",
    [ACT_REBOOT] = "reboot",
};

const char *mischief_word(size_t index)
{
    return index < ACTS ? words[index] : NULL;
}

static int find(const char *word, size_t len)
{
    for (int i = 0; i < ACTS; i++) {
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0)
            return i;
    }
    return -EINVAL;
}

int mischief_parse(const char *text, uint32_t *ret_acts)
{
    uint32_t acts = 0;

    if (strcmp(text, "none") == 0) {
        *ret_acts = 0;
        return 0;
    }
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t len = strcspn(text, " ");
        int act = find(text, len);

        if (act < 0)
            return -EINVAL;
        acts |= ACT(act);
        text += len;
    }
    if (acts == 0)
        return -EINVAL;
    *ret_acts = acts;
    return 0;
}

static bool does(const struct guest *guest, enum act act)
{
    return guest->mischief.acts & ACT(act);
}

void mischief_set(struct guest *guest, uint32_t acts)
{
    struct mischief *mischief = &guest->mischief;

    mischief->acts = acts;
    mischief->since_ms = guest->last_ms;
    mischief->phase = mischief->gave = false;
    mischief->held_kib = guest->actual_kib;
    guest->next_ms = guest->last_ms;
}

void mischief_begin(struct mischief *mischief, uint32_t acts, uint64_t now_ms)
{
    *mischief = (struct mischief){
        .acts = acts,
        .since_ms = now_ms,
        .offences = mischief->offences,
        .offence_ms = mischief->offence_ms,
        .offence_kib = mischief->offence_kib,
        .gained_kib = mischief->gained_kib,
    };
}

bool mischief_restless(const struct guest *guest)
{
    return guest->mischief.acts & (OF_BALLOON | ACT(ACT_REBOOT));
}

/* Balloon. */

static uint64_t whole_pages(uint64_t kib)
{
    return kib / PAGE_KIB * PAGE_KIB;
}

uint64_t mischief_aim_kib(const struct guest *guest, uint64_t told_kib)
{
    uint64_t held_kib = whole_pages(guest->actual_kib);
    bool phase = guest->mischief.phase;

    if (does(guest, ACT_GRAB) || (does(guest, ACT_TAKE_BACK) && phase))
        return whole_pages(guest->spec->maxmem_kib);
    if (does(guest, ACT_DOZE) && !phase)
        return held_kib;
    if (does(guest, ACT_LATE) && !phase)
        return smaller(told_kib, held_kib);
    if (does(guest, ACT_TRICKLE) && told_kib < held_kib)
        return phase ? held_kib - PAGE_KIB : held_kib;
    return does(guest, ACT_REFUSE) ? larger(told_kib, held_kib) : told_kib;
}

static void turn(struct mischief *mischief, bool phase, uint64_t now_ms)
{
    mischief->phase = phase;
    mischief->since_ms = now_ms;
}

static void go_on(struct guest *guest, uint64_t told_kib, uint64_t now_ms)
{
    struct mischief *mischief = &guest->mischief;
    uint64_t for_ms = now_ms - mischief->since_ms;
    bool owes = guest->actual_kib > told_kib + DEBT_KIB;
    bool given = guest->actual_kib + DEBT_KIB < told_kib;

    if (does(guest, ACT_DOZE)) {
        mischief->phase = now_ms % DOZE_MS < AWAKE_MS;
    } else if (does(guest, ACT_TRICKLE)) {
        if (mischief->phase ? guest->actual_kib < mischief->held_kib : for_ms >= DRIP_MS)
            turn(mischief, !mischief->phase, now_ms);
    } else if (does(guest, ACT_LATE)) {
        if (!given)
            turn(mischief, false, now_ms);
        else if (for_ms >= LATE_MS)
            mischief->phase = true;
    } else if (does(guest, ACT_TAKE_BACK)) {
        mischief->gave |= owes;
        if (mischief->phase ? for_ms >= TAKE_MS : mischief->gave && guest->actual_kib <= told_kib) {
            mischief->gave = false;
            turn(mischief, !mischief->phase, now_ms);
        }
    }
}

/* It is asked to give and does not, or takes what was not given to it. */
static void judge(struct guest *guest, uint64_t told_kib, uint64_t now_ms)
{
    struct mischief *mischief = &guest->mischief;
    uint64_t held_kib = guest->actual_kib;
    bool keeps = held_kib > told_kib + DEBT_KIB
                 && mischief_aim_kib(guest, told_kib) + PAGE_KIB >= whole_pages(held_kib);
    bool takes = held_kib > told_kib + TAKEN_KIB && held_kib > mischief->held_kib;

    if ((keeps || takes) && now_ms - mischief->bad_ms > PAUSE_MS) {
        mischief->offences++;
        if (mischief->offence_ms == 0) {
            mischief->offence_ms = now_ms;
            mischief->offence_kib = mischief->held_kib;
        }
    }
    if (mischief->offence_ms > 0 && held_kib > mischief->offence_kib)
        mischief->gained_kib = larger(mischief->gained_kib, held_kib - mischief->offence_kib);
    if (keeps || takes)
        mischief->bad_ms = now_ms;
    mischief->held_kib = held_kib;
}

void mischief_live(struct guest *guest, uint64_t told_kib, uint64_t now_ms)
{
    bool moved = told_kib + DEBT_KIB < guest->actual_kib || guest->actual_kib + DEBT_KIB < told_kib;

    if (does(guest, ACT_REBOOT) && moved && now_ms >= guest->boot_ms + REBOOT_MS) {
        guest->mischief.again = true;
        guest_destroy(guest);
        return;
    }
    if (!(guest->mischief.acts & OF_BALLOON))
        return;
    go_on(guest, told_kib, now_ms);
    judge(guest, told_kib, now_ms);
    guest->wake_ms = smaller(guest->wake_ms, now_ms + WAKE_MS);
}

/* Posts. */

static uint64_t uptime_us(const struct guest *guest)
{
    return (guest->last_ms - smaller(guest->last_ms, guest->boot_ms)) * 1000;
}

/* Uses all, and has stalled all its life. */
static void over_report(const struct guest *guest, struct report *report)
{
    report->free_kib = report->available_kib = 0;
    report->active_anon_kib = report->total_kib;
    report->active_file_kib = report->inactive_file_kib = 0;
    report->some_us = report->full_us = uptime_us(guest);
    report->some_avg10_centi = report->full_avg10_centi = 10000;
}

/* Uses all but a little, whatever it has, and stalls now and then. */
static void nearly_all_report(const struct guest *guest, struct report *report)
{
    uint64_t left_kib = smaller(report->total_kib, LEFT_KIB);

    report->free_kib = report->available_kib = left_kib;
    report->active_anon_kib = report->total_kib - left_kib;
    report->active_file_kib = report->inactive_file_kib = 0;
    report->swap_free_kib = report->swap_total_kib;
    report->swap_in_pages = report->swap_out_pages = report->major_faults = 0;
    report->refault_anon_pages = report->refault_file_pages = 0;
    report->some_us = report->full_us = uptime_us(guest) / 1000 / MOAN_MS * MOAN_US;
    report->some_avg10_centi = report->full_avg10_centi = 0;
}

static void idle_report(struct report *report)
{
    report->available_kib = report->total_kib;
    report->active_anon_kib = report->active_file_kib = 0;
}

static void wrap(struct report *report, bool high)
{
    report->seq = high ? REPORT_VALUE_MAX : 1;
    report->uptime_ms = high ? REPORT_VALUE_MAX : 0;
    report->some_us = report->full_us = high ? REPORT_VALUE_MAX : 0;
    report->swap_in_pages = report->swap_out_pages = high ? 0 : REPORT_VALUE_MAX;
    report->refault_file_pages = report->refault_anon_pages = high ? REPORT_VALUE_MAX : 0;
    report->major_faults = report->oom_kills = high ? 0 : REPORT_VALUE_MAX;
}

void mischief_lie(struct guest *guest, struct report *report)
{
    uint64_t odd = guest->mischief.posts++ % 2;

    if (!(guest->mischief.acts & OF_POSTS))
        return;
    if (does(guest, ACT_OVER_REPORT))
        over_report(guest, report);
    if (does(guest, ACT_NEARLY_ALL))
        nearly_all_report(guest, report);
    if (does(guest, ACT_OSCILLATE)) {
        if (guest->last_ms / SWING_MS % 2)
            over_report(guest, report);
        else
            idle_report(report);
    }
    if (does(guest, ACT_UNDER_REPORT)) {
        report->total_kib /= 4;
        report->free_kib = report->available_kib = 0;
        report->balloon_current_kib = report->total_kib;
    }
    if (does(guest, ACT_CONTRADICT)) {
        report->total_kib = guest->actual_kib + odd * 400 * 1024;
        report->free_kib = report->available_kib = 0;
        report->balloon_current_kib = guest->spec->maxmem_kib;
        report->balloon_target_kib = guest->spec->maxmem_kib;
    }
    if (does(guest, ACT_FORGE)) {
        report->some_us = report->full_us = uptime_us(guest) * 100;
        report->swap_in_pages = report->refault_anon_pages = uptime_us(guest);
    }
    if (does(guest, ACT_WRAP))
        wrap(report, odd);
}

bool mischief_floods(const struct guest *guest)
{
    return does(guest, ACT_FLOOD);
}

/* Bytes of every kind, or what looks like a report and is none. */
static void spoil(struct guest *guest)
{
    static const char *const kinds[] = {
        "",
        "v=%n seq=%s total_kib=%x available_kib=%d",
        "v=1 seq=1 total_kib=18446744073709551615 available_kib=18446744073709551615",
        "v=1 seq=1 total_kib=99999999999999999999999999999999 available_kib=-1",
        "v=1 seq=1 total_kib=1 available_kib=2",
    };
    char *text = guest->text[0];
    size_t kind = guest_random(&guest->random) % (sizeof(kinds) / sizeof(kinds[0]) + 1);

    if (kind < sizeof(kinds) / sizeof(kinds[0])) {
        (void)snprintf(text, sizeof(guest->text[0]), "%s", kinds[kind]);
        return;
    }
    for (size_t i = 0; i < sizeof(guest->text[0]) - 1; i++)
        text[i] = (char)(guest_random(&guest->random) % 255 + 1);
    text[sizeof(guest->text[0]) - 1] = '\0';
}

void mischief_posted(struct guest *guest)
{
    if (does(guest, ACT_RUBBISH))
        spoil(guest);
    if (does(guest, ACT_FLOOD))
        guest->look_ms = guest->last_ms + GUEST_QUANTUM_MS;
}
