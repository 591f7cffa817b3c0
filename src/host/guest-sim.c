/* SPDX-License-Identifier: ISC */
#include "host/guest-sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/timing.h"
#include "util/bounds.h"

#define PAGE_KIB 4
#define NEVER UINT64_MAX

/* All but the last four as measured with Debian's Linux 6.1 on Xen 4.17. */
#define WATERMARK_KIB 1228   /* what the kernel never uses up */
#define WAKE_MS 50           /* from the store to the driver's first page */
#define RETRY_MS 2000        /* then twice, then four times that */
#define RETRIES 3            /* then it sleeps */
#define SLEEP_MS 3600000     /* unless the target changes */
#define GULP_KIB (32 * 1024) /* asked to swap out more than this at once, it kills */
#define SWAP_IN_KIB_MS 54    /* at full stall */
#define REFAULT_PAGES_MS 90  /* when the whole cache is missing */
#define SWAP_OUT_KIB_MS 150
#define OOM_AFTER_MS 500      /* of an allocation that gets nothing */
#define RESTART_AFTER_MS 5000 /* of what was killed */
#define BUILD_KIB_MS 512      /* the toolstack fills a new guest */
#define DIE_KIB_MS 2048       /* the hypervisor takes a dead one's memory */

#define BUSY 0.02 /* stalled share of the time from which an agent with a lag is late */
#define XENSERVER_MS 60000
#define QUBES_LOOK_MS 100
#define QUBES_STEP_KIB (30 * 1024)

/* Of what a backup reads, this part it has read before and lost since, whatever it holds. */
#define READ_AGAIN 8

/* So little below its minimum is at it: a balloon may be off its target. */
#define NEAR_KIB 1024

uint64_t guest_random(uint64_t *seed)
{
    uint64_t z;

    /* splitmix64 */
    *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = *seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* What the credit schedulers give a new domain. */
#define SCHED_WEIGHT 256

void guest_init(struct guest *ret_guest, const struct guest_spec *spec, uint64_t seed)
{
    struct guest guest = { .spec = spec, .random = seed, .next_ms = NEVER };

    for (size_t i = 0; spec->name[i]; i++)
        guest.random = guest.random * 31 + (unsigned char)spec->name[i];
    *ret_guest = guest;
}

void guest_free(struct guest *guest)
{
    rises_free(&guest->stats.rises);
}

/* Everything of this life, and nothing of the last but the accounts. */
static void new_life(struct guest *guest, uint32_t domid, uint64_t now_ms)
{
    struct guest fresh = {
        .spec = guest->spec,
        .min_kib = guest->min_kib,
        .stats = guest->stats,
        .random = guest->random,
        .domid = domid,
        .last_ms = now_ms,
        .next_ms = now_ms,
        .cap_kib = guest->spec->memory_kib + GUEST_SLACK_KIB,
        .target_kib = guest->spec->memory_kib,
        .sched = { .weight = SCHED_WEIGHT },
        .from_kib = guest->spec->need_kib,
        .to_kib = guest->spec->need_kib,
        .from_ms = now_ms,
        .to_ms = now_ms,
        .need_kib = guest->spec->need_kib,
        .courses = guest->courses + 1,
        .rest_ms = NEVER,
        .loose_ms = NEVER,
        .mischief = guest->mischief,
    };

    for (size_t i = 0; i < sizeof(fresh.uuid); i++)
        fresh.uuid[i] = (uint8_t)guest_random(&fresh.random);
    mischief_begin(&fresh.mischief, guest->spec->acts, now_ms);
    fresh.noise_ms =
        guest->spec->noise_kib > 0 ? now_ms + guest_random(&fresh.random) % 1000 : NEVER;
    report_clear(&fresh.posted);
    *guest = fresh;
}

/* Agents do not look at the same instant. */
static void start_agent(struct guest *guest, uint64_t at_ms)
{
    guest->boot_ms = at_ms;
    guest->look_ms = guest->spec->posts == DIALECT_NONE
                         ? NEVER
                         : at_ms + guest_random(&guest->random) % TIMING_LOOK_MS;
}

void guest_begin(struct guest *guest, uint32_t domid, uint64_t now_ms)
{
    new_life(guest, domid, now_ms);
    guest->life = GUEST_RUNNING;
    guest->actual_kib = guest->spec->memory_kib;
    start_agent(guest, now_ms);
}

void guest_build(struct guest *guest, uint32_t domid, uint64_t now_ms)
{
    new_life(guest, domid, now_ms);
    guest->started_ms = now_ms;
    guest->life = GUEST_BUILDING;
    guest->booting = true;
    guest->need_kib = smaller(guest->need_kib, guest->spec->memory_kib);
}

uint64_t guest_claim_kib(const struct guest *guest)
{
    return guest->life == GUEST_BUILDING ? above(guest->spec->memory_kib, guest->actual_kib) : 0;
}

uint64_t guest_reach_kib(const struct guest *guest)
{
    if (guest->life == GUEST_ABSENT)
        return 0;
    if (guest->life == GUEST_DYING)
        return guest->actual_kib; /* the hypervisor gives it nothing any more */
    return guest->actual_kib > guest->cap_kib ? guest->actual_kib : guest->cap_kib;
}

/* Accounts. */

static uint64_t unmet_kib(const struct guest *guest)
{
    return above(guest->need_kib, guest->actual_kib);
}

/* The rise that was under way has ended. */
static void end_rise(struct guest *guest, bool served)
{
    rises_end(&guest->stats.rises, guest->last_ms, served);
}

/* From last_ms to now everything was as it is. */
static void account(struct guest *guest, uint64_t dt)
{
    struct guest_stats *stats = &guest->stats;
    double ms = (double)dt;

    stats->lived_ms += dt;
    if (guest->actual_kib + NEAR_KIB < guest->min_kib)
        stats->short_ms += dt;
    stats->need_kib_ms += (double)guest->need_kib * ms;
    stats->held_kib_ms += (double)guest->actual_kib * ms;
    stats->unmet_kib_ms += (double)unmet_kib(guest) * ms;
    stats->idle_kib_ms += (double)above(guest->actual_kib, guest->need_kib) * ms;
    stats->stall_ms += guest->some * ms;
    if (guest->squeezed)
        stats->squeezed_ms += guest->some * ms;
    if (unmet_kib(guest) > RISES_SERVED_KIB)
        stats->rises.wait_ms += ms;
    if (guest->last_ms - dt < guest->read_until_ms)
        guest->refault_file_pages += (double)guest->read_kib_s / PAGE_KIB * ms / 1000 / READ_AGAIN;
    guest->some_us += guest->some * ms * 1000;
    guest->full_us += guest->full * ms * 1000;
    guest->some_avg10 += (guest->some - guest->some_avg10) * ms / (10000 + ms);
    guest->full_avg10 += (guest->full - guest->full_avg10) * ms / (10000 + ms);
}

void guest_finish(struct guest *guest)
{
    end_rise(guest, unmet_kib(guest) <= RISES_SERVED_KIB);
}

/* Need. */

void guest_set_need(struct guest *guest, uint64_t need_kib, uint64_t over_ms, uint64_t for_ms)
{
    uint64_t now_ms = guest->last_ms;
    uint64_t course_kib = above(guest->need_kib, guest->noise_kib);
    uint64_t rise_kib = above(need_kib, course_kib);
    uint64_t fastest_ms = rise_kib * 1000 / guest->spec->alloc_kib_s;

    end_rise(guest, unmet_kib(guest) <= RISES_SERVED_KIB);
    guest->courses++;
    guest->climbs = rise_kib > RISES_LEAST_KIB;
    if (guest->climbs) {
        guest->squeezed = false; /* from here on it is its own doing */
        rises_begin(&guest->stats.rises, now_ms);
    }
    guest->from_kib = course_kib;
    guest->to_kib = need_kib;
    guest->from_ms = now_ms;
    guest->to_ms = now_ms + (over_ms > fastest_ms ? over_ms : fastest_ms);
    guest->rest_ms = for_ms > 0 ? now_ms + for_ms : NEVER;
    guest->killed_ms = 0;
    guest->next_ms = now_ms;
}

/* What it is for begins: its need rises from what it was started with. */
static void end_boot(struct guest *guest)
{
    uint64_t for_ms = guest->rest_ms == NEVER ? 0 : guest->rest_ms - guest->last_ms;

    guest->booting = false;
    guest_set_need(guest, guest->to_kib, 0, for_ms);
}

static void follow_course(struct guest *guest, uint64_t now_ms)
{
    uint64_t need_kib;

    if (now_ms >= guest->rest_ms)
        guest_set_need(guest, guest->spec->need_kib, 0, 0);
    if (guest->booting && now_ms >= guest->boot_ms)
        end_boot(guest);
    need_kib = guest->to_kib;
    if (now_ms < guest->to_ms) {
        double share = (double)(now_ms - guest->from_ms) / (double)(guest->to_ms - guest->from_ms);
        double course =
            (double)guest->from_kib + ((double)guest->to_kib - (double)guest->from_kib) * share;

        need_kib = (uint64_t)course;
    }
    if (now_ms >= guest->noise_ms) {
        guest->noise_kib = guest_random(&guest->random) % (guest->spec->noise_kib + 1);
        guest->noise_ms += 1000;
    }
    guest->need_kib = need_kib + guest->noise_kib;
    if (guest->booting)
        guest->need_kib = smaller(guest->need_kib, guest->spec->memory_kib);
}

/* Memory: what the guest uses is what it needs, less its hidden part, and less what was killed. */

struct use {
    uint64_t room_kib;  /* that it could use */
    uint64_t anon_kib;  /* its own and the kernel's; not to be dropped */
    uint64_t cache_kib; /* of files; can be dropped, and is read again at once */
    uint64_t all_kib;
};

static struct use use_of(const struct guest *guest)
{
    uint64_t total_kib = above(guest->actual_kib, guest->spec->hidden_kib);
    uint64_t used_kib = above(guest->need_kib, guest->spec->hidden_kib);
    struct use use = { .room_kib = above(total_kib, WATERMARK_KIB) };

    /* While a guest boots it fits into what it was started with; one that was killed for want of
     * memory leaves a quarter free. */
    if (guest->booting)
        used_kib = smaller(used_kib, use.room_kib);
    if (guest->killed_ms > 0)
        used_kib = smaller(used_kib, use.room_kib / 4 * 3);
    use.cache_kib = smaller(guest->spec->cache_kib, used_kib);
    use.anon_kib = used_kib - use.cache_kib;
    use.all_kib = used_kib > 0 ? used_kib : 1;
    return use;
}

static void kill_worker(struct guest *guest, uint64_t now_ms)
{
    guest->stats.oom_kills++;
    guest->killed_ms = now_ms + RESTART_AFTER_MS;
    guest->oom_ms = 0;
    guest->swapped_kib = 0;
    guest->waiting_kib = 0;
}

static uint64_t swap_out(struct guest *guest, uint64_t want_kib, uint64_t dt)
{
    uint64_t kib = smaller(smaller(want_kib, dt * SWAP_OUT_KIB_MS),
                           above(guest->spec->swap_kib, guest->swapped_kib));

    guest->swapped_kib += kib;
    guest->swap_out_pages += (double)kib / PAGE_KIB;
    return kib;
}

/* Swaps out what does not fit and in what does; kills when neither helps. */
static void fit(struct guest *guest, uint64_t now_ms, uint64_t dt)
{
    struct use use = use_of(guest);
    uint64_t resident_kib;

    guest->swapped_kib = smaller(guest->swapped_kib, use.anon_kib);
    resident_kib = use.anon_kib - guest->swapped_kib;
    if (resident_kib <= use.room_kib) {
        uint64_t back_kib =
            smaller(smaller(guest->swapped_kib, use.room_kib - resident_kib), dt * SWAP_IN_KIB_MS);

        guest->swapped_kib -= back_kib;
        guest->swap_in_pages += (double)back_kib / PAGE_KIB;
        guest->waiting_kib = 0;
        guest->oom_ms = 0;
        return;
    }
    guest->waiting_kib = resident_kib - use.room_kib;
    guest->waiting_kib -= swap_out(guest, guest->waiting_kib, dt);
    if (guest->waiting_kib == 0 || guest->swapped_kib < guest->spec->swap_kib)
        guest->oom_ms = 0;
    else if (guest->oom_ms == 0)
        guest->oom_ms = now_ms + OOM_AFTER_MS;
    else if (now_ms >= guest->oom_ms)
        kill_worker(guest, now_ms);
}

/* What being short costs. The curve goes through what was measured: 38 % of the working set on swap
 * gave 53 % stall; 41 % of a hot cache missing gave 10 % stall and 37,000 refaults a second. */
static void suffer(struct guest *guest, uint64_t dt)
{
    struct use use = use_of(guest);
    uint64_t resident_kib = above(use.anon_kib, guest->swapped_kib);
    uint64_t cached_kib = smaller(use.cache_kib, above(use.room_kib, resident_kib));
    double out = (double)(guest->swapped_kib + guest->waiting_kib) / (double)use.all_kib;
    double missing = (double)(use.cache_kib - cached_kib) / (double)use.all_kib;
    double thrash = 3 * out / (1 + 3 * out);
    double reread = missing / 4;
    double pages = thrash * (double)(dt * SWAP_IN_KIB_MS) / PAGE_KIB;

    if (guest->swapped_kib > 0) {
        guest->swap_in_pages += pages;
        guest->swap_out_pages += pages;
    }
    guest->refault_file_pages += missing * (double)(dt * REFAULT_PAGES_MS);
    guest->some = thrash + reread - thrash * reread;
    guest->full = 0.65 * thrash + 0.95 * reread * (1 - thrash);
    if (guest->target_kib >= guest->need_kib && guest->some == 0)
        guest->squeezed = false;
}

/* Balloon driver. */

static void back_off(struct guest *guest, uint64_t now_ms)
{
    guest->wake_ms =
        now_ms + (guest->tries < RETRIES ? (uint64_t)RETRY_MS << guest->tries : SLEEP_MS);
    guest->tries++;
}

/* Where its target leads an honest driver: off by a little, in whole pages. */
static uint64_t told_kib(const struct guest *guest)
{
    int64_t aim = (int64_t)guest->target_kib + guest->spec->offset_kib;

    return aim > PAGE_KIB ? (uint64_t)aim / PAGE_KIB * PAGE_KIB : PAGE_KIB;
}

static uint64_t aim_kib(const struct guest *guest)
{
    return mischief_aim_kib(guest, told_kib(guest));
}

static void inflate(struct guest *guest, uint64_t want_kib, uint64_t now_ms, uint64_t dt)
{
    struct use use = use_of(guest);
    uint64_t resident_kib = above(use.anon_kib, guest->swapped_kib);
    uint64_t step_kib = smaller(want_kib, dt * guest->spec->down_kib_s / 1000);
    uint64_t give_kib = smaller(step_kib, above(use.room_kib, resident_kib));

    if (step_kib < PAGE_KIB)
        return;
    if (give_kib < PAGE_KIB && guest->swapped_kib < guest->spec->swap_kib) {
        if (want_kib > GULP_KIB && guest->killed_ms == 0) {
            kill_worker(guest, now_ms);
            return;
        }
        give_kib = swap_out(guest, smaller(step_kib, resident_kib), dt);
    }
    give_kib = give_kib / PAGE_KIB * PAGE_KIB;
    guest->actual_kib -= give_kib;
    if (give_kib > 0)
        guest->tries = 0;
    else
        back_off(guest, now_ms);
}

static void deflate(struct guest *guest, uint64_t want_kib, uint64_t free_kib, uint64_t now_ms,
                    uint64_t dt)
{
    uint64_t step_kib = smaller(want_kib, dt * guest->spec->up_kib_s / 1000);
    uint64_t room_kib = smaller(free_kib, above(guest->cap_kib, guest->actual_kib));
    uint64_t got_kib = smaller(step_kib, room_kib) / PAGE_KIB * PAGE_KIB;

    if (step_kib < PAGE_KIB)
        return;
    guest->actual_kib += got_kib;
    guest->stats.moved_kib += got_kib;
    if (got_kib > 0)
        guest->tries = 0;
    else
        back_off(guest, now_ms);
}

static bool balloon_off(const struct guest *guest)
{
    return guest->spec->frozen || guest->stuck;
}

/* True when the driver is at work, or will be without being told anew. */
static bool balloon_busy(const struct guest *guest)
{
    return !balloon_off(guest) && guest->actual_kib / PAGE_KIB * PAGE_KIB != aim_kib(guest);
}

static void run_balloon(struct guest *guest, uint64_t free_kib, uint64_t now_ms, uint64_t dt)
{
    uint64_t aim = aim_kib(guest);

    if (now_ms >= guest->loose_ms)
        guest_loosen(guest);
    if (guest->booting || now_ms < guest->wake_ms || !balloon_busy(guest))
        return;
    /* It was idle until now, however long that was. */
    dt = smaller(dt, GUEST_QUANTUM_MS);
    if (guest->actual_kib > aim)
        inflate(guest, guest->actual_kib - aim, now_ms, dt);
    else
        deflate(guest, aim - guest->actual_kib, free_kib, now_ms, dt);
}

void guest_set_target(struct guest *guest, uint64_t target_kib, uint64_t cap_kib)
{
    bool same = target_kib / PAGE_KIB == guest->target_kib / PAGE_KIB;
    bool busy = balloon_busy(guest) && guest->wake_ms <= guest->last_ms;

    guest->squeezed |= target_kib < guest->target_kib && target_kib < guest->need_kib;
    guest->target_kib = target_kib;
    guest->cap_kib = cap_kib;
    if (same)
        return;
    guest->tries = 0;
    if (!busy)
        guest->wake_ms = guest->last_ms + WAKE_MS;
    guest->next_ms =
        smaller(guest->next_ms, guest->wake_ms > guest->last_ms ? guest->wake_ms : guest->last_ms);
}

void guest_read(struct guest *guest, uint64_t kib_s, uint64_t for_ms)
{
    guest->read_kib_s = kib_s;
    guest->read_until_ms = for_ms > 0 ? guest->last_ms + for_ms : NEVER;
    guest->next_ms = guest->last_ms;
}

void guest_set_cap(struct guest *guest, uint64_t cap_kib)
{
    guest->cap_kib = cap_kib;
    guest->next_ms = guest->last_ms;
}

void guest_stick(struct guest *guest, uint64_t for_ms)
{
    guest->stuck = true;
    guest->loose_ms = for_ms > 0 ? guest->last_ms + for_ms : NEVER;
    guest->next_ms = guest->last_ms;
}

void guest_loosen(struct guest *guest)
{
    guest->stuck = false;
    guest->loose_ms = NEVER;
    guest->wake_ms = guest->last_ms + WAKE_MS;
    guest->tries = 0;
    guest->next_ms = guest->last_ms;
}

/* Agents. */

static void make_report(const struct guest *guest, struct report *ret_report)
{
    struct use use = use_of(guest);
    uint64_t resident_kib = smaller(above(use.anon_kib, guest->swapped_kib), use.room_kib);
    uint64_t rest_kib = use.room_kib - resident_kib;
    uint64_t cached_kib = smaller(use.cache_kib, rest_kib);
    bool reads = guest->read_kib_s > 0 && guest->last_ms < guest->read_until_ms;
    /* Half of what nobody needs has been filled with what was read once; all of it by a backup. */
    uint64_t dead_kib = (rest_kib - cached_kib) / (reads ? 1 : 2);
    struct report report;

    report_clear(&report);
    report.version = REPORT_VERSION;
    report.uptime_ms = above(guest->last_ms, guest->boot_ms);
    report.total_kib = above(guest->actual_kib, guest->spec->hidden_kib);
    report.free_kib = smaller(report.total_kib, WATERMARK_KIB) + rest_kib - cached_kib - dead_kib;
    report.available_kib = rest_kib;
    report.committed_kib = use.anon_kib + guest->spec->commit_kib;
    report.active_anon_kib = resident_kib / 2;
    report.inactive_anon_kib = resident_kib / 4;
    report.active_file_kib = cached_kib;
    report.inactive_file_kib = dead_kib;
    report.dirty_kib = 0;
    report.slab_reclaimable_kib = 0;
    report.swap_total_kib = guest->spec->swap_kib;
    report.swap_free_kib = guest->spec->swap_kib - guest->swapped_kib;
    report.swap_in_pages = (uint64_t)guest->swap_in_pages;
    report.swap_out_pages = (uint64_t)guest->swap_out_pages;
    report.refault_anon_pages = (uint64_t)guest->swap_in_pages;
    report.refault_file_pages = (uint64_t)guest->refault_file_pages;
    report.major_faults = report.swap_in_pages + report.refault_file_pages / 8;
    report.direct_reclaim_pages = report.swap_out_pages / 2;
    report.oom_kills = guest->stats.oom_kills;
    report.some_avg10_centi = (uint64_t)(guest->some_avg10 * 10000);
    report.full_avg10_centi = (uint64_t)(guest->full_avg10 * 10000);
    report.some_us = (uint64_t)guest->some_us;
    report.full_us = (uint64_t)guest->full_us;
    if (!guest->spec->frozen) {
        report.balloon_current_kib = guest->actual_kib;
        report.balloon_target_kib = guest->target_kib;
    }
    *ret_report = report;
}

static void post_ballast(struct guest *guest, const struct report *now, uint64_t now_ms)
{
    bool due =
        mischief_floods(guest)
        || timing_due(now, guest->has_post ? &guest->posted : NULL, now_ms - guest->posted_ms);

    guest->look_ms = now_ms + TIMING_LOOK_MS;
    if (guest->some > BUSY)
        guest->look_ms += above(guest->spec->lag_ms, TIMING_LOOK_MS);
    if (!due)
        return;
    guest->posted_ms = now_ms;
    guest->posted = *now;
    if (report_format(&guest->posted, guest->text[0], sizeof(guest->text[0])) < 0)
        return;
    guest->fresh = guest->has_post = true;
}

static void post_numbers(struct guest *guest, uint64_t first, uint64_t second)
{
    (void)snprintf(guest->text[0], sizeof(guest->text[0]), "%" PRIu64, first);
    (void)snprintf(guest->text[1], sizeof(guest->text[1]), "%" PRIu64, second);
    guest->fresh = guest->has_post = true;
}

static void post_qubes(struct guest *guest, const struct report *now, uint64_t now_ms)
{
    uint64_t used_kib =
        now->total_kib - now->available_kib + now->swap_total_kib - now->swap_free_kib;

    guest->look_ms = now_ms + QUBES_LOOK_MS;
    if (guest->has_post && distance(used_kib, guest->posted.committed_kib) < QUBES_STEP_KIB)
        return;
    guest->posted.committed_kib = used_kib;
    post_numbers(guest, used_kib, now->swap_total_kib - now->swap_free_kib);
}

static void run_agent(struct guest *guest, uint64_t now_ms)
{
    struct report now;

    if (now_ms < guest->look_ms)
        return;
    make_report(guest, &now);
    now.seq = guest->posted.seq == REPORT_ABSENT ? 1 : guest->posted.seq + 1;
    mischief_lie(guest, &now);
    if (guest->spec->posts == DIALECT_BALLAST) {
        post_ballast(guest, &now, now_ms);
    } else if (guest->spec->posts == DIALECT_QUBES) {
        post_qubes(guest, &now, now_ms);
    } else {
        guest->look_ms = now_ms + XENSERVER_MS;
        post_numbers(guest, now.total_kib, now.available_kib);
    }
    mischief_posted(guest);
}

/* Life. */

void guest_pause(struct guest *guest, uint64_t for_ms)
{
    if (guest->life != GUEST_RUNNING)
        return;
    guest->life = GUEST_PAUSED;
    guest->resume_ms = for_ms > 0 ? guest->last_ms + for_ms : NEVER;
    guest->next_ms = guest->resume_ms;
}

void guest_unpause(struct guest *guest)
{
    if (guest->life != GUEST_PAUSED)
        return;
    guest->life = GUEST_RUNNING;
    guest->next_ms = guest->last_ms;
}

void guest_shutdown(struct guest *guest)
{
    end_rise(guest, false);
    guest->life = GUEST_SHUTDOWN;
    guest->next_ms = NEVER;
}

void guest_destroy(struct guest *guest)
{
    end_rise(guest, unmet_kib(guest) <= RISES_SERVED_KIB);
    guest->life = GUEST_DYING;
    guest->next_ms = guest->last_ms;
}

static void build(struct guest *guest, uint64_t free_kib, uint64_t now_ms, uint64_t dt)
{
    guest->actual_kib += smaller(smaller(dt * BUILD_KIB_MS, guest_claim_kib(guest)), free_kib);
    guest->next_ms = now_ms + GUEST_QUANTUM_MS;
    if (guest_claim_kib(guest) > 0)
        return;
    guest->life = GUEST_RUNNING;
    start_agent(guest, now_ms + guest->spec->boot_ms);
}

static void die(struct guest *guest, uint64_t now_ms, uint64_t dt)
{
    guest->actual_kib = above(guest->actual_kib, dt * DIE_KIB_MS);
    guest->next_ms = now_ms + GUEST_QUANTUM_MS;
    if (guest->actual_kib == 0) {
        guest->life = GUEST_ABSENT;
        guest->next_ms = NEVER;
    }
}

/* When it must be looked at again: at the next quantum while anything moves. */
static uint64_t next_of(const struct guest *guest, uint64_t now_ms)
{
    uint64_t next_ms =
        smaller(smaller(guest->look_ms, guest->noise_ms), smaller(guest->rest_ms, guest->loose_ms));
    struct use use = use_of(guest);
    bool swapping =
        guest->swapped_kib > 0 && use.room_kib > above(use.anon_kib, guest->swapped_kib);
    bool works = balloon_busy(guest) && guest->wake_ms <= now_ms;

    if (now_ms < guest->to_ms || swapping || guest->waiting_kib > 0 || works)
        return now_ms + GUEST_QUANTUM_MS;
    if (balloon_busy(guest))
        next_ms = smaller(next_ms, guest->wake_ms);
    if (guest->killed_ms > 0)
        next_ms = smaller(next_ms, guest->killed_ms);
    if (guest->booting)
        next_ms = smaller(next_ms, guest->boot_ms);
    if (mischief_restless(guest))
        next_ms = smaller(next_ms, now_ms + MISCHIEF_QUANTUM_MS);
    return next_ms > now_ms ? next_ms : now_ms + GUEST_QUANTUM_MS;
}

static void run(struct guest *guest, uint64_t free_kib, uint64_t now_ms, uint64_t dt)
{
    account(guest, dt);
    guest->last_ms = now_ms;
    follow_course(guest, now_ms);
    if (guest->killed_ms > 0 && now_ms >= guest->killed_ms)
        guest->killed_ms = 0;
    mischief_live(guest, told_kib(guest), now_ms);
    if (guest->life != GUEST_RUNNING)
        return;
    run_balloon(guest, free_kib, now_ms, dt);
    fit(guest, now_ms, dt);
    suffer(guest, dt);
    if (now_ms >= guest->to_ms && unmet_kib(guest) <= RISES_SERVED_KIB)
        end_rise(guest, true);
    run_agent(guest, now_ms);
    guest->next_ms = next_of(guest, now_ms);
}

void guest_step(struct guest *guest, uint64_t now_ms, uint64_t free_kib)
{
    uint64_t dt = now_ms - guest->last_ms;

    guest->last_ms = now_ms;
    switch (guest->life) {
    case GUEST_RUNNING:
        run(guest, free_kib, now_ms, dt);
        break;
    case GUEST_BUILDING:
        build(guest, free_kib, now_ms, dt);
        break;
    case GUEST_DYING:
        die(guest, now_ms, dt);
        break;
    case GUEST_PAUSED:
        guest->next_ms = guest->resume_ms;
        if (now_ms >= guest->resume_ms)
            guest_unpause(guest);
        break;
    case GUEST_SHUTDOWN:
    case GUEST_ABSENT:
        guest->next_ms = NEVER;
        break;
    }
}
