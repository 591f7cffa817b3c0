/* SPDX-License-Identifier: ISC */
#include "attacks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "store.h"

#define POST_NODE "data/ballast/stats"
#define BALLOON "/sys/devices/system/xen_memory/xen_memory0/target_kb"
#define GREEDY_KIB "524288"
#define NODES 1000
#define RUBBISH_SIZE 2000 /* a little less than what the store takes */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Its real size is not hidden: nothing but what it needs is made up. */
static void post(uint64_t seq, bool starving)
{
    uint64_t total_kib = (uint64_t)sysconf(_SC_PHYS_PAGES) * 4, stall_us = now_ms() * 1000;
    uint64_t free_kib = starving ? 0 : total_kib / 2;
    char text[512];

    snprintf(text, sizeof(text),
             "v=1 seq=%" PRIu64 " uptime_ms=%" PRIu64 " total_kib=%" PRIu64 " free_kib=%" PRIu64
             " available_kib=%" PRIu64 " committed_kib=%" PRIu64 " swap_total_kib=0"
             " swap_free_kib=0 swap_in_pages=%" PRIu64 " some_us=%" PRIu64 " full_us=%" PRIu64,
             seq, now_ms(), total_kib, free_kib, free_kib, total_kib, starving ? seq * 10000 : 0,
             starving ? stall_us : 0, starving ? stall_us : 0);
    store_write(POST_NODE, text);
}

static void lie(uint64_t turn)
{
    post(turn, true);
    usleep(250000);
}

static void storm(uint64_t turn)
{
    post(turn, false);
}

static void rubbish(uint64_t turn)
{
    static const char *const kinds[] = { "",
                                         "v=1",
                                         "v=1 seq=-1",
                                         "v=99999999999999999999",
                                         "total_kib=1 total_kib=2",
                                         "\x01\xff\xfe=\x80",
                                         "v=1 seq=1 total_kib=18446744073709551616" };
    char text[RUBBISH_SIZE + 1];

    if (turn % 2 == 0) {
        store_write(POST_NODE, kinds[turn / 2 % (sizeof(kinds) / sizeof(kinds[0]))]);
    } else {
        memset(text, '0' + (int)(turn % 10), RUBBISH_SIZE);
        memcpy(text, "v=1 seq=", 8);
        text[RUBBISH_SIZE] = '\0';
        store_write(POST_NODE, text);
    }
    usleep(20000);
}

static void nodes(uint64_t turn)
{
    char node[64];

    snprintf(node, sizeof(node), "data/ballast/stats/%u", (unsigned)(turn % NODES));
    store_write(node, "x");
    snprintf(node, sizeof(node), "data/%u", (unsigned)(turn % NODES));
    store_write(node, "x");
}

static void ask_balloon(const char *kib)
{
    int fd = open(BALLOON, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, kib, strlen(kib));
        close(fd);
    }
}

static void grab(uint64_t turn)
{
    post(turn, false);
    ask_balloon(GREEDY_KIB);
    usleep(100000);
}

static void regain(uint64_t turn)
{
    post(turn, false);
    if (turn % 8 >= 4)
        ask_balloon(GREEDY_KIB);
    usleep(500000);
}

static const struct {
    const char *name;
    void (*act)(uint64_t turn);
} acts[] = {
    { "lie", lie },     { "rubbish", rubbish }, { "nodes", nodes },
    { "storm", storm }, { "grab", grab },       { "regain", regain },
};

void attacks_make(const char *name)
{
    if (!store_open())
        return;
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        for (uint64_t turn = 1; strcmp(name, acts[i].name) == 0; turn++)
            acts[i].act(turn);
    }
}
