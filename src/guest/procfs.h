/* SPDX-License-Identifier: ISC */
/* Collects a report from /proc and /sys, without allocating. */
#ifndef BALLAST_PROCFS_H
#define BALLAST_PROCFS_H

#include "report/report.h"

enum { PROCFS_MEMINFO, PROCFS_VMSTAT, PROCFS_PRESSURE, PROCFS_UPTIME, PROCFS_CURRENT,
       PROCFS_TARGET, PROCFS_FILES };

/* The files, kept open and read again from the start. -1: not there, its fields are not posted. */
struct procfs {
    int fds[PROCFS_FILES];
};

/* Opens the files below root ("" for the real ones). Returns 0, or a negative errno when
 * /proc/meminfo is not there; without the others the report says less. */
int procfs_open(const char *root, struct procfs *ret_procfs);
void procfs_close(struct procfs *procfs);

/* Fills a report but for its sequence number. Returns 0, or a negative errno when /proc/meminfo
 * cannot be read or lacks MemTotal or MemAvailable. */
int procfs_collect(const struct procfs *procfs, struct report *ret_report);

#endif
