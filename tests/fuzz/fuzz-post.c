/* SPDX-License-Identifier: ISC */
/* Posts in all dialects: a letter for the dialect (b, x, q, s), the first node, a newline, the
 * second. Whatever a guest writes, what is believed is bounded by what it holds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/post.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HELD 262144

/* The bytes in memory of their own, so that a sanitizer sees what is read beyond them. */
static struct post_text text(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    memcpy(copy, data, size);
    return (struct post_text){ .text = copy, .len = size };
}

static int take(struct post *post, uint8_t dialect, struct post_text first, struct post_text second)
{
    switch (dialect) {
    case 'b':
        return post_take_ballast(post, first, HELD, 2);
    case 'x':
        return post_take_xenserver(post, first, second, HELD, 2);
    case 'q':
        return post_take_qubes(post, first, second, HELD, 2 * HELD, 2);
    default:
        return post_take_selfballoon(post, first, second, HELD, 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct post post = { .used_kib = 1 };
    const uint8_t *newline;
    struct post_text first;
    struct post_text second = { 0 };

    if (size < 1)
        return 0;
    newline = memchr(data + 1, '\n', size - 1);
    first = text(data + 1, newline ? (size_t)(newline - data) - 1 : size - 1);
    if (newline)
        second = text(newline + 1, size - (size_t)(newline + 1 - data));
    if (take(&post, data[0], first, second) == 0) {
        assert(!post.bad && post.dialect != DIALECT_NONE && post_usable(&post, 2));
        assert(post.at_ms == 2 && post.held_kib == HELD);
        assert(post.used_kib <= HELD && post.cache_kib <= HELD - post.used_kib);
        assert(post.wish_kib <= REPORT_VALUE_MAX && post.minimum_kib <= REPORT_VALUE_MAX);
    } else {
        assert(post.bad && post.used_kib == 1 && !post_usable(&post, 2));
    }
    free((void *)(uintptr_t)first.text);
    free((void *)(uintptr_t)second.text);
    return 0;
}
