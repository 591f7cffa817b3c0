/* SPDX-License-Identifier: ISC */
/* ballastd: the order in which it starts, mirrored at its end. Everything that can fail comes
 * before service_ready(). */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "daemon/daemon.h"
#include "daemon/paths.h"
#include "daemon/service.h"
#include "host/host-sim.h"
#include "host/scenario.h"
#include "util/descriptors.h"
#include "util/exits.h"
#include "util/log.h"
#include "util/units.h"

struct options {
    const char *config; /* NULL: the default file, if it is there */
    const char *socket;
    const char *pidfile; /* NULL: the default one in the background, none in the foreground */
    const char *scenario;
    uint64_t seed;
    bool foreground;
    bool check;
    bool dry_run;
    bool verbose;
};

/* What outlives the start, in the order in which it was made. */
struct state {
    char *config_file; /* absolute, since we leave the directory; NULL: of the scenario */
    bool built_in;     /* there was no config_file: all is at its default */
    char *socket_path;
    char *pid_path;
    struct scenario scenario;
    struct config config;
    int host_fd; /* of the lock */
    int pid_fd;
    int listen_fd;
    struct host *host;
};

static const char help[] =
    "Usage: ballastd [OPTION]...\n"
    "Arbitrates the memory of a Xen host between its domains.\n"
    "\n"
    "  --config FILE    the configuration (default: " CONFIG_FILE ")\n"
    "  --socket PATH    where clients connect (default: " SOCKET_PATH ")\n"
    "  --pidfile PATH   where the process id is written (default: " PID_PATH ";\n"
    "                   in the foreground: none)\n"
    "  --foreground     do not go to the background; log to standard error\n"
    "  --check          check the configuration and leave\n"
    "  --dry-run        do everything but change a domain's memory\n"
    "  --scenario FILE  a simulated host in real time, instead of Xen\n"
    "  --seed N         the seed of what is random in the scenario (default: 1)\n"
    "  --verbose        log more\n"
    "  --help           show this text and leave\n"
    "  --version        show the version and leave\n";

/* Returns -1 to go on, or the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
    enum {
        CONFIG = 1,
        SOCKET,
        PIDFILE,
        FOREGROUND,
        CHECK,
        DRY_RUN,
        SCENARIO,
        SEED,
        VERBOSE,
        HELP,
        SHOW_VERSION
    };
    static const struct option table[] = {
        { "config", required_argument, NULL, CONFIG },
        { "socket", required_argument, NULL, SOCKET },
        { "pidfile", required_argument, NULL, PIDFILE },
        { "foreground", no_argument, NULL, FOREGROUND },
        { "check", no_argument, NULL, CHECK },
        { "dry-run", no_argument, NULL, DRY_RUN },
        { "scenario", required_argument, NULL, SCENARIO },
        { "seed", required_argument, NULL, SEED },
        { "verbose", no_argument, NULL, VERBOSE },
        { "help", no_argument, NULL, HELP },
        { "version", no_argument, NULL, SHOW_VERSION },
        { NULL, 0, NULL, 0 },
    };
    int64_t seed = 1;
    bool has_seed = false;
    int option;

    *options = (struct options){ .socket = SOCKET_PATH };
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case CONFIG:
            options->config = optarg;
            break;
        case SOCKET:
            options->socket = optarg;
            break;
        case PIDFILE:
            options->pidfile = optarg;
            break;
        case FOREGROUND:
            options->foreground = true;
            break;
        case CHECK:
            options->check = true;
            break;
        case DRY_RUN:
            options->dry_run = true;
            break;
        case SCENARIO:
            options->scenario = optarg;
            break;
        case SEED:
            if (units_parse_int(optarg, 0, INT64_MAX, &seed) < 0) {
                fprintf(stderr, "ballastd: --seed %s: expected a whole number\n", optarg);
                return EXIT_USAGE;
            }
            has_seed = true;
            break;
        case VERBOSE:
            options->verbose = true;
            break;
        case HELP:
            fputs(help, stdout);
            return EXIT_SUCCESS;
        case SHOW_VERSION:
            puts("ballastd " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        default:
            fputs("Try 'ballastd --help'.\n", stderr);
            return EXIT_USAGE;
        }
    }
    options->seed = (uint64_t)seed;
    if (has_seed && !options->scenario) {
        fputs("ballastd: --seed is the seed of a scenario; expected --scenario, too\n", stderr);
        return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "ballastd: unexpected argument '%s'\nTry 'ballastd --help'.\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    if (!options->pidfile && !options->foreground)
        options->pidfile = PID_PATH;
    return -1;
}

/* The path from the root, for use after we have left the directory we were started in. Returns NULL
 * without memory. */
static char *absolute(const char *path)
{
    char directory[PATH_MAX];
    char *result;

    if (path[0] == '/' || !getcwd(directory, sizeof(directory)))
        return strdup(path);
    return asprintf(&result, "%s/%s", directory, path) < 0 ? NULL : result;
}

static int remember_paths(const struct options *options, struct state *state)
{
    const char *config = options->config;

    /* The scenario carries its own configuration. */
    if (!config && !options->scenario)
        config = CONFIG_FILE;
    if (config && !(state->config_file = absolute(config)))
        return -ENOMEM;
    if (options->pidfile && !(state->pid_path = absolute(options->pidfile)))
        return -ENOMEM;
    state->socket_path = absolute(options->socket);
    return state->socket_path ? 0 : -ENOMEM;
}

static int read_scenario_config(const struct options *options, struct state *state)
{
    char error[300];
    int r = scenario_config(&state->scenario, &state->config);

    if (r == 0)
        r = external_check(state->config.policy, true, error, sizeof(error));
    if (r == -EINVAL)
        fprintf(stderr, "%s: policy: %s\n", options->scenario, error);
    return r;
}

/* Every fault goes to standard error, with file and line. Without a file at the default place all is
 * at its default; one that comes is read by a reload. */
static int read_config(const struct options *options, struct state *state)
{
    int r = 0;

    if (options->scenario)
        r = scenario_read(options->scenario, stderr, &state->scenario);
    if (r < 0)
        return r;
    state->built_in = !options->config && !options->scenario && access(CONFIG_FILE, F_OK) < 0;
    if (state->built_in)
        return 0;
    if (state->config_file)
        return config_read(state->config_file, stderr, &state->config);
    return read_scenario_config(options, state);
}

static void say_checked(const struct options *options, const struct state *state)
{
    if (state->built_in)
        printf("%s: not there; all is at its default\n", CONFIG_FILE);
    else if (state->config_file)
        printf("%s: no faults\n", state->config_file);
    if (options->scenario)
        printf("%s: no faults\n", options->scenario);
}

static int open_host(const struct options *options, struct state *state)
{
    if (options->scenario)
        return host_sim_open(&state->scenario, options->seed, true, &state->host);
    return host_xen_open(&state->host);
}

/* Nobody else may serve the same host. What changes no real one may run beside. */
static int claim_host(const struct options *options, struct state *state)
{
    if (options->scenario || options->dry_run)
        return 0;
    state->host_fd = service_lock_host();
    return state->host_fd < 0 ? state->host_fd : 0;
}

/* From here to the end nobody else has them. */
static int take_places(struct state *state)
{
    if (state->pid_path) {
        state->pid_fd = service_pidfile(state->pid_path);
        if (state->pid_fd < 0)
            return state->pid_fd;
    }
    state->listen_fd = service_listen(state->socket_path);
    return state->listen_fd < 0 ? state->listen_fd : 0;
}

/* The socket is ours until it is unlinked: were it closed before, the next daemon could have taken
 * its place by then. The pid file goes last: who waits for that may start the next one. */
static void leave_places(const struct state *state)
{
    if (state->listen_fd >= 0) {
        (void)unlink(state->socket_path);
        (void)close(state->listen_fd);
    }
    if (state->host_fd >= 0)
        (void)close(state->host_fd);
    if (state->pid_fd >= 0) {
        (void)unlink(state->pid_path);
        (void)close(state->pid_fd);
    }
}

static int serve(const struct options *options, struct state *state)
{
    struct daemon *daemon = malloc(sizeof(*daemon));
    int r;

    if (!daemon)
        return -ENOMEM;
    if (!options->foreground)
        log_open(true, options->verbose);
    r = daemon_start(daemon, state->host, &state->config, state->config_file, options->dry_run,
                     state->listen_fd);
    if (r == 0) {
        service_lock_memory();
        log_notice("ballastd %s on %s, policy %s, configuration %s%s", PACKAGE_VERSION,
                   state->host->ops->name, daemon->engine.config.policy,
                   state->built_in      ? "built in"
                   : state->config_file ? state->config_file
                                        : "of the scenario",
                   options->dry_run ? ", dry run" : "");
        service_ready();
        r = daemon_run(daemon);
        service_stopping();
    }
    daemon_end(daemon);
    free(daemon);
    return r;
}

static int run(const struct options *options, struct state *state)
{
    int r;

    r = open_host(options, state);
    if (r == 0) {
        r = claim_host(options, state);
        if (r == 0)
            r = take_places(state);
        if (r == 0)
            r = serve(options, state);
        state->host->ops->close(state->host);
    }
    leave_places(state);
    return r;
}

static void free_state(struct state *state)
{
    config_free(&state->config);
    scenario_free(&state->scenario);
    free(state->pid_path);
    free(state->socket_path);
    free(state->config_file);
}

/* Returns the exit status. */
static int ballastd(int argc, char **argv)
{
    struct state state = { .host_fd = -1, .pid_fd = -1, .listen_fd = -1 };
    struct options options;
    int r;

    r = read_options(argc, argv, &options);
    if (r >= 0)
        return r;
    log_open(false, options.verbose);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a log that may not grow is no reason to end */
    config_init(&state.config);
    r = remember_paths(&options, &state);
    if (r == 0)
        r = read_config(&options, &state);
    if (r == 0 && options.check) {
        say_checked(&options, &state);
    } else if (r == 0) {
        if (!options.foreground)
            r = service_background();
        if (r == 0)
            r = run(&options, &state);
    }
    free_state(&state);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    descriptors_fill();
    return descriptors_shown("ballastd", ballastd(argc, argv));
}
