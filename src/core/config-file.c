/* SPDX-License-Identifier: ISC */
/* The configuration as a file. */
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/config-keys.h"
#include "external/external.h"
#include "util/cfgfile.h"
#include "util/units.h"

struct reader {
    struct cfgfile *file;
    struct config config;
};

#define fault(reader, line, ...) cfgfile_fault((reader)->file, (line), __VA_ARGS__)

/* One word "key=value" of a rule, or of `defaults`. */
static void read_limit(struct reader *reader, int line, const char *name, const char *value,
                       struct rule *rule)
{
    const struct key *key = keys_find(&limit_keys, name);
    char names[128];

    if (!key)
        fault(reader, line, "'%s' is not known of a domain; expected %s", name,
              keys_names(&limit_keys, false, names, sizeof(names)));
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
    limits_overlay(&limits, rule->given, &rule->limits);
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
    limits_overlay(&reader->config.defaults, rule.given, &rule.limits);
    free(copy);
}

static bool is_only_stars(const char *pattern)
{
    return pattern[strspn(pattern, "*")] == '\0';
}

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
    const struct key *key = keys_find(&host_keys, name);
    const char *text = cfgfile_string(reader->file, name, NULL);
    bool is_list = key && key->is_list;
    char names[256];
    char error[300];

    if (!key)
        fault(reader, line, "'%s' is not known; expected %s", name,
              keys_names(&host_keys, false, names, sizeof(names)));
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
    else if (strcmp(name, "policy") == 0 && external_check(text, true, error, sizeof(error)) < 0)
        fault(reader, line, "%s: %s", name, error);
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
    read_remedies(&reader);
    read_domains(&reader);
    faults = cfgfile_faults(reader.file);
    cfgfile_free(reader.file);
    if (faults > 0) {
        config_free(&reader.config);
        return -EINVAL;
    }
    *ret_config = reader.config;
    return 0;
}
