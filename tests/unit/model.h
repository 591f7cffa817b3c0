/* SPDX-License-Identifier: ISC */
/* A hypervisor of a few domains for tests of the engine: it applies calls, lets its guests move,
 * and checks the promise after everything that happens. */
#ifndef BALLAST_MODEL_H
#define BALLAST_MODEL_H

#include <errno.h>

#include "check.h"
#include "core/engine.h"

#ifndef MODEL_GUESTS
#define MODEL_GUESTS 64
#endif
#define MODEL_SLACK_KIB 1024
#define MODEL_SWAP_KIB (UINT64_C(1) << 24)
#define MIB 1024

struct model_guest {
    bool there;
    bool frozen; /* its balloon does nothing */
    bool posts;
    enum domain_phase phase;
    uint64_t actual_kib;
    uint64_t cap_kib;
    uint64_t claim_kib;
    uint64_t target_kib;
    uint64_t static_max_kib;
    uint64_t used_kib; /* not droppable; what it does not hold of that is swapped out */
    uint8_t life;      /* another UUID for each life of a domid */
    uint8_t reboots;   /* the domid whose UUID it has; 0: its own */
    int fail;          /* what set_target() returns; 0: it works */
    unsigned calls;
};

struct model {
    struct host host;
    uint64_t now_ms;
    uint64_t memory_kib; /* for domains */
    uint64_t reserve_kib;
    uint64_t step_kib;  /* what a balloon moves between two rounds */
    uint64_t moved_kib; /* taken off the free memory as it is read: guests moved meanwhile */
    uint64_t scrub_kib; /* the same: it will be free soon */
    unsigned broken;    /* times that the promise did not hold */
    struct model_guest guests[MODEL_GUESTS]; /* domid is the index plus one */
    struct engine engine;
};

static inline uint64_t model_free(const struct model *model)
{
    uint64_t free_kib = model->memory_kib;

    for (size_t i = 0; i < MODEL_GUESTS; i++)
        free_kib -= model->guests[i].there ? model->guests[i].actual_kib : 0;
    return free_kib;
}

static inline int64_t model_headroom(const struct model *model)
{
    int64_t left = (int64_t)model->memory_kib - (int64_t)model->reserve_kib;

    for (size_t i = 0; i < MODEL_GUESTS; i++) {
        const struct model_guest *guest = &model->guests[i];

        if (guest->there)
            left -=
                (int64_t)(guest->actual_kib > guest->cap_kib ? guest->actual_kib : guest->cap_kib);
    }
    return left;
}

static inline void model_verify(struct model *model)
{
    model->broken += model_headroom(model) < 0;
}

static inline uint64_t model_now_ms(struct host *host)
{
    return ((struct model *)host)->now_ms;
}

static inline int model_observe(struct host *host, struct round *round)
{
    struct model *model = (struct model *)host;

    round_begin(round, model->now_ms);
    round->total_kib = model->memory_kib + 32 * MIB;
    round->free_kib = model_free(model) - model->moved_kib - model->scrub_kib;
    round->scrub_kib = model->scrub_kib;
    round->moved_kib = model->moved_kib;
    for (size_t i = 0; i < MODEL_GUESTS; i++) {
        const struct model_guest *guest = &model->guests[i];
        const struct model_guest *as = guest->reboots ? &model->guests[guest->reboots - 1] : guest;
        uint8_t uuid[16] = { (uint8_t)(as - model->guests), as->life };
        struct domain *domain;

        if (!guest->there)
            continue;
        domain = round_see(round, (uint32_t)i + 1, uuid);
        if (!domain)
            return -ENOMEM;
        if (domain->is_new)
            domain->start_kib = guest->target_kib;
        snprintf(domain->name, sizeof(domain->name), "vm%zu", i + 1);
        domain->phase = guest->phase;
        domain->has_target = true;
        domain->actual_kib = guest->actual_kib;
        domain->actual_low_kib = guest->actual_kib;
        domain->cap_kib = guest->cap_kib;
        domain->claim_kib = guest->claim_kib;
        domain->target_kib = guest->target_kib;
        domain->static_max_kib = guest->static_max_kib;
        domain->slack_kib = MODEL_SLACK_KIB;
        if (guest->posts) {
            domain->post = (struct post){
                .dialect = DIALECT_BALLAST,
                .at_ms = model->now_ms,
                .held_kib = guest->actual_kib,
                .used_kib =
                    guest->used_kib < guest->actual_kib ? guest->used_kib : guest->actual_kib,
            };
            report_clear(&domain->post.report);
            domain->post.report.available_kib = guest->actual_kib - domain->post.used_kib;
            domain->post.report.swap_total_kib = MODEL_SWAP_KIB;
            domain->post.report.swap_free_kib =
                MODEL_SWAP_KIB - (guest->used_kib - domain->post.used_kib);
            domain->post.report.balloon_current_kib = guest->actual_kib;
            domain->post.report.balloon_target_kib = guest->target_kib;
        }
    }
    round_end(round);
    return 0;
}

static inline int model_set_target(struct host *host, const struct domain *domain,
                                   uint64_t target_kib, uint64_t cap_kib)
{
    struct model *model = (struct model *)host;
    struct model_guest *guest = &model->guests[domain->domid - 1];

    guest->calls++;
    if (guest->fail)
        return guest->fail;
    if (!guest->there || guest->phase != PHASE_RUNNING)
        return -ESRCH;
    guest->target_kib = target_kib;
    guest->cap_kib = cap_kib;
    CHECK_EQ(cap_kib, target_kib + MODEL_SLACK_KIB);
    CHECK(target_kib <= guest->static_max_kib);
    model_verify(model);
    return 0;
}

static const struct host_ops model_ops = {
    .name = "model",
    .now_ms = model_now_ms,
    .observe = model_observe,
    .set_target = model_set_target,
};

/* An empty host of memory_kib for domains, with a grace of 0 so that tests are short. */
static inline void model_init(struct model *model, uint64_t memory_kib)
{
    struct config config;

    memset(model, 0, sizeof(*model));
    model->host.ops = &model_ops;
    model->now_ms = 1000000;
    model->memory_kib = memory_kib;
    model->step_kib = 64 * MIB;
    config_init(&config);
    config.grace_ms = 0;
    model->reserve_kib = config.reserve_kib;
    engine_init(&model->engine, &model->host, &config);
}

static inline void model_free_all(struct model *model)
{
    engine_free(&model->engine);
}

static inline struct model_guest *model_add(struct model *model, size_t index, uint64_t size_kib,
                                            uint64_t static_max_kib, uint64_t used_kib)
{
    struct model_guest *guest = &model->guests[index];

    *guest = (struct model_guest){
        .there = true,
        .posts = true,
        .actual_kib = size_kib,
        .target_kib = size_kib,
        .cap_kib = size_kib + MODEL_SLACK_KIB,
        .static_max_kib = static_max_kib,
        .used_kib = used_kib,
        .life = (uint8_t)(guest->life + 1),
    };
    return guest;
}

/* What a balloon driver does in a round's time; cap and free memory bound it as Xen does. */
static inline void model_move(struct model *model, struct model_guest *guest)
{
    uint64_t step = model->step_kib;
    uint64_t free_kib = model_free(model);

    if (!guest->there || guest->frozen || guest->phase != PHASE_RUNNING)
        return;
    if (guest->actual_kib > guest->target_kib) {
        uint64_t more = guest->actual_kib - guest->target_kib;

        guest->actual_kib -= more < step ? more : step;
    } else {
        uint64_t more = guest->target_kib - guest->actual_kib;

        more = more < step ? more : step;
        more = more < free_kib ? more : free_kib;
        guest->actual_kib += more;
    }
    model_verify(model);
}

/* One round, then so much time in which the guests move. */
static inline void model_round(struct model *model)
{
    uint64_t next_ms = 0;

    CHECK_EQ(engine_round(&model->engine, &next_ms), 0);
    CHECK(next_ms > 0);
    model->now_ms += next_ms;
    for (size_t i = 0; i < MODEL_GUESTS; i++)
        model_move(model, &model->guests[i]);
}

static inline void model_run(struct model *model, uint64_t ms)
{
    uint64_t end = model->now_ms + ms;

    while (model->now_ms < end)
        model_round(model);
}

static inline const struct domain *model_domain(const struct model *model, size_t index)
{
    return round_find(&model->engine.round, (uint32_t)index + 1);
}

#endif
