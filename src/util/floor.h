/* SPDX-License-Identifier: ISC */
/* The size below which a Linux guest does not live. */
#ifndef BALLAST_FLOOR_H
#define BALLAST_FLOOR_H

#include <stdint.h>

/* For a guest of this static-max: the piecewise straight line of the self-balloon driver
 * (minimum_target() in Linux' xen-selfballoon, 2008 to 2019), in MiB:
 * 0:0 16:16 32:24 128:72 512:168 2048:360 8192:552 32768:1320 131072:4392. */
uint64_t floor_kib(uint64_t static_max_kib);

#endif
