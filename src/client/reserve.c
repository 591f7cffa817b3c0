/* SPDX-License-Identifier: ISC */
/* ballast reserve, ballast release */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/client.h"
#include "client/connect.h"
#include "client/view.h"
#include "core/reserve.h"
#include "util/exits.h"
#include "util/units.h"

static const char reserve_help[] =
    "Usage: ballast reserve [OPTION...] SIZE [-- COMMAND [ARGUMENT]...]\n"
    "Frees memory for a domain that is to be started, and holds it: for some time, when\n"
    "its number is printed, or while COMMAND runs, whose exit status becomes ours.\n"
    "\n"
    "  --at-most SIZE  take more, up to this, where no domain needs it\n"
    "  --for TIME      hold it so long, such as 90s or 5m; a bare number is seconds\n"
    "                  (default: 60s; with a COMMAND 10m)\n"
    "  --wait TIME     wait for it so long (default: 60s)\n"
    "  --name NAME     of the domain that it is for (default: the first new one)\n"
    "  --json          print what the daemon answers; sizes are KiB\n"
    "  --help          show this text and leave\n";

static const char release_help[] = "Usage: ballast release [--json] RESERVATION\n"
                                   "Gives a reservation back, by its number.\n"
                                   "\n"
                                   "  --json  print what the daemon answers\n"
                                   "  --help  show this text and leave\n";

/* A command takes its time before it builds the domain: it may read disks first. */
#define COMMAND_HOLD_MS 600000

/* The daemon that is started anew has us back within this. */
#define RETURN_S 10

/* One that goes so often while it is asked does not stay: it may be the request that ends it. */
#define RETURNS_MOST 10

/* As a shell says it of a command that cannot be run. */
#define EXIT_NO_COMMAND 127

struct options {
    struct reserve_request request;
    bool json;
    char **command; /* NULL: none */
};

static int bad(const char *what, const char *text, const char *expected)
{
    fprintf(stderr, "ballast: %s '%s': expected %s\n", what, text, expected);
    return EXIT_USAGE;
}

static int read_time(const char *text, uint64_t *ret_ms)
{
    int64_t seconds;

    if (units_parse_int(text, 0, RESERVE_MOST_MS / 1000, &seconds) == 0)
        *ret_ms = (uint64_t)seconds * 1000;
    else if (units_parse_ms(text, ret_ms) < 0 || *ret_ms > RESERVE_MOST_MS)
        return bad("a time of", text, "such as 90s or 5m, 24h at most");
    return -1;
}

static int read_size(const char *text, uint64_t *ret_kib)
{
    return units_parse_kib(text, ret_kib) < 0 ? bad("a size of", text, "such as 512M or 1G") : -1;
}

static int read_option(int option, struct options *options)
{
    switch (option) {
    case 'm':
        return read_size(optarg, &options->request.most_kib);
    case 'f':
        return read_time(optarg, &options->request.hold_ms);
    case 'w':
        return read_time(optarg, &options->request.wait_ms);
    case 'n':
        options->request.name = optarg;
        return -1;
    case 'j':
        options->json = true;
        return -1;
    case 'h':
        fputs(reserve_help, stdout);
        return EXIT_SUCCESS;
    default:
        return client_try_help("reserve");
    }
}

/* Returns -1 to go on, or the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {
        { "at-most", required_argument, NULL, 'm' },
        { "for", required_argument, NULL, 'f' },
        { "wait", required_argument, NULL, 'w' },
        { "name", required_argument, NULL, 'n' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    const char *size = NULL;
    int option, status;

    /* The size may stand before an option, so each word is looked at in turn. */
    optind = 0;
    while ((option = getopt_long(argc, argv, "-", table, NULL)) != -1) {
        if (option == 1 && size)
            return bad("the word", optarg, "one SIZE, and '--' before a COMMAND");
        if (option == 1)
            size = optarg;
        else if ((status = read_option(option, options)) >= 0)
            return status;
    }
    if (!size && optind < argc)
        return bad("the word", argv[optind], "a SIZE before '--'");
    if (!size) {
        fputs("ballast: a SIZE is missing\n", stderr);
        return client_try_help("reserve");
    }
    status = read_size(size, &options->request.least_kib);
    if (status >= 0)
        return status;
    if (options->request.most_kib == 0)
        options->request.most_kib = options->request.least_kib;
    if (options->request.most_kib < options->request.least_kib)
        return bad("--at-most is less than", size, "at least as much");
    if (optind < argc)
        options->command = argv + optind;
    if (options->request.hold_ms == UINT64_MAX)
        options->request.hold_ms = options->command ? COMMAND_HOLD_MS : RESERVE_HOLD_MS;
    return -1;
}

static struct json *make_arguments(const struct options *options)
{
    const struct reserve_request *request = &options->request;
    struct json *json = json_new(false);

    if (!json)
        return NULL;
    json_map(json, NULL);
    json_uint(json, "at_least_kib", request->least_kib);
    json_uint(json, "at_most_kib", request->most_kib);
    json_uint(json, "wait_ms", request->wait_ms);
    json_uint(json, "hold_ms", request->hold_ms);
    if (request->name)
        json_string(json, "name", request->name);
    json_bool(json, "keep", !options->command);
    json_map_end(json);
    return json;
}

/* The answer, whatever it is; NULL when there is none. A daemon that is started anew while we
 * wait has what was gathered for us, and gives it to who asks for the same again. */
static struct json_value *ask(struct connection **connection, const struct options *options)
{
    struct json *arguments = make_arguments(options);
    int seconds = (int)(options->request.wait_ms / 1000) + CONNECT_ANSWER_S;
    struct json_value *answer = NULL;
    const char *text;
    size_t len;

    text = arguments ? json_text(arguments, &len) : NULL;
    for (int i = 0; text && *connection && !answer && i < RETURNS_MOST; i++) {
        answer = connect_exchange(*connection, "reserve", text, seconds);
        if (answer)
            break;
        connect_close(*connection);
        *connection = connect_again(client_socket, RETURN_S);
    }
    json_free(arguments);
    return answer;
}

static int64_t get_int(const struct json_value *map, const char *key)
{
    int64_t value = 0;

    (void)json_get_int(json_get(map, key), &value);
    return value;
}

static int show_failure(const struct json_value *answer, bool json)
{
    const struct json_value *error = json_get(answer, "error");
    const char *desc = json_get_string(json_get(error, "desc"));
    char clean[RESERVE_TEXT_SIZE];

    if (json)
        connect_print(error, true);
    fprintf(stderr, "ballast: %s\n",
            view_clean(desc ? desc : "the daemon refused, without a reason", clean, sizeof(clean)));
    return EXIT_FAILURE;
}

static int show_held(const struct json_value *held, const struct options *options)
{
    char size[UNITS_TEXT_SIZE];
    char time[UNITS_TEXT_SIZE];

    if (options->json) {
        connect_print(held, true);
        return EXIT_SUCCESS;
    }
    printf("%" PRId64 "\n", get_int(held, "reservation"));
    fprintf(stderr, "ballast: %s held for %s\n",
            units_format_kib(get_int(held, "gathered_kib"), size),
            units_write_ms(options->request.hold_ms, time));
    return EXIT_SUCCESS;
}

static int exit_status_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void set_number(const char *variable, int64_t value)
{
    char number[24];

    (void)snprintf(number, sizeof(number), "%" PRId64, value);
    (void)setenv(variable, number, 1);
}

/* It learns from its environment what it has. Returns the exit status. */
static int run_command(const struct json_value *held, char **command)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        set_number("BALLAST_RESERVATION", get_int(held, "reservation"));
        set_number("BALLAST_RESERVED_KIB", get_int(held, "gathered_kib"));
        execvp(command[0], command);
        fprintf(stderr, "ballast: %s: %s\n", command[0], strerror(errno));
        _exit(EXIT_NO_COMMAND);
    }
    if (child < 0) {
        perror("ballast");
        return EXIT_FAILURE;
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return EXIT_FAILURE;
    }
    return exit_status_of(status);
}

/* The connection may have gone meanwhile, with a daemon that was started anew and holds it
 * still. */
static void release_quietly(const struct json_value *held)
{
    struct connection *connection = connect_again(client_socket, 0);
    char arguments[64];

    if (!connection)
        return;
    (void)snprintf(arguments, sizeof(arguments), "{\"reservation\":%" PRId64 "}",
                   get_int(held, "reservation"));
    json_value_free(connect_exchange(connection, "release", arguments, CONNECT_ANSWER_S));
    connect_close(connection);
}

static int reserve(struct connection **connection, const struct options *options)
{
    struct json_value *answer = ask(connection, options);
    const struct json_value *held = json_get(answer, "return");
    int status = EXIT_FAILURE;

    if (held && options->command) {
        (void)fflush(stdout);
        status = run_command(held, options->command);
        release_quietly(held);
    } else if (held) {
        status = show_held(held, options);
    } else if (answer) {
        status = show_failure(answer, options->json);
    }
    json_value_free(answer);
    return status;
}

int reserve_main(int argc, char **argv)
{
    struct options options = {
        .request = { .wait_ms = RESERVE_WAIT_MS, .hold_ms = UINT64_MAX },
    };
    struct connection *connection;
    int status = read_options(argc, argv, &options);

    if (status >= 0)
        return status;
    connection = connect_open(client_socket);
    if (!connection)
        return EXIT_FAILURE;
    status = reserve(&connection, &options);
    connect_close(connection);
    return status;
}

int release_main(int argc, char **argv)
{
    struct connection *connection;
    struct json_value *answer;
    char arguments[64];
    bool json = false;
    int64_t id;
    int status = client_options(argc, argv, release_help, 1, &json);

    if (status >= 0)
        return status;
    if (optind == argc) {
        fputs("ballast: the number of a reservation is missing\n", stderr);
        return client_try_help("release");
    }
    if (units_parse_int(argv[optind], 1, INT64_MAX, &id) < 0)
        return bad("the reservation", argv[optind], "its number");
    connection = connect_open(client_socket);
    if (!connection)
        return EXIT_FAILURE;
    (void)snprintf(arguments, sizeof(arguments), "{\"reservation\":%" PRId64 "}", id);
    answer = connect_ask(connection, "release", arguments);
    if (answer && json)
        connect_print(json_get(answer, "return"), true);
    status = answer ? EXIT_SUCCESS : EXIT_FAILURE;
    json_value_free(answer);
    connect_close(connection);
    return status;
}
