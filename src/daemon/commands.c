/* SPDX-License-Identifier: ISC */
#include "daemon/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/explain.h"
#include "util/units.h"

int fault_set(struct fault *fault, const char *class, const char *format, ...)
{
    va_list args;

    fault->class = class;
    va_start(args, format);
    vsnprintf(fault->desc, sizeof(fault->desc), format, args);
    va_end(args);
    return -EINVAL;
}

static void return_nothing(struct json *json)
{
    json_map(json, "return");
    json_map_end(json);
}

static int query_status(struct control *control, struct control_peer *peer,
                        const struct json_value *arguments, struct json *json, struct fault *fault)
{
    const struct host *host = control->engine->host;
    struct publish_facts facts = {
        .config = control->config_file,
        .uptime_ms = host->ops->now_ms(control->engine->host) - control->started_ms,
        .pid = getpid(),
    };

    publish_status(json, "return", control->engine, &facts);
    return 0;
}

static int query_domains(struct control *control, struct control_peer *peer,
                         const struct json_value *arguments, struct json *json, struct fault *fault)
{
    publish_domains(json, "return", control->engine);
    return 0;
}

static int query_events(struct control *control, struct control_peer *peer,
                        const struct json_value *arguments, struct json *json, struct fault *fault)
{
    uint64_t first = control->noted > CONTROL_NOTICES ? control->noted - CONTROL_NOTICES : 0;

    json_array(json, "return");
    for (uint64_t i = first; i < control->noted; i++)
        publish_notice(json, NULL, &control->notices[i % CONTROL_NOTICES]);
    json_array_end(json);
    return 0;
}

static int subscribe(struct control *control, struct control_peer *peer,
                     const struct json_value *arguments, struct json *json, struct fault *fault)
{
    peer->subscribed = true;
    return_nothing(json);
    return 0;
}

/* The domain that "domain" names, by name or by domid; *ret_domain NULL: the host is meant. */
static int named_domain(const struct round *round, const struct json_value *arguments,
                        const struct domain **ret_domain, struct fault *fault)
{
    const struct json_value *value = json_get(arguments, "domain");
    const char *name = json_get_string(value);
    const struct domain *domain;
    char number[24];
    int64_t domid = 0;

    if (!value) {
        *ret_domain = NULL;
        return 0;
    }
    if (!name) {
        if (!json_get_int(value, &domid))
            return fault_set(fault, FAULT_ARGUMENT, "\"domain\" must be a name or a domid");
        snprintf(number, sizeof(number), "%" PRId64, domid);
        name = number;
    }
    domain = round_find_name(round, name);
    if (!domain && units_parse_int(name, 0, DOMAINS_MAX, &domid) == 0)
        domain = round_find(round, (uint32_t)domid);
    if (!domain)
        return fault_set(fault, FAULT_ARGUMENT, "no domain \"%.64s\"", name);
    *ret_domain = domain;
    return 0;
}

static int explain(struct control *control, struct control_peer *peer,
                   const struct json_value *arguments, struct json *json, struct fault *fault)
{
    const struct domain *domain = NULL;
    const char *key;
    int r;

    for (size_t i = 0; (key = json_key_at(arguments, i)); i++)
        if (strcmp(key, "domain") != 0)
            return fault_set(fault, FAULT_ARGUMENT, "explain takes no argument \"%.64s\"", key);
    r = named_domain(&control->engine->round, arguments, &domain, fault);
    if (r < 0)
        return r;
    if (!domain)
        return fault_set(fault, FAULT_ARGUMENT, "\"domain\" is missing");
    explain_domain(json, "return", control->engine, domain);
    return 0;
}

static int set_one(struct config *config, const struct domain *domain, const char *key,
                   const struct json_value *value, struct fault *fault)
{
    const char *text = json_get_string(value);
    char number[24];
    char error[256];
    int64_t integer;

    if (!text) {
        if (!json_get_int(value, &integer))
            return fault_set(fault, FAULT_ARGUMENT, "%.64s: expected text or a whole number", key);
        snprintf(number, sizeof(number), "%" PRId64, integer);
        text = number;
    }
    if (config_set(config, domain, key, text, error, sizeof(error)) < 0)
        return fault_set(fault, FAULT_ARGUMENT, "%s", error);
    return 0;
}

/* These name the domain, or are no setting. */
static bool is_setting(const char *key)
{
    return strcmp(key, "domain") != 0 && strcmp(key, "selfballoon") != 0;
}

/* Sets what can be set, key by key. Returns how many keys could not be, the last fault in
 * *fault. */
static size_t set_pass(struct config *config, const struct domain *domain,
                       const struct json_value *arguments, struct fault *fault)
{
    const char *key;
    size_t refused = 0;

    for (size_t i = 0; (key = json_key_at(arguments, i)); i++) {
        if (is_setting(key) && set_one(config, domain, key, json_get(arguments, key), fault) < 0)
            refused++;
    }
    return refused;
}

/* A minimum may fit only with the maximum that comes after it: what is refused is tried again as
 * long as fewer are refused than before. */
static int set_all(struct config *config, const struct domain *domain,
                   const struct json_value *arguments, struct fault *fault)
{
    size_t before = SIZE_MAX;
    size_t refused = set_pass(config, domain, arguments, fault);

    if (!json_key_at(arguments, json_get(arguments, "domain") ? 1 : 0))
        return fault_set(fault, FAULT_ARGUMENT, "nothing to set; expected KEY: VALUE");
    while (refused > 0 && refused < before) {
        before = refused;
        refused = set_pass(config, domain, arguments, fault);
    }
    return refused ? -EINVAL : 0;
}

/* A program that was not the policy before must be one that can be. */
static int check_policy(const struct config *before, const struct config *config,
                        struct fault *fault)
{
    char error[300];

    if (strcmp(before->policy, config->policy) == 0
        || external_check(config->policy, true, error, sizeof(error)) == 0)
        return 0;
    return fault_set(fault, FAULT_ARGUMENT, "policy: %s", error);
}

static void note_set(struct control *control, const struct domain *domain,
                     const struct json_value *arguments)
{
    char text[160] = "set";
    const char *key;

    for (size_t i = 0; (key = json_key_at(arguments, i)); i++) {
        const struct json_value *value = json_get(arguments, key);
        const char *string = json_get_string(value);
        size_t len = strlen(text);
        int64_t integer = 0;

        if (!strcmp(key, "domain"))
            continue;
        if (string)
            snprintf(text + len, sizeof(text) - len, " %s=%s", key, string);
        else if (json_get_int(value, &integer))
            snprintf(text + len, sizeof(text) - len, " %s=%" PRId64, key, integer);
    }
    control_note(control, "CONFIG", domain ? domain->domid : NOTICE_HOST,
                 domain ? domain->name : NULL, "%s", text);
}

static int copy_rules(const struct rule *rules, size_t count, struct rule **ret_rules)
{
    struct rule *copy = NULL;

    if (count > 0) {
        copy = calloc(count, sizeof(*copy));
        if (!copy)
            return -ENOMEM;
        memcpy(copy, rules, count * sizeof(*copy));
    }
    *ret_rules = copy;
    return 0;
}

static int copy_config(const struct config *config, struct config *ret_config)
{
    struct config copy = *config;

    if (copy_rules(config->rules, config->rule_count, &copy.rules) < 0)
        return -ENOMEM;
    if (copy_rules(config->overrides, config->override_count, &copy.overrides) < 0) {
        free(copy.rules);
        return -ENOMEM;
    }
    *ret_config = copy;
    return 0;
}

/* What dom0 says of the domain's sizing itself stands in the store, not in the configuration. */
static int set_selfballoon(struct control *control, const struct domain *domain,
                           const struct json_value *arguments, struct fault *fault)
{
    static const char *const words[][2] = { { "on", "1" }, { "off", "0" }, { "default", NULL } };
    const struct json_value *value = json_get(arguments, "selfballoon");
    const char *word = json_get_string(value);
    struct host *host = control->engine->host;
    size_t i = 0;
    int r;

    if (!value)
        return 0;
    while (i < 3 && (!word || strcmp(word, words[i][0]) != 0))
        i++;
    if (i == 3 || !domain)
        return fault_set(fault, FAULT_ARGUMENT,
                         "selfballoon: expected on, off or default, of a domain");
    if (control->engine->dry_run)
        return fault_set(fault, FAULT_FAILED, "selfballoon: a dry run tells domains nothing");
    r = host->ops->set_selfballoon ? host->ops->set_selfballoon(host, domain, words[i][1])
                                   : -ENOTSUP;
    return r < 0 ? fault_set(fault, FAULT_FAILED, "selfballoon: %s", strerror(-r)) : 0;
}

/* All of it or nothing: everything is set in a copy, which is then swapped in. */
static int set(struct control *control, struct control_peer *peer,
               const struct json_value *arguments, struct json *json, struct fault *fault)
{
    const struct domain *domain = NULL;
    struct config config;
    int r;

    r = named_domain(&control->engine->round, arguments, &domain, fault);
    if (r < 0)
        return r;
    r = copy_config(&control->engine->config, &config);
    if (r < 0)
        return fault_set(fault, FAULT_FAILED, "%s", strerror(-r));
    r = set_all(&config, domain, arguments, fault);
    if (r == 0)
        r = check_policy(&control->engine->config, &config, fault);
    if (r == 0)
        r = set_selfballoon(control, domain, arguments, fault);
    if (r < 0) {
        config_free(&config);
        return r;
    }
    note_set(control, domain, arguments);
    engine_configure(control->engine, &config);
    control->round_wanted = true;
    return_nothing(json);
    return 0;
}

static int reload(struct control *control, struct control_peer *peer,
                  const struct json_value *arguments, struct json *json, struct fault *fault)
{
    char error[sizeof(fault->desc)] = "out of memory";

    if (control_reload(control, error, sizeof(error)) < 0)
        return fault_set(fault, FAULT_FAILED, "%s", error);
    return_nothing(json);
    return 0;
}

static int shut_down(struct control *control, struct control_peer *peer,
                     const struct json_value *arguments, struct json *json, struct fault *fault)
{
    control->stop_wanted = true;
    return_nothing(json);
    return 0;
}

static int query_commands(struct control *control, struct control_peer *peer,
                          const struct json_value *arguments, struct json *json,
                          struct fault *fault);

static const struct command commands[] = {
    {
        .name = "query-status",
        .summary = "the host's figures",
        .run = query_status,
    },
    {
        .name = "query-domains",
        .summary = "every domain's figures",
        .run = query_domains,
    },
    {
        .name = "explain",
        .summary = "why a domain has what it has, with all figures",
        .arguments = true,
        .run = explain,
    },
    {
        .name = "query-events",
        .summary = "the last events",
        .run = query_events,
    },
    {
        .name = "query-commands",
        .summary = "this list",
        .run = query_commands,
    },
    {
        .name = "subscribe",
        .summary = "be told of events from now on",
        .run = subscribe,
    },
    {
        .name = "set",
        .summary = "change settings until the next reload",
        .changes = true,
        .arguments = true,
        .run = set,
    },
    {
        .name = "reserve",
        .summary = "free and hold memory; answered when it is ready",
        .changes = true,
        .arguments = true,
        .run = reservations_reserve,
    },
    {
        .name = "release",
        .summary = "give a reservation back",
        .changes = true,
        .arguments = true,
        .run = reservations_release,
    },
    {
        .name = "query-reservations",
        .summary = "every reservation",
        .run = reservations_query,
    },
    {
        .name = "reload",
        .summary = "read the configuration file anew",
        .changes = true,
        .run = reload,
    },
    {
        .name = "shutdown",
        .summary = "end the daemon; every domain stays as it is",
        .changes = true,
        .run = shut_down,
    },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int query_commands(struct control *control, struct control_peer *peer,
                          const struct json_value *arguments, struct json *json,
                          struct fault *fault)
{
    json_array(json, "return");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        json_map(json, NULL);
        json_string(json, "name", commands[i].name);
        json_string(json, "summary", commands[i].summary);
        json_bool(json, "changes", commands[i].changes);
        json_map_end(json);
    }
    json_array_end(json);
    return 0;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}
