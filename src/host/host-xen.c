/* SPDX-License-Identifier: ISC */
/* The real host: libxl for what the hypervisor counts and for the calls, libxenstore for what the
 * domains post. Pages, libxl's rc and its lists end in this file. */
#include <errno.h>
#include <inttypes.h>
#include <libxl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenstore.h>
#include <xentoollog.h>

#include "core/demand.h"
#include "host/dom0.h"
#include "host/host.h"
#include "util/log.h"

/* libxl_set_memory_target() with enforce sets the cap so much above the target (libxl's
 * LIBXL_MAXMEM_CONSTANT, not in its public headers; measured). Checked after each call. */
#define SLACK_KIB 1024

/* Watch events taken in at once; the rest waits for the next turn of the loop. */
#define EVENTS_AT_ONCE 256

/* A domain that makes more events a second is not listened to for a while, and read once a second
 * instead. Our agent makes at most 4, three nodes of another agent at once count as 3. */
#define FLOOD_EVENTS 64
#define FLOOD_WINDOW_MS 1000
#define MUTE_MS 30000
#define MUTED_READ_MS 1000

/* So long after a call of ours an event on the target is the echo of it. */
#define ECHO_MS 200

/* So many turns without an event on a readable descriptor: the store has closed it. */
#define EMPTY_TURNS 16

/* What is to be read anew of a domain. */
enum {
    READ_NAME = 1,
    READ_TARGET = 2,
    READ_BALLAST = 4,
    READ_XENSERVER = 8,
    READ_QUBES = 16,
    READ_SELFBALLOON = 32,
    READ_POSTS = READ_BALLAST | READ_XENSERVER | READ_QUBES | READ_SELFBALLOON,
    READ_ALL = READ_NAME | READ_TARGET | READ_POSTS,
};

/* What is remembered of a domid. */
struct watched {
    bool known;
    uint8_t uuid[16];
    unsigned stale; /* READ_... */
    bool muted;
    uint64_t muted_ms;
    uint64_t read_ms;   /* of a muted one */
    uint64_t window_ms; /* begin of the second in which events are counted */
    unsigned events;
    uint32_t floods;
    uint64_t wrote_ms;    /* our last call for it */
    uint64_t bad_told_ms; /* last told of a post that is no report; 0: never */
    uint64_t videoram_kib;
};

struct host_xen {
    struct host host;
    xentoollog_logger logger;
    libxl_ctx *ctx;
    struct xs_handle *watcher; /* has a thread of libxenstore's; only for events */
    struct xs_handle *store;   /* has none; for reading */
    bool lost;
    bool stirred; /* something but a post happened since the last observation */
    unsigned empty_turns;
    struct watched *watched; /* by domid; untouched parts cost no memory */
    struct dom0 dom0;
};

static struct host_xen *xen_of(struct host *host)
{
    return (struct host_xen *)host;
}

static uint64_t pages_to_kib(uint64_t pages)
{
    return pages * 4;
}

static int errno_of(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case ERROR_NOMEM:
        return -ENOMEM;
    case ERROR_INVAL:
        return -EINVAL;
    case ERROR_DOMAIN_NOTFOUND:
    case ERROR_LOCK_FAIL:
        return -ESRCH;
    default:
        return -EIO; /* also the positive 1 that some functions return */
    }
}

static uint64_t now_ms(struct host *host)
{
    struct timespec now;

    (void)host;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- libxl's log ---- */

/* What libxl says of a failure is detail: the failure itself is told by who made the call. */
static void log_message(xentoollog_logger *logger, xentoollog_level level, int errnoval,
                        const char *context, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

static void log_message(xentoollog_logger *logger, xentoollog_level level, int errnoval,
                        const char *context, const char *format, va_list args)
{
    char text[256];

    (void)logger;
    if (level < XTL_WARN)
        return;
    (void)vsnprintf(text, sizeof(text), format, args);
    log_debug("%s: %s%s%s", context ? context : "libxl", text, errnoval >= 0 ? ": " : "",
              errnoval >= 0 ? strerror(errnoval) : "");
}

static void log_progress(xentoollog_logger *logger, const char *context, const char *doing,
                         int percent, unsigned long done, unsigned long total)
{
    (void)logger, (void)context, (void)doing, (void)percent, (void)done, (void)total;
}

static void log_destroy(xentoollog_logger *logger)
{
    (void)logger;
}

/* ---- the store ---- */

/* Errors that the store itself answers leave the connection whole. */
static bool connection_error(int error)
{
    static const int answered[] = { ENOENT, EACCES, EINVAL, ENOMEM, ENOSPC, E2BIG, EPERM };

    for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
        if (error == answered[i])
            return false;
    }
    return true;
}

/* The value of a node below a domain's directory, NUL-terminated; NULL when it is not there. The
 * caller frees it. */
static char *read_node(struct host_xen *xen, uint32_t domid, const char *node, size_t *ret_len)
{
    char path[128];
    unsigned len = 0;
    char *value;

    (void)snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/%s", domid, node);
    value = xs_read(xen->store, XBT_NULL, path, &len);
    if (!value && connection_error(errno))
        xen->lost = true;
    *ret_len = len;
    return value;
}

/* A node that holds one decimal number; 0 or -ENOENT, -EINVAL, -ERANGE. */
static int read_kib(struct host_xen *xen, uint32_t domid, const char *node, uint64_t *ret_kib)
{
    size_t len;
    char *value = read_node(xen, domid, node, &len);
    int r;

    if (!value)
        return -ENOENT;
    r = report_number(value, len, FILL_KIB_MAX, ret_kib);
    free(value);
    return r;
}

static const char *const watched_nodes[] = { "name", "memory", "data" };

static void watch_domain(struct host_xen *xen, uint32_t domid)
{
    char path[64];
    char token[16];

    (void)snprintf(token, sizeof(token), "%" PRIu32, domid);
    for (size_t i = 0; i < sizeof(watched_nodes) / sizeof(watched_nodes[0]); i++) {
        (void)snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/%s", domid, watched_nodes[i]);
        if (!xs_watch(xen->watcher, path, token) && errno != EEXIST)
            xen->lost = true;
    }
}

static void unwatch_domain(struct host_xen *xen, uint32_t domid)
{
    char path[64];
    char token[16];

    (void)snprintf(token, sizeof(token), "%" PRIu32, domid);
    for (size_t i = 0; i < sizeof(watched_nodes) / sizeof(watched_nodes[0]); i++) {
        (void)snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/%s", domid, watched_nodes[i]);
        (void)xs_unwatch(xen->watcher, path, token);
    }
}

/* What an event on this path makes stale. The directory itself: it was made or removed, or the
 * watch was just set. */
static unsigned stale_by(const char *path)
{
    static const struct {
        const char *node;
        unsigned stale;
    } nodes[] = {
        { "data/ballast/stats", READ_BALLAST },
        { "data/ballast", READ_BALLAST },
        { "data/meminfo_free", READ_XENSERVER },
        { "data/meminfo_total", READ_XENSERVER },
        { "data/updated", READ_XENSERVER },
        { "memory/meminfo", READ_QUBES },
        { "memory/swapinfo", READ_QUBES },
        { "memory/selftarget", READ_SELFBALLOON },
        { "memory/minimum", READ_SELFBALLOON },
        { "memory/selfballoon", READ_SELFBALLOON },
        { "memory/target", READ_TARGET },
        { "memory/static-max", READ_TARGET },
        { "memory", READ_TARGET | READ_QUBES | READ_SELFBALLOON },
        { "data", READ_BALLAST | READ_XENSERVER },
        { "name", READ_NAME },
    };
    const char *node = path + strlen("/local/domain/");

    node = strchr(node, '/');
    for (size_t i = 0; node && i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (strcmp(node + 1, nodes[i].node) == 0)
            return nodes[i].stale;
    }
    return 0;
}

/* ---- events ---- */

static void count_event(struct host_xen *xen, uint32_t domid, uint64_t now)
{
    struct watched *watched = &xen->watched[domid];

    if (now - watched->window_ms >= FLOOD_WINDOW_MS) {
        watched->window_ms = now;
        watched->events = 0;
    }
    if (++watched->events <= FLOOD_EVENTS || watched->muted)
        return;
    log_warning("domain %" PRIu32 " floods the store: it is read once a second for %d s", domid,
                MUTE_MS / 1000);
    unwatch_domain(xen, domid);
    watched->floods++;
    watched->muted = true;
    watched->muted_ms = now;
}

/* True when it should be looked into. */
static bool take_event(struct host_xen *xen, const char *path, const char *token, uint64_t now)
{
    uint64_t domid;
    unsigned stale;

    if (path[0] == '@')
        return xen->stirred = true;
    if (report_number(token, strlen(token), DOMAINS_MAX - 1, &domid) < 0
        || strncmp(path, "/local/domain/", strlen("/local/domain/")) != 0)
        return false;
    stale = stale_by(path);
    xen->watched[domid].stale |= stale;
    /* Only the toolstack and we write these: no flood of the domain's, and no news when we did. */
    if (stale & (READ_TARGET | READ_NAME)) {
        xen->stirred |= now - xen->watched[domid].wrote_ms > ECHO_MS;
        return xen->stirred;
    }
    count_event(xen, (uint32_t)domid, now);
    return stale != 0 && !xen->watched[domid].muted;
}

static int fd(struct host *host)
{
    struct host_xen *xen = xen_of(host);

    return xen->watcher ? xs_fileno(xen->watcher) : -1;
}

static int dispatch(struct host *host)
{
    struct host_xen *xen = xen_of(host);
    struct pollfd readable = { .fd = fd(host), .events = POLLIN };
    uint64_t now = now_ms(host);
    bool soon = false;
    unsigned taken = 0;

    if (!xen->lost && poll(&readable, 1, 0) == 0)
        return 0;

    while (taken < EVENTS_AT_ONCE && !xen->lost) {
        char **event = xs_check_watch(xen->watcher);

        if (!event) {
            if (errno != EAGAIN)
                xen->lost = true;
            break;
        }
        soon |= take_event(xen, event[XS_WATCH_PATH], event[XS_WATCH_TOKEN], now);
        free(event);
        taken++;
    }
    xen->empty_turns = taken ? 0 : xen->empty_turns + 1;
    if (xen->empty_turns >= EMPTY_TURNS)
        xen->lost = true;
    return xen->lost ? -ENOTCONN : soon;
}

/* ---- observation ---- */

static void disconnect(struct host_xen *xen)
{
    if (xen->watcher)
        xs_close(xen->watcher);
    if (xen->store)
        xs_close(xen->store);
    if (xen->ctx)
        (void)libxl_ctx_free(xen->ctx);
    xen->watcher = NULL;
    xen->store = NULL;
    xen->ctx = NULL;
}

static int connect_all(struct host_xen *xen)
{
    int rc;

    xen->watcher = xs_open(0);
    xen->store = xs_open(0);
    if (!xen->watcher || !xen->store) {
        disconnect(xen);
        return -ENOTCONN;
    }
    rc = libxl_ctx_alloc(&xen->ctx, LIBXL_VERSION, 0, &xen->logger);
    if (rc != 0) {
        disconnect(xen);
        return errno_of(rc);
    }
    if (!xs_watch(xen->watcher, "@introduceDomain", "domains")
        || !xs_watch(xen->watcher, "@releaseDomain", "domains")) {
        disconnect(xen);
        return -ENOTCONN;
    }
    xen->lost = false;
    xen->empty_turns = 0;
    return 0;
}

static int reconnect(struct host_xen *xen)
{
    disconnect(xen);
    for (size_t i = 0; i < DOMAINS_MAX; i++) {
        if (xen->watched[i].known)
            xen->watched[i].known = false;
    }
    return connect_all(xen);
}

static enum domain_phase phase_of(const libxl_dominfo *info)
{
    if (info->dying)
        return PHASE_DYING;
    if (info->shutdown)
        return PHASE_SHUTDOWN;
    if (info->paused)
        return info->cpu_time == 0 ? PHASE_BUILDING : PHASE_PAUSED;
    return PHASE_RUNNING;
}

/* libxl's list calls PVH an HVM domain; the toolstack's node tells. */
static enum domain_type type_of(struct host_xen *xen, const libxl_dominfo *info)
{
    char path[64];
    unsigned len;
    char *value;
    enum domain_type type = DOMAIN_HVM;

    if (info->domain_type == LIBXL_DOMAIN_TYPE_PV)
        return DOMAIN_PV;
    (void)snprintf(path, sizeof(path), "/libxl/%" PRIu32 "/type", info->domid);
    value = xs_read(xen->store, XBT_NULL, path, &len);
    if (value && strcmp(value, "pvh") == 0)
        type = DOMAIN_PVH;
    free(value);
    return type;
}

/* When it was started, on our clock: libxl notes the time of day as "SECONDS.HUNDREDTHS".
 * first_seen_ms where that is not known. */
static uint64_t started_ms(struct host_xen *xen, const libxl_dominfo *info, uint64_t now,
                           uint64_t first_seen_ms)
{
    char path[80];
    unsigned len = 0;
    char *value;
    uint64_t seconds;
    uint64_t today = (uint64_t)time(NULL);
    const uint8_t *u = info->uuid.uuid;

    (void)snprintf(path, sizeof(path),
                   "/vm/%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x"
                   "/start_time",
                   u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
                   u[13], u[14], u[15]);
    value = xs_read(xen->store, XBT_NULL, path, &len);
    if (!value)
        return first_seen_ms;
    value[strcspn(value, ".")] = '\0';
    if (report_number(value, strlen(value), UINT32_MAX, &seconds) == 0 && seconds <= today) {
        uint64_t age_ms = (today - seconds) * 1000;

        first_seen_ms = age_ms < now ? now - age_ms : 0;
    }
    free(value);
    return first_seen_ms;
}

static void read_name(struct host_xen *xen, struct domain *domain)
{
    size_t len;
    char *name = read_node(xen, domain->domid, "name", &len);
    char old[DOMAIN_NAME_SIZE];

    memcpy(old, domain->name, sizeof(old));
    domain->nameless = !name && (domain->nameless || domain->name[0] == '\0');
    if (name)
        (void)snprintf(domain->name, sizeof(domain->name), "%s", name);
    else if (domain->name[0] == '\0')
        (void)snprintf(domain->name, sizeof(domain->name), "(domain %" PRIu32 ")", domain->domid);
    free(name);
    if (strcmp(old, domain->name) != 0)
        domain->config_generation = 0;
}

/* dom0's static-max may be that of no machine: nobody can have more than the host. */
static void read_target(struct host_xen *xen, struct watched *watched, const struct round *round,
                        struct domain *domain)
{
    uint64_t static_max;
    uint64_t target;
    int r;

    if (read_kib(xen, domain->domid, "memory/videoram", &watched->videoram_kib) < 0)
        watched->videoram_kib = 0;
    domain->has_target = read_kib(xen, domain->domid, "memory/target", &target) == 0;
    if (domain->has_target)
        domain->target_kib = target + watched->videoram_kib;
    r = read_kib(xen, domain->domid, "memory/static-max", &static_max);
    if (r == -ERANGE)
        static_max = round->total_kib;
    else if (r < 0)
        static_max = domain->has_target ? domain->target_kib : domain->actual_kib;
    if (static_max > round->total_kib)
        static_max = round->total_kib;
    if (static_max != domain->static_max_kib)
        domain->config_generation = 0;
    domain->static_max_kib = static_max;
}

/* Reads one dialect's two nodes (the second may be NULL) and gives them to the parser. Returns
 * -ENOENT when the first is not there. */
static int read_post(struct host_xen *xen, struct domain *domain, enum dialect dialect,
                     const char *first, const char *second, uint64_t now)
{
    struct post_text one = { 0 };
    struct post_text two = { 0 };
    char *first_text = read_node(xen, domain->domid, first, &one.len);
    char *second_text = NULL;
    struct post *post = &domain->post;
    uint64_t on;
    int r = -ENOENT;

    if (!first_text)
        return r;
    one.text = first_text;
    if (second)
        second_text = read_node(xen, domain->domid, second, &two.len);
    two.text = second_text;
    switch (dialect) {
    case DIALECT_BALLAST:
        r = post_take_ballast(post, one, domain->actual_kib, now);
        break;
    case DIALECT_XENSERVER:
        r = post_take_xenserver(post, one, two, domain->actual_kib, now);
        break;
    case DIALECT_QUBES:
        r = post_take_qubes(post, one, two, domain->actual_kib, domain->static_max_kib, now);
        break;
    case DIALECT_SELFBALLOON:
        /* Switched off, by whoever may write there: what stands in the other nodes is old. */
        if (read_kib(xen, domain->domid, "memory/selfballoon", &on) < 0 || on != 0)
            r = post_take_selfballoon(post, one, two, domain->actual_kib, now);
        break;
    case DIALECT_NONE:
        break;
    }
    free(first_text);
    free(second_text);
    return r;
}

static const struct {
    enum dialect dialect;
    unsigned stale;
    const char *first;
    const char *second;
} post_nodes[] = {
    { DIALECT_BALLAST, READ_BALLAST, REPORT_NODE, NULL },
    { DIALECT_XENSERVER, READ_XENSERVER, "data/meminfo_total", "data/meminfo_free" },
    { DIALECT_QUBES, READ_QUBES, "memory/meminfo", "memory/swapinfo" },
    { DIALECT_SELFBALLOON, READ_SELFBALLOON, "memory/selftarget", "memory/minimum" },
};

static void tell_bad_post(struct host_xen *xen, struct round *round, const struct domain *domain,
                          enum dialect dialect)
{
    struct watched *watched = &xen->watched[domain->domid];

    if (watched->bad_told_ms != 0 && round->now_ms - watched->bad_told_ms < HOST_BAD_TOLD_MS)
        return;
    watched->bad_told_ms = round->now_ms;
    round_note(round, EVENT_BAD_POST, domain, "its %s post is no report: not counted",
               dialect_name(dialect));
}

/* The richest dialect counts: a poorer one only when the domain has no better post that is of use.
 * Returns the dialect of a post that was no report, else DIALECT_NONE. */
static enum dialect read_posts(struct host_xen *xen, struct domain *domain, unsigned stale,
                               uint64_t now)
{
    enum dialect bad = DIALECT_NONE;

    for (size_t i = 0; i < sizeof(post_nodes) / sizeof(post_nodes[0]); i++) {
        enum dialect dialect = post_nodes[i].dialect;
        int r;

        if (!(stale & post_nodes[i].stale))
            continue;
        if (domain->post.dialect != DIALECT_NONE && domain->post.dialect < dialect
            && post_usable(&domain->post, now))
            continue;
        r = read_post(xen, domain, dialect, post_nodes[i].first, post_nodes[i].second, now);
        if (r == -ENOENT && domain->post.dialect == dialect)
            memset(&domain->post, 0, sizeof(domain->post));
        else if (r == -EINVAL)
            bad = dialect;
    }
    return bad;
}

/* Takes in the posts of one domain. What is no report is left to the next observation to tell. */
static bool post_has_news(struct host_xen *xen, struct domain *domain, uint64_t now)
{
    struct watched *watched = &xen->watched[domain->domid];
    unsigned stale = watched->stale & READ_POSTS;

    if (stale == 0 || watched->muted)
        return false;
    if (read_posts(xen, domain, stale, now) != DIALECT_NONE)
        return true;
    watched->stale &= ~stale;
    return demand_has_news(domain);
}

static bool has_news(struct host *host, struct round *round)
{
    struct host_xen *xen = xen_of(host);
    uint64_t now = now_ms(host);
    bool news = xen->stirred;

    for (size_t i = 0; i < round->count && !xen->lost; i++)
        news |= post_has_news(xen, &round->domains[i], now);
    return news || xen->lost;
}

/* Reads what events made stale. */
static void refresh(struct host_xen *xen, struct round *round, struct domain *domain)
{
    struct watched *watched = &xen->watched[domain->domid];
    unsigned stale = watched->stale;
    enum dialect bad = DIALECT_NONE;

    if (watched->muted && round->now_ms - watched->read_ms >= MUTED_READ_MS) {
        watched->read_ms = round->now_ms;
        stale |= READ_ALL;
    } else if (watched->muted) {
        return;
    }
    if (watched->muted && round->now_ms - watched->muted_ms >= MUTE_MS) {
        watched->muted = false;
        watch_domain(xen, domain->domid);
    }
    watched->stale = 0;
    if (stale & READ_NAME)
        read_name(xen, domain);
    if (stale & READ_TARGET)
        read_target(xen, watched, round, domain);
    if (stale & READ_POSTS)
        bad = read_posts(xen, domain, stale, round->now_ms);
    if (bad != DIALECT_NONE)
        tell_bad_post(xen, round, domain, bad);
}

/* The first sight of a domain. */
static void meet(struct host_xen *xen, struct domain *domain, const libxl_dominfo *info,
                 uint64_t now)
{
    struct watched *watched = &xen->watched[domain->domid];

    if (watched->known && !domain->is_new
        && memcmp(watched->uuid, domain->uuid, sizeof(watched->uuid)) == 0)
        return;
    if (watched->known && !watched->muted)
        unwatch_domain(xen, domain->domid);
    *watched = (struct watched){ .known = true, .stale = READ_ALL };
    memcpy(watched->uuid, domain->uuid, sizeof(watched->uuid));
    watch_domain(xen, domain->domid);
    if (domain->domid == 0) {
        /* Nobody may have asked yet for what libxl makes then: dom0's target and static-max. */
        uint64_t target_kib;

        (void)libxl_get_memory_target(xen->ctx, 0, &target_kib);
    }
    domain->type = type_of(xen, info);
    domain->started_ms = started_ms(xen, info, now, domain->started_ms);
    domain->slack_kib = SLACK_KIB;
}

/* dom0 may have no cap. It is trusted: what it may hold is its target. */
static uint64_t cap_of(const struct round *round, const struct domain *domain, uint64_t cap_kib)
{
    if (domain->domid != 0 || cap_kib <= round->total_kib)
        return cap_kib;
    return domain->has_target && domain->target_kib > domain->actual_kib ? domain->target_kib
                                                                         : domain->actual_kib;
}

/* What it held in the first list, 0 if it was not there: both lists ascend by domid. */
static uint64_t held_before(const libxl_dominfo *list, int count, int *cursor,
                            const libxl_dominfo *info)
{
    while (*cursor < count && list[*cursor].domid < info->domid)
        (*cursor)++;
    if (*cursor < count && list[*cursor].domid == info->domid
        && memcmp(&list[*cursor].uuid, &info->uuid, sizeof(info->uuid)) == 0)
        return list[*cursor].current_memkb;
    return 0;
}

/* dom0's own figures, once the configuration has named it: nobody in it posts them. */
static void read_own_post(struct host_xen *xen, struct round *round, struct domain *domain)
{
    if (domain->managed
        && dom0_post(&xen->dom0, domain->actual_kib, round->now_ms, &domain->post) == -EINVAL)
        tell_bad_post(xen, round, domain, DIALECT_BALLAST);
}

static int observe_domain(struct host_xen *xen, struct round *round, const libxl_dominfo *info,
                          uint64_t before_kib)
{
    struct domain *domain;
    bool had_target;

    if (info->domid >= DOMAINS_MAX)
        return 0; /* Xen's own special domains */
    domain = round_see(round, info->domid, info->uuid.uuid);
    if (!domain)
        return -ENOMEM;
    domain->phase = phase_of(info);
    domain->actual_kib = info->current_memkb;
    domain->actual_low_kib = before_kib < info->current_memkb ? before_kib : info->current_memkb;
    round->moved_kib += before_kib < info->current_memkb ? info->current_memkb - before_kib
                                                         : before_kib - info->current_memkb;
    domain->claim_kib = info->outstanding_memkb;
    meet(xen, domain, info, round->now_ms);
    domain->floods = xen->watched[domain->domid].floods;
    had_target = domain->has_target;
    refresh(xen, round, domain);
    if (domain->domid == 0)
        read_own_post(xen, round, domain);
    if (!had_target && domain->has_target && domain->start_kib == 0)
        domain->start_kib = domain->target_kib;
    domain->cap_kib = cap_of(round, domain, info->max_memkb);
    if (domain->phase == PHASE_BUILDING)
        domain->started_ms = round->now_ms; /* its grace begins when it runs */
    return 0;
}

static int read_host(struct host_xen *xen, struct round *round)
{
    libxl_physinfo info;
    int rc;

    libxl_physinfo_init(&info);
    rc = libxl_get_physinfo(xen->ctx, &info);
    if (rc == 0) {
        round->total_kib = pages_to_kib(info.total_pages);
        round->free_kib = pages_to_kib(info.free_pages);
        round->scrub_kib = pages_to_kib(info.scrub_pages);
        round->claims_kib = pages_to_kib(info.outstanding_pages);
    }
    libxl_physinfo_dispose(&info);
    return errno_of(rc);
}

/* Claims that no domain in the list accounts for. */
static void settle_claims(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        uint64_t claim = round->domains[i].claim_kib;

        round->claims_kib = round->claims_kib > claim ? round->claims_kib - claim : 0;
    }
}

/* Takes the watches of those that are no more out of the store. */
static void forget_gone(struct host_xen *xen, const struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        struct watched *watched = &xen->watched[round->domains[i].domid];

        if (round->domains[i].seen || !watched->known)
            continue;
        if (!watched->muted)
            unwatch_domain(xen, round->domains[i].domid);
        *watched = (struct watched){ .known = false };
    }
}

static int observe(struct host *host, struct round *round)
{
    struct host_xen *xen = xen_of(host);
    libxl_dominfo *before = NULL;
    libxl_dominfo *after = NULL;
    int before_count = 0;
    int after_count = 0;
    int cursor = 0;
    int r = 0;

    if (xen->lost || !xen->ctx) {
        r = reconnect(xen);
        if (r < 0) {
            xen->lost = true;
            return r;
        }
        log_notice("connected to the store again");
    }
    before = libxl_list_domain(xen->ctx, &before_count);
    if (before)
        r = read_host(xen, round);
    if (before && r == 0)
        after = libxl_list_domain(xen->ctx, &after_count);
    if (!before || !after || r < 0) {
        r = r < 0 ? r : -EIO;
        goto out;
    }
    round_begin(round, now_ms(host));
    xen->stirred = false;
    round->moved_kib = 0;
    for (int i = 0; i < after_count && r == 0; i++)
        r = observe_domain(xen, round, &after[i],
                           held_before(before, before_count, &cursor, &after[i]));
    if (r == 0)
        forget_gone(xen, round);
    round_end(round);
    settle_claims(round);
    if (r == 0 && xen->lost)
        r = -ENOTCONN;
out:
    libxl_dominfo_list_free(before, before_count);
    libxl_dominfo_list_free(after, after_count);
    return r;
}

/* ---- calls ---- */

/* 0 when the domain is still the one that was observed; *ret_cap_kib: its cap. */
static int look_again(struct host_xen *xen, const struct domain *domain, uint64_t *ret_cap_kib,
                      enum domain_phase *ret_phase)
{
    libxl_dominfo info;
    int r;

    libxl_dominfo_init(&info);
    r = errno_of(libxl_domain_info(xen->ctx, &info, domain->domid));
    if (r == 0 && memcmp(info.uuid.uuid, domain->uuid, sizeof(domain->uuid)) != 0)
        r = -ESRCH;
    if (r == 0) {
        *ret_cap_kib = info.max_memkb;
        *ret_phase = phase_of(&info);
    }
    libxl_dominfo_dispose(&info);
    return r;
}

/* The same for one that runs: no other's memory is touched. */
static int look_at_running(struct host_xen *xen, const struct domain *domain, uint64_t *ret_cap_kib)
{
    enum domain_phase phase;
    int r = look_again(xen, domain, ret_cap_kib, &phase);

    return r == 0 && phase != PHASE_RUNNING ? -ESRCH : r;
}

static int set_target(struct host *host, const struct domain *domain, uint64_t target_kib,
                      uint64_t cap_kib)
{
    struct host_xen *xen = xen_of(host);
    uint64_t cap;
    uint64_t target;
    int rc;
    int r;

    r = look_at_running(xen, domain, &cap);
    if (r < 0)
        return r;
    rc = libxl_set_memory_target(xen->ctx, domain->domid, (int64_t)target_kib, 0, 1);

    /* Its transaction may have failed to commit although it says 0, and it may have moved the cap
     * although it failed: what counts is what is there now. */
    r = look_at_running(xen, domain, &cap);
    if (r < 0)
        return r;
    xen->watched[domain->domid].stale |= READ_TARGET;
    xen->watched[domain->domid].wrote_ms = now_ms(host);
    if (rc != 0)
        return errno_of(rc);
    if (read_kib(xen, domain->domid, "memory/target", &target) < 0)
        return -ESRCH;
    if (cap > cap_kib || target + xen->watched[domain->domid].videoram_kib != target_kib)
        return -EIO;
    return 0;
}

/* A node made anew below memory/ has the rights of memory/: the domain can read it, and no more. */
static int set_selfballoon(struct host *host, const struct domain *domain, const char *text)
{
    struct host_xen *xen = xen_of(host);
    char path[64];
    uint64_t cap;
    bool done;
    int r = xen->lost || !xen->store ? -ENOTCONN : look_at_running(xen, domain, &cap);

    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/memory/selfballoon",
                   domain->domid);
    done = text ? xs_write(xen->store, XBT_NULL, path, text, (unsigned)strlen(text))
                : xs_rm(xen->store, XBT_NULL, path) || errno == ENOENT;
    return done ? 0 : -errno;
}

/* ---- what outlives the daemon ---- */

#define STATE_ROOT "/tool/ballast"
#define STATE_PATH_SIZE (sizeof(STATE_ROOT) + 1 + STATE_KEY_MAX)

/* 0 when the domid is still that of the domain that was observed, whatever it does. */
static int still_there(struct host_xen *xen, const struct domain *domain)
{
    uint64_t cap_kib;
    enum domain_phase phase;
    int r = look_again(xen, domain, &cap_kib, &phase);

    return r < 0 || phase == PHASE_DYING ? -ESRCH : 0;
}

static int sched_read(struct host_xen *xen, uint32_t domid, libxl_domain_sched_params *ret_params)
{
    int rc = libxl_domain_sched_params_get(xen->ctx, domid, ret_params);

    if (rc == 0 && ret_params->sched != LIBXL_SCHEDULER_CREDIT
        && ret_params->sched != LIBXL_SCHEDULER_CREDIT2)
        return -ENOTSUP;
    return rc == ERROR_INVAL ? -ENOTSUP : errno_of(rc);
}

static int sched_get(struct host *host, const struct domain *domain, struct sched *ret_sched)
{
    struct host_xen *xen = xen_of(host);
    libxl_domain_sched_params params;
    int r = still_there(xen, domain);

    libxl_domain_sched_params_init(&params);
    if (r == 0)
        r = sched_read(xen, domain->domid, &params);
    if (r == 0)
        *ret_sched =
            (struct sched){ .weight = (uint32_t)params.weight, .cap = (uint32_t)params.cap };
    libxl_domain_sched_params_dispose(&params);
    return r;
}

static int sched_set(struct host *host, const struct domain *domain, const struct sched *sched)
{
    struct host_xen *xen = xen_of(host);
    libxl_domain_sched_params params;
    int r = still_there(xen, domain);

    libxl_domain_sched_params_init(&params);
    if (r == 0)
        r = sched_read(xen, domain->domid, &params);
    if (r == 0) {
        params.weight = (int)sched->weight;
        params.cap = (int)sched->cap;
        r = errno_of(libxl_domain_sched_params_set(xen->ctx, domain->domid, &params));
    }
    libxl_domain_sched_params_dispose(&params);
    return r;
}

static int state_path(struct host_xen *xen, const char *key, char path[STATE_PATH_SIZE])
{
    int len = snprintf(path, STATE_PATH_SIZE, "%s/%s", STATE_ROOT, key);

    if (len < 0 || (size_t)len >= STATE_PATH_SIZE)
        return -ENAMETOOLONG;
    return xen->lost || !xen->store ? -ENOTCONN : 0;
}

static int store_error(struct host_xen *xen)
{
    int error = errno;

    if (connection_error(error))
        xen->lost = true;
    return -error;
}

static int state_get(struct host *host, const char *key, char **ret_text)
{
    struct host_xen *xen = xen_of(host);
    char path[STATE_PATH_SIZE];
    unsigned len = 0;
    char *text;
    int r = state_path(xen, key, path);

    if (r < 0)
        return r;
    text = xs_read(xen->store, XBT_NULL, path, &len);
    if (!text)
        return store_error(xen);
    *ret_text = text;
    return 0;
}

static int state_set(struct host *host, const char *key, const char *text)
{
    struct host_xen *xen = xen_of(host);
    char path[STATE_PATH_SIZE];
    bool done;
    int r = state_path(xen, key, path);

    if (r < 0)
        return r;
    if (text && strlen(text) > STATE_MAX)
        return -E2BIG;
    done = text ? xs_write(xen->store, XBT_NULL, path, text, (unsigned)strlen(text))
                : xs_rm(xen->store, XBT_NULL, path) || errno == ENOENT;
    return done ? 0 : store_error(xen);
}

static int state_list(struct host *host, const char *key,
                      void (*each)(void *context, const char *name), void *context)
{
    struct host_xen *xen = xen_of(host);
    char path[STATE_PATH_SIZE];
    unsigned count = 0;
    char **names;
    int r = state_path(xen, key, path);

    if (r < 0)
        return r;
    names = xs_directory(xen->store, XBT_NULL, path, &count);
    if (!names)
        return errno == ENOENT ? 0 : store_error(xen);
    for (unsigned i = 0; i < count; i++)
        each(context, names[i]);
    free(names);
    return 0;
}

static void close_host(struct host *host)
{
    struct host_xen *xen = xen_of(host);

    disconnect(xen);
    dom0_close(&xen->dom0);
    free(xen->watched);
    free(xen);
}

static const struct host_ops xen_ops = {
    .name = "xen",
    .now_ms = now_ms,
    .observe = observe,
    .set_target = set_target,
    .set_selfballoon = set_selfballoon,
    .sched_get = sched_get,
    .sched_set = sched_set,
    .state_get = state_get,
    .state_set = state_set,
    .state_list = state_list,
    .fd = fd,
    .dispatch = dispatch,
    .has_news = has_news,
    .close = close_host,
};

int host_xen_open(struct host **ret_host)
{
    struct host_xen *xen = calloc(1, sizeof(*xen));
    int r;

    if (!xen)
        return -ENOMEM;
    xen->host.ops = &xen_ops;
    xen->logger.vmessage = log_message;
    xen->logger.progress = log_progress;
    xen->logger.destroy = log_destroy;
    xen->watched = calloc(DOMAINS_MAX, sizeof(xen->watched[0]));
    r = xen->watched ? connect_all(xen) : -ENOMEM;
    if (r < 0) {
        log_error("cannot reach Xen: %s; is this dom0, and does xenstored run?", strerror(-r));
        close_host(&xen->host);
        return r;
    }
    dom0_open(&xen->dom0);
    *ret_host = &xen->host;
    return 0;
}
