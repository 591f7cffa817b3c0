/* SPDX-License-Identifier: ISC */
/* Stage publish: what clients are told, as JSON. Every field and its unit is in
 * docs/protocol.md. */
#ifndef BALLAST_PUBLISH_H
#define BALLAST_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine.h"
#include "util/json.h"

/* The domid of a notice that is not about a domain. */
#define NOTICE_HOST UINT32_MAX

/* Something that happened, as it is logged, kept and told to clients. */
struct notice {
    uint64_t wall_ms; /* since 1970, UTC */
    const char *kind; /* "CONDUCT": a constant string */
    uint32_t domid;   /* NOTICE_HOST: the host */
    char name[DOMAIN_NAME_SIZE];
    char text[192];
};

/* Writes the host's figures as members of the map that is open. */
void publish_host(struct json *json, const struct round *round);

/* What the daemon knows and the engine does not. */
struct publish_facts {
    const char *config; /* the file; NULL: the defaults */
    uint64_t uptime_ms;
    int64_t pid;
};

/* Each writes one value; key is NULL at the top and inside an array. */
void publish_status(struct json *json, const char *key, const struct engine *engine,
                    const struct publish_facts *facts);
void publish_domains(struct json *json, const char *key, const struct engine *engine);
void publish_domain(struct json *json, const char *key, const struct domain *domain,
                    uint64_t now_ms);
void publish_reservation(struct json *json, const char *key, const struct reservation *reservation,
                         uint64_t now_ms);
void publish_notice(struct json *json, const char *key, const struct notice *notice);

/* Two fields of the error that ends a reservation: what could be had, and who keeps the rest. */
void publish_holders(struct json *json, const struct round *round,
                     const struct reservation *reservation);

#endif
