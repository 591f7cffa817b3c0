/* SPDX-License-Identifier: ISC */
#include "core/config-keys.h"

#include <stdio.h>
#include <string.h>

#include "core/policy.h"
#include "util/units.h"

#define PRIORITY_MAX 1000
#define MINUTE_MS (60 * 1000)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Values. */

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

static const struct key of_host[] = {
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
        .is_list = true,
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
        .is_list = true,
    },
};

static const struct key of_limits[] = {
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

const struct keys host_keys = { of_host, COUNT(of_host) };
const struct keys limit_keys = { of_limits, COUNT(of_limits) };

const struct key *keys_find(const struct keys *keys, const char *name)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->list[i].name, name) == 0)
            return &keys->list[i];
    }
    return NULL;
}

const char *keys_names(const struct keys *keys, bool live, char *text, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < keys->count && used < size; i++) {
        if (keys->list[i].live || !live)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     keys->list[i].name);
    }
    return text;
}

const char *config_key(bool limits, size_t index, const char **ret_help)
{
    const struct keys *keys = limits ? &limit_keys : &host_keys;

    if (index >= keys->count)
        return NULL;
    if (ret_help)
        *ret_help = keys->list[index].help;
    return keys->list[index].name;
}

bool config_is_live(const char *name)
{
    const struct key *key = keys_find(&host_keys, name);

    return key && key->live;
}

/* Limits. */

void limits_overlay(struct limits *limits, unsigned given, const struct limits *over)
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

bool limits_agree(const struct limits *limits, char *error, size_t error_size)
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

/* The shipped file. */

static void print_header(FILE *out)
{
    fputs("# SPDX-License-Identifier: ISC\n"
          "# How ballastd shares the host's memory between domains: see ballast.conf(5).\n"
          "# Everything is at its default here. After a change: ballast check, ballast reload.\n"
          "#\n"
          "# `defaults` and the items of `domains` set these of a domain:\n",
          out);
    for (size_t i = 0; i < limit_keys.count; i++)
        (void)fprintf(out, "#   %-9s %s\n", limit_keys.list[i].name, limit_keys.list[i].help);
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
    for (size_t i = 0; i < host_keys.count; i++)
        (void)fprintf(out, "\n# %s\n#%s = %s\n", host_keys.list[i].help, host_keys.list[i].name,
                      host_keys.list[i].value);
}
