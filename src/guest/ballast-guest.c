/* SPDX-License-Identifier: ISC */
/* ballast-guest: posts how a domain's memory is doing, from inside. It allocates nothing while it
 * runs: it must work when there is no memory left. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "guest/procfs.h"
#include "guest/selfballoon.h"
#include "guest/xenbus.h"
#include "report/report.h"
#include "report/timing.h"
#include "util/bounds.h"
#include "util/descriptors.h"
#include "util/exits.h"

/* After a failure the store is tried again so much later. */
#define RETRY_MS 2000

static volatile sig_atomic_t stopping;
static volatile sig_atomic_t sizes_itself;

static void on_signal(int signal)
{
    if (signal == SIGUSR1 || signal == SIGUSR2)
        sizes_itself = signal == SIGUSR1;
    else
        stopping = 1;
}

static void usage(FILE *out)
{
    fputs("Usage: ballast-guest [--selfballoon | --once | --print]\n"
          "Posts how this Xen domain's memory is doing, for ballastd in dom0.\n"
          "\n"
          "  --selfballoon  size the domain by its committed memory, unless dom0 says no;\n"
          "                 SIGUSR1 switches that on, SIGUSR2 off\n"
          "  --once         post one report and leave\n"
          "  --print        print one report and leave; works outside of Xen too\n"
          "  --help         show this\n"
          "  --version      show the version\n",
          out);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(uint64_t ms)
{
    struct timespec pause = { .tv_sec = (time_t)(ms / 1000),
                              .tv_nsec = (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&pause, NULL);
}

/* True when the file can be read and contains the word near its beginning. */
static bool file_says(const char *path, const char *word)
{
    char text[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        (void)close(fd);
    if (n < 0)
        return false;
    text[n] = '\0';
    return strstr(text, word) != NULL;
}

/* NULL when this is a Xen guest, or XENSTORED_PATH says where the store is; else why not. */
static const char *unfit(void)
{
    if (getenv("XENSTORED_PATH"))
        return NULL;
    if (file_says("/proc/xen/capabilities", "control_d"))
        return "this is dom0, not a guest";
    if (access("/sys/hypervisor/type", R_OK) == 0 && !file_says("/sys/hypervisor/type", "xen"))
        return "this is a guest of another hypervisor than Xen";
    if (access("/dev/xen/xenbus", F_OK) < 0)
        return "this is not a Xen guest: there is no /dev/xen/xenbus";
    return NULL;
}

/* Memory that is not locked may be swapped out, and the kernel kills the largest first: neither may
 * befall the one who says that memory is short. Without the right to it, it runs on as it is. */
static void hold_fast(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "-1000", 5) != 5)
        fputs("ballast-guest: cannot keep the kernel from killing it when memory is short, "
              "ignoring\n",
              stderr);
    if (fd >= 0)
        (void)close(fd);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
        fprintf(stderr, "ballast-guest: cannot lock its memory: %s, ignoring\n", strerror(errno));
}

static int post(int store, const struct report *report)
{
    static char text[REPORT_MAX];
    int len = report_format(report, text, sizeof(text));

    return len < 0 ? len : xenbus_write(store, REPORT_NODE, text, (size_t)len);
}

/* Tells of a failure once, and of its end. */
static void tell(int r)
{
    static int told;

    if (r == told)
        return;
    if (r < 0)
        fprintf(stderr, "ballast-guest: cannot post: %s; trying again\n", strerror(-r));
    else
        fputs("ballast-guest: posting again\n", stderr);
    told = r;
}

/* Sizes the domain, if it is to size itself. Returns a negative errno when the store is lost. */
static int size_domain(struct selfballoon *selfballoon, int store, const struct procfs *procfs,
                       struct report *report)
{
    static bool failed;
    bool was_on = selfballoon->on;
    bool lost;
    int r;

    selfballoon->wanted = sizes_itself;
    r = selfballoon_run(selfballoon, store, procfs, now_ms(), report, &lost);
    if (selfballoon->on != was_on)
        fprintf(stderr, "ballast-guest: %s\n",
                selfballoon->on ? "sizes the domain by its committed memory"
                                : "leaves the domain's size to dom0");
    if (lost)
        return r;
    if (r < 0 && !failed)
        fprintf(stderr, "ballast-guest: cannot set the balloon's target: %s; trying again\n",
                strerror(-r));
    failed = r < 0;
    return 0;
}

struct glance {
    uint64_t free_kib;
    uint64_t swap_free_kib;
};

static struct glance glance(void)
{
    struct sysinfo info = { .mem_unit = 1 };

    (void)sysinfo(&info);
    return (struct glance){
        .free_kib = (uint64_t)info.freeram * info.mem_unit / 1024,
        .swap_free_kib = (uint64_t)info.freeswap * info.mem_unit / 1024,
    };
}

/* Until memory moves, but not for long. */
static void wait_for_change(void)
{
    struct glance before = glance();
    uint64_t end_ms = now_ms() + TIMING_READ_MS;
    struct glance now;

    do {
        sleep_ms(TIMING_LOOK_MS);
        now = glance();
    } while (!stopping && now_ms() < end_ms
             && distance(now.free_kib, before.free_kib) < TIMING_GLANCE_KIB
             && distance(now.swap_free_kib, before.swap_free_kib) < TIMING_GLANCE_KIB);
}

static void run(const struct procfs *procfs)
{
    struct selfballoon selfballoon = { .on = false };
    struct report report;
    struct report posted;
    uint64_t posted_ms = 0;
    uint64_t seq = 0;
    int store = -1;

    while (!stopping) {
        int r = procfs_collect(procfs, &report);

        if (r == 0 && store < 0)
            r = store = xenbus_open();
        if (r >= 0)
            r = size_domain(&selfballoon, store, procfs, &report);
        if (r == 0 && !timing_due(&report, seq ? &posted : NULL, now_ms() - posted_ms)) {
            wait_for_change();
            continue;
        }
        if (r >= 0) {
            report.seq = seq + 1;
            r = post(store, &report);
        }
        if (r == 0) {
            posted = report;
            posted_ms = now_ms();
            seq++;
        } else if (store >= 0) {
            /* Whatever it was, a new connection begins without what is left of the old one. */
            (void)close(store);
            store = -1;
        }
        tell(r);
        if (r < 0)
            sleep_ms(RETRY_MS);
        else
            wait_for_change();
    }
    selfballoon_end(&selfballoon, procfs);
    if (store >= 0) {
        (void)xenbus_remove(store, REPORT_NODE);
        (void)close(store);
    }
}

static int print_once(const struct procfs *procfs)
{
    static char text[REPORT_MAX];
    struct report report;
    int r = procfs_collect(procfs, &report);

    if (r == 0) {
        report.seq = 1;
        r = report_format(&report, text, sizeof(text));
    }
    if (r < 0)
        return r;
    puts(text);
    return 0;
}

static int post_once(const struct procfs *procfs)
{
    struct report report;
    int r = procfs_collect(procfs, &report);
    int store = r < 0 ? r : xenbus_open();

    if (store < 0)
        return store;
    /* One post must differ from the next, and nothing is remembered from one call to the next. */
    report.seq = now_ms();
    r = post(store, &report);
    (void)close(store);
    return r;
}

static int fail(const char *what, int r)
{
    fprintf(stderr, "ballast-guest: %s: %s\n", what, strerror(-r));
    return EXIT_FAILURE;
}

/* Returns the exit status. */
static int ballast_guest(int argc, char **argv)
{
    static const struct option options[] = {
        { "selfballoon", no_argument, NULL, 's' }, { "once", no_argument, NULL, 'o' },
        { "print", no_argument, NULL, 'p' },       { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },     { NULL, 0, NULL, 0 },
    };
    static const int signals[] = { SIGTERM, SIGINT, SIGUSR1, SIGUSR2 };
    struct sigaction action = { .sa_handler = on_signal };
    const char *root = getenv("BALLAST_ROOT");
    struct procfs procfs;
    const char *why;
    bool wrong = false;
    int mode = 0;
    int option;
    int r;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        case 'v':
            puts("ballast-guest " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case '?':
            usage(stderr);
            return EXIT_USAGE;
        default:
            wrong = wrong || (mode != 0 && mode != option);
            mode = option;
        }
    }
    if (wrong || optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    why = mode == 'p' ? NULL : unfit();
    if (why) {
        fprintf(stderr, "ballast-guest: %s\n", why);
        return EXIT_FAILURE;
    }
    r = procfs_open(root ? root : "", &procfs);
    if (r < 0)
        return fail("/proc/meminfo", r);
    sizes_itself = mode == 's';
    if (mode == 'o' || mode == 'p') {
        r = mode == 'p' ? print_once(&procfs) : post_once(&procfs);
        procfs_close(&procfs);
        return r < 0 ? fail(mode == 'p' ? "cannot print memory figures" : "cannot post", r)
                     : EXIT_SUCCESS;
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &action, NULL);
    hold_fast();
    run(&procfs);
    procfs_close(&procfs);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    descriptors_fill();
    return descriptors_shown("ballast-guest", ballast_guest(argc, argv));
}
