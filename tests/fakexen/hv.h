/* SPDX-License-Identifier: ISC */
/* The state of the fake hypervisor: one file, $FAKEXEN_DIR/hv, mapped shared by the store's daemon,
 * by every program that uses libxl, and by the test tools.
 *
 * Memory is counted in pages of 4 KiB, as Xen does. All changes of what a domain holds, or may
 * hold, go through one function in hv.c, under one lock, and are judged there (struct hv_promise).
 */
#ifndef BALLAST_FAKEXEN_HV_H
#define BALLAST_FAKEXEN_HV_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define HV_DOMAINS 32752 /* DOMID_FIRST_RESERVED is 0x7ff0; the index is the domid */
#define HV_ANY_DOMAIN UINT32_MAX
#define HV_FAULTS 16
#define HV_OPS 64   /* hypercall numbers */
#define HV_CMDS 128 /* sub-commands that are counted */

struct hv_domain {
    bool used;
    bool hvm; /* as Xen means it: not PV */
    bool paused;
    bool dying;
    bool shutdown;
    uint8_t reason; /* of the shutdown: SHUTDOWN_* */
    uint8_t uuid[16];
    uint64_t tot_pages; /* held, the populate-on-demand cache included */
    uint64_t max_pages;
    uint64_t pod_cache_pages;
    uint64_t pod_entries; /* promised to the guest and not touched yet */
    uint64_t claim_pages;
    uint64_t start_ns;
    uint32_t cpu_permille; /* of one CPU, used since start_ns; 0: it has never run */
    uint32_t vcpus;
    uint16_t weight; /* of the credit2 scheduler */
    uint16_t cap;
};

/* What the hypervisor does to the caller's next calls that match, instead of answering. Only
 * processes with FAKEXEN_VICTIM in their environment meet faults. */
struct hv_fault {
    uint32_t op;    /* hypercall number, such as __HYPERVISOR_domctl */
    uint32_t cmd;   /* such as XEN_DOMCTL_max_mem */
    uint32_t domid; /* or HV_ANY_DOMAIN */
    uint32_t skip;  /* so many matching calls pass first */
    uint32_t count; /* so many fail then; 0: this entry is free or used up */
    int err;        /* positive errno; 0: the call is only slow */
    bool vanish;    /* the domain is destroyed just before the call is answered */
    uint32_t delay_us;
};

/* Who made a change. What a toolstack does to the host (it builds, it destroys, it moves a cap by
 * hand) can break into the reserve and is not held against the daemon. */
enum hv_actor { HV_TOOLSTACK, HV_HYPERCALL, HV_GUEST };

/* The promise: the domains can together never take more than the host has, less the reserve. It is
 * broken by any change that lowers the headroom and leaves it below zero.
 *
 * A toolstack that starts a domain without asking takes headroom that the daemon has just seen to
 * be free. What it took since the victim last looked at the host's free memory is held against it,
 * not against the victim: a change that would have been right without it is counted as excused. */
struct hv_promise {
    bool on;
    uint64_t reserve_pages;
    uint64_t checks;
    uint64_t broken;
    uint64_t excused;
    int64_t taken_pages; /* by toolstacks since the victim last looked */
    int64_t least_headroom_pages;
    uint32_t first_domid; /* of the first change that broke it, with the headroom around it */
    uint32_t first_actor;
    int64_t first_before_pages;
    int64_t first_after_pages;
    uint64_t first_tot_pages; /* of the domain, after the change */
    uint64_t first_max_pages;
    uint64_t first_old_max_pages;
};

struct hv {
    uint64_t magic;
    pthread_mutex_t lock; /* shared between processes, robust */
    uint64_t total_pages;
    uint64_t free_pages;
    uint64_t reach_pages; /* sum of max(tot, max) */
    uint64_t claim_pages; /* sum */
    uint32_t cpus;
    uint32_t highest_domid; /* ever used */
    uint32_t created;       /* domains, ever: no two have the same UUID */
    struct hv_promise promise;
    uint64_t faults_met;
    struct hv_fault faults[HV_FAULTS];
    uint64_t calls[HV_OPS][HV_CMDS]; /* of the victims */
    struct hv_domain domains[HV_DOMAINS];
};

/* The directory of this fake host: $FAKEXEN_DIR. Never NULL; exits when it is not set. */
const char *hv_dir(void);

/* Writes "$FAKEXEN_DIR/" and the formatted rest. Returns 0, or -ENAMETOOLONG. */
int hv_path(char *buf, unsigned size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

uint64_t hv_now_ns(void);

/* Makes an empty host. Returns 0 or a negative errno. The mapping lives as long as the process. */
int hv_create(uint64_t total_pages, uint32_t cpus, struct hv **ret_hv);

/* Maps the host that is there. Returns 0 or a negative errno. */
int hv_open(struct hv **ret_hv);

/* A process that was killed while it held the lock may have left the sums wrong: taking the lock
 * then counts them anew, as if its last hypercall had either happened or not. */
void hv_lock(struct hv *hv);
void hv_unlock(struct hv *hv);

/* Tells the store's daemon that some domain has come to an end (VIRQ_DOM_EXC). Ignored when there
 * is no such daemon. */
void hv_raise_dom_exc(void);

/* --- The functions down to the next line are called with the lock held. --- */

/* Returns NULL when there is no such domain. */
struct hv_domain *hv_find(struct hv *hv, uint32_t domid);

/* The first domid from this one on that is in use, or HV_ANY_DOMAIN. */
uint32_t hv_next(const struct hv *hv, uint32_t domid);

uint64_t hv_cpu_time_ns(const struct hv_domain *domain);

/* The victim looks at the host's free memory. */
void hv_looked(struct hv *hv);

/* Can be negative. */
int64_t hv_headroom_pages(const struct hv *hv);

/* The cap may be set below what the domain holds. */
void hv_set_max(struct hv *hv, struct hv_domain *domain, uint64_t max_pages, enum hv_actor actor);

/* Returns 0, -EINVAL for a target above the cap, -ENOMEM. */
int hv_set_pod_target(struct hv *hv, struct hv_domain *domain, uint64_t target_pages);

/* Claims what is missing up to pages. Returns 0 or -ENOMEM. */
int hv_claim(struct hv *hv, struct hv_domain *domain, uint64_t pages);

/* The pages go back to the host at once. The caller raises VIRQ_DOM_EXC after. */
void hv_remove(struct hv *hv, struct hv_domain *domain);

/* ------------------------- The functions below take the lock. ------------------------- */

/* What a toolstack's first calls for a new domain come to. Returns 0, -EEXIST, -ENOMEM, -EINVAL. */
int hv_domain_create(struct hv *hv, uint32_t domid, const uint8_t uuid[16], bool hvm,
                     uint64_t pages, uint64_t max_pages, uint32_t vcpus);
int hv_domain_destroy(struct hv *hv, uint32_t domid);                  /* 0 or -ESRCH */
int hv_domain_shutdown(struct hv *hv, uint32_t domid, uint8_t reason); /* 0 or -ESRCH */

/* It ends, but something still holds pages of it. The caller holds the lock. */
void hv_domain_set_dying(struct hv *hv, struct hv_domain *domain, bool dying);

/* A balloon driver asks for pages: as many as the cap and the host allow. Returns how many came. */
uint64_t hv_populate(struct hv *hv, uint32_t domid, uint64_t pages);

/* A balloon driver gives pages back, first those that were never touched. Returns how many it
 * has let go, in the guest's eyes. */
uint64_t hv_release(struct hv *hv, uint32_t domid, uint64_t pages);

/* The guest touches pages that are populated on demand. Returns 0, -ESRCH, or -ENOMEM when the
 * cache was empty: the domain has then crashed, as on Xen. */
int hv_touch(struct hv *hv, uint32_t domid, uint64_t pages);

/* Starts judging, with the counters at zero. */
void hv_promise_start(struct hv *hv, uint64_t reserve_pages);

/* Adds a fault. Returns 0 or -ENOSPC. */
int hv_fault_add(struct hv *hv, const struct hv_fault *fault);

/* Counts all sums anew. Returns 0, or -EUCLEAN when they are not those that were kept. */
int hv_verify(struct hv *hv);

#endif
