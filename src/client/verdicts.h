/* SPDX-License-Identifier: ISC */
/* How the guests of a simulation were judged: who was accused when, beside what they really did,
 * and whether the rounds came in time. */
#ifndef BALLAST_VERDICTS_H
#define BALLAST_VERDICTS_H

#include "client/outcome.h"
#include "core/round.h"
#include "host/host.h"

struct verdict {
    enum conduct_class class; /* at the last look */
    uint64_t unhelpful;       /* so often it was called that */
    uint64_t malicious;
    uint64_t accused_ms;    /* spent as one or the other */
    uint64_t recognised_ms; /* from its first offence to the accusation; UINT64_MAX: not yet */
    uint64_t attempts;      /* offences until then */
};

struct verdicts {
    struct verdict *guests; /* in the scenario's order */
    size_t count;
    uint64_t last_ms; /* of the round before; 0: none */
    uint64_t gap_ms;  /* the longest between two rounds */
    uint64_t told;    /* events for the operator */
    uint64_t logged;  /* those of them that the daemon logs */
};

/* Returns 0 or -ENOMEM. */
int verdicts_init(struct verdicts *ret_verdicts, size_t count);
void verdicts_free(struct verdicts *verdicts);

/* Looks at a round that has just been. */
void verdicts_look(struct verdicts *verdicts, const struct round *round, const struct host *host);

/* At the end: writes the figures into the outcome. */
void verdicts_report(const struct verdicts *verdicts, const struct host *host,
                     struct outcome *outcome);

#endif
