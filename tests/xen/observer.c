/* SPDX-License-Identifier: ISC */
/* observer: the tests' own witness of the promise. It asks the hypervisor, never the daemon.
 *
 *   observer watch FILE RESERVE_KIB    samples to FILE, eleven times a second, until it is killed
 *   observer summary FILE [UNTIL_MS]   key=value words about all samples, or those until then
 *   observer breach FILE SINCE_MS      for how long, in ms, the promise was broken at most since then
 *   observer least FILE DOMID SINCE_MS the least that a running domain held (KiB) since then
 *   observer most FILE DOMID SINCE_MS  the most
 *   observer domain DOMID              "ACTUAL CAP" now, in KiB
 *   observer host                      "TOTAL FREE" now, in KiB
 *
 * Two forms of the promise are checked at each sample:
 *
 *   headroom = free - claims - reserve - sum of max(0, cap - actual)
 *     as the daemon must compute it. The counters of the host and of the domains are not read at one
 *     instant, and a guest that takes or gives memory in between spoils the sum. So the domains are
 *     read before and after the host; only where the two agree (the sample is "settled") is the
 *     figure exact, and only there is a negative one a violation, unless it is that by what Xen has
 *     taken for itself since a second ago: a few pages now and then, which nobody can foresee.
 *   room = total - Xen's own - reserve - sum of max(actual, cap)
 *     needs the domains only, all read in one hypercall, so it holds at each sample. Xen's own is the
 *     largest total - free - sum of actual that is seen at the start, before there are guests.
 *
 * A sample is a line: TIME_MS SETTLED HEADROOM ROOM FREE XEN_TOOK, and ID:ACTUAL:CAP:STATE for each
 * domain, sizes in KiB, STATE one of r (running), p (paused, as while it is built), e (ended). */
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenctrl.h>

#define DOMAINS_MAX 64
#define PAGE_KIB 4
#define PERIOD_MS 90
#define READINGS_AT_START 10
#define READINGS_PER_SAMPLE 5
#define SAMPLES_PER_S 11

/* For a domain that is created Xen takes some 90 KiB, for one that swaps 60 (measured). More than this
 * was somebody else. */
#define XEN_TAKES_MOST_KIB 256

struct domain {
    uint32_t domid;
    char state;
    int64_t actual_kib;
    int64_t cap_kib;
    int64_t claim_kib;
};

struct reading {
    struct domain domains[DOMAINS_MAX];
    size_t count;
};

struct host {
    int64_t total_kib;
    int64_t free_kib;
    int64_t claims_kib;
};

struct sample {
    uint64_t time_ms;
    bool settled;
    int64_t headroom_kib;
    int64_t room_kib;
    int64_t free_kib;
    int64_t took_kib; /* by Xen for itself, since a second ago */
};

static xc_interface *xen;

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void read_host(struct host *ret_host)
{
    xc_physinfo_t info = { 0 };

    if (xc_physinfo(xen, &info) != 0)
        fail("observer: xc_physinfo");
    ret_host->total_kib = (int64_t)info.total_pages * PAGE_KIB;
    ret_host->free_kib = (int64_t)info.free_pages * PAGE_KIB;
    ret_host->claims_kib = (int64_t)info.outstanding_pages * PAGE_KIB;
}

static void read_domains(struct reading *ret_reading)
{
    static xc_domaininfo_t infos[DOMAINS_MAX];
    int count = xc_domain_getinfolist(xen, 0, DOMAINS_MAX, infos);

    if (count < 0 || count == DOMAINS_MAX)
        fail("observer: xc_domain_getinfolist");
    ret_reading->count = (size_t)count;
    for (int i = 0; i < count; i++) {
        struct domain *domain = &ret_reading->domains[i];

        domain->domid = infos[i].domain;
        domain->state = 'r';
        if (infos[i].flags & XEN_DOMINF_paused)
            domain->state = 'p';
        if (infos[i].flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown))
            domain->state = 'e';
        domain->actual_kib = (int64_t)infos[i].tot_pages * PAGE_KIB;
        domain->claim_kib = (int64_t)infos[i].outstanding_pages * PAGE_KIB;
        /* Dom0 may have no limit (all ones): then it counts with what it holds. */
        domain->cap_kib = infos[i].max_pages >= UINT32_MAX ? domain->actual_kib
                                                           : (int64_t)infos[i].max_pages * PAGE_KIB;
    }
}

static bool same(const struct reading *a, const struct reading *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct domain *x = &a->domains[i], *y = &b->domains[i];

        if (x->domid != y->domid || x->actual_kib != y->actual_kib || x->cap_kib != y->cap_kib
            || x->claim_kib != y->claim_kib)
            return false;
    }
    return true;
}

static int64_t headroom(const struct host *host, const struct reading *reading, int64_t reserve_kib)
{
    int64_t left = host->free_kib - host->claims_kib - reserve_kib;

    for (size_t i = 0; i < reading->count; i++) {
        const struct domain *domain = &reading->domains[i];

        /* A claim is a part of what the domain may still take, and is in claims_kib already. */
        left += domain->claim_kib;
        left -= max(domain->claim_kib, max(0, domain->cap_kib - domain->actual_kib));
    }
    return left;
}

static int64_t room(const struct host *host, const struct reading *reading, int64_t own_kib,
                    int64_t reserve_kib)
{
    int64_t left = host->total_kib - own_kib - reserve_kib;

    for (size_t i = 0; i < reading->count; i++)
        left -= max(reading->domains[i].actual_kib, reading->domains[i].cap_kib);
    return left;
}

static void wait_until(uint64_t time_ms)
{
    struct timespec until = { .tv_sec = (time_t)(time_ms / 1000),
                              .tv_nsec = (long)(time_ms % 1000) * 1000000 };

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static int64_t xens_own(const struct host *host, const struct reading *reading)
{
    int64_t held_kib = 0;

    for (size_t i = 0; i < reading->count; i++)
        held_kib += reading->domains[i].actual_kib;
    return host->total_kib - host->free_kib - held_kib;
}

static int64_t xens_own_at_start(void)
{
    int64_t own_kib = 0;

    for (int i = 0; i < READINGS_AT_START; i++) {
        struct host host;
        struct reading reading;

        read_host(&host);
        read_domains(&reading);
        own_kib = max(own_kib, xens_own(&host, &reading));
        wait_until(now_ms() + PERIOD_MS);
    }
    return own_kib;
}

/* How much more than at the least of the last settled samples, a second's. */
static int64_t xen_took(int64_t own_kib)
{
    static int64_t last_kib[SAMPLES_PER_S];
    static size_t count;
    int64_t took_kib = 0;

    last_kib[count++ % SAMPLES_PER_S] = own_kib;
    for (size_t i = 0; i < SAMPLES_PER_S && i < count; i++)
        took_kib = max(took_kib, own_kib - last_kib[i]);
    return took_kib <= XEN_TAKES_MOST_KIB ? took_kib : 0;
}

static void write_sample(FILE *file, const struct sample *sample, const struct reading *reading)
{
    fprintf(file, "%" PRIu64 " %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, sample->time_ms,
            sample->settled, sample->headroom_kib, sample->room_kib, sample->free_kib,
            sample->took_kib);
    for (size_t i = 0; i < reading->count; i++) {
        const struct domain *domain = &reading->domains[i];

        fprintf(file, " %u:%" PRId64 ":%" PRId64 ":%c", domain->domid, domain->actual_kib,
                domain->cap_kib, domain->state);
    }
    fputc('\n', file);
    fflush(file);
}

static _Noreturn void watch(const char *path, const char *reserve)
{
    int64_t reserve_kib = strtoll(reserve, NULL, 10), own_kib = xens_own_at_start();
    struct sched_param priority = { .sched_priority = 1 };
    FILE *file = fopen(path, "we");
    uint64_t next_ms = now_ms();

    if (!file)
        fail(path);
    /* Before all else in dom0: a witness that looks away when there is much to do is none. */
    if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
        fail("observer: sched_setscheduler");
    for (;;) {
        struct host host;
        struct reading before, after;
        struct sample sample = { 0 };

        for (int i = 0; i < READINGS_PER_SAMPLE && !sample.settled; i++) {
            read_domains(&before);
            read_host(&host);
            read_domains(&after);
            sample.settled = same(&before, &after);
        }
        sample.time_ms = now_ms();
        sample.headroom_kib = headroom(&host, &after, reserve_kib);
        sample.room_kib = room(&host, &after, own_kib, reserve_kib);
        sample.free_kib = host.free_kib;
        if (sample.settled)
            sample.took_kib = xen_took(xens_own(&host, &after));
        write_sample(file, &sample, &after);
        next_ms = (uint64_t)max((int64_t)next_ms + PERIOD_MS, (int64_t)sample.time_ms);
        wait_until(next_ms);
    }
}

/* Reads the head of the next line, and leaves the domains in *ret_rest. False at the end, and at a
 * line that is still being written. */
static bool next_sample(FILE *file, struct sample *ret_sample, char **ret_rest)
{
    static char line[DOMAINS_MAX * 64];
    int settled, used = 0;

    if (!fgets(line, sizeof(line), file) || !strchr(line, '\n'))
        return false;
    if (sscanf(line, "%" SCNu64 " %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 "%n",
               &ret_sample->time_ms, &settled, &ret_sample->headroom_kib, &ret_sample->room_kib,
               &ret_sample->free_kib, &ret_sample->took_kib, &used)
        != 6)
        return false;
    ret_sample->settled = settled;
    *ret_rest = line + used;
    return true;
}

static FILE *open_samples(const char *path)
{
    FILE *file = fopen(path, "re");

    if (!file)
        fail(path);
    return file;
}

static bool headroom_broken(const struct sample *sample)
{
    return sample->settled && sample->headroom_kib + sample->took_kib < 0;
}

static int summary(const char *path, uint64_t until_ms)
{
    FILE *file = open_samples(path);
    struct sample sample;
    char *rest;
    unsigned samples = 0, settled = 0, broken = 0, room_broken = 0;
    int64_t least_headroom = INT64_MAX, least_room = INT64_MAX;
    uint64_t first_ms = 0, last_ms = 0, gap_ms = 0;

    while (next_sample(file, &sample, &rest) && sample.time_ms <= until_ms) {
        if (samples++ == 0)
            first_ms = sample.time_ms;
        else if (sample.time_ms - last_ms > gap_ms)
            gap_ms = sample.time_ms - last_ms;
        last_ms = sample.time_ms;
        if (sample.room_kib < least_room)
            least_room = sample.room_kib;
        room_broken += sample.room_kib < 0;
        if (!sample.settled)
            continue;
        settled++;
        if (sample.headroom_kib < least_headroom)
            least_headroom = sample.headroom_kib;
        broken += headroom_broken(&sample);
    }
    fclose(file);
    if (settled == 0) {
        fprintf(stderr, "observer: %s: no settled sample\n", path);
        return 1;
    }
    printf("samples=%u settled=%u duration_ms=%" PRIu64 " gap_ms=%" PRIu64
           " headroom_broken=%u least_headroom_kib=%" PRId64
           " room_broken=%u least_room_kib=%" PRId64 "\n",
           samples, settled, last_ms - first_ms, gap_ms, broken, least_headroom, room_broken,
           least_room);
    return 0;
}

/* A breach lasts from its first sample to the first settled one without it. */
static int breach(const char *path, uint64_t since_ms)
{
    FILE *file = open_samples(path);
    struct sample sample;
    char *rest;
    uint64_t begin_ms = 0, longest_ms = 0;

    while (next_sample(file, &sample, &rest)) {
        bool broken = sample.room_kib < 0 || headroom_broken(&sample);

        if (sample.time_ms < since_ms)
            continue;
        if (broken && begin_ms == 0)
            begin_ms = sample.time_ms;
        if (begin_ms != 0 && sample.time_ms - begin_ms > longest_ms)
            longest_ms = sample.time_ms - begin_ms;
        if (sample.settled && !broken)
            begin_ms = 0;
    }
    fclose(file);
    printf("%" PRIu64 "\n", longest_ms);
    return 0;
}

/* The actual of a domain in the rest of a line; -1 when it is not there or not running. */
static int64_t running_actual(const char *rest, uint32_t domid)
{
    struct domain domain;
    int used;

    while (sscanf(rest, " %u:%" SCNd64 ":%" SCNd64 ":%c%n", &domain.domid, &domain.actual_kib,
                  &domain.cap_kib, &domain.state, &used)
           == 4) {
        if (domain.domid == domid)
            return domain.state == 'r' ? domain.actual_kib : -1;
        rest += used;
    }
    return -1;
}

static int extreme(bool least, const char *path, const char *domid_text, const char *since_text)
{
    FILE *file = open_samples(path);
    uint32_t domid = (uint32_t)strtoul(domid_text, NULL, 10);
    uint64_t since_ms = strtoull(since_text, NULL, 10);
    struct sample sample;
    char *rest;
    int64_t found = -1;

    while (next_sample(file, &sample, &rest)) {
        int64_t actual = sample.time_ms < since_ms ? -1 : running_actual(rest, domid);

        if (actual >= 0 && (found < 0 || (least ? actual < found : actual > found)))
            found = actual;
    }
    fclose(file);
    if (found < 0) {
        fprintf(stderr, "observer: domain %u did not run since %s ms\n", domid, since_text);
        return 1;
    }
    printf("%" PRId64 "\n", found);
    return 0;
}

static int show_domain(const char *domid_text)
{
    uint32_t domid = (uint32_t)strtoul(domid_text, NULL, 10);
    struct reading reading;

    read_domains(&reading);
    for (size_t i = 0; i < reading.count; i++) {
        if (reading.domains[i].domid == domid) {
            printf("%" PRId64 " %" PRId64 "\n", reading.domains[i].actual_kib,
                   reading.domains[i].cap_kib);
            return 0;
        }
    }
    fprintf(stderr, "observer: no domain %u\n", domid);
    return 1;
}

static int show_host(void)
{
    struct host host;

    read_host(&host);
    printf("%" PRId64 " %" PRId64 "\n", host.total_kib, host.free_kib);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (strcmp(command, "summary") == 0 && argc == 3)
        return summary(argv[2], UINT64_MAX);
    if (strcmp(command, "summary") == 0 && argc == 4)
        return summary(argv[2], strtoull(argv[3], NULL, 10));
    if (strcmp(command, "breach") == 0 && argc == 4)
        return breach(argv[2], strtoull(argv[3], NULL, 10));
    if (strcmp(command, "least") == 0 && argc == 5)
        return extreme(true, argv[2], argv[3], argv[4]);
    if (strcmp(command, "most") == 0 && argc == 5)
        return extreme(false, argv[2], argv[3], argv[4]);

    xen = xc_interface_open(NULL, NULL, 0);
    if (!xen)
        fail("observer: xc_interface_open");
    if (strcmp(command, "watch") == 0 && argc == 4)
        watch(argv[2], argv[3]);
    if (strcmp(command, "domain") == 0 && argc == 3)
        return show_domain(argv[2]);
    if (strcmp(command, "host") == 0 && argc == 2)
        return show_host();
    fprintf(stderr, "observer: wrong arguments; see the head of observer.c\n");
    return 2;
}
