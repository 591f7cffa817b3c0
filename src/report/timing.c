/* SPDX-License-Identifier: ISC */
#include "report/timing.h"

#include "util/bounds.h"

/* A change of available memory that matters: this part of the whole, or of what was available when
 * that is less, since the less is left the sooner it is gone. The daemon moves nothing below 4
 * MiB. */
#define CHANGE_KIB 4096
#define CHANGE_SHARE 32
#define CHANGE_SHARE_AVAILABLE 8

/* Stall time since the last post that matters: 1 % of a quarter of a second. */
#define STALL_US 2500

/* While its driver is asked for more than this that it has not let go yet, it posts so often: if it
 * uses that, nothing else tells. */
#define OWED_KIB 4096
#define OWED_MS 1000

/* Read again since the last post after it had been swapped out or dropped from the cache: 1 MiB. Of
 * a want of cache nothing else tells where the kernel counts no pressure. */
#define READ_AGAIN_PAGES 256

/* How far a count went on; 0 when one of the two is not there. */
static uint64_t gained(uint64_t now, uint64_t before)
{
    if (now == REPORT_ABSENT || before == REPORT_ABSENT || now < before)
        return 0;
    return now - before;
}

uint64_t timing_matters_kib(const struct report *posted)
{
    uint64_t matters =
        smaller(posted->total_kib / CHANGE_SHARE, posted->available_kib / CHANGE_SHARE_AVAILABLE);

    return larger(matters, CHANGE_KIB);
}

static bool memory_changed(const struct report *now, const struct report *posted)
{
    uint64_t matters = timing_matters_kib(posted);

    return distance(now->available_kib, posted->available_kib) >= matters
           || distance(now->total_kib, posted->total_kib) >= matters;
}

/* What it would like to hold matters at once: dom0 raises its limit by it. */
static bool wish_changed(const struct report *now, const struct report *posted)
{
    bool sizes_itself = now->selftarget_kib != REPORT_ABSENT;

    if (sizes_itself != (posted->selftarget_kib != REPORT_ABSENT))
        return true;
    return sizes_itself && distance(now->selftarget_kib, posted->selftarget_kib) >= CHANGE_KIB;
}

static bool pressed(const struct report *now, const struct report *posted)
{
    return gained(now->some_us, posted->some_us) >= STALL_US
           || gained(now->swap_in_pages, posted->swap_in_pages)
                      + gained(now->refault_file_pages, posted->refault_file_pages)
                  >= READ_AGAIN_PAGES
           || gained(now->oom_kills, posted->oom_kills) > 0;
}

bool timing_due(const struct report *now, const struct report *posted, uint64_t elapsed_ms)
{
    return !posted || elapsed_ms >= TIMING_HEARTBEAT_MS || memory_changed(now, posted)
           || wish_changed(now, posted) || pressed(now, posted)
           || (report_owed_kib(now) > OWED_KIB && elapsed_ms >= OWED_MS);
}
