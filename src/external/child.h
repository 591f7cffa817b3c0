/* SPDX-License-Identifier: ISC */
/* A program that runs beside us and answers one line to each line that it is told. */
#ifndef BALLAST_CHILD_H
#define BALLAST_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An answer may be so long. */
#define CHILD_ANSWER_MAX (4 * 1024 * 1024)

struct child;

struct said;

/* Starts argv[0], a path, in a process group of its own, with standard input and output from and to
 * us. What it writes to its standard error goes to said, which must outlive it; NULL: to ours.
 * Returns 0 or a negative errno. Who starts children ignores SIGPIPE. */
int child_start(char *const argv[], struct said *said, struct child **ret_child);

/* Tells it a line (without its end) and waits for the answer at most so long. It must owe none.
 * Returns 0 with *ret_answer, without its end and child's own until the next call; -EAGAIN: it owes
 * the answer still; -EPIPE: it has ended; -EMSGSIZE: too long an answer; -EPROTO: more than was
 * asked for, or a NUL in it; or another negative errno. After all but -EAGAIN only child_end() is
 * of use. */
int child_ask(struct child *child, const char *line, size_t len, uint64_t wait_ms,
              const char **ret_answer);

/* Goes on waiting for the answer that it owes; returns as child_ask() does. */
int child_wait(struct child *child, uint64_t wait_ms, const char **ret_answer);

bool child_owes(const struct child *child);

/* Ends it: its standard input is closed, and what has not ended by itself after wait_ms is killed,
 * with all its group. Into fate, when it is not NULL, how it ended: "ended with status 1". */
void child_end(struct child *child, uint64_t wait_ms, char *fate, size_t fate_size);

#endif
