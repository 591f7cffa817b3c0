/* SPDX-License-Identifier: ISC */
/* ballast set, ballast reload */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/connect.h"
#include "core/config.h"

static const char set_help[] =
    "Usage: ballast set [--json] DOMAIN KEY=VALUE...\n"
    "       ballast set [--json] KEY=VALUE...\n"
    "Changes limits of a domain (by name or domid), or settings of the host, until the next\n"
    "reload: all of them, or none when one is wrong.\n"
    "\n"
    "  --json  print what the daemon answers\n"
    "  --help  show this text and leave\n"
    "\n"
    "Keys of a domain:\n";

static const char reload_help[] =
    "Usage: ballast reload [--json]\n"
    "Has the daemon read its configuration anew. One with faults is not taken: they are shown.\n"
    "\n"
    "  --json  print what the daemon answers\n"
    "  --help  show this text and leave\n";

#define KEY_FORMAT "  %-15s %s\n"

static void print_set_help(void)
{
    const char *key, *text;

    fputs(set_help, stdout);
    for (size_t i = 0; (key = config_key(true, i, &text)); i++)
        printf(KEY_FORMAT, key, text);
    puts("\nSwitches of a domain:");
    printf(KEY_FORMAT, "selfballoon", "whether it sizes itself by its committed memory: on, off,");
    printf(KEY_FORMAT, "", "or default: what is said inside it");
    puts("\nKeys of the host:");
    for (size_t i = 0; (key = config_key(false, i, &text)); i++)
        if (config_is_live(key))
            printf(KEY_FORMAT, key, text);
}

static int send_and_show(const char *command, const char *arguments, bool json)
{
    struct connection *connection = connect_open(client_socket);
    struct json_value *answer = NULL;

    if (connection)
        answer = connect_ask(connection, command, arguments);
    if (answer && json)
        connect_print(json_get(answer, "return"), true);
    json_value_free(answer);
    connect_close(connection);
    return answer ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The first word names the domain when it sets nothing. */
static bool are_settings(char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        const char *equals = strchr(words[i], '=');

        if (equals ? equals > words[i] : i == 0)
            continue;
        fprintf(stderr, "ballast: '%s': expected KEY=VALUE\n", words[i]);
        return false;
    }
    return true;
}

/* Cuts the words up. NULL without memory. */
static struct json *make_arguments(char **words, int count)
{
    struct json *json = json_new(false);

    if (!json)
        return NULL;
    json_map(json, NULL);
    for (int i = 0; i < count; i++) {
        char *equals = strchr(words[i], '=');

        if (!equals) {
            json_string(json, "domain", words[i]);
            continue;
        }
        *equals = '\0';
        json_string(json, words[i], equals + 1);
    }
    json_map_end(json);
    return json;
}

int set_main(int argc, char **argv)
{
    static const struct option table[] = {
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct json *arguments;
    const char *text;
    bool json = false;
    size_t len;
    int option, status;

    optind = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (option == 'h') {
            print_set_help();
            return EXIT_SUCCESS;
        }
        if (option != 'j')
            return client_try_help("set");
        json = true;
    }
    if (optind == argc) {
        fputs("ballast: nothing to set\n", stderr);
        return client_try_help("set");
    }
    if (!are_settings(argv + optind, argc - optind))
        return client_try_help("set");
    arguments = make_arguments(argv + optind, argc - optind);
    if (!arguments)
        return EXIT_FAILURE;
    text = json_text(arguments, &len);
    status = text ? send_and_show("set", text, json) : EXIT_FAILURE;
    json_free(arguments);
    return status;
}

int reload_main(int argc, char **argv)
{
    bool json = false;
    int status = client_options(argc, argv, reload_help, 0, &json);

    if (status >= 0)
        return status;
    return send_and_show("reload", NULL, json);
}
