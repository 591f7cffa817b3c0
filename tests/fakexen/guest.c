/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "guest.h"
#include "report/report.h"

/* A PVH domain on Xen 4.17 holds 64 KiB more than its target says. */
#define PVH_OFFSET_KIB 64

/* What a kernel keeps for itself and does not call MemTotal: about that much in a small domain. */
#define KERNEL_KIB 16384

/* A driver that is off by less than this does not move. */
#define PAGE_KIB 4

/* More than any domain can get. */
#define EVERYTHING_KIB (UINT64_MAX / 2)

/* A change of size that is worth a post, and the least time between two of them. */
#define POST_STEP_KIB 1024
#define POST_GAP_MS 100

uint64_t guest_held_kib(const struct hv *hv, const struct guest *guest)
{
    const struct hv_domain *domain = &hv->domains[guest->spec.domid];

    return domain->used ? domain->tot_pages * PAGE_KIB : 0;
}

uint64_t guest_goal_kib(const struct guest *guest)
{
    uint64_t offset_kib = guest->spec.type == DOMAIN_PVH ? PVH_OFFSET_KIB : 0;

    return guest->goal_kib + offset_kib + domain_video_kib(guest->spec.type);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool guest_step(struct hv *hv, struct guest *guest, uint64_t elapsed_ms)
{
    uint64_t held_kib = guest_held_kib(hv, guest);
    uint64_t goal_kib = guest->greedy ? EVERYTHING_KIB : guest_goal_kib(guest);
    uint64_t step_kib = guest->rate_kib * elapsed_ms / 1000;

    if (!guest->awake || guest->rate_kib == 0 || !hv->domains[guest->spec.domid].used)
        return false;
    if (goal_kib < guest->floor_kib)
        goal_kib = guest->floor_kib;
    if (held_kib >= goal_kib + PAGE_KIB) {
        (void)hv_release(hv, guest->spec.domid, least(step_kib, held_kib - goal_kib) / PAGE_KIB);
        return true;
    }
    if (goal_kib >= held_kib + PAGE_KIB) {
        (void)hv_populate(hv, guest->spec.domid, least(step_kib, goal_kib - held_kib) / PAGE_KIB);
        return true;
    }
    return false;
}

void guest_disconnect(struct guest *guest)
{
    if (guest->xs)
        xs_close(guest->xs);
    guest->xs = NULL;
}

int guest_write(struct guest *guest, const char *node, const void *value, unsigned length)
{
    int error;

    if (!guest->xs)
        guest->xs = domain_connect(guest->spec.domid);
    if (!guest->xs)
        return -errno;
    if (xs_write(guest->xs, XBT_NULL, node, value, length))
        return 0;
    error = errno;
    /* These mean that the store has refused; all others that the connection is of no more use. */
    if (error != EACCES && error != EINVAL && error != ENOSPC && error != E2BIG)
        guest_disconnect(guest);
    return -error;
}

static int write_number(struct guest *guest, const char *node, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%" PRIu64, number);

    return guest_write(guest, node, text, (unsigned)length);
}

static int post_ballast(struct guest *guest, uint64_t total_kib, uint64_t available_kib,
                        bool short_of_it, uint64_t now_ms)
{
    struct report report;
    char text[REPORT_MAX];
    int length;

    report_clear(&report);
    report.version = REPORT_VERSION;
    report.seq = guest->seq;
    report.uptime_ms = now_ms;
    report.total_kib = total_kib;
    report.free_kib = available_kib / 2;
    report.available_kib = available_kib;
    report.committed_kib = guest->need_kib;
    report.active_anon_kib = least(guest->need_kib, total_kib);
    report.inactive_anon_kib = 0;
    report.active_file_kib = 0;
    report.inactive_file_kib = available_kib - available_kib / 2;
    report.swap_total_kib = 0;
    report.swap_free_kib = 0;
    report.swap_in_pages = 0;
    report.swap_out_pages = 0;
    report.refault_anon_pages = guest->refaults;
    report.refault_file_pages = guest->refaults;
    report.some_avg10_centi = short_of_it ? 3000 : 0;
    report.full_avg10_centi = short_of_it ? 1500 : 0;
    report.some_us = guest->stalled_us;
    report.full_us = guest->stalled_us / 2;
    report.balloon_current_kib = total_kib + KERNEL_KIB;
    report.balloon_target_kib = guest->goal_kib;
    length = report_format(&report, text, sizeof(text));
    return length < 0 ? length : guest_write(guest, REPORT_NODE, text, (unsigned)length);
}

static int post_xenserver(struct guest *guest, uint64_t total_kib, uint64_t available_kib)
{
    int r = write_number(guest, "data/meminfo_total", total_kib);

    if (r == 0)
        r = write_number(guest, "data/meminfo_free", available_kib);
    return r == 0 ? guest_write(guest, "data/updated", "1", 1) : r;
}

static int post_self(struct guest *guest, uint64_t held_kib)
{
    int r = write_number(guest, "memory/actual", held_kib);

    if (r == 0)
        r = write_number(guest, "memory/minimum", guest->floor_kib);
    return r == 0 ? write_number(guest, "memory/selftarget", guest->need_kib + KERNEL_KIB) : r;
}

int guest_post(struct hv *hv, struct guest *guest, uint64_t now_ms)
{
    uint64_t held_kib = guest_held_kib(hv, guest);
    uint64_t total_kib = held_kib > KERNEL_KIB ? held_kib - KERNEL_KIB : 0;
    uint64_t available_kib = total_kib > guest->need_kib ? total_kib - guest->need_kib : 0;
    uint64_t since_ms = guest->last_post_ms ? now_ms - guest->last_post_ms : 0;
    bool short_of_it = guest->need_kib > total_kib;

    guest->last_post_ms = now_ms;
    guest->last_held_kib = held_kib;
    guest->seq++;
    if (short_of_it) {
        guest->stalled_us += since_ms * 300;
        guest->refaults += since_ms * 10;
    }
    switch (guest->dialect) {
    case DIALECT_BALLAST:
        return post_ballast(guest, total_kib, available_kib, short_of_it, now_ms);
    case DIALECT_XENSERVER:
        return post_xenserver(guest, total_kib, available_kib);
    case DIALECT_QUBES:
        return write_number(guest, "memory/meminfo", least(guest->need_kib, total_kib));
    case DIALECT_SELF:
        return post_self(guest, held_kib);
    case DIALECT_NONE:
        break;
    }
    return 0;
}

bool guest_post_due(const struct hv *hv, const struct guest *guest, uint64_t now_ms)
{
    uint64_t held_kib = guest_held_kib(hv, guest);
    uint64_t since_ms = now_ms - guest->last_post_ms;
    uint64_t moved_kib = held_kib > guest->last_held_kib ? held_kib - guest->last_held_kib
                                                         : guest->last_held_kib - held_kib;

    if (!guest->awake || guest->dialect == DIALECT_NONE || guest->beat_ms == 0 || held_kib == 0)
        return false;
    return since_ms >= guest->beat_ms || (moved_kib >= POST_STEP_KIB && since_ms >= POST_GAP_MS);
}

static int permit_all(struct guest *guest, struct xs_handle *dom0, const char *const *nodes)
{
    int r = 0;

    for (; *nodes && r == 0; nodes++)
        r = domain_permit(dom0, guest->spec.domid, *nodes);
    return r;
}

int guest_set_dialect(struct guest *guest, struct xs_handle *dom0, const char *word)
{
    static const char *const none[] = { NULL };
    static const char *const qubes[] = { "memory/meminfo", NULL };
    static const char *const self[] = { "memory/actual", "memory/minimum", "memory/selftarget",
                                        "memory/selfballoon", NULL };
    static const struct {
        const char *word;
        enum dialect dialect;
        const char *const *nodes;
    } dialects[] = {
        { "none", DIALECT_NONE, none },           { "ballast", DIALECT_BALLAST, none },
        { "xenserver", DIALECT_XENSERVER, none }, { "qubes", DIALECT_QUBES, qubes },
        { "selfballoon", DIALECT_SELF, self },
    };
    size_t i;

    for (i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        if (strcmp(word, dialects[i].word) == 0) {
            guest->dialect = dialects[i].dialect;
            return permit_all(guest, dom0, dialects[i].nodes);
        }
    }
    return -EINVAL;
}
