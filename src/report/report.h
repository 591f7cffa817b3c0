/* SPDX-License-Identifier: ISC */
/* What a domain posts about its memory, in our own dialect: one node, one line of key=value words.
 *
 * The agent formats it, the daemon parses it; both link this file, so the keys are written once.
 * All that the parser is given was written by a guest: it is untrusted.
 */
#ifndef BALLAST_REPORT_H
#define BALLAST_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The node below the domain's own directory. The guest owns everything below data/. */
#define REPORT_NODE "data/ballast/stats"

/* xenstored refuses values above 2048 bytes from a guest; a full report is about 700. */
#define REPORT_MAX 2048

#define REPORT_VERSION 1

/* No figure may be larger: 2^53 KiB is far above any host, and sums of a few stay in 64 bits. */
#define REPORT_VALUE_MAX (UINT64_C(1) << 53)

/* A field that was not posted. */
#define REPORT_ABSENT UINT64_MAX

/* Sizes are KiB as the guest's kernel counts them; counts grow since the guest's boot, so that the
 * reader makes rates of them with its own clock; avg10 is in hundredths of a percent (0 to
 * 10000). */
struct report {
    uint64_t version;       /* REPORT_VERSION; required */
    uint64_t seq;           /* one more with each post; required */
    uint64_t uptime_ms;     /* of the guest */
    uint64_t total_kib;     /* MemTotal; required */
    uint64_t free_kib;      /* MemFree */
    uint64_t available_kib; /* MemAvailable; required, at most total_kib */
    uint64_t committed_kib; /* Committed_AS */
    uint64_t active_anon_kib;
    uint64_t inactive_anon_kib;
    uint64_t active_file_kib;
    uint64_t inactive_file_kib;
    uint64_t dirty_kib;
    uint64_t slab_reclaimable_kib;
    uint64_t swap_total_kib;
    uint64_t swap_free_kib; /* at most swap_total_kib */
    uint64_t swap_in_pages; /* counts */
    uint64_t swap_out_pages;
    uint64_t refault_anon_pages;
    uint64_t refault_file_pages;
    uint64_t major_faults;
    uint64_t direct_reclaim_pages;
    uint64_t oom_kills;
    uint64_t some_avg10_centi; /* pressure stall, hundredths of a percent */
    uint64_t full_avg10_centi;
    uint64_t some_us; /* counts: stalled time since boot */
    uint64_t full_us;
    uint64_t balloon_current_kib; /* what the guest's balloon driver says of itself */
    uint64_t balloon_target_kib;
    uint64_t selftarget_kib; /* of one that sizes itself: what it would like to hold */
    uint64_t minimum_kib;    /* ... and what it would not go below */
};

/* Sets every field of *ret_report to REPORT_ABSENT. */
void report_clear(struct report *ret_report);

/* The fields by index: the name, as in the line, and in *ret_value the figure or REPORT_ABSENT.
 * NULL after the last. */
const char *report_field(const struct report *report, size_t index, uint64_t *ret_value);

/* How much its balloon driver is asked for and has not let go yet, in KiB; 0 when the report does not
 * say. */
uint64_t report_owed_kib(const struct report *report);

/* Writes the fields that are present as one NUL-terminated line without a newline.
 * Returns its length, or -ENOSPC when size is too small (REPORT_MAX always suffices). */
int report_format(const struct report *report, char *buf, size_t size);

/* Reads text[0..len), which need not be NUL-terminated. *ret_report is written only on success.
 * Keys that are not known are skipped, so that a newer agent can talk to an older daemon.
 * Returns -EMSGSIZE above REPORT_MAX, -EINVAL for anything that is not a report: a word without
 * '=', a number that is not decimal digits or above REPORT_VALUE_MAX, a key twice, a required key
 * missing, a version that is not ours, available above total, free swap above the whole. */
int report_parse(const char *text, size_t len, struct report *ret_report);

/* Reads text[0..len) as one decimal number, nothing before or after it (a trailing newline is
 * allowed: other agents write one). Returns 0, or -EINVAL when it is no number, or -ERANGE when it
 * is above max. */
int report_number(const char *text, size_t len, uint64_t max, uint64_t *ret_value);

#endif
