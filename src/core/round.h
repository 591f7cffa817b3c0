/* SPDX-License-Identifier: ISC */
/* The one struct that goes through a round:
 *
 *   observe --> judge --> estimate --> decide --> pace --> guard --> apply --> publish
 *   host.h      conduct   demand       policies/  pace     guard     host.h    status, events
 *
 * Each stage fills its own fields and reads those of the stages before it; no stage calls back.
 * What a stage must remember from round to round stands in its own part of struct domain.
 * Sizes are KiB. Times are ms on the host's monotonic clock. "Held" sizes count what the hypervisor
 * counts (actual); "target" sizes are what libxl_set_memory_target takes. */
#ifndef BALLAST_ROUND_H
#define BALLAST_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bill.h"
#include "core/fill.h"
#include "core/guard.h"
#include "core/post.h"
#include "core/reserve.h"

/* Xen's own limit: domids from 0x7ff0 on are reserved. */
#define DOMAINS_MAX 32752

#define IDLE_TAX_MAX 1000

/* Names are the toolstack's; longer ones are cut for display. */
#define DOMAIN_NAME_SIZE 64

enum domain_type { DOMAIN_PV, DOMAIN_PVH, DOMAIN_HVM };

/* Only a running domain is touched; in every other phase it counts for all that it can reach. */
enum domain_phase {
    PHASE_RUNNING,
    PHASE_BUILDING,
    PHASE_PAUSED,
    PHASE_SHUTDOWN, /* halted, crashed or suspended, and not yet destroyed */
    PHASE_DYING,
};

enum conduct_class {
    CONDUCT_STARTING, /* no sign of a balloon driver yet */
    CONDUCT_COOPERATIVE,
    CONDUCT_UNHELPFUL, /* does not let go what it is asked for */
    CONDUCT_MALICIOUS, /* takes while it is asked to give, tells lies, or floods the store */
};

/* Why a domain has what it has: one reason, set in one function (engine.c: reason_of()). */
enum reason {
    REASON_UNMANAGED,     /* dom0, unless the configuration names it */
    REASON_UNTOUCHED,     /* being built, paused, shut down or dying */
    REASON_STARTING,      /* in its grace: nothing is taken */
    REASON_UNHELPFUL,     /* does not let go what it is asked for */
    REASON_MALICIOUS,     /* takes while it is asked to give: its guarantee only */
    REASON_STALLED,       /* cannot let go more now: it uses its memory */
    REASON_MINIMUM_SHORT, /* the minimums do not fit the host */
    REASON_WAITING,       /* memory that it should have is not free yet */
    REASON_GROWING,       /* on the way up to what it should have */
    REASON_SHRINKING,     /* on the way down to what it should have */
    REASON_SHARE,         /* needs more than there is: it has its weight's share */
    REASON_MINIMUM,       /* needs no more than its guarantee */
    REASON_MAXIMUM,       /* at its maximum */
    REASON_NEED,          /* has what it needs */
    REASON_SURPLUS,       /* has more than it needs: its share of what nobody needs */
};

/* The steps of a policy that shares what there is step by step (policies/weighted.c). */
enum policy_step {
    STEP_GUARANTEE, /* minimums, and what a domain is not to be taken below */
    STEP_CORE,      /* what it would miss at once */
    STEP_ROOM,      /* room to grow */
    STEP_SURPLUS,   /* what nobody needs */
    STEPS,
};

/* Why the target goes so far this round and no farther. */
enum pace {
    PACE_UNTOUCHED, /* left alone */
    PACE_THERE,     /* where it should be */
    PACE_SMALL,     /* so near to it that it waits */
    PACE_GRACE,     /* nothing is taken in the grace */
    PACE_LEFT,      /* could or would not: asked again later */
    PACE_UP,        /* growing is not slowed down */
    PACE_UNHELD,    /* what it does not hold is taken back at once */
    PACE_FOLLOWING, /* the next step comes when it has followed the last */
    PACE_FAST,      /* large steps: it does not use what it is asked for */
    PACE_URGENT,    /* large steps, whatever it uses: a guarantee waits */
    PACE_CAREFUL,   /* small steps: it uses what it is asked for */
    PACE_UNPACED,   /* the policy wants it set at once */
    PACE_PRESSED,   /* small steps and longer pauses: it also waits for memory */
};

/* What the configuration says of a domain. */
struct limits {
    uint64_t min_kib;  /* guarantee; 0: the floor that keeps a Linux guest alive (demand.h) */
    uint64_t max_kib;  /* limit; 0: static-max */
    uint64_t size_kib; /* for the policy "static"; 0: the size it was started with */
    uint32_t weight;   /* 1 to FILL_WEIGHT_MAX */
    int32_t priority;  /* higher is served first */
};

/* How often something happened since since_ms. */
struct tally {
    uint64_t since_ms;
    uint32_t count;
};

/* Stage judge: what was asked of the domain, and what it did. First what is looked at in each
 * round, then what is only when there is something to judge. */
struct conduct {
    enum conduct_class class;
    bool stalled;            /* asked to shrink, makes no progress, and uses what it holds */
    bool uses;               /* its posts since then say that it uses what it is asked for */
    bool pressed;            /* that it rests at its cap was counted, under this target */
    uint64_t retry_ms;       /* not asked again before */
    uint64_t asked_ms;       /* begin of the outstanding request to shrink; 0: none */
    uint64_t late_ms;        /* it is behind its own speed by so much */
    uint64_t told_late_ms;   /* of that, so much while it posted that it is asked for memory */
    uint64_t told_ms;        /* the last such post */
    uint64_t short_ms;       /* below its target without progress since; 0: not */
    uint64_t short_retry_ms; /* until then given no more than it holds: it takes no more */
    uint64_t forgiven_ms;    /* last time that it was; 0: never */
    uint64_t race_ms;        /* until then it may be on its way up to an older target */
    uint64_t base_kib;       /* what it may hold under this target: what is above was taken */
    uint32_t lies_seen;
    uint32_t floods_seen;

    /* the last look at it while it ran */
    uint64_t seen_ms; /* 0: none */
    uint64_t seen_kib;
    uint64_t seen_target_kib;
    uint64_t seen_cap_kib;

    struct tally takes; /* offences */

    /* the rest */
    uint64_t since_ms; /* in this class */
    const char *why;   /* it is in this class: a constant phrase; NULL: since it was first seen */

    /* giving */
    uint64_t stalled_at_kib;
    uint64_t asked_from_kib; /* held when it was asked */
    uint64_t asked_to_kib;   /* the least that it was asked to hold since */
    uint64_t owed_ms;        /* the last time that it held more than it was asked to */
    uint64_t progress_ms;    /* time of the last progress */
    uint64_t speed_kib_s;    /* what it has shown that it can let go; 0: not known */
    uint64_t work_ms;        /* of the sample of its speed that is being taken */
    uint64_t work_kib;

    /* waiting */
    uint64_t short_kib;     /* held when short_ms began */
    uint64_t short_wait_ms; /* the pause after the next failure to grow */

    /* taking */
    uint64_t order_kib; /* held when this target was given */
    uint64_t took_ms;   /* the last time that it took, as counted; 0: never */

    /* lies and floods */
    struct tally lies;
    struct tally floods;

    /* forgiving */
    uint64_t denied_kib;    /* what it was to hold when it became unhelpful */
    uint64_t retry_wait_ms; /* the pause after the next failure */
    uint64_t atone_ms;      /* malicious until then, without a new offence */
    uint64_t penance_ms;    /* how long that takes from an offence */
};

/* Stage estimate: the memory of the loop on one domain's posts. First what is looked at only when a
 * post came, then, next to the post, what is in each round. */
struct demand {
    uint64_t used_kib; /* held and not droppable, by the post that was looked at last */
    uint64_t swapped_kib;
    uint64_t room_kib; /* held and not used */
    uint64_t stall_us; /* counts of that post */
    uint64_t swap_in_pages;
    uint64_t own_kib;         /* used and swapped out, as it was when that changed last */
    uint64_t own_said_kib;    /* held then, or when it showed last what it uses, as it says */
    uint64_t own_held_kib;    /* the same, as the hypervisor says */
    uint64_t shown_kib;       /* used then, or the least since */
    uint64_t doubt_ms;        /* since when doubt fades */
    uint64_t plea_kib;        /* its pressure asked for this size, to be used; 0: it did not */
    uint64_t plea_ms;         /* the time of the post that asked */
    uint64_t plea_free_kib;   /* free in it by that post */
    uint64_t plea_used_kib;   /* when it uses this, it has used what it was given */
    uint64_t plea_unused_kib; /* when so much more is free than was, it has not */
    uint64_t boost_ms;        /* the last time that pressure added something */
    uint64_t silent_ms;       /* since when it was waited for its first post */
    uint32_t doubt; /* thousandths by which what pressure would add is cut: it asked without need */

    /* in each round */
    bool calm;           /* no pressure between the last two posts: boost_kib may go down */
    bool unshown;        /* it says that it uses much more than it has shown */
    uint64_t post_ms;    /* when the post came that was looked at last; 0: none yet */
    uint64_t full_ms;    /* so long it has left nothing unused, above its share */
    uint64_t unshown_ms; /* so long that has been so, above its share */
    uint64_t raw_kib;    /* what it uses by that post */
    uint64_t rise_kib;   /* what it will use beyond that if it goes on growing */
    uint64_t core_kib;   /* what it would miss at once, let down slowly */
    uint64_t roomy_kib;  /* with all its room to grow, let down slowly */
    uint64_t margin_kib; /* room to grow into, by that post */
    uint64_t boost_kib;  /* what pressure added */
    uint64_t updated_ms;
};

/* A domain's share of the CPUs, as the scheduler counts: cap in percent of one CPU, 0: none. */
struct sched {
    uint32_t weight;
    uint32_t cap;
};

/* What was done about a malicious domain. */
struct remedy {
    bool applied; /* what is needed to undo it is kept */
    bool failed;  /* the call that applies it has */
    bool told;
    struct sched was; /* before */
    struct sched set;
    uint64_t retry_ms; /* a call failed: not tried before */
};

/* What a domain's entitlement rests on. weight 0: it does not share. */
struct stake {
    uint64_t min_kib;
    uint64_t max_kib;
    uint32_t weight;
};

/* First the figures that most stages look at, near each other because every stage goes through all
 * domains, and thousands of them do not fit the processor's caches; then what stages remember of
 * each domain, with what is seldom looked at apart. A size that is a multiple of 128 makes a round a
 * tenth slower (measured): the same figure of all domains then shares half of a cache. */
struct domain {
    /* identity: a domid alone is used again after a domain's end */
    uint32_t domid;
    enum domain_type type;
    uint8_t uuid[16];
    bool seen;     /* in the observation that is under way */
    bool is_new;   /* seen for the first time in it */
    bool told;     /* that it is there: once it has a name, which a half-built one may lack */
    bool nameless; /* has none yet: what stands in `name` is ours */
    bool appeared; /* with its name: a reservation that is for it was looked for */

    /* configuration, applied by config_apply() */
    bool managed;
    struct limits limits;
    uint64_t min_kib; /* effective: limits with static-max and the floor */
    uint64_t max_kib;
    uint64_t config_generation;

    /* observe */
    bool has_target; /* memory/target was there to read */
    enum domain_phase phase;
    uint64_t actual_kib; /* held now */
    uint64_t target_kib;

    /* judge */
    int64_t offset_kib; /* held minus target at rest: what the kernel or the toolstack hides */

    /* estimate */
    uint64_t core_kib; /* what it would miss at once, be it less than its minimum */
    uint64_t need_kib; /* with room to grow: from the larger of core_kib and min_kib to max_kib */
    uint64_t entitled_kib; /* what its weight gives it, were everybody to use all they may */
    bool insists; /* on memory above its weight's share, and has not shown that it uses it */

    /* decide */
    bool shares;         /* takes part in the filling; else it keeps what it can reach */
    uint64_t bottom_kib; /* not to be taken below, this round */
    uint64_t top_kib;    /* not to be given more, this round */
    uint64_t want_kib;   /* held */
    uint64_t
        step_kib[STEPS]; /* what each step of the policy brought it to; round.steps were taken */

    /* pace */
    uint64_t goal_kib; /* target to reach this round */

    /* judge remembers */
    struct conduct conduct;
    uint64_t rest_ms; /* target and held are what they are since */
    uint64_t rest_held_kib;
    uint64_t rest_target_kib;

    /* observe, besides */
    uint64_t actual_low_kib; /* the least of the two readings around the host's own (host.h) */
    uint64_t cap_kib;
    uint64_t claim_kib; /* claimed and not yet taken */
    uint64_t slack_kib; /* cap above target, as the toolstack's call sets it */
    uint64_t static_max_kib;
    uint64_t started_ms; /* when it was started, or first seen */
    uint64_t start_kib;  /* target when first seen */
    uint32_t floods;     /* times that it flooded the store and was not listened to for a while */

    /* pace, besides, and what it remembers */
    enum pace pace;    /* why goal_kib goes no farther */
    uint64_t small_ms; /* a change too small for a call is wanted since; 0: not */
    uint64_t step_ms;  /* last step of a careful shrink */
    uint64_t nudge_ms; /* last time a sleeping balloon driver was woken */

    /* guard */
    uint64_t grant_kib; /* target that the guard let through */

    /* apply */
    enum reason reason;
    bool reasoned;          /* it had a reason before: a change is told */
    uint64_t call_retry_ms; /* its call failed: left alone before */
    uint64_t call_wait_ms;  /* the pause after the next failure; 0: the last call worked */

    /* estimate, besides, and what it remembers */
    int64_t available_kib; /* held minus need; negative: short by so much */
    struct stake stake;
    struct demand demand;
    struct post post;

    /* accounts; what the daemon keeps of them beyond its own end (daemon/ledger.h) */
    struct bill bill;
    uint32_t goodness; /* thousandths: what it is entitled to against what it holds, smoothed */
    bool recalled;     /* what was kept of it is known */
    uint64_t kept_ms;  /* its bill was kept last */
    struct remedy remedy;

    char name[DOMAIN_NAME_SIZE];
};

enum event_kind {
    EVENT_DOMAIN_NEW,
    EVENT_DOMAIN_GONE,
    EVENT_CONDUCT,
    EVENT_REASON,
    EVENT_BAD_POST,
    EVENT_FLOOD,
    EVENT_MINIMUMS,
    EVENT_HEADROOM,
    EVENT_CALL_FAILED,
    EVENT_POLICY,
    EVENT_RESERVATION,
};

#define EVENT_TEXT_SIZE 160

struct event {
    enum event_kind kind;
    uint32_t domid;   /* UINT32_MAX: the host */
    uint8_t uuid[16]; /* of the domain */
    char name[DOMAIN_NAME_SIZE];
    char text[EVENT_TEXT_SIZE];
    struct bill bill; /* of a domain that is gone; at_ms 0: what was kept of it was not recalled */
};

/* More than these in one round are counted and not told. */
#define EVENTS_MAX 256

struct round {
    uint64_t now_ms;
    uint64_t number;

    /* observe: the host */
    uint64_t total_kib;
    uint64_t free_kib;
    uint64_t scrub_kib;  /* will be free soon; not counted on */
    uint64_t claims_kib; /* claims that no domain in the list accounts for */
    uint64_t moved_kib;  /* by guests while all this was read: headroom may seem less by so much */

    /* configuration */
    uint64_t reserve_kib;
    uint64_t pool_kib; /* kept free for growth before room to grow is given */
    bool surplus_spread;
    uint32_t idle_tax; /* thousandths: a page that nobody needs counts for so much less */
    uint64_t grace_ms;

    /* estimate: what the entitlements of the last round rested on, besides each domain's stake */
    uint64_t entitled_of_kib; /* shared out by weight */
    size_t sharers;
    int32_t least_priority; /* of them */

    /* estimate */
    uint64_t insisted_kib; /* what domains insist on above their shares */

    /* decide */
    bool unpaced; /* wants become targets at once, without pace.c */

    /* decide: what nobody needs, the surplus (policies/weighted.c) */
    bool taking;        /* some of it is taken back, for need and until the pool is full */
    uint64_t taken_ms;  /* the last time that it was, or the first round; 0: there was none */
    bool spreading;     /* it is shared out anew, by weight */
    uint64_t spread_ms; /* the last time that it was */
    uint64_t even_ms;   /* after so long without taking, unequal sizes are reason enough */
    bool staying;       /* it is not shared out anew: it is where it was */

    /* engine: what the domains with `shares` may hold together */
    uint64_t share_kib;
    bool minimums_fit;
    bool waiting; /* after the last round somebody should have had more and it was not there */
    bool missing; /* and misses it, not only room to grow */
    bool urgent;  /* a guarantee or a reservation waits, or headroom is negative: full speed */

    /* reservations, which stay from round to round */
    struct reservations reservations;
    uint64_t reserved_kib; /* what they count with: gathered, and not taken over by a domain */

    /* decide */
    unsigned steps; /* that the policy took; 0: it does not go step by step */

    /* guard */
    int64_t headroom_kib;
    uint64_t slip_kib;     /* counted in it: what seemed to be missing while guests moved */
    uint64_t promised_kib; /* granted and not taken yet, over all domains */

    struct domain *domains; /* ascending by domid */
    size_t count;
    size_t room;

    /* scratch of the stages, as long as domains: allocated when the array grows, never in a
     * round */
    struct fill_item *fill;
    uint32_t *fill_index;
    uint64_t *spare_kib; /* of those in fill: held, or to be held, and not needed */
    struct guard_domain *guard;
    uint32_t *order; /* indices of domains, the highest priority first: given first, cut last */
    struct guard_call *calls;
    size_t call_count;

    struct event events[EVENTS_MAX];
    size_t event_count;
    size_t events_lost;
};

void round_init(struct round *ret_round);
void round_free(struct round *round);

/* Starts an observation: no domain is seen yet, no event is there. */
void round_begin(struct round *round, uint64_t now_ms);

/* The domain with this domid and UUID, new (all else zero, started_ms now) when it was not there;
 * one with the same domid and another UUID is forgotten. Marks it seen. Pointers to other domains
 * are invalid after it. Returns NULL without memory or above DOMAINS_MAX. */
struct domain *round_see(struct round *round, uint32_t domid, const uint8_t uuid[16]);

/* Ends it: domains that were not seen are gone. */
void round_end(struct round *round);

/* NULL when there is none. */
struct domain *round_find(const struct round *round, uint32_t domid);
struct domain *round_find_name(const struct round *round, const char *name);

/* Notes an event; domain NULL: of the host. The second formats, which takes longer. */
void round_tell(struct round *round, enum event_kind kind, const struct domain *domain,
                const char *text);
void round_note(struct round *round, enum event_kind kind, const struct domain *domain,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

#define UUID_TEXT_SIZE 37
void domain_uuid_text(const uint8_t uuid[16], char ret_text[UUID_TEXT_SIZE]);

/* Lower case, as domain_uuid_text() writes it. Returns 0 or -EINVAL. */
int domain_uuid_parse(const char *text, uint8_t ret_uuid[16]);

/* What a domain keeps at that time, if the minimums allow it: in its grace what it was started
 * with, and what it showed that it cannot let go. */
uint64_t round_bottom_kib(const struct round *round, const struct domain *domain, uint64_t at_ms);

/* Has the processor fetch what lies between two offsets of the domain after next while it works on
 * the i-th. */
static inline void round_fetch_ahead(const struct round *round, size_t i, size_t from, size_t to)
{
    if (i + 2 >= round->count)
        return;
    for (size_t at = from; at < to; at += 64)
        __builtin_prefetch((const char *)&round->domains[i + 2] + at);
}

/* Whether its target may be set: it is managed, runs, and has one. */
static inline bool domain_touchable(const struct domain *domain)
{
    return domain->managed && domain->has_target && domain->phase == PHASE_RUNNING;
}

/* Fills round.order. Not qsort(), which allocates; domains have few priorities. */
void round_order(struct round *round);

/* Names as they are shown and put into JSON; never NULL. */
const char *domain_type_name(enum domain_type type);
const char *domain_phase_name(enum domain_phase phase);
const char *conduct_name(enum conduct_class class);
const char *step_name(enum policy_step step); /* "guarantee" */
const char *pace_name(enum pace pace);        /* "careful" */
const char *reason_name(enum reason reason);  /* a word: "need" */
const char *reason_text(enum reason reason);  /* a phrase: "has what it needs" */
const char *event_name(enum event_kind kind); /* as on the socket: "CONDUCT" */

#endif
