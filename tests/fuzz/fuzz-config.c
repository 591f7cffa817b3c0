/* SPDX-License-Identifier: ISC */
/* Configuration files: what is taken keeps to its ranges; what is not has its file in each fault.
 * The first line is also given to `set`. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/config.h"
#include "core/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

/* The bytes as a file. */
static void write_file(const uint8_t *data, size_t size)
{
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("fuzz-config", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

static void check_limits(const struct limits *limits)
{
    assert(limits->weight >= 1 && limits->weight <= FILL_WEIGHT_MAX);
    assert(limits->priority >= -1000 && limits->priority <= 1000);
    assert(limits->max_kib == 0 || limits->min_kib <= limits->max_kib);
    assert(limits->min_kib <= FILL_KIB_MAX && limits->max_kib <= FILL_KIB_MAX);
    assert(limits->size_kib <= FILL_KIB_MAX);
}

/* Domains of the first rules' names, and Domain-0. */
static void check_apply(const struct config *config)
{
    for (size_t i = 0; i <= config->rule_count && i < 8; i++) {
        struct domain domain = { .domid = (uint32_t)i, .static_max_kib = UINT64_C(65536) << i };

        if (i > 0)
            (void)snprintf(domain.name, sizeof(domain.name), "%.60s", config->rules[i - 1].pattern);
        config_apply(config, &domain);
        assert(domain.min_kib <= domain.max_kib && domain.max_kib <= domain.static_max_kib);
        assert(domain.config_generation == config->generation);
        check_limits(&domain.limits);
    }
}

static void check_config(const struct config *config)
{
    assert(policy_find(config->policy) || policy_command(config->policy));
    assert(config->policy_deadline_ms >= 1 && config->policy_deadline_ms <= 10000);
    assert(config->idle_tax <= IDLE_TAX_MAX);
    assert(config->interval_ms >= 100 && config->interval_ms <= 60000);
    assert(config->gather_ms <= 1000 && config->grace_ms <= 3600000);
    assert(config->reserve_kib <= FILL_KIB_MAX);
    assert(config->pool_kib == POOL_AUTO || config->pool_kib <= FILL_KIB_MAX);
    assert(config->rule_count <= CONFIG_RULES_MAX);
    check_limits(&config->defaults);
    check_apply(config);
}

static void check_report(const char *report)
{
    assert(*report);
    for (const char *line = report; *line; line = strchr(line, '\n') + 1)
        assert(strncmp(line, path, strlen(path)) == 0 && strchr(line, '\n'));
}

static void set(struct config *config, const struct domain *domain, const char *key,
                const char *value)
{
    char error[256] = "";

    if (config_set(config, domain, key, value, error, sizeof(error)) < 0)
        assert(strstr(error, "; expected "));
}

static void try_set(const uint8_t *data, size_t size)
{
    const uint8_t *newline = memchr(data, '\n', size);
    char *line = strndup((const char *)data, newline ? (size_t)(newline - data) : size);
    struct domain domain = { .domid = 3, .name = "vm", .static_max_kib = UINT64_C(1) << 20 };
    struct config config;
    char *value;

    if (!line)
        abort();
    config_init(&config);
    value = strchr(line, '=');
    if (value)
        *value++ = '\0';
    set(&config, NULL, line, value ? value : "");
    set(&config, &domain, line, value ? value : "");
    check_config(&config);
    config_free(&config);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = NULL;
    size_t text_size;
    FILE *report = open_memstream(&text, &text_size);
    struct config config;
    int r;

    if (!report)
        abort();
    write_file(data, size);
    r = config_read(path, report, &config);
    (void)fclose(report);
    if (r == 0) {
        assert(!*text);
        check_config(&config);
        config_free(&config);
    } else {
        check_report(text);
    }
    free(text);
    try_set(data, size);
    return 0;
}
