/* SPDX-License-Identifier: ISC */
/* Reservations: memory freed and held for somebody, for a limited time.
 *
 *   waiting --> ready --> taken --> ended
 *
 * A waiting one gathers what headroom gives, the first in the queue before the next; what it still
 * lacks is no longer shared out, so that the policy takes it from the domains, down to their
 * minimums. It counts with what it has gathered, and gathers only headroom that was observed: so
 * the promise holds with it as without it. A ready one is taken by the domain that it is for when
 * that is being built: what the domain can reach then counts for the domain, and no longer for the
 * reservation.
 *
 * All is pure but for the struct: time is an argument. */
#ifndef BALLAST_RESERVE_H
#define BALLAST_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct domain;
struct round;

#define RESERVATIONS_MAX 64
#define RESERVATION_NAME_SIZE 64

/* Without a limit of its own, how long one waits, and how long it is held. */
#define RESERVE_WAIT_MS 60000
#define RESERVE_HOLD_MS 60000

/* No one may be asked for longer. */
#define RESERVE_MOST_MS 86400000

enum reservation_state {
    RESERVATION_WAITING,
    RESERVATION_READY,
    RESERVATION_TAKEN, /* its domain is being built */
    RESERVATION_ENDED, /* forgotten when the next round begins */
};

enum reservation_end {
    END_NONE,
    END_DONE,       /* its domain was built */
    END_RELEASED,   /* given back */
    END_EXPIRED,    /* was ready, and its time is over */
    END_LATE,       /* was not ready in time */
    END_IMPOSSIBLE, /* more than can be had */
};

struct reservation {
    uint64_t id;
    char name[RESERVATION_NAME_SIZE]; /* of its domain; empty: the first new one once it is ready,
                                         but none that reboots */
    uint64_t least_kib;
    uint64_t most_kib;
    uint64_t hold_ms; /* is held so long once it is ready */
    uint64_t made_ms;
    uint64_t until_ms; /* waits, or is held, until then */
    enum reservation_state state;
    enum reservation_end end;
    uint64_t gathered_kib;
    uint64_t counted_kib; /* of it: what no domain has taken over yet */
    uint64_t grown_ms;    /* gathered last */
    uint64_t can_kib;     /* could be had for it, when it was judged last */
    uint64_t can_ms;      /* it could be met last; 0: never yet */
    bool restored;        /* of an earlier daemon, and not looked at yet */
    bool told;            /* who asked for it knows that it is ready */
    uint8_t uuid[16];     /* of the domain that takes it */
};

/* A domain that has just gone: another with its UUID is no new one, it reboots. */
struct reserve_gone {
    uint8_t uuid[16];
    uint64_t at_ms; /* 0: none */
};

#define RESERVE_GONE_MAX 16

struct reservations {
    struct reservation list[RESERVATIONS_MAX]; /* first come first served */
    size_t count;
    uint64_t last_id;
    struct reserve_gone gone[RESERVE_GONE_MAX]; /* the last ones, in a ring */
    size_t gone_next;
};

/* What is asked for. */
struct reserve_request {
    const char *name; /* NULL: no certain domain */
    uint64_t least_kib;
    uint64_t most_kib; /* at least least_kib */
    uint64_t wait_ms;  /* at most so long */
    uint64_t hold_ms;
};

/* At the end of the queue. Returns NULL when there are RESERVATIONS_MAX. */
struct reservation *reserve_add(struct reservations *reservations,
                                const struct reserve_request *request, uint64_t now_ms);

/* NULL when there is none, or it has ended. */
struct reservation *reserve_find(struct reservations *reservations, uint64_t id);

void reserve_release(struct reservation *reservation);

/* The parts of reckoning up the host (engine.c). First: ends those whose time is over, and gives
 * those whose domain has appeared to it. Sets reserved_kib. */
void reserve_begin(struct round *round);

/* Then, when headroom with them is short_kib below 0: lessens what they count with by up to that,
 * the last in the queue first. Only of those whose domain is being built, since a build takes more
 * than what counts for the domain; and of those of an earlier daemon, since what it had gathered
 * may not be free any more. */
void reserve_yield(struct round *round, uint64_t short_kib);

/* Gathers of headroom_kib, in the order of the queue, and leaves keep_kib. */
void reserve_gather(struct round *round, uint64_t keep_kib);

/* What they still lack: of what they must have, and of what they would have beyond that. */
struct reserve_wants {
    uint64_t must_kib;
    uint64_t may_kib;
};
struct reserve_wants reserve_wants(const struct reservations *reservations);

/* At last: says which are ready, and which can never be, given that share_kib is to be shared
 * out. What those have gathered is headroom again, and shared out. */
void reserve_judge(struct round *round);

/* At most so many ms until one changes of itself; UINT64_MAX: none does. */
uint64_t reserve_due_ms(const struct round *round);

/* Who holds how much that a reservation cannot have, and why. */
enum reserve_why {
    HOLDS_MINIMUM,   /* guaranteed to it */
    HOLDS_STARTING,  /* in its grace until after the reservation's time */
    HOLDS_STALLED,   /* uses it */
    HOLDS_UNHELPFUL, /* does not let go */
    HOLDS_UNTOUCHED, /* is being built, paused, shut down or dying */
    HOLDS_UNMANAGED, /* dom0 */
    HOLDS_RESERVE,   /* the host's: not a domain */
    HOLDS_RESERVED,  /* for other reservations: not a domain */
};

struct reserve_holder {
    const struct domain *domain; /* NULL: the host */
    enum reserve_why why;
    uint64_t holds_kib;
    uint64_t keeps_kib; /* of it */
};

#define RESERVE_HOLDERS_MAX 32

struct reserve_report {
    struct reserve_holder holders[RESERVE_HOLDERS_MAX]; /* those that keep most, most first */
    size_t count;
};

/* As of the round that has just run. */
void reserve_report(const struct round *round, const struct reservation *reservation,
                    struct reserve_report *ret_report);

/* Which one it is: "3 (512 MiB for web)". Returns text. */
#define RESERVE_LABEL_SIZE 96
const char *reserve_label(const struct reservation *reservation, char text[RESERVE_LABEL_SIZE]);

/* Why one has ended, in a sentence that names who keeps most. */
#define RESERVE_TEXT_SIZE 512
void reserve_explain(const struct round *round, const struct reservation *reservation,
                     char text[RESERVE_TEXT_SIZE]);

/* Words as they are shown and put into JSON; never NULL. */
const char *reservation_state_name(enum reservation_state state);
const char *reservation_end_text(enum reservation_end end); /* a phrase: "given back" */
const char *reserve_why_name(enum reserve_why why);         /* a word: "minimum" */

#endif
