/* SPDX-License-Identifier: ISC */
/* What the daemon says of the host and its domains, as `status` and `top` show it. */
#ifndef BALLAST_VIEW_H
#define BALLAST_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/connect.h"
#include "core/policy.h"

/* The terminal's width is not known. */
#define VIEW_ENDLESS 10000

struct view_domain {
    char name[DOMAIN_NAME_SIZE]; /* fit for a terminal */
    char conduct[16];
    char reason[24]; /* the word */
    bool managed;
    int64_t domid;
    int64_t actual_kib;
    int64_t target_kib;
    int64_t cap_kib;
    int64_t min_kib;
    int64_t max_kib;
    int64_t need_kib;
    int64_t available_kib;
    int64_t weight;
    int64_t goodness; /* thousandths */
};

struct view {
    struct json_value *status; /* the answers, whole */
    struct json_value *domains;
    struct json_value *reservations;
    char policy[POLICY_TEXT_SIZE];
    char host[16];
    char version[32];
    bool dry_run;
    bool minimums_fit;
    int64_t uptime_ms;
    int64_t rounds;
    int64_t total_kib;
    int64_t free_kib;
    int64_t promised_kib;
    int64_t claimed_kib;
    int64_t reserve_kib;
    int64_t reserved_kib;
    int64_t headroom_kib;
    int64_t pool_kib;
    int64_t freeable_kib;
    int64_t freeable_to_min_kib;
    int64_t guaranteed_kib;
    struct view_domain *rows;
    size_t count;
};

/* Asks the daemon. Returns 0, or -1 when that was said on standard error. */
int view_ask(struct connection *connection, struct view *ret_view);
void view_free(struct view *view);

/* Copies text for a terminal: a control character becomes '?'; what is too long is cut between
 * characters. Returns to. */
char *view_clean(const char *from, char *to, size_t size);

/* The phrase for a reason's word; the word itself, when the daemon is newer than we are. */
const char *view_phrase(const char *word);

/* Prints all answers as one JSON object. */
void view_print_json(const struct view *view, bool pretty);

/* Print lines of at most width columns; `end` ends each line, so that it can clear what is left of
 * a line on a terminal. */
void view_print_host(const struct view *view, int width, const char *end);
void view_print_domains(const struct view *view, int width, const char *end);

/* One line for each reservation, at most so many. */
void view_print_reservations(const struct view *view, size_t most, int width, const char *end);
size_t view_reservation_count(const struct view *view);

/* One line for each thing that an operator must look at; returns how many there are. */
int view_print_troubles(const struct view *view, int width, const char *end);

/* Prints one line, cut after width characters. */
void view_line(int width, const char *end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The columns of the terminal on standard output; fallback when it is none. */
int view_width(int fallback);

#endif
