/* SPDX-License-Identifier: ISC */
#include "util/utf8.h"

#include <stdbool.h>

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Unicode, table 3-7. The NUL at the end of text is no byte that continues a character. */
size_t utf8_length(const char *of)
{
    const unsigned char *text = (const unsigned char *)of;
    static const struct {
        unsigned char first_low, first_high;   /* range of the first byte */
        unsigned char second_low, second_high; /* range of the second */
        size_t length;
    } rows[] = {
        { 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
        { 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };

    if (text[0] < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (text[0] < rows[i].first_low || text[0] > rows[i].first_high)
            continue;
        if (text[1] < rows[i].second_low || text[1] > rows[i].second_high)
            return 0;
        for (size_t k = 2; k < rows[i].length; k++) {
            if (!continues(text[k]))
                return 0;
        }
        return rows[i].length;
    }
    return 0;
}
