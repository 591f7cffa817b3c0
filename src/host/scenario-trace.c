/* SPDX-License-Identifier: ISC */
/* Need as it was recorded: a CSV file of `seconds,domain,MiB`, a point a line. Between two points
 * of a domain need goes in a straight line, so each becomes an event that begins at the one
 * before. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fill.h"
#include "host/scenario-reader.h"
#include "util/regular.h"

/* A file that is wrong is wrong in every line. */
#define FAULTS_SHOWN 10

#define LINES_MAX 1000000
#define HEADER "seconds,domain,MiB"

struct csv {
    struct reader *reader;
    int at; /* line of `trace` in the scenario */
    const char *name;
    int line;
    int faults;
    int64_t *last_ms; /* of each guest's last point; -1: none yet */
    size_t next;      /* the guest that is looked at first: points come in turn */
};

static void refuse(struct csv *csv, const char *what, const char *expected)
{
    if (csv->faults++ < FAULTS_SHOWN)
        fault(csv->reader, csv->at, "%s:%d: '%s'; expected %s", csv->name, csv->line, what,
              expected);
}

/* "12" or "12.5", at most three digits after the point, in thousandths. */
static int parse_thousandths(const char *text, uint64_t most, uint64_t *ret_value)
{
    uint64_t value = 0;
    int decimals = -1;

    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    for (; *text; text++) {
        if (*text == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (!isdigit((unsigned char)*text) || decimals == 3 || value > most * 1000)
            return -EINVAL;
        value = value * 10 + (uint64_t)(*text - '0');
        decimals += decimals >= 0;
    }
    if (decimals == 0)
        return -EINVAL;
    for (decimals = decimals < 0 ? 0 : decimals; decimals < 3; decimals++)
        value *= 10;
    if (value > most * 1000)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

/* By name; the guest count when there is none. */
static size_t find_guest(struct csv *csv, const char *name)
{
    const struct scenario *scenario = csv->reader->scenario;

    for (size_t k = 0; k < scenario->guest_count; k++) {
        size_t i = (csv->next + k) % scenario->guest_count;

        if (strcmp(scenario->guests[i].name, name) == 0) {
            csv->next = i + 1;
            return i;
        }
    }
    return scenario->guest_count;
}

/* From the point before, or at once when it is the first. */
static void add_point(struct csv *csv, size_t guest, uint64_t at_ms, uint64_t need_kib)
{
    struct scenario *scenario = csv->reader->scenario;
    uint64_t from_ms = csv->last_ms[guest] < 0 ? at_ms : (uint64_t)csv->last_ms[guest];
    struct scenario_event *event;

    csv->last_ms[guest] = (int64_t)at_ms;
    if (from_ms > scenario->length_ms)
        return;
    event = reader_grow(csv->reader, (void **)&scenario->events, &scenario->event_count,
                        sizeof(*event));
    if (!event)
        return;
    event->line = csv->at;
    event->traced = true;
    event->at_ms = event->until_ms = from_ms;
    event->over_ms = at_ms - from_ms;
    event->action = ACTION_NEED;
    event->low_kib = event->high_kib = need_kib;
    memcpy(event->guests, scenario->guests[guest].name, sizeof(event->guests));
}

static void read_line(struct csv *csv, char *line)
{
    char *name = strchr(line, ',');
    char *size = name ? strchr(name + 1, ',') : NULL;
    uint64_t at_ms, mib;
    size_t guest;

    if (!size || strchr(size + 1, ',')) {
        refuse(csv, line, HEADER);
        return;
    }
    *name++ = '\0';
    *size++ = '\0';
    guest = find_guest(csv, name);
    if (guest == csv->reader->scenario->guest_count)
        refuse(csv, name, "a guest of the scenario");
    else if (parse_thousandths(line, UINT32_MAX, &at_ms) < 0)
        refuse(csv, line, "seconds such as 90 or 12.5");
    else if ((int64_t)at_ms <= csv->last_ms[guest])
        refuse(csv, line, "a time after that of the domain's point before");
    else if (parse_thousandths(size, FILL_KIB_MAX / 1024, &mib) < 0)
        refuse(csv, size, "MiB such as 200 or 63.5");
    else
        add_point(csv, guest, at_ms, mib * 1024 / 1000);
}

/* Lines that are empty or begin with '#' say nothing, nor does the header. */
static void read_lines(struct csv *csv, FILE *file)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t len;

    while ((len = getline(&line, &size, file)) >= 0 && !csv->reader->no_memory) {
        if (++csv->line > LINES_MAX) {
            fault(csv->reader, csv->at, "%s: expected at most %d lines", csv->name, LINES_MAX);
            break;
        }
        if (len > 0 && line[len - 1] == '\n')
            line[--len] = '\0';
        if (len > 0 && line[len - 1] == '\r')
            line[--len] = '\0';
        if (strlen(line) != (size_t)len)
            refuse(csv, line, "text");
        else if (len > 0 && line[0] != '#' && strcmp(line, HEADER) != 0)
            read_line(csv, line);
    }
    free(line);
}

/* Relative to the scenario's own file. NULL without memory. */
static char *path_of(const char *scenario, const char *name)
{
    const char *slash = strrchr(scenario, '/');
    size_t folder = slash && name[0] != '/' ? (size_t)(slash - scenario) + 1 : 0;
    char *path = malloc(folder + strlen(name) + 1);

    if (!path)
        return NULL;
    memcpy(path, scenario, folder);
    memcpy(path + folder, name, strlen(name) + 1);
    return path;
}

void reader_trace(struct reader *reader, const char *name, int line)
{
    size_t count = reader->scenario->guest_count;
    struct csv csv = { .reader = reader, .at = line, .name = name };
    char *path = path_of(reader->scenario->file, name);
    const char *why = NULL;
    FILE *file = path ? regular_open(path, &why) : NULL;

    csv.last_ms = calloc(count + 1, sizeof(*csv.last_ms));
    if (!path || !csv.last_ms) {
        reader->no_memory = true;
    } else if (!file) {
        fault(reader, line, "%s: cannot be read: %s", path, why);
    } else {
        for (size_t i = 0; i < count; i++)
            csv.last_ms[i] = -1;
        read_lines(&csv, file);
        if (csv.faults > FAULTS_SHOWN)
            fault(reader, line, "%s: and %d faults more", name, csv.faults - FAULTS_SHOWN);
    }
    if (file)
        (void)fclose(file);
    free(csv.last_ms);
    free(path);
}
