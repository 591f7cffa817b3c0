/* SPDX-License-Identifier: ISC */
/* Why a domain has what it has, in sentences. */
#ifndef BALLAST_SENTENCES_H
#define BALLAST_SENTENCES_H

#include <stdio.h>

#include "util/json.h"

/* Writes what the daemon answered to "explain" (its "return") as sentences, a line each. */
void sentences_print(FILE *out, const struct json_value *answer);

#endif
