/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <unistd.h>

#include "check.h"
#include "host/scenario.h"

static char path[] = "/tmp/test-scenario.XXXXXX";
static char *told;

/* Reads the text as a file; what is told of it is in `told`. */
static int read_text(const char *text, struct scenario *ret_scenario)
{
    FILE *file = fopen(path, "w");
    size_t size;
    FILE *report;
    int r;

    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        return -EIO;
    free(told);
    told = NULL;
    report = open_memstream(&told, &size);
    if (!report)
        return -ENOMEM;
    r = scenario_read(path, report, ret_scenario);
    fclose(report);
    return r;
}

#define HOST "memory = \"1G\"\nlength = \"60s\"\n"

static void test_reads(void)
{
    struct scenario scenario;
    const struct guest_spec *guest;

    if (!CHECK_EQ(
            read_text(HOST "reserve = \"96M\"\ngrace = \"1s\"\n"
                           "guests = [ \"web[9-11], memory=128M, maxmem=512M, need=90M, "
                           "min=100M, weight=512, offset=-8K, post=qubes\", \"db, memory=200M\" ]\n"
                           "events = [ \"10s, web10, need=300M, over=2s, for=20s\",\n"
                           "  \"5s..55s, every=10s, random web*, need=1M..2M\",\n"
                           "  \"30s, late, create, memory=128M, need=80M\",\n"
                           "  \"31s, host, fail=30, for=5s\" ]\n"
                           "limits = [ \"unmet<=5\", \"web*, stall<=1\", \"least-free >= 64M\" ]\n",
                      &scenario),
            0)) {
        fputs(told, stderr);
        return;
    }
    CHECK_EQ(scenario.memory_kib, 1024 * 1024);
    CHECK_EQ(scenario.xen_kib, 24 * 1024);
    CHECK_EQ(scenario.config.reserve_kib, 96 * 1024);
    CHECK_EQ(scenario.config.grace_ms, 1000);
    CHECK_EQ(scenario.guest_count, 5);
    guest = &scenario.guests[1];
    CHECK_STR(guest->name, "web10");
    CHECK_EQ(guest->maxmem_kib, 512 * 1024);
    CHECK_EQ(guest->hidden_kib, 46 * 1024 + 512 * 21);
    CHECK_EQ(guest->offset_kib, -8);
    CHECK_EQ(guest->posts, DIALECT_QUBES);
    CHECK_EQ(guest->rule.given, LIMIT_MIN | LIMIT_WEIGHT);
    CHECK_EQ(guest->rule.limits.weight, 512);
    CHECK_EQ(scenario.guests[3].need_kib, 200 * 1024);
    CHECK_STR(scenario.guests[4].name, "late");
    CHECK(scenario.guests[4].later && !scenario.guests[3].later);
    CHECK_EQ(scenario.guests[4].need_kib, 80 * 1024);
    CHECK_EQ(scenario.event_count, 4);
    CHECK_EQ(scenario.events[0].over_ms, 2000);
    CHECK_EQ(scenario.events[1].every_ms, 10000);
    CHECK(scenario.events[1].random);
    CHECK_STR(scenario.events[1].guests, "web*");
    CHECK_EQ(scenario.events[1].high_kib, 2048);
    CHECK_EQ(scenario.events[2].action, ACTION_CREATE);
    CHECK_EQ(scenario.events[3].percent, 30);
    CHECK_EQ(scenario.limit_count, 3);
    CHECK_EQ(scenario.limits[0].op, LIMIT_AT_MOST);
    CHECK_STR(scenario.limits[1].guests, "web*");
    CHECK_EQ(scenario.limits[2].op, LIMIT_AT_LEAST);
    CHECK(scenario.limits[2].value == 65536);
    scenario_free(&scenario);
}

static void test_configures(void)
{
    struct scenario scenario;
    struct config config;
    struct domain domain = { .domid = 7, .uuid = { 1 }, .name = "b", .static_max_kib = 524288 };

    if (!CHECK_EQ(read_text(HOST "pool = \"32M\"\n"
                                 "guests = [ \"a, memory=128M\", \"b, memory=128M, min=100M\" ]\n",
                            &scenario),
                  0))
        return;
    if (CHECK_EQ(scenario_config(&scenario, &config), 0)) {
        CHECK_EQ(config.pool_kib, 32 * 1024);
        config_apply(&config, &domain);
        CHECK_EQ(domain.min_kib, 100 * 1024);
        config_free(&config);
    }
    scenario_free(&scenario);
}

/* One fault each: the line it is told of, and a part of what is told. */
static const struct {
    const char *text;
    int line;
    const char *part;
} faults[] = {
    { HOST "guests = [ \"a, memory=1Q\" ]\n", 3, "memory=1Q; expected a size" },
    { HOST "guests = [ \"a, memory\" ]\n", 3, "expected a size" },
    { HOST "guests = [ \"a, memory=128M, colour=red\" ]\n", 3, "'colour' is not known of a guest" },
    { HOST "guests = [ \"a, need=128M\" ]\n", 3, "no memory" },
    { HOST "guests = [ \"a, memory=128M, maxmem=100M\" ]\n", 3, "above maxmem" },
    { HOST "guests = [ \"a, memory=40M\" ]\n", 3, "hides" },
    { HOST "guests = [ \"a, memory=128M, down=10K\" ]\n", 3, "at least 1M" },
    { HOST "guests = [ \"a, memory=128M, post=smoke\" ]\n", 3, "expected ballast, xenserver" },
    { HOST "guests = [ \"a, memory=128M, weight=none\" ]\n", 3, "weight" },
    { HOST "guests = [ \"a, memory=128M, acts=steal\" ]\n", 3, "expected none, or words" },
    { HOST "guests = [ \"a[5-2], memory=128M\" ]\n", 3, "no range" },
    { HOST "guests = [ \"a[1-99999], memory=128M\" ]\n", 3, "no name" },
    { HOST "guests = [ \"a*, memory=128M\" ]\n", 3, "no name" },
    { HOST "guests = [ \"a, memory=128M\",\n\"a, memory=128M\" ]\n", 0, "two guests of the name" },
    { HOST "guests = [ \"a[1-9], memory=128M\" ]\n", 0, "expected at most the host's" },
    { HOST "guests = [ ]\n", 0, "no guests" },
    { "memory = \"1G\"\nguests = [ \"a, memory=128M\" ]\n", 0, "no length" },
    { "length = \"1s\"\nguests = [ \"a, memory=128M\" ]\n", 0, "no memory of the host" },
    { HOST "interval = \"0s\"\nguests = [ \"a, memory=128M\" ]\n", 0, "expected interval" },
    { HOST "call = \"1h\"\nguests = [ \"a, memory=128M\" ]\n", 0, "call is too long" },
    { HOST "colour = \"red\"\nguests = [ \"a, memory=128M\" ]\n", 3, "'colour' is not known" },
    { HOST "policy = \"none such\"\nguests = [ \"a, memory=128M\" ]\n", 3, "policy" },
    { HOST "guests = \"a, memory=128M\"\n", 3, "expected a list" },
};

static const struct {
    const char *item;
    const char *part;
} bad_events[] = {
    { "soon, a, stuck", "expected when" },
    { "10s", "expected a time, the guests" },
    { "10s, a", "expected a time, the guests" },
    { "10s, a, dance", "expected a time, the guests" },
    { "10s, a, stuck, pause", "expected a time, the guests" },
    { "10s, a, need=lots", "expected a size" },
    { "10s, a, acts=steal", "expected none, or words" },
    { "10s, a, acts=refuse, stuck", "expected a time, the guests" },
    { "10s, a, mem-max=all", "expected a size" },
    { "10s, a, create, stuck, memory=128M", "expected a time, the guests" },
    { "10s, a, need=2M..1M", "expected a size" },
    { "10s, a, need", "needs a value" },
    { "10s, a, stuck=1", "takes no value" },
    { "10s, a, destroy, for=1s", "cannot be taken back" },
    { "10s, a, stuck, over=1s", "over=TIME is for need" },
    { "10s, b, stuck", "matches no guest" },
    { "10s, a, stuck, loudly=1", "'loudly' is not known of an event" },
    { "10s, a, stuck, every=1s", "or neither" },
    { "10s..20s, a, stuck", "or neither" },
    { "0s..60s, every=0s, a, stuck", "or neither" },
    { "0s..1000h, every=1ms, a, stuck", "expected" },
    { "61s, a, stuck", "after the end" },
    { "10s, a, reserve=10M", "fail=PERCENT and reserve=SIZE are for the host" },
    { "10s, host, stuck", "fail=PERCENT and reserve=SIZE are for the host" },
    { "10s, host, fail=101", "percentage" },
    { "10s, a, fail=10", "fail=PERCENT and reserve=SIZE are for the host" },
};

static const struct {
    const char *item;
    const char *part;
} bad_limits[] = {
    { "unmet", "expected such as" },
    { "beauty>=1", "is not measured" },
    { "unmet<=lots", "expected a whole number" },
    { "least-free>=1Q", "expected a size" },
    { "b, stall<=1", "matches no guest" },
    { "a, least-free>=64M", "of the host only" },
    { "actual>=64M", "of a guest only" },
};

static void expect_fault(const char *text, int line, const char *part)
{
    struct scenario scenario;
    char place[64];

    if (!CHECK_EQ(read_text(text, &scenario), -EINVAL)) {
        fprintf(stderr, "no fault in: %s", text);
        return;
    }
    (void)snprintf(place, sizeof(place), "%s:%d:", path, line);
    if (!CHECK(strstr(told, part)) || !CHECK(line == 0 || strncmp(told, place, strlen(place)) == 0))
        fprintf(stderr, "expected line %d, '%s', got: %s", line, part, told);
}

static void test_faults(void)
{
    char text[512];

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        expect_fault(faults[i].text, faults[i].line, faults[i].part);
    for (size_t i = 0; i < sizeof(bad_events) / sizeof(bad_events[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       HOST "guests = [ \"a, memory=128M\" ]\nevents = [\n\"%s\" ]\n",
                       bad_events[i].item);
        expect_fault(text, 5, bad_events[i].part);
    }
    for (size_t i = 0; i < sizeof(bad_limits) / sizeof(bad_limits[0]); i++) {
        (void)snprintf(text, sizeof(text),
                       HOST "guests = [ \"a, memory=128M\" ]\nlimits = [\n\"%s\" ]\n",
                       bad_limits[i].item);
        expect_fault(text, 5, bad_limits[i].part);
    }
}

static void test_all_at_once(void)
{
    struct scenario scenario;
    unsigned lines = 0;

    CHECK_EQ(read_text("memory = \"much\"\nlength = \"60s\"\nguests = [ \"a, memory=\" ]\n"
                       "events = [ \"x, a, stuck\" ]\nlimits = [ \"nothing=1\" ]\n",
                       &scenario),
             -EINVAL);
    for (const char *at = told; (at = strchr(at, '\n')); at++)
        lines++;
    CHECK(lines >= 4);
}

static char points[] = "/tmp/test-scenario-points.XXXXXX";

/* A scenario whose trace is this text. */
static int read_points(const char *text, struct scenario *ret_scenario)
{
    char whole[512];
    FILE *file = fopen(points, "w");

    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        return -EIO;
    (void)snprintf(whole, sizeof(whole),
                   HOST "guests = [ \"a[1-2], memory=128M\" ]\n"
                        "trace = \"%s\"\n",
                   strrchr(points, '/') + 1);
    return read_text(whole, ret_scenario);
}

static void test_trace(void)
{
    struct scenario scenario;

    if (!CHECK_EQ(read_points("seconds,domain,MiB\n# by hand\n10,a1,100\n10,a2,50.5\r\n\n"
                              "20.5,a1,200\n90,a1,10\n100,a1,20\n",
                              &scenario),
                  0)) {
        fputs(told, stderr);
        return;
    }
    /* The one that begins after the end is left out. */
    CHECK_EQ(scenario.event_count, 4);
    CHECK_STR(scenario.events[0].guests, "a1");
    CHECK_EQ(scenario.events[0].at_ms, 10000);
    CHECK_EQ(scenario.events[0].over_ms, 0);
    CHECK_EQ(scenario.events[0].low_kib, 100 * 1024);
    CHECK_EQ(scenario.events[1].high_kib, 50 * 1024 + 512);
    CHECK_EQ(scenario.events[2].at_ms, 10000);
    CHECK_EQ(scenario.events[2].over_ms, 10500);
    CHECK_EQ(scenario.events[2].low_kib, 200 * 1024);
    CHECK_EQ(scenario.events[3].at_ms, 20500);
    CHECK_EQ(scenario.events[3].over_ms, 69500);
    scenario_free(&scenario);
}

static void test_trace_faults(void)
{
    static const char *const bad[] = {
        "1,a1",
        "1,a1,2,3",
        "1,b,2",
        "x,a1,2",
        "1,a1,",
        ",a1,2",
        "-1,a1,2",
        "1.,a1,2",
        "1,a1,2.2.2",
        "1,a1,0x10",
        "1, a1,2",
        "1.2345,a1,2",
        "1,a1,99999999999999999999",
        "1,a1,1e3",
    };
    struct scenario scenario;
    char text[64];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(text, sizeof(text), "0,a1,1\n%s\n", bad[i]);
        if (!CHECK_EQ(read_points(text, &scenario), -EINVAL) || !CHECK(strstr(told, ":2: '")))
            fprintf(stderr, "%s: %s\n", bad[i], told);
    }
    CHECK_EQ(read_points("2,a1,1\n2,a1,1\n", &scenario), -EINVAL);
    CHECK(strstr(told, "after that"));
    CHECK_EQ(read_text(HOST "guests = [ \"a, memory=128M\" ]\ntrace = \"/dev/zero\"\n", &scenario),
             -EINVAL);
    CHECK_EQ(read_text(HOST "guests = [ \"a, memory=128M\" ]\ntrace = \"none\"\n", &scenario),
             -EINVAL);
    CHECK(strstr(told, ":4: /tmp/none: cannot be read"));
    CHECK_EQ(read_text(HOST "guests = [ \"a, memory=128M\" ]\ntrace = [ \"none\" ]\n", &scenario),
             -EINVAL);
}

static void test_matches(void)
{
    CHECK(scenario_match("vm[1-15]", "vm1"));
    CHECK(scenario_match("vm[1-15]", "vm15"));
    CHECK(!scenario_match("vm[1-15]", "vm16"));
    CHECK(!scenario_match("vm[1-15]", "vm"));
    CHECK(!scenario_match("vm[1-15]", "vm1x"));
    CHECK(!scenario_match("vm[1-15]", "vm01"));
    CHECK(scenario_match("vm[1-15]x", "vm3x"));
    CHECK(scenario_match("vm*", "vm3x"));
    CHECK(scenario_match("vm3", "vm3"));
    CHECK(!scenario_match("vm3", "vm33"));
}

static void test_missing_file(void)
{
    struct scenario scenario;

    CHECK_EQ(scenario_read("/nonexistent/scenario.conf", stderr, &scenario), -ENOENT);
}

int main(int argc, char **argv)
{
    int fd = mkstemp(path);
    int points_fd = mkstemp(points);
    int status;

    check_init(argc, argv);
    if (fd < 0 || points_fd < 0)
        return EXIT_FAILURE;
    close(fd);
    close(points_fd);
    check_run("reads a scenario", test_reads);
    check_run("makes a configuration of it", test_configures);
    check_run("tells each fault with its line", test_faults);
    check_run("tells all faults at once", test_all_at_once);
    check_run("takes need from a file of points", test_trace);
    check_run("tells what is wrong in such a file", test_trace_faults);
    check_run("matches names", test_matches);
    check_run("tells of a missing file", test_missing_file);
    status = check_done();
    free(told);
    unlink(path);
    unlink(points);
    return status;
}
