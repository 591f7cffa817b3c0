/* SPDX-License-Identifier: ISC */
/* Checks for unit tests, in TAP: one line on standard output for each test function, what went
 * wrong on standard error, and a seed that is printed when something failed.
 *
 *     static void test_sum(void)
 *     {
 *         CHECK_EQ(sum(1, 2), 3);
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         check_init(argc, argv);
 *         check_run("adds", test_sum);
 *         return check_done();
 *     }
 */
#ifndef BALLAST_CHECK_H
#define BALLAST_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test function that found so many faults says no more. */
#define CHECK_FAULTS_SHOWN 10

static uint64_t check_seed = 1;
static uint64_t check_random_state = 1;
static bool check_long;       /* BALLAST_LONG=1: the long run of property tests */
static unsigned check_faults; /* of the test function that runs */
static unsigned check_tests;
static unsigned check_failed;

/* Takes --seed N, or BALLAST_SEED from the environment. */
static inline void check_init(int argc, char **argv)
{
    const char *seed = getenv("BALLAST_SEED");

    if (argc == 3 && strcmp(argv[1], "--seed") == 0)
        seed = argv[2];
    if (seed)
        check_seed = strtoull(seed, NULL, 10);
    check_long = getenv("BALLAST_LONG") != NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
}

/* The next of a sequence that the seed decides. */
static inline uint64_t check_random(void)
{
    check_random_state ^= check_random_state << 13;
    check_random_state ^= check_random_state >> 7;
    check_random_state ^= check_random_state << 17;
    return check_random_state;
}

/* In [0, below); 0 when below is 0. */
static inline uint64_t check_random_below(uint64_t below)
{
    return below ? check_random() % below : 0;
}

static inline bool check_fault(const char *file, int line, const char *what)
{
    if (++check_faults <= CHECK_FAULTS_SHOWN)
        fprintf(stderr, "%s:%d: %s\n", file, line, what);
    return false;
}

static inline bool check_eq(const char *file, int line, const char *what, int64_t got,
                            int64_t expected)
{
    char text[256];

    if (got == expected)
        return true;
    snprintf(text, sizeof(text), "%.180s: got %" PRId64 ", expected %" PRId64, what, got, expected);
    return check_fault(file, line, text);
}

static inline bool check_str(const char *file, int line, const char *what, const char *got,
                             const char *expected)
{
    char text[512];

    if (got && expected && strcmp(got, expected) == 0)
        return true;
    snprintf(text, sizeof(text), "%.80s: got \"%.190s\", expected \"%.190s\"", what,
             got ? got : "(null)", expected ? expected : "(null)");
    return check_fault(file, line, text);
}

/* Each is true when it holds, so that a loop can stop at the first fault. */
#define CHECK(condition) ((condition) ? true : check_fault(__FILE__, __LINE__, #condition))
#define CHECK_EQ(got, expected) \
    check_eq(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(expected))
#define CHECK_STR(got, expected) check_str(__FILE__, __LINE__, #got, (got), (expected))

static inline void check_run(const char *name, void (*test)(void))
{
    check_faults = 0;
    check_random_state = check_seed * 0x9e3779b97f4a7c15u + 1;
    test();
    check_tests++;
    check_failed += check_faults > 0;
    printf("%s %u - %s\n", check_faults ? "not ok" : "ok", check_tests, name);
    if (check_faults)
        fprintf(stderr, "%s: %u faults with --seed %" PRIu64 "\n", name, check_faults, check_seed);
}

/* Ends the TAP output. Returns the program's exit status. */
static inline int check_done(void)
{
    printf("1..%u\n", check_tests);
    return check_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
