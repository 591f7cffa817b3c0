/* SPDX-License-Identifier: ISC */
#include "host/scenario.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/mischief.h"
#include "host/scenario-reader.h"
#include "util/bounds.h"
#include "util/floor.h"
#include "util/units.h"

/* A guest cannot be smaller than what its kernel hides, and a little to live in. */
#define ALIVE_KIB 4096

static const struct key top_keys[] = {
    { "memory", KIND_SIZE, offsetof(struct scenario, memory_kib) },
    { "xen", KIND_SIZE, offsetof(struct scenario, xen_kib) },
    { "dom0", KIND_SIZE, offsetof(struct scenario, dom0_kib) },
    { "length", KIND_MS, offsetof(struct scenario, length_ms) },
    { "call", KIND_MS, offsetof(struct scenario, call_ms) },
    { "interval", KIND_MS, offsetof(struct scenario, config.interval_ms) },
    { "gather", KIND_MS, offsetof(struct scenario, config.gather_ms) },
    { "grace", KIND_MS, offsetof(struct scenario, config.grace_ms) },
};

/* These go to config_set(), so that they mean what they mean in ballast.conf. */
static const char *const config_keys[] = { "policy", "policy_deadline", "reserve",
                                           "pool",   "surplus",         "idle_tax" };

static const char *const list_keys[] = { "guests", "events", "limits" };

#define TRACE_KEY "trace"

static const struct key guest_keys[] = {
    { "memory", KIND_SIZE, offsetof(struct guest_spec, memory_kib) },
    { "maxmem", KIND_SIZE, offsetof(struct guest_spec, maxmem_kib) },
    { "need", KIND_SIZE, offsetof(struct guest_spec, need_kib) },
    { "cache", KIND_SIZE, offsetof(struct guest_spec, cache_kib) },
    { "commit", KIND_SIZE, offsetof(struct guest_spec, commit_kib) },
    { "noise", KIND_SIZE, offsetof(struct guest_spec, noise_kib) },
    { "swap", KIND_SIZE, offsetof(struct guest_spec, swap_kib) },
    { "hidden", KIND_SIZE, offsetof(struct guest_spec, hidden_kib) },
    { "up", KIND_SIZE, offsetof(struct guest_spec, up_kib_s) },
    { "down", KIND_SIZE, offsetof(struct guest_spec, down_kib_s) },
    { "alloc", KIND_SIZE, offsetof(struct guest_spec, alloc_kib_s) },
    { "boot", KIND_MS, offsetof(struct guest_spec, boot_ms) },
    { "lag", KIND_MS, offsetof(struct guest_spec, lag_ms) },
};

static const char *const guest_words[] = { "type", "post", "offset", "balloon", "acts" };

/* Patterns. */

/* "vm[1-15]x" as its parts; false when it is not of this form. */
static bool split_range(const char *pattern, size_t *ret_prefix, uint64_t *ret_low,
                        uint64_t *ret_high, const char **ret_suffix)
{
    const char *open = strchr(pattern, '[');
    const char *close = open ? strchr(open, ']') : NULL;
    const char *dash = open ? strchr(open, '-') : NULL;
    uint64_t low, high;

    if (!close || !dash || dash > close)
        return false;
    if (report_number(open + 1, (size_t)(dash - open - 1), SCENARIO_GUESTS_MAX, &low) < 0
        || report_number(dash + 1, (size_t)(close - dash - 1), SCENARIO_GUESTS_MAX, &high) < 0)
        return false;
    *ret_prefix = (size_t)(open - pattern);
    *ret_low = low;
    *ret_high = high;
    *ret_suffix = close + 1;
    return true;
}

bool scenario_match(const char *pattern, const char *name)
{
    uint64_t low, high, number;
    const char *suffix;
    size_t prefix, digits;

    if (!split_range(pattern, &prefix, &low, &high, &suffix))
        return fnmatch(pattern, name, 0) == 0;
    if (strncmp(pattern, name, prefix) != 0)
        return false;
    name += prefix;
    digits = strspn(name, "0123456789");
    if (digits == 0 || (name[0] == '0' && digits > 1) || strcmp(name + digits, suffix) != 0)
        return false;
    return report_number(name, digits, SCENARIO_GUESTS_MAX, &number) == 0 && number >= low
           && number <= high;
}

bool scenario_any(const struct scenario *scenario, const char *pattern)
{
    for (size_t i = 0; i < scenario->guest_count; i++) {
        if (scenario_match(pattern, scenario->guests[i].name))
            return true;
    }
    return false;
}

/* Guests. */

const char *scenario_guest_key(size_t index)
{
    if (index < COUNT(guest_keys))
        return guest_keys[index].name;
    index -= COUNT(guest_keys);
    if (index < COUNT(guest_words))
        return guest_words[index];
    return config_key(true, index - COUNT(guest_words), NULL);
}

/* The keys that are words, not sizes. Returns 0, -ENOENT for another key, or -EINVAL with what was
 * expected. */
static int take_word(const struct word *word, struct guest_spec *spec, const char **ret_expected)
{
    static const enum dialect dialects[] = { DIALECT_NONE, DIALECT_BALLAST, DIALECT_XENSERVER,
                                             DIALECT_QUBES };
    static const enum domain_type types[] = { DOMAIN_PV, DOMAIN_PVH, DOMAIN_HVM };
    const char *value = word->value ? word->value : "";

    if (strcmp(word->name, "post") == 0) {
        for (size_t i = 0; i < COUNT(dialects); i++) {
            if (strcmp(dialect_name(dialects[i]), value) == 0) {
                spec->posts = dialects[i];
                return 0;
            }
        }
        *ret_expected = "ballast, xenserver, qubes or none";
        return -EINVAL;
    }
    if (strcmp(word->name, "type") == 0) {
        for (size_t i = 0; i < COUNT(types); i++) {
            if (strcmp(domain_type_name(types[i]), value) == 0) {
                spec->type = types[i];
                return 0;
            }
        }
        *ret_expected = "pv, pvh or hvm";
        return -EINVAL;
    }
    if (strcmp(word->name, "offset") == 0) {
        bool negative = value[0] == '-';
        uint64_t kib;

        *ret_expected = "a size, such as 64K or -8K";
        if (units_parse_kib(value + (negative ? 1 : 0), &kib) < 0)
            return -EINVAL;
        spec->offset_kib = negative ? -(int64_t)kib : (int64_t)kib;
        return 0;
    }
    if (strcmp(word->name, "balloon") == 0) {
        *ret_expected = "yes or no";
        spec->frozen = strcmp(value, "no") == 0;
        return spec->frozen || strcmp(value, "yes") == 0 ? 0 : -EINVAL;
    }
    if (strcmp(word->name, "acts") == 0) {
        *ret_expected = MISCHIEF_EXPECTED;
        return mischief_parse(value, &spec->acts);
    }
    return -ENOENT;
}

/* Limits for ballast mean what they mean in ballast.conf, and are checked by the same code. */
static void take_limit(struct reader *reader, int line, const struct word *word,
                       struct config *scratch)
{
    struct domain anyone = { .uuid = { 1 },
                             .static_max_kib = FILL_KIB_MAX,
                             .max_kib = FILL_KIB_MAX };
    char error[256];

    if (config_set(scratch, &anyone, word->name, word->value ? word->value : "", error,
                   sizeof(error))
        < 0)
        fault(reader, line, "%s", error);
}

static bool is_limit(const char *name)
{
    const char *key;

    for (size_t i = 0; (key = config_key(true, i, NULL)); i++) {
        if (strcmp(key, name) == 0)
            return true;
    }
    return false;
}

/* 46 MiB, and 21 KiB for each MiB that it may grow to, as measured with Debian's kernel on Xen. */
static uint64_t usually_hidden_kib(uint64_t maxmem_kib)
{
    return 46 * 1024 + maxmem_kib / 1024 * 21;
}

static void complete(struct reader *reader, int line, const char *names, struct guest_spec *spec)
{
    if (spec->memory_kib == 0) {
        fault(reader, line, "%s: no memory; expected memory=SIZE", names);
        return;
    }
    if (spec->maxmem_kib == 0)
        spec->maxmem_kib = spec->memory_kib;
    if (spec->need_kib == UINT64_MAX)
        spec->need_kib = spec->memory_kib;
    if (spec->hidden_kib == UINT64_MAX)
        spec->hidden_kib = usually_hidden_kib(spec->maxmem_kib);
    if (spec->maxmem_kib < spec->memory_kib)
        fault(reader, line, "%s: memory above maxmem; expected memory=SIZE at most maxmem", names);
    if (spec->hidden_kib + ALIVE_KIB > spec->memory_kib)
        fault(reader, line,
              "%s: its kernel hides %" PRIu64 "K of memory=%" PRIu64
              "K; expected more memory=, or less hidden=",
              names, spec->hidden_kib, spec->memory_kib);
    if (spec->up_kib_s < 1024 || spec->down_kib_s < 1024 || spec->alloc_kib_s < 1024)
        fault(reader, line, "%s: up, down and alloc are per second; expected at least 1M", names);
}

/* One guest, or all of "vm[1-15]", like spec. */
static void add_guests(struct reader *reader, int line, const char *names,
                       const struct guest_spec *spec)
{
    struct scenario *scenario = reader->scenario;
    uint64_t low = 0, high = 0;
    const char *suffix = "";
    size_t prefix = strlen(names);
    bool range = split_range(names, &prefix, &low, &high, &suffix);

    if (high < low || scenario->guest_count + (high - low) >= SCENARIO_GUESTS_MAX) {
        fault(reader, line, "'%s' is no range of names, or too long; expected at most %d guests",
              names, SCENARIO_GUESTS_MAX);
        return;
    }
    for (uint64_t i = low; i <= high; i++) {
        struct guest_spec *guest =
            reader_grow(reader, (void **)&scenario->guests, &scenario->guest_count, sizeof(*guest));
        int n;

        if (!guest)
            return;
        *guest = *spec;
        if (range)
            n = snprintf(guest->name, sizeof(guest->name), "%.*s%" PRIu64 "%s", (int)prefix, names,
                         i, suffix);
        else
            n = snprintf(guest->name, sizeof(guest->name), "%s", names);
        if (n < 0 || (size_t)n >= sizeof(guest->name) || strpbrk(guest->name, "*?[]")) {
            fault(reader, line, "'%s' is no name; expected one such as web or vm[1-15]", names);
            return;
        }
        memcpy(guest->rule.pattern, guest->name, sizeof(guest->name));
    }
}

/* The words of a guest, whose names stand in word[at]: those after it, but for `create`. */
void reader_guest(struct reader *reader, const struct words *words, size_t at)
{
    struct guest_spec spec = {
        .later = at > 0,
        .need_kib = UINT64_MAX,
        .hidden_kib = UINT64_MAX,
        .up_kib_s = 900 * 1024, /* both as measured on Xen 4.17 */
        .down_kib_s = 520 * 1024,
        .alloc_kib_s = 200 * 1024,
        .boot_ms = 4000,
        .posts = DIALECT_BALLAST,
    };
    struct config scratch;
    char all[EXPECT_SIZE];

    config_init(&scratch);
    for (size_t i = at + 1; i < words->count; i++) {
        const struct word *word = &words->word[i];
        const char *hint = "";
        int r;

        if (spec.later && strcmp(word->name, "create") == 0)
            continue;
        if (reader_take(reader, guest_keys, COUNT(guest_keys), words->line, word, &spec))
            continue;
        r = take_word(word, &spec, &hint);
        if (r == -EINVAL)
            fault(reader, words->line, "%s=%s; expected %s", word->name,
                  word->value ? word->value : "", hint);
        else if (r == -ENOENT && is_limit(word->name))
            take_limit(reader, words->line, word, &scratch);
        else if (r == -ENOENT)
            fault(reader, words->line, "'%s' is not known of a guest; expected %s", word->name,
                  reader_all_of(scenario_guest_key, all));
    }
    if (scratch.override_count > 0) {
        spec.rule.given = scratch.overrides[0].given;
        spec.rule.limits = scratch.overrides[0].limits;
    }
    config_free(&scratch);
    complete(reader, words->line, words->word[at].name, &spec);
    add_guests(reader, words->line, words->word[at].name, &spec);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_names(struct reader *reader)
{
    const struct scenario *scenario = reader->scenario;
    const char **names = calloc(scenario->guest_count + 1, sizeof(*names));

    if (!names) {
        reader->no_memory = true;
        return;
    }
    for (size_t i = 0; i < scenario->guest_count; i++)
        names[i] = scenario->guests[i].name;
    qsort(names, scenario->guest_count, sizeof(*names), by_name);
    for (size_t i = 1; i < scenario->guest_count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            fault(reader, 0, "two guests of the name %s", names[i]);
    }
    free(names);
}

/* The file. */

const char *scenario_key(size_t index)
{
    if (index < COUNT(top_keys))
        return top_keys[index].name;
    index -= COUNT(top_keys);
    if (index < COUNT(config_keys))
        return config_keys[index];
    index -= COUNT(config_keys);
    if (index < COUNT(list_keys))
        return list_keys[index];
    return index == COUNT(list_keys) ? TRACE_KEY : NULL;
}

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

static void read_setting(struct reader *reader, const char *key, int line)
{
    const char *value = cfgfile_string(reader->file, key, NULL);
    struct word word = { .name = (char *)(uintptr_t)key, .value = (char *)(uintptr_t)value };
    char error[256], all[EXPECT_SIZE];

    if (strcmp(key, TRACE_KEY) == 0) {
        if (!value)
            fault(reader, line, TRACE_KEY "; expected a file's name");
    } else if (is_one_of(key, list_keys, COUNT(list_keys))) {
        if (cfgfile_list(reader->file, key) < 0)
            fault(reader, line, "%s; expected a list: [ \"...\", \"...\" ]", key);
    } else if (is_one_of(key, config_keys, COUNT(config_keys))) {
        if (config_set(&reader->scenario->config, NULL, key, value ? value : "", error,
                       sizeof(error))
            < 0)
            fault(reader, line, "%s", error);
    } else if (!reader_take(reader, top_keys, COUNT(top_keys), line, &word, reader->scenario)) {
        fault(reader, line, "'%s' is not known; expected %s", key,
              reader_all_of(scenario_key, all));
    }
}

enum list { LIST_GUESTS, LIST_EVENTS, LIST_LIMITS };

static void read_list(struct reader *reader, enum list list)
{
    const char *key = list_keys[list];
    int count = cfgfile_list(reader->file, key);

    for (int i = 0; i < count && !reader->no_memory; i++) {
        struct words words;

        if (!reader_split(reader, key, i, &words))
            continue;
        if (list == LIST_GUESTS)
            reader_guest(reader, &words, 0);
        else if (list == LIST_EVENTS)
            reader_event(reader, &words);
        else
            reader_limit(reader, cfgfile_item(reader->file, key, i, NULL), &words);
        free(words.copy);
    }
}

static void check_host(struct reader *reader)
{
    const struct scenario *scenario = reader->scenario;
    uint64_t used_kib = scenario->xen_kib + scenario->dom0_kib;

    for (size_t i = 0; i < scenario->guest_count; i++) {
        if (!scenario->guests[i].later)
            used_kib += scenario->guests[i].memory_kib;
    }
    if (scenario->memory_kib == 0)
        fault(reader, 0, "no memory of the host; expected memory = \"SIZE\"");
    else if (used_kib > scenario->memory_kib)
        fault(reader, 0,
              "Xen, dom0 and the guests start with %" PRIu64 "K together; expected at "
              "most the host's %" PRIu64 "K",
              used_kib, scenario->memory_kib);
    /* As in ballast.conf. */
    if (scenario->config.interval_ms < 100 || scenario->config.interval_ms > 60000
        || scenario->config.gather_ms > 1000 || scenario->config.grace_ms > 3600000)
        fault(reader, 0, "expected interval from 100ms to 60s, gather up to 1s, grace up to 1h");
    if (scenario->call_ms > 1000)
        fault(reader, 0, "call is too long; expected up to 1s");
    if (scenario->length_ms == 0)
        fault(reader, 0, "no length; expected length = \"TIME\"");
    if (scenario->guest_count == 0)
        fault(reader, 0, "no guests; expected guests = [ \"NAME, memory=SIZE\" ]");
}

static void read_all(struct reader *reader)
{
    const char *key, *trace;
    int line;

    for (size_t i = 0; (key = cfgfile_key(reader->file, i, &line)); i++)
        read_setting(reader, key, line);
    read_list(reader, LIST_GUESTS);
    read_list(reader, LIST_EVENTS);
    trace = cfgfile_string(reader->file, TRACE_KEY, &line);
    if (trace && !reader->no_memory)
        reader_trace(reader, trace, line);
    read_list(reader, LIST_LIMITS);
    check_host(reader);
    check_names(reader);
    reader_check_events(reader);
}

int scenario_read(const char *file, FILE *report, struct scenario *ret_scenario)
{
    struct scenario scenario = {
        .xen_kib = 24 * 1024,
        .dom0_kib = 192 * 1024,
        .call_ms = 1, /* libxl_set_memory_target takes 0.5 to 20 ms */
    };
    struct reader reader = { .scenario = &scenario };
    int r = cfgfile_read(file, report, &reader.file);

    if (r < 0)
        return r;
    config_init(&scenario.config);
    scenario.file = strdup(file);
    reader.no_memory = !scenario.file;
    read_all(&reader);
    if (reader.no_memory)
        r = -ENOMEM;
    else if (cfgfile_faults(reader.file) > 0)
        r = -EINVAL;
    cfgfile_free(reader.file);
    if (r < 0) {
        scenario_free(&scenario);
        return r;
    }
    *ret_scenario = scenario;
    return 0;
}

void scenario_free(struct scenario *scenario)
{
    config_free(&scenario->config);
    free(scenario->file);
    free(scenario->guests);
    free(scenario->events);
    free(scenario->limits);
    memset(scenario, 0, sizeof(*scenario));
}

int scenario_config(const struct scenario *scenario, struct config *ret_config)
{
    struct config config = scenario->config;

    config.overrides = NULL;
    config.override_count = 0;
    config.rule_count = 0;
    config.rules = calloc(scenario->guest_count + 1, sizeof(*config.rules));
    if (!config.rules)
        return -ENOMEM;
    for (size_t i = 0; i < scenario->guest_count; i++) {
        if (scenario->guests[i].rule.given)
            config.rules[config.rule_count++] = scenario->guests[i].rule;
    }
    *ret_config = config;
    return 0;
}

struct limits scenario_limits(const struct scenario *scenario, const struct guest_spec *spec)
{
    const struct rule *rule = &spec->rule;
    struct limits limits = scenario->config.defaults;

    if (rule->given & LIMIT_MIN)
        limits.min_kib = rule->limits.min_kib;
    if (rule->given & LIMIT_WEIGHT)
        limits.weight = rule->limits.weight;
    if (rule->given & LIMIT_PRIORITY)
        limits.priority = rule->limits.priority;
    limits.max_kib = spec->maxmem_kib;
    if (rule->given & LIMIT_MAX && rule->limits.max_kib > 0)
        limits.max_kib = smaller(limits.max_kib, rule->limits.max_kib);
    if (limits.min_kib == 0)
        limits.min_kib = floor_kib(spec->maxmem_kib);
    limits.min_kib = smaller(limits.min_kib, limits.max_kib);
    return limits;
}
