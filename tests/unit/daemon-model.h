/* SPDX-License-Identifier: ISC */
/* A host of two domains that do nothing, for what is asked about an engine. */
#ifndef BALLAST_DAEMON_MODEL_H
#define BALLAST_DAEMON_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/engine.h"
#include "daemon/control.h"
#include "host/host.h"

#define MODEL_MIB UINT64_C(1024)
#define MODEL_NOW_MS 100000

static uint64_t model_now_ms(struct host *host)
{
    (void)host;
    return MODEL_NOW_MS;
}

static struct domain *model_see(struct round *round, uint32_t domid, const char *name)
{
    const uint8_t uuid[16] = {
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, [15] = (uint8_t)domid
    };
    struct domain *domain = round_see(round, domid, uuid);

    if (!domain)
        return NULL;
    snprintf(domain->name, sizeof(domain->name), "%s", name);
    domain->type = DOMAIN_PVH;
    domain->phase = PHASE_RUNNING;
    domain->has_target = true;
    domain->actual_kib = 256 * MODEL_MIB;
    domain->actual_low_kib = domain->actual_kib;
    domain->target_kib = domain->actual_kib;
    domain->cap_kib = domain->actual_kib + MODEL_MIB;
    domain->slack_kib = MODEL_MIB;
    domain->static_max_kib = 512 * MODEL_MIB;
    return domain;
}

static int model_observe(struct host *host, struct round *round)
{
    struct domain *domain;

    (void)host;
    round_begin(round, MODEL_NOW_MS);
    round->total_kib = 2048 * MODEL_MIB;
    round->free_kib = 512 * MODEL_MIB;
    model_see(round, 3, "web1");
    domain = model_see(round, 4, "db\033[2J");
    if (domain) {
        domain->post.dialect = DIALECT_XENSERVER;
        domain->post.at_ms = MODEL_NOW_MS - 2500;
    }
    round_end(round);
    return 0;
}

static int model_set_target(struct host *host, const struct domain *domain, uint64_t target_kib,
                            uint64_t cap_kib)
{
    (void)host;
    (void)domain;
    (void)target_kib;
    (void)cap_kib;
    return 0;
}

static const struct host_ops model_ops = {
    .name = "model",
    .now_ms = model_now_ms,
    .observe = model_observe,
    .set_target = model_set_target,
};

static struct host model_host = { .ops = &model_ops };

/* An engine after its first round, and a control for it, which is large: static. */
static inline struct control *model_start(struct engine *engine)
{
    static struct control control;
    struct config config;
    uint64_t next_ms;

    config_init(&config);
    engine_init(engine, &model_host, &config);
    (void)engine_round(engine, &next_ms);
    memset(&control, 0, sizeof(control));
    control.engine = engine;
    control.started_ms = MODEL_NOW_MS - 1000;
    return &control;
}

#endif
