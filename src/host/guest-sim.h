/* SPDX-License-Identifier: ISC */
/* One simulated guest: its need of memory, what being short of it costs, its balloon driver, and
 * what it posts. Pure but for its own struct: time and the host's free memory are arguments, and
 * chance comes from its seed. */
#ifndef BALLAST_GUEST_SIM_H
#define BALLAST_GUEST_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/mischief.h"
#include "host/rises.h"
#include "host/scenario.h"
#include "report/report.h"

/* Things that go on are stepped this often. */
#define GUEST_QUANTUM_MS 10

/* Xen's max_pages above the target that libxl sets. */
#define GUEST_SLACK_KIB 1024

enum guest_life {
    GUEST_ABSENT,
    GUEST_BUILDING,
    GUEST_RUNNING,
    GUEST_PAUSED,
    GUEST_SHUTDOWN,
    GUEST_DYING,
};

/* What was measured since it began. */
struct guest_stats {
    double need_kib_ms;
    double held_kib_ms;
    double unmet_kib_ms;
    double idle_kib_ms;
    double stall_ms;
    double squeezed_ms; /* of that, because its target was lowered below what it needs */
    uint64_t lived_ms;
    uint64_t short_ms;  /* ran with less than its minimum */
    uint64_t moved_kib; /* taken in by the balloon */
    uint64_t moves;     /* calls */
    uint64_t below_min;
    uint64_t oom_kills;
    struct rises rises;
};

struct guest {
    const struct guest_spec *spec;
    uint64_t min_kib; /* its guarantee, of who made it; 0: none that is watched */
    uint64_t random;
    enum guest_life life;
    uint32_t domid;
    uint8_t uuid[16];
    uint64_t last_ms; /* stepped up to here */
    uint64_t next_ms; /* nothing happens of itself before; UINT64_MAX: nothing ever */

    /* the hypervisor's, and the store's */
    uint64_t actual_kib;
    uint64_t cap_kib;
    uint64_t target_kib;
    struct sched sched; /* counted, and without effect */

    /* need: a line from one size to another, and noise above it */
    uint64_t from_kib;
    uint64_t to_kib;
    uint64_t from_ms;
    uint64_t to_ms;
    uint64_t noise_kib;
    uint64_t noise_ms; /* next change */
    uint64_t need_kib;
    uint64_t rest_ms;   /* need goes back to rest then; UINT64_MAX: not */
    uint64_t killed_ms; /* what was killed for want of memory is started again then; 0: nothing */

    /* memory */
    uint64_t swapped_kib;
    uint64_t waiting_kib; /* asked for, and neither there nor made by swapping */
    uint64_t oom_ms;      /* the kernel kills then, when nothing changes; 0: no */
    bool squeezed;        /* its target was lowered below its need, and it suffers from it */
    double some;          /* share of the time that is stalled, now */
    double full;

    uint64_t read_kib_s; /* from the disk, until then */
    uint64_t read_until_ms;

    /* balloon */
    bool stuck;
    uint64_t loose_ms; /* stuck until; UINT64_MAX: for ever */
    uint64_t wake_ms;  /* does nothing before */
    unsigned tries;

    bool booting;
    uint64_t boot_ms;    /* lives from then on */
    uint64_t started_ms; /* 0: before anybody looked */
    uint64_t resume_ms;  /* a paused one goes on then; UINT64_MAX: not of itself */

    /* counters as its kernel keeps them */
    double some_us;
    double full_us;
    double some_avg10; /* 0 to 1 */
    double full_avg10;
    double swap_in_pages;
    double swap_out_pages;
    double refault_file_pages;

    /* agent */
    uint64_t look_ms;
    uint64_t posted_ms;
    struct report posted; /* what the last post said */
    bool fresh;           /* a post that has not been read */
    bool has_post;
    uint64_t bad_told_ms;         /* last time that its post was told to be none; 0: never */
    char text[2][REPORT_MAX + 1]; /* ballast: one; xenserver: total, available; qubes: used, swap */

    uint64_t courses; /* of need so far, and whether this one rises: for who looks on */
    bool climbs;

    struct mischief mischief;

    struct guest_stats stats;
};

/* A number from a seed; each call gives the next. */
uint64_t guest_random(uint64_t *seed);

/* An absent guest. The spec is borrowed for the life of the guest. */
void guest_init(struct guest *ret_guest, const struct guest_spec *spec, uint64_t seed);
void guest_free(struct guest *guest);

/* Running, since long before now, with all of its memory. */
void guest_begin(struct guest *guest, uint32_t domid, uint64_t now_ms);

/* Being built from now on: it takes memory_kib, boots, and runs. */
void guest_build(struct guest *guest, uint32_t domid, uint64_t now_ms);

/* Lives up to now, which may not be before last_ms. free_kib is what it may take from the host. */
void guest_step(struct guest *guest, uint64_t now_ms, uint64_t free_kib);

/* These happen at last_ms: step it there first. */
void guest_set_need(struct guest *guest, uint64_t need_kib, uint64_t over_ms, uint64_t for_ms);
void guest_set_target(struct guest *guest, uint64_t target_kib, uint64_t cap_kib);
void guest_set_cap(struct guest *guest, uint64_t cap_kib);
void guest_read(struct guest *guest, uint64_t kib_s, uint64_t for_ms); /* 0: without end */
void guest_stick(struct guest *guest, uint64_t for_ms);                /* 0: until guest_loosen() */
void guest_loosen(struct guest *guest);
void guest_pause(struct guest *guest, uint64_t for_ms); /* 0: until guest_unpause() */
void guest_unpause(struct guest *guest);
void guest_shutdown(struct guest *guest);
void guest_destroy(struct guest *guest);

/* What the toolstack has claimed for it and it has not taken yet. */
uint64_t guest_claim_kib(const struct guest *guest);

/* The most it can hold. */
uint64_t guest_reach_kib(const struct guest *guest);

/* Ends the accounts: a rise that is short now is counted as not served. */
void guest_finish(struct guest *guest);

#endif
