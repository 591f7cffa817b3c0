/* SPDX-License-Identifier: ISC */
#include "external/said.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "util/log.h"

/* One call takes what fits into a pipe, and goes on another time. */
#define READS_MAX 16

static void end_line(struct said *said)
{
    said->line[said->len] = '\0';
    if (said->len == 0)
        return;
    said->len = 0;
    if (said->lines == SAID_LINES_MAX) {
        said->dropped++;
        return;
    }
    said->lines++;
    log_notice("external: %s", said->line);
}

static void take(struct said *said, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n')
            end_line(said);
        else if (said->len < sizeof(said->line) - 1)
            said->line[said->len++] = bytes[i] ? bytes[i] : '?';
    }
}

static void begin_window(struct said *said, uint64_t now_ms)
{
    if (said->dropped > 0)
        log_notice("external: and %" PRIu64 " lines more", said->dropped);
    said->window_ms = now_ms;
    said->lines = 0;
    said->dropped = 0;
}

bool said_take(struct said *said, int fd, uint64_t now_ms)
{
    char bytes[4096];
    ssize_t n = 1;

    if (now_ms - said->window_ms >= SAID_WINDOW_MS)
        begin_window(said, now_ms);
    for (unsigned i = 0; i < READS_MAX && n > 0; i++) {
        n = read(fd, bytes, sizeof(bytes));
        if (n > 0)
            take(said, bytes, (size_t)n);
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void said_end(struct said *said)
{
    end_line(said);
}
