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
#include "guest/timing.h"
#include "guest/xenbus.h"

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
    put("/proc/pressure/memory",
        "some avg10=1.07 avg60=0.00 avg300=0.00 total=123\n"
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

static struct report steady(void)
{
    struct report report;

    report_clear(&report);
    report.total_kib = 512 * 1024;
    report.available_kib = 200 * 1024;
    report.some_us = 1000;
    report.swap_in_pages = 0;
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
    now.oom_kills = 1;
    CHECK(timing_due(&now, &posted, 250));

    now = steady();
    now.some_us = REPORT_ABSENT;
    CHECK(!timing_due(&now, &posted, 250));
    now.some_us = 0;
    CHECK(!timing_due(&now, &posted, 250));
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
    static const char late[] = HEADER("\x0f", "\x00", "\x04") "a\0b\0"
                               HEADER("\x0b", "\x02", "\x03") "OK";
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
    check_run("it posts when something matters", test_timing);
    check_run("it speaks with the store", test_store);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    CHECK_EQ(system(command), 0);
    return check_done();
}
