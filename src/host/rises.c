/* SPDX-License-Identifier: ISC */
#include "host/rises.h"

#include <stdlib.h>

void rises_free(struct rises *rises)
{
    free(rises->wait_ms_of);
    free(rises->whole_ms_of);
    *rises = (struct rises){ .rising = false };
}

void rises_begin(struct rises *rises, uint64_t now_ms)
{
    rises->rising = true;
    rises->from_ms = now_ms;
    rises->wait_ms = 0;
}

/* Room for one more figure in both. */
static bool make_room(struct rises *rises)
{
    size_t room = rises->kept ? rises->kept * 2 : 1;
    uint32_t *more;

    if (rises->kept & (rises->kept - 1))
        return true;
    more = realloc(rises->wait_ms_of, room * sizeof(*more));
    if (!more)
        return false;
    rises->wait_ms_of = more;
    more = realloc(rises->whole_ms_of, room * sizeof(*more));
    if (!more)
        return false;
    rises->whole_ms_of = more;
    return true;
}

void rises_end(struct rises *rises, uint64_t now_ms, bool served)
{
    uint64_t whole_ms = now_ms - rises->from_ms;

    if (!rises->rising)
        return;
    rises->rising = false;
    rises->count++;
    if (!served)
        rises->unserved++;
    if (!make_room(rises))
        return;
    rises->wait_ms_of[rises->kept] =
        rises->wait_ms < UINT32_MAX ? (uint32_t)rises->wait_ms : UINT32_MAX;
    rises->whole_ms_of[rises->kept] = whole_ms < UINT32_MAX ? (uint32_t)whole_ms : UINT32_MAX;
    rises->kept++;
}
