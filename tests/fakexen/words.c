/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv.h"
#include "words.h"

int word_number(const char *word, uint64_t max, uint64_t *ret_number)
{
    char *end;
    unsigned long long number;

    if (word[0] < '0' || word[0] > '9')
        return -EINVAL;
    errno = 0;
    number = strtoull(word, &end, 0);
    if (errno || *end || number > max)
        return -EINVAL;
    *ret_number = number;
    return 0;
}

int word_domid(const char *word, bool any, uint32_t *ret_domid)
{
    uint64_t number;

    if (any && strcmp(word, "any") == 0) {
        *ret_domid = HV_ANY_DOMAIN;
        return 0;
    }
    if (word_number(word, HV_DOMAINS - 1, &number) < 0)
        return -EINVAL;
    *ret_domid = (uint32_t)number;
    return 0;
}

int word_unescape(char *text)
{
    char *to = text;
    const char *from = text;
    unsigned byte;

    while (*from) {
        if (sscanf(from, "\\x%2x", &byte) == 1) {
            *to++ = (char)byte;
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    return (int)(to - text);
}
