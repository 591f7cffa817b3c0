/* SPDX-License-Identifier: ISC */
/* fakexen - makes, changes and shows a fake host, and plays its guests.
 *
 *     fakexen init TOTAL_MIB CPUS DOM0_MIB     an empty host in $FAKEXEN_DIR
 *     fakexen COMMAND [ARGUMENT...]            one command
 *     fakexen play                             commands from standard input, one a line, each
 *                                              answered by one line, "ok ..." or "error ..."; the
 *                                              guests that were created live meanwhile
 *
 * README.md lists the commands.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xenstore.h>

#include "player.h"
#include "words.h"

#define WORDS_MAX 64
#define LINE_SIZE 16384
#define TICK_MS 10 /* of the balloon drivers */
#define UNLIMITED_PAGES (UINT64_MAX >> 20)
#define MIB_PAGES 256

static uint64_t now_ms(void)
{
    return hv_now_ns() / 1000000;
}

static void run_line(struct player *player, char *line)
{
    char *words[WORDS_MAX];
    char *save;
    char *word;
    int n = 0;

    /* The value of "write" is the rest of the line, blanks and all. */
    for (word = strtok_r(line, " ", &save); word && n < WORDS_MAX;
         word = strtok_r(NULL, " ", &save)) {
        words[n++] = word;
        if (n == 3 && strcmp(words[0], "write") == 0) {
            if (save && *save)
                words[n++] = save;
            break;
        }
    }
    if (n > 0)
        player_run(player, words, n);
}

/* Reads what is there and runs all whole lines of it. Returns false at the end of the input. */
static bool read_commands(struct player *player, char *buf, size_t *length)
{
    ssize_t n = read(STDIN_FILENO, buf + *length, LINE_SIZE - 1 - *length);
    char *end;

    if (n <= 0)
        return false;
    *length += (size_t)n;
    buf[*length] = '\0';
    while ((end = strchr(buf, '\n')) != NULL) {
        *end = '\0';
        run_line(player, buf);
        *length -= (size_t)(end + 1 - buf);
        memmove(buf, end + 1, *length + 1);
    }
    return *length < LINE_SIZE - 1;
}

static void finish_race(struct player *player)
{
    uint64_t end_ns = hv_now_ns();

    player->race.on = false;
    player_answer("ok us=%" PRIu64, (end_ns - player->race.start_ns) / 1000);
}

static void read_events(struct player *player)
{
    char **event;
    uint32_t domid;
    uint64_t kib;

    while (player->dom0 && (event = xs_check_watch(player->dom0)) != NULL) {
        int r = word_domid(event[XS_WATCH_TOKEN], false, &domid);

        free(event);
        if (r < 0 || !player->guests[domid].used || player_read_target(player, domid, &kib) < 0)
            continue;
        player->guests[domid].goal_kib = kib;
        if (player->race.on && player->race.domid == domid && kib > player->race.old_kib)
            finish_race(player);
    }
}

/* Returns how long nothing need be done, in milliseconds. */
static int live(struct player *player, uint64_t elapsed_ms)
{
    uint64_t time_ms = now_ms();
    bool moving = false;
    bool posting = false;
    uint32_t domid;

    for (domid = 1; domid <= player->highest; domid++) {
        struct guest *guest = &player->guests[domid];

        if (!guest->used)
            continue;
        moving |= guest_step(player->hv, guest, elapsed_ms);
        posting |= guest->awake && guest->beat_ms > 0;
        if (guest_post_due(player->hv, guest, time_ms))
            (void)guest_post(player->hv, guest, time_ms);
    }
    return moving || posting || player->race.on ? TICK_MS : -1;
}

static int play(struct player *player)
{
    static char buf[LINE_SIZE];
    size_t length = 0;
    uint64_t last_ms = now_ms();
    int timeout_ms = -1;
    int r = player_connect(player);

    if (r < 0) {
        fprintf(stderr, "fakexen: the store: %s\n", strerror(-r));
        return 1;
    }
    for (;;) {
        struct pollfd fds[2] = {
            { .fd = STDIN_FILENO, .events = POLLIN },
            { .fd = player->dom0 ? xs_fileno(player->dom0) : -1, .events = POLLIN },
        };
        uint64_t time_ms;

        (void)poll(fds, 2, timeout_ms);
        if (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) {
            xs_close(player->dom0); /* the store is gone; "republish" connects again */
            player->dom0 = NULL;
        } else if (fds[1].revents) {
            read_events(player);
        }
        if (fds[0].revents && !read_commands(player, buf, &length))
            return 0;
        time_ms = now_ms();
        if (timeout_ms < 0)
            last_ms = time_ms; /* nobody moved meanwhile */
        if (timeout_ms < 0 || time_ms >= last_ms + TICK_MS) {
            timeout_ms = live(player, time_ms - last_ms);
            last_ms = time_ms;
        }
        if (player->race.on && hv_now_ns() > player->race.end_ns) {
            player->race.on = false;
            player_answer("error no higher target");
        }
    }
}

static int make_file(const char *name, const char *text, off_t size)
{
    char path[256];
    FILE *file;
    int r = hv_path(path, sizeof(path), "%s", name);

    if (r < 0)
        return r;
    file = fopen(path, "w");
    if (!file)
        return -errno;
    fputs(text, file);
    if (fflush(file) != 0 || (size > 0 && ftruncate(fileno(file), size) < 0))
        r = -errno;
    fclose(file);
    return r;
}

static int init(char **words, int n)
{
    static const char *const folders[] = { "lib", "xs", "log", "guest", "ring" };
    uint8_t none[16] = { 0 };
    uint64_t total_mib;
    uint64_t cpus;
    uint64_t dom0_mib;
    char path[256];
    struct hv *hv;
    size_t i;
    int r;

    if (n != 4 || word_number(words[1], UINT64_MAX >> 30, &total_mib) < 0
        || word_number(words[2], 4096, &cpus) < 0 || cpus == 0
        || word_number(words[3], total_mib, &dom0_mib) < 0)
        return -EINVAL;
    (void)mkdir(hv_dir(), 0755);
    for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        r = hv_path(path, sizeof(path), "%s", folders[i]);
        if (r == 0 && mkdir(path, 0755) < 0)
            r = -errno;
        if (r < 0)
            return r;
    }
    r = make_file("xsd_port", "1", 0);
    if (r == 0)
        r = make_file("xsd_kva", "", 4096);
    if (r == 0)
        r = hv_create(total_mib * MIB_PAGES, (uint32_t)cpus, &hv);
    if (r == 0)
        r = hv_domain_create(hv, 0, none, false, dom0_mib * MIB_PAGES, UNLIMITED_PAGES,
                             (uint32_t)cpus);
    return r;
}

int main(int argc, char **argv)
{
    struct player player = { .hv = NULL };
    struct rlimit files;
    int r;

    if (argc < 2) {
        fprintf(stderr, "usage: fakexen init TOTAL_MIB CPUS DOM0_MIB | play | COMMAND...\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[1], "init") == 0) {
        r = init(argv + 1, argc - 1);
        if (r < 0)
            fprintf(stderr, "fakexen: init: %s\n", strerror(-r));
        return r < 0;
    }
    /* One connection for each guest. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    r = hv_open(&player.hv);
    player.guests = calloc(HV_DOMAINS, sizeof(*player.guests));
    if (r < 0 || !player.guests) {
        fprintf(stderr, "fakexen: %s: %s\n", hv_dir(), r < 0 ? strerror(-r) : "out of memory");
        return 1;
    }
    if (strcmp(argv[1], "play") == 0)
        return play(&player);
    player_run(&player, argv + 1, argc - 1);
    return 0;
}
