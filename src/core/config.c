/* SPDX-License-Identifier: ISC */
#include "core/config.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/policy.h"
#include "external/external.h"
#include "util/cfgfile.h"
#include "util/floor.h"
#include "util/units.h"

#define DOM0_NAME "Domain-0"

#define PRIORITY_MAX 1000

/* Of Xen's credit schedulers: 16 bits each. */
#define CPU_WEIGHT_MAX 65535
#define CPU_CAP_MAX 65535
#define MINUTE_MS (60 * 1000)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The keys. */

struct key;

/* Writes what text says into *object, a struct config or limits. False: text is no such value. */
typedef bool take_fn(const struct key *key, const char *text, void *object);

struct reader;

struct key {
    const char *name;
    const char *value;    /* the default, as the file has it */
    const char *expected; /* in a fault: "NAME = VALUE; expected ..." */
    const char *help;
    take_fn *take; /* NULL for what is more than one value */
    void (*read_list)(struct reader *reader);
    size_t offset; /* of the member */
    int64_t min;
    int64_t max;
    unsigned bit; /* of a limit: LIMIT_... */
    bool live;    /* of a setting of the host: `ballast set` may change it */
};

static void *member(const struct key *key, void *object)
{
    return (char *)object + key->offset;
}

static bool take_policy(const struct key *key, const char *text, void *object)
{
    struct config *config = object;

    if (!policy_find(text) && !policy_command(text))
        return false;
    (void)snprintf(config->policy, sizeof(config->policy), "%s", text);
    return true;
}

static bool take_surplus(const struct key *key, const char *text, void *object)
{
    struct config *config = object;
    bool spread = strcmp(text, "spread") == 0;

    if (!spread && strcmp(text, "keep") != 0)
        return false;
    config->surplus_spread = spread;
    return true;
}

/* "0", "0.75", "1": to the thousandth. */
static bool take_share(const struct key *key, const char *text, void *object)
{
    static const char digits[] = "0123456789";
    uint32_t share = 0;
    uint32_t unit = IDLE_TAX_MAX;
    const char *p = text + 1;

    if ((text[0] != '0' && text[0] != '1') || (text[1] != '\0' && text[1] != '.'))
        return false;
    share = text[0] == '1' ? IDLE_TAX_MAX : 0;
    if (*p == '.' && *++p == '\0')
        return false;
    for (; *p; p++) {
        const char *digit = strchr(digits, *p);

        unit /= 10;
        if (!digit || unit == 0)
            return false;
        share += (uint32_t)(digit - digits) * unit;
    }
    if (share > IDLE_TAX_MAX)
        return false;
    *(uint32_t *)member(key, object) = share;
    return true;
}

static bool take_size(const struct key *key, const char *text, void *object)
{
    return units_parse_kib(text, member(key, object)) == 0;
}

static bool take_pool(const struct key *key, const char *text, void *object)
{
    if (strcmp(text, "auto") != 0)
        return take_size(key, text, object);
    *(uint64_t *)member(key, object) = POOL_AUTO;
    return true;
}

static bool take_time(const struct key *key, const char *text, void *object)
{
    uint64_t ms;

    if (units_parse_ms(text, &ms) < 0 || ms < (uint64_t)key->min || ms > (uint64_t)key->max)
        return false;
    *(uint64_t *)member(key, object) = ms;
    return true;
}

/* weight and priority: 32 bits each, of which the range needs no sign bit. */
static bool take_number(const struct key *key, const char *text, void *object)
{
    int64_t value;

    if (units_parse_int(text, key->min, key->max, &value) < 0)
        return false;
    *(int32_t *)member(key, object) = (int32_t)value;
    return true;
}

#define SIZE_EXPECTED "a size such as \"64M\" or \"1G\""

static void read_remedies(struct reader *reader);
static void read_domains(struct reader *reader);

static const struct key host_keys[] = {
    {
        .name = "policy",
        .value = "\"weighted\"",
        .expected = "\"weighted\", \"proportional\", \"static\" or \"external:COMMAND\"",
        .help = "\"weighted\" by need, \"proportional\", \"static\" or \"external:COMMAND\"",
        .take = take_policy,
        .live = true,
    },
    {
        .name = "policy_deadline",
        .value = "\"200ms\"",
        .expected = "a time from \"1ms\" to \"10s\"",
        .help = "within this an external policy answers, or \"weighted\" decides",
        .take = take_time,
        .offset = offsetof(struct config, policy_deadline_ms),
        .min = 1,
        .max = 10 * 1000,
        .live = true,
    },
    {
        /* Xen's low-memory alarm stands at 64 MiB. */
        .name = "reserve",
        .value = "\"80M\"",
        .expected = SIZE_EXPECTED,
        .help = "host memory that is always left free",
        .take = take_size,
        .offset = offsetof(struct config, reserve_kib),
        .live = true,
    },
    {
        .name = "pool",
        .value = "\"auto\"",
        .expected = SIZE_EXPECTED ", or \"auto\"",
        .help = "host memory kept free beyond the reserve, so that growth is served at once",
        .take = take_pool,
        .offset = offsetof(struct config, pool_kib),
        .live = true,
    },
    {
        .name = "surplus",
        .value = "\"spread\"",
        .expected = "\"spread\" or \"keep\"",
        .help = "memory that nobody needs: \"spread\" it by weight, or \"keep\" it free",
        .take = take_surplus,
        .live = true,
    },
    {
        /* Waldspurger's (OSDI 2002): three quarters of the idle may go to others before any
         * needed. */
        .name = "idle_tax",
        .value = "\"0.75\"",
        .expected = "a number from \"0\" to \"1\", such as \"0.75\"",
        .help = "memory that its domain does not need counts for so much less",
        .take = take_share,
        .offset = offsetof(struct config, idle_tax),
        .live = true,
    },
    {
        .name = "interval",
        .value = "\"1s\"",
        .expected = "a time from \"100ms\" to \"60s\"",
        .help = "longest time between two looks at the host",
        .take = take_time,
        .offset = offsetof(struct config, interval_ms),
        .min = 100,
        .max = MINUTE_MS,
    },
    {
        .name = "gather",
        .value = "\"50ms\"",
        .expected = "a time up to \"1s\", such as \"50ms\"",
        .help = "how long to wait for what happens together before looking",
        .take = take_time,
        .offset = offsetof(struct config, gather_ms),
        .max = 1000,
    },
    {
        .name = "grace",
        .value = "\"30s\"",
        .expected = "a time up to \"1h\", such as \"30s\"",
        .help = "nothing is taken from a domain for so long after its start",
        .take = take_time,
        .offset = offsetof(struct config, grace_ms),
        .max = 60 * MINUTE_MS,
    },
    {
        .name = "remedies",
        .value = "[ \"event\" ]",
        .expected = "a list such as [ \"cpu-weight=64\", \"cpu-cap=50\", \"event\" ]",
        .help = "what is done about a malicious domain, beyond its memory",
        .read_list = read_remedies,
    },
    {
        .name = "defaults",
        .value = "\"weight=256, min=0, max=0, size=0, priority=0\"",
        .expected = "a string such as \"weight=256, min=128M\"",
        .help = "of all domains, where `domains` does not say otherwise",
    },
    {
        .name = "domains",
        .value = "[ ]",
        .expected = "a list such as [ \"web-*, weight=512\", \"db, min=1G\" ]",
        .help = "of domains by name, pattern or UUID; the first that matches counts",
        .read_list = read_domains,
    },
};

static const struct key limit_keys[] = {
    {
        .name = "weight",
        .expected = "a number from 1 to 65536",
        .help = "share among domains of the same priority; 256 is usual",
        .take = take_number,
        .offset = offsetof(struct limits, weight),
        .min = 1,
        .max = FILL_WEIGHT_MAX,
        .bit = LIMIT_WEIGHT,
    },
    {
        .name = "min",
        .expected = SIZE_EXPECTED,
        .help = "guaranteed size; 0: what keeps a Linux guest of its maximum alive",
        .take = take_size,
        .offset = offsetof(struct limits, min_kib),
        .bit = LIMIT_MIN,
    },
    {
        .name = "max",
        .expected = SIZE_EXPECTED,
        .help = "largest size; 0, or anything above it: the domain's own maximum",
        .take = take_size,
        .offset = offsetof(struct limits, max_kib),
        .bit = LIMIT_MAX,
    },
    {
        .name = "size",
        .expected = SIZE_EXPECTED,
        .help = "size under the policy \"static\"; 0: what the domain was started with",
        .take = take_size,
        .offset = offsetof(struct limits, size_kib),
        .bit = LIMIT_SIZE,
    },
    {
        .name = "priority",
        .expected = "a number from -1000 to 1000",
        .help = "class; the needs of a higher one are served before those of a lower one",
        .take = take_number,
        .offset = offsetof(struct limits, priority),
        .min = -PRIORITY_MAX,
        .max = PRIORITY_MAX,
        .bit = LIMIT_PRIORITY,
    },
};

static const struct key *find_key(const struct key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

const char *config_key(bool limits, size_t index, const char **ret_help)
{
    const struct key *keys = limits ? limit_keys : host_keys;

    if (index >= (limits ? COUNT(limit_keys) : COUNT(host_keys)))
        return NULL;
    if (ret_help)
        *ret_help = keys[index].help;
    return keys[index].name;
}

/* Limits. */

static void overlay(struct limits *limits, unsigned given, const struct limits *over)
{
    if (given & LIMIT_MIN)
        limits->min_kib = over->min_kib;
    if (given & LIMIT_MAX)
        limits->max_kib = over->max_kib;
    if (given & LIMIT_SIZE)
        limits->size_kib = over->size_kib;
    if (given & LIMIT_WEIGHT)
        limits->weight = over->weight;
    if (given & LIMIT_PRIORITY)
        limits->priority = over->priority;
}

/* Writes a sentence about what contradicts itself, and returns false, when something does. */
static bool limits_agree(const struct limits *limits, char *error, size_t error_size)
{
    uint64_t max_kib = limits->max_kib ? limits->max_kib : UINT64_MAX;
    char min[UNITS_TEXT_SIZE];
    char max[UNITS_TEXT_SIZE];
    char size[UNITS_TEXT_SIZE];

    units_write_kib(limits->min_kib, min);
    units_write_kib(limits->max_kib, max);
    units_write_kib(limits->size_kib, size);
    if (limits->min_kib > max_kib) {
        (void)snprintf(error, error_size, "min %s is above max %s; expected min at most max", min,
                       max);
        return false;
    }
    if (limits->size_kib == 0)
        return true;
    if (limits->size_kib < limits->min_kib)
        (void)snprintf(error, error_size, "size %s is below min %s; expected size at least min",
                       size, min);
    else if (limits->size_kib > max_kib)
        (void)snprintf(error, error_size, "size %s is above max %s; expected size at most max",
                       size, max);
    else
        return true;
    return false;
}

/* Rules and domains. */

static bool is_uuid(const char *pattern)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (strlen(pattern) != strlen(form))
        return false;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == 'x' ? !isxdigit((unsigned char)pattern[i]) : pattern[i] != '-')
            return false;
    }
    return true;
}

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
        overlay(&limits, rule->given, &rule->limits);
    if (override)
        overlay(&limits, override->given, &override->limits);
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

/* The whole. */

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

/* Reading the file. */

struct reader {
    struct cfgfile *file;
    struct config config;
};

#define fault(reader, line, ...) cfgfile_fault((reader)->file, (line), __VA_ARGS__)

/* "weight, min, max": the names of all keys, for "expected ...". */
static const char *key_names(const struct key *keys, size_t count, char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", keys[i].name);
    return text;
}

/* One word "key=value" of a rule, or of `defaults`. */
static void read_limit(struct reader *reader, int line, const char *name, const char *value,
                       struct rule *rule)
{
    const struct key *key = find_key(limit_keys, COUNT(limit_keys), name);
    char names[128];

    if (!key)
        fault(reader, line, "'%s' is not known of a domain; expected %s", name,
              key_names(limit_keys, COUNT(limit_keys), names, sizeof(names)));
    else if (rule->given & key->bit)
        fault(reader, line, "%s stands twice; expected once", name);
    else if (!value || !key->take(key, value, &rule->limits))
        fault(reader, line, "%s=%s; expected %s", name, value ? value : "", key->expected);
    if (key)
        rule->given |= key->bit;
}

/* All words from the cursor on. Faults are told when they contradict each other, or base. */
static void read_limits(struct reader *reader, int line, char *cursor, const struct limits *base,
                        struct rule *rule)
{
    int faults = cfgfile_faults(reader->file);
    struct limits limits = *base;
    char error[128];
    char *name;
    char *value;

    while ((name = cfgfile_word(&cursor, &value)))
        read_limit(reader, line, name, value, rule);
    overlay(&limits, rule->given, &rule->limits);
    if (cfgfile_faults(reader->file) == faults && !limits_agree(&limits, error, sizeof(error)))
        fault(reader, line, "%s", error);
}

static void out_of_memory(struct reader *reader)
{
    fault(reader, 0, "cannot be read: %s", strerror(ENOMEM));
}

static void read_defaults(struct reader *reader, int line, const char *text)
{
    const struct limits none = { 0 };
    struct rule rule = { 0 };
    char *copy = strdup(text);

    if (!copy) {
        out_of_memory(reader);
        return;
    }
    read_limits(reader, line, copy, &none, &rule);
    overlay(&reader->config.defaults, rule.given, &rule.limits);
    free(copy);
}

static bool is_only_stars(const char *pattern)
{
    return pattern[strspn(pattern, "*")] == '\0';
}

/* True when `later` can never match because `earlier` takes all that it matches. Not every such
 * pair is found: only what follows from reading the later pattern as text. That is sound when it
 * stands for itself, or when only a "*" of the earlier can have taken its wildcards. */
static bool covers(const char *earlier, const char *later)
{
    if (strcmp(earlier, later) == 0)
        return true;
    if (strcmp(later, DOM0_NAME) == 0 || strcmp(earlier, DOM0_NAME) == 0)
        return false;
    if (is_only_stars(earlier))
        return true;
    if (is_uuid(earlier) || is_uuid(later))
        return strcasecmp(earlier, later) == 0;
    if (strpbrk(later, "[\\") || (strpbrk(later, "*?") && strpbrk(earlier, "[\\?")))
        return false;
    return fnmatch(earlier, later, 0) == 0;
}

static bool fits_a_name(const char *pattern)
{
    for (; *pattern; pattern++) {
        if (iscntrl((unsigned char)*pattern) || *pattern == '/')
            return false;
    }
    return true;
}

/* Returns false when the pattern is no good (told already). */
static bool check_pattern(struct reader *reader, int line, const char *pattern)
{
    if (pattern[0] == '\0') {
        fault(reader, line, "no name; expected a domain's name, pattern or UUID first");
        return false;
    }
    if (strlen(pattern) >= CONFIG_PATTERN_SIZE) {
        fault(
            reader, line,
            "'%.32s...' is too long to match; expected at most %d bytes, which is what is kept of "
            "a domain's name",
            pattern, CONFIG_PATTERN_SIZE - 1);
        return false;
    }
    if (!fits_a_name(pattern)) {
        fault(reader, line,
              "'%s' can never match; expected what a domain's name can hold, which "
              "has no '/'",
              pattern);
        return false;
    }
    for (size_t i = 0; i < reader->config.rule_count; i++) {
        const char *earlier = reader->config.rules[i].pattern;

        if (!covers(earlier, pattern))
            continue;
        fault(reader, line,
              "'%s' can never match, as '%s' before it takes all that it matches; "
              "expected it before that",
              pattern, earlier);
        return false;
    }
    return true;
}

/* "PATTERN, key=value, key=value" */
static void read_rule(struct reader *reader, int line, char *text)
{
    struct rule rule = { 0 };
    char *cursor = text;
    char *value;
    const char *pattern = cfgfile_word(&cursor, &value);
    bool good;

    if (value) {
        fault(reader, line, "%s=%s comes first; expected a domain's name, pattern or UUID first",
              pattern, value);
        good = false;
    } else {
        good = check_pattern(reader, line, pattern);
    }
    read_limits(reader, line, cursor, &reader->config.defaults, &rule);
    if (!good)
        return;
    (void)snprintf(rule.pattern, sizeof(rule.pattern), "%s", pattern);
    reader->config.rules[reader->config.rule_count++] = rule;
}

static void read_domains(struct reader *reader)
{
    int count = cfgfile_list(reader->file, "domains");

    if (count > CONFIG_RULES_MAX) {
        fault(reader, 0, "domains has %d items; expected at most %d", count, CONFIG_RULES_MAX);
        return;
    }
    if (count <= 0)
        return;
    reader->config.rules = calloc((size_t)count, sizeof(*reader->config.rules));
    if (!reader->config.rules) {
        out_of_memory(reader);
        return;
    }
    for (int i = 0; i < count; i++) {
        int line;
        const char *item = cfgfile_item(reader->file, "domains", i, &line);
        char *copy = item ? strdup(item) : NULL;

        if (copy)
            read_rule(reader, line, copy);
        else if (item)
            out_of_memory(reader);
        else
            fault(reader, line, "a list in the list domains; expected strings in it");
        free(copy);
    }
}

static void read_remedy(struct reader *reader, int line, char *text)
{
    struct remedies *remedies = &reader->config.remedies;
    int64_t number = 0;
    char *value;
    const char *name = cfgfile_word(&text, &value);

    if (strcmp(name, "event") == 0 && !value)
        remedies->event = true;
    else if (strcmp(name, "cpu-weight") == 0 && value
             && units_parse_int(value, 1, CPU_WEIGHT_MAX, &number) == 0)
        remedies->cpu_weight = (uint32_t)number;
    else if (strcmp(name, "cpu-cap") == 0 && value
             && units_parse_int(value, 1, CPU_CAP_MAX, &number) == 0)
        remedies->cpu_cap = (uint32_t)number;
    else
        fault(reader, line,
              "'%s%s%s' is no remedy; expected cpu-weight= from 1 to %d, cpu-cap= from 1 to %d, or "
              "event",
              name, value ? "=" : "", value ? value : "", CPU_WEIGHT_MAX, CPU_CAP_MAX);
}

/* A list that is there takes the place of the default. */
static void read_remedies(struct reader *reader)
{
    int count = cfgfile_list(reader->file, "remedies");

    if (count >= 0)
        reader->config.remedies = (struct remedies){ 0 };
    for (int i = 0; i < count; i++) {
        int line;
        const char *item = cfgfile_item(reader->file, "remedies", i, &line);
        char *copy = item ? strdup(item) : NULL;

        if (copy && *copy)
            read_remedy(reader, line, copy);
        else if (item && copy)
            fault(reader, line, "an empty remedy; expected one such as \"event\"");
        else if (item)
            out_of_memory(reader);
        else
            fault(reader, line, "a list in the list remedies; expected strings in it");
        free(copy);
    }
}

/* All but lists, which are read after `defaults`. */
static void read_setting(struct reader *reader, const char *name, int line)
{
    const struct key *key = find_key(host_keys, COUNT(host_keys), name);
    const char *text = cfgfile_string(reader->file, name, NULL);
    bool is_list = key && key->read_list;
    char names[256];
    char error[300];

    if (!key)
        fault(reader, line, "'%s' is not known; expected %s", name,
              key_names(host_keys, COUNT(host_keys), names, sizeof(names)));
    else if (is_list && text)
        fault(reader, line, "%s = \"%s\"; expected %s", name, text, key->expected);
    else if (is_list)
        return;
    else if (!text)
        fault(reader, line, "%s is a list; expected %s", name, key->expected);
    else if (!key->take)
        read_defaults(reader, line, text);
    else if (!key->take(key, text, &reader->config))
        fault(reader, line, "%s = \"%s\"; expected %s", name, text, key->expected);
    else if (key->take == take_policy && external_check(text, true, error, sizeof(error)) < 0)
        fault(reader, line, "%s: %s", name, error);
}

bool config_is_live(const char *name)
{
    const struct key *key = find_key(host_keys, COUNT(host_keys), name);

    return key && key->live;
}

int config_read(const char *file, FILE *report, struct config *ret_config)
{
    struct reader reader;
    const char *name;
    int line;
    int faults;
    int r = cfgfile_read(file, report, &reader.file);

    if (r < 0)
        return r;
    config_init(&reader.config);
    for (size_t i = 0; (name = cfgfile_key(reader.file, i, &line)); i++)
        read_setting(&reader, name, line);
    for (size_t i = 0; i < COUNT(host_keys); i++) {
        if (host_keys[i].read_list)
            host_keys[i].read_list(&reader);
    }
    faults = cfgfile_faults(reader.file);
    cfgfile_free(reader.file);
    if (faults > 0) {
        config_free(&reader.config);
        return -EINVAL;
    }
    *ret_config = reader.config;
    return 0;
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

/* "policy, reserve": the names of the settings of the host that can be changed live. */
static const char *live_names(char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < COUNT(host_keys) && used < size; i++) {
        if (host_keys[i].live)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     host_keys[i].name);
    }
    return text;
}

static int set_host(struct config *config, const char *name, const char *value, char *error,
                    size_t error_size)
{
    const struct key *key = find_key(host_keys, COUNT(host_keys), name);
    char names[256];

    if (!key || !key->live)
        return complain(error, error_size, "'%.64s' cannot be set %s; expected %s", name,
                        key ? "while the daemon runs" : "of the host",
                        live_names(names, sizeof(names)));
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
    const struct key *key = find_key(limit_keys, COUNT(limit_keys), name);
    struct limits limits;
    char uuid[UUID_TEXT_SIZE];
    struct rule *override;
    char names[128];

    if (!key)
        return complain(error, error_size, "'%.64s' is not known of a domain; expected %s", name,
                        key_names(limit_keys, COUNT(limit_keys), names, sizeof(names)));
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
    overlay(&override->limits, key->bit, &limits);
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

/* The shipped file. */

static void print_header(FILE *out)
{
    fputs("# SPDX-License-Identifier: ISC\n"
          "# How ballastd shares the host's memory between domains: see ballast.conf(5).\n"
          "# Everything is at its default here. After a change: ballast check, ballast reload.\n"
          "#\n"
          "# `defaults` and the items of `domains` set these of a domain:\n",
          out);
    for (size_t i = 0; i < COUNT(limit_keys); i++)
        (void)fprintf(out, "#   %-9s %s\n", limit_keys[i].name, limit_keys[i].help);
    fputs("# such as:\n"
          "#   domains = [ \"db,       weight=1024, min=1G, priority=10\",\n"
          "#               \"web-*,    weight=512, min=256M, max=2G\",\n"
          "#               \"Domain-0, min=768M, max=2G\" ]\n"
          "# Domain-0 is left alone unless it stands there by this name.\n",
          out);
}

void config_print_defaults(FILE *out)
{
    print_header(out);
    for (size_t i = 0; i < COUNT(host_keys); i++)
        (void)fprintf(out, "\n# %s\n#%s = %s\n", host_keys[i].help, host_keys[i].name,
                      host_keys[i].value);
}
