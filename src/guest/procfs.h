/* SPDX-License-Identifier: ISC */
/* Collects a report from /proc and /sys, without allocating. */
#ifndef BALLAST_PROCFS_H
#define BALLAST_PROCFS_H

#include "report/report.h"

enum {
    PROCFS_MEMINFO,
    PROCFS_VMSTAT,
    PROCFS_PRESSURE,
    PROCFS_UPTIME,
    PROCFS_CURRENT,
    PROCFS_TARGET,
    PROCFS_RESERVE,
    PROCFS_FILES
};

/* The files, kept open and read again from the start. -1: not there, its fields are not posted. */
struct procfs {
    int fds[PROCFS_FILES];
    int target_fd; /* PROCFS_TARGET again, for writing; -1: it may not be written */
};

/* Opens the files below root ("" for the real ones). Returns 0, or a negative errno when
 * /proc/meminfo cannot be opened: then nothing is open. Without the others the report says less. */
int procfs_open(const char *root, struct procfs *ret_procfs);

/* Closes them. May be called again. */
void procfs_close(struct procfs *procfs);

/* Fills a report but for its sequence number; a figure that does not read as the kernel writes it
 * is left out. Returns 0, or -ENODATA when MemTotal or MemAvailable (Linux 3.14) is not to be
 * had. */
int procfs_collect(const struct procfs *procfs, struct report *ret_report);

/* What the kernel uses itself and keeps free for itself, which committed memory leaves out. 0 when
 * it does not say. */
uint64_t procfs_kernel_kib(const struct procfs *procfs);

/* Has the balloon driver go to this target. Returns 0 or a negative errno. */
int procfs_set_target(const struct procfs *procfs, uint64_t kib);

#endif
