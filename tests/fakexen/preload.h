/* SPDX-License-Identifier: ISC */
/* What the parts of fakexen.so share. Only what stands in for a library's function is exported, so
 * that nothing here can meet a name of the program that it is loaded into. */
#ifndef BALLAST_FAKEXEN_PRELOAD_H
#define BALLAST_FAKEXEN_PRELOAD_H

#include <stddef.h>
#include <stdint.h>

struct hv;

#define EXPORT __attribute__((visibility("default")))
#define FAKE_PAGE_SIZE 4096u

/* The host's state, mapped at the first call. NULL when there is none. */
struct hv *preload_hv(void);

/* What every xen..._open() hands out: opaque to the caller, never looked at here. */
void *preload_handle(void);

#endif
