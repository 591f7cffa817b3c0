/* SPDX-License-Identifier: ISC */
/* Policies that are programs: what they are told, what they may answer, and all the ways to fail.
 * The programs are shell scripts, written here. */
#include "model.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "external/child.h"
#include "external/external.h"
#include "external/said.h"

/* What never comes is waited for so long, in every such test; what comes, comes sooner. */
#define NEVER_MS 50

/* Longer than any of the scripts takes. */
#define PATIENCE_MS 20000

/* Answers to each line with $2, so that a test can say what. */
#define ANSWERS "while read -r line; do printf '%s\\n' \"$2\"; done\n"

static char folder[64];
static char script[128]; /* the program of the test that runs */
static char flag[128];   /* a file that the test and the script know */

static void write_script(const char *body, mode_t mode)
{
    FILE *file;

    (void)unlink(flag);
    file = fopen(script, "w");
    if (!file || fprintf(file, "#!/bin/sh\n%s", body) < 0 || fclose(file) != 0
        || chmod(script, mode) < 0) {
        perror(script);
        exit(EXIT_FAILURE);
    }
}

/* The policy's text: the script, the flag's name, and a word. */
static const char *policy_text(const char *word)
{
    static char text[POLICY_TEXT_SIZE];

    snprintf(text, sizeof(text), "external:%s  %s %s", script, flag, word);
    return text;
}

/* A host of two domains, 1 and 2, and one that does not share, 3. */
static void begin(struct round *round)
{
    round_init(round);
    round_begin(round, 1000000);
    round->share_kib = 1000 * MIB;
    round->headroom_kib = -5;
    round->minimums_fit = true;
    for (uint32_t domid = 1; domid <= 3; domid++) {
        uint8_t uuid[16] = { (uint8_t)domid };
        struct domain *domain = round_see(round, domid, uuid);

        snprintf(domain->name, sizeof(domain->name), "vm%u", domid);
        domain->shares = domid < 3;
        domain->min_kib = 100 * MIB;
        domain->bottom_kib = 100 * MIB;
        domain->max_kib = 800 * MIB;
        domain->top_kib = 800 * MIB;
        domain->actual_kib = 200 * MIB;
        domain->limits.weight = 256;
    }
}

static uint64_t want_mib(const struct round *round, uint32_t domid)
{
    return round_find(round, domid)->want_kib / MIB;
}

/* One round; with an event of policies, *ret_event is its text, else "". */
static int decide(struct external *external, struct round *round, uint64_t wait_ms,
                  const char **ret_event)
{
    int r;

    round->event_count = 0;
    r = external_decide(external, round, wait_ms);
    if (ret_event)
        *ret_event = round->event_count ? round->events[0].text : "";
    CHECK(round->event_count <= 1);
    return r;
}

static void test_check(void)
{
    char error[300];

    CHECK_EQ(external_check("weighted", true, error, sizeof(error)), 0);
    CHECK_EQ(external_check("external:/bin/sh -c true", true, error, sizeof(error)), 0);
    CHECK_EQ(external_check("external:bin/sh", true, error, sizeof(error)), -EINVAL);
    CHECK_STR(error, "'bin/sh'; expected the program's path from the root");
    CHECK_EQ(external_check("external:/none/such x", true, error, sizeof(error)), -EINVAL);
    CHECK(strstr(error, "'/none/such': No such file") != NULL);
    CHECK_EQ(external_check("external:/tmp", true, error, sizeof(error)), -EINVAL);
    write_script(ANSWERS, 0644);
    CHECK_EQ(external_check(policy_text(""), true, error, sizeof(error)), -EINVAL);
    CHECK(strstr(error, "cannot be executed") != NULL);
    write_script(ANSWERS, 0755);
    CHECK_EQ(external_check(policy_text(""), true, error, sizeof(error)), 0);
}

static int64_t int_of(const struct json_value *map, const char *key)
{
    int64_t value = INT64_MIN;

    CHECK(json_get_int(json_get(map, key), &value));
    return value;
}

static void test_question(void)
{
    struct json *json = json_new(false);
    struct round round;
    struct json_value *value;
    const struct json_value *domain;
    char error[64];
    size_t len;

    begin(&round);
    round.number = 7;
    round.domains[0].post.dialect = DIALECT_BALLAST;
    round.domains[0].post.at_ms = round.now_ms;
    round.domains[0].post.used_kib = 150 * MIB;
    report_clear(&round.domains[0].post.report);
    round.domains[0].post.report.swap_in_pages = 12;
    external_question(json, &round);
    value = json_parse(json_text(json, &len), error, sizeof(error));
    CHECK_EQ(int_of(value, "version"), 1);
    CHECK_EQ(int_of(value, "round"), 7);
    CHECK_EQ(int_of(value, "now_ms"), 1000000);
    CHECK_EQ(int_of(json_get(value, "host"), "share_kib"), 1000 * MIB);
    CHECK_EQ(int_of(json_get(value, "host"), "headroom_kib"), -5);
    CHECK_EQ(json_length(json_get(value, "domains")), 3);
    domain = json_at(json_get(value, "domains"), 0);
    CHECK_STR(json_get_string(json_get(domain, "name")), "vm1");
    CHECK_EQ(int_of(domain, "top_kib"), 800 * MIB);
    CHECK_EQ(int_of(domain, "used_kib"), 150 * MIB);
    CHECK_EQ(int_of(json_get(domain, "post"), "swap_in_pages"), 12);
    CHECK(json_get(json_get(domain, "post"), "free_kib") == NULL);
    domain = json_at(json_get(value, "domains"), 2);
    CHECK(json_get(domain, "used_kib") == NULL && json_is_map(json_get(domain, "post")));
    json_value_free(value);
    json_free(json);
    round_free(&round);
}

static void test_answer(void)
{
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"wants\":[]}",
        "{\"wants\":{\"1\":-4}}",
        "{\"wants\":{\"1\":1.5}}",
        "{\"wants\":{\"1\":\"5\"}}",
        "{\"wants\":{\"9\":500000}}",
        "{\"wants\":{\"vm1\":500000}}",
        "{\"wants\":{\"1\":500000,\"1\":400000}}",
        "{\"wants\":{\"1\":500000,\"3\":7,\"01\":500000}}",
        "{\"wants\":{\"1\":500000},\"paced\":1}",
        "{\"wants\":{\"1\":500000},\"wants\":{}}",
        "{\"wants\":{\"1\":500000},\"paced\":true,\"paced\":false}",
        "{\"wants\":{\"1\":500000},\"speed\":1}",
    };
    struct round round;
    char error[128];

    begin(&round);
    CHECK_EQ(external_answer("{\"wants\":{\"1\":500000,\"3\":7}}", &round, error, sizeof(error)),
             0);
    CHECK_EQ(round_find(&round, 1)->want_kib, 500000);
    CHECK_EQ(round_find(&round, 3)->want_kib, 0);
    CHECK(!round.unpaced);
    CHECK_EQ(external_answer("{\"paced\":false,\"wants\":{}}", &round, error, sizeof(error)), 0);
    CHECK(round.unpaced);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        error[0] = '\0';
        CHECK_EQ(external_answer(wrong[i], &round, error, sizeof(error)), -EINVAL);
        CHECK(error[0] != '\0');
    }
    round_free(&round);
}

/* The wants of an answer, with their checks; the program goes on whatever it has answered. */
static void test_decides(void)
{
    static const struct {
        const char *answer;
        int result;
        uint64_t first_mib;
        const char *event;
    } cases[] = {
        { "{\"wants\":{\"1\":512000}}", 0, 500, "" },
        { "{\"wants\":{}}", 0, 200, "" },
        { "{\"wants\":{\"1\":5}}", -ERANGE, 0,
          "external: domain 1: 5 KiB; expected 102400 to 819200; weighted decides" },
        { "{\"wants\":{\"2\":1000000}}", -ERANGE, 0,
          "external: domain 2: 1000000 KiB; expected 102400 to 819200; weighted decides" },
        { "{\"wants\":{\"1\":614400,\"2\":614400}}", -E2BIG, 0,
          "external: gave out more than there is to share, 1024000 KiB; weighted decides" },
        { "hello", -EINVAL, 0, NULL },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct external *external;
        struct round round;
        const char *event;

        begin(&round);
        write_script(ANSWERS, 0755);
        external = external_new(policy_text(cases[i].answer), false);
        CHECK_EQ(decide(external, &round, PATIENCE_MS, &event), cases[i].result);
        if (cases[i].result == 0)
            CHECK_EQ(want_mib(&round, 1), cases[i].first_mib);
        if (cases[i].event)
            CHECK_STR(event, cases[i].event);
        CHECK_EQ(decide(external, &round, PATIENCE_MS, &event), cases[i].result);
        CHECK_STR(event, "");
        external_free(external);
        round_free(&round);
    }
}

/* One that has not answered by the deadline is asked again when it has, and what it said to a round
 * before is not followed. */
static void test_late(void)
{
    struct external *external;
    struct round round;
    const char *event;
    const char *why;
    int r = -EAGAIN;

    begin(&round);
    write_script("n=0\n"
                 "while read -r line; do\n"
                 "  n=$((n + 1))\n"
                 "  while [ $n = 2 ] && [ ! -e \"$1\" ]; do sleep 0.01; done\n"
                 "  echo \"{\\\"wants\\\":{\\\"1\\\":$((300000 + n))}}\"\n"
                 "done\n",
                 0755);
    external = external_new(policy_text(""), false);
    CHECK_EQ(decide(external, &round, PATIENCE_MS, NULL), 0);
    CHECK_EQ(round_find(&round, 1)->want_kib, 300001);
    CHECK_EQ(decide(external, &round, NEVER_MS, &event), -EAGAIN);
    CHECK_STR(event, "external: is late; weighted decides");
    CHECK_EQ(decide(external, &round, NEVER_MS, &event), -EAGAIN);
    CHECK_STR(event, "");
    CHECK_EQ(external_failures(external, &why), 2);

    fclose(fopen(flag, "w"));
    for (unsigned tries = 0; tries < 1000 && r == -EAGAIN; tries++) {
        usleep(1000);
        r = decide(external, &round, PATIENCE_MS, &event);
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(round_find(&round, 1)->want_kib, 300003);
    CHECK_STR(event, "");
    round.now_ms += 10000;
    CHECK_EQ(decide(external, &round, PATIENCE_MS, &event), 0);
    CHECK_STR(event, "the external policy decides again");
    external_free(external);
    round_free(&round);
}

/* One that hangs while it starts is not told of at once, and started anew when it takes too
 * long. */
static void test_hangs(void)
{
    struct external *external;
    struct round round;
    const char *event;

    begin(&round);
    write_script("while [ ! -e \"$1\" ]; do sleep 0.01; done\n" ANSWERS, 0755);
    external = external_new(policy_text("{\"wants\":{}}"), false);
    CHECK_EQ(decide(external, &round, NEVER_MS, &event), -EAGAIN);
    CHECK_STR(event, "");
    round.now_ms += 10000;
    CHECK_EQ(decide(external, &round, NEVER_MS, &event), -EAGAIN);
    CHECK(strstr(event, "timed out") != NULL);
    fclose(fopen(flag, "w"));
    CHECK(decide(external, &round, NEVER_MS, &event) < 0);
    round.now_ms += 1000;
    CHECK_EQ(decide(external, &round, PATIENCE_MS, &event), 0);
    external_free(external);
    round_free(&round);
}

static unsigned starts(void)
{
    FILE *file = fopen(flag, "r");
    unsigned lines = 0;

    for (int c = file ? getc(file) : EOF; c != EOF; c = getc(file))
        lines += c == '\n';
    if (file)
        fclose(file);
    return lines;
}

/* One that ends is started again after 1, 2, 4 ... 60 s, and told of once. */
static void test_dies(void)
{
    struct external *external;
    struct round round;
    unsigned events = 0;

    begin(&round);
    write_script("echo started >> \"$1\"\nread -r line\nexit 3\n", 0755);
    external = external_new(policy_text(""), false);
    for (unsigned second = 0; second < 200; second++) {
        const char *event;

        CHECK(decide(external, &round, PATIENCE_MS, &event) < 0);
        if (event[0])
            CHECK_STR(event, "external: ended with status 3; weighted decides");
        events += event[0] != '\0';
        round.now_ms += 1000;
    }
    CHECK_EQ(events, 1);
    CHECK_EQ(starts(), 9); /* at 0, 1, 3, 7, 15, 31, 63, 123, 183 s */
    external_free(external);
    round_free(&round);
}

/* What is not one line to one line ends the conversation. */
static void test_babbles(void)
{
    static const struct {
        const char *script;
        const char *why;
    } cases[] = {
        { "read -r line; printf 'a\\nb\\n'; read -r line\n", "wrote more than one line" },
        { "echo hello; read -r line; read -r line\n", NULL },
        { "read -r line; head -c 5000000 /dev/zero | tr '\\0' x; read -r line\n", "4 MiB" },
        { "read -r line; printf 'a\\000b\\n'; read -r line\n", "wrote more than one line" },
        { "exec 1>&-; exec sleep 1000\n", "closed its output" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct external *external;
        struct round round;
        const char *why;

        begin(&round);
        write_script(cases[i].script, 0755);
        external = external_new(policy_text(""), false);
        for (unsigned tries = 0; tries < 3; tries++)
            CHECK(decide(external, &round, PATIENCE_MS, NULL) < 0);
        (void)external_failures(external, &why);
        if (cases[i].why && !CHECK(strstr(why, cases[i].why) != NULL))
            fprintf(stderr, "case %zu: %s\n", i, why);
        external_free(external);
        round_free(&round);
    }
}

/* Lines longer than a pipe holds, both ways, to a program that is in no hurry. */
static void test_long_lines(void)
{
    char *const argv[] = { script, NULL };
    static char line[1000000];
    struct child *child;
    const char *answer = "";
    char fate[64];

    write_script("sleep 0.05\nexec cat\n", 0755);
    memset(line, 'x', sizeof(line));
    CHECK_EQ(child_start(argv, NULL, &child), 0);
    for (unsigned i = 0; i < 3; i++) {
        line[0] = (char)('a' + i);
        CHECK_EQ(child_ask(child, line, sizeof(line), PATIENCE_MS, &answer), 0);
        CHECK(strlen(answer) == sizeof(line) && memcmp(answer, line, sizeof(line)) == 0);
    }
    child_end(child, PATIENCE_MS, fate, sizeof(fate));
    CHECK_STR(fate, "ended with status 0");
}

/* It ends with us: by itself at the end of its input, and by force with all that it started. */
static void test_ends(void)
{
    struct external *external;
    struct round round;
    unsigned tries;
    FILE *file;
    int pid = 0;

    begin(&round);
    write_script("while read -r line; do echo '{\"wants\":{}}'; done\n"
                 "trap '' TERM; sleep 1000 & echo $! > \"$1\"; wait\n",
                 0755);
    external = external_new(policy_text(""), false);
    CHECK_EQ(decide(external, &round, PATIENCE_MS, NULL), 0);
    external_free(external);
    file = fopen(flag, "r");
    if (file && fscanf(file, "%d", &pid) == 1) {
        for (tries = 0; tries < 10000 && kill(pid, 0) == 0; tries++)
            usleep(1000);
        CHECK(tries < 10000);
    }
    if (file)
        fclose(file);
    round_free(&round);
}

/* Also one that has left its process group, for ours. */
static void test_leaves_group(void)
{
    struct child *child = NULL;
    char *argv[] = { script, NULL };
    const char *answer;
    char fate[64];

    write_script("exec perl -e '$| = 1; setpgrp(0, getpgrp(getppid())); print qq(1\\n); sleep'\n",
                 0755);
    if (!CHECK_EQ(child_start(argv, NULL, &child), 0))
        return;
    (void)child_ask(child, "", 0, PATIENCE_MS, &answer);
    child_end(child, 0, fate, sizeof(fate));
    CHECK_STR(fate, "was killed by signal 9");
}

/* Standard error into a file while it lasts. */
static const char *logged(struct said *said, const char *bytes, size_t count, uint64_t now_ms)
{
    static char text[8192];
    int ends[2];
    int ours = dup(STDERR_FILENO);
    int fd = open(flag, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ssize_t n;

    if (ours < 0 || fd < 0 || pipe2(ends, O_NONBLOCK) < 0
        || write(ends[1], bytes, count) != (ssize_t)count) {
        perror("said");
        exit(EXIT_FAILURE);
    }
    (void)dup2(fd, STDERR_FILENO);
    CHECK(said_take(said, ends[0], now_ms));
    close(ends[1]);
    CHECK(!said_take(said, ends[0], now_ms));
    (void)dup2(ours, STDERR_FILENO);
    n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(ours);
    close(fd);
    return text;
}

static unsigned lines_in(const char *text)
{
    unsigned lines = 0;

    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* Its standard error is lines of the log, cut, clean, and not more than that bears. */
static void test_said(void)
{
    struct said said = { 0 };
    char many[60000];
    const char *text;

    text = logged(&said, "one\n\ntwo\033\0\nthr", 14, SAID_WINDOW_MS);
    CHECK_EQ(lines_in(text), 2);
    CHECK(strstr(text, "external: one\n") && strstr(text, "external: two??\n"));
    text = logged(&said, "ee\n", 3, SAID_WINDOW_MS);
    CHECK(strstr(text, "external: three\n") != NULL);
    memset(many, 'x', sizeof(many));
    many[sizeof(many) - 1] = '\n';
    text = logged(&said, many, sizeof(many), SAID_WINDOW_MS);
    CHECK_EQ(lines_in(text), 1);
    CHECK(strlen(text) < SAID_LINE_SIZE + 64);
    for (size_t i = 1; i < sizeof(many); i += 2)
        many[i] = '\n';
    text = logged(&said, many, sizeof(many), SAID_WINDOW_MS + 1);
    CHECK_EQ(lines_in(text), SAID_LINES_MAX - 4);
    text = logged(&said, "next\n", 5, 2 * SAID_WINDOW_MS);
    CHECK(strstr(text, "external: and 29984 lines more\n") && strstr(text, "external: next\n"));
    said_end(&said);
}

/* Over whole rounds: the program's wants come about, at once if it says so, and weighted takes over
 * from one that is dead. */
static void test_engine(void)
{
    struct model model;
    char error[256];

    model_init(&model, 1200 * MIB);
    for (size_t i = 0; i < 2; i++)
        model_add(&model, i, 500 * MIB, 1024 * MIB, 90 * MIB);
    model.engine.patient = true;
    write_script(ANSWERS, 0755);
    CHECK_EQ(config_set(&model.engine.config, NULL, "policy",
                        policy_text("{\"paced\":false,\"wants\":{\"1\":308224,\"2\":512000}}"),
                        error, sizeof(error)),
             0);
    model.step_kib = 1024 * MIB;
    model_round(&model);
    CHECK_EQ(model.guests[0].target_kib, 301 * MIB);
    model_run(&model, 10000);
    CHECK_EQ(model.guests[0].actual_kib, 301 * MIB);
    CHECK_EQ(model.guests[1].actual_kib, 500 * MIB);

    CHECK_EQ(config_set(&model.engine.config, NULL, "policy", "external:/bin/false", error,
                        sizeof(error)),
             0);
    model_run(&model, 180000);
    CHECK(model.guests[0].actual_kib > 520 * MIB);
    CHECK_EQ(config_set(&model.engine.config, NULL, "policy", "static", error, sizeof(error)), 0);
    model_round(&model);
    CHECK(model.engine.external == NULL);
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    snprintf(folder, sizeof(folder), "/tmp/test-external.XXXXXX");
    if (!mkdtemp(folder)) {
        perror(folder);
        return EXIT_FAILURE;
    }
    snprintf(script, sizeof(script), "%s/policy", folder);
    snprintf(flag, sizeof(flag), "%s/flag", folder);
    check_run("the program is looked at beforehand", test_check);
    check_run("what a program is told", test_question);
    check_run("what it may answer", test_answer);
    check_run("its wants are followed or refused", test_decides);
    check_run("a late answer", test_late);
    check_run("a program that hangs", test_hangs);
    check_run("a program that ends", test_dies);
    check_run("a program that babbles", test_babbles);
    check_run("long lines", test_long_lines);
    check_run("it ends with us", test_ends);
    check_run("one that left its process group ends, too", test_leaves_group);
    check_run("what it writes to its standard error is logged", test_said);
    check_run("whole rounds", test_engine);
    (void)unlink(script);
    (void)unlink(flag);
    (void)rmdir(folder);
    return check_done();
}
