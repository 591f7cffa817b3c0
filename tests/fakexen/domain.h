/* SPDX-License-Identifier: ISC */
/* Complete domains: the hypervisor's entry, the nodes in the store with the rights that libxl gives
 * them, libxl's own record of the configuration, and the introduction to the store's daemon. */
#ifndef BALLAST_FAKEXEN_DOMAIN_H
#define BALLAST_FAKEXEN_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "hv.h"

struct xs_handle;

enum domain_type { DOMAIN_PV, DOMAIN_PVH, DOMAIN_HVM, DOMAIN_TYPES };

struct domain_spec {
    uint32_t domid;
    char name[64];
    enum domain_type type;
    uint64_t held_kib;
    uint64_t target_kib;
    uint64_t static_max_kib;
    uint32_t vcpus;
    bool building; /* the toolstack is not done: paused, it has never run, no memory/target yet */
};

/* Returns "pv", "pvh" or "hvm". */
const char *domain_type_name(enum domain_type type);

/* Returns -EINVAL for another word. */
int domain_type_parse(const char *word, enum domain_type *ret_type);

/* Part of the memory that a domain has and its memory/target does not name. */
uint64_t domain_video_kib(enum domain_type type);

/* The UUID, as text, of the domain that has this number, or had it last. */
void domain_uuid(struct hv *hv, uint32_t domid, char ret_text[37]);

/* Makes the domain, with the cap that libxl gives it: target + 1 MiB. Returns 0 or a negative
 * errno, with the reason on standard error. */
int domain_create(struct xs_handle *xs, struct hv *hv, const struct domain_spec *spec);

/* Writes everything of a domain but its entry in the hypervisor: what domain_create() does in the
 * store, and what is needed again when the store has lost all that it knew. */
int domain_publish(struct xs_handle *xs, struct hv *hv, const struct domain_spec *spec);

/* As a toolstack does, and waits until the store has noticed. Returns 0 or a negative errno. */
int domain_destroy(struct xs_handle *xs, struct hv *hv, uint32_t domid);

/* Connects to the store as that domain. Returns NULL, with errno set, when it has not been
 * introduced. The caller closes it with xs_close(). Not for use by two threads at once. */
struct xs_handle *domain_connect(uint32_t domid);

/* Makes a node that the domain may write, as some toolstacks do below memory/. Returns 0 or a
 * negative errno. */
int domain_permit(struct xs_handle *xs, uint32_t domid, const char *node);

#endif
