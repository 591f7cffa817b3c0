/* SPDX-License-Identifier: ISC */
/* Stage judge: who behaves. Giving and taking are judged from the hypervisor's figures alone; what
 * a domain says counts only where it says what cannot be. */
#ifndef BALLAST_CONDUCT_H
#define BALLAST_CONDUCT_H

#include "core/round.h"

/* Fills conduct of every domain from actual_kib and target_kib against what was asked before. */
void conduct_judge(struct round *round);

/* True when the domain holds more than its target asks for, by more than any offset explains. */
bool conduct_owes(const struct domain *domain);

/* True for a domain that is neither unhelpful nor malicious: what it holds is counted on, and it
 * may have more than its guarantee. */
static inline bool conduct_trusted(const struct domain *domain)
{
    return domain->conduct.class != CONDUCT_UNHELPFUL && domain->conduct.class != CONDUCT_MALICIOUS;
}

/* True for a domain that was forgiven a short time ago: it may have what it needs and no surplus,
 * since one that keeps what it is given would keep that too. */
bool conduct_on_probation(const struct round *round, const struct domain *domain);

/* True for a trusted domain that has no record: it never had to be forgiven, and took nothing of
 * late. Others do not keep for later what is above their share. */
bool conduct_clean(const struct round *round, const struct domain *domain);

#endif
