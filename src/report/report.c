/* SPDX-License-Identifier: ISC */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/bounds.h"

struct field {
    const char *key;
    size_t offset;
    bool required;
};

#define FIELD(member, is_required)                            \
    {                                                         \
#member, offsetof(struct report, member), is_required \
    }

static const struct field fields[] = {
    { "v", offsetof(struct report, version), true },
    FIELD(seq, true),
    FIELD(uptime_ms, false),
    FIELD(total_kib, true),
    FIELD(free_kib, false),
    FIELD(available_kib, true),
    FIELD(committed_kib, false),
    FIELD(active_anon_kib, false),
    FIELD(inactive_anon_kib, false),
    FIELD(active_file_kib, false),
    FIELD(inactive_file_kib, false),
    FIELD(dirty_kib, false),
    FIELD(slab_reclaimable_kib, false),
    FIELD(swap_total_kib, false),
    FIELD(swap_free_kib, false),
    FIELD(swap_in_pages, false),
    FIELD(swap_out_pages, false),
    FIELD(refault_anon_pages, false),
    FIELD(refault_file_pages, false),
    FIELD(major_faults, false),
    FIELD(direct_reclaim_pages, false),
    FIELD(oom_kills, false),
    FIELD(some_avg10_centi, false),
    FIELD(full_avg10_centi, false),
    FIELD(some_us, false),
    FIELD(full_us, false),
    FIELD(balloon_current_kib, false),
    FIELD(balloon_target_kib, false),
    FIELD(selftarget_kib, false),
    FIELD(minimum_kib, false),
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static uint64_t *at(struct report *report, const struct field *field)
{
    return (uint64_t *)((char *)report + field->offset);
}

static uint64_t value_of(const struct report *report, const struct field *field)
{
    return *(const uint64_t *)((const char *)report + field->offset);
}

void report_clear(struct report *ret_report)
{
    for (size_t i = 0; i < FIELDS; i++)
        *at(ret_report, &fields[i]) = REPORT_ABSENT;
}

const char *report_field(const struct report *report, size_t index, uint64_t *ret_value)
{
    if (index >= FIELDS)
        return NULL;
    *ret_value = value_of(report, &fields[index]);
    return fields[index].key;
}

uint64_t report_owed_kib(const struct report *report)
{
    if (report->balloon_current_kib == REPORT_ABSENT || report->balloon_target_kib == REPORT_ABSENT)
        return 0;
    return above(report->balloon_current_kib, report->balloon_target_kib);
}

int report_format(const struct report *report, char *buf, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < FIELDS; i++) {
        uint64_t value = value_of(report, &fields[i]);
        int n;

        if (value == REPORT_ABSENT)
            continue;
        n = snprintf(buf + used, size - used, "%s%s=%" PRIu64, used ? " " : "", fields[i].key,
                     value);
        if (n < 0 || (size_t)n >= size - used)
            return -ENOSPC;
        used += (size_t)n;
    }
    return (int)used;
}

static int digits(const char *text, size_t len, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (len == 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');

        if (digit > max || value > (max - digit) / 10)
            return -ERANGE;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return 0;
}

/* Without the newline that may end a value. */
static size_t chomp(const char *text, size_t len)
{
    return len > 0 && text[len - 1] == '\n' ? len - 1 : len;
}

int report_number(const char *text, size_t len, uint64_t max, uint64_t *ret_value)
{
    return digits(text, chomp(text, len), max, ret_value);
}

static const struct field *find(const char *key, size_t len)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (strlen(fields[i].key) == len && memcmp(fields[i].key, key, len) == 0)
            return &fields[i];
    }
    return NULL;
}

/* One "key=value" word of len bytes. */
static int parse_word(const char *word, size_t len, struct report *report)
{
    const char *equals = memchr(word, '=', len);
    const struct field *field;
    size_t key_len;

    if (!equals || equals == word)
        return -EINVAL;
    key_len = (size_t)(equals - word);
    field = find(word, key_len);
    if (!field)
        return 0;
    if (*at(report, field) != REPORT_ABSENT)
        return -EINVAL;
    if (digits(equals + 1, len - key_len - 1, REPORT_VALUE_MAX, at(report, field)) < 0)
        return -EINVAL;
    return 0;
}

static bool consistent(const struct report *report)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].required && value_of(report, &fields[i]) == REPORT_ABSENT)
            return false;
    }
    if (report->version != REPORT_VERSION || report->available_kib > report->total_kib)
        return false;
    return report->swap_total_kib == REPORT_ABSENT || report->swap_free_kib == REPORT_ABSENT
           || report->swap_free_kib <= report->swap_total_kib;
}

int report_parse(const char *text, size_t len, struct report *ret_report)
{
    struct report report;
    size_t pos = 0;

    if (len > REPORT_MAX)
        return -EMSGSIZE;
    report_clear(&report);
    len = chomp(text, len);
    while (pos <= len) {
        const char *space = memchr(text + pos, ' ', len - pos);
        size_t end = space ? (size_t)(space - text) : len;
        int r;

        r = parse_word(text + pos, end - pos, &report);
        if (r < 0)
            return r;
        pos = end + 1;
    }
    if (!consistent(&report))
        return -EINVAL;
    *ret_report = report;
    return 0;
}
