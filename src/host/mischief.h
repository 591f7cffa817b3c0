/* SPDX-License-Identifier: ISC */
/* What a simulated guest does that misbehaves: how its balloon moves against its target, what its
 * posts say instead of the truth, and when it dies. Honest guests are in guest-sim.h. */
#ifndef BALLAST_MISCHIEF_H
#define BALLAST_MISCHIEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/report.h"

/* A guest that misbehaves is looked at as often. */
#define MISCHIEF_QUANTUM_MS 100

struct guest;

enum act {
    /* of its balloon */
    ACT_REFUSE,    /* never shrinks */
    ACT_TRICKLE,   /* shrinks by a page every five seconds */
    ACT_DOZE,      /* obeys one second in twenty */
    ACT_TAKE_BACK, /* gives what it is asked for, then takes what it can get back */
    ACT_GRAB,      /* asks its own balloon for its maximum, again and again */
    ACT_LATE,      /* takes what it was given a minute later */
    /* of its posts */
    ACT_OVER_REPORT,  /* uses all that it has, and stalls */
    ACT_NEARLY_ALL,   /* uses all but a little of what it has, and stalls now and then */
    ACT_UNDER_REPORT, /* is so small that there is nothing to take */
    ACT_CONTRADICT,   /* holds more than the hypervisor counts */
    ACT_FORGE,        /* stalls for longer than time passes */
    ACT_WRAP,         /* its counters and its sequence number go back */
    ACT_OSCILLATE,    /* needs all and nothing by turns */
    ACT_RUBBISH,      /* no report at all, up to the longest that the store takes */
    ACT_FLOOD,        /* a post each time that the simulator looks at it */
    /* of its life */
    ACT_REBOOT, /* dies when it is asked or given, and comes back under the same domid */
    ACTS,
};

/* Part of struct guest. */
struct mischief {
    uint32_t acts;     /* bits of enum act */
    uint64_t since_ms; /* the act is in its phase since */
    bool phase;        /* awake, taking, or has waited long enough */
    bool gave;         /* since it took last */
    bool again;        /* comes back once it is dead */
    uint64_t posts;
    uint64_t held_kib;   /* at the last look */
    uint64_t bad_ms;     /* the last time that it offended; 0: never */
    uint64_t offences;   /* so often it kept what it was asked for, or took what it was not given */
    uint64_t offence_ms; /* the first; 0: none */
    uint64_t offence_kib; /* held then */
    uint64_t gained_kib;  /* the most that it held on top of that since */
};

#define MISCHIEF_EXPECTED \
    "none, or words such as refuse, grab, over-report, flood or reboot (ballast-scenario(5))"

/* Words with blanks between them, or "none". Returns 0, or -EINVAL with *ret_acts not written. */
int mischief_parse(const char *text, uint32_t *ret_acts);

/* The words by index; NULL after the last. */
const char *mischief_word(size_t index);

/* A new life: what it did in the last one stays counted. */
void mischief_begin(struct mischief *mischief, uint32_t acts, uint64_t now_ms);

/* From now on. */
void mischief_set(struct guest *guest, uint32_t acts);

/* Where its balloon goes when its driver would go to told_kib. */
uint64_t mischief_aim_kib(const struct guest *guest, uint64_t told_kib);

/* Lives up to now: to be called before the balloon moves. May end the guest's life. */
void mischief_live(struct guest *guest, uint64_t told_kib, uint64_t now_ms);

/* Puts lies into what it would post. */
void mischief_lie(struct guest *guest, struct report *report);

/* True when it posts each time that it looks, whether anything matters or not. */
bool mischief_floods(const struct guest *guest);

/* It has just posted. */
void mischief_posted(struct guest *guest);

/* True when it misbehaves so that it must be looked at all the time. */
bool mischief_restless(const struct guest *guest);

#endif
