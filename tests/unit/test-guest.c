/* SPDX-License-Identifier: ISC */
/* The agent's parts: what it reads, when it posts, and its words with the store. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "guest/procfs.h"
#include "guest/selfballoon.h"
#include "guest/xenbus.h"
#include "report/timing.h"

static char root[] = "/tmp/ballast-test-XXXXXX";

static void put(const char *path, const char *text)
{
    char full[256];
    FILE *file;

    snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    file = fopen(full, "w");
    if (CHECK(file)) {
        fputs(text, file);
        fclose(file);
    }
}

static void cut(const char *path)
{
    char full[256];

    snprintf(full, sizeof(full), "%s%s", root, path);
    (void)remove(full);
}

static const char meminfo[] = "MemTotal:         461000 kB\n"
                              "MemFree:          100000 kB\n"
                              "MemAvailable:     300000 kB\n"
                              "Active(anon):      40000 kB\n"
                              "Active(file):      30000 kB\n"
                              "Dirty:                12 kB\n"
                              "SwapTotal:        262140 kB\n"
                              "SwapFree:         200000 kB\n"
                              "Committed_AS:     123456 kB\n";

static void test_collect(void)
{
    struct procfs procfs;
    struct report report;
    struct report back;
    char text[REPORT_MAX];

    put("/proc/meminfo", meminfo);
    put("/proc/vmstat", "nr_free_pages 25000\npswpin 11\npswpout 22\n"
                        "workingset_refault_file 44\noom_kill 1\noom_kill_x 9\n");
    put("/proc/pressure/memory", "some avg10=1.07 avg60=0.00 avg300=0.00 total=123\n"
                                 "full avg10=0.52 avg60=0.00 avg300=0.00 total=99\n");
    put("/proc/uptime", "61.05 100.00\n");
    put("/sys/devices/system/xen_memory/xen_memory0/info/current_kb", "524288\n");
    put("/sys/devices/system/xen_memory/xen_memory0/target_kb", "262144\n");
    CHECK_EQ(procfs_open(root, &procfs), 0);
    CHECK_EQ(procfs_collect(&procfs, &report), 0);
    CHECK_EQ(report.total_kib, 461000);
    CHECK_EQ(report.available_kib, 300000);
    CHECK_EQ(report.active_file_kib, 30000);
    CHECK_EQ(report.committed_kib, 123456);
    CHECK(report.inactive_anon_kib == REPORT_ABSENT);
    CHECK_EQ(report.swap_in_pages, 11);
    CHECK_EQ(report.refault_file_pages, 44);
    CHECK_EQ(report.oom_kills, 1);
    CHECK_EQ(report.some_avg10_centi, 107);
    CHECK_EQ(report.full_avg10_centi, 52);
    CHECK_EQ(report.some_us, 123);
    CHECK_EQ(report.full_us, 99);
    CHECK_EQ(report.uptime_ms, 61050);
    CHECK_EQ(report.balloon_current_kib, 524288);
    CHECK_EQ(report.balloon_target_kib, 262144);

    /* The daemon reads what the agent writes. */
    report.seq = 1;
    CHECK(report_format(&report, text, sizeof(text)) > 0);
    CHECK_EQ(report_parse(text, strlen(text), &back), 0);
    CHECK(memcmp(&report, &back, sizeof(back)) == 0);
    procfs_close(&procfs);
}

static void test_collect_less(void)
{
    struct procfs procfs;
    struct report report;

    put("/proc/meminfo", meminfo);
    cut("/proc/pressure/memory");
    cut("/sys/devices/system/xen_memory/xen_memory0/info/current_kb");
    CHECK_EQ(procfs_open(root, &procfs), 0);
    CHECK_EQ(procfs_collect(&procfs, &report), 0);
    CHECK(report.some_us == REPORT_ABSENT);
    CHECK(report.balloon_current_kib == REPORT_ABSENT);
    procfs_close(&procfs);

    put("/proc/meminfo", "MemTotal: 1000 kB\n");
    CHECK_EQ(procfs_open(root, &procfs), 0);
    CHECK_EQ(procfs_collect(&procfs, &report), -ENODATA);
    procfs_close(&procfs);
    cut("/proc/meminfo");
    CHECK_EQ(procfs_open(root, &procfs), -ENOENT);
    procfs_close(&procfs);
}

/* What the kernel would not write is left out, not guessed; and nothing goes to the daemon that it
 * would refuse. The expected text is the report without what is in every one. */
static void test_collect_strictly(void)
{
    static const struct {
        const char *path;
        const char *text;
        const char *expected;
    } cases[] = {
        { "/proc/meminfo", "Dirty: 12 kB\n", "dirty_kib=12" },
        { "/proc/meminfo", "Dirty:12 kB\n", "" },
        { "/proc/meminfo", "Dirty: 12\n", "" },
        { "/proc/meminfo", "Dirty: 12 MB\n", "" },
        { "/proc/meminfo", "Dirty: 12x kB\n", "" },
        { "/proc/meminfo", "Dirty: -12 kB\n", "" },
        { "/proc/meminfo", "Dirty: kB\n", "" },
        { "/proc/meminfo", "Dirty:\nDirty\n\n: 5 kB\n", "" },
        { "/proc/meminfo", "Dirty: 99999999999999999999 kB\n", "" },
        { "/proc/meminfo", "Dirty: 12 kB", "" },
        { "/proc/meminfo", "SwapTotal: 10 kB\nSwapFree: 11 kB\n",
          "swap_total_kib=10 swap_free_kib=10" },
        { "/proc/meminfo", "SwapFree: 11 kB\n", "swap_free_kib=11" },
        { "/proc/vmstat", "pswpin 5\n", "swap_in_pages=5" },
        { "/proc/vmstat", "pswpin 5 kB\n", "" },
        { "/proc/vmstat", "pswpin\n", "" },
        { "/proc/vmstat", "xpswpin 5\npswpinx 5\n", "" },
        { "/proc/vmstat", "oom_kill 1\npswpin 2", "oom_kills=1" },
        { "/proc/pressure/memory", "some avg10=100.00 avg60=0.00 total=7\n",
          "some_avg10_centi=10000 some_us=7" },
        { "/proc/pressure/memory", "some\nfull avg10=9.99 total=77\n",
          "full_avg10_centi=999 full_us=77" },
        { "/proc/pressure/memory", "some xavg10=1.00 avg100=1.00 total=\n", "" },
        { "/proc/pressure/memory", "some avg10=1 total=5\n", "some_us=5" },
        { "/proc/pressure/memory", "some avg10=.52 total=5\n", "some_us=5" },
        { "/proc/pressure/memory", "some avg10=1.5 total=5\n", "some_us=5" },
        { "/proc/pressure/memory", "some avg10=1.055 total=5\n", "some_us=5" },
        { "/proc/pressure/memory", "some avg10=-1.05 total=-5\n", "" },
        { "/proc/pressure/memory", "something avg10=1.00 total=5\n", "" },
        { "/proc/uptime", "0.07 0.01\n", "uptime_ms=70" },
        { "/proc/uptime", "61. 1\n", "" },
        { "/proc/uptime", "61x.05 1\n", "" },
        { "/proc/uptime", "61\n", "" },
        { "/proc/uptime", "9007199254740992.00 1\n", "" },
        { "/sys/devices/system/xen_memory/xen_memory0/target_kb", "12\n", "balloon_target_kib=12" },
        { "/sys/devices/system/xen_memory/xen_memory0/target_kb", "12 kB\n", "" },
        { "/sys/devices/system/xen_memory/xen_memory0/target_kb", "", "" },
    };
    static const char least[] = "MemTotal: 1000 kB\nMemAvailable: 500 kB\n";

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct procfs procfs;
        struct report report;
        char text[256];

        for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
            put(cases[k].path, "");
        snprintf(text, sizeof(text), "%s%s", least, cases[i].text);
        put("/proc/meminfo", least);
        put(cases[i].path, strcmp(cases[i].path, "/proc/meminfo") == 0 ? text : cases[i].text);
        CHECK_EQ(procfs_open(root, &procfs), 0);
        if (!CHECK_EQ(procfs_collect(&procfs, &report), 0))
            fprintf(stderr, "  it was \"%s\"\n", cases[i].text);
        procfs_close(&procfs);
        report.version = REPORT_ABSENT;
        report.total_kib = REPORT_ABSENT;
        report.available_kib = REPORT_ABSENT;
        text[0] = '\0';
        CHECK(report_format(&report, text, sizeof(text)) >= 0);
        CHECK_STR(text, cases[i].expected);
    }
}

/* A file that is larger than what is read of it: wherever it is cut, no part of a number counts. */
static void test_collect_huge(void)
{
    static const char line[] = "pswpin 777777\n";
    static char text[40000];

    put("/proc/meminfo", meminfo);
    for (size_t start = 0; start < strlen(line); start++) {
        struct procfs procfs;
        struct report report;
        size_t used = start;

        memset(text, '\n', start);
        for (; used < sizeof(text) - sizeof(line); used += strlen(line))
            memcpy(text + used, line, sizeof(line));
        put("/proc/vmstat", text);
        CHECK_EQ(procfs_open(root, &procfs), 0);
        CHECK_EQ(procfs_collect(&procfs, &report), 0);
        CHECK_EQ(report.swap_in_pages, 777777);
        procfs_close(&procfs);
    }
}

static struct report steady(void)
{
    struct report report;

    report_clear(&report);
    report.total_kib = 512 * 1024;
    report.available_kib = 200 * 1024;
    report.some_us = 1000;
    report.swap_in_pages = 0;
    report.refault_file_pages = 1000;
    report.oom_kills = 0;
    return report;
}

static void test_timing(void)
{
    struct report posted = steady();
    struct report now = steady();

    CHECK(timing_due(&now, NULL, 0));
    CHECK(!timing_due(&now, &posted, 9999));
    CHECK(timing_due(&now, &posted, TIMING_HEARTBEAT_MS));

    now.available_kib -= 15 * 1024;
    CHECK(!timing_due(&now, &posted, 250));
    now.available_kib -= 1024;
    CHECK(timing_due(&now, &posted, 250));

    now = steady();
    now.some_us += 2499;
    CHECK(!timing_due(&now, &posted, 250));
    now.some_us += 1;
    CHECK(timing_due(&now, &posted, 250));

    now = steady();
    now.swap_in_pages = 256;
    CHECK(timing_due(&now, &posted, 250));

    now = steady();
    now.refault_file_pages += 255;
    CHECK(!timing_due(&now, &posted, 250));
    now.swap_in_pages = 1;
    CHECK(timing_due(&now, &posted, 250));

    now = steady();
    now.total_kib -= 15 * 1024;
    CHECK(!timing_due(&now, &posted, 250));
    now.total_kib -= 1024;
    CHECK(timing_due(&now, &posted, 250));

    /* What it would like to hold. */
    now = steady();
    now.selftarget_kib = 300 * 1024;
    CHECK(timing_due(&now, &posted, 250));
    posted.selftarget_kib = 304 * 1024 - 1;
    CHECK(!timing_due(&now, &posted, 250));
    posted.selftarget_kib = 304 * 1024;
    CHECK(timing_due(&now, &posted, 250));
    posted = steady();

    /* While its driver owes something. */
    now = steady();
    now.balloon_current_kib = 512 * 1024;
    now.balloon_target_kib = 508 * 1024 - 1;
    CHECK(!timing_due(&now, &posted, 999));
    CHECK(timing_due(&now, &posted, 1000));
    now.balloon_target_kib += 1;
    CHECK(!timing_due(&now, &posted, 1000));
    now.balloon_target_kib = REPORT_ABSENT;
    CHECK(!timing_due(&now, &posted, 1000));
    now.balloon_target_kib = 0;
    now.balloon_current_kib = REPORT_ABSENT;
    CHECK(!timing_due(&now, &posted, 1000));

    now = steady();
    now.oom_kills = 1;
    CHECK(timing_due(&now, &posted, 250));

    now = steady();
    now.some_us = REPORT_ABSENT;
    CHECK(!timing_due(&now, &posted, 250));
    now.some_us = 0;
    CHECK(!timing_due(&now, &posted, 250));
}

/* The less is left, the smaller a change matters; but none below 4 MiB. */
static void test_timing_when_short(void)
{
    struct report posted = steady();
    struct report now = steady();

    now.available_kib = posted.available_kib = 64 * 1024;
    now.available_kib -= 8 * 1024 - 1;
    CHECK(!timing_due(&now, &posted, 250));
    now.available_kib -= 1;
    CHECK(timing_due(&now, &posted, 250));

    now.available_kib = posted.available_kib = 8 * 1024;
    now.available_kib -= 4 * 1024 - 1;
    CHECK(!timing_due(&now, &posted, 250));
    now.available_kib -= 1;
    CHECK(timing_due(&now, &posted, 250));

    /* It grows out of it: that is known as soon. */
    now.available_kib = posted.available_kib + 4 * 1024;
    CHECK(timing_due(&now, &posted, 250));
}

/* However long nothing changes, it is the heartbeat alone that posts. */
static void test_timing_steady(void)
{
    struct report posted = steady();
    uint64_t posted_ms = 0;
    int posts = 0;

    for (uint64_t now_ms = 0; now_ms < 3600 * 1000; now_ms += TIMING_LOOK_MS) {
        struct report now = steady();

        /* Some hundreds of KiB come and go in any guest. */
        now.available_kib += check_random_below(1024);
        if (timing_due(&now, &posted, now_ms - posted_ms)) {
            posted = now;
            posted_ms = now_ms;
            posts++;
        }
    }
    CHECK_EQ(posts, 3600 * 1000 / TIMING_HEARTBEAT_MS - 1);
}

/* Down by an eighth of the gap, up at once; the floor under it, and what dom0 allows above all. */
static void test_selfballoon_step(void)
{
    static const uint64_t mib = 1024;
    struct report report = steady();
    uint64_t size = 400 * mib;
    int steps = 0;

    CHECK_EQ(selfballoon_step_kib(400 * mib, 320 * mib, 100 * mib, 512 * mib, false), 390 * mib);
    CHECK_EQ(selfballoon_step_kib(400 * mib, 320 * mib, 100 * mib, 512 * mib, true), 400 * mib);
    CHECK_EQ(selfballoon_step_kib(320 * mib, 400 * mib, 100 * mib, 512 * mib, true), 400 * mib);
    CHECK_EQ(selfballoon_step_kib(320 * mib, 400 * mib, 100 * mib, 360 * mib, false), 360 * mib);
    CHECK_EQ(selfballoon_step_kib(400 * mib, 10 * mib, 395 * mib, 512 * mib, false), 395 * mib);
    CHECK_EQ(selfballoon_step_kib(400 * mib, 10 * mib, 168 * mib, 96 * mib, false), 96 * mib);
    for (; size > 161 * mib && steps < 1000; steps++)
        size = selfballoon_step_kib(size, 160 * mib, 100 * mib, 512 * mib, false);
    CHECK(steps > 20 && steps < 60);

    report.balloon_current_kib = 560 * mib;
    report.committed_kib = 100 * mib;
    CHECK_EQ(selfballoon_goal_kib(&report, 30 * mib), (48 + 100 + 30) * mib);
}

static void test_kernel(void)
{
    struct procfs procfs;

    put("/proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\nSUnreclaim: 100 kB\n"
                         "KernelStack: 20 kB\nPageTables: 3 kB\nPercpu: 4000 kB\n");
    put("/proc/sys/vm/min_free_kbytes", "2000\n");
    put("/sys/devices/system/xen_memory/xen_memory0/target_kb", "524288\n");
    CHECK_EQ(procfs_open(root, &procfs), 0);
    CHECK_EQ(procfs_kernel_kib(&procfs), 100 + 20 + 3 + 4000 + 3000);
    CHECK_EQ(procfs_set_target(&procfs, 262144), 0);
    procfs_close(&procfs);
    CHECK_EQ(procfs_set_target(&procfs, 1), -EACCES);
    put("/proc/meminfo", meminfo);
    cut("/proc/sys/vm/min_free_kbytes");
    CHECK_EQ(procfs_open(root, &procfs), 0);
    CHECK_EQ(procfs_kernel_kib(&procfs), 0);
    procfs_close(&procfs);
}

/* A store that answers one request with what the test says, in small pieces. */
struct store {
    int listener;
    const char *answer;
    size_t len;
    char got[256];
    size_t got_len;
};

static void *serve(void *data)
{
    struct store *store = data;
    int fd = accept(store->listener, NULL, NULL);
    ssize_t n;

    while (store->got_len < 16 + 10
           && (n = read(fd, store->got + store->got_len, sizeof(store->got) - store->got_len)) > 0)
        store->got_len += (size_t)n;
    for (size_t i = 0; i < store->len; i++)
        n = write(fd, store->answer + i, 1);
    close(fd);
    return NULL;
}

#define WORD(a) a "\0\0\0"
#define HEADER(type, request, len) WORD(type) WORD(request) "\0\0\0\0" WORD(len)

static int write_and_hear(const char *answer, size_t len, struct store *store)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    pthread_t thread;
    int fd;
    int r;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", root);
    (void)unlink(address.sun_path);
    *store = (struct store){ .answer = answer, .len = len };
    store->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(store->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQ(listen(store->listener, 1), 0);
    setenv("XENSTORED_PATH", address.sun_path, 1);
    fd = xenbus_open();
    CHECK(fd >= 0);
    CHECK_EQ(pthread_create(&thread, NULL, serve, store), 0);
    r = xenbus_write(fd, "data/x", "abc", 3);
    pthread_join(thread, NULL);
    close(fd);
    close(store->listener);
    return r;
}

static void test_store(void)
{
    struct store store;

    /* Requests are counted; the answers carry the number: 1, 2, 3, ... */
    static const char good[] = HEADER("\x0b", "\x01", "\x03") "OK";
    static const char late[] =
        HEADER("\x0f", "\x00", "\x04") "a\0b\0" HEADER("\x0b", "\x02", "\x03") "OK";
    static const char denied[] = HEADER("\x10", "\x03", "\x07") "EACCES";
    static const char odd[] = HEADER("\x10", "\x04", "\x05") "EODD";
    static const char huge[] = WORD("\x0b") WORD("\x05") "\0\0\0\0\xff\xff\xff\x7f";
    static const char wrong[] = HEADER("\x02", "\x06", "\x00");

    CHECK_EQ(write_and_hear(good, sizeof(good), &store), 0);
    CHECK_EQ(store.got[0], 11);
    CHECK(memcmp(store.got + 16, "data/x\0abc", 10) == 0);
    CHECK_EQ(write_and_hear(late, sizeof(late), &store), 0);
    CHECK_EQ(write_and_hear(denied, sizeof(denied), &store), -EACCES);
    CHECK_EQ(write_and_hear(odd, sizeof(odd), &store), -EIO);
    CHECK_EQ(write_and_hear(huge, 16, &store), -EPROTO);
    CHECK_EQ(write_and_hear(wrong, 16, &store), -EPROTO);
    CHECK_EQ(write_and_hear("", 0, &store), -ECONNRESET);
}

int main(int argc, char **argv)
{
    char command[64];

    check_init(argc, argv);
    CHECK(mkdtemp(root) != NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    check_run("a report is collected from /proc and /sys", test_collect);
    check_run("what is not there is not posted", test_collect_less);
    check_run("what reads oddly is not posted", test_collect_strictly);
    check_run("a huge file is cut at a line's end", test_collect_huge);
    check_run("it posts when something matters", test_timing);
    check_run("small changes matter when little is left", test_timing_when_short);
    check_run("a steady guest posts heartbeats only", test_timing_steady);
    check_run("a step of one that sizes itself", test_selfballoon_step);
    check_run("what the kernel uses itself", test_kernel);
    check_run("it speaks with the store", test_store);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    CHECK_EQ(system(command), 0);
    return check_done();
}
