/* SPDX-License-Identifier: ISC */
#include "daemon/explain.h"

#include "core/demand.h"
#include "core/pace.h"
#include "core/policy.h"
#include "daemon/publish.h"
#include "util/bounds.h"

/* The level of a filling is told as what it gives to the usual weight. */
#define LEVEL_WEIGHT 256

/* How long ago; null when it never was. */
static void json_age(struct json *json, const char *key, uint64_t now_ms, bool was, uint64_t at_ms)
{
    if (was)
        json_uint(json, key, now_ms > at_ms ? now_ms - at_ms : 0);
    else
        json_string(json, key, NULL);
}

/* How long it still is until then; 0 when that is past. */
static void json_left(struct json *json, const char *key, uint64_t now_ms, uint64_t at_ms)
{
    json_uint(json, key, at_ms > now_ms ? at_ms - now_ms : 0);
}

static void explain_post(struct json *json, const struct round *round, const struct domain *domain)
{
    const struct post *post = &domain->post;
    const char *key;
    uint64_t value;

    json_map(json, "post");
    json_string(json, "dialect", dialect_name(post->dialect));
    json_age(json, "age_ms", round->now_ms, post->dialect != DIALECT_NONE, post->at_ms);
    json_bool(json, "bad", post->bad);
    json_bool(json, "usable", post_usable(post, round->now_ms));
    json_uint(json, "held_kib", post->held_kib);
    json_uint(json, "used_kib", post->used_kib);
    json_uint(json, "cache_kib", post->cache_kib);
    json_uint(json, "wish_kib", post->wish_kib);
    json_map(json, "figures");
    for (size_t i = 0;
         post->dialect != DIALECT_NONE && (key = report_field(&post->report, i, &value)); i++)
        if (value != REPORT_ABSENT)
            json_uint(json, key, value);
    json_map_end(json);
    json_map_end(json);
}

static void explain_conduct(struct json *json, const struct round *round,
                            const struct domain *domain)
{
    const struct conduct *conduct = &domain->conduct;
    const char *asked = conduct->asked_ms ? "shrink" : conduct->short_ms ? "grow" : "nothing";
    bool shrink = conduct->asked_ms != 0;
    uint64_t from_kib = shrink ? conduct->asked_from_kib : conduct->short_kib;

    json_map(json, "conduct");
    json_string(json, "class", conduct_name(conduct->class));
    json_age(json, "age_ms", round->now_ms, true,
             conduct->why ? conduct->since_ms : domain->started_ms);
    json_string(json, "why", conduct->why);
    json_string(json, "asked", asked);
    json_age(json, "asked_age_ms", round->now_ms, shrink || conduct->short_ms,
             shrink ? conduct->asked_ms : conduct->short_ms);
    json_uint(json, "from_kib", shrink || conduct->short_ms ? from_kib : domain->actual_kib);
    json_int(json, "to_kib", (int64_t)domain->target_kib + domain->offset_kib);
    json_age(json, "progress_age_ms", round->now_ms, shrink, conduct->progress_ms);
    json_bool(json, "stalled", conduct->stalled);
    json_left(json, "retry_in_ms", round->now_ms, conduct->retry_ms);
    json_left(json, "offer_in_ms", round->now_ms, conduct->short_retry_ms);
    json_bool(json, "remedied", domain->remedy.applied);
    json_map_end(json);
}

static void explain_need(struct json *json, const struct domain *domain)
{
    json_map(json, "need");
    json_uint(json, "core_kib", domain->core_kib);
    json_uint(json, "pressure_kib", domain->demand.boost_kib);
    json_uint(json, "doubt", domain->demand.doubt);
    json_bool(json, "insists", domain->insists);
    json_uint(json, "room_kib", domain->need_kib - domain->core_kib);
    json_uint(json, "need_kib", domain->need_kib);
    json_map_end(json);
}

/* What a step would bring a domain to if there were enough. */
static uint64_t asked_kib(const struct domain *domain, size_t step)
{
    const uint64_t asked[STEPS] = {
        [STEP_GUARANTEE] = domain->bottom_kib,
        [STEP_CORE] = demand_first_kib(domain),
        [STEP_ROOM] = domain->need_kib,
        [STEP_SURPLUS] = domain->top_kib,
    };

    return clamp(asked[step], domain->bottom_kib, domain->top_kib);
}

/* What a step counts of what it brought a domain to: see policy_taxed_kib(). */
static uint64_t counted_kib(const struct round *round, const struct domain *domain, size_t step)
{
    uint64_t before_kib = step == STEP_SURPLUS ? domain->step_kib[step - 1] : 0;

    return domain->step_kib[step] - before_kib + policy_taxed_kib(round, domain, before_kib);
}

static void explain_step(struct json *json, const struct round *round, const struct domain *domain,
                         size_t step)
{
    uint64_t before_kib = step > 0 ? domain->step_kib[step - 1] : 0;
    uint64_t held_kib = domain->step_kib[step];
    uint64_t higher_kib = 0;
    uint64_t left_kib = round->share_kib;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *other = &round->domains[i];

        if (!other->shares)
            continue;
        left_kib -= other->step_kib[step];
        if (other->limits.priority > domain->limits.priority)
            higher_kib += other->step_kib[step] - (step > 0 ? other->step_kib[step - 1] : 0);
    }
    json_map(json, NULL);
    json_string(json, "step", step_name((enum policy_step)step));
    json_uint(json, "asked_kib", asked_kib(domain, step));
    json_uint(json, "held_kib", held_kib);
    json_uint(json, "higher_kib", higher_kib);
    json_uint(json, "left_kib", left_kib);
    /* The level shows only in one that stands at it: neither at its floor nor at its ceiling. */
    if (held_kib > before_kib && held_kib < asked_kib(domain, step)
        && !(step == STEP_SURPLUS && round->staying))
        json_uint(json, "level_kib",
                  counted_kib(round, domain, step) * LEVEL_WEIGHT / domain->limits.weight);
    else
        json_string(json, "level_kib", NULL);
    json_map_end(json);
}

static void explain_policy(struct json *json, const struct engine *engine,
                           const struct domain *domain)
{
    const struct round *round = &engine->round;

    json_map(json, "policy");
    json_string(json, "name", engine->config.policy);
    json_bool(json, "shares", domain->shares);
    json_uint(json, "share_kib", round->share_kib);
    json_uint(json, "bottom_kib", domain->shares ? domain->bottom_kib : domain->actual_kib);
    json_uint(json, "top_kib", domain->shares ? domain->top_kib : domain->actual_kib);
    json_array(json, "steps");
    for (size_t step = 0; domain->shares && step < round->steps; step++)
        explain_step(json, round, domain, step);
    json_array_end(json);
    json_uint(json, "want_kib", domain->want_kib);
    json_double(json, "idle_tax", (double)round->idle_tax / IDLE_TAX_MAX);
    json_map_end(json);
}

static void explain_pace(struct json *json, const struct round *round, const struct domain *domain)
{
    uint64_t step_kib;
    uint64_t pause_ms;

    pace_figures(domain->pace, &step_kib, &pause_ms);
    json_map(json, "pace");
    json_string(json, "pace", pace_name(domain->pace));
    json_uint(json, "goal_kib", domain->goal_kib);
    json_uint(json, "step_kib", step_kib);
    json_uint(json, "pause_ms", pause_ms);
    json_left(json, "grace_left_ms", round->now_ms, domain->started_ms + round->grace_ms);
    json_map_end(json);
}

static void explain_guard(struct json *json, const struct round *round, const struct domain *domain)
{
    uint64_t coming_kib = 0;

    for (size_t i = 0; i < round->count; i++) {
        const struct domain *other = &round->domains[i];
        int64_t asked = (int64_t)other->target_kib + other->offset_kib;

        if (other->shares && other != domain && (int64_t)other->actual_kib > asked)
            coming_kib += (uint64_t)((int64_t)other->actual_kib - asked);
    }
    json_map(json, "guard");
    json_uint(json, "grant_kib", domain->grant_kib);
    json_uint(json, "coming_kib", coming_kib);
    json_left(json, "call_retry_in_ms", round->now_ms, domain->call_retry_ms);
    json_map_end(json);
}

void explain_domain(struct json *json, const char *key, const struct engine *engine,
                    const struct domain *domain)
{
    const struct round *round = &engine->round;

    json_map(json, key);
    publish_domain(json, "domain", domain, round->now_ms);
    explain_post(json, round, domain);
    explain_need(json, domain);
    explain_conduct(json, round, domain);
    explain_policy(json, engine, domain);
    explain_pace(json, round, domain);
    explain_guard(json, round, domain);
    json_map(json, "host");
    publish_host(json, round);
    json_map_end(json);
    json_bool(json, "dry_run", engine->dry_run);
    json_uint(json, "next_ms", engine->next_ms);
    json_map_end(json);
}
