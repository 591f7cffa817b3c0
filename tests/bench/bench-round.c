/* SPDX-License-Identifier: ISC */
/* How long a round takes, observation excluded, and how long one filling takes: JSON lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/engine.h"
#include "core/fill.h"

#define ROUNDS 201

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* xorshift: the same hosts each time. */
static uint64_t any(uint64_t below)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % below;
}

/* A host of domains of 256 MiB to 2 GiB which all post: a tenth of them something new each
 * round. */
struct bench_host {
    struct host host;
    uint32_t domains;
    uint64_t now_ms;
    uint64_t observe_us;
};

static uint64_t host_now_ms(struct host *host)
{
    return ((struct bench_host *)host)->now_ms;
}

static void post(struct domain *domain, uint64_t now)
{
    domain->post.dialect = DIALECT_BALLAST;
    domain->post.at_ms = now;
    domain->post.held_kib = domain->actual_kib;
    domain->post.used_kib = 65536 + any(domain->max_kib ? domain->max_kib : 524288);
    if (domain->post.used_kib > domain->actual_kib)
        domain->post.used_kib = domain->actual_kib;
}

static int host_observe(struct host *host, struct round *round)
{
    struct bench_host *bench = (struct bench_host *)host;
    uint64_t start = now_us();
    uint64_t held = 0;

    bench->now_ms += 1000;
    round_begin(round, bench->now_ms);
    for (uint32_t domid = 1; domid <= bench->domains; domid++) {
        uint8_t uuid[16] = { 0 };
        struct domain *domain;

        memcpy(uuid, &domid, sizeof(domid));
        domain = round_see(round, domid, uuid);
        if (!domain)
            return -1;
        if (domain->static_max_kib == 0) {
            domain->static_max_kib = 262144 + any(1835008);
            domain->target_kib = 262144;
            domain->start_kib = 262144;
            domain->slack_kib = 1024;
            domain->has_target = true;
            domain->started_ms = 0;
            (void)snprintf(domain->name, sizeof(domain->name), "vm%" PRIu32, domid);
        }
        domain->actual_kib = domain->target_kib;
        domain->actual_low_kib = domain->actual_kib;
        domain->cap_kib = domain->target_kib + 1024;
        held += domain->actual_kib;
        if (any(10) == 0)
            post(domain, bench->now_ms);
    }
    round_end(round);
    round->total_kib = (uint64_t)bench->domains * 524288 + 1048576;
    round->free_kib = round->total_kib - held;
    bench->observe_us += now_us() - start;
    return 0;
}

static int host_set_target(struct host *host, const struct domain *domain, uint64_t target_kib,
                           uint64_t cap_kib)
{
    (void)host, (void)domain, (void)target_kib, (void)cap_kib;
    return 0;
}

static const struct host_ops bench_ops = {
    .name = "bench",
    .now_ms = host_now_ms,
    .observe = host_observe,
    .set_target = host_set_target,
};

static int ascending(const void *left, const void *right)
{
    uint64_t l = *(const uint64_t *)left;
    uint64_t r = *(const uint64_t *)right;

    return l < r ? -1 : l > r;
}

static void bench_round(uint32_t domains)
{
    struct bench_host bench = { .host.ops = &bench_ops, .domains = domains, .now_ms = 1000000 };
    struct config config;
    struct engine engine;
    uint64_t us[ROUNDS];

    config_init(&config);
    engine_init(&engine, &bench.host, &config);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = now_us();
        uint64_t next;

        bench.observe_us = 0;
        if (engine_round(&engine, &next) < 0)
            exit(1);
        us[i] = now_us() - start - bench.observe_us;
    }
    qsort(us, ROUNDS, sizeof(us[0]), ascending);
    printf("{\"name\": \"round\", \"domains\": %" PRIu32 ", \"us\": %" PRIu64
           ", \"us_p99\": %" PRIu64 "}\n",
           domains, us[ROUNDS / 2], us[ROUNDS * 99 / 100]);
    engine_free(&engine);
}

static void bench_fill(size_t n)
{
    struct fill_item *items = calloc(n, sizeof(*items));
    uint64_t us[ROUNDS];

    if (!items)
        exit(1);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start;

        for (size_t k = 0; k < n; k++) {
            items[k].floor_kib = 65536 + any(65536);
            items[k].ceiling_kib = items[k].floor_kib + any(2097152);
            items[k].weight = 1 + any(1024);
        }
        start = now_us();
        (void)fill(items, n, n * (262144 + any(524288)));
        us[i] = now_us() - start;
    }
    qsort(us, ROUNDS, sizeof(us[0]), ascending);
    printf("{\"name\": \"fill\", \"domains\": %zu, \"us\": %" PRIu64 ", \"us_p99\": %" PRIu64 "}\n",
           n, us[ROUNDS / 2], us[ROUNDS * 99 / 100]);
    free(items);
}

int main(void)
{
    bench_round(100);
    bench_round(1000);
    bench_round(10000);
    bench_fill(1000);
    bench_fill(10000);
    return 0;
}
