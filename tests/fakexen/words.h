/* SPDX-License-Identifier: ISC */
/* The words of a command. */
#ifndef BALLAST_FAKEXEN_WORDS_H
#define BALLAST_FAKEXEN_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* A decimal number of at most max (0x... is hexadecimal). Returns 0 or -EINVAL. */
int word_number(const char *word, uint64_t max, uint64_t *ret_number);

/* A domid below HV_DOMAINS, or, where any is allowed, "any": HV_ANY_DOMAIN. Returns 0, -EINVAL. */
int word_domid(const char *word, bool any, uint32_t *ret_domid);

/* Turns each \xHH into that byte, in place. Returns the length, which a NUL byte does not end. */
int word_unescape(char *text);

#endif
