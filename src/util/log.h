/* SPDX-License-Identifier: ISC */
/* Log to standard error, or to syslog once the daemon has no terminal. */
#ifndef BALLAST_LOG_H
#define BALLAST_LOG_H

#include <stdbool.h>
#include <syslog.h>

/* Before it is called: standard error, without debug. */
void log_open(bool to_syslog, bool verbose);

/* Priorities are syslog's: LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG. Keeps errno. */
void log_at(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
