/* SPDX-License-Identifier: ISC */
/* Requests and answers, line by line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "daemon-model.h"
#include "daemon/commands.h"
#include "daemon/control.h"

static struct engine engine;
static struct control *control;

/* The answer to a request of somebody who may change things; for json_value_free(). */
static struct json_value *ask_as(const char *line, size_t len, struct control_peer *peer)
{
    struct json *json = control_answer(control, peer, line, len);
    struct json_value *answer;
    char error[128];
    size_t size;

    answer = json_parse(json_text(json, &size), error, sizeof(error));
    json_free(json);
    return answer;
}

static struct json_value *ask(const char *line)
{
    struct control_peer peer = { .may_change = true };

    return ask_as(line, strlen(line), &peer);
}

/* The class of the error that a request gets; NULL when it gets none. A constant string. */
static const char *class_of(struct json_value *answer)
{
    static const char *const classes[] = { FAULT_UNKNOWN, FAULT_ARGUMENT, FAULT_REQUEST,
                                           FAULT_DENIED, FAULT_FAILED };
    const struct json_value *error = json_get(answer, "error");
    const char *class = json_get_string(json_get(error, "class"));
    const char *found = class ? "unknown" : NULL;

    if (!class)
        CHECK(json_get(answer, "return"));
    else
        CHECK(!json_get(answer, "return") && json_get_string(json_get(error, "desc")));
    for (size_t i = 0; class && i < sizeof(classes) / sizeof(classes[0]); i++)
        if (!strcmp(classes[i], class))
            found = classes[i];
    json_value_free(answer);
    return found;
}

static void test_faults(void)
{
    static const struct {
        const char *line;
        const char *class;
    } cases[] = {
        { "", FAULT_REQUEST },
        { "{", FAULT_REQUEST },
        { "[]", FAULT_REQUEST },
        { "7", FAULT_REQUEST },
        { "\"query-status\"", FAULT_REQUEST },
        { "{}", FAULT_REQUEST },
        { "{\"execute\":7}", FAULT_REQUEST },
        { "{\"execute\":\"query-status\",\"arguments\":7}", FAULT_REQUEST },
        { "{\"execute\":\"query-status\",\"more\":7}", FAULT_REQUEST },
        { "{\"execute\":\"query-status\",\"execute\":\"reload\"}", FAULT_REQUEST },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":\"web1\",\"weight\":1,\"weight\":2}}",
          FAULT_REQUEST },
        { "{\"execute\":\"query-statu\"}", FAULT_UNKNOWN },
        { "{\"execute\":\"\"}", FAULT_UNKNOWN },
        { "{\"execute\":\"query-domains\",\"arguments\":{\"domain\":1}}", FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{}}", FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":\"web2\",\"weight\":1}}",
          FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":true,\"weight\":1}}", FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":\"web1\",\"weight\":0}}",
          FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":\"web1\",\"weight\":[]}}",
          FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"reserve\":\"much\"}}", FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"selfballoon\":\"on\"}}", FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":3,\"selfballoon\":1}}", FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":3,\"selfballoon\":\"\"}}",
          FAULT_ARGUMENT },
        { "{\"execute\":\"set\",\"arguments\":{\"domain\":3,\"selfballoon\":\"on\",\"weight\":9}}",
          FAULT_FAILED },
        { "{\"execute\":\"explain\"}", FAULT_ARGUMENT },
        { "{\"execute\":\"explain\",\"arguments\":{\"domain\":\"nobody\"}}", FAULT_ARGUMENT },
        { "{\"execute\":\"explain\",\"arguments\":{\"domain\":{}}}", FAULT_ARGUMENT },
        { "{\"execute\":\"explain\",\"arguments\":{\"domain\":3,\"x\":1}}", FAULT_ARGUMENT },
        { "{\"execute\":\"reload\"}", FAULT_FAILED },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_STR(class_of(ask(cases[i].line)), cases[i].class);
}

static void test_whole_lines(void)
{
    static const char line[] = "{\"execute\":\"query-status\"}\0{}";
    struct control_peer peer = { .may_change = true };

    CHECK_STR(class_of(ask_as(line, sizeof(line) - 1, &peer)), FAULT_REQUEST);
    CHECK_STR(class_of(ask_as(NULL, 0, &peer)), FAULT_REQUEST);
}

static void test_id(void)
{
    struct json_value *answer = ask("{\"execute\":\"subscribe\",\"id\":[1,{\"a\":null}]}");
    int64_t number = 0;

    CHECK(json_get_int(json_at(json_get(answer, "id"), 0), &number) && number == 1);
    json_value_free(answer);
    answer = ask("{\"execute\":\"nonsense\",\"id\":\"x\"}");
    CHECK_STR(json_get_string(json_get(answer, "id")), "x");
    json_value_free(answer);
    answer = ask("{\"execute\":\"subscribe\"}");
    CHECK(!json_get(answer, "id"));
    json_value_free(answer);
}

static void test_rights(void)
{
    static const char *const changes[] = {
        "{\"execute\":\"set\",\"arguments\":{\"domain\":\"web1\",\"weight\":9}}",
        "{\"execute\":\"reserve\",\"arguments\":{\"at_least_kib\":1}}",
        "{\"execute\":\"release\",\"arguments\":{\"reservation\":1}}",
        "{\"execute\":\"reload\"}",
        "{\"execute\":\"shutdown\"}",
    };
    static const char *const queries[] = {
        "{\"execute\":\"query-status\"}",
        "{\"execute\":\"query-domains\"}",
        "{\"execute\":\"explain\",\"arguments\":{\"domain\":\"web1\"}}",
        "{\"execute\":\"query-events\"}",
        "{\"execute\":\"query-reservations\"}",
        "{\"execute\":\"query-commands\"}",
        "{\"execute\":\"subscribe\"}",
    };
    struct control_peer peer = { .may_change = false };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        CHECK_STR(class_of(ask_as(changes[i], strlen(changes[i]), &peer)), FAULT_DENIED);
    CHECK(!control->stop_wanted && !control->round_wanted);
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
        CHECK(!class_of(ask_as(queries[i], strlen(queries[i]), &peer)));
    CHECK(peer.subscribed);
}

static const char *reserve_class(const char *arguments)
{
    char line[256];

    snprintf(line, sizeof(line), "{\"execute\":\"reserve\",\"arguments\":{%s}}", arguments);
    return class_of(ask(line));
}

static void test_reserve(void)
{
    static const char *const wrong[] = {
        "",
        "\"at_most_kib\":1",
        "\"at_least_kib\":-1",
        "\"at_least_kib\":\"1\"",
        "\"at_least_kib\":1.5",
        "\"at_least_kib\":1099511627777",
        "\"at_least_kib\":2,\"at_most_kib\":1",
        "\"at_least_kib\":2,\"name\":\"\"",
        "\"at_least_kib\":2,\"name\":7",
        "\"at_least_kib\":2,\"keep\":1",
        "\"at_least_kib\":2,\"wait_ms\":86400001",
        "\"at_least_kib\":2,\"hold_ms\":-1",
        "\"at_least_kib\":2,\"more\":1",
    };
    static char client;
    struct control_peer peer = { .may_change = true, .client = &client };
    static const char line[] =
        "{\"execute\":\"reserve\",\"arguments\":{\"at_least_kib\":0},\"id\":9}";
    struct json *json;
    void *answered = NULL;
    uint64_t next_ms;
    size_t size;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_STR(reserve_class(wrong[i]), FAULT_ARGUMENT);
    CHECK_EQ(engine.round.reservations.count, 0);
    CHECK_STR(class_of(ask("{\"execute\":\"release\",\"arguments\":{\"reservation\":1}}")),
              FAULT_ARGUMENT);

    /* Of a peer with a client, later. */
    CHECK(!control_answer(control, &peer, line, strlen(line)) && peer.put_off != 0);
    CHECK(!reservations_next_answer(control, &answered));
    engine.round.reservations.list[0].state = RESERVATION_READY;
    json = reservations_next_answer(control, &answered);
    if (CHECK(json && answered == &client))
        CHECK(strstr(json_text(json, &size), "\"state\":\"ready\"")
              && strstr(json_text(json, &size), "\"id\":9"));
    json_free(json);
    CHECK(!reservations_next_answer(control, &answered));
    reservations_left(control, &client);
    CHECK_EQ(engine.round.reservations.list[0].end, END_RELEASED);
    (void)engine_round(&engine, &next_ms);
    CHECK_EQ(engine.round.reservations.count, 0);

    /* As many as there is room for. */
    for (size_t i = 0; i < RESERVATIONS_MAX; i++)
        CHECK(!reserve_class("\"at_least_kib\":1"));
    CHECK_STR(reserve_class("\"at_least_kib\":1"), FAULT_FAILED);
    engine.round.reservations.count = 0;
    control->round_wanted = false;
}

static uint64_t weight_of(const char *name)
{
    struct domain *domain = round_find_name(&engine.round, name);

    config_apply(&engine.config, domain);
    return domain->limits.weight;
}

static void test_set(void)
{
    uint64_t generation = engine.config.generation;

    CHECK(
        !class_of(ask("{\"execute\":\"set\",\"arguments\":{\"domain\":\"web1\",\"weight\":512}}")));
    CHECK_EQ(weight_of("web1"), 512);
    CHECK(engine.config.generation != generation);
    CHECK(control->round_wanted);
    CHECK(!class_of(ask("{\"execute\":\"set\",\"arguments\":{\"domain\":3,\"weight\":\"64\"}}")));
    CHECK_EQ(weight_of("web1"), 64);
    CHECK(!class_of(ask("{\"execute\":\"set\",\"arguments\":{\"domain\":\"3\",\"weight\":65}}")));
    CHECK_EQ(weight_of("web1"), 65);
    CHECK(!class_of(ask("{\"execute\":\"set\",\"arguments\":{\"policy\":\"static\"}}")));
    CHECK_STR(engine.config.policy, "static");
}

/* One of two settings is wrong: nothing has changed, whichever it is. */
static void test_set_whole(void)
{
    CHECK(
        !class_of(ask("{\"execute\":\"set\",\"arguments\":{\"domain\":\"web1\",\"weight\":70}}")));
    CHECK_STR(class_of(ask("{\"execute\":\"set\",\"arguments\":"
                           "{\"domain\":\"web1\",\"weight\":99,\"min\":\"?\"}}")),
              FAULT_ARGUMENT);
    CHECK_STR(class_of(ask("{\"execute\":\"set\",\"arguments\":"
                           "{\"min\":\"?\",\"weight\":99,\"domain\":\"web1\"}}")),
              FAULT_ARGUMENT);
    CHECK_EQ(weight_of("web1"), 70);
    CHECK_STR(class_of(ask("{\"execute\":\"set\",\"arguments\":"
                           "{\"policy\":\"weighted\",\"pool\":\"-1\"}}")),
              FAULT_ARGUMENT);
    CHECK_STR(engine.config.policy, "static");
}

static unsigned selfballoons;

static int set_selfballoon(struct host *host, const struct domain *domain, const char *text)
{
    (void)host, (void)domain, (void)text;
    selfballoons++;
    return 0;
}

/* A dry run writes nothing that a domain reads. */
static void test_dry_run(void)
{
    static const char line[] =
        "{\"execute\":\"set\",\"arguments\":{\"domain\":3,\"selfballoon\":\"on\"}}";
    const struct host_ops *before = engine.host->ops;
    struct host_ops ops = *before;

    ops.set_selfballoon = set_selfballoon;
    engine.host->ops = &ops;
    CHECK(!class_of(ask(line)));
    CHECK_EQ(selfballoons, 1);
    engine.dry_run = true;
    CHECK_STR(class_of(ask(line)), FAULT_FAILED);
    CHECK_EQ(selfballoons, 1);
    engine.dry_run = false;
    engine.host->ops = before;
}

static void test_shutdown(void)
{
    CHECK(!class_of(ask("{\"execute\":\"shutdown\"}")));
    CHECK(control->stop_wanted);
}

static void test_notices(void)
{
    struct json_value *answer;
    const struct json_value *list;
    uint64_t before = control->noted;

    CHECK(!class_of(ask("{\"execute\":\"set\",\"arguments\":{\"domain\":\"web1\",\"weight\":7}}")));
    CHECK_EQ(control->noted, before + 1);
    CHECK_STR(control->notices[before % CONTROL_NOTICES].text, "set weight=7");
    for (int i = 0; i < 2 * CONTROL_NOTICES; i++)
        control_note(control, "CONDUCT", NOTICE_HOST, NULL, "number %d", i);
    answer = ask("{\"execute\":\"query-events\"}");
    list = json_get(answer, "return");
    CHECK_EQ(json_length(list), CONTROL_NOTICES);
    CHECK_STR(json_get_string(json_get(json_get(json_at(list, 0), "data"), "text")), "number 512");
    CHECK(!json_get(json_get(json_at(list, 0), "data"), "name"));
    json_value_free(answer);
}

/* A file that is good, bad, and gone. */
static void test_reload(void)
{
    char path[] = "/tmp/test-control-XXXXXX";
    char error[4096];
    int fd = mkstemp(path);

    CHECK(fd >= 0 && write(fd, "reserve = \"96M\"\n", 16) == 16);
    control->config_file = path;
    CHECK_EQ(control_reload(control, error, sizeof(error)), 0);
    CHECK_EQ(engine.config.reserve_kib, 96 * MODEL_MIB);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, "reserve = \"x\"\nx = 1\n", 20, 0) == 20);
    CHECK(control_reload(control, error, sizeof(error)) < 0);
    CHECK(strstr(error, ":1:") && strstr(error, ":2:"));
    CHECK_EQ(engine.config.reserve_kib, 96 * MODEL_MIB);
    unlink(path);
    CHECK(control_reload(control, error, sizeof(error)) < 0);
    CHECK_EQ(engine.config.reserve_kib, 96 * MODEL_MIB);
    control->config_file = NULL;
    close(fd);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    control = model_start(&engine);
    check_run("what is wrong is told", test_faults);
    check_run("a line is taken whole", test_whole_lines);
    check_run("the id comes back", test_id);
    check_run("who may not change may ask", test_rights);
    check_run("reserve", test_reserve);
    check_run("set", test_set);
    check_run("set takes all or nothing", test_set_whole);
    check_run("a dry run tells domains nothing", test_dry_run);
    check_run("shutdown", test_shutdown);
    check_run("the last notices are kept", test_notices);
    check_run("reload", test_reload);
    engine_free(&engine);
    return check_done();
}
