/* SPDX-License-Identifier: ISC */
/* dom0's own figures become its post. */
#include <errno.h>
#include <sys/stat.h>

#include "check.h"
#include "host/dom0.h"
#include "report/timing.h"

static char root[] = "/tmp/ballast-test-XXXXXX";

static void put_meminfo(unsigned available_kib)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/proc", root);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/proc/meminfo", root);
    file = fopen(path, "w");
    if (CHECK(file)) {
        fprintf(file, "MemTotal: 900000 kB\nMemAvailable: %u kB\n", available_kib);
        fclose(file);
    }
}

static void test_posts(void)
{
    struct post post = { .dialect = DIALECT_NONE };
    struct dom0 dom0;

    put_meminfo(600000);
    dom0_open(&dom0);
    CHECK_EQ(dom0_post(&dom0, 1000000, 50000, &post), 0);
    CHECK_EQ(post.dialect, DIALECT_BALLAST);
    CHECK_EQ(post.used_kib, 400000);
    CHECK_EQ(post.at_ms, 50000);

    /* As an agent: not before the next look, nor when nothing changed; then at once. */
    put_meminfo(300000);
    CHECK_EQ(dom0_post(&dom0, 1000000, 50000 + TIMING_LOOK_MS - 1, &post), 0);
    CHECK_EQ(post.used_kib, 400000);
    CHECK_EQ(dom0_post(&dom0, 1000000, 50000 + TIMING_LOOK_MS, &post), 0);
    CHECK_EQ(post.used_kib, 700000);
    CHECK_EQ(dom0_post(&dom0, 1000000, 51000, &post), 0);
    CHECK_EQ(post.at_ms, 50000 + TIMING_LOOK_MS);
    CHECK_EQ(dom0_post(&dom0, 1000000, 61000, &post), 0);
    CHECK_EQ(post.at_ms, 61000);
    CHECK_EQ(post.report.seq, 3);

    /* Forgotten, as when the store's connection was lost: it posts again. */
    post = (struct post){ .dialect = DIALECT_NONE };
    CHECK_EQ(dom0_post(&dom0, 1000000, 61010, &post), 0);
    CHECK_EQ(post.used_kib, 700000);
    dom0_close(&dom0);
    CHECK_EQ(dom0_post(&dom0, 1000000, 90000, &post), 0);
    CHECK_EQ(post.at_ms, 61010);
}

/* Figures that the hypervisor's contradict are those of no dom0. */
static void test_is_not_believed_blindly(void)
{
    struct post post = { .dialect = DIALECT_NONE };
    struct dom0 dom0;

    dom0_open(&dom0);
    CHECK_EQ(dom0_post(&dom0, 100000, 50000, &post), -EINVAL);
    CHECK(post.bad);
    dom0_close(&dom0);
    dom0_close(&dom0);
}

int main(int argc, char **argv)
{
    char command[64];

    check_init(argc, argv);
    CHECK(mkdtemp(root) != NULL);
    setenv("BALLAST_ROOT", root, 1);
    check_run("dom0 posts as an agent does", test_posts);
    check_run("what it says is looked at, too", test_is_not_believed_blindly);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    CHECK_EQ(system(command), 0);
    return check_done();
}
