/* SPDX-License-Identifier: ISC */
/* libxenevtchn, libxengnttab, libxenforeignmemory and libxendevicemodel, as far as the store's
 * daemons and libxl use them: thin covers of ring.h. */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include <xentoollog.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>

#include "hv.h"
#include "preload.h"
#include "ring.h"

void *preload_handle(void)
{
    static char handle;

    return &handle;
}

static int returned(int r)
{
    if (r >= 0)
        return r;
    errno = -r;
    return -1;
}

EXPORT xenevtchn_handle *xenevtchn_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return ring_event_fd() < 0 ? NULL : preload_handle();
}

EXPORT xenevtchn_handle *xenevtchn_fdopen(xentoollog_logger *logger, int fd, unsigned flags)
{
    (void)fd;
    return xenevtchn_open(logger, flags);
}

EXPORT int xenevtchn_close(xenevtchn_handle *handle)
{
    (void)handle;
    return 0;
}

EXPORT int xenevtchn_fd(xenevtchn_handle *handle)
{
    (void)handle;
    return ring_event_fd();
}

/* The store's daemon binds one: that a domain has come to an end. */
EXPORT xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *handle, unsigned virq)
{
    int r = ring_start();

    (void)handle;
    (void)virq;
    return r < 0 ? returned(r) : (int)RING_VIRQ_PORT;
}

EXPORT xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *handle,
                                                            uint32_t domid, evtchn_port_t remote)
{
    int r = ring_bind(domid);

    (void)handle;
    (void)remote;
    return r < 0 ? returned(r) : (int)RING_PORT(domid);
}

EXPORT xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *handle,
                                                             uint32_t domid)
{
    (void)handle;
    (void)domid;
    return returned(-ENOSYS);
}

EXPORT int xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    if (port >= RING_PORT(0))
        ring_unbind(RING_DOMID(port));
    return 0;
}

EXPORT int xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    if (port >= RING_PORT(0))
        ring_kick(RING_DOMID(port));
    return 0;
}

EXPORT xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *handle)
{
    (void)handle;
    return returned(ring_event_next());
}

EXPORT int xenevtchn_unmask(xenevtchn_handle *handle, evtchn_port_t port)
{
    (void)handle;
    ring_event_unmask(port);
    return 0;
}

/* The C xenstored maps a domain's ring as a grant, oxenstored as foreign memory. */

EXPORT xengnttab_handle *xengnttab_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return preload_handle();
}

EXPORT int xengnttab_close(xengnttab_handle *handle)
{
    (void)handle;
    return 0;
}

EXPORT int xengnttab_set_max_grants(xengnttab_handle *handle, uint32_t count)
{
    (void)handle;
    (void)count;
    return 0;
}

EXPORT void *xengnttab_map_grant_ref(xengnttab_handle *handle, uint32_t domid, uint32_t ref,
                                     int prot)
{
    (void)handle;
    (void)ref;
    (void)prot;
    return ring_map(domid);
}

EXPORT int xengnttab_unmap(xengnttab_handle *handle, void *address, uint32_t count)
{
    (void)handle;
    return munmap(address, (size_t)count * FAKE_PAGE_SIZE);
}

EXPORT xenforeignmemory_handle *xenforeignmemory_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return preload_handle();
}

EXPORT int xenforeignmemory_close(xenforeignmemory_handle *handle)
{
    (void)handle;
    return 0;
}

EXPORT void *xenforeignmemory_map(xenforeignmemory_handle *handle, uint32_t domid, int prot,
                                  size_t pages, const xen_pfn_t frames[], int errors[])
{
    (void)handle;
    (void)prot;
    (void)frames;
    (void)errors;
    if (pages != 1) {
        errno = EINVAL;
        return NULL;
    }
    return ring_map(domid);
}

EXPORT int xenforeignmemory_unmap(xenforeignmemory_handle *handle, void *address, size_t pages)
{
    (void)handle;
    return munmap(address, pages * FAKE_PAGE_SIZE);
}

EXPORT xendevicemodel_handle *xendevicemodel_open(xentoollog_logger *logger, unsigned flags)
{
    (void)logger;
    (void)flags;
    return preload_handle();
}

EXPORT int xendevicemodel_close(xendevicemodel_handle *handle)
{
    (void)handle;
    return 0;
}
