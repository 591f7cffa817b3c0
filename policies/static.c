/* SPDX-License-Identifier: ISC */
/* static: everybody at the configured size, or at the size it was started with. */
#include "core/policy.h"

static uint64_t size_of(const struct domain *domain)
{
    uint64_t size = domain->limits.size_kib ? domain->limits.size_kib : domain->start_kib;

    if (size < domain->bottom_kib)
        size = domain->bottom_kib;
    return size < domain->top_kib ? size : domain->top_kib;
}

/* Sizes that do not fit together are cut by weight. */
static void decide(struct round *round)
{
    size_t n = 0;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *domain = &round->domains[i];

        if (!domain->shares)
            continue;
        round->fill[n] = (struct fill_item){
            .floor_kib = domain->bottom_kib,
            .ceiling_kib = size_of(domain),
            .weight = domain->limits.weight,
        };
        round->fill_index[n++] = (uint32_t)i;
    }
    (void)fill(round->fill, n, round->share_kib);
    for (size_t k = 0; k < n; k++)
        round->domains[round->fill_index[k]].want_kib = round->fill[k].given_kib;
}

const struct policy policy_static = {
    .name = "static",
    .summary = "everybody at the configured size",
    .decide = decide,
};
