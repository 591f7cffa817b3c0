/* SPDX-License-Identifier: ISC */
#include "client/view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/json.h"
#include "util/units.h"

/* A narrower line has the reason as a word instead of a phrase. */
#define PHRASE_WIDTH 100

#define LINE_SIZE 512

/* Reading the answers. A figure that is missing is 0: then the daemon is of another version. */

static int64_t get_int(const struct json_value *map, const char *key)
{
    int64_t value = 0;

    (void)json_get_int(json_get(map, key), &value);
    return value;
}

static bool get_bool(const struct json_value *map, const char *key)
{
    bool value = false;

    (void)json_get_bool(json_get(map, key), &value);
    return value;
}

static void get_text(const struct json_value *map, const char *key, char *to, size_t size)
{
    const char *text = json_get_string(json_get(map, key));

    view_clean(text ? text : "?", to, size);
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* C0, DEL, and C1 in UTF-8 (U+0080 to U+009F), which some terminals obey, too. */
static bool is_control(const char *at)
{
    unsigned char c = (unsigned char)at[0];

    return c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)at[1] < 0xa0);
}

char *view_clean(const char *from, char *to, size_t size)
{
    size_t len = 0;

    while (*from && len + 1 < size) {
        bool control = is_control(from);

        to[len++] = control ? '?' : *from;
        from += control && (unsigned char)from[0] == 0xc2 && is_continuation(from[1]) ? 2 : 1;
    }
    if (*from && is_continuation(*from)) {
        while (len > 0 && is_continuation(to[len - 1]))
            len--;
        if (len > 0)
            len--;
    }
    to[len] = '\0';
    return to;
}

static void read_status(const struct json_value *status, struct view *view)
{
    get_text(status, "policy", view->policy, sizeof(view->policy));
    get_text(status, "host", view->host, sizeof(view->host));
    view->dry_run = get_bool(status, "dry_run");
    view->minimums_fit = get_bool(status, "minimums_fit");
    view->uptime_ms = get_int(status, "uptime_ms");
    view->rounds = get_int(status, "rounds");
    view->total_kib = get_int(status, "total_kib");
    view->free_kib = get_int(status, "free_kib");
    view->promised_kib = get_int(status, "promised_kib");
    view->claimed_kib = get_int(status, "claimed_kib");
    view->reserve_kib = get_int(status, "reserve_kib");
    view->reserved_kib = get_int(status, "reserved_kib");
    view->headroom_kib = get_int(status, "headroom_kib");
    view->pool_kib = get_int(status, "pool_kib");
    view->freeable_kib = get_int(status, "freeable_kib");
    view->freeable_to_min_kib = get_int(status, "freeable_to_min_kib");
    view->guaranteed_kib = get_int(status, "guaranteed_kib");
}

static void read_domain(const struct json_value *domain, struct view_domain *row)
{
    get_text(domain, "name", row->name, sizeof(row->name));
    get_text(domain, "conduct", row->conduct, sizeof(row->conduct));
    get_text(domain, "reason", row->reason, sizeof(row->reason));
    row->managed = get_bool(domain, "managed");
    row->domid = get_int(domain, "domid");
    row->actual_kib = get_int(domain, "actual_kib");
    row->target_kib = get_int(domain, "target_kib");
    row->cap_kib = get_int(domain, "cap_kib");
    row->min_kib = get_int(domain, "min_kib");
    row->max_kib = get_int(domain, "max_kib");
    row->need_kib = get_int(domain, "need_kib");
    row->available_kib = get_int(domain, "available_kib");
    row->weight = get_int(domain, "weight");
    row->goodness = get_int(domain, "goodness");
}

int view_ask(struct connection *connection, struct view *ret_view)
{
    struct view view = { .count = 0 };
    const struct json_value *domains;

    view.status = connect_ask(connection, "query-status", NULL);
    if (view.status)
        view.domains = connect_ask(connection, "query-domains", NULL);
    if (view.domains)
        view.reservations = connect_ask(connection, "query-reservations", NULL);
    if (!view.reservations) {
        view_free(&view);
        return -1;
    }
    read_status(json_get(view.status, "return"), &view);
    snprintf(view.version, sizeof(view.version), "%s", connect_version(connection));
    domains = json_get(view.domains, "return");
    view.count = json_length(domains);
    view.rows = calloc(view.count + 1, sizeof(view.rows[0]));
    if (!view.rows) {
        perror("ballast");
        view_free(&view);
        return -1;
    }
    for (size_t i = 0; i < view.count; i++)
        read_domain(json_at(domains, i), &view.rows[i]);
    *ret_view = view;
    return 0;
}

void view_free(struct view *view)
{
    json_value_free(view->status);
    json_value_free(view->domains);
    json_value_free(view->reservations);
    free(view->rows);
    memset(view, 0, sizeof(*view));
}

void view_print_json(const struct view *view, bool pretty)
{
    struct json *json = json_new(pretty);
    const char *text;
    size_t len;

    if (!json)
        return;
    json_map(json, NULL);
    json_copy(json, "status", json_get(view->status, "return"));
    json_copy(json, "domains", json_get(view->domains, "return"));
    json_copy(json, "reservations", json_get(view->reservations, "return"));
    json_map_end(json);
    text = json_text(json, &len);
    if (text)
        printf("%s%s", text, len > 0 && text[len - 1] == '\n' ? "" : "\n");
    json_free(json);
}

/* Lines. */

int view_width(int fallback)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return fallback;
    return size.ws_col;
}

/* Characters, not bytes: what a name of another script takes is its own column each. */
static int columns_of(const char *text)
{
    int count = 0;

    for (; *text; text++)
        count += !is_continuation(*text);
    return count;
}

static void cut(char *line, int width)
{
    int count = 0;

    for (; *line; line++) {
        count += !is_continuation(*line);
        if (count > width) {
            *line = '\0';
            return;
        }
    }
}

void view_line(int width, const char *end, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    cut(line, width);
    printf("%s%s", line, end);
}

static int64_t mib(int64_t kib)
{
    return kib / 1024;
}

static const char *format_uptime(int64_t ms, char text[32])
{
    int64_t minutes = ms / 60000;

    if (minutes >= 24 * 60)
        snprintf(text, 32, "%" PRId64 " d %" PRId64 " h", minutes / (24 * 60), minutes / 60 % 24);
    else if (minutes >= 60)
        snprintf(text, 32, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60);
    else
        snprintf(text, 32, "%" PRId64 " min %" PRId64 " s", minutes, ms / 1000 % 60);
    return text;
}

void view_print_host(const struct view *view, int width, const char *end)
{
    char uptime[32];

    view_line(width, end, "ballastd %s on %s, policy %s, %zu domains, up %s, %" PRId64 " rounds%s",
              view->version, view->host, view->policy, view->count,
              format_uptime(view->uptime_ms, uptime), view->rounds,
              view->dry_run ? ", dry run" : "");
    view_line(width, end,
              "host MiB: %" PRId64 " total, %" PRId64 " free, %" PRId64 " promised, %" PRId64
              " claimed, %" PRId64 " reserve, %" PRId64 " reserved, %" PRId64 " headroom, %" PRId64
              " pool",
              mib(view->total_kib), mib(view->free_kib), mib(view->promised_kib),
              mib(view->claimed_kib), mib(view->reserve_kib), mib(view->reserved_kib),
              mib(view->headroom_kib), mib(view->pool_kib));
    view_line(width, end,
              "domains MiB: %" PRId64 " guaranteed; freeable: %" PRId64 " without hurting, %" PRId64
              " down to the minimums",
              mib(view->guaranteed_kib), mib(view->freeable_kib), mib(view->freeable_to_min_kib));
}

static void print_reservation(const struct json_value *reservation, int width, const char *end)
{
    int64_t least = get_int(reservation, "at_least_kib");
    int64_t most = get_int(reservation, "at_most_kib");
    char name[DOMAIN_NAME_SIZE];
    char state[16];
    char range[32] = "";

    get_text(reservation, "name", name, sizeof(name));
    get_text(reservation, "state", state, sizeof(state));
    if (most > least)
        snprintf(range, sizeof(range), " to %" PRId64, mib(most));
    view_line(width, end,
              "reservation %" PRId64 ", MiB: %" PRId64 "%s for %s, %s, %" PRId64
              " gathered, %" PRId64 " s left",
              get_int(reservation, "reservation"), mib(least), range,
              strcmp(name, "?") ? name : "the first new domain", state,
              mib(get_int(reservation, "gathered_kib")), get_int(reservation, "left_ms") / 1000);
}

size_t view_reservation_count(const struct view *view)
{
    return json_length(json_get(view->reservations, "return"));
}

void view_print_reservations(const struct view *view, size_t most, int width, const char *end)
{
    const struct json_value *reservations = json_get(view->reservations, "return");

    for (size_t i = 0; i < json_length(reservations) && i < most; i++)
        print_reservation(json_at(reservations, i), width, end);
}

int view_print_troubles(const struct view *view, int width, const char *end)
{
    char text[UNITS_TEXT_SIZE];
    int count = 0;

    if (!view->minimums_fit) {
        view_line(width, end,
                  "TROUBLE: the minimums do not fit the host (%s in all): the lowest priority goes "
                  "short first",
                  units_format_kib(view->guaranteed_kib, text));
        count++;
    }
    if (view->headroom_kib < 0) {
        view_line(width, end,
                  "TROUBLE: %s are missing of the reserve and what is promised: nothing is given "
                  "until domains let go",
                  units_format_kib(-view->headroom_kib, text));
        count++;
    }
    return count;
}

/* The table. */

enum column {
    NAME,
    ID,
    CONDUCT,
    ACTUAL,
    TARGET,
    CAP,
    MIN,
    MAX,
    WEIGHT,
    NEED,
    AVAILABLE,
    GOOD,
    COLUMNS
};

static const char *const titles[COLUMNS] = {
    [NAME] = "NAME",     [ID] = "ID",     [CONDUCT] = "CONDUCT", [ACTUAL] = "ACTUAL",
    [TARGET] = "TARGET", [CAP] = "CAP",   [MIN] = "MIN",         [MAX] = "MAX",
    [WEIGHT] = "WEIGHT", [NEED] = "NEED", [AVAILABLE] = "AVAIL", [GOOD] = "GOOD",
};

/* In a terminal, a longer name is cut. */
#define NAME_WIDTH 20

/* Into cell, which is as large as a name. Returns it. */
static const char *format_cell(const struct view_domain *row, enum column column,
                               char cell[DOMAIN_NAME_SIZE])
{
    const int64_t numbers[COLUMNS] = {
        [ID] = row->domid,
        [ACTUAL] = mib(row->actual_kib),
        [TARGET] = mib(row->target_kib),
        [CAP] = mib(row->cap_kib),
        [MIN] = mib(row->min_kib),
        [MAX] = mib(row->max_kib),
        [WEIGHT] = row->weight,
        [NEED] = mib(row->need_kib),
        [AVAILABLE] = mib(row->available_kib),
        [GOOD] = row->goodness / 10,
    };

    if (column == NAME)
        snprintf(cell, DOMAIN_NAME_SIZE, "%s", row->name);
    else if (!row->managed && column != ID && column != ACTUAL && column != TARGET && column != CAP)
        snprintf(cell, DOMAIN_NAME_SIZE, "-");
    else if (column == CONDUCT)
        snprintf(cell, DOMAIN_NAME_SIZE, "%s", row->conduct);
    else
        snprintf(cell, DOMAIN_NAME_SIZE, "%" PRId64, numbers[column]);
    return cell;
}

static void measure(const struct view *view, bool endless, int widths[COLUMNS])
{
    char cell[DOMAIN_NAME_SIZE];

    for (int column = 0; column < COLUMNS; column++) {
        widths[column] = columns_of(titles[column]);
        for (size_t i = 0; i < view->count; i++) {
            int width = columns_of(format_cell(&view->rows[i], (enum column)column, cell));

            if (width > widths[column])
                widths[column] = width;
        }
    }
    if (!endless && widths[NAME] > NAME_WIDTH)
        widths[NAME] = NAME_WIDTH;
}

/* Adds a cell and a space to a line; names and words stand left, numbers right. */
static void add_cell(char *line, const char *text, enum column column, int width)
{
    bool left = column == NAME || column == CONDUCT;
    int fill = width - columns_of(text);
    size_t len = strlen(line);

    if (fill < 0)
        fill = 0;
    snprintf(line + len, LINE_SIZE - len, "%*s%s%*s ", left ? 0 : fill, "", text, left ? fill : 0,
             "");
}

const char *view_phrase(const char *word)
{
    for (int reason = 0; reason <= REASON_SURPLUS; reason++)
        if (!strcmp(reason_name((enum reason)reason), word))
            return reason_text((enum reason)reason);
    return word;
}

void view_print_domains(const struct view *view, int width, const char *end)
{
    int widths[COLUMNS];
    char cell[DOMAIN_NAME_SIZE];
    char line[LINE_SIZE] = "";

    measure(view, width >= VIEW_ENDLESS, widths);
    for (int column = 0; column < COLUMNS; column++)
        add_cell(line, titles[column], (enum column)column, widths[column]);
    view_line(width, end, "%sWHY", line);
    for (size_t i = 0; i < view->count; i++) {
        const struct view_domain *row = &view->rows[i];

        line[0] = '\0';
        for (int column = 0; column < COLUMNS; column++) {
            format_cell(row, (enum column)column, cell);
            cut(cell, widths[column]);
            add_cell(line, cell, (enum column)column, widths[column]);
        }
        view_line(width, end, "%s%s", line,
                  width >= PHRASE_WIDTH ? view_phrase(row->reason) : row->reason);
    }
}
