/* SPDX-License-Identifier: ISC */
#include "host/dom0.h"

#include <stdlib.h>
#include <string.h>

#include "report/timing.h"

void dom0_open(struct dom0 *ret_dom0)
{
    const char *root = getenv("BALLAST_ROOT");
    struct dom0 dom0 = { .open = false };

    dom0.open = procfs_open(root ? root : "", &dom0.procfs) == 0;
    *ret_dom0 = dom0;
}

void dom0_close(struct dom0 *dom0)
{
    if (dom0->open)
        procfs_close(&dom0->procfs);
    dom0->open = false;
}

int dom0_post(struct dom0 *dom0, uint64_t held_kib, uint64_t now_ms, struct post *post)
{
    bool first = post->dialect == DIALECT_NONE;
    struct report report;
    char text[REPORT_MAX];
    int len;
    int r;

    if (!dom0->open || (!first && now_ms - dom0->looked_ms < TIMING_LOOK_MS))
        return 0;
    dom0->looked_ms = now_ms;
    if (procfs_collect(&dom0->procfs, &report) < 0
        || !timing_due(&report, first ? NULL : &dom0->posted, now_ms - post->at_ms))
        return 0;
    report.seq = first ? 1 : dom0->posted.seq + 1;
    len = report_format(&report, text, sizeof(text));
    if (len < 0)
        return len;
    r = post_take_ballast(post, (struct post_text){ text, (size_t)len }, held_kib, now_ms);
    dom0->posted = report;
    return r;
}
