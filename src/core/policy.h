/* SPDX-License-Identifier: ISC */
/* Stage decide: what each domain should have. A policy is one file in policies/, a pure function of
 * the round: no I/O, no clock, no allocation, no state but what the round carries. */
#ifndef BALLAST_POLICY_H
#define BALLAST_POLICY_H

#include "core/round.h"

struct policy {
    const char *name;    /* as in the configuration */
    const char *summary; /* one line, for --help and the manual */

    /* Sets want_kib of each domain with `shares`, in [bottom_kib, top_kib], so that the sum is at
     * most share_kib. Not called when the minimums do not fit. */
    void (*decide)(struct round *round);
};

/* The text of a policy that is a program of the operator's own (external/external.h): this, and its
 * command: a path and arguments with blanks between them, no shell. */
#define POLICY_EXTERNAL "external:"
#define POLICY_COMMAND_MAX 1024
#define POLICY_TEXT_SIZE (sizeof(POLICY_EXTERNAL) + POLICY_COMMAND_MAX)

extern const struct policy policy_weighted;
extern const struct policy policy_proportional;
extern const struct policy policy_static;

/* What counts of held_kib where what nobody needs is shared out: of what it needs, what the tax
 * leaves. What it is left for another reason, its grace or a balloon that does not go on, is no less
 * idle for that, and counts as a whole. */
uint64_t policy_taxed_kib(const struct round *round, const struct domain *domain,
                          uint64_t held_kib);

/* For a policy that goes in the steps of round.h: notes what the next of them has brought each
 * domain to, for those who ask why. */
void policy_note_step(struct round *round);

/* NULL when there is none of this name. */
const struct policy *policy_find(const char *name);

/* Policies by index, NULL after the last. */
const struct policy *policy_at(size_t index);

/* The command of a text of that kind; NULL when it is of another, or the command is none: empty,
 * too long, or with characters that no command line holds. */
const char *policy_command(const char *text);

/* A tool of policies: gives out left_kib, and what domains want already, by weight, the highest
 * priority first: each domain from floor_of() to ceiling_of(). Returns what is left. */
uint64_t policy_fill(struct round *round, uint64_t left_kib,
                     uint64_t (*floor_of)(const struct domain *),
                     uint64_t (*ceiling_of)(const struct domain *));

/* Calls the policy, if the minimums fit; else they go by priority and weight. Checks what comes
 * out: the sum, and the bounds. When it is wrong all of it is rejected: every domain wants what it
 * holds, and a negative errno is returned. Domains without `shares` want what they hold in any
 * case; those that are unhelpful, no more than their guarantee. */
int policy_decide(const struct policy *policy, struct round *round);

/* The two ends of that call, for a policy that is no function. */

/* Begins: puts the domains in order, and every domain wants what it holds, as policy_decide()
 * says. */
void policy_hold(struct round *round);

/* Returns 0; or, with the first domain that is wrong, -ERANGE when it wants what it may not have,
 * or -E2BIG when it wants more than those before it have left of share_kib. */
int policy_check(const struct round *round, const struct domain **ret_culprit);

#endif
