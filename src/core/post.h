/* SPDX-License-Identifier: ISC */
/* What a domain posted, whatever its dialect, in one form. Everything in it was written by a guest:
 * parsed strictly, clamped against what the hypervisor knows. */
#ifndef BALLAST_POST_H
#define BALLAST_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/report.h"

enum dialect {
    DIALECT_NONE,
    DIALECT_BALLAST,     /* data/ballast/stats */
    DIALECT_XENSERVER,   /* data/meminfo_total, data/meminfo_free */
    DIALECT_QUBES,       /* memory/meminfo, memory/swapinfo */
    DIALECT_SELFBALLOON, /* memory/selftarget, memory/minimum, of the self-balloon patch of 2008 */
};

/* A post older than this says nothing of now: XenServer's agents post every 60 s. */
#define POST_STALE_MS 150000

struct post {
    enum dialect dialect; /* of the last good post */
    uint32_t lies;        /* of our dialect: posts that could be read and said what cannot be */
    bool bad;           /* the last post did not parse; the one before it is not believed either */
    uint64_t at_ms;     /* when the last good post was read */
    uint64_t held_kib;  /* what the domain held then */
    uint64_t used_kib;  /* held and not droppable, by that post; at most held_kib */
    uint64_t cache_kib; /* the active part of the droppable cache */
    uint64_t minimum_kib; /* a floor of its own, of one that sizes itself; 0: none */
    uint64_t wish_kib;    /* the size it asks for then, also above held_kib; 0: none */
    uint64_t lie_seq;     /* of the last of the lies */
    struct report report; /* REPORT_ABSENT where the dialect does not say */
};

/* The text of one node; text NULL: the node is not there. */
struct post_text {
    const char *text;
    size_t len;
};

/* Each takes what was read from the domain's nodes at now_ms, while the domain held held_kib, and
 * writes *post (but for our own dialect when its sequence number is the one we have: then nothing
 * new was posted, and the post goes on ageing). Returns 0; or -EINVAL when it does not parse or
 * contradicts itself or held_kib: then post->bad is set and the rest stays. static_max_kib: for
 * dialects that do not say what their kernel hides. */
int post_take_ballast(struct post *post, struct post_text stats, uint64_t held_kib,
                      uint64_t now_ms);
int post_take_xenserver(struct post *post, struct post_text total, struct post_text available,
                        uint64_t held_kib, uint64_t now_ms);
int post_take_qubes(struct post *post, struct post_text meminfo, struct post_text swapinfo,
                    uint64_t held_kib, uint64_t static_max_kib, uint64_t now_ms);
int post_take_selfballoon(struct post *post, struct post_text selftarget, struct post_text minimum,
                          uint64_t held_kib, uint64_t now_ms);

/* True when there is a good post that is not too old: what it says may be used. */
bool post_usable(const struct post *post, uint64_t now_ms);

const char *dialect_name(enum dialect dialect);

#endif
