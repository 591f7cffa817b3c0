/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "util/cfgfile.h"

static char *report; /* of the last open_text() */
static char name[64];

/* Reads text as a file. *ret_file is NULL when that failed. */
static int open_text(const char *text, size_t len, struct cfgfile **ret_file, FILE **ret_stream)
{
    size_t size;
    int fd;
    int r;

    snprintf(name, sizeof(name), "/tmp/test-cfgfile.XXXXXX");
    fd = mkstemp(name);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len) {
        perror(name);
        exit(EXIT_FAILURE);
    }
    close(fd);
    free(report);
    *ret_stream = open_memstream(&report, &size);
    *ret_file = NULL;
    r = cfgfile_read(name, *ret_stream, ret_file);
    fflush(*ret_stream);
    unlink(name);
    return r;
}

static void close_text(struct cfgfile *file, FILE *stream)
{
    cfgfile_free(file);
    fclose(stream);
}

/* The report has a line "NAME:LINE: " that contains text; line 0: "NAME: ". */
static bool reported(int line, const char *text)
{
    char start[96];
    const char *at;

    if (line > 0)
        snprintf(start, sizeof(start), "%s:%d: ", name, line);
    else
        snprintf(start, sizeof(start), "%s: ", name);
    for (at = strstr(report, start); at; at = strstr(at + 1, start)) {
        size_t len = strcspn(at, "\n");
        const char *found = strstr(at, text);

        if (found && found < at + len)
            return true;
    }
    fprintf(stderr, "no fault on line %d with \"%s\" in:\n%s", line, text, report);
    return false;
}

static void test_lines(void)
{
    static const char text[] = "# a comment with \" and [\n"
                               "\n"
                               "policy = \"weighted\" # and one here\n"
                               "number = 0x10; other='its' ;\n"
                               "list = [ 'a, b=c',  # \"not an item\"\n"
                               "\n"
                               "  \"[x]\", 7\n"
                               "  , 'last' ]\n"
                               "\tempty=[]\n"
                               "list += [ \"more\" ]\n"
                               "tail = \"e\\\\s\\\"c\\t\" # no newline after this";
    static const struct {
        const char *key;
        int line;
    } keys[] = { { "policy", 3 }, { "number", 4 }, { "other", 4 },
                 { "list", 5 },   { "empty", 9 },  { "tail", 11 } };
    static const struct {
        const char *item;
        int line;
    } items[] = {
        { "a, b=c", 5 }, { "[x]", 7 }, { "7", 7 }, { "last", 8 }, { "more", 10 },
    };
    struct cfgfile *file;
    FILE *stream;
    int line = 0;

    CHECK_EQ(open_text(text, strlen(text), &file, &stream), 0);
    CHECK_STR(report, "");
    if (!file)
        return;
    CHECK_EQ(cfgfile_faults(file), 0);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        CHECK_STR(cfgfile_key(file, i, &line), keys[i].key);
        CHECK_EQ(line, keys[i].line);
    }
    CHECK(!cfgfile_key(file, sizeof(keys) / sizeof(keys[0]), &line));
    CHECK_EQ(cfgfile_list(file, "list"), sizeof(items) / sizeof(items[0]));
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        CHECK_STR(cfgfile_item(file, "list", (int)i, &line), items[i].item);
        CHECK_EQ(line, items[i].line);
    }
    CHECK(!cfgfile_item(file, "list", 5, &line));
    CHECK(!cfgfile_item(file, "list", -1, NULL));
    CHECK(!cfgfile_item(file, "policy", 0, NULL));
    CHECK(!cfgfile_item(file, "absent", 0, NULL));
    CHECK_EQ(cfgfile_list(file, "empty"), 0);
    CHECK_EQ(cfgfile_list(file, "absent"), -ENOENT);
    CHECK_EQ(cfgfile_list(file, "policy"), -EINVAL);
    CHECK_STR(cfgfile_string(file, "number", &line), "0x10");
    CHECK_EQ(line, 4);
    CHECK_STR(cfgfile_string(file, "tail", NULL), "e\\s\"c\t");
    CHECK(!cfgfile_string(file, "list", NULL));
    CHECK(!cfgfile_string(file, "absent", NULL));
    close_text(file, stream);
}

static void test_list_in_list(void)
{
    static const char text[] = "list = [ [ 'a',\n 'b' ],\n 'c' ]\n";
    struct cfgfile *file;
    FILE *stream;
    int line = 0;

    CHECK_EQ(open_text(text, strlen(text), &file, &stream), 0);
    if (file) {
        CHECK_EQ(cfgfile_list(file, "list"), 2);
        CHECK(!cfgfile_item(file, "list", 0, &line));
        CHECK_EQ(line, 1);
        CHECK_STR(cfgfile_item(file, "list", 1, &line), "c");
        CHECK_EQ(line, 3);
    }
    close_text(file, stream);
}

static void test_set_twice(void)
{
    static const char text[] = "a = 1\nb = [ 'x' ]\na = 2\nb = [ 'y',\n 'z' ]\n";
    struct cfgfile *file;
    FILE *stream;
    int line = 0;

    CHECK_EQ(open_text(text, strlen(text), &file, &stream), 0);
    CHECK(reported(3, "set on line 1"));
    CHECK(reported(4, "set on line 2"));
    if (file) {
        CHECK_EQ(cfgfile_faults(file), 2);
        CHECK_STR(cfgfile_string(file, "a", &line), "2");
        CHECK_EQ(line, 3);
        CHECK_STR(cfgfile_item(file, "b", 1, &line), "z");
        CHECK_EQ(line, 5);
    }
    close_text(file, stream);
}

static void test_syntax(void)
{
    static const struct {
        const char *text;
        int line;
        const char *fault;
    } cases[] = {
        { "a = 1\nb\n", 2, "syntax error" },
        { "a = 1\nb =  # comment\nc = 1\n", 2, "expecting STRING" },
        { "a = [ 'x'\n", 1, "syntax error" },
        { "a = [ 'x'", 1, "syntax error" },
        { "a = [ 'x' 'y' ]\n", 1, "syntax error" },
        { "a = ]\n", 1, "syntax error" },
        { "a = [ 'x' ]\na += 'y'\n", 2, "can't add" },
        { "\na = 64M\n", 2, "'M' is not understood" },
        { "Policy = 1\n", 1, "not understood" },
        { "a = weight\n", 1, "syntax error" },
        { "a = 1\nb = 'x\n", 2, "without an end" },
        { "a = \"x\\", 1, "unknown escape" },
        { "a = \"\\x41\"\n", 1, "unknown escape" },
        { "a = \"\\0\"\n", 1, "unknown escape" },
        { "a = \"\\x\"\n", 1, "unknown escape" },
        { "a = 'x\x1b[31m'\n", 1, "control character" },
        { "a = 1\r\n", 1, "carriage return" },
        { "\xef\xbb\xbfx = 1\n", 1, "the byte 0xef is not understood" },
        { "a + = 1\n", 1, "not understood" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cfgfile *file;
        FILE *stream;

        CHECK_EQ(open_text(cases[i].text, strlen(cases[i].text), &file, &stream), -EINVAL);
        CHECK(reported(cases[i].line, cases[i].fault));
        close_text(file, stream);
    }
}

/* Faults of several lines are told in one go. */
static void test_all_at_once(void)
{
    static const char text[] = "a = 'x\nb = 1\nc = @\nd = \"\\7\"\n";
    struct cfgfile *file;
    FILE *stream;

    CHECK_EQ(open_text(text, strlen(text), &file, &stream), -EINVAL);
    CHECK(reported(1, "without an end"));
    CHECK(reported(3, "not understood"));
    CHECK(reported(4, "unknown escape"));
    close_text(file, stream);
}

static void test_nul(void)
{
    static const char texts[][9] = { "a = 'x\0'", "a = 1  \0", "a = '\\\0'" };
    struct cfgfile *file;
    FILE *stream;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CHECK_EQ(open_text(texts[i], sizeof(texts[i]), &file, &stream), -EINVAL);
        CHECK(strstr(report, ":1: "));
        close_text(file, stream);
    }
    CHECK_EQ(open_text("# x\0y\na = 1\n", 11, &file, &stream), 0);
    close_text(file, stream);
}

static void test_too_large(void)
{
    size_t len = 2 * 1024 * 1024;
    char *text = malloc(len);
    struct cfgfile *file;
    FILE *stream;

    memset(text, '\n', len);
    CHECK_EQ(open_text(text, len, &file, &stream), -EFBIG);
    CHECK(reported(0, "cannot be read"));
    close_text(file, stream);
    for (size_t i = 0; i + 5 <= len / 4; i += 5)
        memcpy(text + i, "a+=1\n", 5);
    CHECK_EQ(open_text(text, len / 4 / 5 * 5, &file, &stream), -EINVAL);
    CHECK(reported(4097, "too many settings"));
    close_text(file, stream);
    memset(text, '[', len / 4);
    CHECK_EQ(open_text(text, len / 4, &file, &stream), -EINVAL);
    close_text(file, stream);
    free(text);
}

static void test_no_file(void)
{
    size_t size;
    char *text = NULL;
    FILE *stream = open_memstream(&text, &size);
    struct cfgfile *file = NULL;

    CHECK_EQ(cfgfile_read("/nonexistent/ballast.conf", stream, &file), -ENOENT);
    CHECK_EQ(cfgfile_read("/", stream, &file), -EISDIR);
    CHECK(!file);
    fclose(stream);
    CHECK_STR(text, "/nonexistent/ballast.conf: cannot be read: No such file or directory\n"
                    "/: cannot be read: Is a directory\n");
    free(text);
    cfgfile_free(NULL);
}

/* What would keep the daemon waiting, or is read for ever. */
static void test_no_regular_file(void)
{
    char fifo[64];
    const char *const others[] = { fifo, "/dev/zero" };

    snprintf(fifo, sizeof(fifo), "/tmp/test-cfgfile.%ld", (long)getpid());
    CHECK_EQ(mkfifo(fifo, 0600), 0);
    (void)alarm(60); /* it ends also when it waits */
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        size_t size;
        char *text = NULL;
        FILE *stream = open_memstream(&text, &size);
        struct cfgfile *file = NULL;
        char expected[128];

        CHECK_EQ(cfgfile_read(others[i], stream, &file), -EINVAL);
        CHECK(!file);
        fclose(stream);
        snprintf(expected, sizeof(expected), "%s: cannot be read: it is no regular file\n",
                 others[i]);
        CHECK_STR(text, expected);
        free(text);
    }
    (void)alarm(0);
    (void)unlink(fifo);
}

/* "--config /dev/null": nothing is said. */
static void test_null(void)
{
    struct cfgfile *file = NULL;

    CHECK_EQ(cfgfile_read("/dev/null", stderr, &file), 0);
    CHECK(file && !cfgfile_key(file, 0, NULL));
    cfgfile_free(file);
}

static void test_words(void)
{
    char text[] = " web-* ,\tweight = 512,min=1G=2,, size= ,x ";
    static const char *const expected[][2] = {
        { "web-*", NULL }, { "weight", "512" }, { "min", "1G=2" },
        { "", NULL },      { "size", "" },      { "x", NULL },
    };
    char *cursor = text;
    char *value;

    for (size_t i = 0; i < 6; i++) {
        CHECK_STR(cfgfile_word(&cursor, &value), expected[i][0]);
        if (expected[i][1])
            CHECK_STR(value, expected[i][1]);
        else
            CHECK(!value);
    }
    CHECK(!cfgfile_word(&cursor, &value));
    CHECK(!cfgfile_word(&cursor, &value));
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("keys, values and items have their lines", test_lines);
    check_run("a list in a list is one item, and no string", test_list_in_list);
    check_run("a setting that stands twice is a fault", test_set_twice);
    check_run("faults of syntax have file and line", test_syntax);
    check_run("several faults are told at once", test_all_at_once);
    check_run("a NUL is refused", test_nul);
    check_run("what is too large is refused", test_too_large);
    check_run("a file that cannot be read is told", test_no_file);
    check_run("a pipe or a device is not read", test_no_regular_file);
    check_run("/dev/null is an empty file", test_null);
    check_run("splits the words of an item", test_words);
    free(report);
    return check_done();
}
