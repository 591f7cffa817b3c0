/* SPDX-License-Identifier: ISC */
/* Scenario files: what is taken is run for a moment, with an engine beside it that does nothing;
 * what is not has its file in each fault. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/host-sim.h"
#include "host/scenario.h"

/* Larger ones take long, and show nothing new. */
#define GUESTS_RUN 64
#define RUN_MS 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[64];

/* The bytes as a file. */
static void write_file(const uint8_t *data, size_t size)
{
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("fuzz-scenario", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
}

/* Nobody sets a target, so nobody but dom0 can break the promise. */
static void run(const struct scenario *scenario)
{
    uint64_t end_ms =
        HOST_SIM_BEGIN_MS + (scenario->length_ms < RUN_MS ? scenario->length_ms : RUN_MS);
    struct host_sim_truth truth;
    struct round *round = malloc(sizeof(*round));
    struct host *host;

    if (!round || host_sim_open(scenario, 1, false, &host) < 0)
        abort();
    round_init(round);
    while (host->ops->now_ms(host) < end_ms) {
        (void)host_sim_advance(host, end_ms);
        if (host->ops->observe(host, round) < 0)
            abort();
    }
    host_sim_finish(host);
    host_sim_truth(host, &truth);
    assert(truth.promise_broken == 0);
    host->ops->close(host);
    round_free(round);
    free(round);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = NULL;
    size_t text_size;
    FILE *report = open_memstream(&text, &text_size);
    struct scenario scenario;
    int r;

    if (!report)
        abort();
    write_file(data, size);
    r = scenario_read(path, report, &scenario);
    (void)fclose(report);
    if (r == 0) {
        assert(!*text);
        if (scenario.guest_count <= GUESTS_RUN)
            run(&scenario);
        scenario_free(&scenario);
    } else {
        assert(*text && strncmp(text, path, strlen(path)) == 0);
    }
    free(text);
    return 0;
}
