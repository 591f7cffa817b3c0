/* SPDX-License-Identifier: ISC */
#include "guest/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
    [PROCFS_RESERVE] = "/proc/sys/vm/min_free_kbytes",
};

/* /proc/vmstat of Linux 6.1 is 4 KiB; it grows with each release. */
#define TEXT_SIZE 16384

/* A piece of a text, not NUL-terminated. */
struct span {
    const char *text;
    size_t len;
};

/* A line that begins with a name, and where its number goes. */
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

/* What of the kernel's own is neither in Committed_AS nor dropped under pressure. */
struct kernel {
    uint64_t slab_kib;
    uint64_t stacks_kib;
    uint64_t tables_kib;
    uint64_t percpu_kib;
};

static const struct line kernel_lines[] = {
    { "SUnreclaim:", offsetof(struct kernel, slab_kib) },
    { "KernelStack:", offsetof(struct kernel, stacks_kib) },
    { "PageTables:", offsetof(struct kernel, tables_kib) },
    { "Percpu:", offsetof(struct kernel, percpu_kib) },
    { NULL, 0 },
};

int procfs_open(const char *root, struct procfs *ret_procfs)
{
    int r = 0;

    ret_procfs->target_fd = -1;

    for (size_t i = 0; i < PROCFS_FILES; i++) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s%s", root, paths[i]);

        ret_procfs->fds[i] = -1;
        if (n > 0 && (size_t)n < sizeof(path))
            ret_procfs->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (i == PROCFS_TARGET && ret_procfs->fds[i] >= 0)
            ret_procfs->target_fd = open(path, O_WRONLY | O_CLOEXEC);
        if (i == PROCFS_MEMINFO && ret_procfs->fds[i] < 0)
            r = -errno;
    }
    if (r < 0)
        procfs_close(ret_procfs);
    return r;
}

void procfs_close(struct procfs *procfs)
{
    for (size_t i = 0; i < PROCFS_FILES; i++) {
        if (procfs->fds[i] >= 0)
            (void)close(procfs->fds[i]);
        procfs->fds[i] = -1;
    }
    if (procfs->target_fd >= 0)
        (void)close(procfs->target_fd);
    procfs->target_fd = -1;
}

/* All whole lines of a file; none when it is not there. What is cut off in the middle of a line is
 * left out: the beginning of a number is a wrong number. */
static struct span slurp(int fd, char text[TEXT_SIZE])
{
    size_t used = 0;

    while (fd >= 0 && used < TEXT_SIZE) {
        ssize_t n = pread(fd, text + used, TEXT_SIZE - used, (off_t)used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    while (used > 0 && text[used - 1] != '\n')
        used--;
    return (struct span){ text, used };
}

/* Takes off what goes up to the next `end`, or all that is left. */
static struct span take(struct span *rest, char end)
{
    const char *found = memchr(rest->text, end, rest->len);
    struct span taken = { rest->text, found ? (size_t)(found - rest->text) : rest->len };
    size_t gone = taken.len + (found != NULL);

    rest->text += gone;
    rest->len -= gone;
    return taken;
}

static bool begins(struct span span, const char *with)
{
    return span.len >= strlen(with) && memcmp(span.text, with, strlen(with)) == 0;
}

/* The whole of it as one number; REPORT_ABSENT when it is none. */
static uint64_t number(struct span span)
{
    uint64_t value;

    return report_number(span.text, span.len, REPORT_VALUE_MAX, &value) < 0 ? REPORT_ABSENT : value;
}

/* "0.52" is 52: the kernel writes two decimals. */
static uint64_t hundredths(struct span span)
{
    struct span rest = span;
    uint64_t whole = number(take(&rest, '.'));
    uint64_t part = rest.len == 2 ? number(rest) : REPORT_ABSENT;

    if (whole > REPORT_VALUE_MAX / 1000 || part > 99)
        return REPORT_ABSENT;
    return whole * 100 + part;
}

/* A number with spaces before and its unit, " kB" or nothing, after it. */
static uint64_t number_with_unit(struct span span, const char *unit)
{
    size_t unit_len = strlen(unit);

    while (span.len > 0 && *span.text == ' ')
        (void)take(&span, ' ');
    if (span.len < unit_len || memcmp(span.text + span.len - unit_len, unit, unit_len) != 0)
        return REPORT_ABSENT;
    span.len -= unit_len;
    return number(span);
}

static void take_lines(struct span text, const struct line *lines, const char *unit,
                       void *ret_figures)
{
    while (text.len > 0) {
        struct span rest = take(&text, '\n');
        struct span name = take(&rest, ' ');

        for (const struct line *line = lines; line->name; line++) {
            if (name.len == strlen(line->name) && begins(name, line->name))
                *(uint64_t *)((char *)ret_figures + line->offset) = number_with_unit(rest, unit);
        }
    }
}

/* "some avg10=0.52 avg60=0.10 avg300=0.00 total=1234": percent, and microseconds. */
static void take_pressure(struct span text, const char *kind, uint64_t *ret_centi, uint64_t *ret_us)
{
    while (text.len > 0) {
        struct span line = take(&text, '\n');

        if (!begins(line, kind))
            continue;
        while (line.len > 0) {
            struct span value = take(&line, ' ');
            struct span key = take(&value, '=');

            if (begins(key, "avg10") && key.len == strlen("avg10"))
                *ret_centi = hundredths(value);
            else if (begins(key, "total") && key.len == strlen("total"))
                *ret_us = number(value);
        }
    }
}

/* "12.34 56.78": since boot, and idle. */
static uint64_t uptime_ms(struct span text)
{
    uint64_t centi = hundredths(take(&text, ' '));

    return centi == REPORT_ABSENT ? REPORT_ABSENT : centi * 10;
}

/* The kernel's figures are not taken at one instant; the daemon refuses a part above its whole. */
static void limit(uint64_t *part, uint64_t whole)
{
    if (*part != REPORT_ABSENT && *part > whole)
        *part = whole;
}

int procfs_collect(const struct procfs *procfs, struct report *ret_report)
{
    static char text[TEXT_SIZE];
    struct span pressure;
    struct report report;

    report_clear(&report);
    report.version = REPORT_VERSION;
    take_lines(slurp(procfs->fds[PROCFS_MEMINFO], text), meminfo_lines, " kB", &report);
    if (report.total_kib == REPORT_ABSENT || report.available_kib == REPORT_ABSENT)
        return -ENODATA;
    take_lines(slurp(procfs->fds[PROCFS_VMSTAT], text), vmstat_lines, "", &report);
    pressure = slurp(procfs->fds[PROCFS_PRESSURE], text);
    take_pressure(pressure, "some ", &report.some_avg10_centi, &report.some_us);
    take_pressure(pressure, "full ", &report.full_avg10_centi, &report.full_us);
    report.uptime_ms = uptime_ms(slurp(procfs->fds[PROCFS_UPTIME], text));
    report.balloon_current_kib = number(slurp(procfs->fds[PROCFS_CURRENT], text));
    report.balloon_target_kib = number(slurp(procfs->fds[PROCFS_TARGET], text));
    limit(&report.available_kib, report.total_kib);
    limit(&report.swap_free_kib, report.swap_total_kib);
    *ret_report = report;
    return 0;
}

static uint64_t known(uint64_t kib)
{
    return kib == REPORT_ABSENT ? 0 : kib;
}

/* It keeps its high watermarks free: min_free_kbytes, and half as much again. */
uint64_t procfs_kernel_kib(const struct procfs *procfs)
{
    static char text[TEXT_SIZE];
    struct kernel kernel = { 0 };
    uint64_t least = known(number(slurp(procfs->fds[PROCFS_RESERVE], text)));

    take_lines(slurp(procfs->fds[PROCFS_MEMINFO], text), kernel_lines, " kB", &kernel);
    return known(kernel.slab_kib) + known(kernel.stacks_kib) + known(kernel.tables_kib)
           + known(kernel.percpu_kib) + least + least / 2;
}

int procfs_set_target(const struct procfs *procfs, uint64_t kib)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%" PRIu64 "\n", kib);
    ssize_t n;

    if (procfs->target_fd < 0)
        return -EACCES;
    n = pwrite(procfs->target_fd, text, (size_t)len, 0);
    return n < 0 ? -errno : 0;
}
