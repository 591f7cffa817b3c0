/* SPDX-License-Identifier: ISC */
/* ballast: the daemon's client. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "daemon/paths.h"
#include "util/descriptors.h"
#include "util/exits.h"

struct subcommand {
    const char *name;
    const char *summary;
    int (*main)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    { "status", "the host, every domain, and why each has what it has", status_main },
    { "top", "the same, live", top_main },
    { "explain", "why a domain has what it has, step by step", explain_main },
    { "set", "change settings until the next reload", set_main },
    { "reserve", "free memory for a domain, and hold it while it is started", reserve_main },
    { "release", "give a reservation back", release_main },
    { "events", "what happened, and what happens", events_main },
    { "reload", "have the daemon read its configuration anew", reload_main },
    { "check", "check a configuration file", check_main },
    { "simulate", "run a scenario in virtual time", simulate_main },
};

#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

const char *client_socket = SOCKET_PATH;

static void print_help(void)
{
    puts("Usage: ballast [--socket PATH] COMMAND [ARGUMENT]...\n"
         "Shows and changes how ballastd arbitrates the host's memory.\n");
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        printf("  %-9s %s\n", subcommands[i].name, subcommands[i].summary);
    puts("\n"
         "  --socket PATH  where the daemon listens (default: " SOCKET_PATH ")\n"
         "  --help         show this text and leave; 'ballast COMMAND --help' for a command\n"
         "  --version      show the version and leave");
}

int client_try_help(const char *command)
{
    fprintf(stderr, "Try 'ballast %s%s--help'.\n", command, *command ? " " : "");
    return EXIT_USAGE;
}

int client_options(int argc, char **argv, const char *help, int arguments_max, bool *json)
{
    static const struct option table[] = {
        { "help", no_argument, NULL, 'h' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    optind = 0; /* main() has used getopt, too */
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_SUCCESS;
        }
        if (option != 'j')
            return client_try_help(argv[0]);
        *json = true;
    }
    if (argc - optind > arguments_max) {
        fprintf(stderr, "ballast: unexpected argument '%s'\n", argv[optind + arguments_max]);
        return client_try_help(argv[0]);
    }
    return -1;
}

static int run_subcommand(int argc, char **argv)
{
    for (size_t i = 0; i < SUBCOMMAND_COUNT; i++)
        if (!strcmp(subcommands[i].name, argv[0]))
            return subcommands[i].main(argc, argv);
    fprintf(stderr, "ballast: no command '%s'\n", argv[0]);
    return client_try_help("");
}

/* Returns the exit status. */
static int run(int argc, char **argv)
{
    static const struct option table[] = {
        { "socket", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "+", table, NULL)) != -1) {
        switch (option) {
        case 's':
            client_socket = optarg;
            break;
        case 'h':
            print_help();
            return EXIT_SUCCESS;
        case 'v':
            puts("ballast " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        default:
            return client_try_help("");
        }
    }
    if (optind == argc) {
        fputs("ballast: a command is missing\n", stderr);
        return client_try_help("");
    }
    return run_subcommand(argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
    descriptors_fill();
    return descriptors_shown("ballast", run(argc, argv));
}
