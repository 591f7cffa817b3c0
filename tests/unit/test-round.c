/* SPDX-License-Identifier: ISC */
#include "check.h"
#include "core/round.h"

static struct round round_under_test;

/* A UUID that only this number has. */
static const uint8_t *uuid_of(uint32_t number)
{
    static uint8_t uuid[16];

    memcpy(uuid, &number, sizeof(number));
    return uuid;
}

/* Sees a domain as a host does. */
static struct domain *see(uint32_t domid, uint32_t number)
{
    struct domain *domain = round_see(&round_under_test, domid, uuid_of(number));

    if (domain)
        snprintf(domain->name, sizeof(domain->name), "vm%" PRIu32, number);
    return domain;
}

static bool noted(enum event_kind kind, uint32_t domid)
{
    for (size_t i = 0; i < round_under_test.event_count; i++) {
        if (round_under_test.events[i].kind == kind && round_under_test.events[i].domid == domid)
            return true;
    }
    return false;
}

static bool ascending(void)
{
    for (size_t i = 1; i < round_under_test.count; i++) {
        if (round_under_test.domains[i - 1].domid >= round_under_test.domains[i].domid)
            return false;
    }
    return true;
}

static void test_come_and_go(void)
{
    struct round *round = &round_under_test;
    struct domain *domain;

    round_init(round);
    round_begin(round, 100);
    see(5, 5);
    see(0, 1000);
    see(3, 3);
    round_end(round);
    CHECK_EQ(round->count, 3);
    CHECK(ascending());
    CHECK(noted(EVENT_DOMAIN_NEW, 0) && noted(EVENT_DOMAIN_NEW, 3) && noted(EVENT_DOMAIN_NEW, 5));
    domain = round_find(round, 3);
    if (CHECK(domain)) {
        CHECK_EQ(domain->started_ms, 100);
        domain->need_kib = 42;
    }
    round_find(round, 5)->bill.at_ms = 100;

    round_begin(round, 200);
    CHECK_EQ(round->event_count, 0);
    see(3, 3);
    see(0, 1000);
    round_end(round);
    CHECK_EQ(round->count, 2);
    CHECK(noted(EVENT_DOMAIN_GONE, 5));
    CHECK_EQ(round->events[0].bill.at_ms, 0); /* what was kept of it may be more */
    CHECK(!noted(EVENT_DOMAIN_NEW, 3));
    domain = round_find(round, 3);
    if (CHECK(domain)) {
        CHECK_EQ(domain->started_ms, 100);
        CHECK_EQ(domain->need_kib, 42);
    }
    CHECK(!round_find(round, 5));
    CHECK(!round_find(round, 4));
    round_free(round);
}

/* A domid that is used again belongs to another domain, of which nothing is known. */
static void test_replaced(void)
{
    struct round *round = &round_under_test;
    struct domain *domain;

    round_init(round);
    round_begin(round, 100);
    see(3, 3)->need_kib = 42;
    round_end(round);
    round_begin(round, 200);
    domain = see(3, 4);
    CHECK_EQ(domain->need_kib, 0);
    CHECK_EQ(domain->started_ms, 200);
    CHECK(noted(EVENT_DOMAIN_GONE, 3));
    round_end(round);
    CHECK(noted(EVENT_DOMAIN_NEW, 3));
    CHECK_EQ(round->count, 1);
    round_free(round);
}

static void test_find_name(void)
{
    struct round *round = &round_under_test;

    round_init(round);
    CHECK(!round_find_name(round, "vm1"));
    round_begin(round, 1);
    see(1, 1);
    see(2, 2);
    round_end(round);
    CHECK(round_find_name(round, "vm2") == round_find(round, 2));
    CHECK(!round_find_name(round, "vm3"));
    CHECK(!round_find_name(round, "vm"));
    round_free(round);
}

/* Domains come and go at random; the list is what is there, in order, and remembers who stays. */
static void test_random(void)
{
    struct round *round = &round_under_test;
    bool there[200] = { false };

    round_init(round);
    for (uint64_t now = 1; now <= 300; now++) {
        size_t count = 0;

        round_begin(round, now);
        for (uint32_t k = 0; k < 200; k++) {
            uint32_t domid = (k * 77) % 200; /* in no order */
            bool before = there[domid];
            struct domain *domain;

            there[domid] = check_random_below(4) != 0;
            if (!there[domid])
                continue;
            count++;
            domain = see(domid, domid);
            if (before && !CHECK_EQ(domain->need_kib, domid))
                break;
            if (!before && !CHECK_EQ(domain->need_kib, 0))
                break;
            domain->need_kib = domid;
        }
        round_end(round);
        if (!CHECK_EQ(round->count, count) || !CHECK(ascending()))
            break;
    }
    round_free(round);
}

static void test_too_many(void)
{
    struct round *round = &round_under_test;

    round_init(round);
    round_begin(round, 1);
    for (uint32_t i = 0; i < DOMAINS_MAX; i++) {
        if (!CHECK(see(i, i)))
            break;
    }
    CHECK(!see(DOMAINS_MAX, DOMAINS_MAX));
    CHECK(see(7, 7));
    round_end(round);
    CHECK_EQ(round->count, DOMAINS_MAX);
    CHECK_EQ(round->event_count, EVENTS_MAX);
    CHECK_EQ(round->events_lost, DOMAINS_MAX - EVENTS_MAX);
    round_free(round);
}

static void test_events(void)
{
    struct round *round = &round_under_test;
    struct domain domain = { .domid = 7, .name = "db" };
    char longest[300];

    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    round_init(round);
    round_note(round, EVENT_CONDUCT, &domain, "is %s", "unhelpful");
    round_note(round, EVENT_MINIMUMS, NULL, "%s", longest);
    CHECK_EQ(round->event_count, 2);
    CHECK_EQ(round->events[0].domid, 7);
    CHECK_STR(round->events[0].name, "db");
    CHECK_STR(round->events[0].text, "is unhelpful");
    CHECK_EQ(round->events[1].domid, UINT32_MAX);
    CHECK_STR(round->events[1].name, "");
    CHECK_EQ(strlen(round->events[1].text), sizeof(round->events[1].text) - 1);
    round_free(round);
}

/* Names are words: they are put into JSON, and a reader may compare them. */
static void test_names(void)
{
    for (int i = DOMAIN_PV; i <= DOMAIN_HVM; i++)
        CHECK(domain_type_name((enum domain_type)i));
    for (int i = PHASE_RUNNING; i <= PHASE_DYING; i++)
        CHECK(domain_phase_name((enum domain_phase)i));
    for (int i = CONDUCT_STARTING; i <= CONDUCT_UNHELPFUL; i++)
        CHECK(conduct_name((enum conduct_class)i));
    for (int i = REASON_UNMANAGED; i <= REASON_SURPLUS; i++) {
        const char *name = reason_name((enum reason)i);

        CHECK(reason_text((enum reason)i));
        CHECK(name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz-")] == '\0');
        for (int k = REASON_UNMANAGED; name && k < i; k++)
            CHECK(strcmp(name, reason_name((enum reason)k)) != 0);
    }
    for (int i = EVENT_DOMAIN_NEW; i <= EVENT_POLICY; i++)
        CHECK(event_name((enum event_kind)i));
    CHECK_STR(domain_type_name(DOMAIN_PVH), "pvh");
    CHECK_STR(domain_phase_name(PHASE_RUNNING), "running");
    CHECK_STR(conduct_name(CONDUCT_COOPERATIVE), "cooperative");
    CHECK_STR(reason_name(REASON_MINIMUM_SHORT), "minimum-short");
    CHECK_STR(reason_text(REASON_NEED), "has what it needs");
    CHECK_STR(event_name(EVENT_CALL_FAILED), "CALL_FAILED");
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("domains come and go", test_come_and_go);
    check_run("a domid that is used again is another domain", test_replaced);
    check_run("finds by name", test_find_name);
    check_run("any sequence of observations", test_random);
    check_run("more domains than there can be", test_too_many);
    check_run("notes events", test_events);
    check_run("everything has a name", test_names);
    return check_done();
}
