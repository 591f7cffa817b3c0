/* SPDX-License-Identifier: ISC */
/* ballast events */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client/client.h"
#include "client/connect.h"
#include "client/view.h"

static const char help[] = "Usage: ballast events [--follow] [--json]\n"
                           "Shows the last events, oldest first.\n"
                           "\n"
                           "  --follow  go on with those that happen from now on\n"
                           "  --json    one JSON object a line, as they came\n"
                           "  --help    show this text and leave\n";

static void print_time(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32] = "?";

    if (localtime_r(&seconds, &tm))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    printf("%s.%03d ", text, (int)(ms % 1000));
}

static void print_event(const struct json_value *event, bool json)
{
    const struct json_value *data = json_get(event, "data");
    const char *kind = json_get_string(json_get(event, "event"));
    const char *name = json_get_string(json_get(data, "name"));
    const char *text = json_get_string(json_get(data, "text"));
    char clean[256];
    int64_t ms = 0;

    if (json) {
        connect_print(event, false);
        return;
    }
    (void)json_get_int(json_get(event, "timestamp_ms"), &ms);
    print_time(ms);
    printf("%-11s ", view_clean(kind ? kind : "?", clean, sizeof(clean)));
    if (name)
        printf("%s: ", view_clean(name, clean, sizeof(clean)));
    printf("%s\n", view_clean(text ? text : "", clean, sizeof(clean)));
}

static int print_last(struct connection *connection, bool json)
{
    struct json_value *answer = connect_ask(connection, "query-events", NULL);
    const struct json_value *events = json_get(answer, "return");

    if (!answer)
        return -1;
    for (size_t i = 0; i < json_length(events); i++)
        print_event(json_at(events, i), json);
    fflush(stdout);
    json_value_free(answer);
    return 0;
}

/* Until the daemon is gone, or nobody reads us any more. */
static void follow(struct connection *connection, bool json)
{
    struct json_value *event;

    while (!ferror(stdout) && (event = connect_next_event(connection))) {
        print_event(event, json);
        fflush(stdout);
        json_value_free(event);
    }
}

/* Subscribes first: what happens before the list is answered is in the list, and no event is lost
 * or shown twice. */
static int show(struct connection *connection, bool followed, bool json)
{
    struct json_value *answer;

    if (followed) {
        answer = connect_ask(connection, "subscribe", NULL);
        if (!answer)
            return EXIT_FAILURE;
        json_value_free(answer);
    }
    if (print_last(connection, json) < 0)
        return EXIT_FAILURE;
    if (!followed)
        return EXIT_SUCCESS;
    follow(connection, json);
    return EXIT_FAILURE;
}

int events_main(int argc, char **argv)
{
    static const struct option table[] = {
        { "follow", no_argument, NULL, 'f' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct connection *connection;
    bool followed = false;
    bool json = false;
    int option, status;

    optind = 0;
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (option) {
        case 'f':
            followed = true;
            break;
        case 'j':
            json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_SUCCESS;
        default:
            return client_try_help("events");
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ballast: unexpected argument '%s'\n", argv[optind]);
        return client_try_help("events");
    }
    connection = connect_open(client_socket);
    if (!connection)
        return EXIT_FAILURE;
    status = show(connection, followed, json);
    connect_close(connection);
    return status;
}
