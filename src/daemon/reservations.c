/* SPDX-License-Identifier: ISC */
#include "daemon/reservations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/commands.h"
#include "util/log.h"
#include "util/units.h"

/* Who had waited when an earlier daemon ended asks again within this, or is gone, too. */
#define CLAIM_MS 10000

#define DIRECTORY "reservations"
#define LAST_ID "reservation-last"
#define KEY_SIZE 48

static struct round *round_of(struct control *control)
{
    return &control->engine->round;
}

static uint64_t now_ms(const struct control *control)
{
    struct host *host = control->engine->host;

    return host->ops->now_ms(host);
}

static struct owner *owner_of(struct owners *owners, uint64_t id)
{
    for (size_t i = 0; i < owners->count; i++) {
        if (owners->list[i].id == id)
            return &owners->list[i];
    }
    return NULL;
}

static void forget_owner(struct owners *owners, struct owner *owner)
{
    json_value_free(owner->request);
    *owner = owners->list[--owners->count];
}

static void note(struct control *control, const struct reservation *reservation, const char *what)
{
    char label[RESERVE_LABEL_SIZE];

    control_note(control, event_name(EVENT_RESERVATION), NOTICE_HOST, NULL, "%s: %s",
                 reserve_label(reservation, label), what);
}

static void release(struct control *control, struct reservation *reservation)
{
    reserve_release(reservation);
    note(control, reservation, reservation_end_text(reservation->end));
    control->round_wanted = true;
}

/* The commands. */

static int take_number(const struct json_value *arguments, const char *key, int64_t min,
                       int64_t max, uint64_t *ret_value, struct fault *fault)
{
    const struct json_value *value = json_get(arguments, key);
    int64_t number;

    if (!value)
        return 0;
    if (!json_get_int(value, &number) || number < min || number > max)
        return fault_set(fault, FAULT_ARGUMENT,
                         "\"%s\" must be a whole number, %" PRId64 " to %" PRId64, key, min, max);
    *ret_value = (uint64_t)number;
    return 0;
}

static int check_keys(const struct json_value *arguments, const char *const *known,
                      struct fault *fault)
{
    const char *key;

    for (size_t i = 0; (key = json_key_at(arguments, i)); i++) {
        size_t k = 0;

        while (known[k] && strcmp(known[k], key) != 0)
            k++;
        if (!known[k])
            return fault_set(fault, FAULT_ARGUMENT, "no argument \"%.64s\"", key);
    }
    return 0;
}

static int take_name(const struct json_value *arguments, const char **ret_name, struct fault *fault)
{
    const struct json_value *value = json_get(arguments, "name");
    const char *name = json_get_string(value);

    if (value && (!name || !*name || strlen(name) >= RESERVATION_NAME_SIZE))
        return fault_set(fault, FAULT_ARGUMENT,
                         "\"name\" must be a domain's name, %d bytes at most",
                         RESERVATION_NAME_SIZE - 1);
    *ret_name = name;
    return 0;
}

static int take_request(const struct json_value *arguments, struct reserve_request *request,
                        bool *ret_keep, struct fault *fault)
{
    static const char *const known[] = { "at_least_kib", "at_most_kib", "wait_ms", "hold_ms",
                                         "name",         "keep",        NULL };
    const struct json_value *keep = json_get(arguments, "keep");
    int r;

    *request = (struct reserve_request){ .wait_ms = RESERVE_WAIT_MS, .hold_ms = RESERVE_HOLD_MS };
    *ret_keep = false;
    r = check_keys(arguments, known, fault);
    if (r == 0 && !json_get(arguments, "at_least_kib"))
        r = fault_set(fault, FAULT_ARGUMENT, "\"at_least_kib\" is missing");
    if (r == 0)
        r = take_number(arguments, "at_least_kib", 0, GUARD_KIB_MAX, &request->least_kib, fault);
    request->most_kib = request->least_kib;
    if (r == 0)
        r = take_number(arguments, "at_most_kib", (int64_t)request->least_kib, GUARD_KIB_MAX,
                        &request->most_kib, fault);
    if (r == 0)
        r = take_number(arguments, "wait_ms", 0, RESERVE_MOST_MS, &request->wait_ms, fault);
    if (r == 0)
        r = take_number(arguments, "hold_ms", 0, RESERVE_MOST_MS, &request->hold_ms, fault);
    if (r == 0)
        r = take_name(arguments, &request->name, fault);
    if (r == 0 && keep && !json_get_bool(keep, ret_keep))
        r = fault_set(fault, FAULT_ARGUMENT, "\"keep\" must be true or false");
    return r;
}

/* The same request that an earlier daemon did not get to answer: its client has come back. */
static struct reservation *find_unclaimed(struct control *control,
                                          const struct reserve_request *request)
{
    struct owners *owners = &control->owners;

    for (size_t i = 0; i < owners->count; i++) {
        struct reservation *reservation =
            owners->list[i].client
                ? NULL
                : reserve_find(&round_of(control)->reservations, owners->list[i].id);

        if (reservation && reservation->least_kib == request->least_kib
            && reservation->most_kib == request->most_kib
            && strcmp(reservation->name, request->name ? request->name : "") == 0)
            return reservation;
    }
    return NULL;
}

static void own(struct owners *owners, uint64_t id, void *client, bool keep)
{
    struct owner *owner = owner_of(owners, id);

    if (!owner)
        owner = &owners->list[owners->count++];
    *owner = (struct owner){ .id = id, .client = client, .keep = keep };
}

int reservations_reserve(struct control *control, struct control_peer *peer,
                         const struct json_value *arguments, struct json *json, struct fault *fault)
{
    struct reserve_request request;
    struct reservation *reservation;
    bool keep;
    int r;

    r = take_request(arguments, &request, &keep, fault);
    if (r < 0)
        return r;
    if (control->engine->dry_run)
        return fault_set(fault, FAULT_FAILED, "a dry run frees nothing");
    reservation = find_unclaimed(control, &request);
    if (!reservation && control->owners.count < RESERVATIONS_MAX)
        reservation = reserve_add(&round_of(control)->reservations, &request, now_ms(control));
    if (!reservation)
        return fault_set(fault, FAULT_FAILED, "there are %d reservations already",
                         RESERVATIONS_MAX);
    note(control, reservation, "asked for");
    control->round_wanted = true;
    if (!peer->client) {
        publish_reservation(json, "return", reservation, now_ms(control));
        return 0;
    }
    own(&control->owners, reservation->id, peer->client, keep);
    peer->put_off = reservation->id;
    return 0;
}

int reservations_release(struct control *control, struct control_peer *peer,
                         const struct json_value *arguments, struct json *json, struct fault *fault)
{
    static const char *const known[] = { "reservation", NULL };
    struct reservation *reservation;
    uint64_t id = 0;
    int r;

    r = check_keys(arguments, known, fault);
    if (r == 0)
        r = take_number(arguments, "reservation", 1, INT64_MAX, &id, fault);
    if (r < 0)
        return r;
    reservation = reserve_find(&round_of(control)->reservations, id);
    if (!reservation)
        return fault_set(fault, FAULT_ARGUMENT, "no reservation %" PRIu64, id);
    release(control, reservation);
    json_map(json, "return");
    json_map_end(json);
    return 0;
}

int reservations_query(struct control *control, struct control_peer *peer,
                       const struct json_value *arguments, struct json *json, struct fault *fault)
{
    const struct reservations *reservations = &round_of(control)->reservations;

    json_array(json, "return");
    for (size_t i = 0; i < reservations->count; i++) {
        if (reservations->list[i].state != RESERVATION_ENDED)
            publish_reservation(json, NULL, &reservations->list[i], now_ms(control));
    }
    json_array_end(json);
    return 0;
}

/* Answers that come later. */

void reservations_put_off(struct control *control, const struct control_peer *peer,
                          struct json_value *request)
{
    struct owner *owner = owner_of(&control->owners, peer->put_off);

    json_value_free(owner->request);
    owner->request = request;
}

static bool has_failed(const struct reservation *reservation)
{
    return reservation->state == RESERVATION_ENDED && reservation->end != END_DONE;
}

static void write_failure(struct control *control, const struct reservation *reservation,
                          struct json *json)
{
    char text[RESERVE_TEXT_SIZE];

    reserve_explain(round_of(control), reservation, text);
    json_map(json, "error");
    json_string(json, "class", FAULT_FAILED);
    json_string(json, "desc", text);
    if (reservation->end == END_LATE || reservation->end == END_IMPOSSIBLE)
        publish_holders(json, round_of(control), reservation);
    json_map_end(json);
}

static struct json *answer(struct control *control, const struct reservation *reservation,
                           const struct json_value *request)
{
    const struct json_value *id = json_get(request, "id");
    struct json *json = json_new(false);

    if (!json)
        return NULL;
    json_map(json, NULL);
    if (has_failed(reservation))
        write_failure(control, reservation, json);
    else
        publish_reservation(json, "return", reservation, now_ms(control));
    if (id)
        json_copy(json, "id", id);
    json_map_end(json);
    return json;
}

/* Also one that has ended since the last round. */
static struct reservation *find(struct reservations *reservations, uint64_t id)
{
    for (size_t i = 0; i < reservations->count; i++) {
        if (reservations->list[i].id == id)
            return &reservations->list[i];
    }
    return NULL;
}

struct json *reservations_next_answer(struct control *control, void **ret_client)
{
    struct owners *owners = &control->owners;

    for (size_t i = 0; i < owners->count; i++) {
        struct owner *owner = &owners->list[i];
        struct reservation *reservation = find(&round_of(control)->reservations, owner->id);
        struct json *json;

        if (!reservation || !owner->request || reservation->state == RESERVATION_WAITING)
            continue;
        json = answer(control, reservation, owner->request);
        if (!json)
            return NULL;
        *ret_client = owner->client;
        reservation->told = true;
        json_value_free(owner->request);
        owner->request = NULL;
        if (owner->keep)
            forget_owner(owners, owner);
        return json;
    }
    return NULL;
}

void reservations_left(struct control *control, const void *client)
{
    struct owners *owners = &control->owners;

    for (size_t i = owners->count; i > 0; i--) {
        struct owner *owner = &owners->list[i - 1];
        struct reservation *reservation;

        if (owner->client != client)
            continue;
        reservation = reserve_find(&round_of(control)->reservations, owner->id);
        if (reservation)
            release(control, reservation);
        forget_owner(owners, owner);
    }
}

/* Of those that are no more, and of those that nobody has claimed in time. */
static void forget_owners(struct control *control)
{
    struct owners *owners = &control->owners;
    uint64_t now = now_ms(control);

    for (size_t i = owners->count; i > 0; i--) {
        struct owner *owner = &owners->list[i - 1];
        struct reservation *reservation = reserve_find(&round_of(control)->reservations, owner->id);

        if (owner->request || (reservation && (owner->client || now < owner->until_ms)))
            continue;
        if (reservation)
            release(control, reservation);
        forget_owner(owners, owner);
    }
}

void reservations_free(struct control *control)
{
    while (control->owners.count > 0)
        forget_owner(&control->owners, &control->owners.list[0]);
}

/* The store. It lasts as long as the host's clock does, until the host boots; the time of the day
 * may jump meanwhile. */

static void key_of(uint64_t id, char key[KEY_SIZE])
{
    (void)snprintf(key, KEY_SIZE, DIRECTORY "/%" PRIu64, id);
}

static struct json *to_json(const struct control *control, const struct reservation *reservation)
{
    struct json *json = json_new(false);
    char uuid[UUID_TEXT_SIZE];

    if (!json)
        return NULL;
    json_map(json, NULL);
    json_string(json, "name", reservation->name);
    json_uint(json, "at_least_kib", reservation->least_kib);
    json_uint(json, "at_most_kib", reservation->most_kib);
    json_uint(json, "gathered_kib", reservation->gathered_kib);
    json_uint(json, "hold_ms", reservation->hold_ms);
    json_uint(json, "made_ms", reservation->made_ms);
    json_uint(json, "until_ms", reservation->until_ms);
    json_uint(json, "state", reservation->state);
    json_bool(json, "told", reservation->told);
    domain_uuid_text(reservation->uuid, uuid);
    json_string(json, "uuid", uuid);
    json_map_end(json);
    return json;
}

static int write_one(struct control *control, const struct reservation *reservation)
{
    struct host *host = control->engine->host;
    struct json *json = to_json(control, reservation);
    char key[KEY_SIZE];
    const char *text;
    size_t len;
    int r = -ENOMEM;

    key_of(reservation->id, key);
    text = json ? json_text(json, &len) : NULL;
    if (text)
        r = host->ops->state_set(host, key, text);
    json_free(json);
    return r;
}

static int write_last_id(struct control *control, uint64_t id)
{
    struct host *host = control->engine->host;
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, id);
    return host->ops->state_set(host, LAST_ID, text);
}

static bool is_saved(const struct reservation *reservation, const struct reservation *saved)
{
    return saved && saved->state == reservation->state
           && saved->gathered_kib == reservation->gathered_kib
           && saved->until_ms == reservation->until_ms && saved->told == reservation->told
           && memcmp(saved->uuid, reservation->uuid, sizeof(saved->uuid)) == 0;
}

/* Returns the first failure; what could be written stays. */
static int write_changes(struct control *control)
{
    struct reservations *saved = &control->owners.saved;
    struct reservations *all = &round_of(control)->reservations;
    struct host *host = control->engine->host;
    int r = 0;

    if (all->last_id != saved->last_id)
        r = write_last_id(control, all->last_id);
    for (size_t i = 0; i < all->count && r == 0; i++) {
        const struct reservation *reservation = &all->list[i];

        if (reservation->state != RESERVATION_ENDED
            && !is_saved(reservation, find(saved, reservation->id)))
            r = write_one(control, reservation);
    }
    for (size_t i = 0; i < saved->count && r == 0; i++) {
        char key[KEY_SIZE];

        key_of(saved->list[i].id, key);
        if (!reserve_find(all, saved->list[i].id))
            r = host->ops->state_set(host, key, NULL);
    }
    return r;
}

void reservations_save(struct control *control)
{
    struct owners *owners = &control->owners;
    int r;

    forget_owners(control);
    if (control->engine->dry_run)
        return;
    r = write_changes(control);
    if (r < 0 && !owners->unsaved_told)
        log_warning("reservations cannot be kept in the store: %s; trying again", strerror(-r));
    owners->unsaved_told = r < 0;
    if (r == 0) {
        owners->saved = round_of(control)->reservations;
        /* What has ended is not in the store. */
        for (size_t i = owners->saved.count; i > 0; i--) {
            if (owners->saved.list[i - 1].state == RESERVATION_ENDED)
                owners->saved.list[i - 1] = owners->saved.list[--owners->saved.count];
        }
    }
}

static int get_number(const struct json_value *map, const char *key, int64_t max,
                      uint64_t *ret_value)
{
    int64_t value;

    if (!json_get_int(json_get(map, key), &value) || value < 0 || value > max)
        return -EINVAL;
    *ret_value = (uint64_t)value;
    return 0;
}

static int from_json(const struct control *control, const struct json_value *map,
                     struct reservation *reservation)
{
    const char *name = json_get_string(json_get(map, "name"));
    const char *uuid = json_get_string(json_get(map, "uuid"));
    int64_t latest_ms = (int64_t)now_ms(control) + RESERVE_MOST_MS;
    uint64_t state = 0;
    int r;

    if (!name || strlen(name) >= sizeof(reservation->name) || !uuid
        || domain_uuid_parse(uuid, reservation->uuid) < 0
        || !json_get_bool(json_get(map, "told"), &reservation->told))
        return -EINVAL;
    memcpy(reservation->name, name, strlen(name) + 1);
    r = get_number(map, "at_least_kib", GUARD_KIB_MAX, &reservation->least_kib);
    if (r == 0)
        r = get_number(map, "at_most_kib", GUARD_KIB_MAX, &reservation->most_kib);
    if (r == 0)
        r = get_number(map, "gathered_kib", (int64_t)reservation->most_kib,
                       &reservation->gathered_kib);
    if (r == 0)
        r = get_number(map, "hold_ms", RESERVE_MOST_MS, &reservation->hold_ms);
    if (r == 0)
        r = get_number(map, "state", RESERVATION_TAKEN, &state);
    if (r == 0)
        r = get_number(map, "made_ms", latest_ms, &reservation->made_ms);
    if (r == 0)
        r = get_number(map, "until_ms", latest_ms, &reservation->until_ms);
    if (r == 0 && reservation->least_kib > reservation->most_kib)
        r = -EINVAL;
    reservation->state = (enum reservation_state)state;
    return r;
}

static int read_one(struct control *control, uint64_t id, struct reservation *reservation)
{
    struct host *host = control->engine->host;
    struct json_value *map = NULL;
    char error[128];
    char key[KEY_SIZE];
    char *text = NULL;
    int r;

    key_of(id, key);
    r = host->ops->state_get(host, key, &text);
    if (r < 0)
        return r;
    map = json_parse(text, error, sizeof(error));
    *reservation = (struct reservation){
        .id = id,
        .grown_ms = now_ms(control),
        .can_ms = now_ms(control),
        .restored = true,
    };
    r = from_json(control, map, reservation);
    json_value_free(map);
    free(text);
    return r;
}

static void collect(void *context, const char *name)
{
    struct reservations *found = context;
    int64_t id;

    if (found->count < RESERVATIONS_MAX && units_parse_int(name, 1, INT64_MAX, &id) == 0)
        found->list[found->count++].id = (uint64_t)id;
}

static int by_id(const void *left, const void *right)
{
    const struct reservation *l = left;
    const struct reservation *r = right;

    return l->id < r->id ? -1 : l->id > r->id;
}

static uint64_t read_last_id(const struct control *control)
{
    struct host *host = control->engine->host;
    char *text = NULL;
    int64_t id = 0;

    if (host->ops->state_get(host, LAST_ID, &text) < 0)
        return 0;
    (void)units_parse_int(text, 0, INT64_MAX, &id);
    free(text);
    return (uint64_t)id;
}

/* What cannot be read is told of, and removed with the next change: it stands in `saved`. */
void reservations_restore(struct control *control)
{
    struct reservations *all = &round_of(control)->reservations;
    struct reservations *saved = &control->owners.saved;
    struct host *host = control->engine->host;

    (void)host->ops->state_list(host, DIRECTORY, collect, saved);
    qsort(saved->list, saved->count, sizeof(saved->list[0]), by_id);
    all->last_id = saved->last_id = read_last_id(control);
    for (size_t i = 0; i < saved->count; i++) {
        struct reservation *reservation = &all->list[all->count];
        uint64_t id = saved->list[i].id;
        int r = read_one(control, id, reservation);

        if (r < 0) {
            log_warning("reservation %" PRIu64 " in the store is no reservation, forgotten", id);
            continue;
        }
        saved->list[i] = *reservation;
        all->count++;
        all->last_id = all->last_id > id ? all->last_id : id;
        note(control, reservation, "found in the store");
        if (!reservation->told)
            control->owners.list[control->owners.count++] = (struct owner){
                .id = id,
                .until_ms = now_ms(control) + CLAIM_MS,
            };
    }
}
