/* SPDX-License-Identifier: ISC */
#include <math.h>

#include "check.h"
#include "util/json.h"

#define CHECK_TEXT(json, expected)                       \
    do {                                                 \
        size_t len_ = 0;                                 \
        CHECK_STR(json_text((json), &len_), (expected)); \
        CHECK_EQ(len_, strlen(expected));                \
    } while (0)

static void test_write(void)
{
    struct json *json = json_new(false);

    json_map(json, NULL);
    json_string(json, "text", "a \"b\"\n");
    json_string(json, "nothing", NULL);
    json_uint(json, "uint", UINT64_MAX);
    json_int(json, "int", INT64_MIN);
    json_bool(json, "bool", true);
    json_array(json, "array");
    json_map(json, NULL);
    json_map_end(json);
    json_uint(json, NULL, 1);
    json_array_end(json);
    json_map_end(json);
    CHECK_TEXT(json, "{\"text\":\"a \\\"b\\\"\\n\",\"nothing\":null,\"uint\":18446744073709551615,"
                     "\"int\":-9223372036854775808,\"bool\":true,\"array\":[{},1]}");
    json_free(json);
    json_free(NULL);
}

static void test_nothing(void)
{
    struct json *json = json_new(false);

    CHECK_TEXT(json, "");
    json_free(json);
}

static void test_pretty(void)
{
    struct json *json = json_new(true);

    json_map(json, NULL);
    json_int(json, "a", 1);
    json_map_end(json);
    CHECK_TEXT(json, "{\n  \"a\": 1\n}\n");
    json_free(json);
}

static void test_doubles(void)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 0.1, "0.1" },       { 1.0 / 3.0, "0.33333333333333331" },
        { 2, "2" },           { -1.5, "-1.5" },
        { 1e300, "1e+300" },  { NAN, "null" },
        { INFINITY, "null" }, { -INFINITY, "null" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json *json = json_new(false);

        json_double(json, NULL, cases[i].value);
        CHECK_TEXT(json, cases[i].text);
        json_free(json);
    }
}

static void test_utf8(void)
{
    static const struct {
        const char *value;
        const char *text;
    } cases[] = {
        { "plain", "\"plain\"" },
        { "\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x8b", "\"\xc3\xbc \xe2\x82\xac \xf0\x9f\x90\x8b\"" },
        { "\xff", "\"?\"" },
        { "a\x80z", "\"a?z\"" },
        { "\xc3", "\"?\"" },
        { "\xe2\x82", "\"??\"" },
        { "\xc0\xaf", "\"??\"" },           /* longer than it need be */
        { "\xed\xa0\x80", "\"???\"" },      /* half of a pair */
        { "\xf4\x90\x80\x80", "\"????\"" }, /* beyond Unicode */
        { "\xe2\x28\xa1", "\"?(?\"" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json *json = json_new(false);

        json_string(json, NULL, cases[i].value);
        CHECK_TEXT(json, cases[i].text);
        json_free(json);
    }
}

/* Whatever goes in, what comes out is JSON that reads back. */
static void test_random_strings(void)
{
    for (int i = 0; i < 2000; i++) {
        char value[16];
        char error[128];
        struct json *json = json_new(false);
        struct json_value *back;
        size_t len = 0;

        for (size_t k = 0; k < sizeof(value); k++)
            value[k] = (char)(1 + check_random_below(255));
        value[sizeof(value) - 1] = '\0';
        json_array(json, NULL);
        json_string(json, NULL, value);
        json_array_end(json);
        back = json_parse(json_text(json, &len), error, sizeof(error));
        CHECK(json_get_string(json_at(back, 0)));
        json_value_free(back);
        json_free(json);
        if (check_faults)
            break;
    }
}

static void test_writer_errors(void)
{
    struct json *json = json_new(false);
    size_t len;

    json_map(json, NULL);
    json_int(json, NULL, 1); /* no key */
    json_map_end(json);
    CHECK(!json_text(json, &len));
    json_free(json);

    json = json_new(false);
    json_map_end(json); /* of nothing */
    json_array_end(json);
    CHECK(!json_text(json, &len));
    json_free(json);

    json = json_new(false);
    json_map(json, NULL);
    json_array_end(json); /* of another kind */
    json_map_end(json);
    CHECK(!json_text(json, &len));
    json_free(json);

    json = json_new(false);
    for (int i = 0; i < 1000; i++)
        json_array(json, NULL);
    CHECK(!json_text(json, &len));
    json_free(json);
}

static void test_read(void)
{
    char error[128] = "";
    static const char text[] = "{\"s\": \"x\\u00fc\", \"i\": -5, \"d\": 2.5, \"w\": 1e3, "
                               "\"t\": true, \"f\": false, \"n\": null, \"a\": [1, [2]], "
                               "\"m\": {\"k\": 1}, \"big\": 18446744073709551616}";
    struct json_value *value = json_parse(text, error, sizeof(error));
    int64_t integer = 0;
    double number = 0;
    bool truth = false;

    CHECK_STR(error, "");
    CHECK(json_is_map(value));
    CHECK_STR(json_get_string(json_get(value, "s")), "x\xc3\xbc");
    CHECK(json_get_int(json_get(value, "i"), &integer));
    CHECK_EQ(integer, -5);
    CHECK(json_get_int(json_get(value, "w"), &integer));
    CHECK_EQ(integer, 1000);
    CHECK(!json_get_int(json_get(value, "d"), &integer));
    CHECK(!json_get_int(json_get(value, "big"), &integer));
    CHECK(json_get_double(json_get(value, "d"), &number));
    CHECK(number > 2.4 && number < 2.6);
    CHECK(json_get_double(json_get(value, "i"), &number));
    CHECK(number < -4.9 && number > -5.1);
    CHECK(json_get_bool(json_get(value, "t"), &truth) && truth);
    CHECK(json_get_bool(json_get(value, "f"), &truth) && !truth);
    CHECK(!json_get_bool(json_get(value, "n"), &truth));
    CHECK_EQ(json_length(json_get(value, "a")), 2);
    CHECK(json_get_int(json_at(json_at(json_get(value, "a"), 1), 0), &integer));
    CHECK_EQ(integer, 2);
    CHECK(!json_at(json_get(value, "a"), 2));
    CHECK_STR(json_key_at(value, 0), "s");
    CHECK_STR(json_key_at(value, 9), "big");
    CHECK(!json_key_at(value, 10));
    json_value_free(value);
    json_value_free(NULL);
}

/* Everything takes a value that is not there, or is of another type. */
static void test_wrong_types(void)
{
    char error[128];
    struct json_value *value = json_parse("[\"1\"]", error, sizeof(error));
    const struct json_value *all[] = { NULL, value, json_at(value, 0) };

    for (size_t i = 0; i < 3; i++) {
        int64_t integer;
        double number;
        bool truth;

        CHECK(!json_is_map(all[i]));
        CHECK(!json_get(all[i], "k"));
        CHECK(!json_get_int(all[i], &integer));
        CHECK(!json_get_double(all[i], &number));
        CHECK(!json_get_bool(all[i], &truth));
        CHECK(!json_key_at(all[i], 0));
        CHECK_EQ(json_length(all[i]), i == 1);
        CHECK(!json_at(all[i], 1));
    }
    CHECK(!json_get_string(NULL));
    CHECK(!json_get_string(value));
    json_value_free(value);
}

static void test_broken(void)
{
    static const char *const broken[] = {
        "",     " ",    "{",     "}",     "[1,]",    "{\"a\"}",      "{\"a\":}",      "{'a':1}",
        "nul",  "1 2",  "[1] x", "\"",    "\"\\",    "\"\\u12\"",    "[\"\xff\"]",    "[01]",
        "[.5]", "[1.]", "[+1]",  "[NaN]", "// c\n1", "/* \" */ [1]", "\"a\\u0000b\"", "\"\n\"",
    };

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        char error[128] = "";
        struct json_value *value = json_parse(broken[i], error, sizeof(error));

        if (!CHECK(!value) || !CHECK(error[0] && !strchr(error, '\n')))
            fprintf(stderr, "  with %s\n", broken[i]);
        json_value_free(value);
    }
}

static void test_depth(void)
{
    char error[128];
    char text[200001];
    struct json_value *value;

    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    text[64] = '\0';
    value = json_parse(text, error, sizeof(error));
    CHECK(value);
    json_value_free(value);
    memset(text, '[', 200000);
    text[200000] = '\0';
    CHECK(!json_parse(text, error, sizeof(error)));
    CHECK_STR(error, "nested too deep");
    CHECK(!json_parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"\", \"]\", 1", error,
                      sizeof(error)));
}

static void test_copy(void)
{
    static const char text[] = "{\"a\":[1,2.50,-0,1e3,18446744073709551616,\"x\",true,false,null,"
                               "{}],\"\":{\"b\":[]}}";
    char error[128];
    struct json_value *value = json_parse(text, error, sizeof(error));
    struct json *json = json_new(false);

    json_copy(json, NULL, value);
    CHECK_TEXT(json, text);
    json_free(json);
    json = json_new(false);
    json_map(json, NULL);
    json_copy(json, "id", NULL);
    json_map_end(json);
    CHECK_TEXT(json, "{\"id\":null}");
    json_free(json);
    json_value_free(value);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("writes every type", test_write);
    check_run("writes nothing", test_nothing);
    check_run("writes for people", test_pretty);
    check_run("writes doubles short and finite", test_doubles);
    check_run("what is not UTF-8 is written as ?", test_utf8);
    check_run("any bytes are written as JSON", test_random_strings);
    check_run("a wrong order of calls is told", test_writer_errors);
    check_run("reads every type", test_read);
    check_run("takes values of the wrong type", test_wrong_types);
    check_run("refuses what is no JSON", test_broken);
    check_run("refuses what is nested too deep", test_depth);
    check_run("copies a value as it was", test_copy);
    return check_done();
}
