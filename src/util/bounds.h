/* SPDX-License-Identifier: ISC */
/* The lesser, the larger, how far they lie apart or one above the other, and what lies between. */
#ifndef BALLAST_BOUNDS_H
#define BALLAST_BOUNDS_H

#include <stdint.h>

static inline uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* How far a lies above b; 0 when it does not. */
static inline uint64_t above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* low <= high */
static inline uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

#endif
