/* SPDX-License-Identifier: ISC */
#include "daemon/publish.h"

void publish_host(struct json *json, const struct round *round)
{
    json_uint(json, "total_kib", round->total_kib);
    json_uint(json, "free_kib", round->free_kib);
    json_uint(json, "promised_kib", round->promised_kib);
    json_uint(json, "claimed_kib", round->claims_kib);
    json_uint(json, "reserve_kib", round->reserve_kib);
    json_uint(json, "reserved_kib", round->reserved_kib);
    json_int(json, "headroom_kib", round->headroom_kib);
    json_uint(json, "pool_kib", round->pool_kib);
    json_bool(json, "minimums_fit", round->minimums_fit);
}

void publish_status(struct json *json, const char *key, const struct engine *engine,
                    const struct publish_facts *facts)
{
    const struct round *round = &engine->round;
    struct engine_totals totals;

    engine_totals(engine, &totals);
    json_map(json, key);
    json_string(json, "policy", engine->config.policy);
    json_string(json, "host", engine->host->ops->name);
    json_bool(json, "dry_run", engine->dry_run);
    json_uint(json, "uptime_ms", facts->uptime_ms);
    json_uint(json, "rounds", round->number);
    json_uint(json, "domains", round->count);
    json_int(json, "pid", facts->pid);
    json_string(json, "config", facts->config);
    publish_host(json, round);
    json_uint(json, "freeable_kib", totals.freeable_kib);
    json_uint(json, "freeable_to_min_kib", totals.freeable_min_kib);
    json_uint(json, "guaranteed_kib", totals.guaranteed_kib);
    json_map_end(json);
}

static void publish_bill(struct json *json, const char *key, const struct bill *bill)
{
    json_map(json, key);
    json_double(json, "held_mib_h", bill_mib_h(&bill->granted));
    json_double(json, "entitled_mib_h", bill_mib_h(&bill->entitled));
    json_double(json, "above_mib_h", bill_mib_h(&bill->above));
    json_double(json, "unmet_mib_h", bill_mib_h(&bill->unmet));
    json_double(json, "idle_mib_h", bill_mib_h(&bill->idle));
    json_map_end(json);
}

void publish_domain(struct json *json, const char *key, const struct domain *domain,
                    uint64_t now_ms)
{
    char uuid[UUID_TEXT_SIZE];

    domain_uuid_text(domain->uuid, uuid);
    json_map(json, key);
    json_uint(json, "domid", domain->domid);
    json_string(json, "name", domain->name);
    json_string(json, "uuid", uuid);
    json_string(json, "type", domain_type_name(domain->type));
    json_string(json, "phase", domain_phase_name(domain->phase));
    json_string(json, "conduct", conduct_name(domain->conduct.class));
    json_string(json, "reason", reason_name(domain->reason));
    json_bool(json, "managed", domain->managed);
    json_uint(json, "actual_kib", domain->actual_kib);
    json_uint(json, "target_kib", domain->target_kib);
    json_uint(json, "cap_kib", domain->cap_kib);
    json_uint(json, "static_max_kib", domain->static_max_kib);
    json_uint(json, "min_kib", domain->min_kib);
    json_uint(json, "max_kib", domain->max_kib);
    json_uint(json, "weight", domain->limits.weight);
    json_int(json, "priority", domain->limits.priority);
    json_uint(json, "need_kib", domain->need_kib);
    json_uint(json, "want_kib", domain->want_kib);
    json_int(json, "available_kib", domain->available_kib);
    json_uint(json, "entitled_kib", domain->entitled_kib);
    json_uint(json, "goodness", domain->goodness);
    publish_bill(json, "bill", &domain->bill);
    json_string(json, "dialect", dialect_name(domain->post.dialect));
    if (domain->post.dialect == DIALECT_NONE)
        json_string(json, "post_age_ms", NULL);
    else
        json_uint(json, "post_age_ms",
                  now_ms > domain->post.at_ms ? now_ms - domain->post.at_ms : 0);
    json_map_end(json);
}

void publish_domains(struct json *json, const char *key, const struct engine *engine)
{
    const struct round *round = &engine->round;

    json_array(json, key);
    for (size_t i = 0; i < round->count; i++)
        publish_domain(json, NULL, &round->domains[i], round->now_ms);
    json_array_end(json);
}

void publish_reservation(struct json *json, const char *key, const struct reservation *reservation,
                         uint64_t now_ms)
{
    uint64_t until = reservation->until_ms;

    json_map(json, key);
    json_uint(json, "reservation", reservation->id);
    json_string(json, "name", reservation->name[0] ? reservation->name : NULL);
    json_string(json, "state", reservation_state_name(reservation->state));
    json_uint(json, "at_least_kib", reservation->least_kib);
    json_uint(json, "at_most_kib", reservation->most_kib);
    json_uint(json, "gathered_kib", reservation->gathered_kib);
    json_uint(json, "reserved_kib", reservation->counted_kib);
    json_uint(json, "left_ms", until > now_ms ? until - now_ms : 0);
    json_map_end(json);
}

void publish_holders(struct json *json, const struct round *round,
                     const struct reservation *reservation)
{
    bool late = reservation->end == END_LATE;
    struct reserve_report report;

    reserve_report(round, reservation, &report);
    json_uint(json, "available_kib", late ? reservation->gathered_kib : reservation->can_kib);
    json_array(json, "holders");
    for (size_t i = 0; i < report.count; i++) {
        const struct reserve_holder *holder = &report.holders[i];

        json_map(json, NULL);
        if (holder->domain) {
            json_uint(json, "domid", holder->domain->domid);
            json_string(json, "name", holder->domain->name);
        }
        json_string(json, "why", reserve_why_name(holder->why));
        json_uint(json, "holds_kib", holder->holds_kib);
        json_uint(json, "keeps_kib", holder->keeps_kib);
        json_map_end(json);
    }
    json_array_end(json);
}

void publish_notice(struct json *json, const char *key, const struct notice *notice)
{
    bool of_host = notice->domid == NOTICE_HOST;

    json_map(json, key);
    json_string(json, "event", notice->kind);
    json_map(json, "data");
    if (!of_host) {
        json_uint(json, "domid", notice->domid);
        json_string(json, "name", notice->name);
    }
    json_string(json, "text", notice->text);
    json_map_end(json);
    json_uint(json, "timestamp_ms", notice->wall_ms);
    json_map_end(json);
}
