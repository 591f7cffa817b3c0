/* SPDX-License-Identifier: ISC */
#include "guest/selfballoon.h"

#include <errno.h>

#include "guest/xenbus.h"
#include "util/bounds.h"
#include "util/floor.h"

/* The driver's own hysteresis: down by an eighth of the gap, so that what was committed only for a
 * moment ago is still there when it is wanted again, and what is idle can be paged out; up all of
 * it at once, since programs wait. */
#define DOWN_SHARE 8

/* A rise of so much is followed before SELFBALLOON_MS is over. dom0 moves nothing smaller. */
#define RISE_KIB 4096

/* Stalled for more than 1 % of the last 10 s: what it has committed is not all that it needs. */
#define PRESSED_CENTI 100

/* dom0's target and the driver's own differ by what the kernel does not know of: 448 KiB in a PVH
 * guest, nothing in a PV one (measured). More is none of that, but a size that the domain chose
 * itself. */
#define OFFSET_MAX_KIB 4096

#define PAGE_KIB 4

uint64_t selfballoon_goal_kib(const struct report *report, uint64_t kernel_kib)
{
    uint64_t hidden_kib = report->balloon_current_kib > report->total_kib
                              ? report->balloon_current_kib - report->total_kib
                              : 0;

    return hidden_kib + report->committed_kib + kernel_kib;
}

uint64_t selfballoon_step_kib(uint64_t current_kib, uint64_t goal_kib, uint64_t floor_kib,
                              uint64_t allowed_kib, bool pressed)
{
    uint64_t step_kib = goal_kib;

    if (goal_kib < current_kib)
        step_kib = pressed ? current_kib : current_kib - (current_kib - goal_kib) / DOWN_SHARE;
    step_kib = smaller(larger(step_kib, floor_kib), allowed_kib);
    return step_kib - step_kib % PAGE_KIB;
}

/* A node that holds one number. Returns 0, -ENOENT when there is none, or another when the store
 * does not answer. */
static int read_number(int store, const char *node, uint64_t *ret_value)
{
    char text[32];
    int len = xenbus_read(store, node, text, sizeof(text));

    if (len == -ENOENT || len == -EACCES || len == -ENOSPC)
        return -ENOENT;
    if (len < 0)
        return len;
    return report_number(text, (size_t)len, REPORT_VALUE_MAX, ret_value) < 0 ? -ENOENT : 0;
}

/* dom0's limits. Without them nothing is moved. */
static int read_limits(struct selfballoon *selfballoon, int store, const struct report *report)
{
    uint64_t target_kib;
    uint64_t driver_kib = report->balloon_target_kib;
    int r = read_number(store, "memory/static-max", &selfballoon->static_max_kib);

    if (r == 0)
        r = read_number(store, "memory/target", &target_kib);
    if (r < 0)
        return r;
    if (!selfballoon->on && target_kib >= driver_kib && target_kib - driver_kib <= OFFSET_MAX_KIB)
        selfballoon->offset_kib = target_kib - driver_kib;
    selfballoon->allowed_kib = above(target_kib, selfballoon->offset_kib);
    return 0;
}

/* What dom0 says counts; if it says nothing, what was said inside. */
static int read_switch(const struct selfballoon *selfballoon, int store, bool *ret_on)
{
    uint64_t said;
    int r = read_number(store, "memory/selfballoon", &said);

    if (r < 0 && r != -ENOENT)
        return r;
    *ret_on = r == 0 ? said != 0 : selfballoon->wanted;
    return 0;
}

static int look(struct selfballoon *selfballoon, int store, const struct procfs *procfs,
                const struct report *report)
{
    bool on = false;
    int r = read_switch(selfballoon, store, &on);

    if (r == 0 && (on || selfballoon->on))
        r = read_limits(selfballoon, store, report);
    if (r == -ENOENT)
        on = false;
    else if (r < 0)
        return r;
    if (selfballoon->on && !on)
        selfballoon_end(selfballoon, procfs);
    selfballoon->on = on;
    return 0;
}

int selfballoon_run(struct selfballoon *selfballoon, int store, const struct procfs *procfs,
                    uint64_t now_ms, struct report *report, bool *ret_lost)
{
    bool due = selfballoon->looked_ms == 0 || now_ms - selfballoon->looked_ms >= SELFBALLOON_MS;
    bool known = report->committed_kib != REPORT_ABSENT
                 && report->balloon_current_kib != REPORT_ABSENT
                 && report->balloon_target_kib != REPORT_ABSENT;
    bool pressed =
        report->some_avg10_centi != REPORT_ABSENT && report->some_avg10_centi >= PRESSED_CENTI;
    uint64_t goal_kib = 0;
    uint64_t next_kib;
    int r;

    *ret_lost = false;
    if (!known || (!due && !selfballoon->on))
        return 0;
    if (selfballoon->on)
        goal_kib = selfballoon_goal_kib(report, procfs_kernel_kib(procfs));
    if (due || goal_kib >= report->balloon_target_kib + RISE_KIB) {
        r = look(selfballoon, store, procfs, report);
        if (r < 0) {
            *ret_lost = true;
            return r;
        }
        selfballoon->looked_ms = due ? now_ms : selfballoon->looked_ms;
        if (!selfballoon->on)
            return 0;
        goal_kib = selfballoon_goal_kib(report, procfs_kernel_kib(procfs));
        next_kib = selfballoon_step_kib(report->balloon_current_kib, goal_kib,
                                        floor_kib(selfballoon->static_max_kib),
                                        selfballoon->allowed_kib, pressed || !due);
        r = next_kib == report->balloon_target_kib ? 0 : procfs_set_target(procfs, next_kib);
        if (r < 0)
            return r;
    }
    report->minimum_kib = floor_kib(selfballoon->static_max_kib);
    report->selftarget_kib = larger(goal_kib, report->minimum_kib);
    return 0;
}

void selfballoon_end(struct selfballoon *selfballoon, const struct procfs *procfs)
{
    if (selfballoon->on)
        (void)procfs_set_target(procfs, selfballoon->allowed_kib);
    selfballoon->on = false;
}
