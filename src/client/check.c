/* SPDX-License-Identifier: ISC */
/* ballast check */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "core/config.h"
#include "util/json.h"

static const char help[] =
    "Usage: ballast check [--json] [FILE]\n"
    "Checks a configuration file (default: " CONFIG_FILE ") without a daemon.\n"
    "\n"
    "  --json  print {\"file\": ..., \"faults\": [...]}\n"
    "  --help  show this text and leave\n"
    "\n"
    "Exit status: 0 no faults, 1 faults, each with its file and line.\n";

/* The faults, a line each, as an array. */
static void add_faults(struct json *json, char *faults)
{
    char *rest = NULL;

    json_array(json, "faults");
    for (char *line = strtok_r(faults, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        json_string(json, NULL, line);
    json_array_end(json);
}

static void print_json(const char *file, char *faults)
{
    struct json *json = json_new(true);
    const char *text;
    size_t len;

    if (!json)
        return;
    json_map(json, NULL);
    json_string(json, "file", file);
    add_faults(json, faults);
    json_map_end(json);
    text = json_text(json, &len);
    if (text)
        printf("%s%s", text, len > 0 && text[len - 1] == '\n' ? "" : "\n");
    json_free(json);
}

int check_main(int argc, char **argv)
{
    struct config config;
    const char *file = CONFIG_FILE;
    char *faults = NULL;
    size_t size = 0;
    FILE *report;
    bool json = false;
    int status = client_options(argc, argv, help, 1, &json);
    int r;

    if (status >= 0)
        return status;
    if (optind < argc)
        file = argv[optind];
    report = open_memstream(&faults, &size);
    if (!report) {
        perror("ballast");
        return EXIT_FAILURE;
    }
    r = config_read(file, report, &config);
    if (r == 0)
        config_free(&config);
    (void)fclose(report);
    if (json)
        print_json(file, faults);
    else if (r == 0)
        printf("%s: no faults\n", file);
    else
        fputs(faults, stderr);
    free(faults);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
