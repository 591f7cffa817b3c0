/* SPDX-License-Identifier: ISC */
#include "guest/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const paths[PROCFS_FILES] = {
    [PROCFS_MEMINFO] = "/proc/meminfo",
    [PROCFS_VMSTAT] = "/proc/vmstat",
    [PROCFS_PRESSURE] = "/proc/pressure/memory",
    [PROCFS_UPTIME] = "/proc/uptime",
    [PROCFS_CURRENT] = "/sys/devices/system/xen_memory/xen_memory0/info/current_kb",
    [PROCFS_TARGET] = "/sys/devices/system/xen_memory/xen_memory0/target_kb",
};

/* /proc/vmstat of Linux 6.1 is 4 KiB; it grows with each release. */
#define TEXT_SIZE 16384

/* A line "name value": the name as it is written, with what ends it, and where the value goes. */
struct line {
    const char *name;
    size_t offset;
};

static const struct line meminfo_lines[] = {
    { "MemTotal:", offsetof(struct report, total_kib) },
    { "MemFree:", offsetof(struct report, free_kib) },
    { "MemAvailable:", offsetof(struct report, available_kib) },
    { "Committed_AS:", offsetof(struct report, committed_kib) },
    { "Active(anon):", offsetof(struct report, active_anon_kib) },
    { "Inactive(anon):", offsetof(struct report, inactive_anon_kib) },
    { "Active(file):", offsetof(struct report, active_file_kib) },
    { "Inactive(file):", offsetof(struct report, inactive_file_kib) },
    { "Dirty:", offsetof(struct report, dirty_kib) },
    { "SReclaimable:", offsetof(struct report, slab_reclaimable_kib) },
    { "SwapTotal:", offsetof(struct report, swap_total_kib) },
    { "SwapFree:", offsetof(struct report, swap_free_kib) },
    { NULL, 0 },
};

static const struct line vmstat_lines[] = {
    { "pswpin", offsetof(struct report, swap_in_pages) },
    { "pswpout", offsetof(struct report, swap_out_pages) },
    { "workingset_refault_anon", offsetof(struct report, refault_anon_pages) },
    { "workingset_refault_file", offsetof(struct report, refault_file_pages) },
    { "pgmajfault", offsetof(struct report, major_faults) },
    { "pgsteal_direct", offsetof(struct report, direct_reclaim_pages) },
    { "oom_kill", offsetof(struct report, oom_kills) },
    { NULL, 0 },
};

int procfs_open(const char *root, struct procfs *ret_procfs)
{
    for (size_t i = 0; i < PROCFS_FILES; i++) {
        char path[PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s%s", root, paths[i]);
        ret_procfs->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
    }
    return ret_procfs->fds[PROCFS_MEMINFO] < 0 ? -ENOENT : 0;
}

void procfs_close(struct procfs *procfs)
{
    for (size_t i = 0; i < PROCFS_FILES; i++) {
        if (procfs->fds[i] >= 0)
            (void)close(procfs->fds[i]);
        procfs->fds[i] = -1;
    }
}

/* The whole of a file, NUL-terminated; "" when it is not there. */
static void slurp(int fd, char text[TEXT_SIZE])
{
    size_t used = 0;

    while (fd >= 0 && used < TEXT_SIZE - 1) {
        ssize_t n = pread(fd, text + used, TEXT_SIZE - 1 - used, (off_t)used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
}

/* The decimal digits at the start of text, after spaces; REPORT_ABSENT when there are none. */
static uint64_t leading_number(const char *text)
{
    uint64_t value;
    size_t n;

    text += strspn(text, " \t");
    n = strspn(text, "0123456789");
    return report_number(text, n, REPORT_VALUE_MAX, &value) < 0 ? REPORT_ABSENT : value;
}

static void take_lines(const char *text, const struct line *lines, struct report *report)
{
    for (; text && *text; text = strchr(text, '\n'), text += text ? 1 : 0) {
        size_t len = strcspn(text, " \t\n");

        for (const struct line *line = lines; line->name; line++) {
            if (strlen(line->name) == len && memcmp(line->name, text, len) == 0)
                *(uint64_t *)((char *)report + line->offset) = leading_number(text + len);
        }
    }
}

/* "some avg10=0.52 avg60=... total=1234": hundredths of a percent and microseconds. */
static void take_pressure(const char *text, const char *kind, uint64_t *centi, uint64_t *us)
{
    const char *line = strstr(text, kind);
    const char *avg10 = line ? strstr(line, "avg10=") : NULL;
    const char *total = line ? strstr(line, "total=") : NULL;
    const char *point = avg10 ? strchr(avg10, '.') : NULL;

    if (!point || !total)
        return;
    *us = leading_number(total + strlen("total="));
    if (strspn(point + 1, "0123456789") == 2)
        *centi = leading_number(avg10 + strlen("avg10=")) * 100 + leading_number(point + 1);
}

/* "12.34 56.78": seconds. */
static uint64_t uptime_ms(const char *text)
{
    const char *point = strchr(text, '.');
    uint64_t seconds = leading_number(text);

    if (!point || seconds == REPORT_ABSENT)
        return REPORT_ABSENT;
    return seconds * 1000 + leading_number(point + 1) % 100 * 10;
}

int procfs_collect(const struct procfs *procfs, struct report *ret_report)
{
    static char text[TEXT_SIZE];
    struct report report;

    report_clear(&report);
    report.version = REPORT_VERSION;
    slurp(procfs->fds[PROCFS_MEMINFO], text);
    take_lines(text, meminfo_lines, &report);
    if (report.total_kib == REPORT_ABSENT || report.available_kib == REPORT_ABSENT)
        return -ENODATA;
    slurp(procfs->fds[PROCFS_VMSTAT], text);
    take_lines(text, vmstat_lines, &report);
    slurp(procfs->fds[PROCFS_PRESSURE], text);
    take_pressure(text, "some ", &report.some_avg10_centi, &report.some_us);
    take_pressure(text, "full ", &report.full_avg10_centi, &report.full_us);
    slurp(procfs->fds[PROCFS_UPTIME], text);
    report.uptime_ms = uptime_ms(text);
    slurp(procfs->fds[PROCFS_CURRENT], text);
    report.balloon_current_kib = leading_number(text);
    slurp(procfs->fds[PROCFS_TARGET], text);
    report.balloon_target_kib = leading_number(text);

    /* The kernel may count a little more available than there is. */
    if (report.available_kib > report.total_kib)
        report.available_kib = report.total_kib;
    *ret_report = report;
    return 0;
}
