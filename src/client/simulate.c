/* SPDX-License-Identifier: ISC */
/* ballast simulate: a scenario in virtual time, over the engine that the daemon runs. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/clairvoyant.h"
#include "client/client.h"
#include "client/outcome.h"
#include "client/svg.h"
#include "client/verdicts.h"
#include "core/engine.h"
#include "host/host-sim.h"
#include "util/bounds.h"
#include "util/exits.h"
#include "util/units.h"

/* More lines than this are no comparison for the eye. */
#define POLICIES_MAX 16

struct options {
    const char *scenario;
    uint64_t seed;
    const char *svg;
    const char *policies[POLICIES_MAX];
    size_t policy_count; /* 0: the scenario's own */
    bool json;
};

static const char help_text[] =
    "Usage: ballast simulate [OPTION...] SCENARIO\n"
    "Runs a scenario in virtual time: the daemon's own decisions over a simulated host.\n"
    "Exits with 1 when a limit of the scenario, or the promise, was broken.\n"
    "\n"
    "  --seed N       what is left to chance (default 1)\n"
    "  --policy NAME  instead of the scenario's; several times: one beside the other\n"
    "  --svg FILE     draw it\n"
    "  --json         print figures as JSON\n"
    "  --help         show this text and leave\n";

/* As the daemon does it: what happened is looked into after a delay that gathers what comes
 * together, and a round runs when it matters, at the latest when the round before asked for it. */
static uint64_t run(const struct scenario *scenario, struct host *host, struct engine *engine,
                    struct trace *trace, struct verdicts *verdicts)
{
    uint64_t end_ms = HOST_SIM_BEGIN_MS + scenario->length_ms;
    uint64_t gather_ms = engine->config.gather_ms;
    uint64_t round_ms = HOST_SIM_BEGIN_MS;
    uint64_t look_ms = UINT64_MAX;
    uint64_t sample_ms = HOST_SIM_BEGIN_MS;
    uint64_t rounds = 0;

    for (;;) {
        uint64_t wake_ms = smaller(smaller(round_ms, look_ms), sample_ms);
        bool stirred = host_sim_advance(host, wake_ms < end_ms ? wake_ms : end_ms);
        uint64_t now_ms = host->ops->now_ms(host);

        if (stirred && look_ms == UINT64_MAX)
            look_ms = now_ms + gather_ms;
        for (; sample_ms <= now_ms; sample_ms += trace->step_ms)
            trace_sample(trace, host);
        if (now_ms >= end_ms)
            return rounds;
        if (now_ms >= look_ms) {
            look_ms = UINT64_MAX;
            if (host->ops->has_news(host, &engine->round))
                round_ms = now_ms;
        }
        if (now_ms >= round_ms) {
            uint64_t next_ms = engine->config.interval_ms;

            if (engine_round(engine, &next_ms) == 0) {
                rounds++;
                verdicts_look(verdicts, &engine->round, host);
            }
            round_ms = host->ops->now_ms(host) + next_ms;
        }
    }
}

static int draw(const struct options *options, const struct scenario *scenario,
                const struct host *host, const struct trace *trace, const char *policy)
{
    FILE *out = fopen(options->svg, "w");
    char title[300];
    int r = out ? 0 : -errno;

    (void)snprintf(title, sizeof(title), "%s, policy %.100s, seed %" PRIu64, scenario->file, policy,
                   options->seed);
    if (r == 0)
        r = svg_draw(trace, scenario, host, title, out);
    if (out && fclose(out) != 0 && r == 0)
        r = -errno;
    if (r < 0)
        fprintf(stderr, "ballast: %s: %s\n", options->svg, strerror(-r));
    return r;
}

/* One object, or an array of them. */
static int print_json(const struct outcome *outcomes, size_t count)
{
    struct json *json = json_new(true);
    const char *text = NULL;
    size_t len = 0;

    if (json) {
        if (count > 1)
            json_array(json, NULL);
        for (size_t i = 0; i < count; i++)
            outcome_json(&outcomes[i], json);
        if (count > 1)
            json_array_end(json);
        text = json_text(json, &len);
    }
    if (text)
        printf("%s\n", text);
    json_free(json);
    return text ? 0 : -ENOMEM;
}

/* Prints what came out. The limits are the scenario's for its own policy, or for the one that was
 * named; where several are compared only the promise counts. Returns the exit status. */
static int report(const struct options *options, const struct outcome *outcomes, size_t count)
{
    double broken = 0;

    if (options->json && print_json(outcomes, count) < 0)
        return EXIT_FAILURE;
    if (!options->json && count == 1)
        outcome_print(outcomes, stdout);
    else if (!options->json)
        outcome_compare(outcomes, count, stdout);
    (void)fflush(stdout);
    if (count == 1)
        return outcome_broken(outcomes, stderr) > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    for (size_t i = 0; i < count; i++)
        broken += outcomes[i].host[METRIC_PROMISE_BROKEN];
    return broken > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Figures under the name of a policy that did not decide would mislead. */
static void say_failures(const struct engine *engine, uint64_t rounds)
{
    const char *why;
    uint64_t failures = engine->external ? external_failures(engine->external, &why) : 0;

    if (failures > 0)
        fprintf(stderr,
                "ballast: %s: did not decide %" PRIu64 " of %" PRIu64
                " rounds, the last because: %s\n",
                engine->config.policy, failures, rounds, why);
}

/* Everything once the host is there. Returns 0 or a negative errno. */
static int simulate_on(const struct options *options, const struct scenario *scenario,
                       struct host *host, struct config *config, const char *policy,
                       struct outcome *ret_outcome)
{
    struct trace trace = { .step_ms = scenario->length_ms };
    struct verdicts verdicts = { 0 };
    struct engine *engine = malloc(sizeof(*engine));
    struct clairvoyant *clairvoyant = NULL;
    uint64_t rounds;
    int r = -ENOMEM;

    if (!engine)
        return r;
    engine_init(engine, host, config);
    engine->patient = true;
    r = verdicts_init(&verdicts, scenario->guest_count);
    if (r == 0)
        r = clairvoyant_open(scenario, host, &clairvoyant);
    if (r == 0 && options->svg)
        r = trace_init(&trace, scenario->guest_count, scenario->length_ms);
    if (r < 0)
        goto out;
    rounds = run(scenario, host, engine, &trace, &verdicts);
    host_sim_finish(host);
    say_failures(engine, rounds);
    clairvoyant_finish(clairvoyant);
    if (options->svg)
        r = draw(options, scenario, host, &trace, policy);
    if (r == 0)
        r = outcome_take(scenario, host, clairvoyant, ret_outcome);
    if (r < 0)
        goto out;
    verdicts_report(&verdicts, host, ret_outcome);
    ret_outcome->seed = options->seed;
    ret_outcome->policy = policy;
    ret_outcome->rounds = rounds;
out:
    trace_free(&trace);
    clairvoyant_free(clairvoyant);
    verdicts_free(&verdicts);
    engine_free(engine);
    free(engine);
    return r;
}

/* The scenario under one policy, which was checked. Returns 0, or a negative errno, all of which
 * are told but -ENOMEM. */
static int simulate_policy(const struct options *options, const struct scenario *scenario,
                           const char *policy, struct outcome *ret_outcome)
{
    struct config config;
    struct host *host;
    int r = scenario_config(scenario, &config);

    if (r < 0)
        return r;
    (void)snprintf(config.policy, sizeof(config.policy), "%s", policy);
    r = host_sim_open(scenario, options->seed, false, &host);
    if (r == 0) {
        r = simulate_on(options, scenario, host, &config, policy, ret_outcome);
        host->ops->close(host);
    }
    config_free(&config);
    return r;
}

/* True when there is such a policy; else that is told. */
static bool check_policy(const char *policy)
{
    struct config config;
    char error[300];
    int r;

    config_init(&config);
    r = config_set(&config, NULL, "policy", policy, error, sizeof(error));
    if (r == 0)
        r = external_check(policy, false, error, sizeof(error));
    if (r < 0)
        fprintf(stderr, "ballast: %s\n", error);
    config_free(&config);
    return r == 0;
}

static int simulate(const struct options *options)
{
    struct outcome outcomes[POLICIES_MAX] = { 0 };
    struct scenario scenario = { 0 };
    size_t count = options->policy_count ? options->policy_count : 1;
    int r = scenario_read(options->scenario, stderr, &scenario);
    int status = EXIT_FAILURE;

    if (r == 0 && options->policy_count == 0 && !check_policy(scenario.config.policy))
        r = -EINVAL;
    for (size_t i = 0; i < count && r == 0; i++) {
        const char *policy = options->policy_count ? options->policies[i] : scenario.config.policy;

        r = simulate_policy(options, &scenario, policy, &outcomes[i]);
    }
    if (r == 0)
        status = report(options, outcomes, count);
    else if (r == -ENOMEM)
        fputs("ballast: out of memory\n", stderr);
    for (size_t i = 0; i < count; i++)
        outcome_free(&outcomes[i]);
    scenario_free(&scenario);
    return status;
}

static bool parse_seed(const char *text, uint64_t *ret_seed)
{
    int64_t seed;

    if (units_parse_int(text, 0, INT64_MAX, &seed) < 0) {
        fprintf(stderr, "ballast: --seed %s; expected a whole number\n", text);
        return false;
    }
    *ret_seed = (uint64_t)seed;
    return true;
}

/* One that there is not is told of before any runs. */
static bool add_policy(struct options *options, const char *policy)
{
    if (options->policy_count == POLICIES_MAX) {
        fprintf(stderr, "ballast: expected at most %d policies\n", POLICIES_MAX);
        return false;
    }
    options->policies[options->policy_count++] = policy;
    return check_policy(policy);
}

int simulate_main(int argc, char **argv)
{
    static const struct option table[] = {
        { "seed", required_argument, NULL, 's' }, { "svg", required_argument, NULL, 'g' },
        { "json", no_argument, NULL, 'j' },       { "policy", required_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
    };
    struct options options = { .seed = 1 };
    int option;

    (void)signal(SIGPIPE, SIG_IGN); /* an external policy may end at any time */
    optind = 0;                     /* main() has used getopt, too */
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case 's':
            if (!parse_seed(optarg, &options.seed))
                return EXIT_USAGE;
            break;
        case 'g':
            options.svg = optarg;
            break;
        case 'j':
            options.json = true;
            break;
        case 'p':
            if (!add_policy(&options, optarg))
                return EXIT_USAGE;
            break;
        case 'h':
            fputs(help_text, stdout);
            return EXIT_SUCCESS;
        default:
            return client_try_help("simulate");
        }
    }
    if (optind + 1 != argc) {
        fputs("ballast: simulate takes one scenario\n", stderr);
        return client_try_help("simulate");
    }
    if (options.svg && options.policy_count > 1) {
        fputs("ballast: --svg draws one policy; expected --policy once\n", stderr);
        return EXIT_USAGE;
    }
    options.scenario = argv[optind];
    return simulate(&options);
}
