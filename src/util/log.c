/* SPDX-License-Identifier: ISC */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Longer messages are cut. */
#define MESSAGE_SIZE 1024

static bool log_to_syslog;
static bool log_verbose;

void log_open(bool to_syslog, bool verbose)
{
    log_to_syslog = to_syslog;
    log_verbose = verbose;
    if (to_syslog)
        openlog(program_invocation_short_name, LOG_PID, LOG_DAEMON);
}

/* Some of what is logged was written by guests: it must not forge lines, nor command a terminal. */
static void clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < ' ' || *p == 0x7f)
            *p = '?';
    }
}

void log_at(int priority, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    int saved = errno;
    va_list args;

    if (priority == LOG_DEBUG && !log_verbose)
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    clean(message);
    if (log_to_syslog)
        syslog(priority, "%s", message);
    else
        (void)fprintf(stderr, "%s: %s\n", program_invocation_short_name, message);
    errno = saved;
}
