/* SPDX-License-Identifier: ISC */
/* The real host: libxl for what the hypervisor counts and for the calls, the store (store.h) for
 * what the domains post. Pages, libxl's rc and its lists end in this file. */
#include <errno.h>
#include <inttypes.h>
#include <libxl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xentoollog.h>

#include "core/demand.h"
#include "host/dom0.h"
#include "host/host.h"
#include "host/nodes.h"
#include "host/store.h"
#include "util/bounds.h"
#include "util/log.h"

/* libxl_set_memory_target() with enforce sets the cap so much above the target (libxl's
 * LIBXL_MAXMEM_CONSTANT, not in its public headers; measured). Checked after each call. */
#define SLACK_KIB 1024

/* A domain that makes more events a second is not listened to for a while, and read once a second
 * instead. Our agent makes at most 4, three nodes of another agent at once count as 3. */
#define FLOOD_EVENTS 64
#define FLOOD_WINDOW_MS 1000
#define MUTE_MS 30000
#define MUTED_READ_MS 1000

/* So long after a call of ours an event on the target is the echo of it. */
#define ECHO_MS 200

/* What is remembered of a domid. */
struct watched {
    bool known;
    uint8_t uuid[16];
    unsigned stale; /* NODES_... */
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
    struct store store;
    bool stirred;            /* something but a post happened since the last observation */
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

/* ---- events ---- */

static void watch_domain(struct host_xen *xen, uint32_t domid)
{
    char path[NODES_PATH_SIZE];
    char token[16];

    (void)snprintf(token, sizeof(token), "%" PRIu32, domid);
    for (size_t i = 0; nodes_watched[i]; i++)
        store_watch(&xen->store, nodes_path(domid, nodes_watched[i], path), token);
}

static void unwatch_domain(struct host_xen *xen, uint32_t domid)
{
    char path[NODES_PATH_SIZE];
    char token[16];

    (void)snprintf(token, sizeof(token), "%" PRIu32, domid);
    for (size_t i = 0; nodes_watched[i]; i++)
        store_unwatch(&xen->store, nodes_path(domid, nodes_watched[i], path), token);
}

static void count_event(struct host_xen *xen, uint32_t domid, uint64_t now)
{
    struct watched *watched = &xen->watched[domid];

    if (now - watched->window_ms >= FLOOD_WINDOW_MS) {
        watched->window_ms = now;
        watched->events = 0;
    }
    if (++watched->events <= FLOOD_EVENTS || watched->muted)
        return;
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
    stale = nodes_stale_by(path);
    xen->watched[domid].stale |= stale;
    /* Only the toolstack and we write these: no flood of the domain's, and no news when we did. */
    if (stale & (NODES_TARGET | NODES_NAME)) {
        xen->stirred |= now - xen->watched[domid].wrote_ms > ECHO_MS;
        return xen->stirred;
    }
    count_event(xen, (uint32_t)domid, now);
    return stale != 0 && !xen->watched[domid].muted;
}

static int fd(struct host *host)
{
    return store_fd(&xen_of(host)->store);
}

/* Events as they come, with what follows of them. */
struct turn {
    struct host_xen *xen;
    uint64_t now_ms;
    bool soon;
};

static void on_event(void *context, const char *path, const char *token)
{
    struct turn *turn = context;

    turn->soon |= take_event(turn->xen, path, token, turn->now_ms);
}

static int dispatch(struct host *host)
{
    struct host_xen *xen = xen_of(host);
    struct turn turn = { .xen = xen, .now_ms = now_ms(host) };

    store_take_events(&xen->store, on_event, &turn);
    return xen->store.lost ? -ENOTCONN : turn.soon;
}

/* ---- observation ---- */

static void disconnect(struct host_xen *xen)
{
    store_close(&xen->store);
    if (xen->ctx)
        (void)libxl_ctx_free(xen->ctx);
    xen->ctx = NULL;
}

static int connect_all(struct host_xen *xen)
{
    int rc;
    int r = store_open(&xen->store);

    if (r < 0)
        return r;
    rc = libxl_ctx_alloc(&xen->ctx, LIBXL_VERSION, 0, &xen->logger);
    if (rc != 0) {
        disconnect(xen);
        return errno_of(rc);
    }
    store_watch(&xen->store, "@introduceDomain", "domains");
    store_watch(&xen->store, "@releaseDomain", "domains");
    if (xen->store.lost)
        disconnect(xen);
    return xen->store.lost ? -ENOTCONN : 0;
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
    enum domain_type type = DOMAIN_HVM;
    char path[64];
    char *value;
    size_t len;

    if (info->domain_type == LIBXL_DOMAIN_TYPE_PV)
        return DOMAIN_PV;
    (void)snprintf(path, sizeof(path), "/libxl/%" PRIu32 "/type", info->domid);
    if (store_read(&xen->store, path, &value, &len) < 0)
        return type;
    if (strcmp(value, "pvh") == 0)
        type = DOMAIN_PVH;
    free(value);
    return type;
}

/* When it was started, on our clock: libxl notes the time of day as "SECONDS.HUNDREDTHS".
 * first_seen_ms where that is not known. */
static uint64_t started_ms(struct host_xen *xen, const libxl_dominfo *info, uint64_t now,
                           uint64_t first_seen_ms)
{
    uint64_t today = (uint64_t)time(NULL);
    char uuid[UUID_TEXT_SIZE];
    char path[80];
    uint64_t seconds;
    char *value;
    size_t len;

    domain_uuid_text(info->uuid.uuid, uuid);
    (void)snprintf(path, sizeof(path), "/vm/%s/start_time", uuid);
    if (store_read(&xen->store, path, &value, &len) < 0)
        return first_seen_ms;
    value[strcspn(value, ".")] = '\0';
    if (report_number(value, strlen(value), UINT32_MAX, &seconds) == 0 && seconds <= today) {
        uint64_t age_ms = (today - seconds) * 1000;

        first_seen_ms = age_ms < now ? now - age_ms : 0;
    }
    free(value);
    return first_seen_ms;
}

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

/* Takes in the posts of one domain. What is no report is left to the next observation to tell. */
static bool post_has_news(struct host_xen *xen, struct domain *domain, uint64_t now)
{
    struct watched *watched = &xen->watched[domain->domid];
    unsigned stale = watched->stale & NODES_POSTS;

    if (stale == 0 || watched->muted)
        return false;
    if (nodes_read_posts(&xen->store, domain, stale, now) != DIALECT_NONE)
        return true;
    watched->stale &= ~stale;
    return demand_has_news(domain);
}

static bool has_news(struct host *host, struct round *round)
{
    struct host_xen *xen = xen_of(host);
    uint64_t now = now_ms(host);
    bool news = xen->stirred;

    for (size_t i = 0; i < round->count && !xen->store.lost; i++)
        news |= post_has_news(xen, &round->domains[i], now);
    return news || xen->store.lost;
}

/* Reads what events made stale. */
static void refresh(struct host_xen *xen, struct round *round, struct domain *domain)
{
    struct watched *watched = &xen->watched[domain->domid];
    unsigned stale = watched->stale;
    enum dialect bad = DIALECT_NONE;

    if (watched->muted && round->now_ms - watched->read_ms >= MUTED_READ_MS) {
        watched->read_ms = round->now_ms;
        stale |= NODES_ALL;
    } else if (watched->muted) {
        return;
    }
    if (watched->muted && round->now_ms - watched->muted_ms >= MUTE_MS) {
        watched->muted = false;
        watch_domain(xen, domain->domid);
    }
    watched->stale = 0;
    if (stale & NODES_NAME)
        nodes_read_name(&xen->store, domain);
    if (stale & NODES_TARGET)
        nodes_read_target(&xen->store, round->total_kib, domain, &watched->videoram_kib);
    if (stale & NODES_POSTS)
        bad = nodes_read_posts(&xen->store, domain, stale, round->now_ms);
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
    *watched = (struct watched){ .known = true, .stale = NODES_ALL };
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
    domain->actual_low_kib = smaller(before_kib, domain->actual_kib);
    round->moved_kib += distance(before_kib, domain->actual_kib);
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

        round->claims_kib = above(round->claims_kib, claim);
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

    if (!store_answers(&xen->store) || !xen->ctx) {
        r = reconnect(xen);
        if (r < 0) {
            xen->store.lost = true;
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
    if (r == 0 && xen->store.lost)
        r = -ENOTCONN;
out:
    libxl_dominfo_list_free(before, before_count);
    libxl_dominfo_list_free(after, after_count);
    return r;
}

/* ---- calls ---- */

/* 0 when the domain is still the one that was observed; *ret_cap_kib: its cap. Between two
 * connections nothing is known. */
static int look_again(struct host_xen *xen, const struct domain *domain, uint64_t *ret_cap_kib,
                      enum domain_phase *ret_phase)
{
    libxl_dominfo info;
    int r;

    if (!xen->ctx)
        return -ENOTCONN;
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
    xen->watched[domain->domid].stale |= NODES_TARGET;
    xen->watched[domain->domid].wrote_ms = now_ms(host);
    if (rc != 0)
        return errno_of(rc);
    if (nodes_read_kib(&xen->store, domain->domid, "memory/target", &target) < 0)
        return -ESRCH;
    if (cap > cap_kib || target + xen->watched[domain->domid].videoram_kib != target_kib)
        return -EIO;
    return 0;
}

/* A node made anew below memory/ has the rights of memory/: the domain can read it, and no more. */
static int set_selfballoon(struct host *host, const struct domain *domain, const char *text)
{
    struct host_xen *xen = xen_of(host);
    char path[NODES_PATH_SIZE];
    uint64_t cap;
    int r = look_at_running(xen, domain, &cap);

    if (r < 0)
        return r;
    return store_write(&xen->store, nodes_path(domain->domid, "memory/selfballoon", path), text);
}

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

/* ---- what outlives the daemon ---- */

#define STATE_ROOT "/tool/ballast"
#define STATE_PATH_SIZE (sizeof(STATE_ROOT) + 1 + STATE_KEY_MAX)

static int state_path(const char *key, char path[STATE_PATH_SIZE])
{
    int len = snprintf(path, STATE_PATH_SIZE, "%s/%s", STATE_ROOT, key);

    return len < 0 || (size_t)len >= STATE_PATH_SIZE ? -ENAMETOOLONG : 0;
}

static int state_get(struct host *host, const char *key, char **ret_text)
{
    char path[STATE_PATH_SIZE];
    size_t len;
    int r = state_path(key, path);

    return r < 0 ? r : store_read(&xen_of(host)->store, path, ret_text, &len);
}

static int state_set(struct host *host, const char *key, const char *text)
{
    char path[STATE_PATH_SIZE];
    int r = state_path(key, path);

    if (r == 0 && text && strlen(text) > STATE_MAX)
        r = -E2BIG;
    return r < 0 ? r : store_write(&xen_of(host)->store, path, text);
}

static int state_list(struct host *host, const char *key,
                      void (*each)(void *context, const char *name), void *context)
{
    char path[STATE_PATH_SIZE];
    int r = state_path(key, path);

    return r < 0 ? r : store_list(&xen_of(host)->store, path, each, context);
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
