/* SPDX-License-Identifier: ISC */
/* What clients are told, against docs/protocol.md: every field, both ways, and its kind. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "daemon-model.h"
#include "daemon/explain.h"
#include "daemon/publish.h"

#define FIELDS_MAX 64
#define FIELD_SIZE 32

static struct engine engine;

struct fields {
    char names[FIELDS_MAX][FIELD_SIZE];
    size_t count;
};

/* The first column of the table below "### title". */
static void read_documented(const char *title, struct fields *fields)
{
    const char *folder = getenv("top_srcdir");
    char line[512], path[512], heading[64], name[FIELD_SIZE];
    bool inside = false;
    FILE *file;

    snprintf(path, sizeof(path), "%s/docs/protocol.md", folder ? folder : ".");
    snprintf(heading, sizeof(heading), "### %s\n", title);
    fields->count = 0;
    file = fopen(path, "r");
    if (!CHECK(file))
        return;
    while (fgets(line, sizeof(line), file)) {
        if (!strncmp(line, "###", 3))
            inside = !strcmp(line, heading);
        if (inside && sscanf(line, "| `%31[a-z_]` |", name) == 1 && fields->count < FIELDS_MAX)
            snprintf(fields->names[fields->count++], FIELD_SIZE, "%s", name);
    }
    fclose(file);
}

static bool has(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (!strcmp(fields->names[i], name))
            return true;
    return false;
}

static void check_fields(const struct json_value *map, const char *title)
{
    struct fields fields;
    const char *key;

    read_documented(title, &fields);
    CHECK(fields.count > 0);
    for (size_t i = 0; (key = json_key_at(map, i)); i++)
        if (!CHECK(has(&fields, key)))
            fprintf(stderr, "%s: %s is not documented\n", title, key);
    for (size_t i = 0; i < fields.count; i++)
        if (!CHECK(json_get(map, fields.names[i])))
            fprintf(stderr, "%s: %s is only documented\n", title, fields.names[i]);
}

static struct json_value *parsed(struct json *json)
{
    char error[128];
    size_t len;
    struct json_value *value = json_parse(json_text(json, &len), error, sizeof(error));

    json_free(json);
    return value;
}

static int64_t number(const struct json_value *map, const char *key)
{
    int64_t value = -1;

    CHECK(json_get_int(json_get(map, key), &value));
    return value;
}

static void test_status(void)
{
    const struct publish_facts facts = { .config = NULL, .uptime_ms = 5, .pid = 77 };
    struct json *json = json_new(false);
    struct json_value *status;

    publish_status(json, NULL, &engine, &facts);
    status = parsed(json);
    check_fields(status, "query-status");
    CHECK_EQ(number(status, "pid"), 77);
    CHECK_EQ(number(status, "domains"), 2);
    CHECK_EQ(number(status, "total_kib"), 2048 * MODEL_MIB);
    CHECK_STR(json_get_string(json_get(status, "host")), "model");
    CHECK_EQ(number(status, "headroom_kib"),
             number(status, "free_kib") - number(status, "promised_kib")
                 - number(status, "claimed_kib") - number(status, "reserve_kib")
                 - number(status, "reserved_kib"));
    json_value_free(status);
}

static void test_domains(void)
{
    struct json *json = json_new(false);
    struct json_value *domains;
    const struct json_value *first, *second;

    publish_domains(json, NULL, &engine);
    domains = parsed(json);
    CHECK_EQ(json_length(domains), 2);
    first = json_at(domains, 0);
    second = json_at(domains, 1);
    check_fields(first, "query-domains");
    CHECK_EQ(number(first, "domid"), 3);
    CHECK_STR(json_get_string(json_get(first, "uuid")), "01234567-89ab-cdef-0000-000000000003");
    CHECK_STR(json_get_string(json_get(first, "type")), "pvh");
    CHECK_STR(json_get_string(json_get(second, "name")), "db\033[2J");
    CHECK_EQ(number(second, "post_age_ms"), 2500);
    CHECK(json_get(first, "post_age_ms"));
    CHECK_EQ(number(first, "actual_kib") - number(first, "need_kib"),
             number(first, "available_kib"));
    json_value_free(domains);
}

static void test_explain(void)
{
    static const char *const parts[] = { "post", "need", "conduct", "policy", "pace", "guard" };
    struct json *json = json_new(false);
    struct json_value *value;

    explain_domain(json, NULL, &engine, round_find(&engine.round, 4));
    value = parsed(json);
    check_fields(value, "explain");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char title[32];

        snprintf(title, sizeof(title), "explain: %s", parts[i]);
        check_fields(json_get(value, parts[i]), title);
    }
    check_fields(json_at(json_get(json_get(value, "policy"), "steps"), 0), "explain: step");
    check_fields(json_get(value, "domain"), "query-domains");
    CHECK_EQ(number(json_get(value, "domain"), "domid"), 4);
    CHECK_EQ(number(json_get(value, "post"), "age_ms"), 2500);
    CHECK_EQ(number(json_get(value, "host"), "total_kib"), 2048 * MODEL_MIB);
    json_value_free(value);
}

static void test_reservation(void)
{
    const struct reservation reservation = {
        .id = 7,
        .state = RESERVATION_READY,
        .least_kib = 1024,
        .most_kib = 2048,
        .gathered_kib = 1500,
        .counted_kib = 1500,
        .until_ms = 5000,
    };
    struct json *json = json_new(false);
    struct json_value *value;

    publish_reservation(json, NULL, &reservation, 2000);
    value = parsed(json);
    check_fields(value, "query-reservations");
    CHECK_EQ(number(value, "left_ms"), 3000);
    CHECK(!json_get_string(json_get(value, "name")));
    json_value_free(value);
}

static void test_uuid(void)
{
    static const char *const wrong[] = {
        "",
        "01234567-89ab-cdef-0123-456789abcde",
        "01234567-89ab-cdef-0123-456789abcdefa",
        "0123456789ab--cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "01234567-89ab-cdef-0123-456789ABCDEF",
    };
    static const char good[] = "01234567-89ab-cdef-0123-456789abcdef";
    char text[UUID_TEXT_SIZE];
    uint8_t uuid[16];

    CHECK_EQ(domain_uuid_parse(good, uuid), 0);
    domain_uuid_text(uuid, text);
    CHECK_STR(text, good);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CHECK_EQ(domain_uuid_parse(wrong[i], uuid), -EINVAL);
}

static void test_notice(void)
{
    struct notice notice = { .kind = "CONDUCT", .wall_ms = 1700000000123, .domid = NOTICE_HOST };
    struct json *json = json_new(false);
    struct json_value *value;

    snprintf(notice.text, sizeof(notice.text), "a \"quote\" and a \\");
    publish_notice(json, NULL, &notice);
    value = parsed(json);
    CHECK_STR(json_get_string(json_get(value, "event")), "CONDUCT");
    CHECK_EQ(number(value, "timestamp_ms"), 1700000000123);
    CHECK_STR(json_get_string(json_get(json_get(value, "data"), "text")), notice.text);
    CHECK(!json_get(json_get(value, "data"), "domid"));
    json_value_free(value);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    (void)model_start(&engine);
    check_run("the status is as documented", test_status);
    check_run("domains are as documented", test_domains);
    check_run("an explanation is as documented", test_explain);
    check_run("reservations are as documented", test_reservation);
    check_run("a UUID, and what is none", test_uuid);
    check_run("a notice of the host", test_notice);
    engine_free(&engine);
    return check_done();
}
