/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "hv.h"

#define MAGIC UINT64_C(0x62616c6c61737431)
#define REASON_CRASH 3 /* SHUTDOWN_crash */
#define DEFAULT_WEIGHT 256
#define RUNNING_PERMILLE 10

const char *hv_dir(void)
{
    const char *dir = getenv("FAKEXEN_DIR");

    if (!dir || !*dir) {
        fprintf(stderr, "fakexen: FAKEXEN_DIR is not set\n");
        exit(2);
    }
    return dir;
}

int hv_path(char *buf, unsigned size, const char *format, ...)
{
    va_list ap;
    int n = snprintf(buf, size, "%s/", hv_dir());
    int m;

    if (n < 0 || (unsigned)n >= size)
        return -ENAMETOOLONG;
    va_start(ap, format);
    m = vsnprintf(buf + n, size - (unsigned)n, format, ap);
    va_end(ap);
    return m < 0 || (unsigned)m >= size - (unsigned)n ? -ENAMETOOLONG : 0;
}

uint64_t hv_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static int map(int flags, struct hv **ret_hv)
{
    char path[256];
    struct hv *hv;
    int fd;
    int r = hv_path(path, sizeof(path), "hv");

    if (r < 0)
        return r;
    fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return -errno;
    if ((flags & O_CREAT) && ftruncate(fd, sizeof(*hv)) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    hv = mmap(NULL, sizeof(*hv), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    r = hv == MAP_FAILED ? -errno : 0;
    close(fd);
    if (r < 0)
        return r;
    *ret_hv = hv;
    return 0;
}

int hv_create(uint64_t total_pages, uint32_t cpus, struct hv **ret_hv)
{
    pthread_mutexattr_t attr;
    struct hv *hv;
    int r = map(O_CREAT | O_TRUNC, &hv);

    if (r < 0)
        return r;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&hv->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    hv->total_pages = total_pages;
    hv->free_pages = total_pages;
    hv->cpus = cpus;
    hv->magic = MAGIC;
    *ret_hv = hv;
    return 0;
}

int hv_open(struct hv **ret_hv)
{
    struct hv *hv;
    int r = map(0, &hv);

    if (r < 0)
        return r;
    if (hv->magic != MAGIC) {
        munmap(hv, sizeof(*hv));
        return -EINVAL;
    }
    *ret_hv = hv;
    return 0;
}

/* What a domain can hold before somebody acts again. Xen gives a dying domain nothing. Xen starts
 * dom0 without a cap unless it is told one; such a cap says nothing, so dom0 then counts with what
 * it holds. */
static uint64_t reach_pages(const struct hv *hv, const struct hv_domain *domain)
{
    uint64_t max_pages = domain->max_pages;
    uint64_t sure_pages = domain->tot_pages + domain->claim_pages;

    if (!domain->used)
        return 0;
    if (domain == &hv->domains[0] && max_pages > hv->total_pages)
        max_pages = 0;
    if (domain->dying)
        max_pages = 0;
    return sure_pages > max_pages ? sure_pages : max_pages;
}

void hv_domain_set_dying(struct hv *hv, struct hv_domain *domain, bool dying)
{
    hv->reach_pages -= reach_pages(hv, domain);
    domain->dying = dying;
    hv->reach_pages += reach_pages(hv, domain);
}

/* Writes the sums that the domains' entries come to. */
static void add_up(struct hv *hv, uint64_t *ret_free, uint64_t *ret_reach, uint64_t *ret_claims)
{
    uint64_t held = 0;
    uint64_t reach = 0;
    uint64_t claims = 0;
    uint32_t id;

    for (id = hv_next(hv, 0); id != HV_ANY_DOMAIN; id = hv_next(hv, id + 1)) {
        held += hv->domains[id].tot_pages;
        reach += reach_pages(hv, &hv->domains[id]);
        claims += hv->domains[id].claim_pages;
    }
    *ret_free = hv->total_pages - held;
    *ret_reach = reach;
    *ret_claims = claims;
}

void hv_lock(struct hv *hv)
{
    if (pthread_mutex_lock(&hv->lock) == EOWNERDEAD) {
        add_up(hv, &hv->free_pages, &hv->reach_pages, &hv->claim_pages);
        pthread_mutex_consistent(&hv->lock);
    }
}

void hv_unlock(struct hv *hv)
{
    pthread_mutex_unlock(&hv->lock);
}

void hv_raise_dom_exc(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (hv_path(address.sun_path, sizeof(address.sun_path), "event") < 0)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* When the queue is full, there is such an event in it. */
    (void)sendto(fd, "V", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof(address));
    close(fd);
}

struct hv_domain *hv_find(struct hv *hv, uint32_t domid)
{
    return domid < HV_DOMAINS && hv->domains[domid].used ? &hv->domains[domid] : NULL;
}

uint32_t hv_next(const struct hv *hv, uint32_t domid)
{
    for (; domid <= hv->highest_domid; domid++) {
        if (hv->domains[domid].used)
            return domid;
    }
    return HV_ANY_DOMAIN;
}

uint64_t hv_cpu_time_ns(const struct hv_domain *domain)
{
    return (hv_now_ns() - domain->start_ns) / 1000 * domain->cpu_permille;
}

void hv_looked(struct hv *hv)
{
    hv->promise.taken_pages = 0;
}

int64_t hv_headroom_pages(const struct hv *hv)
{
    return (int64_t)hv->total_pages - (int64_t)hv->reach_pages - (int64_t)hv->promise.reserve_pages;
}

static void judge(struct hv *hv, const struct hv_domain *domain, int64_t before_pages,
                  uint64_t old_max_pages, enum hv_actor actor)
{
    struct hv_promise *promise = &hv->promise;
    int64_t after_pages = hv_headroom_pages(hv);

    if (!promise->on)
        return;
    promise->checks++;
    if (after_pages < promise->least_headroom_pages)
        promise->least_headroom_pages = after_pages;
    if (actor == HV_TOOLSTACK) {
        if (after_pages < before_pages)
            promise->taken_pages += before_pages - after_pages;
        return;
    }
    if (after_pages >= 0 || after_pages >= before_pages)
        return;
    if (after_pages + promise->taken_pages >= 0) {
        promise->excused++;
        return;
    }
    if (promise->broken++ > 0)
        return;
    promise->first_domid = (uint32_t)(domain - hv->domains);
    promise->first_actor = actor;
    promise->first_before_pages = before_pages;
    promise->first_after_pages = after_pages;
    promise->first_tot_pages = domain->tot_pages;
    promise->first_max_pages = domain->max_pages;
    promise->first_old_max_pages = old_max_pages;
}

/* The one place where a domain's figures change. */
static void change(struct hv *hv, struct hv_domain *domain, uint64_t tot_pages, uint64_t max_pages,
                   enum hv_actor actor)
{
    int64_t before_pages = hv_headroom_pages(hv);
    uint64_t old_max_pages = domain->max_pages;
    uint64_t grown_pages = tot_pages > domain->tot_pages ? tot_pages - domain->tot_pages : 0;

    /* A claim is used up as the domain fills, as in Xen. */
    if (grown_pages > domain->claim_pages)
        grown_pages = domain->claim_pages;
    hv->reach_pages -= reach_pages(hv, domain);
    domain->claim_pages -= grown_pages;
    hv->claim_pages -= grown_pages;
    hv->free_pages += domain->tot_pages;
    domain->tot_pages = tot_pages;
    domain->max_pages = max_pages;
    hv->free_pages -= domain->tot_pages;
    hv->reach_pages += reach_pages(hv, domain);
    judge(hv, domain, before_pages, old_max_pages, actor);
}

/* What a domain may still take from the host: others' claims are not for it. */
static uint64_t free_for(const struct hv *hv, const struct hv_domain *domain)
{
    uint64_t others_pages = hv->claim_pages - domain->claim_pages;

    return hv->free_pages > others_pages ? hv->free_pages - others_pages : 0;
}

void hv_set_max(struct hv *hv, struct hv_domain *domain, uint64_t max_pages, enum hv_actor actor)
{
    change(hv, domain, domain->tot_pages, max_pages, actor);
}

int hv_set_pod_target(struct hv *hv, struct hv_domain *domain, uint64_t target_pages)
{
    uint64_t populated = domain->tot_pages - domain->pod_cache_pages;
    uint64_t wanted;
    uint64_t grow;

    if (target_pages > domain->max_pages)
        return -EINVAL;
    /* A guest that has touched everything has nothing left to be populated on demand. */
    if ((populated && !domain->pod_entries) || domain->dying || target_pages < domain->tot_pages)
        return 0;
    wanted = target_pages - populated;
    if (populated && wanted > domain->pod_entries)
        wanted = domain->pod_entries;
    if (wanted <= domain->pod_cache_pages)
        return 0;
    grow = wanted - domain->pod_cache_pages;
    if (grow > free_for(hv, domain))
        return -ENOMEM;
    domain->pod_cache_pages += grow;
    change(hv, domain, domain->tot_pages + grow, domain->max_pages, HV_HYPERCALL);
    return 0;
}

static void set_claim(struct hv *hv, struct hv_domain *domain, uint64_t pages)
{
    hv->reach_pages -= reach_pages(hv, domain);
    hv->claim_pages += pages - domain->claim_pages;
    domain->claim_pages = pages;
    hv->reach_pages += reach_pages(hv, domain);
}

int hv_claim(struct hv *hv, struct hv_domain *domain, uint64_t pages)
{
    uint64_t claim = pages > domain->tot_pages ? pages - domain->tot_pages : 0;
    int64_t before_pages = hv_headroom_pages(hv);

    if (claim > free_for(hv, domain))
        return -ENOMEM;
    set_claim(hv, domain, claim);
    judge(hv, domain, before_pages, domain->max_pages, HV_TOOLSTACK);
    return 0;
}

void hv_remove(struct hv *hv, struct hv_domain *domain)
{
    set_claim(hv, domain, 0);
    change(hv, domain, 0, 0, HV_TOOLSTACK);
    domain->used = false;
}

int hv_domain_create(struct hv *hv, uint32_t domid, const uint8_t uuid[16], bool hvm,
                     uint64_t pages, uint64_t max_pages, uint32_t vcpus)
{
    struct hv_domain *domain;
    int r = 0;

    if (domid >= HV_DOMAINS)
        return -EINVAL;
    domain = &hv->domains[domid];
    hv_lock(hv);
    if (domain->used) {
        r = -EEXIST;
    } else if (pages > hv->free_pages) {
        r = -ENOMEM;
    } else {
        memset(domain, 0, sizeof(*domain));
        memcpy(domain->uuid, uuid, sizeof(domain->uuid));
        domain->hvm = hvm;
        domain->vcpus = vcpus;
        domain->weight = DEFAULT_WEIGHT;
        domain->start_ns = hv_now_ns();
        domain->cpu_permille = RUNNING_PERMILLE;
        domain->used = true;
        if (domid > hv->highest_domid)
            hv->highest_domid = domid;
        change(hv, domain, pages, max_pages, HV_TOOLSTACK);
    }
    hv_unlock(hv);
    return r;
}

int hv_domain_destroy(struct hv *hv, uint32_t domid)
{
    struct hv_domain *domain;

    hv_lock(hv);
    domain = hv_find(hv, domid);
    if (domain)
        hv_remove(hv, domain);
    hv_unlock(hv);
    if (!domain)
        return -ESRCH;
    hv_raise_dom_exc();
    return 0;
}

int hv_domain_shutdown(struct hv *hv, uint32_t domid, uint8_t reason)
{
    struct hv_domain *domain;

    hv_lock(hv);
    domain = hv_find(hv, domid);
    if (domain) {
        domain->shutdown = true;
        domain->reason = reason;
    }
    hv_unlock(hv);
    if (!domain)
        return -ESRCH;
    hv_raise_dom_exc();
    return 0;
}

uint64_t hv_populate(struct hv *hv, uint32_t domid, uint64_t pages)
{
    struct hv_domain *domain;
    uint64_t room;

    hv_lock(hv);
    domain = hv_find(hv, domid);
    if (domain) {
        room = domain->max_pages > domain->tot_pages ? domain->max_pages - domain->tot_pages : 0;
        if (domain->dying)
            room = 0;
        if (pages > room)
            pages = room;
        if (pages > free_for(hv, domain))
            pages = free_for(hv, domain);
        change(hv, domain, domain->tot_pages + pages, domain->max_pages, HV_GUEST);
    } else {
        pages = 0;
    }
    hv_unlock(hv);
    return pages;
}

/* Drops entries that were never touched, and as much of the cache as is no longer needed for those
 * that are left. Returns how many entries went. */
static uint64_t release_untouched(struct hv_domain *domain, uint64_t pages, uint64_t *ret_freed)
{
    uint64_t dropped = pages < domain->pod_entries ? pages : domain->pod_entries;
    uint64_t freed = 0;

    domain->pod_entries -= dropped;
    if (domain->pod_cache_pages > domain->pod_entries)
        freed = domain->pod_cache_pages - domain->pod_entries;
    domain->pod_cache_pages -= freed;
    *ret_freed = freed;
    return dropped;
}

uint64_t hv_release(struct hv *hv, uint32_t domid, uint64_t pages)
{
    struct hv_domain *domain;
    uint64_t dropped = 0;
    uint64_t freed;
    uint64_t touched = 0;

    hv_lock(hv);
    domain = hv_find(hv, domid);
    if (domain) {
        dropped = release_untouched(domain, pages, &freed);
        touched = domain->tot_pages - freed - domain->pod_cache_pages;
        if (touched > pages - dropped)
            touched = pages - dropped;
        change(hv, domain, domain->tot_pages - freed - touched, domain->max_pages, HV_GUEST);
    }
    hv_unlock(hv);
    return dropped + touched;
}

int hv_touch(struct hv *hv, uint32_t domid, uint64_t pages)
{
    struct hv_domain *domain;
    int r = 0;

    hv_lock(hv);
    domain = hv_find(hv, domid);
    if (!domain) {
        r = -ESRCH;
    } else {
        if (pages > domain->pod_entries)
            pages = domain->pod_entries;
        if (pages > domain->pod_cache_pages) {
            domain->shutdown = true;
            domain->reason = REASON_CRASH;
            r = -ENOMEM;
        } else {
            domain->pod_cache_pages -= pages;
            domain->pod_entries -= pages;
        }
    }
    hv_unlock(hv);
    if (r == -ENOMEM)
        hv_raise_dom_exc();
    return r;
}

void hv_promise_start(struct hv *hv, uint64_t reserve_pages)
{
    hv_lock(hv);
    memset(&hv->promise, 0, sizeof(hv->promise));
    hv->promise.on = true;
    hv->promise.reserve_pages = reserve_pages;
    hv->promise.least_headroom_pages = hv_headroom_pages(hv);
    hv_unlock(hv);
}

int hv_fault_add(struct hv *hv, const struct hv_fault *fault)
{
    unsigned i;
    int r = -ENOSPC;

    hv_lock(hv);
    for (i = 0; i < HV_FAULTS && r < 0; i++) {
        if (hv->faults[i].count == 0) {
            hv->faults[i] = *fault;
            r = 0;
        }
    }
    hv_unlock(hv);
    return r;
}

int hv_verify(struct hv *hv)
{
    uint64_t free_pages;
    uint64_t reach;
    uint64_t claims;
    int r;

    hv_lock(hv);
    add_up(hv, &free_pages, &reach, &claims);
    r = free_pages == hv->free_pages && reach == hv->reach_pages && claims == hv->claim_pages
            ? 0
            : -EUCLEAN;
    hv_unlock(hv);
    return r;
}
