/* SPDX-License-Identifier: ISC */
/* Text that others have written: is it UTF-8? */
#ifndef BALLAST_UTF8_H
#define BALLAST_UTF8_H

#include <stddef.h>

/* The bytes of the character that text begins with, 1 for the NUL at its end; 0 when it is not
 * UTF-8. */
size_t utf8_length(const char *text);

#endif
