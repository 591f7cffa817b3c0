/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "player.h"
#include "words.h"

#define DEFAULT_RATE_KIB (512 * 1024)
#define PAGE_KIB 4

static uint64_t now_ms(void)
{
    return hv_now_ns() / 1000000;
}

static void watch_target(struct player *player, uint32_t domid)
{
    char path[64];
    char token[16];

    snprintf(path, sizeof(path), "/local/domain/%u/memory/target", domid);
    snprintf(token, sizeof(token), "%u", domid);
    if (!xs_watch(player->dom0, path, token) && errno != EEXIST)
        fprintf(stderr, "fakexen: watch %s: %s\n", path, strerror(errno));
}

int player_connect(struct player *player)
{
    uint32_t domid;

    if (player->dom0)
        return 0;
    player->dom0 = xs_open(0);
    if (!player->dom0)
        return errno ? -errno : -ECONNREFUSED;
    for (domid = 1; domid <= player->highest; domid++) {
        if (player->guests[domid].used)
            watch_target(player, domid);
    }
    return 0;
}

static void unwatch_target(struct player *player, uint32_t domid)
{
    char path[64];
    char token[16];

    snprintf(path, sizeof(path), "/local/domain/%u/memory/target", domid);
    snprintf(token, sizeof(token), "%u", domid);
    (void)xs_unwatch(player->dom0, path, token);
}

int player_read_target(struct player *player, uint32_t domid, uint64_t *ret_kib)
{
    char path[64];
    unsigned length;
    char *text;
    int r;

    snprintf(path, sizeof(path), "/local/domain/%u/memory/target", domid);
    text = xs_read(player->dom0, XBT_NULL, path, &length);
    if (!text)
        return -errno;
    r = word_number(text, UINT64_MAX, ret_kib);
    free(text);
    return r;
}

void player_answer(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

/* Answers for commands that return 0 or a negative errno. */
static void answer_result(int r)
{
    if (r < 0)
        player_answer("error %s", strerror(-r));
    else
        player_answer("ok");
}

static void wake(struct player *player, struct guest *guest, bool awake)
{
    guest->awake = awake;
    if (awake && guest->dialect != DIALECT_NONE && guest->beat_ms > 0)
        (void)guest_post(player->hv, guest, now_ms());
}

/* Puts a domain, in the hypervisor's eyes, into a state. */
static int set_state(struct player *player, struct guest *guest, const char *state)
{
    struct hv_domain *domain;
    bool dead = strcmp(state, "shutdown") == 0 || strcmp(state, "crashed") == 0;
    bool known = dead || strcmp(state, "running") == 0 || strcmp(state, "paused") == 0
                 || strcmp(state, "building") == 0 || strcmp(state, "dying") == 0;

    if (!known)
        return -EINVAL;
    hv_lock(player->hv);
    domain = hv_find(player->hv, guest->spec.domid);
    if (domain) {
        domain->paused = strcmp(state, "paused") == 0 || strcmp(state, "building") == 0;
        hv_domain_set_dying(player->hv, domain, strcmp(state, "dying") == 0);
        if (strcmp(state, "running") == 0 && domain->cpu_permille == 0) {
            domain->cpu_permille = 10;
            domain->start_ns = hv_now_ns();
        }
    }
    hv_unlock(player->hv);
    if (!domain)
        return -ESRCH;
    if (dead)
        return hv_domain_shutdown(player->hv, guest->spec.domid,
                                  strcmp(state, "crashed") == 0 ? 3 : 0);
    /* The toolstack is done with it. */
    if (guest->spec.building && strcmp(state, "building") != 0) {
        guest->spec.building = false;
        return domain_publish(player->dom0, player->hv, &guest->spec);
    }
    return 0;
}

/* Sets one "key=value" of a guest. */
static int set_key(struct player *player, struct guest *guest, char *word)
{
    char *value = strchr(word, '=');
    uint64_t number = 0;
    bool is_number;
    int r;

    if (!value)
        return -EINVAL;
    *value++ = '\0';
    is_number = word_number(value, UINT64_MAX / 1024, &number) == 0;
    if (strcmp(word, "state") == 0) {
        r = set_state(player, guest, value);
        if (r == 0)
            wake(player, guest, strcmp(value, "running") == 0);
        return r;
    }
    if (strcmp(word, "dialect") == 0)
        return guest_set_dialect(guest, player->dom0, value);
    if (!is_number)
        return -EINVAL;
    if (strcmp(word, "rate") == 0)
        guest->rate_kib = number;
    else if (strcmp(word, "floor") == 0)
        guest->floor_kib = number;
    else if (strcmp(word, "need") == 0)
        guest->need_kib = number;
    else if (strcmp(word, "beat") == 0)
        guest->beat_ms = number;
    else if (strcmp(word, "greedy") == 0)
        guest->greedy = number != 0;
    else
        return -EINVAL;
    return 0;
}

/* Keys that a domain is made with; the others are for set_key(). */
static int create_key(struct domain_spec *spec, const char *word, bool *ret_mine)
{
    const char *value = strchr(word, '=');
    uint64_t number;

    *ret_mine = true;
    if (strncmp(word, "name=", 5) == 0) {
        snprintf(spec->name, sizeof(spec->name), "%s", value + 1);
        return 0;
    }
    if (strncmp(word, "held=", 5) == 0) {
        if (word_number(value + 1, UINT64_MAX / 1024, &number) < 0)
            return -EINVAL;
        spec->held_kib = number;
        return 0;
    }
    if (strcmp(word, "state=building") == 0) {
        spec->building = true;
        return 0;
    }
    *ret_mine = false;
    return 0;
}

static int create_spec(char **words, int n, struct domain_spec *spec)
{
    bool mine;
    int i;
    int r;

    if (n < 5 || word_domid(words[1], false, &spec->domid) < 0 || spec->domid == 0
        || domain_type_parse(words[2], &spec->type) < 0
        || word_number(words[3], UINT64_MAX / 1024, &spec->target_kib) < 0
        || word_number(words[4], UINT64_MAX / 1024, &spec->static_max_kib) < 0)
        return -EINVAL;
    snprintf(spec->name, sizeof(spec->name), "g%u", spec->domid);
    spec->held_kib = spec->target_kib;
    spec->vcpus = 1;
    for (i = 5; i < n; i++) {
        r = create_key(spec, words[i], &mine);
        if (r < 0)
            return r;
        if (mine)
            words[i] = NULL;
    }
    return 0;
}

static int create(struct player *player, char **words, int n)
{
    struct domain_spec spec = { .domid = 0 };
    struct guest *guest;
    int i;
    int r = create_spec(words, n, &spec);

    if (r < 0)
        return r;
    guest = &player->guests[spec.domid];
    if (guest->used)
        return -EEXIST;
    r = domain_create(player->dom0, player->hv, &spec);
    if (r < 0)
        return r;
    memset(guest, 0, sizeof(*guest));
    guest->used = true;
    guest->spec = spec;
    guest->goal_kib = spec.target_kib - domain_video_kib(spec.type);
    guest->rate_kib = DEFAULT_RATE_KIB;
    if (spec.domid > player->highest)
        player->highest = spec.domid;
    watch_target(player, spec.domid);
    for (i = 5; i < n && r == 0; i++)
        r = words[i] ? set_key(player, guest, words[i]) : 0;
    if (r == 0 && !spec.building && player->hv->domains[spec.domid].paused == false
        && !player->hv->domains[spec.domid].shutdown && !player->hv->domains[spec.domid].dying)
        wake(player, guest, true);
    return r;
}

static void command_create(struct player *player, char **words, int n)
{
    answer_result(create(player, words, n));
}

static struct guest *find_guest(struct player *player, const char *word)
{
    uint32_t domid;

    if (word_domid(word, false, &domid) < 0 || !player->guests[domid].used)
        return NULL;
    return &player->guests[domid];
}

static void command_destroy(struct player *player, char **words, int n)
{
    struct guest *guest;
    uint32_t domid;

    if (n != 2 || word_domid(words[1], false, &domid) < 0 || domid == 0) {
        answer_result(-EINVAL);
        return;
    }
    guest = &player->guests[domid];
    if (guest->used) {
        unwatch_target(player, domid);
        guest_disconnect(guest);
        guest->used = false;
    }
    answer_result(domain_destroy(player->dom0, player->hv, domid));
}

static void command_set(struct player *player, char **words, int n)
{
    struct guest *guest = n >= 3 ? find_guest(player, words[1]) : NULL;
    int i;
    int r = guest ? 0 : -ESRCH;

    for (i = 2; i < n && r == 0; i++)
        r = set_key(player, guest, words[i]);
    answer_result(r);
}

static void command_post(struct player *player, char **words, int n)
{
    struct guest *guest = n == 2 ? find_guest(player, words[1]) : NULL;

    answer_result(guest ? guest_post(player->hv, guest, now_ms()) : -ESRCH);
}

static void command_write(struct player *player, char **words, int n)
{
    struct guest *guest = n >= 3 ? find_guest(player, words[1]) : NULL;
    char *value = n > 3 ? words[3] : NULL;
    int length = value ? word_unescape(value) : 0;

    answer_result(guest ? guest_write(guest, words[2], value ? value : "", (unsigned)length)
                        : -ESRCH);
}

static void command_permit(struct player *player, char **words, int n)
{
    struct guest *guest = n == 3 ? find_guest(player, words[1]) : NULL;

    answer_result(guest ? domain_permit(player->dom0, guest->spec.domid, words[2]) : -ESRCH);
}

/* fault OP CMD DOMID|any ERRNO COUNT [skip=N] [vanish=1] [delay=US] */
static int fault(struct player *player, char **words, int n)
{
    struct hv_fault fault = { .op = 0 };
    uint64_t op;
    uint64_t cmd;
    uint64_t error;
    uint64_t count;
    uint64_t number;
    char *value;
    int i;

    if (n < 6 || word_number(words[1], HV_OPS - 1, &op) < 0
        || word_number(words[2], UINT32_MAX, &cmd) < 0
        || word_domid(words[3], true, &fault.domid) < 0 || word_number(words[4], 4095, &error) < 0
        || word_number(words[5], UINT32_MAX, &count) < 0)
        return -EINVAL;
    fault.op = (uint32_t)op;
    fault.cmd = (uint32_t)cmd;
    fault.err = (int)error;
    fault.count = (uint32_t)count;
    for (i = 6; i < n; i++) {
        value = strchr(words[i], '=');
        if (!value || word_number(value + 1, UINT32_MAX, &number) < 0)
            return -EINVAL;
        if (strncmp(words[i], "skip=", 5) == 0)
            fault.skip = (uint32_t)number;
        else if (strncmp(words[i], "vanish=", 7) == 0)
            fault.vanish = number != 0;
        else if (strncmp(words[i], "delay=", 6) == 0)
            fault.delay_us = (uint32_t)number;
        else
            return -EINVAL;
    }
    return hv_fault_add(player->hv, &fault);
}

static void command_fault(struct player *player, char **words, int n)
{
    answer_result(fault(player, words, n));
}

static void command_faults(struct player *player, char **words, int n)
{
    uint64_t pending = 0;
    uint64_t met;
    int i;

    (void)words;
    (void)n;
    hv_lock(player->hv);
    met = player->hv->faults_met;
    for (i = 0; i < HV_FAULTS; i++)
        pending += player->hv->faults[i].count;
    hv_unlock(player->hv);
    player_answer("ok met=%" PRIu64 " pending=%" PRIu64, met, pending);
}

static void command_clear_faults(struct player *player, char **words, int n)
{
    (void)words;
    (void)n;
    hv_lock(player->hv);
    memset(player->hv->faults, 0, sizeof(player->hv->faults));
    hv_unlock(player->hv);
    player_answer("ok");
}

/* ok OP:CMD:COUNT... */
static void command_calls(struct player *player, char **words, int n)
{
    unsigned op;
    unsigned cmd;

    (void)words;
    (void)n;
    printf("ok");
    for (op = 0; op < HV_OPS; op++) {
        for (cmd = 0; cmd < HV_CMDS; cmd++) {
            if (player->hv->calls[op][cmd] > 0)
                printf(" %u:%u:%" PRIu64, op, cmd, player->hv->calls[op][cmd]);
        }
    }
    player_answer("%s", "");
}

static void command_promise(struct player *player, char **words, int n)
{
    uint64_t kib;

    if (n != 2 || word_number(words[1], UINT64_MAX / 1024, &kib) < 0) {
        answer_result(-EINVAL);
        return;
    }
    hv_promise_start(player->hv, kib / PAGE_KIB);
    player_answer("ok");
}

static void command_verdict(struct player *player, char **words, int n)
{
    struct hv_promise promise;

    (void)words;
    (void)n;
    hv_lock(player->hv);
    promise = player->hv->promise;
    hv_unlock(player->hv);
    player_answer("ok checks=%" PRIu64 " broken=%" PRIu64 " excused=%" PRIu64 " verified=%d"
                  " least_kib=%" PRId64,
                  promise.checks, promise.broken, promise.excused, hv_verify(player->hv) == 0,
                  promise.least_headroom_pages * PAGE_KIB);
}

/* The first change that broke the promise. */
static void command_offence(struct player *player, char **words, int n)
{
    static const char *const actors[] = { "toolstack", "hypercall", "guest" };
    struct hv_promise promise;

    (void)words;
    (void)n;
    hv_lock(player->hv);
    promise = player->hv->promise;
    hv_unlock(player->hv);
    if (promise.broken == 0) {
        player_answer("error none");
        return;
    }
    player_answer("ok domid=%u actor=%s headroom_before_kib=%" PRId64 " headroom_after_kib=%" PRId64
                  " held_kib=%" PRIu64 " cap_before_kib=%" PRIu64 " cap_after_kib=%" PRIu64,
                  promise.first_domid, actors[promise.first_actor],
                  promise.first_before_pages * PAGE_KIB, promise.first_after_pages * PAGE_KIB,
                  promise.first_tot_pages * PAGE_KIB, promise.first_old_max_pages * PAGE_KIB,
                  promise.first_max_pages * PAGE_KIB);
}

static void command_host(struct player *player, char **words, int n)
{
    struct hv *hv = player->hv;

    (void)words;
    (void)n;
    hv_lock(hv);
    player_answer("ok total_kib=%" PRIu64 " free_kib=%" PRIu64 " claims_kib=%" PRIu64
                  " headroom_kib=%" PRId64,
                  hv->total_pages * PAGE_KIB, hv->free_pages * PAGE_KIB, hv->claim_pages * PAGE_KIB,
                  hv_headroom_pages(hv) * PAGE_KIB);
    hv_unlock(hv);
}

/* ok DOMID:ACTUAL_KIB:CAP_KIB:GOAL_KIB... */
static void command_list(struct player *player, char **words, int n)
{
    struct hv *hv = player->hv;
    uint32_t id;

    (void)words;
    (void)n;
    hv_lock(hv);
    printf("ok");
    for (id = hv_next(hv, 0); id != HV_ANY_DOMAIN; id = hv_next(hv, id + 1)) {
        const struct guest *guest = &player->guests[id];

        printf(" %u:%" PRIu64 ":%" PRIu64 ":%" PRIu64, id, hv->domains[id].tot_pages * PAGE_KIB,
               hv->domains[id].max_pages * PAGE_KIB, guest->used ? guest_goal_kib(guest) : 0);
    }
    hv_unlock(hv);
    player_answer("%s", "");
}

/* As "xl mem-max" and its like: a cap that somebody else moves. */
static void command_cap(struct player *player, char **words, int n)
{
    struct hv_domain *domain;
    uint32_t domid;
    uint64_t kib;

    if (n != 3 || word_domid(words[1], false, &domid) < 0
        || word_number(words[2], UINT64_MAX, &kib) < 0) {
        answer_result(-EINVAL);
        return;
    }
    hv_lock(player->hv);
    domain = hv_find(player->hv, domid);
    if (domain)
        hv_set_max(player->hv, domain, kib / PAGE_KIB, HV_TOOLSTACK);
    hv_unlock(player->hv);
    answer_result(domain ? 0 : -ESRCH);
}

/* ok weight=N cap=N: of the CPUs. */
static void command_sched(struct player *player, char **words, int n)
{
    struct hv_domain *domain;
    uint32_t domid;

    if (n != 2 || word_domid(words[1], false, &domid) < 0) {
        answer_result(-EINVAL);
        return;
    }
    hv_lock(player->hv);
    domain = hv_find(player->hv, domid);
    if (domain)
        printf("ok weight=%u cap=%u", (unsigned)domain->weight, (unsigned)domain->cap);
    hv_unlock(player->hv);
    if (domain)
        player_answer("%s", "");
    else
        answer_result(-ESRCH);
}

static void command_claim(struct player *player, char **words, int n)
{
    struct hv_domain *domain;
    uint32_t domid;
    uint64_t kib;
    int r = -ESRCH;

    if (n != 3 || word_domid(words[1], false, &domid) < 0
        || word_number(words[2], UINT64_MAX, &kib) < 0) {
        answer_result(-EINVAL);
        return;
    }
    hv_lock(player->hv);
    domain = hv_find(player->hv, domid);
    if (domain)
        r = hv_claim(player->hv, domain, kib / PAGE_KIB);
    hv_unlock(player->hv);
    answer_result(r);
}

/* A domain's builder, or its balloon, moves it at once: populate DOMID KIB, release DOMID KIB. */
static void command_move(struct player *player, char **words, int n)
{
    uint32_t domid;
    uint64_t kib;
    uint64_t pages;

    if (n != 3 || word_domid(words[1], false, &domid) < 0
        || word_number(words[2], UINT64_MAX, &kib) < 0) {
        answer_result(-EINVAL);
        return;
    }
    if (strcmp(words[0], "populate") == 0)
        pages = hv_populate(player->hv, domid, kib / PAGE_KIB);
    else
        pages = hv_release(player->hv, domid, kib / PAGE_KIB);
    player_answer("ok moved_kib=%" PRIu64, pages * PAGE_KIB);
}

/* The store has been started anew and knows nothing: every domain is written and introduced again,
 * as it stands now. */
static int republish(struct player *player)
{
    uint32_t domid;
    int r;

    if (player->dom0)
        xs_close(player->dom0);
    player->dom0 = NULL;
    for (domid = 1; domid <= player->highest; domid++)
        guest_disconnect(&player->guests[domid]);
    r = player_connect(player);
    for (domid = 1; domid <= player->highest && r == 0; domid++) {
        struct guest *guest = &player->guests[domid];

        if (!guest->used)
            continue;
        guest->spec.target_kib = guest->goal_kib + domain_video_kib(guest->spec.type);
        r = domain_publish(player->dom0, player->hv, &guest->spec);
        if (r == 0 && guest->awake && guest->beat_ms > 0)
            (void)guest_post(player->hv, guest, now_ms());
    }
    return r;
}

static void command_republish(struct player *player, char **words, int n)
{
    (void)words;
    (void)n;
    answer_result(republish(player));
}

/* race DOMID NEED_KIB TIMEOUT_MS: the guest needs so much and posts it; answered when a higher
 * target is in the store. */
static int race(struct player *player, char **words, int n)
{
    struct guest *guest = n == 4 ? find_guest(player, words[1]) : NULL;
    uint64_t need_kib;
    uint64_t timeout_ms;
    int r;

    if (!guest || word_number(words[2], UINT64_MAX / 1024, &need_kib) < 0
        || word_number(words[3], 600000, &timeout_ms) < 0)
        return -EINVAL;
    player->race.domid = guest->spec.domid;
    player->race.old_kib = guest->goal_kib;
    guest->need_kib = need_kib;
    player->race.start_ns = hv_now_ns();
    player->race.end_ns = player->race.start_ns + timeout_ms * 1000000;
    r = guest_post(player->hv, guest, now_ms());
    if (r == 0)
        player->race.on = true;
    return r;
}

static void command_race(struct player *player, char **words, int n)
{
    int r = race(player, words, n);

    if (r < 0)
        answer_result(r);
}

static const struct command {
    const char *name;
    void (*run)(struct player *player, char **words, int n);
    bool needs_store;
} commands[] = {
    { "create", command_create, true },
    { "destroy", command_destroy, true },
    { "set", command_set, true },
    { "post", command_post, false },
    { "write", command_write, false },
    { "permit", command_permit, true },
    { "fault", command_fault, false },
    { "faults", command_faults, false },
    { "clear-faults", command_clear_faults, false },
    { "calls", command_calls, false },
    { "promise", command_promise, false },
    { "verdict", command_verdict, false },
    { "offence", command_offence, false },
    { "host", command_host, false },
    { "list", command_list, false },
    { "cap", command_cap, false },
    { "claim", command_claim, false },
    { "sched", command_sched, false },
    { "populate", command_move, false },
    { "release", command_move, false },
    { "republish", command_republish, false },
    { "race", command_race, true },
};

void player_run(struct player *player, char **words, int n)
{
    size_t i;
    int r;

    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(words[0], commands[i].name) != 0)
            continue;
        r = commands[i].needs_store ? player_connect(player) : 0;
        if (r < 0)
            answer_result(r);
        else
            commands[i].run(player, words, n);
        return;
    }
    player_answer("error no such command: %s", words[0]);
}
