/* SPDX-License-Identifier: ISC */
/* Weighted max-min filling: finds the level at which the sum of clamp(level * weight, floor,
 * ceiling) is what is there, in whole KiB, and gives out exactly that. */
#ifndef BALLAST_FILL_H
#define BALLAST_FILL_H

#include <stddef.h>
#include <stdint.h>

#define FILL_WEIGHT_MAX 65536
#define FILL_KIB_MAX (UINT64_C(1) << 40) /* 1 PiB: products with weights stay in 64 bits */
#define FILL_ITEMS_MAX 32768

struct fill_item {
    uint64_t floor_kib;   /* at most ceiling_kib */
    uint64_t ceiling_kib; /* at most FILL_KIB_MAX */
    uint64_t weight;      /* 1 to FILL_WEIGHT_MAX */
    uint64_t given_kib;   /* out */
};

/* Gives out there_kib over items[0..n). Sets every given_kib within [floor_kib, ceiling_kib] and
 * returns what is left: 0 unless every item is at its ceiling. When the floors do not fit, the
 * floors become the ceilings and the floors 0: everybody is short by weight.
 * Ties (a KiB that several could have) go to the lower index: with items in a fixed order, more to
 * give never gives anybody less, and a higher floor or ceiling never gives its owner less. */
uint64_t fill(struct fill_item *items, size_t n, uint64_t there_kib);

#endif
