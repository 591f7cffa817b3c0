/* SPDX-License-Identifier: ISC */
#include "util/cfgfile.h"

#include <ctype.h>
#include <errno.h>
#include <libxlutil.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/regular.h"
#include "util/units.h"

/* A thousand domains of a thousand bytes each. */
#define FILE_SIZE_MAX (1024 * 1024)
#define STATEMENTS_MAX 4096

#define TEXT_OF(number) TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* What libxlutil does not tell: where a setting and the items of its list stand. */
struct setting {
    char *key;
    int line;
    int *item_lines;
    size_t item_count;
};

struct cfgfile {
    char *name;
    FILE *report;
    int faults;
    XLU_Config *xlu;
    FILE *xlu_report; /* into xlu_text */
    char *xlu_text;
    size_t xlu_size;
    struct setting *settings;
    size_t setting_count;
};

/* Faults. */

/* Line 0: of the file as a whole. */
void cfgfile_fault(struct cfgfile *file, int line, const char *format, ...)
{
    va_list args;

    file->faults++;
    if (line > 0)
        (void)fprintf(file->report, "%s:%d: ", file->name, line);
    else
        (void)fprintf(file->report, "%s: ", file->name);
    va_start(args, format);
    (void)vfprintf(file->report, format, args);
    va_end(args);
    (void)fputc('\n', file->report);
}

int cfgfile_faults(const struct cfgfile *file)
{
    return file->faults;
}

/* The scanner: a walk over the words of the file, for the lines, and to keep from libxlutil what it
 * does not survive: a NUL in a string; escapes by number, which it may read beyond the string's
 * end. In what order words may stand is libxlutil's to judge. */

struct scanner {
    struct cfgfile *file;
    const char *at; /* the text ends in a newline and a NUL */
    const char *end;
    int line;
    int depth; /* of [ */
    int statements;
    struct setting *setting; /* the last that began */
    char *word;              /* a name that may become a setting; owned */
    int word_line;
    int error; /* libxlutil must not see the file: a negative errno */
};

/* Tells a fault and skips the rest of its line. */
static void refuse_line(struct scanner *scanner, const char *what)
{
    cfgfile_fault(scanner->file, scanner->line, "%s", what);
    scanner->error = -EINVAL;
    while (*scanner->at != '\n')
        scanner->at++;
}

static struct setting *find_setting(const struct cfgfile *file, const char *key)
{
    for (size_t i = 0; i < file->setting_count; i++) {
        if (strcmp(file->settings[i].key, key) == 0)
            return &file->settings[i];
    }
    return NULL;
}

/* Takes over the word as the key of a new setting; NULL without memory. */
static struct setting *add_setting(struct scanner *scanner)
{
    struct cfgfile *file = scanner->file;
    struct setting *setting =
        reallocarray(file->settings, file->setting_count + 1, sizeof(*file->settings));

    if (!setting) {
        scanner->error = -ENOMEM;
        return NULL;
    }
    file->settings = setting;
    setting += file->setting_count++;
    *setting = (struct setting){ .key = scanner->word, .line = scanner->word_line };
    scanner->word = NULL;
    return setting;
}

/* "NAME =", or "NAME +=" when it adds to what is there. */
static void begin_setting(struct scanner *scanner, bool adds)
{
    struct setting *setting = find_setting(scanner->file, scanner->word);

    if (++scanner->statements > STATEMENTS_MAX) {
        refuse_line(scanner, "too many settings; expected at most " TEXT_OF(STATEMENTS_MAX));
        scanner->at = scanner->end;
        return;
    }
    if (!setting) {
        setting = add_setting(scanner);
    } else if (!adds) {
        cfgfile_fault(scanner->file, scanner->word_line,
                      "%s is set again; expected once, and it is set on line %d", setting->key,
                      setting->line);
        setting->line = scanner->word_line;
        setting->item_count = 0;
    }
    scanner->setting = setting;
}

static void add_item(struct scanner *scanner)
{
    struct setting *setting = scanner->setting;
    int *lines;

    if (scanner->depth != 1 || !setting)
        return;
    lines = reallocarray(setting->item_lines, setting->item_count + 1, sizeof(*lines));
    if (!lines) {
        scanner->error = -ENOMEM;
        return;
    }
    lines[setting->item_count++] = scanner->line;
    setting->item_lines = lines;
}

static void scan_string(struct scanner *scanner)
{
    char quote = *scanner->at++;

    for (; *scanner->at != quote; scanner->at++) {
        if (*scanner->at == '\\') {
            scanner->at++;
            if (*scanner->at == '\0' || !strchr("\"'\\abfnrtv", *scanner->at)) {
                refuse_line(scanner, "an unknown escape; expected \\\\ for a backslash");
                return;
            }
        } else if (*scanner->at == '\n') {
            refuse_line(scanner, "a string without an end; expected a quote before the line ends");
            return;
        } else if (iscntrl((unsigned char)*scanner->at) && *scanner->at != '\t') {
            refuse_line(scanner, "a control character in a string; expected printable text");
            return;
        }
    }
    scanner->at++;
    add_item(scanner);
}

static void scan_number(struct scanner *scanner)
{
    while (isdigit((unsigned char)*scanner->at) || strspn(scanner->at, "abcdefx") > 0)
        scanner->at++;
    add_item(scanner);
}

static void scan_name(struct scanner *scanner)
{
    size_t len = strspn(scanner->at, "_0123456789abcdefghijklmnopqrstuvwxyz");

    free(scanner->word);
    scanner->word = strndup(scanner->at, len);
    scanner->word_line = scanner->line;
    if (!scanner->word)
        scanner->error = -ENOMEM;
    scanner->at += len;
}

static void refuse_mark(struct scanner *scanner)
{
    unsigned char mark = (unsigned char)*scanner->at;
    char what[160], shown[16];

    if (mark == '\r') {
        refuse_line(scanner, "a carriage return; expected lines that end as Unix ends them");
        return;
    }
    (void)snprintf(shown, sizeof(shown), isprint(mark) ? "'%c'" : "the byte 0x%02x", mark);
    (void)snprintf(what, sizeof(what),
                   "%s is not understood; expected NAME = \"TEXT\", "
                   "NAME = NUMBER or NAME = [ \"TEXT\", ... ]",
                   shown);
    refuse_line(scanner, what);
}

static void scan_mark(struct scanner *scanner)
{
    bool adds = scanner->at[0] == '+' && scanner->at[1] == '=';

    if (*scanner->at == '[') {
        add_item(scanner); /* when it is a list in a list */
        scanner->depth++;
    } else if (*scanner->at == ']') {
        scanner->depth--;
    } else if (*scanner->at == '=' || adds) {
        if (scanner->word && scanner->depth == 0)
            begin_setting(scanner, adds);
    } else if (*scanner->at != ',' && *scanner->at != ';') {
        refuse_mark(scanner);
        return;
    }
    if (scanner->at < scanner->end)
        scanner->at += adds ? 2 : 1;
}

/* text[0..len) ends in a newline, and a NUL follows. Returns 0, or a negative errno when libxlutil
 * must not see it. */
static int scan(struct cfgfile *file, const char *text, size_t len)
{
    struct scanner scanner = { .file = file, .at = text, .end = text + len, .line = 1 };

    while (scanner.at < scanner.end && scanner.error != -ENOMEM) {
        char c = *scanner.at;

        if (c == '\n') {
            scanner.line++;
            scanner.at++;
        } else if (c == ' ' || c == '\t') {
            scanner.at++;
        } else if (c == '#') {
            scanner.at = memchr(scanner.at, '\n', (size_t)(scanner.end - scanner.at));
        } else if (c == '"' || c == '\'') {
            scan_string(&scanner);
        } else if (c >= '0' && c <= '9') {
            scan_number(&scanner);
        } else if (c >= 'a' && c <= 'z') {
            scan_name(&scanner);
        } else {
            scan_mark(&scanner);
        }
    }
    free(scanner.word);
    return scanner.error;
}

/* Reads the whole file into *ret_text, with a newline (without which libxlutil takes no comment on
 * the last line) and a NUL after it. */
static int read_text(struct cfgfile *file, char **ret_text, size_t *ret_len)
{
    const char *why = NULL;
    FILE *stream = regular_open(file->name, &why);
    char *text = stream ? malloc(FILE_SIZE_MAX + 2) : NULL;
    size_t len = 0;
    int r = 0;

    if (!stream) {
        r = -errno;
    } else if (!text) {
        r = -ENOMEM;
    } else {
        errno = 0;
        len = fread(text, 1, FILE_SIZE_MAX + 1, stream);
        if (ferror(stream))
            r = errno ? -errno : -EIO;
        else if (len > FILE_SIZE_MAX)
            r = -EFBIG;
    }
    if (stream)
        (void)fclose(stream);
    if (r < 0) {
        cfgfile_fault(file, 0, "cannot be read: %s", why ? why : strerror(-r));
        free(text);
        return r;
    }
    if (len == 0 || text[len - 1] != '\n')
        text[len++] = '\n';
    text[len] = '\0';
    *ret_text = text;
    *ret_len = len;
    return 0;
}

/* Tells what libxlutil reported, "FILE:LINE: config parsing error near ...", as our own fault. When
 * it finds the end of a line where something else should be, it tells the line before. */
static void tell_syntax(struct cfgfile *file)
{
    size_t skipped = strlen(file->name) + 1;
    char *rest;

    (void)fflush(file->xlu_report);
    rest = file->xlu_text;
    for (char *line = strsep(&rest, "\n"); rest; line = strsep(&rest, "\n")) {
        char *what = strlen(line) > skipped ? line + skipped : line;
        char *number = strsep(&what, ":");
        int64_t at;

        if (!what || units_parse_int(number, 0, INT_MAX - 1, &at) < 0)
            cfgfile_fault(file, 0, "%s", line);
        else
            cfgfile_fault(file, (int)at + (strstr(what, "unexpected NEWLINE") != NULL), "%s",
                          what + strspn(what, " "));
    }
}

static int parse(struct cfgfile *file)
{
    char *text;
    size_t len;
    int r = read_text(file, &text, &len);

    if (r < 0)
        return r;
    r = scan(file, text, len);
    if (r == 0) {
        r = -xlu_cfg_readdata(file->xlu, text, (int)len);
        if (r < 0)
            tell_syntax(file);
    }
    free(text);
    return r;
}

int cfgfile_read(const char *name, FILE *report, struct cfgfile **ret_file)
{
    struct cfgfile *file = calloc(1, sizeof(*file));
    int r = -ENOMEM;

    if (!file)
        return r;
    file->report = report;
    file->name = strdup(name);
    file->xlu_report = open_memstream(&file->xlu_text, &file->xlu_size);
    if (file->xlu_report)
        file->xlu = xlu_cfg_init(file->xlu_report, name);
    if (file->name && file->xlu)
        r = parse(file);
    if (r < 0) {
        cfgfile_free(file);
        return r;
    }
    *ret_file = file;
    return 0;
}

void cfgfile_free(struct cfgfile *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->setting_count; i++) {
        free(file->settings[i].key);
        free(file->settings[i].item_lines);
    }
    free(file->settings);
    xlu_cfg_destroy(file->xlu);
    if (file->xlu_report)
        (void)fclose(file->xlu_report);
    free(file->xlu_text);
    free(file->name);
    free(file);
}

/* Where a setting stands; 0 when it does not. */
static int line_of(const struct cfgfile *file, const char *key)
{
    const struct setting *setting = find_setting(file, key);

    return setting ? setting->line : 0;
}

const char *cfgfile_key(const struct cfgfile *file, size_t index, int *ret_line)
{
    if (index >= file->setting_count)
        return NULL;
    if (ret_line)
        *ret_line = file->settings[index].line;
    return file->settings[index].key;
}

const char *cfgfile_string(const struct cfgfile *file, const char *key, int *ret_line)
{
    const char *value;

    if (xlu_cfg_get_string(file->xlu, key, &value, 1) != 0)
        return NULL;
    if (ret_line)
        *ret_line = line_of(file, key);
    return value;
}

int cfgfile_list(const struct cfgfile *file, const char *key)
{
    XLU_ConfigList *list;
    int count;
    int e = xlu_cfg_get_list(file->xlu, key, &list, &count, 1);

    if (e != 0)
        return e == ESRCH ? -ENOENT : -EINVAL;
    return count;
}

const char *cfgfile_item(const struct cfgfile *file, const char *key, int index, int *ret_line)
{
    const struct setting *setting = find_setting(file, key);
    XLU_ConfigList *list;

    if (xlu_cfg_get_list(file->xlu, key, &list, NULL, 1) != 0)
        return NULL;
    if (ret_line)
        *ret_line = setting && index >= 0 && (size_t)index < setting->item_count
                        ? setting->item_lines[index]
                        : 0;
    return xlu_cfg_get_listitem(list, index);
}

/* Cuts the spaces off both ends, in place. */
static char *trim(char *text)
{
    char *end;

    text += strspn(text, " \t");
    end = text + strlen(text);
    while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return text;
}

char *cfgfile_word(char **cursor, char **ret_value)
{
    char *word = strsep(cursor, ",");
    char *value;

    if (!word)
        return NULL;
    value = word;
    (void)strsep(&value, "=");
    *ret_value = value ? trim(value) : NULL;
    return trim(word);
}
