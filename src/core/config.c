/* SPDX-License-Identifier: ISC */
/* A configuration, what it says of a domain, and how it is changed live. Its keys are in
 * config-keys.c, its file is read in config-file.c. */
#include "core/config.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/config-keys.h"
#include "util/floor.h"

/* No two configurations, nor two states of one, have the same; 0 is that of no configuration. */
static uint64_t next_generation(void)
{
    static uint64_t last;

    return ++last;
}

void config_init(struct config *ret_config)
{
    *ret_config = (struct config){
        .policy = "weighted",
        .policy_deadline_ms = 200,
        .reserve_kib = 80 * 1024,
        .pool_kib = POOL_AUTO,
        .surplus_spread = true,
        .idle_tax = 750,
        .interval_ms = 1000,
        .gather_ms = 50,
        .grace_ms = 30 * 1000,
        .remedies = { .event = true },
        .defaults = { .weight = 256 },
        .generation = next_generation(),
    };
}

void config_free(struct config *config)
{
    free(config->rules);
    free(config->overrides);
    config->rules = NULL;
    config->overrides = NULL;
    config->rule_count = 0;
    config->override_count = 0;
}

/* Rules and domains. */

/* Domain 0 is only what says so: "*" would be a trap. */
static bool rule_matches(const struct rule *rule, const struct domain *domain, const char *uuid)
{
    if (domain->domid == 0)
        return strcmp(rule->pattern, DOM0_NAME) == 0;
    return strcasecmp(rule->pattern, uuid) == 0 || fnmatch(rule->pattern, domain->name, 0) == 0;
}

static const struct rule *find_rule(const struct config *config, const struct domain *domain,
                                    const char *uuid)
{
    for (size_t i = 0; i < config->rule_count; i++) {
        if (rule_matches(&config->rules[i], domain, uuid))
            return &config->rules[i];
    }
    return NULL;
}

static struct rule *find_override(const struct config *config, const char *uuid)
{
    for (size_t i = 0; i < config->override_count; i++) {
        if (strcmp(config->overrides[i].pattern, uuid) == 0)
            return &config->overrides[i];
    }
    return NULL;
}

/* What the configuration says of a domain. Returns false when no rule names it. */
static bool find_limits(const struct config *config, const struct domain *domain,
                        struct limits *ret_limits)
{
    struct limits limits = config->defaults;
    char uuid[UUID_TEXT_SIZE];
    const struct rule *rule;
    const struct rule *override;

    domain_uuid_text(domain->uuid, uuid);
    rule = find_rule(config, domain, uuid);
    override = find_override(config, uuid);
    if (rule)
        limits_overlay(&limits, rule->given, &rule->limits);
    if (override)
        limits_overlay(&limits, override->given, &override->limits);
    *ret_limits = limits;
    return rule != NULL;
}

void config_apply(const struct config *config, struct domain *domain)
{
    bool named = find_limits(config, domain, &domain->limits);
    uint64_t min_kib = domain->limits.min_kib;
    uint64_t max_kib =
        domain->static_max_kib < FILL_KIB_MAX ? domain->static_max_kib : FILL_KIB_MAX;

    if (min_kib == 0)
        min_kib = floor_kib(max_kib);
    if (domain->limits.max_kib > 0 && domain->limits.max_kib < max_kib)
        max_kib = domain->limits.max_kib;
    domain->managed = named || domain->domid != 0;
    domain->min_kib = min_kib < max_kib ? min_kib : max_kib;
    domain->max_kib = max_kib;
    domain->config_generation = config->generation;
}

/* Changing it live. */

static int complain(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(char *error, size_t error_size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error, error_size, format, args);
    va_end(args);
    return -EINVAL;
}

static int set_host(struct config *config, const char *name, const char *value, char *error,
                    size_t error_size)
{
    const struct key *key = keys_find(&host_keys, name);
    char names[256];

    if (!key || !key->live)
        return complain(error, error_size, "'%.64s' cannot be set %s; expected %s", name,
                        key ? "while the daemon runs" : "of the host",
                        keys_names(&host_keys, true, names, sizeof(names)));
    if (!key->take(key, value, config))
        return complain(error, error_size, "%s=%.64s; expected %s", name, value, key->expected);
    config->generation = next_generation();
    return 0;
}

/* The override of a domain, which is new when it has none; NULL without memory or room. */
static struct rule *make_override(struct config *config, const char *uuid)
{
    struct rule *override = find_override(config, uuid);

    if (override)
        return override;
    if (config->override_count >= CONFIG_RULES_MAX)
        return NULL;
    override = reallocarray(config->overrides, config->override_count + 1, sizeof(*override));
    if (!override)
        return NULL;
    config->overrides = override;
    override += config->override_count++;
    *override = (struct rule){ 0 };
    (void)snprintf(override->pattern, sizeof(override->pattern), "%s", uuid);
    return override;
}

static int set_limit(struct config *config, const struct domain *domain, const char *name,
                     const char *value, char *error, size_t error_size)
{
    const struct key *key = keys_find(&limit_keys, name);
    struct limits limits;
    char uuid[UUID_TEXT_SIZE];
    struct rule *override;
    char names[128];

    /* selfballoon is set beside the configuration: daemon/commands.c. */
    if (!key)
        return complain(error, error_size,
                        "'%.64s' is not known of a domain; expected %s, selfballoon", name,
                        keys_names(&limit_keys, false, names, sizeof(names)));
    if (!find_limits(config, domain, &limits) && strcmp(domain->name, DOM0_NAME) == 0)
        return complain(error, error_size,
                        DOM0_NAME " is not managed; expected it in `domains` of "
                                  "the configuration");
    if (!key->take(key, value, &limits))
        return complain(error, error_size, "%s=%.64s; expected %s", name, value, key->expected);
    if (!limits_agree(&limits, error, error_size))
        return -EINVAL;
    domain_uuid_text(domain->uuid, uuid);
    override = make_override(config, uuid);
    if (!override)
        return complain(error, error_size,
                        "no room for more settings; expected a reload, which "
                        "forgets all");
    limits_overlay(&override->limits, key->bit, &limits);
    override->given |= key->bit;
    config->generation = next_generation();
    return 0;
}

int config_set(struct config *config, const struct domain *domain, const char *key,
               const char *value, char *error, size_t error_size)
{
    return domain ? set_limit(config, domain, key, value, error, error_size)
                  : set_host(config, key, value, error, error_size);
}
