/* SPDX-License-Identifier: ISC */
#include <errno.h>

#include "check.h"
#include "host/host.h"
#include "host/state-memory.h"

static void expect(const struct state_memory *state, const char *key, const char *expected)
{
    char *text = NULL;
    int r = state_memory_get(state, key, &text);

    CHECK_EQ(r, expected ? 0 : -ENOENT);
    if (expected)
        CHECK_STR(text, expected);
    free(text);
}

static void test_get_set(void)
{
    struct state_memory state = { 0 };

    expect(&state, "bills/a", NULL);
    CHECK_EQ(state_memory_set(&state, "bills/a", "one"), 0);
    CHECK_EQ(state_memory_set(&state, "bills/b", ""), 0);
    expect(&state, "bills/a", "one");
    expect(&state, "bills/b", "");
    CHECK_EQ(state_memory_set(&state, "bills/a", "two"), 0);
    expect(&state, "bills/a", "two");
    state_memory_free(&state);
    expect(&state, "bills/a", NULL);
}

static void test_remove(void)
{
    struct state_memory state = { 0 };

    CHECK_EQ(state_memory_set(&state, "bills/a", "1"), 0);
    CHECK_EQ(state_memory_set(&state, "bills/ab", "2"), 0);
    CHECK_EQ(state_memory_set(&state, "remedies/a", "3"), 0);
    CHECK_EQ(state_memory_set(&state, "bills/a", NULL), 0);
    CHECK_EQ(state_memory_set(&state, "bills/none", NULL), 0);
    expect(&state, "bills/a", NULL);
    expect(&state, "bills/ab", "2");
    CHECK_EQ(state_memory_set(&state, "bills", NULL), 0);
    expect(&state, "bills/ab", NULL);
    expect(&state, "remedies/a", "3");
    state_memory_free(&state);
}

static void count(void *context, const char *name)
{
    unsigned *seen = context;

    *seen |= strcmp(name, "a") == 0 ? 1 : strcmp(name, "b") == 0 ? 2 : 4;
}

static void test_list(void)
{
    struct state_memory state = { 0 };
    unsigned seen = 0;

    CHECK_EQ(state_memory_set(&state, "bills/a", "1"), 0);
    CHECK_EQ(state_memory_set(&state, "bills/b", "2"), 0);
    CHECK_EQ(state_memory_set(&state, "bills/b/deeper", "3"), 0);
    CHECK_EQ(state_memory_set(&state, "billsx", "4"), 0);
    state_memory_list(&state, "bills", count, &seen);
    CHECK_EQ(seen, 3);
    seen = 0;
    state_memory_list(&state, "reservations", count, &seen);
    CHECK_EQ(seen, 0);
    state_memory_free(&state);
}

static void test_limits(void)
{
    struct state_memory state = { 0 };
    char text[STATE_MAX + 2];
    char key[STATE_KEY_MAX + 2];

    memset(text, 'x', sizeof(text));
    memset(key, 'k', sizeof(key));
    text[STATE_MAX + 1] = '\0';
    key[STATE_KEY_MAX + 1] = '\0';
    CHECK_EQ(state_memory_set(&state, "a", text), -E2BIG);
    CHECK_EQ(state_memory_set(&state, key, "1"), -ENAMETOOLONG);
    expect(&state, "a", NULL);
    text[STATE_MAX] = '\0';
    key[STATE_KEY_MAX] = '\0';
    CHECK_EQ(state_memory_set(&state, key, text), 0);
    expect(&state, key, text);
    state_memory_free(&state);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("a text is kept by its key until it is replaced", test_get_set);
    check_run("removing takes what is below, and nothing else", test_remove);
    check_run("what is directly below a key is listed", test_list);
    check_run("keys and texts are limited", test_limits);
    return check_done();
}
