/* SPDX-License-Identifier: ISC */
/* What the fake host can do, checked with the real libxl against a real store. Expects an empty
 * host of which nobody else makes use; test-fakexen.py starts it on both stores. Speaks TAP. */
#define __XEN_TOOLS__ 1 /* the control interface, in Xen's headers */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxl.h>
#include <libxl_event.h>
#include <libxl_utils.h>
#include <xenstore.h>
#include <xen/xen.h>
#include <xen/domctl.h>

#include "domain.h"
#include "hv.h"

#define PVH 11
#define PV 12
#define HVM 13
#define SLACK_KIB 1024 /* libxl sets the cap that much above the target */
#define VIDEO_KIB 8192
#define WAIT_MS 5000 /* what must come; it comes in a few ms */
#define QUIET_MS 100 /* what must not come */

static int tests;
static int failures;
static struct hv *hv;
static struct xs_handle *dom0;
static libxl_ctx *ctx;

static void ok(bool good, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void ok(bool good, const char *format, ...)
{
    va_list ap;

    tests++;
    if (!good)
        failures++;
    printf("%s %d - ", good ? "ok" : "not ok", tests);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
}

/* Waits for an event with this token; others before it are dropped. */
static bool fired(struct xs_handle *xs, const char *token, int wait_ms)
{
    struct pollfd pollfd = { .fd = xs_fileno(xs), .events = POLLIN };
    uint64_t end_ns = hv_now_ns() + (uint64_t)wait_ms * 1000000;

    for (;;) {
        char **event = xs_check_watch(xs);
        bool hit;
        int64_t left_ms;

        if (event) {
            hit = strcmp(event[XS_WATCH_TOKEN], token) == 0;
            free(event);
            if (hit)
                return true;
            continue;
        }
        left_ms = ((int64_t)end_ns - (int64_t)hv_now_ns()) / 1000000;
        if (left_ms <= 0 || poll(&pollfd, 1, (int)left_ms) < 0)
            return false;
    }
}

static bool write_node(struct xs_handle *xs, const char *path, const char *value)
{
    return xs_write(xs, XBT_NULL, path, value, (unsigned)strlen(value));
}

/* The node cannot be written, and the reason is that it is forbidden. */
static bool write_denied(struct xs_handle *xs, const char *path)
{
    errno = 0;
    return !write_node(xs, path, "1") && errno == EACCES;
}

static uint64_t max_kib(uint32_t domid)
{
    return hv->domains[domid].max_pages * 4;
}

static void check_create(void)
{
    struct domain_spec pvh = { .domid = PVH,
                               .name = "g11",
                               .type = DOMAIN_PVH,
                               .held_kib = 524288,
                               .target_kib = 524288,
                               .static_max_kib = 1048576,
                               .vcpus = 2 };
    struct domain_spec pv = { .domid = PV,
                              .name = "g12",
                              .type = DOMAIN_PV,
                              .held_kib = 524288,
                              .target_kib = 524288,
                              .static_max_kib = 1048576,
                              .vcpus = 1 };
    struct domain_spec hvm = { .domid = HVM,
                               .name = "g13",
                               .type = DOMAIN_HVM,
                               .held_kib = 262144,
                               .target_kib = 262144,
                               .static_max_kib = 1048576,
                               .vcpus = 1 };

    ok(xs_watch(dom0, "@introduceDomain", "introduced"), "watch @introduceDomain");
    ok(xs_watch(dom0, "@releaseDomain", "released"), "watch @releaseDomain");
    ok(fired(dom0, "introduced", WAIT_MS) && fired(dom0, "released", WAIT_MS),
       "both fire at once when they are set");
    ok(domain_create(dom0, hv, &pvh) == 0, "create a PVH domain");
    ok(fired(dom0, "introduced", WAIT_MS), "@introduceDomain fires");
    ok(domain_create(dom0, hv, &pv) == 0, "create a PV domain");
    ok(domain_create(dom0, hv, &hvm) == 0, "create an HVM domain");
}

static void check_information(void)
{
    libxl_dominfo *list;
    libxl_physinfo physinfo;
    libxl_dominfo info;
    libxl_domain_config config;
    uint64_t kib = 0;
    char *name;
    int n = 0;

    list = libxl_list_domain(ctx, &n);
    ok(list && n == 4, "libxl_list_domain: %d domains", n);
    libxl_dominfo_list_free(list, n);

    libxl_physinfo_init(&physinfo);
    ok(libxl_get_physinfo(ctx, &physinfo) == 0 && physinfo.total_pages == hv->total_pages
           && physinfo.free_pages == hv->free_pages,
       "libxl_get_physinfo");
    libxl_physinfo_dispose(&physinfo);
    ok(libxl_get_free_memory(ctx, &kib) == 0 && kib == hv->free_pages * 4, "libxl_get_free_memory");

    libxl_dominfo_init(&info);
    ok(libxl_domain_info(ctx, &info, PVH) == 0 && info.current_memkb == 524288
           && info.max_memkb == 524288 + SLACK_KIB,
       "libxl_domain_info");
    libxl_dominfo_dispose(&info);
    libxl_dominfo_init(&info);
    ok(libxl_domain_info(ctx, &info, 99) == ERROR_DOMAIN_NOTFOUND,
       "libxl_domain_info of no domain: ERROR_DOMAIN_NOTFOUND");
    libxl_dominfo_dispose(&info);

    name = libxl_domid_to_name(ctx, PV);
    ok(name && strcmp(name, "g12") == 0, "libxl_domid_to_name");
    free(name);

    libxl_domain_config_init(&config);
    ok(libxl_retrieve_domain_configuration(ctx, HVM, &config, NULL) == 0
           && config.c_info.type == LIBXL_DOMAIN_TYPE_HVM,
       "libxl_retrieve_domain_configuration");
    libxl_domain_config_dispose(&config);
}

static void check_targets(void)
{
    uint64_t target_kib = 0;
    uint32_t domid;

    for (domid = PVH; domid <= HVM; domid++) {
        uint64_t video_kib = domid == HVM ? VIDEO_KIB : 0;
        bool good;

        ok(libxl_set_memory_target(ctx, domid, 400000, 0, 1) == 0,
           "libxl_set_memory_target(%u, enforce)", domid);
        good = libxl_get_memory_target(ctx, domid, &target_kib) == 0;
        ok(good && target_kib == 400000 - video_kib, "the target of %u is %llu KiB", domid,
           (unsigned long long)target_kib);
        ok(max_kib(domid) == 400000 + SLACK_KIB, "the cap of %u is %llu KiB", domid,
           (unsigned long long)max_kib(domid));
    }
    ok(libxl_set_memory_target(ctx, PVH, 500000, 0, 0) != 0,
       "PVH: a target above the cap, without enforce, is refused");
    ok(libxl_set_memory_target(ctx, PV, 500000, 0, 0) == 0, "PV: the same is taken");
    ok(libxl_set_memory_target(ctx, PVH, 2000000, 0, 1) == ERROR_INVAL,
       "a target above static-max: ERROR_INVAL");
    ok(libxl_domain_setmaxmem(ctx, PVH, 800000) == 0 && max_kib(PVH) == 800000 + SLACK_KIB,
       "libxl_domain_setmaxmem");
}

static void check_scheduler(void)
{
    libxl_domain_sched_params params;

    libxl_domain_sched_params_init(&params);
    params.sched = LIBXL_SCHEDULER_CREDIT2;
    params.weight = 700;
    params.cap = 30;
    ok(libxl_domain_sched_params_set(ctx, PV, &params) == 0 && hv->domains[PV].weight == 700
           && hv->domains[PV].cap == 30,
       "libxl_domain_sched_params_set");
    libxl_domain_sched_params_dispose(&params);
}

static void check_faults(void)
{
    struct hv_fault fault = {
        .op = __HYPERVISOR_domctl, .cmd = XEN_DOMCTL_max_mem, .domid = PV, .count = 1, .err = EBUSY
    };

    ok(hv_fault_add(hv, &fault) == 0, "add a fault");
    ok(libxl_set_memory_target(ctx, PV, 300000, 0, 1) == ERROR_FAIL,
       "XEN_DOMCTL_max_mem fails when it is told to");
    ok(libxl_set_memory_target(ctx, PV, 300000, 0, 1) == 0, "and not the next time");
}

static void check_guest_rights(struct xs_handle *guest)
{
    unsigned length;
    char *value = xs_read(guest, XBT_NULL, "memory/target", &length);

    ok(value != NULL, "the guest reads its memory/target by a relative path");
    free(value);
    ok(write_node(guest, "data/stats", "free=1"), "it writes below data/");
    ok(write_denied(guest, "memory/target"), "it may not write memory/target");
    ok(write_denied(guest, "memory/mine"), "it may not make a node below memory/");
    ok(write_denied(guest, "/local/domain/12/data/x"), "it may not write another's data/");
    errno = 0;
    ok(!xs_read(guest, XBT_NULL, "/local/domain/12/name", &length) && errno == EACCES,
       "it may not read another's name");
    errno = 0;
    ok(!xs_introduce_domain(guest, PV, 1, 1) && errno == EACCES, "it may not introduce domains");
    ok(domain_permit(dom0, PVH, "memory/meminfo") == 0 && write_node(guest, "memory/meminfo", "1"),
       "it writes a node that dom0 has made its own");
}

static void check_guest_quota(struct xs_handle *guest)
{
    static char big[3000];
    char path[32];
    unsigned length = 0;
    char *value;
    int n;
    int i;

    memset(big, 'x', sizeof(big));
    ok(!xs_write(guest, XBT_NULL, "data/big", big, sizeof(big)), "3000 bytes are too long");
    ok(xs_write(guest, XBT_NULL, "data/big", big, 2000),
       "2000 bytes, two fills of the ring, go in");
    value = xs_read(guest, XBT_NULL, "data/big", &length);
    ok(value && length == 2000 && memcmp(value, big, length) == 0, "and come back");
    free(value);
    for (n = 0; n < 1000; n++) {
        snprintf(path, sizeof(path), "data/n%d", n);
        if (!write_node(guest, path, ""))
            break;
    }
    ok(n > 100 && n < 1000, "the quota of nodes stops it after %d", n);
    for (i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "data/n%d", i);
        xs_rm(guest, XBT_NULL, path);
    }
}

/* Returns the second connection as the domain. */
static struct xs_handle *check_guest(void)
{
    struct xs_handle *guest = domain_connect(PVH);

    ok(guest != NULL, "connect as the PVH domain");
    if (!guest)
        return NULL;
    check_guest_rights(guest);
    check_guest_quota(guest);

    ok(xs_watch(guest, "memory/target", "target") && fired(guest, "target", WAIT_MS),
       "it watches its target");
    ok(libxl_set_memory_target(ctx, PVH, 350000, 0, 1) == 0 && fired(guest, "target", WAIT_MS),
       "the watch fires when libxl sets the target");
    ok(xs_watch(dom0, "/local/domain/11/data/stats", "post") && fired(dom0, "post", WAIT_MS),
       "dom0 watches its post");
    ok(write_node(guest, "data/stats", "free=2") && fired(dom0, "post", WAIT_MS),
       "the watch fires when it posts");
    xs_close(guest);

    guest = domain_connect(PVH);
    ok(guest && xs_watch(guest, "data", "again") && fired(guest, "again", WAIT_MS),
       "another client connects as the same domain");
    if (guest)
        ok(write_node(dom0, "/local/domain/11/memory/target", "349999")
               && !fired(guest, "target", QUIET_MS),
           "the first one's watches are gone");
    return guest;
}

static void check_balloon(void)
{
    uint64_t free_pages = hv->free_pages;
    uint64_t held_pages = hv->domains[PVH].tot_pages;
    uint64_t cap_pages = hv->domains[PVH].max_pages;

    ok(hv_release(hv, PVH, 50000) == 50000 && hv->free_pages == free_pages + 50000,
       "a balloon gives pages back to the host");
    held_pages -= 50000;
    ok(hv_populate(hv, PVH, 100000) == cap_pages - held_pages
           && hv->domains[PVH].tot_pages == cap_pages,
       "a balloon takes no more than the cap allows");
}

static void check_promise(void)
{
    uint64_t before_kib = max_kib(PV);
    int64_t room_kib;

    /* Below its cap, so that the cap is what it can reach. */
    (void)hv_release(hv, PV, hv->domains[PV].tot_pages - 50000);
    hv_lock(hv);
    room_kib = hv_headroom_pages(hv) * 4;
    hv_unlock(hv);
    hv_promise_start(hv, ((uint64_t)room_kib - 65536) / 4);
    ok(libxl_set_memory_target(ctx, PV, before_kib - SLACK_KIB + 32768, 0, 1) == 0
           && hv->promise.broken == 0 && hv->promise.checks > 0,
       "a cap raised within the headroom keeps the promise");
    ok(libxl_set_memory_target(ctx, PV, before_kib - SLACK_KIB + 131072, 0, 1) == 0
           && hv->promise.broken == 1 && hv->promise.first_domid == PV
           && hv->promise.first_after_pages == -65536 / 4,
       "a cap raised above it breaks it, and is recorded");
    ok(hv_populate(hv, PV, 1000) == 1000 && hv->promise.broken == 1,
       "a guest that takes what its cap allows does not");
    hv_promise_start(hv, 0);
    ok(hv_verify(hv) == 0, "the sums that were kept are those counted anew");
}

/* Drops what @releaseDomain has in store. */
static void settle(void)
{
    while (fired(dom0, "released", QUIET_MS))
        continue;
}

static void check_death_events(void)
{
    libxl_evgen_domain_death *shutdown_event;
    libxl_evgen_domain_death *destroy_event;
    libxl_event *event = NULL;
    bool seen[2] = { false, false };
    int n;

    ok(libxl_evenable_domain_death(ctx, PV, 1, &shutdown_event) == 0
           && libxl_evenable_domain_death(ctx, PVH, 2, &destroy_event) == 0,
       "libxl_evenable_domain_death");
    ok(hv_domain_shutdown(hv, PV, 0) == 0 && fired(dom0, "released", WAIT_MS),
       "a domain shuts down: @releaseDomain fires");
    ok(domain_destroy(dom0, hv, PVH) == 0 && fired(dom0, "released", WAIT_MS),
       "a domain is destroyed: @releaseDomain fires");
    alarm(WAIT_MS / 1000); /* ends the program */
    for (n = 0; n < 2 && libxl_event_wait(ctx, &event, LIBXL_EVENTMASK_ALL, 0, 0) == 0; n++) {
        seen[0] |= event->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN && event->domid == PV;
        seen[1] |= event->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH && event->domid == PVH;
        libxl_event_free(ctx, event);
    }
    alarm(0);
    ok(seen[0] && seen[1], "libxl reports both");
}

static void check_ends(struct xs_handle *guest)
{
    libxl_dominfo info;

    settle();
    check_death_events();
    libxl_dominfo_init(&info);
    ok(libxl_domain_info(ctx, &info, PV) == 0 && info.shutdown
           && info.shutdown_reason == LIBXL_SHUTDOWN_REASON_POWEROFF,
       "libxl sees that it is shut down, and why");
    libxl_dominfo_dispose(&info);
    ok(guest && !write_node(guest, "data/late", "1"), "a dead domain's connection is dead");

    hv_lock(hv);
    hv->domains[HVM].pod_entries = 20000;
    hv->domains[HVM].pod_cache_pages = 10000;
    hv_unlock(hv);
    settle();
    ok(hv_touch(hv, HVM, 15000) == -ENOMEM && fired(dom0, "released", WAIT_MS),
       "a domain whose populate-on-demand cache is empty crashes");
    settle();
    ok(xs_release_domain(dom0, PV) && fired(dom0, "released", WAIT_MS),
       "xs_release_domain: @releaseDomain fires");
    ok(domain_destroy(dom0, hv, PV) == 0, "destroy a domain that was released");
    ok(libxl_domain_destroy(ctx, HVM, NULL) == 0, "libxl_domain_destroy");
    ok(hv->free_pages == hv->total_pages - hv->domains[0].tot_pages && hv_verify(hv) == 0,
       "all memory is free again");
}

int main(void)
{
    xentoollog_logger_stdiostream *logger;
    struct xs_handle *guest;

    if (hv_open(&hv) < 0 || !(dom0 = xs_open(0))) {
        fprintf(stderr, "check-fakexen: there is no fake host in %s\n", hv_dir());
        return 2;
    }
    logger = xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
    ok(libxl_ctx_alloc(&ctx, LIBXL_VERSION, 0, (xentoollog_logger *)logger) == 0,
       "libxl_ctx_alloc");
    check_create();
    check_information();
    check_targets();
    check_scheduler();
    check_faults();
    guest = check_guest();
    check_balloon();
    check_promise();
    check_ends(guest);
    if (guest)
        xs_close(guest);
    xs_close(dom0);
    libxl_ctx_free(ctx);
    xtl_logger_destroy((xentoollog_logger *)logger);
    printf("1..%d\n", tests);
    return failures > 0;
}
