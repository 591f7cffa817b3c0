/* SPDX-License-Identifier: ISC */
#include "util/floor.h"

#include <stddef.h>

struct knot {
    uint64_t size_mib;
    uint64_t floor_mib;
};

static const struct knot knots[] = {
    { 0, 0 },      { 16, 16 },    { 32, 24 },      { 128, 72 },      { 512, 168 },
    { 2048, 360 }, { 8192, 552 }, { 32768, 1320 }, { 131072, 4392 },
};

#define KNOTS (sizeof(knots) / sizeof(knots[0]))

uint64_t floor_kib(uint64_t static_max_kib)
{
    size_t i = 1;

    while (i < KNOTS - 1 && static_max_kib > knots[i].size_mib * 1024)
        i++;

    /* Beyond the last knot the last line goes on. */
    return knots[i - 1].floor_mib * 1024
           + (static_max_kib - knots[i - 1].size_mib * 1024)
                 * (knots[i].floor_mib - knots[i - 1].floor_mib)
                 / (knots[i].size_mib - knots[i - 1].size_mib);
}
