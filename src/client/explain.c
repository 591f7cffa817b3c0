/* SPDX-License-Identifier: ISC */
/* ballast explain */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/client.h"
#include "client/connect.h"
#include "client/sentences.h"

static const char help[] =
    "Usage: ballast explain [--json] DOMAIN\n"
    "Says why a domain (by name or domid) has what it has: what it posted and needs, what was\n"
    "asked of it and what it did, how the policy came to its size, and what happens next.\n"
    "\n"
    "  --json  print what the daemon answers; sizes are KiB\n"
    "  --help  show this text and leave\n";

static struct json_value *ask(const char *domain)
{
    struct connection *connection = connect_open(client_socket);
    struct json *arguments = connection ? json_new(false) : NULL;
    struct json_value *answer = NULL;
    size_t len;

    if (arguments) {
        const char *text;

        json_map(arguments, NULL);
        json_string(arguments, "domain", domain);
        json_map_end(arguments);
        text = json_text(arguments, &len);
        answer = text ? connect_ask(connection, "explain", text) : NULL;
    }
    json_free(arguments);
    connect_close(connection);
    return answer;
}

int explain_main(int argc, char **argv)
{
    struct json_value *answer;
    bool json = false;
    int status = client_options(argc, argv, help, 1, &json);

    if (status >= 0)
        return status;
    if (optind == argc) {
        fputs("ballast: a domain is missing\n", stderr);
        return client_try_help("explain");
    }
    answer = ask(argv[optind]);
    if (!answer)
        return EXIT_FAILURE;
    if (json)
        connect_print(json_get(answer, "return"), true);
    else
        sentences_print(stdout, json_get(answer, "return"));
    json_value_free(answer);
    return EXIT_SUCCESS;
}
