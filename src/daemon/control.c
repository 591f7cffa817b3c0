/* SPDX-License-Identifier: ISC */
#include "daemon/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/commands.h"

struct json *control_greeting(const struct control *control)
{
    struct json *json = json_new(false);

    if (!json)
        return NULL;
    json_map(json, NULL);
    json_map(json, "ballast");
    json_string(json, "version", PACKAGE_VERSION);
    json_string(json, "host", control->engine->host->ops->name);
    json_map_end(json);
    json_map_end(json);
    return json;
}

/* No command takes so many arguments. */
#define MEMBERS_MAX 32

/* A member that stands twice is a mistake: which of the two was meant cannot be known. */
static int check_members(const struct json_value *map, struct fault *fault)
{
    const char *key;

    for (size_t i = 0; (key = json_key_at(map, i)); i++) {
        if (i == MEMBERS_MAX)
            return fault_set(fault, FAULT_REQUEST, "too many members; expected at most %d",
                             MEMBERS_MAX);
        if (json_get(map, key) != json_value_at(map, i))
            return fault_set(fault, FAULT_REQUEST, "\"%.64s\" stands twice; expected once", key);
    }
    return 0;
}

/* What is said in a request, when it is one: {"execute": NAME, "arguments": {...}, "id": any}. */
static int check_request(const struct json_value *request, struct fault *fault)
{
    const struct json_value *arguments = json_get(request, "arguments");
    const char *key;

    if (!json_is_map(request))
        return fault_set(fault, FAULT_REQUEST, "a request is an object: {\"execute\": ...}");
    for (size_t i = 0; (key = json_key_at(request, i)); i++)
        if (strcmp(key, "execute") && strcmp(key, "arguments") && strcmp(key, "id"))
            return fault_set(fault, FAULT_REQUEST,
                             "unknown member \"%.64s\"; expected execute, arguments or id", key);
    if (!json_get_string(json_get(request, "execute")))
        return fault_set(fault, FAULT_REQUEST, "\"execute\" must be the name of a command");
    if (arguments && !json_is_map(arguments))
        return fault_set(fault, FAULT_REQUEST, "\"arguments\" must be an object");
    if (check_members(request, fault) < 0)
        return -EINVAL;
    return check_members(arguments, fault);
}

static int execute(struct control *control, struct control_peer *peer,
                   const struct json_value *request, struct json *json, struct fault *fault)
{
    const struct json_value *arguments = json_get(request, "arguments");
    const struct command *command;
    const char *name;
    int r;

    r = check_request(request, fault);
    if (r < 0)
        return r;
    name = json_get_string(json_get(request, "execute"));
    command = command_find(name);
    if (!command)
        return fault_set(fault, FAULT_UNKNOWN, "no command \"%.64s\"; see query-commands", name);
    if (!command->arguments && json_key_at(arguments, 0))
        return fault_set(fault, FAULT_ARGUMENT, "%s takes no argument \"%.64s\"", name,
                         json_key_at(arguments, 0));
    if (command->changes && !peer->may_change)
        return fault_set(fault, FAULT_DENIED, "%s is for root and the daemon's own user", name);
    return command->run(control, peer, arguments, json, fault);
}

static struct json_value *parse(const char *line, size_t len, struct fault *fault)
{
    char error[256];
    struct json_value *value;

    if (!line) {
        (void)fault_set(fault, FAULT_REQUEST, "a line of more than %d bytes", CONTROL_LINE_MAX);
        return NULL;
    }
    if (strlen(line) != len) {
        (void)fault_set(fault, FAULT_REQUEST, "a NUL byte in the line");
        return NULL;
    }
    value = json_parse(line, error, sizeof(error));
    if (!value)
        (void)fault_set(fault, FAULT_REQUEST, "not JSON: %s", error);
    return value;
}

struct json *control_answer(struct control *control, struct control_peer *peer, const char *line,
                            size_t len)
{
    struct fault fault = { .class = NULL };
    struct json *json = json_new(false);
    struct json_value *request;
    const struct json_value *id;

    if (!json)
        return NULL;
    json_map(json, NULL);
    request = parse(line, len, &fault);
    if (!request || execute(control, peer, request, json, &fault) < 0) {
        json_map(json, "error");
        json_string(json, "class", fault.class);
        json_string(json, "desc", fault.desc);
        json_map_end(json);
    }
    if (peer->put_off != 0) {
        reservations_put_off(control, peer, request);
        json_free(json);
        return NULL;
    }
    id = json_get(request, "id");
    if (id)
        json_copy(json, "id", id);
    json_map_end(json);
    json_value_free(request);
    return json;
}

/* As many of the lines as there is room for; what is left out is told of. */
static void take_report(const char *report, char *error, size_t error_size)
{
    static const char more[] = "... and more: 'ballast check' shows all";
    size_t len = strlen(report);

    while (len > 0 && report[len - 1] == '\n')
        len--;
    if (len < error_size) {
        (void)snprintf(error, error_size, "%.*s", (int)len, report);
        return;
    }
    len = error_size - sizeof(more);
    while (len > 0 && report[len - 1] != '\n')
        len--;
    (void)snprintf(error, error_size, "%.*s%s", (int)len, report, more);
}

int control_reload(struct control *control, char *error, size_t error_size)
{
    struct config config;
    char *text = NULL;
    size_t size = 0;
    FILE *report;
    int r;

    if (!control->config_file) {
        snprintf(error, error_size, "the configuration is of the scenario: nothing to reload");
        return -ENOENT;
    }
    report = open_memstream(&text, &size);
    if (!report)
        return -errno;
    r = config_read(control->config_file, report, &config);
    if (fclose(report) != 0 && r == 0) {
        config_free(&config);
        r = -ENOMEM;
    }
    if (r < 0) {
        take_report(text && *text ? text : strerror(-r), error, error_size);
        control_note(control, "CONFIG", NOTICE_HOST, NULL, "%s has faults, keeping the old one",
                     control->config_file);
    } else {
        engine_reload(control->engine, &config);
        control->round_wanted = true;
        control_note(control, "CONFIG", NOTICE_HOST, NULL, "%s was read", control->config_file);
    }
    free(text);
    return r;
}

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void control_note(struct control *control, const char *kind, uint32_t domid, const char *name,
                  const char *format, ...)
{
    struct notice *notice = &control->notices[control->noted % CONTROL_NOTICES];
    va_list args;

    notice->wall_ms = wall_ms();
    notice->kind = kind;
    notice->domid = domid;
    snprintf(notice->name, sizeof(notice->name), "%s", name ? name : "");
    va_start(args, format);
    vsnprintf(notice->text, sizeof(notice->text), format, args);
    va_end(args);
    control->noted++;
}

void control_note_round(struct control *control)
{
    const struct round *round = &control->engine->round;

    for (size_t i = 0; i < round->event_count; i++) {
        const struct event *event = &round->events[i];

        control_note(control, event_name(event->kind), event->domid, event->name, "%s",
                     event->text);
    }
    if (round->events_lost > 0)
        control_note(control, "LOST", NOTICE_HOST, NULL, "%zu more events of one round",
                     round->events_lost);
}
