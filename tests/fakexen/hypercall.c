/* SPDX-License-Identifier: ISC */
/* libxencall as libxenctrl sees it: hypercalls are decoded and answered from the state in hv.h.
 *
 * libxenctrl builds real structures of Xen's interface, so what is not known here is answered as an
 * older hypervisor would: ENOSYS. The rules are written after Xen's documented behaviour; a test
 * that passes here shows nothing about a real Xen that a real Xen has not shown too.
 */
#define __XEN_TOOLS__ 1
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xencall.h>
#include <xentoollog.h>
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#include "hv.h"
#include "preload.h"

#define CPU_KHZ 2000000

static struct hv *hv;
static bool victim; /* faults are for this process */

static bool attach(void)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    int r = 0;

    pthread_mutex_lock(&once);
    if (!hv) {
        r = hv_open(&hv);
        victim = getenv("FAKEXEN_VICTIM") != NULL;
        if (r < 0)
            fprintf(stderr, "fakexen: %s/hv: %s\n", hv_dir(), strerror(-r));
    }
    pthread_mutex_unlock(&once);
    return r == 0;
}

struct hv *preload_hv(void)
{
    return attach() ? hv : NULL;
}

static uint32_t domain_flags(const struct hv_domain *domain)
{
    uint32_t flags = domain->paused ? XEN_DOMINF_paused : XEN_DOMINF_blocked;

    if (domain->dying)
        flags |= XEN_DOMINF_dying;
    if (domain->hvm)
        flags |= XEN_DOMINF_hvm_guest | XEN_DOMINF_hap;
    if (domain->shutdown)
        flags |= XEN_DOMINF_shutdown | (uint32_t)domain->reason << XEN_DOMINF_shutdownshift;
    return flags;
}

static void domain_info(uint32_t domid, struct xen_domctl_getdomaininfo *info)
{
    const struct hv_domain *domain = &hv->domains[domid];

    memset(info, 0, sizeof(*info));
    info->domain = (domid_t)domid;
    info->flags = domain_flags(domain);
    info->tot_pages = domain->tot_pages;
    info->max_pages = domain->max_pages;
    info->outstanding_pages = domain->claim_pages;
    info->cpu_time = hv_cpu_time_ns(domain);
    info->nr_online_vcpus = domain->vcpus;
    info->max_vcpu_id = domain->vcpus ? domain->vcpus - 1 : 0;
    info->gpaddr_bits = 48;
    info->shared_info_frame = ~UINT64_C(0);
    memcpy(info->handle, domain->uuid, sizeof(domain->uuid));
}

static void all_cpus(struct xenctl_bitmap *bitmap)
{
    uint8_t *map = bitmap->bitmap.p;
    uint32_t i;

    if (!map)
        return;
    memset(map, 0, (bitmap->nr_bits + 7) / 8);
    for (i = 0; i < hv->cpus && i < bitmap->nr_bits; i++)
        map[i / 8] |= (uint8_t)(1u << (i & 7));
}

static int domctl_scheduler(struct hv_domain *domain, struct xen_domctl_scheduler_op *op)
{
    if (op->sched_id != XEN_SCHEDULER_CREDIT2)
        return -EINVAL;
    switch (op->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        op->u.credit2.weight = domain->weight;
        op->u.credit2.cap = domain->cap;
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        if (op->u.credit2.weight)
            domain->weight = op->u.credit2.weight;
        domain->cap = op->u.credit2.cap;
        return 0;
    default:
        return -EINVAL;
    }
}

static int domctl_vcpu_info(const struct hv_domain *domain, struct xen_domctl_getvcpuinfo *info)
{
    if (info->vcpu >= domain->vcpus)
        return -ESRCH;
    info->online = 1;
    info->blocked = 1;
    info->running = 0;
    info->cpu = info->vcpu % hv->cpus;
    info->cpu_time = hv_cpu_time_ns(domain) / domain->vcpus;
    return 0;
}

/* Answers for the first domain at or above the one asked for, as Xen does. */
static int domctl_domain_info(struct xen_domctl *op)
{
    uint32_t domid = op->domain;

    if (!hv_find(hv, domid)) {
        domid = domid < HV_DOMAINS ? hv_next(hv, domid) : HV_ANY_DOMAIN;
        if (domid == HV_ANY_DOMAIN)
            return -ESRCH;
    }
    domain_info(domid, &op->u.getdomaininfo);
    op->domain = (domid_t)domid;
    return 0;
}

static int do_domctl(struct xen_domctl *op)
{
    struct hv_domain *domain = hv_find(hv, op->domain);

    if (op->interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -EACCES;
    if (op->cmd == XEN_DOMCTL_getdomaininfo)
        return domctl_domain_info(op);
    if (!domain)
        return -ESRCH;

    switch (op->cmd) {
    case XEN_DOMCTL_max_mem:
        hv_set_max(hv, domain, op->u.max_mem.max_memkb / 4, HV_HYPERCALL);
        return 0;
    case XEN_DOMCTL_pausedomain:
        domain->paused = true;
        return 0;
    case XEN_DOMCTL_unpausedomain:
        domain->paused = false;
        return 0;
    case XEN_DOMCTL_setdomainhandle:
        memcpy(domain->uuid, op->u.setdomainhandle.handle, sizeof(domain->uuid));
        return 0;
    case XEN_DOMCTL_max_vcpus:
        domain->vcpus = op->u.max_vcpus.max;
        return 0;
    case XEN_DOMCTL_destroydomain:
        hv_remove(hv, domain);
        hv_raise_dom_exc();
        return 0;
    case XEN_DOMCTL_getvcpuinfo:
        return domctl_vcpu_info(domain, &op->u.getvcpuinfo);
    case XEN_DOMCTL_getvcpuaffinity:
        if (op->u.vcpuaffinity.vcpu >= domain->vcpus)
            return -ESRCH;
        all_cpus(&op->u.vcpuaffinity.cpumap_hard);
        all_cpus(&op->u.vcpuaffinity.cpumap_soft);
        return 0;
    case XEN_DOMCTL_setvcpuaffinity:
        return 0;
    case XEN_DOMCTL_scheduler_op:
        return domctl_scheduler(domain, &op->u.scheduler_op);
    default:
        return -ENOSYS;
    }
}

static void sysctl_physinfo(struct xen_sysctl_physinfo *info)
{
    memset(info, 0, sizeof(*info));
    info->threads_per_core = 1;
    info->cores_per_socket = hv->cpus;
    info->nr_cpus = hv->cpus;
    info->max_cpu_id = hv->cpus - 1;
    info->nr_nodes = 1;
    info->cpu_khz = CPU_KHZ;
    info->capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_hap;
    info->total_pages = hv->total_pages;
    info->free_pages = hv->free_pages;
    info->outstanding_pages = hv->claim_pages;
    info->max_mfn = hv->total_pages;
}

static void sysctl_domain_list(struct xen_sysctl_getdomaininfolist *list)
{
    struct xen_domctl_getdomaininfo *infos = list->buffer.p;
    uint32_t domid = list->first_domain;
    uint32_t n = 0;

    while (n < list->max_domains) {
        domid = hv_next(hv, domid);
        if (domid == HV_ANY_DOMAIN)
            break;
        domain_info(domid, &infos[n]);
        n++;
        domid++;
    }
    list->num_domains = n;
}

static int sysctl_cpupool(struct xen_sysctl_cpupool_op *op)
{
    uint32_t domid;

    if (op->op == XEN_SYSCTL_CPUPOOL_OP_FREEINFO) {
        memset(op->cpumap.bitmap.p, 0, (op->cpumap.nr_bits + 7) / 8);
        return 0;
    }
    if (op->op != XEN_SYSCTL_CPUPOOL_OP_INFO)
        return -ENOSYS;
    if (op->cpupool_id != 0)
        return -ENOENT;
    op->sched_id = XEN_SCHEDULER_CREDIT2;
    op->n_dom = 0;
    for (domid = hv_next(hv, 0); domid != HV_ANY_DOMAIN; domid = hv_next(hv, domid + 1))
        op->n_dom++;
    all_cpus(&op->cpumap);
    return 0;
}

static void sysctl_numainfo(struct xen_sysctl_numainfo *info)
{
    struct xen_sysctl_meminfo *meminfo = info->meminfo.p;
    uint32_t *distance = info->distance.p;

    if (info->num_nodes > 0 && meminfo) {
        meminfo->memsize = hv->total_pages * FAKE_PAGE_SIZE;
        meminfo->memfree = hv->free_pages * FAKE_PAGE_SIZE;
    }
    if (info->num_nodes > 0 && distance)
        *distance = 10;
    info->num_nodes = 1;
}

static void sysctl_cputopoinfo(struct xen_sysctl_cputopoinfo *info)
{
    struct xen_sysctl_cputopo *topology = info->cputopo.p;
    uint32_t i;

    for (i = 0; topology && i < hv->cpus && i < info->num_cpus; i++)
        topology[i] = (struct xen_sysctl_cputopo){ .core = i };
    info->num_cpus = hv->cpus;
}

static int do_sysctl(struct xen_sysctl *op)
{
    if (op->interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -EACCES;
    switch (op->cmd) {
    case XEN_SYSCTL_physinfo:
        sysctl_physinfo(&op->u.physinfo);
        return 0;
    case XEN_SYSCTL_getdomaininfolist:
        sysctl_domain_list(&op->u.getdomaininfolist);
        return 0;
    case XEN_SYSCTL_sched_id:
        op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT2;
        return 0;
    case XEN_SYSCTL_scheduler_op:
        if (op->u.scheduler_op.sched_id != XEN_SCHEDULER_CREDIT2)
            return -EINVAL;
        op->u.scheduler_op.u.sched_credit2.ratelimit_us = 1000;
        return 0;
    case XEN_SYSCTL_cpupool_op:
        return sysctl_cpupool(&op->u.cpupool_op);
    case XEN_SYSCTL_numainfo:
        sysctl_numainfo(&op->u.numainfo);
        return 0;
    case XEN_SYSCTL_cputopoinfo:
        sysctl_cputopoinfo(&op->u.cputopoinfo);
        return 0;
    default:
        return -ENOSYS;
    }
}

static int memory_pod_target(unsigned cmd, struct xen_pod_target *op)
{
    struct hv_domain *domain = hv_find(hv, op->domid);
    int r = 0;

    if (!domain)
        return -ESRCH;
    if (!domain->hvm)
        return -EINVAL;
    if (cmd == XENMEM_set_pod_target)
        r = hv_set_pod_target(hv, domain, op->target_pages);
    if (r < 0)
        return r;
    op->tot_pages = domain->tot_pages;
    op->pod_cache_pages = domain->pod_cache_pages;
    op->pod_entries = domain->pod_entries;
    return 0;
}

static long do_memory_op(unsigned cmd, void *arg)
{
    struct xen_memory_reservation *reservation = arg;
    struct hv_domain *domain;

    switch (cmd) {
    case XENMEM_set_pod_target:
    case XENMEM_get_pod_target:
        return memory_pod_target(cmd, arg);
    case XENMEM_maximum_ram_page:
        return (long)hv->total_pages;
    case XENMEM_claim_pages:
        domain = hv_find(hv, reservation->domid);
        return domain ? hv_claim(hv, domain, reservation->nr_extents) : -ESRCH;
    default:
        return -ENOSYS;
    }
}

static long do_version(unsigned cmd, void *arg)
{
    switch (cmd) {
    case XENVER_version:
        return 4 << 16 | 17;
    case XENVER_extraversion:
        memcpy(arg, ".7-fake", sizeof(".7-fake"));
        return 0;
    case XENVER_compile_info:
        memset(arg, 0, sizeof(xen_compile_info_t));
        return 0;
    case XENVER_capabilities:
        memcpy(arg, "xen-3.0-x86_64 hvm-3.0-x86_64 ", sizeof("xen-3.0-x86_64 hvm-3.0-x86_64 "));
        return 0;
    case XENVER_changeset:
    case XENVER_commandline:
        memcpy(arg, "fakexen", sizeof("fakexen"));
        return 0;
    case XENVER_platform_parameters:
        ((xen_platform_parameters_t *)arg)->virt_start = 0;
        return 0;
    case XENVER_pagesize:
        return FAKE_PAGE_SIZE;
    default:
        return -ENOSYS;
    }
}

static int do_sched_op(unsigned cmd, const struct sched_remote_shutdown *op)
{
    struct hv_domain *domain;

    if (cmd != SCHEDOP_remote_shutdown)
        return -ENOSYS;
    domain = hv_find(hv, op->domain_id);
    if (!domain)
        return -ESRCH;
    domain->shutdown = true;
    domain->reason = (uint8_t)op->reason;
    hv_raise_dom_exc();
    return 0;
}

/* What a call is about: its sub-command, and the domain, or HV_ANY_DOMAIN. */
struct call {
    unsigned op;
    uint32_t cmd;
    uint32_t domid;
    void *arg;
};

/* libxl asks for one domain by a list of one. */
static uint32_t listed_domid(const struct xen_sysctl *op)
{
    if (op->cmd != XEN_SYSCTL_getdomaininfolist || op->u.getdomaininfolist.max_domains != 1)
        return HV_ANY_DOMAIN;
    return op->u.getdomaininfolist.first_domain;
}

static struct call decode(unsigned op, uint64_t first, uint64_t second)
{
    struct call call = { .op = op, .cmd = (uint32_t)first, .domid = HV_ANY_DOMAIN };

    switch (op) {
    case __HYPERVISOR_domctl:
        call.arg = (void *)first;
        call.cmd = ((struct xen_domctl *)call.arg)->cmd;
        call.domid = ((struct xen_domctl *)call.arg)->domain;
        break;
    case __HYPERVISOR_sysctl:
        call.arg = (void *)first;
        call.cmd = ((struct xen_sysctl *)call.arg)->cmd;
        call.domid = listed_domid(call.arg);
        break;
    case __HYPERVISOR_memory_op:
        call.arg = (void *)second;
        if (call.cmd == XENMEM_set_pod_target || call.cmd == XENMEM_get_pod_target)
            call.domid = ((struct xen_pod_target *)call.arg)->domid;
        break;
    default:
        call.arg = (void *)second;
        break;
    }
    return call;
}

/* The fault that this call meets, counted down, or NULL. */
static const struct hv_fault *meet_fault(const struct call *call)
{
    unsigned i;

    for (i = 0; i < HV_FAULTS; i++) {
        struct hv_fault *fault = &hv->faults[i];

        if (fault->count == 0 || fault->op != call->op || fault->cmd != call->cmd)
            continue;
        if (fault->domid != HV_ANY_DOMAIN && fault->domid != call->domid)
            continue;
        if (fault->skip > 0) {
            fault->skip--;
            continue;
        }
        fault->count--;
        hv->faults_met++;
        return fault;
    }
    return NULL;
}

static long answer(const struct call *call)
{
    switch (call->op) {
    case __HYPERVISOR_domctl:
        return do_domctl(call->arg);
    case __HYPERVISOR_sysctl:
        return do_sysctl(call->arg);
    case __HYPERVISOR_memory_op:
        return do_memory_op(call->cmd, call->arg);
    case __HYPERVISOR_xen_version:
        return do_version(call->cmd, call->arg);
    case __HYPERVISOR_sched_op:
        return do_sched_op(call->cmd, call->arg);
    default:
        return -ENOSYS;
    }
}

/* Lock held. Returns the result, and in *ret_delay_us how long the caller is to be kept waiting. */
static long answer_victim(const struct call *call, uint32_t *ret_delay_us)
{
    const struct hv_fault *fault;
    struct hv_domain *domain;

    if (call->op < HV_OPS && call->cmd < HV_CMDS)
        hv->calls[call->op][call->cmd]++;
    if (call->op == __HYPERVISOR_sysctl && call->cmd == XEN_SYSCTL_physinfo)
        hv_looked(hv);
    fault = meet_fault(call);
    if (!fault)
        return answer(call);
    *ret_delay_us = fault->delay_us;
    if (fault->vanish) {
        domain = hv_find(hv, call->domid);
        if (domain && call->domid != 0) {
            hv_remove(hv, domain);
            hv_raise_dom_exc();
        }
    }
    return fault->err ? -fault->err : answer(call);
}

/* Returns what the hypervisor returns: 0 or more, or a negative errno. */
static long hypercall(unsigned op, uint64_t first, uint64_t second)
{
    struct call call;
    uint32_t delay_us = 0;
    long r;

    if (!attach())
        return -ENOSYS;
    if (op == __HYPERVISOR_multicall) { /* libxenctrl wraps memory_op in one */
        multicall_entry_t *entries = (multicall_entry_t *)first;
        uint64_t i;

        for (i = 0; i < second; i++) {
            r = hypercall((unsigned)entries[i].op, entries[i].args[0], entries[i].args[1]);
            entries[i].result = (unsigned long)r;
        }
        return 0;
    }
    call = decode(op, first, second);
    hv_lock(hv);
    r = victim ? answer_victim(&call, &delay_us) : answer(&call);
    hv_unlock(hv);
    if (delay_us > 0)
        usleep(delay_us);
    if (r == -ENOSYS && getenv("FAKEXEN_TRACE"))
        fprintf(stderr, "fakexen: hypercall %u, command %u: not known\n", call.op, call.cmd);
    return r;
}

static long returned(long r)
{
    if (r >= 0)
        return r;
    errno = (int)-r;
    return -1;
}

EXPORT xencall_handle *xencall_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    if (!attach()) {
        errno = ENOENT;
        return NULL;
    }
    return preload_handle();
}

EXPORT int xencall_close(xencall_handle *handle)
{
    (void)handle;
    return 0;
}

EXPORT int xencall_fd(xencall_handle *handle)
{
    (void)handle;
    return -1;
}

EXPORT int xencall0(xencall_handle *handle, unsigned op)
{
    (void)handle;
    return (int)returned(hypercall(op, 0, 0));
}

EXPORT int xencall1(xencall_handle *handle, unsigned op, uint64_t a)
{
    (void)handle;
    return (int)returned(hypercall(op, a, 0));
}

EXPORT int xencall2(xencall_handle *handle, unsigned op, uint64_t a, uint64_t b)
{
    (void)handle;
    return (int)returned(hypercall(op, a, b));
}

EXPORT long xencall2L(xencall_handle *handle, unsigned op, uint64_t a, uint64_t b)
{
    (void)handle;
    return returned(hypercall(op, a, b));
}

/* No hypercall with more than two arguments is answered here. */

EXPORT int xencall3(xencall_handle *handle, unsigned op, uint64_t a, uint64_t b, uint64_t c)
{
    (void)c;
    return xencall2(handle, op, a, b);
}

EXPORT int xencall4(xencall_handle *handle, unsigned op, uint64_t a, uint64_t b, uint64_t c,
                    uint64_t d)
{
    (void)c;
    (void)d;
    return xencall2(handle, op, a, b);
}

EXPORT int xencall5(xencall_handle *handle, unsigned op, uint64_t a, uint64_t b, uint64_t c,
                    uint64_t d, uint64_t e)
{
    (void)c;
    (void)d;
    (void)e;
    return xencall2(handle, op, a, b);
}

EXPORT void *xencall_alloc_buffer_pages(xencall_handle *handle, size_t pages)
{
    void *buffer = aligned_alloc(FAKE_PAGE_SIZE, pages * FAKE_PAGE_SIZE);

    (void)handle;
    if (buffer)
        memset(buffer, 0, pages * FAKE_PAGE_SIZE);
    return buffer;
}

EXPORT void xencall_free_buffer_pages(xencall_handle *handle, void *buffer, size_t pages)
{
    (void)handle;
    (void)pages;
    free(buffer);
}

EXPORT void *xencall_alloc_buffer(xencall_handle *handle, size_t size)
{
    return xencall_alloc_buffer_pages(handle, (size + FAKE_PAGE_SIZE - 1) / FAKE_PAGE_SIZE);
}

EXPORT void xencall_free_buffer(xencall_handle *handle, void *buffer)
{
    (void)handle;
    free(buffer);
}

EXPORT int xencall_buffers_never_fault(xencall_handle *handle)
{
    (void)handle;
    return 1;
}
