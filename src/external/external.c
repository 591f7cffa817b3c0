/* SPDX-License-Identifier: ISC */
#include "external/external.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "core/policy.h"
#include "external/child.h"
#include "external/said.h"
#include "util/bounds.h"
#include "util/units.h"

#define PROTOCOL_VERSION 1

/* An interpreter may take seconds to start on a busy host: the first answer may be so late without
 * anybody being told. A program that owes an answer for so long is started anew. */
#define PATIENCE_MS 10000

/* The pause before a program that failed is started again, doubled each time; one that ran well for
 * a while begins anew. */
#define RETRY_FIRST_MS 1000
#define RETRY_MOST_MS 60000
#define STEADY_MS 60000

/* It works again when it has not failed for so long: one that fails now and then is told of
 * once. */
#define RECOVERED_MS 10000

/* At the end of its input a program may leave by itself. */
#define LEAVE_MS 100

#define WHY_SIZE 96

struct external {
    char *policy; /* the whole text */
    char *words;  /* the command, cut into words */
    char **argv;
    bool logged;
    struct said said;
    struct child *child;
    bool answered; /* since it was started */
    uint64_t started_ms;
    uint64_t asked_ms; /* of the answer that it owes */
    uint64_t retry_ms; /* not started before */
    uint64_t retry_wait_ms;
    bool told; /* the operator knows that it fails */
    uint64_t failed_ms;
    uint64_t failures;
    char why[WHY_SIZE];
};

/* The command. */

/* The words of text, which is cut up for it, and NULL after the last. NULL without memory. */
static char **split(char *text)
{
    char **argv = calloc(strlen(text) / 2 + 2, sizeof(*argv));
    char *rest = NULL;
    size_t n = 0;

    for (char *word = argv ? strtok_r(text, " ", &rest) : NULL; word;
         word = strtok_r(NULL, " ", &rest))
        argv[n++] = word;
    return argv;
}

static int check_program(const char *program, bool from_root, char *error, size_t error_size)
{
    struct stat status;

    if (from_root && program[0] != '/')
        (void)snprintf(error, error_size, "'%.200s'; expected the program's path from the root",
                       program);
    else if (stat(program, &status) < 0)
        (void)snprintf(error, error_size, "'%.200s': %s; expected a program", program,
                       strerror(errno));
    else if (!S_ISREG(status.st_mode) || access(program, X_OK) < 0)
        (void)snprintf(error, error_size, "'%.200s' cannot be executed; expected a program",
                       program);
    else
        return 0;
    return -EINVAL;
}

int external_check(const char *policy, bool from_root, char *error, size_t error_size)
{
    const char *command = policy_command(policy);
    size_t len;
    char *program;
    int r;

    if (!command)
        return 0;
    len = strcspn(command, " ");
    program = strndup(command, len);
    if (!program) {
        (void)snprintf(error, error_size, "%s", strerror(ENOMEM));
        return -EINVAL;
    }
    r = check_program(program, from_root, error, error_size);
    free(program);
    return r;
}

struct external *external_new(const char *policy, bool logged)
{
    const char *command = policy_command(policy);
    struct external *external = command ? calloc(1, sizeof(*external)) : NULL;

    if (!external)
        return NULL;
    external->logged = logged;
    external->policy = strdup(policy);
    external->words = strdup(command);
    external->argv = external->words ? split(external->words) : NULL;
    if (!external->policy || !external->argv) {
        external_free(external);
        return NULL;
    }
    return external;
}

void external_free(struct external *external)
{
    if (!external)
        return;
    if (external->child)
        child_end(external->child, child_owes(external->child) ? 0 : LEAVE_MS, NULL, 0);
    free(external->argv);
    free(external->words);
    free(external->policy);
    free(external);
}

bool external_is(const struct external *external, const char *policy)
{
    return external && strcmp(external->policy, policy) == 0;
}

uint64_t external_failures(const struct external *external, const char **ret_why)
{
    *ret_why = external->why;
    return external->failures;
}

/* The question. */

static void tell_host(struct json *json, const struct round *round)
{
    json_map(json, "host");
    json_uint(json, "total_kib", round->total_kib);
    json_uint(json, "free_kib", round->free_kib);
    json_uint(json, "promised_kib", round->promised_kib);
    json_uint(json, "reserve_kib", round->reserve_kib);
    json_uint(json, "reserved_kib", round->reserved_kib);
    json_uint(json, "pool_kib", round->pool_kib);
    json_int(json, "headroom_kib", round->headroom_kib);
    json_uint(json, "share_kib", round->share_kib);
    json_bool(json, "minimums_fit", round->minimums_fit);
    json_map_end(json);
}

static void tell_post(struct json *json, const struct post *post, bool usable)
{
    const char *name;
    uint64_t value;

    if (usable)
        json_uint(json, "used_kib", post->used_kib);
    json_map(json, "post");
    for (size_t i = 0; usable && (name = report_field(&post->report, i, &value)); i++) {
        if (value != REPORT_ABSENT)
            json_uint(json, name, value);
    }
    json_map_end(json);
}

static void tell_domain(struct json *json, const struct round *round, const struct domain *domain)
{
    json_map(json, NULL);
    json_uint(json, "domid", domain->domid);
    json_string(json, "name", domain->name);
    json_bool(json, "shares", domain->shares);
    json_string(json, "conduct", conduct_name(domain->conduct.class));
    json_string(json, "phase", domain_phase_name(domain->phase));
    json_uint(json, "weight", domain->limits.weight);
    json_int(json, "priority", domain->limits.priority);
    json_uint(json, "min_kib", domain->min_kib);
    json_uint(json, "max_kib", domain->max_kib);
    if (domain->shares) {
        json_uint(json, "bottom_kib", domain->bottom_kib);
        json_uint(json, "top_kib", domain->top_kib);
    }
    json_uint(json, "actual_kib", domain->actual_kib);
    json_uint(json, "target_kib", domain->target_kib);
    json_uint(json, "cap_kib", domain->cap_kib);
    json_uint(json, "static_max_kib", domain->static_max_kib);
    json_uint(json, "entitled_kib", domain->entitled_kib);
    json_uint(json, "core_kib", domain->core_kib);
    json_uint(json, "need_kib", domain->need_kib);
    json_int(json, "available_kib", domain->available_kib);
    json_string(json, "dialect", dialect_name(domain->post.dialect));
    tell_post(json, &domain->post,
              domain->conduct.class != CONDUCT_MALICIOUS
                  && post_usable(&domain->post, round->now_ms));
    json_map_end(json);
}

void external_question(struct json *json, const struct round *round)
{
    json_map(json, NULL);
    json_uint(json, "version", PROTOCOL_VERSION);
    json_uint(json, "round", round->number);
    json_uint(json, "now_ms", round->now_ms);
    tell_host(json, round);
    json_array(json, "domains");
    for (size_t i = 0; i < round->count; i++)
        tell_domain(json, round, &round->domains[i]);
    json_array_end(json);
    json_map_end(json);
}

/* The answer. */

static int take_wants(const struct json_value *wants, struct round *round, char *error,
                      size_t error_size)
{
    bool named[DOMAINS_MAX] = { false };
    const char *key;

    for (size_t i = 0; (key = json_key_at(wants, i)); i++) {
        struct domain *domain = NULL;
        int64_t domid, kib;

        if (units_parse_int(key, 0, DOMAINS_MAX, &domid) == 0)
            domain = round_find(round, (uint32_t)domid);
        if (!domain) {
            (void)snprintf(error, error_size, "wants for \"%.32s\", which is no domain's id", key);
            return -EINVAL;
        }
        if (named[domain - round->domains]) {
            (void)snprintf(error, error_size, "domain %.32s stands twice in wants", key);
            return -EINVAL;
        }
        named[domain - round->domains] = true;
        if (!json_get_int(json_value_at(wants, i), &kib) || kib < 0) {
            (void)snprintf(error, error_size, "what domain %.32s should have is no size in KiB",
                           key);
            return -EINVAL;
        }
        if (domain->shares)
            domain->want_kib = (uint64_t)kib;
    }
    return 0;
}

static int take_answer(const struct json_value *answer, struct round *round, char *error,
                       size_t error_size)
{
    const struct json_value *wants = json_get(answer, "wants");
    const struct json_value *paced = json_get(answer, "paced");
    bool moderated = true;
    const char *key;

    for (size_t i = 0; (key = json_key_at(answer, i)); i++) {
        /* json_get() finds the first of that name. */
        if ((strcmp(key, "wants") == 0 || strcmp(key, "paced") == 0)
            && json_get(answer, key) == json_value_at(answer, i))
            continue;
        (void)snprintf(error, error_size,
                       "the answer has \"%.32s\"; expected wants and paced, once each", key);
        return -EINVAL;
    }
    if (!json_is_map(wants)) {
        (void)snprintf(error, error_size, "the answer has no object \"wants\"");
        return -EINVAL;
    }
    if (paced && !json_get_bool(paced, &moderated)) {
        (void)snprintf(error, error_size, "\"paced\" is neither true nor false");
        return -EINVAL;
    }
    round->unpaced = !moderated;
    return take_wants(wants, round, error, error_size);
}

int external_answer(const char *text, struct round *round, char *error, size_t error_size)
{
    char fault[64];
    struct json_value *answer = json_parse(text, fault, sizeof(fault));
    int r;

    if (!answer) {
        (void)snprintf(error, error_size, "the answer is no JSON: %s", fault);
        return -EINVAL;
    }
    r = take_answer(answer, round, error, error_size);
    json_value_free(answer);
    return r;
}

/* The conversation. */

static const char *trouble(int r)
{
    switch (r) {
    case -EMSGSIZE:
        return "an answer of more than 4 MiB";
    case -EPROTO:
        return "wrote more than one line to one question";
    default:
        return strerror(-r);
    }
}

/* It has ended, or speaks another language: it is ended, and started again after a pause. */
static void give_up(struct external *external, int r)
{
    char fate[40];

    child_end(external->child, 0, fate, sizeof(fate));
    external->child = NULL;
    (void)snprintf(external->why, sizeof(external->why), "%s", r == -EPIPE ? fate : trouble(r));
}

static void pause_after(struct external *external, const struct round *round)
{
    if (external->answered && round->now_ms - external->started_ms >= STEADY_MS)
        external->retry_wait_ms = 0;
    external->retry_wait_ms = clamp(external->retry_wait_ms * 2, RETRY_FIRST_MS, RETRY_MOST_MS);
    external->retry_ms = round->now_ms + external->retry_wait_ms;
}

static int start(struct external *external, const struct round *round)
{
    int r;

    if (external->child)
        return 0;
    if (round->now_ms < external->retry_ms)
        return -ENOENT; /* why: as before */
    r = child_start(external->argv, external->logged ? &external->said : NULL, &external->child);
    external->started_ms = round->now_ms;
    external->answered = false;
    if (r < 0) {
        (void)snprintf(external->why, sizeof(external->why), "cannot be started: %s", strerror(-r));
        pause_after(external, round);
    }
    return r;
}

/* Tells the program of the round. Returns as child_ask() does. */
static int ask(struct external *external, const struct round *round, uint64_t wait_ms,
               const char **ret_answer)
{
    struct json *json = json_new(false);
    const char *text = NULL;
    size_t len = 0;
    int r = -ENOMEM;

    if (json) {
        external_question(json, round);
        text = json_text(json, &len);
    }
    if (text) {
        external->asked_ms = round->now_ms;
        r = child_ask(external->child, text, len, wait_ms, ret_answer);
    }
    json_free(json);
    return r;
}

/* Gets the answer to this round. One that comes late, to a round before, is thrown away. */
static int converse(struct external *external, const struct round *round, uint64_t wait_ms,
                    const char **ret_answer)
{
    int r = start(external, round);

    if (r < 0)
        return r;
    if (child_owes(external->child))
        r = child_wait(external->child, 0, ret_answer);
    if (r == 0)
        r = ask(external, round, wait_ms, ret_answer);
    if (r == 0)
        return 0;
    if (r == -EAGAIN && round->now_ms - external->asked_ms < PATIENCE_MS) {
        (void)snprintf(external->why, sizeof(external->why), "is late");
        return r;
    }
    give_up(external, r == -EAGAIN ? -ETIMEDOUT : r);
    pause_after(external, round);
    return r;
}

/* A domain that is not named keeps what it holds, as far as it may. */
static void keep(struct round *round)
{
    policy_hold(round);
    for (size_t i = 0; i < round->count; i++) {
        struct domain *domain = &round->domains[i];

        if (domain->shares)
            domain->want_kib = clamp(domain->want_kib, round->minimums_fit ? domain->bottom_kib : 0,
                                     domain->top_kib);
    }
}

static int check_wants(struct external *external, const struct round *round)
{
    const struct domain *culprit;
    int r = policy_check(round, &culprit);

    if (r == -ERANGE)
        (void)snprintf(external->why, sizeof(external->why),
                       "domain %" PRIu32 ": %" PRIu64 " KiB; expected %" PRIu64 " to %" PRIu64,
                       culprit->domid, culprit->want_kib,
                       round->minimums_fit ? culprit->bottom_kib : 0, culprit->top_kib);
    else if (r < 0)
        (void)snprintf(external->why, sizeof(external->why),
                       "gave out more than there is to share, %" PRIu64 " KiB", round->share_kib);
    return r;
}

/* Tells the operator once when it begins to fail, and once when it works again. One that is late
 * with its first answer is starting. */
static void tell(struct external *external, struct round *round, int r)
{
    bool starting =
        r == -EAGAIN && !external->answered && round->now_ms - external->started_ms < PATIENCE_MS;

    if (r == 0) {
        if (external->told && round->now_ms - external->failed_ms >= RECOVERED_MS) {
            external->told = false;
            round_note(round, EVENT_POLICY, NULL, "the external policy decides again");
        }
        return;
    }
    external->failures++;
    external->failed_ms = round->now_ms;
    if (external->told || starting)
        return;
    external->told = true;
    round_note(round, EVENT_POLICY, NULL, "external: %s; weighted decides", external->why);
}

int external_decide(struct external *external, struct round *round, uint64_t wait_ms)
{
    const char *answer = NULL;
    int r = converse(external, round, wait_ms, &answer);

    keep(round);
    round->unpaced = false;
    if (r == 0)
        r = external_answer(answer, round, external->why, sizeof(external->why));
    if (r == 0)
        r = check_wants(external, round);
    external->answered |= r == 0;
    if (r < 0)
        round->unpaced = false;
    tell(external, round, r);
    return r;
}
