/* SPDX-License-Identifier: ISC */
/* The bill of a domain: how much memory for how long. It is exact: KiB times ms, in two words, which
 * hold the memory of a host of 1 TiB for five hundred years. */
#ifndef BALLAST_BILL_H
#define BALLAST_BILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sum of both. Each round adds to kib_ms, which is carried over to kib_s only when it is nearly
 * full: that takes a division. */
struct bill_item {
    uint64_t kib_s;
    uint64_t kib_ms;
};

struct bill {
    struct bill_item granted;  /* held */
    struct bill_item entitled; /* what its weight gave it */
    struct bill_item above;    /* held above that */
    struct bill_item unmet;    /* needed and not held */
    struct bill_item idle;     /* held and not needed */
    uint64_t goodness_ppm;     /* 1000000 is good; smoothed */
    uint64_t at_ms;            /* reckoned up to here; 0: not begun */
};

/* What held between at_ms and now. */
struct bill_sizes {
    uint64_t held_kib;
    uint64_t entitled_kib;
    uint64_t need_kib;
};

/* The longest text of a bill, with its NUL. */
#define BILL_TEXT_SIZE 256

/* Adds the time from at_ms to now_ms; the first time only begins. Returns goodness in thousandths:
 * what it is entitled to against what it holds, at most 1000, smoothed over a minute. */
uint32_t bill_add(struct bill *bill, const struct bill_sizes *sizes, uint64_t now_ms);

/* Whole KiB s. */
uint64_t bill_kib_s(const struct bill_item *item);

/* MiB hours, for people. */
double bill_mib_h(const struct bill_item *item);

/* A line that bill_read() understands, for keeping; returns its length. */
size_t bill_write(const struct bill *bill, char text[BILL_TEXT_SIZE]);

/* Adds what was kept to *bill (which may have begun). Returns 0, or -EINVAL for what is no bill. */
int bill_read(const char *text, struct bill *bill);

/* For people: "held 1.5 MiB h, entitled to 2.0, ..."; cut to size. */
void bill_say(const struct bill *bill, char *text, size_t size);

#endif
