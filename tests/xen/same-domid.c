/* SPDX-License-Identifier: ISC */
/* Preloaded into xl: a domain that it creates gets the domid in $DOMID, which another may just have
 * had. Else the hypervisor counts up, and comes to the same again after 32751 domains. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <xenctrl.h>

int xc_domain_create(xc_interface *xch, uint32_t *pdomid, struct xen_domctl_createdomain *config)
{
    int (*next)(xc_interface *, uint32_t *, struct xen_domctl_createdomain *) =
        (int (*)(xc_interface *, uint32_t *, struct xen_domctl_createdomain *))dlsym(
            RTLD_NEXT, "xc_domain_create");
    const char *domid = getenv("DOMID");

    if (!next || !domid) {
        errno = EINVAL;
        return -1;
    }
    *pdomid = (uint32_t)strtoul(domid, NULL, 10);
    return next(xch, pdomid, config);
}
