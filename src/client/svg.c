/* SPDX-License-Identifier: ISC */
#include "client/svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/host-sim.h"
#include "util/utf8.h"

#define COLUMNS 800
#define MIB 1024

/* The page, in pixels. */
#define WIDTH 1200.0
#define LEFT 70.0
#define RIGHT 110.0
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define TITLE_HEIGHT 34.0
#define NOTE_HEIGHT 14.0
#define NOTE_ROWS 3
#define STACK_TOP (TITLE_HEIGHT + NOTE_ROWS * NOTE_HEIGHT + 8)
#define STACK_HEIGHT 380.0
#define STACK_BOTTOM (STACK_TOP + STACK_HEIGHT)
#define STRIPS_TOP (STACK_BOTTOM + 64)
#define LABEL_HEIGHT 11.0

/* Of more guests, those of one family are one band of the stack. */
#define BANDS_MAX 36

/* Of more guests only those that lacked most have a strip. */
#define STRIPS_MAX 240

static const char *const colours[] = {
    "#4e79a7", "#f0a04b", "#59a14f", "#b07aa1", "#76b7b2", "#d37295",
    "#9c755f", "#a0cbe8", "#d4b13f", "#8cd17d", "#8f8fc9", "#f1b6a6",
};

#define COLOURS (sizeof(colours) / sizeof(colours[0]))

/* Recording. */

int trace_init(struct trace *ret_trace, size_t guests, uint64_t length_ms)
{
    struct trace trace = { .columns = COLUMNS + 1, .guests = guests };

    trace.step_ms = length_ms / COLUMNS > 0 ? length_ms / COLUMNS : 1;
    trace.actual_mib = calloc(guests * trace.columns, sizeof(*trace.actual_mib));
    trace.need_mib = calloc(guests * trace.columns, sizeof(*trace.need_mib));
    if (!trace.actual_mib || !trace.need_mib) {
        trace_free(&trace);
        return -ENOMEM;
    }
    *ret_trace = trace;
    return 0;
}

void trace_free(struct trace *trace)
{
    free(trace->actual_mib);
    free(trace->need_mib);
    memset(trace, 0, sizeof(*trace));
}

void trace_sample(struct trace *trace, const struct host *host)
{
    size_t column = trace->used;

    if (column == trace->columns)
        return;
    for (size_t i = 0; i < trace->guests; i++) {
        const struct guest *guest = host_sim_guest(host, i);
        bool lives = guest->life == GUEST_RUNNING || guest->life == GUEST_PAUSED;

        trace->actual_mib[i * trace->columns + column] = (float)guest->actual_kib / MIB;
        trace->need_mib[i * trace->columns + column] = lives ? (float)guest->need_kib / MIB : 0;
    }
    trace->used++;
}

/* Drawing. */

struct box {
    double x, y, width, height;
    double full; /* the value at the top */
};

static double x_of(const struct box *box, size_t column, size_t columns)
{
    return box->x + box->width * (double)column / (double)(columns > 1 ? columns - 1 : 1);
}

static double y_of(const struct box *box, double value)
{
    return box->y + box->height * (1 - (value < box->full ? value : box->full) / box->full);
}

/* Names are what somebody wrote into a file. */
static void put_text(FILE *out, const char *text)
{
    for (size_t length = 1; *text; text += length ? length : 1) {
        length = utf8_length(text);
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        default:
            if (length == 0)
                fputc('?', out);
            else if ((unsigned char)*text >= 0x20)
                fwrite(text, 1, length, out);
        }
    }
}

static void put_label(FILE *out, double x, double y, double size, const char *colour,
                      const char *anchor, const char *text)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.0f\" fill=\"%s\" text-anchor=\"%s\">",
            x, y, size, colour, anchor);
    put_text(out, text);
    fputs("</text>\n", out);
}

/* A line of steps through the values; its corners only, so that what rests costs nothing. */
static void put_steps(FILE *out, const struct box *box, const double *values, size_t count)
{
    double last = y_of(box, values[0]);

    fprintf(out, "M%.1f %.1f", x_of(box, 0, count), last);
    for (size_t i = 1; i < count; i++) {
        double y = y_of(box, values[i]);

        if (y - last < 0.05 && last - y < 0.05)
            continue;
        fprintf(out, "H%.1fV%.1f", x_of(box, i, count), y);
        last = y;
    }
    fprintf(out, "H%.1f", x_of(box, count - 1, count));
}

static void put_area(FILE *out, const struct box *box, const double *values, size_t count,
                     const char *colour)
{
    fprintf(out, "<path fill=\"%s\" d=\"", colour);
    put_steps(out, box, values, count);
    fprintf(out, "V%.1fH%.1fZ\"/>\n", box->y + box->height, box->x);
}

static void put_line(FILE *out, const struct box *box, const double *values, size_t count,
                     const char *colour)
{
    fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"0.9\" d=\"", colour);
    put_steps(out, box, values, count);
    fputs("\"/>\n", out);
}

/* The smallest of 1, 2, 5, 10, ... times unit that divides full into at most `most` parts. */
static double tick_of(double full, double unit, double most)
{
    static const double factors[] = { 1, 2, 5 };

    for (double ten = 1; ten < 1e12; ten *= 10) {
        for (size_t i = 0; i < 3; i++) {
            if (full / (unit * ten * factors[i]) <= most)
                return unit * ten * factors[i];
        }
    }
    return full;
}

static void put_axes(FILE *out, const struct box *box, double length_s)
{
    double tick = tick_of(box->full, box->full >= 8192 ? 1024 : 1, 8);
    char text[32];

    for (double value = 0; value <= box->full; value += tick) {
        fprintf(out, "<path stroke=\"#0002\" d=\"M%.1f %.1fH%.1f\"/>\n", box->x, y_of(box, value),
                box->x + box->width);
        if (tick >= 1024)
            (void)snprintf(text, sizeof(text), "%.0f GiB", value / 1024);
        else
            (void)snprintf(text, sizeof(text), "%.0f MiB", value);
        put_label(out, box->x - 6, y_of(box, value) + 4, 11, "#333", "end", text);
    }
    tick = length_s > 600 ? tick_of(length_s, 60, 12) : tick_of(length_s, 1, 12);
    for (double s = 0; s <= length_s; s += tick) {
        double x = box->x + box->width * s / length_s;

        fprintf(out, "<path stroke=\"#333\" d=\"M%.1f %.1fv4\"/>\n", x, box->y + box->height);
        if (length_s > 600)
            (void)snprintf(text, sizeof(text), "%.0f min", s / 60);
        else
            (void)snprintf(text, sizeof(text), "%.0f s", s);
        put_label(out, x, box->y + box->height + 16, 11, "#333", "middle", text);
    }
}

/* The length of a name without the number at its end: who shares it is of one family. */
static size_t stem(const char *name)
{
    size_t len = strlen(name);

    while (len > 0 && name[len - 1] >= '0' && name[len - 1] <= '9')
        len--;
    return len;
}

static bool same_family(const struct guest_spec *a, const struct guest_spec *b)
{
    size_t len = stem(a->name);

    return len == stem(b->name) && strncmp(a->name, b->name, len) == 0;
}

/* Which guests stand together in the stack: each for itself, or, when they are many, families. */
static bool one_band(const struct scenario *scenario, size_t a, size_t b)
{
    return scenario->guest_count > BANDS_MAX
           && same_family(&scenario->guests[a], &scenario->guests[b]);
}

static void put_band_label(FILE *out, const struct scenario *scenario, const struct box *box,
                           size_t first, size_t last, double middle, double *label_y)
{
    const char *name = scenario->guests[first].name;
    double y = y_of(box, middle) + 4;
    char text[DOMAIN_NAME_SIZE + 16];

    if (y < *label_y + LABEL_HEIGHT)
        return;
    if (first == last)
        (void)snprintf(text, sizeof(text), "%s", name);
    else
        (void)snprintf(text, sizeof(text), "%zu of %.*s", last - first + 1, (int)stem(name), name);
    put_label(out, box->x + box->width + 6, y, 10, "#333", "start", text);
    *label_y = y;
}

/* Memory of all, one upon the other; painted from the top, each over the one above it. */
static void put_stack(FILE *out, const struct trace *trace, const struct scenario *scenario,
                      const struct box *box, double *sums)
{
    double base = (double)(scenario->xen_kib + scenario->dom0_kib) / MIB;
    double label_y = box->y + 1; /* the reserve's label */
    size_t bands = 0, first;

    for (size_t c = 0; c < trace->used; c++) {
        sums[c] = base;
        for (size_t i = 0; i < trace->guests; i++)
            sums[c] += (double)trace->actual_mib[i * trace->columns + c];
    }
    for (size_t i = 1; i < trace->guests; i++)
        bands += !one_band(scenario, i - 1, i);
    for (size_t last = trace->guests - 1;; last = first - 1, bands--) {
        double top = sums[trace->used - 1];

        put_area(out, box, sums, trace->used, colours[bands % COLOURS]);
        for (first = last; first > 0 && one_band(scenario, first - 1, last); first--)
            ;
        for (size_t c = 0; c < trace->used; c++) {
            for (size_t i = first; i <= last; i++)
                sums[c] -= (double)trace->actual_mib[i * trace->columns + c];
        }
        if (top > sums[trace->used - 1])
            put_band_label(out, scenario, box, first, last, (top + sums[trace->used - 1]) / 2,
                           &label_y);
        if (first == 0)
            break;
    }
    put_area(out, box, sums, trace->used, "#c4c4c4");
    put_label(out, box->x + 6, box->y + box->height - 6, 11, "#333", "start", "dom0 and Xen");
}

/* What all need together, above what is not theirs. */
static void put_need(FILE *out, const struct trace *trace, const struct scenario *scenario,
                     const struct box *box, double *sums)
{
    for (size_t c = 0; c < trace->used; c++) {
        sums[c] = (double)(scenario->xen_kib + scenario->dom0_kib) / MIB;
        for (size_t i = 0; i < trace->guests; i++)
            sums[c] += (double)trace->need_mib[i * trace->columns + c];
    }
    put_line(out, box, sums, trace->used, "#111");
}

static void put_reserve(FILE *out, const struct scenario *scenario, const struct box *box)
{
    double y = y_of(box, box->full - (double)scenario->config.reserve_kib / MIB);

    fprintf(out, "<path stroke=\"#a00\" stroke-dasharray=\"6 4\" d=\"M%.1f %.1fH%.1f\"/>\n", box->x,
            y, box->x + box->width);
    put_label(out, box->x + box->width + 6, box->y + 1, 10, "#a00", "start", "reserve");
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
            "stroke=\"#333\"/>\n",
            box->x, box->y, box->width, box->height);
}

/* What happens but for needs: those stand in the strips. A text goes where there is room for it. */
static void put_events(FILE *out, const struct host *host, const struct box *box, double length_ms)
{
    double taken[NOTE_ROWS] = { 0 };
    const struct scenario_event *event;
    uint64_t at_ms;

    for (size_t i = 0; host_sim_event(host, i, &at_ms, &event); i++) {
        double x = box->x + box->width * (double)at_ms / length_ms;
        char text[SCENARIO_PATTERN_SIZE + 16];
        int n, row = 0;

        if (event->action == ACTION_NEED || (double)at_ms > length_ms)
            continue;
        n = snprintf(text, sizeof(text), "%s %s",
                     strcmp(event->guests, "host") == 0 ? "" : event->guests,
                     scenario_action_name(event->action));
        while (row < NOTE_ROWS && taken[row] > x)
            row++;
        fprintf(out, "<path stroke=\"#0008\" stroke-dasharray=\"2 3\" d=\"M%.1f %.1fV%.1f\"/>\n", x,
                box->y - 6 - (row < NOTE_ROWS ? row * NOTE_HEIGHT : 0), box->y + box->height);
        if (row == NOTE_ROWS)
            continue;
        put_label(out, x + 3, box->y - 8 - row * NOTE_HEIGHT, 10, "#333", "start", text);
        taken[row] = x + 5.6 * n + 12;
    }
}

/* Strips: need against memory of each. */

struct grid {
    size_t columns;
    double pitch;  /* height of a row */
    double height; /* of a strip in it */
    double font;
    size_t rows;
};

static struct grid grid_for(size_t strips)
{
    struct grid grid = strips <= 6    ? (struct grid){ 1, 76, 62, 11, 0 }
                       : strips <= 24 ? (struct grid){ 2, 52, 40, 10, 0 }
                       : strips <= 75 ? (struct grid){ 3, 42, 32, 10, 0 }
                                      : (struct grid){ 6, 28, 18, 8, 0 };

    grid.rows = (strips + grid.columns - 1) / grid.columns;
    return grid;
}

/* The rank of a guest among all by its unmet need, 0 for the most. */
static size_t rank_of(const struct host *host, size_t index)
{
    double mine = host_sim_guest(host, index)->stats.unmet_kib_ms;
    const struct guest *other;
    size_t rank = 0;

    for (size_t i = 0; (other = host_sim_guest(host, i)); i++) {
        double its = other->stats.unmet_kib_ms;

        rank += its > mine || (its == mine && i < index);
    }
    return rank;
}

static double unpack(const float *values, size_t count, double *ret_values)
{
    double most = 0;

    for (size_t c = 0; c < count; c++) {
        ret_values[c] = (double)values[c];
        most = ret_values[c] > most ? ret_values[c] : most;
    }
    return most;
}

static void put_ticks(FILE *out, const struct host *host, const struct box *box, const char *name,
                      double length_ms)
{
    const struct scenario_event *event;
    uint64_t at_ms;

    for (size_t i = 0; host_sim_event(host, i, &at_ms, &event); i++) {
        double x = box->x + box->width * (double)at_ms / length_ms;

        /* Whom a random event took is not known here; of whom, the line of need shows. */
        if (event->random || event->traced || (double)at_ms > length_ms
            || !scenario_match(event->guests, name))
            continue;
        fprintf(out,
                "<path fill=\"#fff\" stroke=\"#333\" stroke-width=\"0.6\" d=\"M%.1f %.1fl-2.5 "
                "-5h5z\"/>\n",
                x, box->y + box->height);
    }
}

static void put_strip(FILE *out, const struct trace *trace, const struct scenario *scenario,
                      const struct host *host, const struct grid *grid, size_t place, size_t guest,
                      double *values)
{
    double *need = values;
    double *actual = values + trace->columns;
    double width = PLOT_WIDTH + RIGHT - 20, cell = width / (double)grid->columns;
    struct box box = {
        .x = LEFT + cell * (double)(place / grid->rows),
        .y = STRIPS_TOP + grid->pitch * (double)(place % grid->rows),
        .width = cell - 14,
        .height = grid->height,
    };
    double most_need = unpack(&trace->need_mib[guest * trace->columns], trace->used, need);
    double most = unpack(&trace->actual_mib[guest * trace->columns], trace->used, actual);
    char text[DOMAIN_NAME_SIZE + 32];

    most = most > most_need ? most : most_need;
    box.full = most > 0 ? most * 1.1 : 1;
    fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#f4f4f4\"/>\n",
            box.x, box.y, box.width, box.height);
    put_area(out, &box, need, trace->used, "#d62728");
    put_area(out, &box, actual, trace->used, colours[guest % COLOURS]);
    put_line(out, &box, need, trace->used, "#111");
    put_ticks(out, host, &box, scenario->guests[guest].name, (double)scenario->length_ms);
    (void)snprintf(text, sizeof(text), "%s, up to %.0f MiB", scenario->guests[guest].name, most);
    put_label(out, box.x, box.y - 2, grid->font, "#333", "start", text);
}

static void put_strips(FILE *out, const struct trace *trace, const struct scenario *scenario,
                       const struct host *host, const struct grid *grid, double *values)
{
    bool all = trace->guests <= STRIPS_MAX;
    size_t place = 0;

    put_label(
        out, LEFT, STRIPS_TOP - 24, 12, "#111", "start",
        all ? "Each domain: memory held (filled), need (line), short of it (red), events (marks)"
            : "Those that lacked most: memory held (filled), need (line), short of it (red), "
              "events (marks)");
    for (size_t i = 0; i < trace->guests; i++) {
        if (all || rank_of(host, i) < STRIPS_MAX)
            put_strip(out, trace, scenario, host, grid, place++, i, values);
    }
}

int svg_draw(const struct trace *trace, const struct scenario *scenario, const struct host *host,
             const char *title, FILE *out)
{
    struct grid grid = grid_for(trace->guests < STRIPS_MAX ? trace->guests : STRIPS_MAX);
    double height = STRIPS_TOP + grid.pitch * (double)grid.rows + 10;
    double length_s = (double)scenario->length_ms / 1000;
    struct box box = { LEFT, STACK_TOP, PLOT_WIDTH, STACK_HEIGHT,
                       (double)scenario->memory_kib / MIB };
    double *values = calloc(trace->columns * 2, sizeof(*values));

    if (!values || trace->used == 0) {
        free(values);
        return values ? -EINVAL : -ENOMEM;
    }
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, height, WIDTH, height);
    put_label(out, LEFT, 22, 15, "#111", "start", title);
    put_stack(out, trace, scenario, &box, values);
    put_axes(out, &box, length_s);
    put_need(out, trace, scenario, &box, values);
    put_reserve(out, scenario, &box);
    put_label(out, box.x + box.width, 22, 11, "#333", "end",
              "white: free; line: what all need together; dashed: the reserve");
    put_events(out, host, &box, (double)scenario->length_ms);
    put_strips(out, trace, scenario, host, &grid, values);
    fputs("</svg>\n", out);
    free(values);
    if (fflush(out) != 0)
        return -errno;
    return ferror(out) ? -EIO : 0;
}
