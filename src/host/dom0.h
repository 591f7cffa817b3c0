/* SPDX-License-Identifier: ISC */
/* dom0 as one of the domains: it needs no agent, since the daemon lives in it. */
#ifndef BALLAST_DOM0_H
#define BALLAST_DOM0_H

#include <stdbool.h>
#include <stdint.h>

#include "core/post.h"
#include "guest/procfs.h"

struct dom0 {
    struct procfs procfs;
    bool open;
    uint64_t looked_ms;
    struct report posted;
};

/* Opens /proc and /sys, below $BALLAST_ROOT if that is set, and closes them. Without them dom0
 * posts nothing. dom0_close() may be called on one that was never opened, all zero. */
void dom0_open(struct dom0 *ret_dom0);
void dom0_close(struct dom0 *dom0);

/* Looks at dom0's own figures as the agent does in a guest, and takes them as its post when the
 * agent would post. Returns as post_take_ballast(). */
int dom0_post(struct dom0 *dom0, uint64_t held_kib, uint64_t now_ms, struct post *post);

#endif
