/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <unistd.h>

#include "check.h"
#include "core/config.h"
#include "util/floor.h"

#define MIB(n) ((uint64_t)(n)*1024)
#define GIB(n) ((uint64_t)(n)*1024 * 1024)

static char *report; /* of the last read_text() */
static char name[64];

static int read_text(const char *text, struct config *ret_config)
{
    size_t size;
    FILE *stream;
    int fd;
    int r;

    snprintf(name, sizeof(name), "/tmp/test-config.XXXXXX");
    fd = mkstemp(name);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        perror(name);
        exit(EXIT_FAILURE);
    }
    close(fd);
    free(report);
    stream = open_memstream(&report, &size);
    r = config_read(name, stream, ret_config);
    fclose(stream);
    unlink(name);
    return r;
}

/* A domain as a host sees it. */
static struct domain domain_of(uint32_t domid, const char *domain_name, uint64_t static_max_kib)
{
    struct domain domain = { .domid = domid, .static_max_kib = static_max_kib };

    if (domid > 0)
        domain.uuid[15] = (uint8_t)domid;
    snprintf(domain.name, sizeof(domain.name), "%s", domain_name);
    return domain;
}

/* What the configuration makes of a domain of 4 GiB. */
static struct domain applied(const struct config *config, uint32_t domid, const char *domain_name)
{
    struct domain domain = domain_of(domid, domain_name, GIB(4));

    config_apply(config, &domain);
    return domain;
}

static void check_defaults(const struct config *config)
{
    CHECK_STR(config->policy, "weighted");
    CHECK_EQ(config->reserve_kib, MIB(80));
    CHECK_EQ(config->pool_kib, POOL_AUTO);
    CHECK(config->surplus_spread);
    CHECK_EQ(config->interval_ms, 1000);
    CHECK_EQ(config->gather_ms, 50);
    CHECK_EQ(config->grace_ms, 30000);
    CHECK_EQ(config->defaults.weight, 256);
    CHECK_EQ(config->defaults.min_kib, 0);
    CHECK_EQ(config->defaults.max_kib, 0);
    CHECK_EQ(config->defaults.size_kib, 0);
    CHECK_EQ(config->defaults.priority, 0);
    CHECK_EQ(config->rule_count, 0);
    CHECK_EQ(config->override_count, 0);
    CHECK_EQ(config->remedies.cpu_weight, 0);
    CHECK_EQ(config->remedies.cpu_cap, 0);
    CHECK(config->remedies.event);
}

static void test_defaults(void)
{
    struct config config;

    config_init(&config);
    CHECK(config.generation != 0);
    check_defaults(&config);
    config_free(&config);
    CHECK_EQ(read_text("", &config), 0);
    check_defaults(&config);
    config_free(&config);
    config_free(&config);
}

static void test_all_keys(void)
{
    struct config config;

    CHECK_EQ(read_text("policy   = \"external:/bin/sh -c x\"\n"
                       "reserve  = \"96M\"\n"
                       "pool     = 0\n"
                       "surplus  = \"keep\"\n"
                       "idle_tax = \"0.125\"\n"
                       "policy_deadline = \"50ms\"\n"
                       "interval = \"100ms\"\n"
                       "gather   = \"1s\"\n"
                       "grace    = \"1h\"\n"
                       "remedies = [ \"cpu-weight=64\", \"cpu-cap=50\" ]\n"
                       "domains  = [ \"db,      weight=1024, min=1G, priority=10\",\n"
                       "             \"web-*,   weight=512,  min=256M, max=2G, size=512M\",\n"
                       "             \"Domain-0, min=768M, max=2G\",\n"
                       "             \"00000000-0000-0000-0000-0000000000AA, priority=-1000\" ]\n"
                       "defaults = \"weight=128, min=64M, max=3G, size=1G, priority=-3\"\n",
                       &config),
             0);
    CHECK_STR(report, "");
    if (report[0])
        return;
    CHECK_STR(config.policy, "external:/bin/sh -c x");
    CHECK_EQ(config.reserve_kib, MIB(96));
    CHECK_EQ(config.pool_kib, 0);
    CHECK(!config.surplus_spread);
    CHECK_EQ(config.idle_tax, 125);
    CHECK_EQ(config.policy_deadline_ms, 50);
    CHECK_EQ(config.interval_ms, 100);
    CHECK_EQ(config.gather_ms, 1000);
    CHECK_EQ(config.grace_ms, 3600000);
    CHECK_EQ(config.remedies.cpu_weight, 64);
    CHECK_EQ(config.remedies.cpu_cap, 50);
    CHECK(!config.remedies.event);
    CHECK_EQ(config.defaults.weight, 128);
    CHECK_EQ(config.defaults.min_kib, MIB(64));
    CHECK_EQ(config.defaults.max_kib, GIB(3));
    CHECK_EQ(config.defaults.size_kib, GIB(1));
    CHECK_EQ(config.defaults.priority, -3);
    CHECK_EQ(config.rule_count, 4);
    CHECK_STR(config.rules[1].pattern, "web-*");
    CHECK_EQ(config.rules[1].given, LIMIT_WEIGHT | LIMIT_MIN | LIMIT_MAX | LIMIT_SIZE);
    CHECK_EQ(config.rules[1].limits.size_kib, MIB(512));
    config_free(&config);
}

static void test_apply(void)
{
    struct config config;
    struct domain domain;

    CHECK_EQ(read_text("defaults = \"weight=128\"\n"
                       "domains = [ \"db, min=1G, weight=1024\", \"web-?, max=2G\",\n"
                       "  \"00000000-0000-0000-0000-0000000000aa, weight=7\",\n"
                       "  \"*, priority=5\" ]\n",
                       &config),
             0);

    domain = applied(&config, 3, "db");
    CHECK(domain.managed);
    CHECK_EQ(domain.min_kib, GIB(1));
    CHECK_EQ(domain.max_kib, GIB(4));
    CHECK_EQ(domain.limits.weight, 1024);
    CHECK_EQ(domain.limits.priority, 0);
    CHECK_EQ(domain.config_generation, config.generation);

    domain = applied(&config, 4, "web-1");
    CHECK_EQ(domain.min_kib, floor_kib(GIB(4)));
    CHECK_EQ(domain.max_kib, GIB(2));
    CHECK_EQ(domain.limits.weight, 128);

    CHECK_EQ(applied(&config, 5, "web-10").limits.priority, 5);
    CHECK_EQ(applied(&config, 0xaa, "any").limits.weight, 7);
    CHECK_EQ(applied(&config, 0xaa, "any").limits.priority, 0);
    config_free(&config);
}

/* Domain 0 is left alone unless it is named. */
static void test_dom0(void)
{
    struct config config;

    CHECK_EQ(read_text("domains = [ \"*, min=1G\", \"Domain-0, min=768M, max=2G\" ]\n", &config),
             0);
    CHECK(applied(&config, 0, "Domain-0").managed);
    CHECK_EQ(applied(&config, 0, "Domain-0").min_kib, MIB(768));
    CHECK_EQ(applied(&config, 0, "Domain-0").max_kib, GIB(2));
    config_free(&config);
    CHECK_EQ(read_text("domains = [ \"Domain-*, min=1G\", \"*, min=1G\" ]\n", &config), 0);
    CHECK(!applied(&config, 0, "Domain-0").managed);
    CHECK(applied(&config, 1, "Domain-1").managed);
    config_free(&config);
}

/* A minimum above what the domain can have at all is no promise that could be kept. */
static void test_small_domain(void)
{
    struct config config;
    struct domain domain = domain_of(3, "small", MIB(100));

    CHECK_EQ(read_text("domains = [ \"*, min=1G, max=2G\" ]\n", &config), 0);
    config_apply(&config, &domain);
    CHECK_EQ(domain.min_kib, MIB(100));
    CHECK_EQ(domain.max_kib, MIB(100));
    domain.static_max_kib = 0;
    config_apply(&config, &domain);
    CHECK_EQ(domain.min_kib, 0);
    CHECK_EQ(domain.max_kib, 0);
    domain.static_max_kib = UINT64_MAX;
    config_apply(&config, &domain);
    CHECK_EQ(domain.min_kib, GIB(1));
    CHECK_EQ(domain.max_kib, GIB(2));
    config_free(&config);
}

struct fault_case {
    const char *text;
    int line;
    const char *fault;
};

static const struct fault_case fault_cases[] = {
    { "policy = \"fair\"\n", 1,
      "policy = \"fair\"; expected \"weighted\", \"proportional\", \"static\" or "
      "\"external:COMMAND\"" },
    { "\n# x\nwieght = 3\n", 3,
      "'wieght' is not known; expected policy, policy_deadline, reserve, pool, surplus, idle_tax, "
      "interval, gather, grace, remedies, defaults, domains" },
    { "reserve = \"12Q\"\n", 1, "reserve = \"12Q\"; expected a size" },
    { "reserve = \"-1M\"\n", 1, "expected a size" },
    { "reserve = \"9999999T\"\n", 1, "expected a size" },
    { "pool = [ ]\n", 1, "pool is a list; expected a size" },
    { "policy = \"external:\"\n", 1, "expected \"weighted\"" },
    { "policy = \"external: /bin/sh\"\n", 1, "expected \"weighted\"" },
    { "policy = \"external:bin/sh\"\n", 1, "policy: 'bin/sh'; expected the program's path" },
    { "policy = \"external:/none/such\"\n", 1, "policy: '/none/such': No such file" },
    { "policy_deadline = \"0ms\"\n", 1, "expected a time from \"1ms\" to \"10s\"" },
    { "policy_deadline = \"11s\"\n", 1, "expected a time from \"1ms\" to \"10s\"" },
    { "idle_tax = \"1.001\"\n", 1, "expected a number from \"0\" to \"1\"" },
    { "idle_tax = \"0.\"\n", 1, "expected a number" },
    { "idle_tax = \".5\"\n", 1, "expected a number" },
    { "idle_tax = \"0.0001\"\n", 1, "expected a number" },
    { "idle_tax = \"-0\"\n", 1, "expected a number" },
    { "idle_tax = \"\"\n", 1, "expected a number" },
    { "surplus = \"give\"\n", 1, "expected \"spread\" or \"keep\"" },
    { "interval = \"99ms\"\n", 1, "expected a time from \"100ms\" to \"60s\"" },
    { "interval = \"61s\"\n", 1, "expected a time from \"100ms\" to \"60s\"" },
    { "interval = 5\n", 1, "expected a time" },
    { "gather = \"2s\"\n", 1, "expected a time up to \"1s\"" },
    { "grace = \"2h\"\n", 1, "expected a time up to \"1h\"" },
    { "defaults = [ \"weight=1\" ]\n", 1, "defaults is a list; expected a string" },
    { "defaults = \"weight=0\"\n", 1, "weight=0; expected a number from 1 to 65536" },
    { "defaults = \"weight=65537\"\n", 1, "expected a number from 1 to 65536" },
    { "defaults = \"weight=1.5\"\n", 1, "expected a number" },
    { "defaults = \"weight\"\n", 1, "weight=; expected a number" },
    { "defaults = \"weight=1, weight=2\"\n", 1, "weight stands twice" },
    { "defaults = \"color=1\"\n", 1,
      "'color' is not known of a domain; expected weight, min, max, "
      "size, priority" },
    { "defaults = \"weight=1,\"\n", 1, "'' is not known" },
    { "defaults = \"priority=1001\"\n", 1, "expected a number from -1000 to 1000" },
    { "defaults = \"min=2G, max=1G\"\n", 1, "min 2G is above max 1G" },
    { "defaults = \"min=2G, size=1G\"\n", 1, "size 1G is below min 2G" },
    { "defaults = \"max=1G, size=2G\"\n", 1, "size 2G is above max 1G" },
    { "remedies = \"event\"\n", 1, "expected a list" },
    { "remedies = [ \"event\",\n \"shoot\" ]\n", 2, "'shoot' is no remedy; expected cpu-weight=" },
    { "remedies = [ \"cpu-weight=0\" ]\n", 1, "'cpu-weight=0' is no remedy" },
    { "remedies = [ \"cpu-cap=65536\" ]\n", 1, "'cpu-cap=65536' is no remedy" },
    { "remedies = [ \"cpu-cap\" ]\n", 1, "'cpu-cap' is no remedy" },
    { "remedies = [ \"event=1\" ]\n", 1, "'event=1' is no remedy" },
    { "remedies = [ \"\" ]\n", 1, "an empty remedy" },
    { "remedies = [ [ \"event\" ] ]\n", 1, "expected strings" },
    { "domains = \"a\"\n", 1, "expected a list" },
    { "domains = 5\n", 1, "expected a list" },
    { "domains = [\n\n [ \"a\" ] ]\n", 3, "expected strings" },
    { "domains = [ \"a\",\n \"min=1G\" ]\n", 2, "expected a domain's name" },
    { "domains = [ \"\" ]\n", 1, "no name; expected a domain's name" },
    { "domains = [ \", min=1G\" ]\n", 1, "no name; expected a domain's name" },
    { "domains = [ \"a, min=2G, max=1G\" ]\n", 1, "min 2G is above max 1G" },
    { "domains = [ \"a\",\n \"b, min=2G\" ]\ndefaults = \"max=1G\"\n", 2,
      "min 2G is above max 1G" },
    { "domains = [ \"a,, min=2G\" ]\n", 1, "'' is not known" },
    { "domains = [ \"a/b\" ]\n", 1, "can never match" },
    { "domains = [ \"a\\tb\" ]\n", 1, "can never match" },
    { "domains = [ \"a\",\n \"b\",\n \"a\" ]\n", 3, "'a' can never match, as 'a' before it" },
    { "domains = [ \"*\",\n \"a\" ]\n", 2, "'a' can never match, as '*'" },
    { "domains = [ \"**\",\n \"a-[xy]\" ]\n", 2, "can never match" },
    { "domains = [ \"web-*\",\n \"web-db-*\" ]\n", 2, "'web-db-*' can never match, as 'web-*'" },
    { "domains = [ \"web-?\",\n \"web-1\" ]\n", 2, "'web-1' can never match, as 'web-?'" },
    { "domains = [ \"w[a-f]b\",\n \"web\" ]\n", 2, "can never match" },
    { "domains = [ \"Domain-0\",\n \"Domain-0, min=1G\" ]\n", 2, "can never match" },
    { "domains = [ \"00000000-0000-0000-0000-0000000000aa\",\n"
      " \"00000000-0000-0000-0000-0000000000AA\" ]\n",
      2, "can never match" },
    { "domains = [ \"*\",\n \"00000000-0000-0000-0000-0000000000AA\" ]\n", 2, "can never match" },
    { "a = 1\na = 2\n", 2, "set again" },
    { "reserve = 64M\n", 1, "expected NAME = \"TEXT\"" },
};

static void test_faults(void)
{
    for (size_t i = 0; i < sizeof(fault_cases) / sizeof(fault_cases[0]); i++) {
        const struct fault_case *this = &fault_cases[i];
        struct config config = { .reserve_kib = 4711 };
        char start[96];
        const char *at;

        CHECK_EQ(read_text(this->text, &config), -EINVAL);
        CHECK_EQ(config.reserve_kib, 4711);
        snprintf(start, sizeof(start), "%s:%d: ", name, this->line);
        at = strstr(report, start);
        if (!CHECK(at && strstr(at, this->fault)))
            fprintf(stderr, "  expected line %d, \"%s\"; got:\n%s", this->line, this->fault,
                    report);
    }
}

/* Each of these looks like one that is covered, and is not. */
static void test_no_faults(void)
{
    static const char *const texts[] = {
        "domains = [ \"a\", \"*\" ]\n",
        "domains = [ \"web-db-*\", \"web-*\" ]\n",
        "domains = [ \"*a*\", \"[ab]\" ]\n",
        "domains = [ \"w?b\", \"w*b\" ]\n",
        "domains = [ \"w[a-f]b\", \"w?b\" ]\n",
        "domains = [ \"0*\", \"00000000-0000-0000-0000-0000000000aa\" ]\n",
        "domains = [ \"*\", \"Domain-0\" ]\n",
        "domains = [ \"Domain-0\", \"Domain-?\" ]\n",
        "domains = [ \"a, min=1G\" ]\ndefaults = \"max=2G\"\n",
        "domains = [ \"a, min=1G, max=4G\" ]\ndefaults = \"max=512M\"\n",
        "domains = [ ]\n",
        "domains = [ \"my domain, min=0, max=0\" ]\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct config config;

        if (CHECK_EQ(read_text(texts[i], &config), 0))
            config_free(&config);
        else
            fprintf(stderr, "%s%s", texts[i], report);
    }
}

/* Every fault of a file is told in one go. */
static void test_all_at_once(void)
{
    struct config config;
    int lines = 0;

    CHECK_EQ(read_text("policy = \"fair\"\nreserve = \"x\"\nfoo = 1\n"
                       "defaults = \"weight=0, min=x\"\n"
                       "domains = [ \"a/b, max=y\",\n \"c, min=2G, max=1G\" ]\n",
                       &config),
             -EINVAL);
    for (const char *at = strchr(report, '\n'); at; at = strchr(at + 1, '\n'))
        lines++;
    CHECK_EQ(lines, 8);
}

static void test_too_many_rules(void)
{
    size_t size;
    char *text = NULL;
    struct config config;

    for (int count = CONFIG_RULES_MAX; count <= CONFIG_RULES_MAX + 1; count++) {
        FILE *out = open_memstream(&text, &size);

        fputs("domains = [\n", out);
        for (int i = 0; i < count; i++)
            fprintf(out, "\"vm%d\",\n", i);
        fputs("]\n", out);
        fclose(out);
        if (count == CONFIG_RULES_MAX) {
            CHECK_EQ(read_text(text, &config), 0);
            CHECK_EQ(config.rule_count, CONFIG_RULES_MAX);
            config_free(&config);
        } else {
            CHECK_EQ(read_text(text, &config), -EINVAL);
            CHECK(strstr(report, "expected at most 1024"));
        }
        free(text);
    }
}

static void test_long_pattern(void)
{
    struct domain domain = { .domid = 1 };
    struct config config;
    char text[512];

    /* As much as is kept of a name. */
    memset(domain.name, '0', sizeof(domain.name) - 1);
    snprintf(text, sizeof(text), "domains = [ \"%s, weight=512\" ]\n", domain.name);
    CHECK_EQ(read_text(text, &config), 0);
    config_apply(&config, &domain);
    CHECK_EQ(domain.limits.weight, 512);
    config_free(&config);
    snprintf(text, sizeof(text), "domains = [ \"%0*d\" ]\n", CONFIG_PATTERN_SIZE, 0);
    CHECK_EQ(read_text(text, &config), -EINVAL);
    CHECK(strstr(report, ":1: ") && strstr(report, "expected at most 63 bytes"));
}

static void test_no_file(void)
{
    size_t size;
    char *text = NULL;
    FILE *stream = open_memstream(&text, &size);
    struct config config = { .reserve_kib = 4711 };

    CHECK_EQ(config_read("/nonexistent/ballast.conf", stream, &config), -ENOENT);
    CHECK_EQ(config.reserve_kib, 4711);
    fclose(stream);
    CHECK_STR(text, "/nonexistent/ballast.conf: cannot be read: No such file or directory\n");
    free(text);
}

static int set(struct config *config, const struct domain *domain, const char *key,
               const char *value)
{
    static char error[256];

    error[0] = '\0';
    if (config_set(config, domain, key, value, error, sizeof(error)) == 0)
        return 0;
    CHECK(strstr(error, "; expected "));
    return -EINVAL;
}

static void test_set_host(void)
{
    struct config config;
    uint64_t generation;

    config_init(&config);
    generation = config.generation;
    CHECK_EQ(set(&config, NULL, "policy", "static"), 0);
    CHECK_STR(config.policy, "static");
    CHECK(config.generation != generation);
    CHECK_EQ(set(&config, NULL, "reserve", "128M"), 0);
    CHECK_EQ(config.reserve_kib, MIB(128));
    CHECK_EQ(set(&config, NULL, "pool", "0"), 0);
    CHECK_EQ(config.pool_kib, 0);
    CHECK_EQ(set(&config, NULL, "pool", "auto"), 0);
    CHECK_EQ(config.pool_kib, POOL_AUTO);
    CHECK_EQ(set(&config, NULL, "surplus", "keep"), 0);
    CHECK(!config.surplus_spread);
    CHECK_EQ(set(&config, NULL, "idle_tax", "1"), 0);
    CHECK_EQ(config.idle_tax, IDLE_TAX_MAX);
    CHECK_EQ(set(&config, NULL, "policy_deadline", "1s"), 0);
    CHECK_EQ(config.policy_deadline_ms, 1000);
    generation = config.generation;
    CHECK_EQ(set(&config, NULL, "policy", "fair"), -EINVAL);
    CHECK_EQ(set(&config, NULL, "reserve", "x"), -EINVAL);
    CHECK_EQ(set(&config, NULL, "interval", "5s"), -EINVAL);
    CHECK_EQ(set(&config, NULL, "domains", "a"), -EINVAL);
    CHECK_EQ(set(&config, NULL, "weight", "5"), -EINVAL);
    CHECK_EQ(set(&config, NULL, "", ""), -EINVAL);
    CHECK_STR(config.policy, "static");
    CHECK_EQ(config.generation, generation);
    config_free(&config);
}

static void test_set_domain(void)
{
    struct config config;
    struct domain domain = domain_of(3, "db", GIB(4));
    struct domain other = domain_of(4, "db", GIB(4));

    CHECK_EQ(read_text("domains = [ \"db, min=1G, weight=100\" ]\n", &config), 0);
    CHECK_EQ(set(&config, &domain, "weight", "512"), 0);
    CHECK_EQ(set(&config, &domain, "max", "2G"), 0);
    CHECK_EQ(set(&config, &domain, "weight", "600"), 0);
    CHECK_EQ(config.override_count, 1);
    config_apply(&config, &domain);
    CHECK_EQ(domain.limits.weight, 600);
    CHECK_EQ(domain.min_kib, GIB(1));
    CHECK_EQ(domain.max_kib, GIB(2));
    config_apply(&config, &other);
    CHECK_EQ(other.limits.weight, 100);
    CHECK_EQ(other.max_kib, GIB(4));
    CHECK_EQ(set(&config, &domain, "weight", "0"), -EINVAL);
    CHECK_EQ(set(&config, &domain, "max", "512M"), -EINVAL); /* below the rule's min */
    CHECK_EQ(set(&config, &domain, "min", "3G"), -EINVAL);   /* above the max set before */
    CHECK_EQ(set(&config, &domain, "color", "3"), -EINVAL);
    CHECK_EQ(set(&config, &domain, "reserve", "3G"), -EINVAL);
    config_apply(&config, &domain);
    CHECK_EQ(domain.limits.weight, 600);
    CHECK_EQ(domain.max_kib, GIB(2));
    config_free(&config);
}

static void test_set_dom0(void)
{
    struct config config;
    struct domain dom0 = domain_of(0, "Domain-0", GIB(4));

    config_init(&config);
    CHECK_EQ(set(&config, &dom0, "min", "1G"), -EINVAL);
    config_free(&config);
    CHECK_EQ(read_text("domains = [ \"Domain-0\" ]\n", &config), 0);
    CHECK_EQ(set(&config, &dom0, "min", "1G"), 0);
    config_apply(&config, &dom0);
    CHECK_EQ(dom0.min_kib, GIB(1));
    config_free(&config);
}

static void test_set_too_many(void)
{
    struct config config;
    struct domain domain = domain_of(1, "vm", GIB(4));

    config_init(&config);
    for (int i = 0; i < CONFIG_RULES_MAX; i++) {
        memcpy(domain.uuid, &i, sizeof(i));
        if (!CHECK_EQ(set(&config, &domain, "weight", "5"), 0))
            break;
    }
    CHECK_EQ(set(&config, &domain, "weight", "6"), 0);
    domain.uuid[15] = 77;
    CHECK_EQ(set(&config, &domain, "weight", "7"), -EINVAL);
    config_free(&config);
}

static void test_keys(void)
{
    const char *help;
    const char *key;

    for (int limits = 0; limits < 2; limits++) {
        size_t count = 0;

        while ((key = config_key(limits, count, &help))) {
            CHECK(key[0] && help[0]);
            CHECK(strlen(help) < 80);
            count++;
        }
        CHECK_EQ(count, limits ? 5 : 12);
    }
    CHECK_STR(config_key(true, 0, NULL), "weight");
    CHECK(config_is_live("pool") && !config_is_live("interval") && !config_is_live("weight"));
}

/* A file's text; the caller frees it. Exits when it cannot be had. */
static char *text_of(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    if (!file || getdelim(&text, &size, '\0', file) < 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return text;
}

/* The caller frees *ret_text. */
static void print_defaults(char **ret_text)
{
    size_t size;
    FILE *out = open_memstream(ret_text, &size);

    config_print_defaults(out);
    fclose(out);
}

/* A file of the source tree; the caller frees it. */
static char *source_text(const char *file)
{
    const char *srcdir = getenv("srcdir");
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", srcdir ? srcdir : ".", file);
    return text_of(path);
}

/* The file in etc/ is what the table says. */
static void test_shipped(void)
{
    char *shipped = source_text("etc/ballast.conf");
    char *printed;

    print_defaults(&printed);
    CHECK(strcmp(shipped, printed) == 0);
    free(shipped);
    free(printed);
}

/* What the shipped file shows are the defaults indeed: with its comment signs taken off it reads as
 * what config_init() makes. So does the example. */
static void test_shipped_defaults(void)
{
    char *printed;
    struct config config;

    print_defaults(&printed);
    for (char *at = strstr(printed, "\n#"); at; at = strstr(at + 1, "\n#")) {
        if (at[2] != ' ' && at[2] != '\n')
            at[1] = ' ';
    }
    CHECK_EQ(read_text(printed, &config), 0);
    CHECK_STR(report, "");
    check_defaults(&config);
    config_free(&config);
    free(printed);

    print_defaults(&printed);
    for (char *at = strstr(printed, "\n#   domains"); at && strncmp(at, "\n#   ", 5) == 0;
         at = strchr(at + 1, '\n'))
        at[1] = ' ';
    CHECK_EQ(read_text(printed, &config), 0);
    CHECK_EQ(config.rule_count, 3);
    config_free(&config);
    free(printed);
}

/* The only fault is that a program is not there: it need not be installed for the tests. */
static bool only_lacks_program(void)
{
    return strstr(report, "': No such file") && strchr(report, '\n')[1] == '\0';
}

/* The examples in the manual are read without a fault. */
static void test_manual(void)
{
    char *manual = source_text("docs/ballast.conf.pod");
    struct config config;
    int examples = 0;
    char *end;

    for (char *at = strstr(manual, "\n\n    "); at; at = strstr(end, "\n\n    ")) {
        char *example = at + 6;

        end = example;
        while (strncmp(end, "\n    ", 5) == 0 || *end != '\n')
            end++;
        *end = '\0';
        if (strchr(example, '=')) {
            examples++;
            if (read_text(example, &config) == 0)
                config_free(&config);
            else if (!CHECK(only_lacks_program()))
                fprintf(stderr, "%s", report);
        }
        *end = '\n';
    }
    CHECK(examples > 14);
    free(manual);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("defaults", test_defaults);
    check_run("reads all keys", test_all_keys);
    check_run("the first rule that matches counts", test_apply);
    check_run("domain 0 is left alone unless it is named", test_dom0);
    check_run("a domain smaller than its minimum", test_small_domain);
    check_run("faults have file, line and what was expected", test_faults);
    check_run("what is right is no fault", test_no_faults);
    check_run("all faults are told at once", test_all_at_once);
    check_run("too many rules", test_too_many_rules);
    check_run("too long a pattern", test_long_pattern);
    check_run("no file", test_no_file);
    check_run("settings of the host are changed live", test_set_host);
    check_run("limits of one domain are changed live", test_set_domain);
    check_run("domain 0 is changed only when it is managed", test_set_dom0);
    check_run("there is an end to what is changed live", test_set_too_many);
    check_run("the keys have help", test_keys);
    check_run("the shipped file is the table", test_shipped);
    check_run("the shipped file shows the defaults", test_shipped_defaults);
    check_run("the manual's examples are right", test_manual);
    free(report);
    return check_done();
}
