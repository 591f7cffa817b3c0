/* SPDX-License-Identifier: ISC */
/* Reservations over a model host. */
#include "core/reserve.h"
#include "model.h"

#define MIN_MIB 96

static struct model model;

/* So many guests of 180 MiB that use most of it, and can be taken down to MIN_MIB. */
static void begin(uint64_t memory_mib, size_t guests)
{
    model_init(&model, memory_mib * MIB);
    model.engine.config.defaults.min_kib = MIN_MIB * MIB;
    for (size_t i = 0; i < guests; i++)
        model_add(&model, i, 180 * MIB, 512 * MIB, 150 * MIB);
    model_run(&model, 30000);
}

static void done(void)
{
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

static struct reservations *all(void)
{
    return &model.engine.round.reservations;
}

static uint64_t ask(uint64_t least_mib, uint64_t most_mib, const char *name)
{
    const struct reserve_request request = {
        .name = name,
        .least_kib = least_mib * MIB,
        .most_kib = most_mib * MIB,
        .wait_ms = 20000,
        .hold_ms = 20000,
    };
    struct reservation *reservation = reserve_add(all(), &request, model.now_ms);

    return CHECK(reservation) ? reservation->id : 0;
}

/* Also one that has ended in the last round. */
static const struct reservation *get(uint64_t id)
{
    static const struct reservation none = { .state = RESERVATION_ENDED };

    for (size_t i = 0; i < all()->count; i++) {
        if (all()->list[i].id == id)
            return &all()->list[i];
    }
    return &none;
}

/* Until it waits no more. Returns the time that it took. */
static uint64_t wait_for(uint64_t id)
{
    uint64_t from = model.now_ms;

    while (get(id)->state == RESERVATION_WAITING && model.now_ms < from + 60000) {
        model_round(&model);
        CHECK(model.engine.round.headroom_kib >= 0);
        CHECK(get(id)->gathered_kib >= get(id)->least_kib || model.engine.next_ms <= 100);
    }
    return model.now_ms - from;
}

static uint64_t held(size_t guests)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < guests; i++)
        sum += model.guests[i].actual_kib;
    return sum;
}

static void test_down_to_minimums(void)
{
    uint64_t id;

    begin(1080, 5);
    /* All that is not guaranteed, nor the reserve, nor the slack that the caps leave. */
    id = ask(1080 - 80 - 5 * (MIN_MIB + 1), 1080 - 80 - 5 * (MIN_MIB + 1), NULL);
    CHECK(wait_for(id) < 5000);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    CHECK_EQ(model.engine.round.reserved_kib, get(id)->least_kib);
    for (size_t i = 0; i < 5; i++)
        CHECK_EQ(model.guests[i].actual_kib, MIN_MIB * MIB);

    /* It is held, whoever needs it, and then ends by itself. */
    model_run(&model, 15000);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    CHECK(held(5) <= 5 * (MIN_MIB + 1) * MIB);
    model_run(&model, 15000);
    CHECK_EQ(get(id)->state, RESERVATION_ENDED);
    CHECK(held(5) > 800 * MIB);
    done();
}

static void test_impossible(void)
{
    char text[RESERVE_TEXT_SIZE];
    struct reserve_report report;
    uint64_t id;

    begin(1080, 5);
    id = ask(1080 - 80 - 5 * (MIN_MIB + 1) + 1, 2000, NULL);
    model_round(&model);
    CHECK_EQ(get(id)->end, END_IMPOSSIBLE);
    reserve_explain(&model.engine.round, get(id), text);
    CHECK(strstr(text, "516 MiB cannot be had, but 515 MiB at most, vm"));
    CHECK(strstr(text, "keeps 96 MiB (guaranteed to it)"));
    reserve_report(&model.engine.round, get(id), &report);
    CHECK_EQ(report.count, 6); /* with the reserve */
    CHECK_EQ(model.engine.round.reserved_kib, 0);
    model_round(&model);
    CHECK_EQ(all()->count, 0);
    done();
}

/* One that can never be met has gathered what is free when that shows. Nobody gives for it. */
static void test_impossible_costs_nothing(void)
{
    const struct round *round = &model.engine.round;
    uint64_t share_kib, calls;
    int64_t headroom_kib;
    uint64_t id, next;

    begin(1600, 5);
    model_round(&model);
    share_kib = round->share_kib;
    headroom_kib = round->headroom_kib;
    calls = model.engine.calls_made;
    CHECK(headroom_kib > 0);
    id = ask(4000, 4000, NULL);
    model_round(&model);
    CHECK_EQ(get(id)->end, END_IMPOSSIBLE);
    CHECK_EQ(round->share_kib, share_kib);
    CHECK_EQ(round->headroom_kib, headroom_kib);
    CHECK_EQ(model.engine.calls_made, calls);
    id = ask(4000, 4000, NULL);
    next = ask(1000, 1000, NULL);
    model_round(&model);
    CHECK_EQ(get(id)->end, END_IMPOSSIBLE);
    CHECK_EQ(get(next)->state, RESERVATION_WAITING);
    CHECK(wait_for(next) < 5000);
    CHECK_EQ(get(next)->state, RESERVATION_READY);
    done();
}

/* A refuser holds nothing up: the others give what is asked for. One that all depends on is
 * named. */
static void test_refuser(void)
{
    char text[RESERVE_TEXT_SIZE];
    uint64_t id;

    begin(1080, 5);
    model.guests[2].frozen = true;
    id = ask(300, 300, NULL);
    CHECK(wait_for(id) < 3000);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    reserve_release(reserve_find(all(), id));
    model.guests[2].used_kib = 20 * MIB;
    id = ask(515, 515, NULL);
    CHECK(wait_for(id)
          < 15000); /* it is judged after 7 s, and time is given to who changes again */
    CHECK_EQ(get(id)->end, END_IMPOSSIBLE);
    reserve_explain(&model.engine.round, get(id), text);
    CHECK(strstr(text, "vm3 keeps"));
    CHECK(strstr(text, "does not let go"));
    done();
}

static void test_range(void)
{
    uint64_t id;

    begin(1080, 5);
    for (size_t i = 0; i < 5; i++)
        model.guests[i].used_kib = 120 * MIB;
    model_run(&model, 30000);
    id = ask(50, 2000, NULL);
    CHECK(wait_for(id) < 10000);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    /* What the domains do not need, and no more. */
    CHECK(get(id)->gathered_kib > 200 * MIB);
    for (size_t i = 0; i < 5; i++)
        CHECK(model.guests[i].actual_kib >= 140 * MIB);
    done();
}

static void test_queue(void)
{
    uint64_t first, second, third;

    begin(1080, 5);
    first = ask(300, 300, NULL);
    second = ask(200, 200, NULL);
    third = ask(100, 100, NULL); /* more than those before it leave */
    model_round(&model);
    CHECK_EQ(get(third)->end, END_IMPOSSIBLE);
    while (get(first)->state == RESERVATION_WAITING) {
        CHECK_EQ(get(second)->gathered_kib, 0);
        model_round(&model);
    }
    CHECK_EQ(get(first)->state, RESERVATION_READY);
    wait_for(second);
    CHECK_EQ(get(second)->state, RESERVATION_READY);
    CHECK_EQ(model.engine.round.reserved_kib, 500 * MIB);
    done();
}

/* It is taken over as its domain is built, and counted once: headroom stays as it is. */
static void test_hand_over(void)
{
    struct model_guest *guest;
    uint64_t other, id;

    begin(1080, 5);
    other = ask(100, 100, "vm9");
    id = ask(202, 202, NULL);
    wait_for(other);
    wait_for(id);
    guest = model_add(&model, 7, 0, 512 * MIB, 100 * MIB);
    guest->phase = PHASE_BUILDING;
    guest->target_kib = 200 * MIB;
    guest->cap_kib = 0;
    model_round(&model);
    CHECK_EQ(get(id)->state, RESERVATION_TAKEN);
    CHECK_EQ(get(other)->state, RESERVATION_READY);
    guest->cap_kib = 201 * MIB;
    for (; guest->actual_kib < 200 * MIB; guest->actual_kib += 20 * MIB) {
        model_round(&model);
        CHECK(model.engine.round.headroom_kib >= 0);
        CHECK_EQ(get(id)->counted_kib, 1 * MIB);
    }
    guest->phase = PHASE_RUNNING;
    model_round(&model);
    CHECK_EQ(get(id)->end, END_DONE);
    CHECK_EQ(model.engine.round.reserved_kib, 100 * MIB);
    CHECK(model.engine.round.headroom_kib >= 0);

    /* By its name, whoever comes before it. */
    model_add(&model, 9, 0, 512 * MIB, 0)->phase = PHASE_BUILDING;
    model_round(&model);
    CHECK_EQ(get(other)->state, RESERVATION_READY);
    model_add(&model, 8, 0, 512 * MIB, 0)->phase = PHASE_BUILDING;
    model_round(&model);
    CHECK_EQ(get(other)->state, RESERVATION_TAKEN);
    CHECK_EQ(get(other)->until_ms, model.engine.round.now_ms + 20000); /* its time begins anew */
    done();
}

/* Guest 1 is built anew so long after it has gone. */
static void reboot_after(uint64_t ms)
{
    struct model_guest *guest;

    model_run(&model, ms);
    guest = model_add(&model, 7, 0, 512 * MIB, 100 * MIB);
    guest->reboots = 2;
    guest->phase = PHASE_BUILDING;
    model_round(&model);
}

/* A guest that reboots takes nothing that waits for a new domain, however long that takes. */
static void test_reboot(void)
{
    uint64_t id;

    begin(1080, 5);
    model.guests[1].there = false;
    model_round(&model);
    id = ask(200, 200, NULL);
    wait_for(id);
    reboot_after(5000);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    done();

    begin(1080, 5);
    id = ask(200, 200, NULL);
    wait_for(id);
    model.guests[1].there = false;
    model_round(&model);
    reboot_after(15000);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    model_add(&model, 8, 0, 512 * MIB, 100 * MIB)->phase = PHASE_BUILDING;
    model_round(&model);
    CHECK_EQ(get(id)->state, RESERVATION_TAKEN);
    done();
}

/* One that died before, and cannot end, has the UUID of the one that is being built. */
static void test_zombie(void)
{
    struct model_guest *guest;
    uint64_t id;

    begin(1080, 5);
    model.guests[1].phase = PHASE_DYING;
    model.guests[1].actual_kib = model.guests[1].cap_kib = 4;
    id = ask(200, 200, "vm8");
    wait_for(id);
    guest = model_add(&model, 7, 0, 512 * MIB, 100 * MIB);
    guest->reboots = 2;
    guest->phase = PHASE_BUILDING;
    guest->cap_kib = 0;
    model_round(&model);
    model_round(&model);
    CHECK_EQ(get(id)->state, RESERVATION_TAKEN);
    CHECK_EQ(model.engine.round.reserved_kib, 200 * MIB);
    guest->phase = PHASE_RUNNING;
    model_round(&model);
    CHECK_EQ(get(id)->end, END_DONE);
    done();
}

/* A little that is lacking is soon there, though each domain's part is not worth a call. */
static void test_crumbs(void)
{
    uint64_t id;

    model_init(&model, 3000 * MIB);
    for (size_t i = 0; i < 15; i++)
        model_add(&model, i, 180 * MIB, 512 * MIB, 300 * MIB);
    model_run(&model, 60000);
    for (uint64_t more = 1; more <= 3; more++) {
        uint64_t there = (uint64_t)model.engine.round.headroom_kib / MIB;

        id = ask(there + more, there + more, NULL);
        CHECK(wait_for(id) < 3000);
        CHECK_EQ(get(id)->state, RESERVATION_READY);
    }
    done();
}

/* A guarantee comes first. */
static void test_guarantees_first(void)
{
    uint64_t id;

    begin(1080, 5);
    model.engine.config.defaults.min_kib = 190 * MIB;
    model.engine.config.generation++;
    model.guests[0].actual_kib = 100 * MIB;
    model.guests[0].target_kib = 100 * MIB;
    model.guests[0].cap_kib = 101 * MIB;
    model.guests[1].actual_kib = 230 * MIB;
    model.guests[1].target_kib = 230 * MIB;
    model.guests[1].cap_kib = 231 * MIB;
    id = ask(40, 40, NULL);
    model_round(&model);
    CHECK(model.guests[0].target_kib >= 190 * MIB);
    CHECK(get(id)->gathered_kib < 40 * MIB);
    model_round(&model);
    CHECK(model.guests[0].actual_kib >= 150 * MIB);
    wait_for(id);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    for (size_t i = 0; i < 5; i++)
        CHECK(model.guests[i].actual_kib >= 190 * MIB);
    done();
}

/* What is on its way back to the host is waited for: it is scrubbed, or its domain is dying. */
static void test_on_its_way(void)
{
    for (int dying = 0; dying < 2; dying++) {
        uint64_t id;

        begin(1080, 3);
        model_add(&model, 7, 400 * MIB, 512 * MIB, 0)->phase = PHASE_DYING;
        if (!dying) {
            model.guests[7].there = false;
            model.scrub_kib = 400 * MIB;
        }
        id = ask(600, 600, NULL);
        model_run(&model, 5000);
        CHECK_EQ(get(id)->state, RESERVATION_WAITING);
        model.guests[7].there = false;
        model.scrub_kib = 0;
        wait_for(id);
        CHECK_EQ(get(id)->state, RESERVATION_READY);
        done();
    }
}

/* What an earlier daemon had gathered is there as far as it is free. */
static void test_restored(void)
{
    uint64_t id;

    begin(1080, 5);
    id = ask(200, 200, NULL);
    reserve_find(all(), id)->state = RESERVATION_READY;
    reserve_find(all(), id)->gathered_kib = 200 * MIB;
    reserve_find(all(), id)->restored = true;
    model_round(&model);
    CHECK_EQ(get(id)->state, RESERVATION_WAITING);
    CHECK(model.engine.round.headroom_kib >= 0);
    wait_for(id);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    done();
}

static void test_bounds(void)
{
    const struct reserve_request request = { .least_kib = MIB, .most_kib = MIB };

    begin(1080, 1);
    for (size_t i = 0; i < RESERVATIONS_MAX; i++)
        CHECK(reserve_add(all(), &request, model.now_ms));
    CHECK(!reserve_add(all(), &request, model.now_ms));
    done();
}

/* Any guests, any reservations: what is reserved was free, nobody goes below a minimum, and what is
 * reserved and what the domains can reach is never more than the host has. */
static void change(struct model *world, size_t i)
{
    struct model_guest *guest = &world->guests[i];

    switch (check_random_below(8)) {
    case 0:
        guest->used_kib = (50 + check_random_below(400)) * MIB;
        break;
    case 1:
        guest->frozen = !guest->frozen;
        break;
    case 2:
        guest->posts = !guest->posts;
        break;
    case 3:
        guest->phase = guest->phase == PHASE_RUNNING ? PHASE_PAUSED : PHASE_RUNNING;
        break;
    case 4:
        guest->actual_kib = guest->cap_kib > guest->actual_kib ? guest->cap_kib : guest->actual_kib;
        break;
    case 5:
        guest->fail = guest->fail ? 0 : -EIO;
        break;
    default:
        break;
    }
}

static void change_reservations(void)
{
    const struct reserve_request request = {
        .name = check_random_below(2) ? "vm3" : NULL,
        .least_kib = check_random_below(600) * MIB,
        .most_kib = 600 * MIB,
        .wait_ms = check_random_below(10000),
        .hold_ms = check_random_below(10000),
    };

    if (check_random_below(4) == 0)
        (void)reserve_add(all(), &request, model.now_ms);
    else if (check_random_below(4) == 0 && all()->count > 0)
        reserve_release(&all()->list[check_random_below(all()->count)]);
}

static void test_random(void)
{
    unsigned hosts = check_long ? 300 : 30;

    for (unsigned host = 0; host < hosts; host++) {
        begin(1080 + check_random_below(1000), 5);
        for (unsigned step = 0; step < 300; step++) {
            const struct round *round = &model.engine.round;

            change(&model, check_random_below(5));
            change_reservations();
            model_round(&model);
            CHECK(round->headroom_kib >= 0);
            CHECK(model_headroom(&model) >= 0);
        }
        done();
    }
}

/* What one uses and cannot let go is known to be kept once that has shown. */
static void test_stalled(void)
{
    struct reserve_report report;
    uint64_t id;

    begin(1080, 5);
    model.guests[0].used_kib = 180 * MIB;
    model.guests[0].frozen = true;
    id = ask(1080 - 80 - 5 * (MIN_MIB + 1), 1080 - 80 - 5 * (MIN_MIB + 1), NULL);
    CHECK(wait_for(id) < 15000);
    CHECK_EQ(get(id)->end, END_IMPOSSIBLE);
    reserve_report(&model.engine.round, get(id), &report);
    CHECK_EQ(report.holders[0].why, HOLDS_STALLED);
    CHECK_EQ(report.holders[0].keeps_kib, 180 * MIB);
    done();
}

/* A daemon that is started anew sees all domains for the first time: one that was there when a
 * reservation for its name was made is not what that is for. */
static void test_name_of_one_that_was_there(void)
{
    uint64_t id;

    begin(1080, 5);
    id = ask(100, 100, "vm1");
    (void)wait_for(id);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    round_find(&model.engine.round, 1)->appeared = false;
    model_round(&model);
    CHECK_EQ(get(id)->state, RESERVATION_READY);
    done();
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("takes all that is above the minimums, holds it, and ends", test_down_to_minimums);
    check_run("one that cannot be met is answered at once, with names", test_impossible);
    check_run("... and costs nobody anything", test_impossible_costs_nothing);
    check_run("a refuser holds nothing up", test_refuser);
    check_run("what is in use is not counted on for ever", test_stalled);
    check_run("a range takes what is not needed", test_range);
    check_run("first come, first served", test_queue);
    check_run("a new domain takes it over", test_hand_over);
    check_run("one that was there does not", test_name_of_one_that_was_there);
    check_run("one that reboots does not", test_reboot);
    check_run("nor does one that died end it", test_zombie);
    check_run("little, taken from many", test_crumbs);
    check_run("guarantees come first", test_guarantees_first);
    check_run("what comes back soon is waited for", test_on_its_way);
    check_run("restored as far as it is free", test_restored);
    check_run("no more than there is room for", test_bounds);
    check_run("random hosts and reservations", test_random);
    return check_done();
}
