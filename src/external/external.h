/* SPDX-License-Identifier: ISC */
/* Policies that are programs of the operator's own: each round goes to one as a line of JSON, and
 * its answer says what each domain should have (docs/external.md). It is the one policy that does
 * I/O; whatever it does costs a round no more than its deadline, and what it answers is checked as
 * that of any policy. */
#ifndef BALLAST_EXTERNAL_H
#define BALLAST_EXTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/round.h"
#include "util/json.h"

struct external;

/* Looks at a policy's text. When it is that of a program, the program must be there and executable,
 * and, where from_root is true, named by its path from the root: the daemon has no directory of its
 * own. Returns 0, or -EINVAL with a sentence in error. */
int external_check(const char *policy, bool from_root, char *error, size_t error_size);

/* Of a policy's text "external:COMMAND ARGS". Starts nothing yet. What the program writes to its
 * standard error goes to our log when logged is true, else to ours. NULL without memory. */
struct external *external_new(const char *policy, bool logged);

/* Ends the program, if it runs. NULL is fine. */
void external_free(struct external *external);

/* Whether it was made of this text; NULL is of none. */
bool external_is(const struct external *external, const char *policy);

/* Asks the program, which it starts when it does not run, and waits at most wait_ms. Returns 0 with
 * want_kib of every domain and round->unpaced set. Else a negative errno: the program does not run,
 * is late or wrong, and another policy must decide. Notes an event when this begins, and when the
 * program has answered well again for a while. */
int external_decide(struct external *external, struct round *round, uint64_t wait_ms);

/* Rounds that it did not decide, and why not, at the last of them. */
uint64_t external_failures(const struct external *external, const char **ret_why);

/* The two halves of the protocol, without a program. */

/* Writes what the program is told of a round. */
void external_question(struct json *json, const struct round *round);

/* Takes an answer in: want_kib of the domains that it names, and round->unpaced. Returns 0; -EINVAL
 * when it is none, with a sentence in error. */
int external_answer(const char *text, struct round *round, char *error, size_t error_size);

#endif
