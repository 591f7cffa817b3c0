/* SPDX-License-Identifier: ISC */
/* The configuration: /etc/xen/ballast.conf, in the syntax of xl.conf; what it says of a domain. */
#ifndef BALLAST_CONFIG_H
#define BALLAST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/policy.h"
#include "core/round.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#define CONFIG_FILE SYSCONFDIR "/xen/ballast.conf"
#define CONFIG_RULES_MAX 1024

/* Of a domain's name so much is kept (round.h): what is longer would never match. */
#define CONFIG_PATTERN_SIZE DOMAIN_NAME_SIZE

/* Which members of a rule's limits were given. */
enum {
    LIMIT_MIN = 1,
    LIMIT_MAX = 2,
    LIMIT_SIZE = 4,
    LIMIT_WEIGHT = 8,
    LIMIT_PRIORITY = 16,
};

/* One line of `domains`: a name pattern (fnmatch, no special files) or a UUID, and limits. */
struct rule {
    char pattern[CONFIG_PATTERN_SIZE];
    unsigned given; /* LIMIT_... */
    struct limits limits;
};

/* What is done about a malicious domain, beyond its memory. */
struct remedies {
    uint32_t cpu_weight; /* 0: left as it is */
    uint32_t cpu_cap;    /* percent of one CPU; 0: left as it is */
    bool event;          /* the operator is told */
};

/* The pool is as large as the host asks for: engine.c. */
#define POOL_AUTO UINT64_MAX

struct config {
    char policy[POLICY_TEXT_SIZE]; /* a name, or a program: core/policy.h */
    uint64_t policy_deadline_ms;   /* a program answers within this */
    uint64_t reserve_kib;
    uint64_t pool_kib;    /* or POOL_AUTO */
    bool surplus_spread;  /* surplus = "spread" (default) or "keep" */
    uint32_t idle_tax;    /* thousandths; see round.h */
    uint64_t interval_ms; /* a round at the latest after this */
    uint64_t gather_ms;   /* wait for what comes together before a round */
    uint64_t grace_ms;    /* after a domain's start nothing is taken from it */
    struct remedies remedies;
    struct limits defaults;
    struct rule *rules; /* first match wins */
    size_t rule_count;
    struct rule *overrides; /* `ballast set`: before the rules, until the next reload */
    size_t override_count;
    uint64_t generation; /* differs after each change, so that domains are matched anew */
};

/* All the defaults, no rules. */
void config_init(struct config *ret_config);
void config_free(struct config *config);

/* Reads a file. Every fault is printed to `report`, one a line, as "FILE:LINE: what is wrong; what
 * was expected", all of them in one go. Returns 0, or a negative errno (-EINVAL for faults) with
 * *ret_config not written. */
int config_read(const char *file, FILE *report, struct config *ret_config);

/* Changes one setting by its text, as `ballast set` does. With domain NULL: a setting of the host
 * that can be changed live (config_is_live()); else a limit of that one domain, kept as an override
 * by its UUID. Returns 0, or -EINVAL with a sentence in error. */
int config_set(struct config *config, const struct domain *domain, const char *key,
               const char *value, char *error, size_t error_size);

/* Applies to a domain what the configuration says of it: managed, limits, effective min_kib and
 * max_kib. Domain 0 is managed only when a rule names it exactly ("Domain-0"). */
void config_apply(const struct config *config, struct domain *domain);

/* The table of keys, for --help, the shipped file's check and the manual's check: NULL after the
 * last. `limits` selects the keys of `defaults` and `domains`. */
const char *config_key(bool limits, size_t index, const char **ret_help);

/* True when it is a setting of the host that can be changed while the daemon runs. */
bool config_is_live(const char *name);

/* Prints all defaults, commented out, as the shipped file has them. */
void config_print_defaults(FILE *out);

#endif
