/* SPDX-License-Identifier: ISC */
#include "core/bill.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report/report.h"
#include "util/bounds.h"

/* Goodness follows with this time constant: longer than a step down takes, shorter than
 * patience. */
#define GOODNESS_MS 60000
#define GOODNESS_FULL 1000000

/* The items in the order of the text. */
static const size_t items[] = {
    offsetof(struct bill, granted), offsetof(struct bill, entitled), offsetof(struct bill, above),
    offsetof(struct bill, unmet),   offsetof(struct bill, idle),
};

#define ITEMS (sizeof(items) / sizeof(items[0]))
#define KEPT_VERSION "1"

static struct bill_item *item_at(struct bill *bill, size_t index)
{
    return (struct bill_item *)(void *)((char *)bill + items[index]);
}

/* So many ms at once, and so much kept below the KiB s: sizes are at most 2^40 KiB, so that nothing
 * overflows. */
#define PIECE_MS (UINT64_C(1) << 20)
#define CARRY_KIB_MS (UINT64_C(1) << 62)

static void carry(struct bill_item *item)
{
    item->kib_s += item->kib_ms / 1000;
    item->kib_ms %= 1000;
}

static void charge(struct bill_item *item, uint64_t kib, uint64_t elapsed_ms)
{
    if (kib == 0)
        return;
    for (; elapsed_ms > PIECE_MS; elapsed_ms -= PIECE_MS) {
        item->kib_ms += kib * PIECE_MS;
        carry(item);
    }
    item->kib_ms += kib * elapsed_ms;
    if (item->kib_ms >= CARRY_KIB_MS)
        carry(item);
}

static void follow(struct bill *bill, const struct bill_sizes *sizes, uint64_t elapsed_ms)
{
    uint64_t now = GOODNESS_FULL;
    uint64_t part = smaller(elapsed_ms, GOODNESS_MS);

    if (sizes->entitled_kib >= sizes->held_kib && bill->goodness_ppm == GOODNESS_FULL)
        return;

    if (sizes->entitled_kib < sizes->held_kib)
        now = sizes->entitled_kib * GOODNESS_FULL / sizes->held_kib;
    /* Rounded up, so that it arrives. */
    if (now > bill->goodness_ppm)
        bill->goodness_ppm += ((now - bill->goodness_ppm) * part + GOODNESS_MS - 1) / GOODNESS_MS;
    else
        bill->goodness_ppm -= ((bill->goodness_ppm - now) * part + GOODNESS_MS - 1) / GOODNESS_MS;
}

uint32_t bill_add(struct bill *bill, const struct bill_sizes *sizes, uint64_t now_ms)
{
    uint64_t elapsed_ms = above(now_ms, bill->at_ms);

    if (bill->at_ms == 0) {
        bill->goodness_ppm = GOODNESS_FULL;
        elapsed_ms = 0;
    }
    charge(&bill->granted, sizes->held_kib, elapsed_ms);
    charge(&bill->entitled, sizes->entitled_kib, elapsed_ms);
    charge(&bill->above, above(sizes->held_kib, sizes->entitled_kib), elapsed_ms);
    charge(&bill->unmet, above(sizes->need_kib, sizes->held_kib), elapsed_ms);
    charge(&bill->idle, above(sizes->held_kib, sizes->need_kib), elapsed_ms);
    follow(bill, sizes, elapsed_ms);
    bill->at_ms = now_ms;
    return (uint32_t)((bill->goodness_ppm + 500) / 1000);
}

uint64_t bill_kib_s(const struct bill_item *item)
{
    return item->kib_s + item->kib_ms / 1000;
}

double bill_mib_h(const struct bill_item *item)
{
    return ((double)item->kib_s + (double)item->kib_ms / 1000) / (1024.0 * 3600);
}

size_t bill_write(const struct bill *bill, char text[BILL_TEXT_SIZE])
{
    struct bill copy = *bill;
    size_t used = (size_t)snprintf(text, BILL_TEXT_SIZE, KEPT_VERSION);

    for (size_t i = 0; i < ITEMS; i++) {
        carry(item_at(&copy, i));
        used += (size_t)snprintf(text + used, BILL_TEXT_SIZE - used, " %" PRIu64 " %" PRIu64,
                                 item_at(&copy, i)->kib_s, item_at(&copy, i)->kib_ms);
    }
    return used;
}

/* The next word as a number; false when there is none. */
static bool next_number(const char **text, uint64_t max, uint64_t *ret_number)
{
    size_t len;

    if (**text != ' ')
        return false;
    (*text)++;
    len = strcspn(*text, " ");
    if (report_number(*text, len, max, ret_number) < 0)
        return false;
    *text += len;
    return true;
}

int bill_read(const char *text, struct bill *bill)
{
    struct bill kept = { 0 };

    if (strncmp(text, KEPT_VERSION, strlen(KEPT_VERSION)) != 0)
        return -EINVAL;
    text += strlen(KEPT_VERSION);
    for (size_t i = 0; i < ITEMS; i++) {
        if (!next_number(&text, UINT64_MAX / 4, &item_at(&kept, i)->kib_s)
            || !next_number(&text, 999, &item_at(&kept, i)->kib_ms))
            return -EINVAL;
    }
    if (*text != '\0')
        return -EINVAL;
    for (size_t i = 0; i < ITEMS; i++) {
        carry(item_at(bill, i));
        item_at(bill, i)->kib_s += item_at(&kept, i)->kib_s;
        item_at(bill, i)->kib_ms += item_at(&kept, i)->kib_ms;
    }
    return 0;
}

void bill_say(const struct bill *bill, char *text, size_t size)
{
    (void)snprintf(text, size,
                   "MiB h: held %.1f, entitled to %.1f, above that %.1f, unmet %.1f, idle %.1f",
                   bill_mib_h(&bill->granted), bill_mib_h(&bill->entitled),
                   bill_mib_h(&bill->above), bill_mib_h(&bill->unmet), bill_mib_h(&bill->idle));
}
