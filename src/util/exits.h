/* SPDX-License-Identifier: ISC */
/* What the programs end with, besides EXIT_SUCCESS and EXIT_FAILURE. */
#ifndef BALLAST_EXITS_H
#define BALLAST_EXITS_H

#define EXIT_USAGE 2 /* started wrongly: nothing was done */

#endif
