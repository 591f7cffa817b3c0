/* SPDX-License-Identifier: ISC */
/* Who plays the guests, and the commands that he takes. README.md lists them. */
#ifndef BALLAST_FAKEXEN_PLAYER_H
#define BALLAST_FAKEXEN_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "hv.h"

struct xs_handle;

/* A wait for a higher target, begun by "race". */
struct race {
    bool on;
    uint32_t domid;
    uint64_t old_kib;
    uint64_t start_ns;
    uint64_t end_ns;
};

struct player {
    struct hv *hv;
    struct xs_handle *dom0; /* NULL while the store is away */
    struct guest *guests;   /* HV_DOMAINS of them, by domid */
    uint32_t highest;       /* domid of a guest, ever */
    struct race race;
};

/* Connects to the store as dom0, with a watch on each guest's target whose token is the domid, when
 * there is no connection. Returns 0 or a negative errno. */
int player_connect(struct player *player);

/* Reads memory/target. Returns 0 or a negative errno. */
int player_read_target(struct player *player, uint32_t domid, uint64_t *ret_kib);

/* Prints one line on standard output. */
void player_answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs one command of n words (at least one), which it may change, and answers it; "race" is
 * answered later. */
void player_run(struct player *player, char **words, int n);

#endif
