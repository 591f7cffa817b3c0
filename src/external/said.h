/* SPDX-License-Identifier: ISC */
/* What a program writes to its standard error: lines of our log, as long and as many as that
 * bears. */
#ifndef BALLAST_SAID_H
#define BALLAST_SAID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is longer is cut. */
#define SAID_LINE_SIZE 256

/* So many lines in so long; the others are counted. A program that fails tells why in fewer. */
#define SAID_LINES_MAX 20
#define SAID_WINDOW_MS 10000

/* All zero: nothing yet. */
struct said {
    char line[SAID_LINE_SIZE]; /* that has not ended yet */
    size_t len;
    uint64_t window_ms; /* when it began */
    unsigned lines;     /* logged in it */
    uint64_t dropped;
};

/* Logs what can be read now from fd, which does not block; now_ms: of any clock. False when no more
 * will come. */
bool said_take(struct said *said, int fd, uint64_t now_ms);

/* The program has ended: so has its last line. */
void said_end(struct said *said);

#endif
