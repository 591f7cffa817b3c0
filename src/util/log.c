/* SPDX-License-Identifier: ISC */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static bool to_syslog;
static bool verbose;

void log_open(bool use_syslog, bool with_debug)
{
    to_syslog = use_syslog;
    verbose = with_debug;
    if (to_syslog)
        openlog(program_invocation_short_name, LOG_PID, LOG_DAEMON);
}

void log_at(int priority, const char *format, ...)
{
    int saved_errno = errno;
    char text[512];
    va_list args;

    if (priority == LOG_DEBUG && !verbose)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (to_syslog)
        syslog(priority, "%s", text);
    else
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
    errno = saved_errno;
}
