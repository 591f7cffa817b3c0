/* SPDX-License-Identifier: ISC */
#include "host/scenario.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cfgfile.h"
#include "util/units.h"

#define WORDS_MAX 32
#define EXPECT_SIZE 512
#define TIMES_MAX 100000 /* that one event happens */

/* A guest cannot be smaller than what its kernel hides, and a little to live in. */
#define ALIVE_KIB 4096

struct word {
    char *name;
    char *value; /* NULL without '=' */
};

/* One item of a list, split. */
struct words {
    char *copy;
    int line;
    size_t count;
    struct word word[WORDS_MAX];
};

struct reader {
    struct cfgfile *file;
    struct scenario *scenario;
    bool no_memory;
};

/* Kinds of values that a table of keys can hold. */
enum kind { KIND_SIZE, KIND_MS, KIND_COUNT };

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
};

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

static const struct key guest_keys[] = {
    { "memory", KIND_SIZE, offsetof(struct guest_spec, memory_kib) },
    { "maxmem", KIND_SIZE, offsetof(struct guest_spec, maxmem_kib) },
    { "need", KIND_SIZE, offsetof(struct guest_spec, need_kib) },
    { "cache", KIND_SIZE, offsetof(struct guest_spec, cache_kib) },
    { "noise", KIND_SIZE, offsetof(struct guest_spec, noise_kib) },
    { "swap", KIND_SIZE, offsetof(struct guest_spec, swap_kib) },
    { "hidden", KIND_SIZE, offsetof(struct guest_spec, hidden_kib) },
    { "up", KIND_SIZE, offsetof(struct guest_spec, up_kib_s) },
    { "down", KIND_SIZE, offsetof(struct guest_spec, down_kib_s) },
    { "alloc", KIND_SIZE, offsetof(struct guest_spec, alloc_kib_s) },
    { "boot", KIND_MS, offsetof(struct guest_spec, boot_ms) },
};

static const char *const guest_words[] = { "type", "post", "offset", "balloon" };

static const struct key event_keys[] = {
    { "every", KIND_MS, offsetof(struct scenario_event, every_ms) },
    { "jitter", KIND_MS, offsetof(struct scenario_event, jitter_ms) },
    { "over", KIND_MS, offsetof(struct scenario_event, over_ms) },
    { "for", KIND_MS, offsetof(struct scenario_event, for_ms) },
};

static const struct {
    const char *name;
    enum action action;
    bool valued;
    bool can_end; /* takes for= */
} actions[] = {
    { "need", ACTION_NEED, true, true },           { "stuck", ACTION_STUCK, false, true },
    { "loose", ACTION_LOOSE, false, false },       { "pause", ACTION_PAUSE, false, true },
    { "unpause", ACTION_UNPAUSE, false, false },   { "create", ACTION_CREATE, false, false },
    { "shutdown", ACTION_SHUTDOWN, false, false }, { "destroy", ACTION_DESTROY, false, false },
    { "mem-set", ACTION_MEM_SET, true, false },    { "fail", ACTION_FAIL, true, true },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct metric_info metrics[METRICS] = {
    [METRIC_UNMET] = { "unmet", "unmet_mib_s", UNIT_MIB_S, false, false },
    [METRIC_UNMET_WEIGHTED] = { "unmet-weighted", "unmet_weighted_mib_s", UNIT_MIB_S, false,
                                false },
    [METRIC_STALL] = { "stall", "stall_pct", UNIT_PERCENT, false, false },
    [METRIC_OOM] = { "oom", "oom_kills", UNIT_COUNT, false, false },
    [METRIC_IDLE] = { "idle", "idle_kib", UNIT_SIZE, false, false },
    [METRIC_MOVED] = { "moved", "moved_kib", UNIT_SIZE, false, false },
    [METRIC_MOVES] = { "moves", "moves", UNIT_COUNT, false, false },
    [METRIC_RISES] = { "rises", "rises", UNIT_COUNT, false, false },
    [METRIC_UNSERVED] = { "unserved", "unserved", UNIT_COUNT, false, false },
    [METRIC_SERVE_P50] = { "serve-p50", "serve_ms_p50", UNIT_MS, false, false },
    [METRIC_SERVE_P99] = { "serve-p99", "serve_ms_p99", UNIT_MS, false, false },
    [METRIC_BELOW_MIN] = { "below-min", "below_min", UNIT_COUNT, false, false },
    [METRIC_ACTUAL] = { "actual", "actual_kib", UNIT_SIZE, false, true },
    [METRIC_PROMISE_BROKEN] = { "promise-broken", "promise_broken", UNIT_COUNT, true, false },
    [METRIC_LEAST_FREE] = { "least-free", "least_free_kib", UNIT_SIZE, true, false },
    [METRIC_CREATE_FAILED] = { "create-failed", "create_failed", UNIT_COUNT, true, false },
};

const struct metric_info *metric_info(enum metric metric)
{
    return &metrics[metric];
}

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

/* Faults. */

#define fault(reader, line, ...) cfgfile_fault((reader)->file, (line), __VA_ARGS__)

static void append(char *text, size_t size, const char *word)
{
    size_t used = strlen(text);

    (void)snprintf(text + used, size - used, "%s%s", used ? ", " : "", word);
}

/* All names that a function gives by index, for "expected ...". */
static const char *all_of(const char *(*name_at)(size_t), char text[EXPECT_SIZE])
{
    const char *name;

    text[0] = '\0';
    for (size_t i = 0; (name = name_at(i)); i++)
        append(text, EXPECT_SIZE, name);
    return text;
}

/* One more element at the end, all zero; NULL without memory. Room is doubled at powers of two. */
static void *grow(struct reader *reader, void **array, size_t *count, size_t size)
{
    if ((*count & (*count - 1)) == 0) {
        void *more = realloc(*array, (*count ? *count * 2 : 1) * size);

        if (!more) {
            reader->no_memory = true;
            return NULL;
        }
        *array = more;
    }
    memset((char *)*array + *count * size, 0, size);
    return (char *)*array + (*count)++ * size;
}

/* Values. */

static const char *const expected[] = {
    [KIND_SIZE] = "a size such as 64M or 1G",
    [KIND_MS] = "a time such as 500ms, 30s or 5m",
    [KIND_COUNT] = "a whole number",
};

static int parse(enum kind kind, const char *text, uint64_t *ret_value)
{
    int64_t number;
    int r;

    switch (kind) {
    case KIND_SIZE:
        return units_parse_kib(text, ret_value);
    case KIND_MS:
        return units_parse_ms(text, ret_value);
    case KIND_COUNT:
        r = units_parse_int(text, 0, INT32_MAX, &number);
        if (r == 0)
            *ret_value = (uint64_t)number;
        return r;
    }
    return -EINVAL;
}

/* Sets the member of `object` that the key names. Returns false when there is no such key. */
static bool take(struct reader *reader, const struct key *keys, size_t count, int line,
                 const struct word *word, void *object)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, word->name) != 0)
            continue;
        if (!word->value
            || parse(keys[i].kind, word->value, (uint64_t *)((char *)object + keys[i].offset)) < 0)
            fault(reader, line, "%s=%s; expected %s", word->name, word->value ? word->value : "",
                  expected[keys[i].kind]);
        return true;
    }
    return false;
}

/* "200M", or "160M..240M". */
static int parse_range(enum kind kind, char *text, uint64_t *ret_low, uint64_t *ret_high)
{
    char *dots = strstr(text, "..");
    uint64_t low, high;
    int r;

    if (dots)
        *dots = '\0';
    r = parse(kind, text, &low);
    if (r == 0 && dots)
        r = parse(kind, dots + 2, &high);
    else
        high = low;
    if (dots)
        *dots = '.';
    if (r < 0 || high < low)
        return -EINVAL;
    *ret_low = low;
    *ret_high = high;
    return 0;
}

/* An item of a list as words. Returns false when it cannot be had (told already). */
static bool split(struct reader *reader, const char *key, int index, struct words *ret_words)
{
    const char *item = cfgfile_item(reader->file, key, index, &ret_words->line);
    struct word word;
    char *cursor;

    ret_words->count = 0;
    cursor = ret_words->copy = strdup(item ? item : "");
    if (!cursor) {
        reader->no_memory = true;
        return false;
    }
    while ((word.name = cfgfile_word(&cursor, &word.value))) {
        if (ret_words->count == WORDS_MAX) {
            fault(reader, ret_words->line, "too many words; expected at most %d", WORDS_MAX);
            break;
        }
        ret_words->word[ret_words->count++] = word;
    }
    if (ret_words->count == 0 || ret_words->word[0].name[0] == '\0') {
        fault(reader, ret_words->line, "an empty item in %s", key);
        free(ret_words->copy);
        return false;
    }
    return true;
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
            grow(reader, (void **)&scenario->guests, &scenario->guest_count, sizeof(*guest));
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
static void read_guest(struct reader *reader, const struct words *words, size_t at)
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
        if (take(reader, guest_keys, COUNT(guest_keys), words->line, word, &spec))
            continue;
        r = take_word(word, &spec, &hint);
        if (r == -EINVAL)
            fault(reader, words->line, "%s=%s; expected %s", word->name,
                  word->value ? word->value : "", hint);
        else if (r == -ENOENT && is_limit(word->name))
            take_limit(reader, words->line, word, &scratch);
        else if (r == -ENOENT)
            fault(reader, words->line, "'%s' is not known of a guest; expected %s", word->name,
                  all_of(scenario_guest_key, all));
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

/* Events. */

const char *scenario_event_key(size_t index)
{
    if (index < COUNT(event_keys))
        return event_keys[index].name;
    index -= COUNT(event_keys);
    return index < COUNT(actions) ? actions[index].name : NULL;
}

static int find_action(const char *name)
{
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (strcmp(actions[i].name, name) == 0)
            return (int)i;
    }
    return -ENOENT;
}

/* The first word without a value after the time: the guests. 0 when there is none. */
static size_t guests_word(const struct words *words)
{
    for (size_t i = 1; i < words->count; i++) {
        if (!words->word[i].value)
            return i;
    }
    return 0;
}

/* What happens: the one word that is an action, but that need= beside create is of the guest that
 * is created. 0 when there is none, or more than one. */
static size_t action_word(const struct words *words, size_t guests)
{
    size_t found = 0, need = 0, count = 0;

    for (size_t i = 1; i < words->count; i++) {
        if (i == guests || find_action(words->word[i].name) < 0)
            continue;
        if (strcmp(words->word[i].name, "need") == 0) {
            need = i;
        } else {
            found = i;
            count++;
        }
    }
    if (count == 0)
        return need;
    return count == 1 && (need == 0 || strcmp(words->word[found].name, "create") == 0) ? found : 0;
}

static void read_action(struct reader *reader, const struct words *words, size_t at,
                        struct scenario_event *event)
{
    const struct word *word = &words->word[at];
    int a = find_action(word->name);
    int r = 0;

    event->action = actions[a].action;
    if (actions[a].valued != (word->value != NULL)) {
        fault(reader, words->line, "%s %s value", word->name,
              actions[a].valued ? "needs a" : "takes no");
        return;
    }
    if (event->action == ACTION_FAIL) {
        int64_t percent = 0;

        r = units_parse_int(word->value, 0, 100, &percent);
        event->percent = (uint32_t)percent;
    } else if (actions[a].valued) {
        r = parse_range(KIND_SIZE, word->value, &event->low_kib, &event->high_kib);
    }
    if (r < 0)
        fault(reader, words->line, "%s=%s; expected %s", word->name, word->value,
              event->action == ACTION_FAIL ? "a percentage, 0 to 100"
                                           : "a size such as 200M, or a range such as 160M..240M");
    if ((event->action == ACTION_FAIL) != (strcmp(event->guests, "host") == 0))
        fault(reader, words->line, "fail=PERCENT is for the host, and all else for guests");
    if (event->for_ms > 0 && !actions[a].can_end)
        fault(reader, words->line, "%s cannot be taken back; expected no for=", word->name);
    if (event->over_ms > 0 && event->action != ACTION_NEED)
        fault(reader, words->line, "over=TIME is for need=SIZE");
}

static void read_when(struct reader *reader, const struct words *words,
                      struct scenario_event *event)
{
    if (parse_range(KIND_MS, words->word[0].name, &event->at_ms, &event->until_ms) < 0)
        fault(reader, words->line, "'%s'; expected when: a time such as 10s, or 20s..600s",
              words->word[0].name);
    else if ((event->until_ms > event->at_ms) != (event->every_ms > 0))
        fault(reader, words->line, "'%s'; expected a range of time and every=TIME, or neither",
              words->word[0].name);
    else if (event->every_ms > 0 && (event->until_ms - event->at_ms) / event->every_ms > TIMES_MAX)
        fault(reader, words->line, "'%s'; expected at most %d times", words->word[0].name,
              TIMES_MAX);
}

static void read_event(struct reader *reader, const struct words *words)
{
    struct scenario *scenario = reader->scenario;
    struct scenario_event event = { .line = words->line };
    size_t who = guests_word(words);
    size_t at = action_word(words, who);
    bool create = at > 0 && strcmp(words->word[at].name, "create") == 0;
    const char *guests = words->word[who].name;
    char all[EXPECT_SIZE];
    struct scenario_event *added;

    if (at == 0 || who == 0) {
        fault(reader, words->line,
              "expected a time, the guests, and what happens to them: one of "
              "need=SIZE, stuck, loose, pause, unpause, create, shutdown, destroy, mem-set=SIZE, "
              "fail=PERCENT");
        return;
    }
    if (strncmp(guests, "random ", 7) == 0) {
        event.random = true;
        guests += 7 + strspn(guests + 7, " ");
    }
    if (strlen(guests) >= sizeof(event.guests)) {
        fault(reader, words->line, "'%s' is too long", guests);
        return;
    }
    memcpy(event.guests, guests, strlen(guests) + 1);
    for (size_t i = 1; i < words->count && !create; i++) {
        if (i != at && i != who
            && !take(reader, event_keys, COUNT(event_keys), words->line, &words->word[i], &event))
            fault(reader, words->line, "'%s' is not known of an event; expected %s",
                  words->word[i].name, all_of(scenario_event_key, all));
    }
    read_when(reader, words, &event);
    read_action(reader, words, at, &event);
    if (create && words->count > 3)
        read_guest(reader, words, who);
    added = grow(reader, (void **)&scenario->events, &scenario->event_count, sizeof(*added));
    if (added)
        *added = event;
}

static bool any_matches(const struct scenario *scenario, const char *pattern)
{
    for (size_t i = 0; i < scenario->guest_count; i++) {
        if (scenario_match(pattern, scenario->guests[i].name))
            return true;
    }
    return false;
}

static void check_events(struct reader *reader)
{
    const struct scenario *scenario = reader->scenario;

    for (size_t i = 0; i < scenario->event_count; i++) {
        const struct scenario_event *event = &scenario->events[i];

        if (event->action != ACTION_FAIL && !any_matches(scenario, event->guests))
            fault(reader, event->line, "'%s' matches no guest", event->guests);
        if (event->at_ms > scenario->length_ms)
            fault(reader, event->line, "this would happen after the end");
    }
}

/* Limits. */

static const char *limit_name(size_t index)
{
    return index < METRICS ? metrics[index].name : NULL;
}

static int parse_value(enum metric_unit unit, const char *text, double *ret_value)
{
    static const enum kind kinds[] = {
        [UNIT_COUNT] = KIND_COUNT,   [UNIT_SIZE] = KIND_SIZE,   [UNIT_MS] = KIND_MS,
        [UNIT_PERCENT] = KIND_COUNT, [UNIT_MIB_S] = KIND_COUNT,
    };
    uint64_t value;
    int r = parse(kinds[unit], text, &value);

    if (r == 0)
        *ret_value = (double)value;
    return r;
}

/* "unmet<=20": cfgfile_word() splits it after the '<'. */
static enum limit_op take_op(char *name)
{
    size_t len = strlen(name);
    char last = len > 0 ? name[len - 1] : '\0';

    if (last == '<' || last == '>')
        len--;
    while (len > 0 && isspace((unsigned char)name[len - 1]))
        len--;
    name[len] = '\0';
    return last == '<' ? LIMIT_AT_MOST : last == '>' ? LIMIT_AT_LEAST : LIMIT_EQUAL;
}

static void read_limit(struct reader *reader, const char *item, const struct words *words)
{
    struct scenario *scenario = reader->scenario;
    const struct word *word = &words->word[words->count - 1];
    struct scenario_limit limit = { .line = words->line };
    struct scenario_limit *added;
    char all[EXPECT_SIZE];
    size_t i;

    (void)snprintf(limit.text, sizeof(limit.text), "%s", item);
    if (words->count > 2 || !word->value || (words->count == 2 && words->word[0].value)) {
        fault(reader, words->line, "'%s'; expected such as unmet<=200, or vm3, stall<=1", item);
        return;
    }
    if (words->count == 2) {
        (void)snprintf(limit.guests, sizeof(limit.guests), "%s", words->word[0].name);
        if (!any_matches(scenario, limit.guests))
            fault(reader, words->line, "'%s' matches no guest", limit.guests);
    }
    limit.op = take_op(word->name);
    for (i = 0; i < METRICS && strcmp(metrics[i].name, word->name) != 0; i++)
        ;
    if (i == METRICS) {
        fault(reader, words->line, "'%s' is not measured; expected %s", word->name,
              all_of(limit_name, all));
        return;
    }
    limit.metric = (enum metric)i;
    if (parse_value(metrics[i].unit, word->value, &limit.value) < 0)
        fault(reader, words->line, "'%s'; expected %s", item,
              metrics[i].unit == UNIT_SIZE ? expected[KIND_SIZE]
              : metrics[i].unit == UNIT_MS ? expected[KIND_MS]
                                           : expected[KIND_COUNT]);
    if (limit.guests[0] ? metrics[i].host_only : metrics[i].guest_only)
        fault(reader, words->line, "%s is measured of %s only", metrics[i].name,
              metrics[i].host_only ? "the host" : "a guest");
    added = grow(reader, (void **)&scenario->limits, &scenario->limit_count, sizeof(*added));
    if (added)
        *added = limit;
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
    return index < COUNT(list_keys) ? list_keys[index] : NULL;
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

    if (is_one_of(key, list_keys, COUNT(list_keys))) {
        if (cfgfile_list(reader->file, key) < 0)
            fault(reader, line, "%s; expected a list: [ \"...\", \"...\" ]", key);
    } else if (is_one_of(key, config_keys, COUNT(config_keys))) {
        if (config_set(&reader->scenario->config, NULL, key, value ? value : "", error,
                       sizeof(error))
            < 0)
            fault(reader, line, "%s", error);
    } else if (!take(reader, top_keys, COUNT(top_keys), line, &word, reader->scenario)) {
        fault(reader, line, "'%s' is not known; expected %s", key, all_of(scenario_key, all));
    }
}

enum list { LIST_GUESTS, LIST_EVENTS, LIST_LIMITS };

static void read_list(struct reader *reader, enum list list)
{
    const char *key = list_keys[list];
    int count = cfgfile_list(reader->file, key);

    for (int i = 0; i < count && !reader->no_memory; i++) {
        struct words words;

        if (!split(reader, key, i, &words))
            continue;
        if (list == LIST_GUESTS)
            read_guest(reader, &words, 0);
        else if (list == LIST_EVENTS)
            read_event(reader, &words);
        else
            read_limit(reader, cfgfile_item(reader->file, key, i, NULL), &words);
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
    const char *key;
    int line;

    for (size_t i = 0; (key = cfgfile_key(reader->file, i, &line)); i++)
        read_setting(reader, key, line);
    read_list(reader, LIST_GUESTS);
    read_list(reader, LIST_EVENTS);
    read_list(reader, LIST_LIMITS);
    check_host(reader);
    check_names(reader);
    check_events(reader);
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
