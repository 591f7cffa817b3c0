/* SPDX-License-Identifier: ISC */
/* Why a domain has what it has, as JSON: the figures of each stage of the last round. Every field
 * and its unit is in docs/protocol.md. */
#ifndef BALLAST_EXPLAIN_H
#define BALLAST_EXPLAIN_H

#include "core/engine.h"
#include "util/json.h"

/* Writes one value; key is NULL at the top. */
void explain_domain(struct json *json, const char *key, const struct engine *engine,
                    const struct domain *domain);

#endif
