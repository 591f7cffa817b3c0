/* SPDX-License-Identifier: ISC */
/* ballast top: the host and its domains, live. */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "client/client.h"
#include "client/connect.h"
#include "client/view.h"
#include "util/exits.h"
#include "util/units.h"

static const char help[] =
    "Usage: ballast top [--delay TIME] [--iterations N] [--json]\n"
    "Shows the host's memory and every domain, live. On a terminal: q ends, up and down\n"
    "(or k and j) scroll.\n"
    "\n"
    "  --delay TIME    between two looks, such as 500ms or 5s; a bare number is\n"
    "                  seconds (default: 1s)\n"
    "  --iterations N  end after so many\n"
    "  --json          one JSON object a line\n"
    "  --help          show this text and leave\n";

/* Drawing: the screen is not cleared before it is drawn anew, so that it does not flicker. */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define SCREEN_REST "\033[J"
#define LINE_END "\033[K\n"
#define LOUD "\033[7m"
#define PLAIN "\033[0m"

/* What is on the screen beside the domains: the host, troubles, titles, the legend. */
#define LINES_OTHER 9

/* The first of the queue are those that something happens to. */
#define RESERVATIONS_SHOWN 4

#define NAME_WIDTH 16
#define BAR_MIN 10

/* Less than this is no shortage: need is an estimate. */
#define SHORT_KIB 4096
#define LINES_FALLBACK 24

/* More often is a load and no better to read. */
#define DELAY_MIN_MS 100

struct top {
    uint64_t delay_ms;
    int64_t iterations; /* 0: without end */
    bool json;
    bool live;    /* on a terminal */
    bool keys;    /* there is a keyboard */
    size_t first; /* row shown first */
    bool ended;
};

static void on_signal(int number)
{
    connect_interrupted = 1;
}

static int lines_of_terminal(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
        return LINES_FALLBACK;
    return size.ws_row;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* One cell of a bar stands for the memory from low to high. */
static char cell_of(const struct view_domain *row, int64_t high)
{
    bool held = high <= row->actual_kib;
    bool needed = high <= row->need_kib;

    if (held)
        return needed ? '#' : '=';
    if (needed)
        return '!';
    if (high <= row->cap_kib)
        return '-';
    return high <= row->max_kib ? '.' : ' ';
}

static void draw_bar(const struct view_domain *row, int64_t scale_kib, int width, char *bar)
{
    for (int i = 0; i < width; i++)
        bar[i] = cell_of(row, scale_kib * (2 * i + 1) / (2 * width));
    bar[width] = '\0';
    if (scale_kib > 0 && row->managed)
        bar[smaller(row->min_kib * width / scale_kib, width - 1)] = '|';
}

static int64_t scale_of(const struct view *view)
{
    int64_t scale = 1024;

    for (size_t i = 0; i < view->count; i++) {
        const struct view_domain *row = &view->rows[i];

        scale = larger(scale, larger(row->max_kib, larger(row->actual_kib, row->cap_kib)));
    }
    return scale;
}

static char mark_of(const struct view_domain *row)
{
    if (!strcmp(row->conduct, "unhelpful") || !strcmp(row->conduct, "malicious"))
        return 'X';
    return row->managed && row->available_kib < -SHORT_KIB ? '!' : ' ';
}

static void draw_rows(const struct view *view, const struct top *top, size_t rows, int width)
{
    const char *end = top->live ? LINE_END : "\n";
    char bar[256];
    int64_t scale = scale_of(view);
    int room = (int)larger(BAR_MIN, smaller((int)sizeof(bar) - 1, width - NAME_WIDTH - 40));

    fputs(top->live ? LOUD : "", stdout);
    view_line(width, top->live ? PLAIN LINE_END : "\n", "  %-*s %6s %6s %6s %-*s WHY", NAME_WIDTH,
              "NAME", "HELD", "NEED", "AVAIL", room, "");
    for (size_t i = top->first; i < view->count && i < top->first + rows; i++) {
        const struct view_domain *row = &view->rows[i];
        char name[NAME_WIDTH + 1];

        draw_bar(row, scale, room, bar);
        view_line(width, end, "%c %-*s %6" PRId64 " %6" PRId64 " %6" PRId64 " %s %s", mark_of(row),
                  NAME_WIDTH, view_clean(row->name, name, sizeof(name)), row->actual_kib / 1024,
                  row->need_kib / 1024, row->available_kib / 1024, bar, row->reason);
    }
}

static void draw(const struct view *view, struct top *top)
{
    const char *end = top->live ? LINE_END : "\n";
    int width = top->live ? view_width(80) : 120;
    size_t rows = view->count;
    size_t reservations =
        (size_t)smaller((int64_t)view_reservation_count(view), RESERVATIONS_SHOWN);

    if (top->live) {
        rows = (size_t)larger(lines_of_terminal() - LINES_OTHER - (int)reservations, 1);
        fputs(SCREEN_HOME, stdout);
    }
    if (top->first + rows > view->count)
        top->first = view->count > rows ? view->count - rows : 0;
    view_print_host(view, width, end);
    view_print_reservations(view, reservations, width, end);
    if (view_print_troubles(view, width, end) == 0)
        fputs(end, stdout);
    draw_rows(view, top, rows, width);
    view_line(width, end,
              "# held and needed  = held, not needed  ! needed, not held  - may take  "
              ". up to its maximum  | minimum");
    if (view->count > rows)
        view_line(width, end, "%zu of %zu domains; up and down scroll", rows, view->count);
    fputs(top->live ? SCREEN_REST : "\n", stdout);
    fflush(stdout);
}

/* Keys. Arrows are ESC [ A and ESC [ B: their last letter is what counts. */
static void take_keys(struct top *top)
{
    char keys[32];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));

    if (n <= 0)
        top->keys = false;
    for (ssize_t i = 0; i < n; i++) {
        switch (keys[i]) {
        case 'q':
            top->ended = true;
            break;
        case 'j':
        case 'B':
            top->first++;
            break;
        case 'k':
        case 'A':
            top->first -= top->first > 0;
            break;
        default:
            break;
        }
    }
}

/* Until the next look is due, or a key asks for one. */
static void wait_or_key(struct top *top)
{
    struct pollfd input = { .fd = top->keys ? STDIN_FILENO : -1, .events = POLLIN };

    if (!connect_interrupted && poll(&input, 1, (int)top->delay_ms) > 0)
        take_keys(top);
}

static int look(struct connection *connection, struct top *top)
{
    struct view view;

    if (view_ask(connection, &view) < 0)
        return -1;
    if (top->json) {
        view_print_json(&view, false);
        fflush(stdout);
    } else {
        draw(&view, top);
    }
    view_free(&view);
    return ferror(stdout) ? -1 : 0;
}

static int show(struct connection *connection, struct top *top)
{
    for (int64_t i = 0; top->iterations == 0 || i < top->iterations; i++) {
        if (i > 0)
            wait_or_key(top);
        if (top->ended || connect_interrupted)
            break;
        if (look(connection, top) < 0)
            return connect_interrupted ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

/* Shows on a screen of its own, and leaves the terminal as it was. What went wrong is said
 * after. */
static int show_live(struct connection *connection, struct top *top)
{
    static char said[4096]; /* what goes wrong meanwhile: it is shown on the screen that stays */
    struct termios before, raw;
    int status;

    (void)setvbuf(stderr, said, _IOFBF, sizeof(said));
    top->keys = tcgetattr(STDIN_FILENO, &before) == 0;
    if (top->keys) {
        raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fputs(SCREEN_ENTER, stdout);
    status = show(connection, top);
    fputs(SCREEN_LEAVE, stdout);
    fflush(stdout);
    if (top->keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    (void)fflush(stderr);
    (void)setvbuf(stderr, NULL, _IONBF, 0);
    return status;
}

/* "500ms", "5s"; a bare number is seconds, as for xentop. */
static int read_delay(const char *text, uint64_t *ret_ms)
{
    int64_t seconds;
    uint64_t ms;

    if (units_parse_int(text, 1, INT_MAX / 1000, &seconds) == 0)
        ms = (uint64_t)seconds * 1000;
    else if (units_parse_ms(text, &ms) < 0 || ms < DELAY_MIN_MS || ms > INT_MAX)
        return -1;
    *ret_ms = ms;
    return 0;
}

/* Returns -1 to go on, or the exit status. */
static int read_options(int argc, char **argv, struct top *top)
{
    static const struct option table[] = {
        { "delay", required_argument, NULL, 'd' },
        { "iterations", required_argument, NULL, 'i' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    optind = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case 'd':
            if (read_delay(optarg, &top->delay_ms) < 0) {
                fprintf(stderr,
                        "ballast: --delay %s: expected a time such as 500ms, 100ms at least\n",
                        optarg);
                return EXIT_USAGE;
            }
            break;
        case 'i':
            if (units_parse_int(optarg, 1, INT64_MAX, &top->iterations) < 0) {
                fprintf(stderr, "ballast: --iterations %s: expected a whole number from 1\n",
                        optarg);
                return EXIT_USAGE;
            }
            break;
        case 'j':
            top->json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        default:
            return client_try_help("top");
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ballast: unexpected argument '%s'\n", argv[optind]);
        return client_try_help("top");
    }
    return -1;
}

int top_main(int argc, char **argv)
{
    struct sigaction action = { .sa_handler = on_signal };
    struct top top = { .delay_ms = 1000 };
    struct connection *connection;
    int status = read_options(argc, argv, &top);

    if (status >= 0)
        return status;
    connection = connect_open(client_socket);
    if (!connection)
        return EXIT_FAILURE;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    top.live = !top.json && isatty(STDOUT_FILENO);
    status = top.live ? show_live(connection, &top) : show(connection, &top);
    connect_close(connection);
    return status;
}
