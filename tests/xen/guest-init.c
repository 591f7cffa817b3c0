/* SPDX-License-Identifier: ISC */
/* guest-init: PID 1 of a test guest, and all of its system but the agent.
 *
 * The kernel arguments say which agent the guest has:
 *   agent=ballast    runs /sbin/ballast-guest, as an init system would
 *   agent=xenserver  writes the nodes of XenServer's guest tools itself
 *   agent=qubes      writes the node of Qubes' meminfo-writer itself
 *   agent=2008       writes the nodes of the first patch for self-ballooning itself
 *   agent=none       posts nothing
 *   swap=yes         it has a disk, to swap to
 *   idle=3           without a load it looks for orders every three seconds, and not every second
 * Through the store it gets its orders, and tells how it is:
 *   data/work   "SIZE GROWTH SWEEP HOT" from dom0: hold SIZE MiB of memory, growing by at most GROWTH
 *               MiB/s, and use HOT of it (0: all), by touching SWEEP MiB/s of that, round and round
 *   data/attack the name of an attack (attacks.h) that it makes from now on; empty: none
 *   data/selfballoon "on" or "off": what is said so to the agent, from inside
 *   data/state  "held=MIB reached_ms=MS touched=MIB worst_ms=MS kills=N agents=N swap=MIB swap_in=MIB
 *               refaults=MIB full_ms=MS uptime_ms=MS", once a second, for dom0: what it holds, how long
 *               after the order it held SIZE (0: not yet), how much it has touched, how long that took at
 *               the most in one turn since the order, how much it has swapped in, and found missing that
 *               it had used not long before, and how long the whole guest has stood still for lack of
 *               memory
 * A worker that the kernel kills for lack of memory is counted, and starts again with nothing. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "attacks.h"
#include "store.h"

#define PAGE 4096
#define PAGES_PER_MIB 256
#define WORK_MAX_MIB 4096
#define TICK_MS 100
#define IDLE_TICK_MS 500
#define TURNS_PER_LOOK 4 /* at orders that are in no hurry */
#define SWAP_DEVICE "/dev/xvda"
#define BALLOON_CURRENT "/sys/devices/system/xen_memory/xen_memory0/info/current_kb"

/* The driver of 2008 asked for what is committed, and this for its kernel and to grow into. */
#define ROOM_2008_KIB (48 * 1024)

enum agent { AGENT_NONE, AGENT_BALLAST, AGENT_XENSERVER, AGENT_QUBES, AGENT_2008 };

/* What PID 1 and the worker tell each other. */
struct work {
    volatile unsigned size_mib;
    volatile unsigned growth_mib_s;
    volatile unsigned sweep_mib_s;
    volatile unsigned hot_mib;
    volatile unsigned held_mib;
    volatile unsigned touched_mib;
    volatile unsigned worst_ms;
    volatile uint64_t order_ms;   /* when SIZE was ordered */
    volatile uint64_t reached_ms; /* so long after that it was held; 0: not yet */
};

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void store_write_number(const char *node, unsigned long value)
{
    char text[24];

    snprintf(text, sizeof(text), "%lu", value);
    store_write(node, text);
}

/* The text of a small file; empty when it cannot be read. */
static void read_file(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd >= 0) {
        n = read(fd, buf, size - 1);
        close(fd);
    }
    buf[n > 0 ? n : 0] = '\0';
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "guest-init: %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

/* A line of /proc/meminfo ("NAME:" and kB) or /proc/vmstat ("NAME " and a count); 0 when it is not there. */
static unsigned long figure(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0)
            return strtoul(line + length, NULL, 10);
    }
    return 0;
}

static bool has_argument(const char *argument)
{
    char arguments[2048];

    read_file("/proc/cmdline", arguments, sizeof(arguments));
    return strstr(arguments, argument) != NULL;
}

static enum agent wanted_agent(void)
{
    if (has_argument("agent=ballast"))
        return AGENT_BALLAST;
    if (has_argument("agent=xenserver"))
        return AGENT_XENSERVER;
    if (has_argument("agent=qubes"))
        return AGENT_QUBES;
    if (has_argument("agent=2008"))
        return AGENT_2008;
    return AGENT_NONE;
}

/* Pages that are not held have no protection bits, so that the kernel's committed memory is what the
 * worker holds, and not the whole area. */
static bool add_pages(char *area, size_t held, size_t more)
{
    char *start = area + held * PAGE;

    if (mprotect(start, more * PAGE, PROT_READ | PROT_WRITE) != 0)
        return false;
    /* All at once: a fault for each page is several times as dear under emulation. Where it fails,
     * touch() makes up for it. */
    (void)madvise(start, more * PAGE, MADV_POPULATE_WRITE);
    return true;
}

static void drop_pages(char *area, size_t from, size_t to)
{
    /* In place of the old mapping: this cannot fail for lack of memory. */
    (void)mmap(area + from * PAGE, (to - from) * PAGE, PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void touch(char *area, size_t page)
{
    volatile uint64_t *word = (volatile uint64_t *)(area + page * PAGE);

    *word += page + 1;
}

/* Pages per tick from MiB per second, at least one. */
static size_t per_tick(unsigned mib_s)
{
    size_t pages = (size_t)mib_s * PAGES_PER_MIB / (1000 / TICK_MS);

    return pages ? pages : 1;
}

/* Touches SWEEP MiB/s of what is used. Returns how many pages that were. */
static size_t sweep(struct work *work, char *area, size_t held, size_t *next)
{
    size_t used = (size_t)work->hot_mib * PAGES_PER_MIB, n = per_tick(work->sweep_mib_s);
    uint64_t start_ms = now_ms();
    unsigned took_ms;

    if (used == 0 || used > held)
        used = held;
    for (size_t i = 0; i < n && used > 0; i++) {
        if (*next >= used)
            *next = 0;
        touch(area, (*next)++);
    }
    took_ms = (unsigned)(now_ms() - start_ms);
    work->worst_ms = took_ms > work->worst_ms ? took_ms : work->worst_ms;
    return used ? n : 0;
}

/* Holds and uses as much memory as it is told, for ever. */
static void worker(struct work *work)
{
    struct timespec tick = { .tv_nsec = 0 };
    char *area =
        mmap(NULL, (size_t)WORK_MAX_MIB << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t held = 0, next = 0, touched = 0; /* pages */

    if (area == MAP_FAILED)
        _exit(1);
    for (;;) {
        size_t size = (size_t)work->size_mib * PAGES_PER_MIB;
        size_t until = held + per_tick(work->growth_mib_s);

        if (size < held) {
            drop_pages(area, size, held);
            held = size;
        }
        until = until < size ? until : size;
        if (until > held && add_pages(area, held, until - held)) {
            while (held < until)
                touch(area, held++);
        }
        work->held_mib = (unsigned)(held / PAGES_PER_MIB);
        if (held == size && size > 0 && work->reached_ms == 0)
            work->reached_ms = now_ms() - work->order_ms;
        touched += sweep(work, area, held, &next);
        work->touched_mib = (unsigned)(touched / PAGES_PER_MIB);
        tick.tv_nsec = (size || held ? TICK_MS : IDLE_TICK_MS) * 1000000L;
        nanosleep(&tick, NULL);
    }
}

static void set_oom_score(const char *score)
{
    write_file("/proc/self/oom_score_adj", score);
}

static pid_t start_worker(struct work *work)
{
    pid_t pid = fork();

    if (pid == 0) {
        set_oom_score("1000");
        worker(work);
    }
    return pid;
}

static pid_t start_agent(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl("/sbin/ballast-guest", "ballast-guest", (char *)NULL);
        perror("guest-init: /sbin/ballast-guest");
        _exit(127);
    }
    return pid;
}

/* Swaps to the guest's disk. */
static void start_swap(void)
{
    static char page[PAGE];
    uint32_t *header = (uint32_t *)(page + 1024); /* behind room for a boot block */
    int module = open("/lib/modules/xen-blkfront.ko", O_RDONLY | O_CLOEXEC);
    int fd;
    off_t size;

    if (module < 0 || syscall(SYS_finit_module, module, "", 0) != 0)
        perror("guest-init: xen-blkfront");
    close(module);
    /* The device turns up when both ends have connected. */
    for (int i = 0; i < 100 && access(SWAP_DEVICE, F_OK) != 0; i++)
        usleep(100000);
    fd = open(SWAP_DEVICE, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        perror("guest-init: " SWAP_DEVICE);
        return;
    }
    size = lseek(fd, 0, SEEK_END);
    header[0] = 1; /* version */
    header[1] = (uint32_t)(size / PAGE - 1);
    memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
    if (pwrite(fd, page, PAGE, 0) != PAGE || fsync(fd) != 0 || swapon(SWAP_DEVICE, 0) != 0)
        perror("guest-init: swap");
    close(fd);
}

static void read_orders(struct work *work)
{
    static char followed[64];
    char text[sizeof(followed)];
    unsigned size, growth, sweep, hot;

    if (!store_request("data/work", NULL, text, sizeof(text)) || strcmp(text, followed) == 0
        || sscanf(text, "%u %u %u %u", &size, &growth, &sweep, &hot) != 4)
        return;
    memcpy(followed, text, sizeof(followed));
    size = size < WORK_MAX_MIB ? size : WORK_MAX_MIB;
    if (size != work->size_mib) {
        work->order_ms = now_ms();
        work->reached_ms = 0;
    }
    work->size_mib = size;
    work->growth_mib_s = growth;
    work->sweep_mib_s = sweep;
    work->hot_mib = hot;
    work->worst_ms = 0;
}

/* An attack goes on until another one, or none, is ordered. */
static void read_attack(void)
{
    static char attack[16];
    static pid_t attacker;
    char wanted[sizeof(attack)];

    if (!store_request("data/attack", NULL, wanted, sizeof(wanted)) || strcmp(wanted, attack) == 0)
        return;
    memcpy(attack, wanted, sizeof(attack));
    if (attacker > 0)
        kill(attacker, SIGKILL);
    attacker = attack[0] ? fork() : 0;
    if (attacker == 0 && attack[0]) {
        attacks_make(attack);
        _exit(1);
    }
}

/* As somebody would who works in the guest. */
static void read_switch(pid_t agent)
{
    static char said[8];
    char wanted[sizeof(said)];

    if (!store_request("data/selfballoon", NULL, wanted, sizeof(wanted))
        || strcmp(wanted, said) == 0)
        return;
    memcpy(said, wanted, sizeof(said));
    if (agent > 0)
        kill(agent, strcmp(said, "on") == 0 ? SIGUSR1 : SIGUSR2);
}

/* What the kernel does not know of, and what it says is committed. */
static unsigned long selftarget_kib(const char *meminfo)
{
    char current[24];

    read_file(BALLOON_CURRENT, current, sizeof(current));
    return strtoul(current, NULL, 10) - figure(meminfo, "MemTotal:")
           + figure(meminfo, "Committed_AS:") + ROOM_2008_KIB;
}

/* What the agents of others write. */
static void post_as(enum agent agent, const char *meminfo)
{
    unsigned long total = figure(meminfo, "MemTotal:");

    if (agent == AGENT_XENSERVER) {
        store_write_number("data/meminfo_total", total);
        store_write_number("data/meminfo_free", figure(meminfo, "MemAvailable:"));
        store_write("data/updated", "1");
    }
    if (agent == AGENT_2008)
        store_write_number("memory/selftarget", selftarget_kib(meminfo));
    if (agent == AGENT_QUBES) {
        unsigned long swapped = figure(meminfo, "SwapTotal:") - figure(meminfo, "SwapFree:");
        store_write_number("memory/meminfo", total - figure(meminfo, "MemFree:")
                                                 - figure(meminfo, "Buffers:")
                                                 - figure(meminfo, "Cached:") + swapped);
    }
}

/* For so long no process could go on for lack of memory. */
static unsigned long full_ms(void)
{
    char pressure[256];
    const char *full;

    read_file("/proc/pressure/memory", pressure, sizeof(pressure));
    full = strstr(pressure, "full ");
    full = full ? strstr(full, "total=") : NULL;
    return full ? strtoul(full + strlen("total="), NULL, 10) / 1000 : 0;
}

static void post_state(const struct work *work, const char *meminfo, unsigned kills,
                       unsigned agents)
{
    unsigned long swapped = figure(meminfo, "SwapTotal:") - figure(meminfo, "SwapFree:");
    unsigned long refaults;
    char vmstat[8192], text[256];

    read_file("/proc/vmstat", vmstat, sizeof(vmstat));
    refaults =
        figure(vmstat, "workingset_refault_anon ") + figure(vmstat, "workingset_refault_file ");
    snprintf(text, sizeof(text),
             "held=%u reached_ms=%" PRIu64 " touched=%u worst_ms=%u kills=%u agents=%u swap=%lu "
             "swap_in=%lu refaults=%lu full_ms=%lu uptime_ms=%" PRIu64,
             work->held_mib, work->reached_ms, work->touched_mib, work->worst_ms, kills, agents,
             swapped / 1024, figure(vmstat, "pswpin ") / PAGES_PER_MIB, refaults / PAGES_PER_MIB,
             full_ms(), now_ms());
    store_write("data/state", text);
}

static void start_system(void)
{
    int console;

    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    console = open("/dev/hvc0", O_RDWR);
    if (console >= 0) {
        dup2(console, STDIN_FILENO);
        dup2(console, STDOUT_FILENO);
        dup2(console, STDERR_FILENO);
    }
    /* PID 1 and its agent are to live: what is killed for lack of memory is the worker. */
    set_oom_score("-1000");
    if (!store_open())
        perror("guest-init: /dev/xen/xenbus");
    if (has_argument("swap=yes"))
        start_swap();
}

int main(int argc, char **argv)
{
    struct work *work;
    enum agent agent;
    pid_t worker_pid, agent_pid = 0, pid;
    unsigned kills = 0, agents = 0, turn = 0, idle_s;
    char meminfo[8192];

    /* The kernel runs /sbin/poweroff when dom0 orders the end; it is this program too. */
    if (argc > 0 && strstr(argv[0], "poweroff"))
        return reboot(RB_POWER_OFF);
    start_system();
    agent = wanted_agent();
    idle_s = has_argument("idle=3") ? 3 : 1;
    work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (work == MAP_FAILED) {
        perror("guest-init: mmap");
        return 1;
    }
    worker_pid = start_worker(work);
    for (;;) {
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
            if (pid == worker_pid) {
                kills++;
                work->size_mib = 0;
                work->held_mib = 0;
                store_write("data/work", "0 0 0 0");
                worker_pid = start_worker(work);
            } else if (pid == agent_pid) {
                agent_pid = 0;
            }
        }
        if (agent == AGENT_BALLAST && agent_pid == 0) {
            agent_pid = start_agent();
            agents++;
        }
        read_orders(work);
        if (turn++ % TURNS_PER_LOOK == 0) {
            read_attack();
            read_switch(agent_pid);
        }
        read_file("/proc/meminfo", meminfo, sizeof(meminfo));
        post_as(agent, meminfo);
        post_state(work, meminfo, kills, agents);
        sleep(work->size_mib || work->held_mib ? 1 : idle_s);
    }
}
