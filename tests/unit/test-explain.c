/* SPDX-License-Identifier: ISC */
/* What `ballast explain` says, from whole rounds over the model host to the sentences. */
#include <stdio.h>
#include <stdlib.h>

#include "client/sentences.h"
#include "daemon/explain.h"
#include "model.h"
#include "util/json.h"

static struct model model;
static char text[16384];

static struct json_value *answer_for(size_t index)
{
    struct json *json = json_new(false);
    char error[128];
    struct json_value *value;
    size_t len;

    explain_domain(json, NULL, &model.engine, model_domain(&model, index));
    value = json_parse(json_text(json, &len), error, sizeof(error));
    json_free(json);
    CHECK(value);
    return value;
}

/* Writes the sentences about a domain into text. */
static void explain(size_t index)
{
    struct json_value *value = answer_for(index);
    FILE *out = fmemopen(text, sizeof(text), "w");

    sentences_print(out, value);
    fclose(out);
    json_value_free(value);
}

static bool says_so(const char *file, int line, const char *sentence)
{
    if (strstr(text, sentence))
        return true;
    fprintf(stderr, "%s", text);
    return check_fault(file, line, sentence);
}

#define SAYS(sentence) says_so(__FILE__, __LINE__, sentence)

/* The sentence with a size in MiB in it, as the reader sees it. */
static bool says_mib(const char *file, int line, const char *format, uint64_t kib)
{
    char sentence[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(sentence, sizeof(sentence), format, (double)kib / 1024);
#pragma GCC diagnostic pop
    return says_so(file, line, sentence);
}

#define SAYS_MIB(format, kib) says_mib(__FILE__, __LINE__, format, kib)

static void set(size_t index, const char *key, const char *value)
{
    char error[128];

    CHECK_EQ(config_set(&model.engine.config, model_domain(&model, index), key, value, error,
                        sizeof(error)),
             0);
}

static void test_surplus(void)
{
    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 240 * MIB);
    model_add(&model, 1, 256 * MIB, 1024 * MIB, 120 * MIB);
    model_run(&model, 90000);
    explain(1);
    SAYS("It needs no more than its minimum, 232.0 MiB.");
    explain(0);
    SAYS("vm1 (domain 1) has its share of the surplus.\n\nSize     It holds ");
    SAYS_MIB("It holds %.1f MiB, as the hypervisor counts.", model.guests[0].actual_kib);
    SAYS("(dialect ballast)");
    SAYS("It uses 240.0 MiB");
    SAYS("It needs 270.0 MiB: 270.0 MiB that it would miss at once, and 0.0 MiB of room to grow.");
    SAYS("It has been cooperative for 89 s: posts how its memory is doing.");
    SAYS("Nothing is asked of it: it is where its target is.");
    SAYS_MIB("\"weighted\" has %.1f MiB to share", model.engine.round.share_kib);
    SAYS("3. Room to grow: up to 270.0 MiB, all of it.");
    SAYS("It stays where it is until somebody needs it");
    SAYS("MiB are kept free");
    SAYS("Its target is where it should be");
    SAYS("Nothing, until its need changes or that of others.");
    CHECK_EQ(model.broken, 0);
    model_free_all(&model);
}

static void test_share(void)
{
    model_init(&model, 1000 * MIB);
    for (size_t i = 0; i < 3; i++)
        model_add(&model, i, 256 * MIB, 2048 * MIB, 2048 * MIB);
    model_round(&model);
    set(0, "priority", "5");
    set(0, "max", "300M");
    set(2, "weight", "512");
    for (size_t i = 0; i < 3; i++)
        set(i, "min", "100M");
    model_run(&model, 60000);
    explain(1);
    SAYS("vm2 (domain 2) has its share of too little.");
    SAYS("It is short by ");
    SAYS("1. The guarantee: up to 100.0 MiB, all of it.");
    SAYS("Domains of higher priority took 200.0 MiB first.");
    SAYS_MIB("2. What it would miss at once: up to %.1f MiB of ",
             model_domain(&model, 1)->want_kib);
    SAYS("To give it more now, raise its minimum, weight or priority.");
    explain(2);
    SAYS_MIB("A weight of 256 brings %.1f MiB; it has 512.", model_domain(&model, 2)->want_kib / 2);
    model_free_all(&model);
}

/* While needs change, what nobody needs stays where it is; later it is shared out by weight. */
static void test_surplus_stays(void)
{
    model_init(&model, 1300 * MIB);
    for (size_t i = 0; i < 3; i++)
        model_add(&model, i, 256 * MIB, 1024 * MIB, 100 * MIB);
    model_run(&model, 60000);
    model.guests[1].used_kib = 600 * MIB;
    model_run(&model, 20000);
    explain(0);
    SAYS("4. What nobody needs: up to ");
    SAYS("It stays where it is until somebody needs it");
    model.guests[1].used_kib = 100 * MIB;
    for (unsigned r = 0; r < 5000 && model.engine.round.staying; r++)
        model_round(&model);
    explain(0);
    SAYS_MIB("A weight of 256 brings %.1f MiB, of which need counts for 25 %%; it has 256.",
             model_domain(&model, 0)->want_kib - model_domain(&model, 0)->need_kib * 3 / 4);
    model_free_all(&model);
}

/* In their grace they keep more than they need: of that only the need is taxed. */
static void test_surplus_in_grace(void)
{
    model_init(&model, 1000 * MIB);
    model.engine.config.grace_ms = 600000;
    for (size_t i = 0; i < 2; i++)
        model_add(&model, i, 256 * MIB, 1024 * MIB, 100 * MIB);
    model_round(&model);
    for (size_t i = 0; i < 2; i++)
        set(i, "min", "100M");
    model_round(&model);
    for (unsigned r = 0; r < 5000 && model.engine.round.staying; r++)
        model_round(&model);
    explain(0);
    CHECK(model_domain(&model, 0)->need_kib < 256 * MIB);
    SAYS("1. The guarantee: up to 256.0 MiB, all of it.");
    SAYS_MIB("A weight of 256 brings %.1f MiB, of which need counts for 25 %%; it has 256.",
             model_domain(&model, 0)->want_kib - model_domain(&model, 0)->need_kib * 3 / 4);
    model_free_all(&model);
}

/* One grows, since the memory is there; one waits, since others have yet to let it go. */
static void test_growing_and_waiting(void)
{
    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 120 * MIB);
    model.guests[0].used_kib = 256 * MIB;
    model.step_kib = 8 * MIB;
    model_round(&model);
    explain(0);
    SAYS("vm1 (domain 1) grows.");
    SAYS("Growing is not slowed down.");
    SAYS("all that was asked.");
    SAYS_MIB("Its balloon driver takes the %.1f MiB that it still may.",
             model.guests[0].target_kib - 256 * MIB);
    model_round(&model);
    explain(0);
    SAYS("vm1 (domain 1) grows.");
    SAYS_MIB("It may grow to %.1f MiB; its last progress was 0.0 s ago.",
             model.guests[0].target_kib);
    model_free_all(&model);

    model_init(&model, 1300 * MIB);
    for (size_t i = 0; i < 3; i++)
        model_add(&model, i, 256 * MIB, 1024 * MIB, 100 * MIB);
    model_run(&model, 90000);
    model.guests[0].frozen = true;
    model.guests[1].used_kib = 500 * MIB;
    model.guests[2].used_kib = 500 * MIB;
    for (int i = 0; i < 10; i++)
        model_round(&model);
    explain(1);
    SAYS("vm2 (domain 2) waits for memory that is not free yet.");
    SAYS("Of a target of ");
    SAYS("The host has ");
    SAYS("are always left free");
    SAYS("That leaves a headroom of ");
    SAYS("are on their way from others; it gets more as they let go.");
    SAYS("Nobody needs to ask again.");
    explain(0);
    SAYS("vm1 (domain 1) shrinks.");
    SAYS("It was asked ");
    SAYS("It has let go nothing.");
    SAYS("the next step comes after that.");
    model_free_all(&model);
}

/* What is asked of one that does not follow: to blame when it does not use it. */
static void refuse(bool uses)
{
    model_init(&model, 700 * MIB);
    model_add(&model, 0, 300 * MIB, 1024 * MIB, 100 * MIB);
    model_add(&model, 1, 256 * MIB, 1024 * MIB, 100 * MIB);
    model_round(&model);
    set(1, "priority", "5");
    model.guests[0].frozen = true;
    model.guests[0].used_kib = uses ? 290 * MIB : 100 * MIB;
    model.guests[1].used_kib = 500 * MIB;
    for (int i = 0; i < 2000 && model_domain(&model, 0)->conduct.retry_ms < model.now_ms; i++)
        model_round(&model);
    model_round(&model);
    explain(0);
}

static void test_unhelpful_and_stalled(void)
{
    refuse(false);
    SAYS("vm1 (domain 1) does not let go what it is asked for.");
    SAYS("It is counted as needing no more than its minimum");
    SAYS(": was asked to shrink and does not.");
    SAYS("It did not let go what it was asked for");
    SAYS("It takes no part in the sharing");
    SAYS("It is not asked for more now");
    SAYS("It is asked again in ");
    model_free_all(&model);

    refuse(true);
    SAYS("vm1 (domain 1) cannot let go more now.");
    SAYS("It uses what it was asked for, so it is not to blame.");
    SAYS("It is asked again in ");
    model_free_all(&model);
}

static void test_starting_silent_and_short(void)
{
    model_init(&model, 960 * MIB);
    model.engine.config.grace_ms = 30000;
    model_add(&model, 0, 512 * MIB, 1024 * MIB, 120 * MIB)->posts = false;
    model_add(&model, 1, 256 * MIB, 1024 * MIB, 120 * MIB);
    model_round(&model);
    set(0, "max", "512M");
    model_round(&model);
    explain(0);
    SAYS("vm1 (domain 1) keeps what it was started with.");
    SAYS("It has posted nothing");
    SAYS("what its weight gives it.");
    SAYS("It is starting: its balloon driver has shown nothing yet.");
    SAYS("(More than its minimum: below that nothing is taken from it now.)");
    SAYS("It keeps what it has for ");
    model_free_all(&model);

    model_init(&model, 600 * MIB);
    for (size_t i = 0; i < 2; i++)
        model_add(&model, i, 256 * MIB, 1024 * MIB, 120 * MIB);
    model_round(&model);
    for (size_t i = 0; i < 2; i++)
        set(i, "min", "400M");
    model_run(&model, 10000);
    explain(0);
    SAYS("vm1 (domain 1) goes short: the minimums do not fit the host.");
    SAYS("1. The guarantee: up to ");
    SAYS(" of 400.0 MiB.");
    SAYS("The minimums do not fit the host: the lowest priority goes short first.");
    model_free_all(&model);
}

/* Memory that it uses is taken in small steps. */
static void test_careful(void)
{
    model_init(&model, 700 * MIB);
    model_add(&model, 0, 400 * MIB, 1024 * MIB, 380 * MIB);
    model_add(&model, 1, 200 * MIB, 1024 * MIB, 100 * MIB);
    model_run(&model, 10000);
    set(1, "priority", "5");
    model.guests[1].used_kib = 500 * MIB;
    for (int i = 0; i < 100 && model_domain(&model, 0)->pace != PACE_CAREFUL; i++)
        model_round(&model);
    explain(0);
    SAYS("It shrinks by 8.0 MiB every 0.2 s: it uses what it is asked for");
    model_free_all(&model);
}

static void test_left_alone(void)
{
    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 120 * MIB);
    model_run(&model, 5000);
    model.guests[0].phase = PHASE_PAUSED;
    model_round(&model);
    explain(0);
    SAYS("vm1 (domain 1) is not touched now.");
    SAYS("It is paused. It is left alone.");
    SAYS_MIB("All that it can reach, %.1f MiB, counts as taken.", model.guests[0].cap_kib);
    SAYS("It takes part again once it runs.");
    CHECK(!strstr(text, "Pace"));
    model_free_all(&model);
}

static void test_failed_call(void)
{
    model_init(&model, 1000 * MIB);
    model.engine.dry_run = false;
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 400 * MIB)->fail = -EIO;
    model_round(&model);
    explain(0);
    SAYS("The last call for it failed; the next is made in 0.1 s.");
    model.engine.dry_run = true;
    model_round(&model);
    explain(0);
    SAYS("This is a dry run: no call is made.");
    model_free_all(&model);
}

/* A bill, of a daemon that keeps them. */
static void test_bill(void)
{
    static const char answer[] =
        "{\"domain\":{\"managed\":true,\"entitled_kib\":262144,\"goodness\":875,\"bill\":{"
        "\"held_mib_h\":12.5,\"entitled_mib_h\":10,\"above_mib_h\":2.5,\"unmet_mib_h\":0.25,"
        "\"idle_mib_h\":4}},\"pace\":{\"pace\":\"urgent\",\"step_kib\":65536}}";
    char error[128];
    struct json_value *value = json_parse(answer, error, sizeof(error));
    FILE *out = fmemopen(text, sizeof(text), "w");

    sentences_print(out, value);
    fclose(out);
    json_value_free(value);
    SAYS("Its weight entitles it to 256.0 MiB; its goodness is 0.88.");
    SAYS("In MiB hours it held 12.5, and was entitled to 10.0.");
    SAYS("It held 2.5 above that, 4.0 that it did not need, and lacked 0.2.");
    SAYS("It shrinks by up to 64.0 MiB a step, whatever it uses: a guarantee or a reservation "
         "waits.");
}

static void test_consequences(void)
{
    struct domain *domain;

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 120 * MIB);
    model_run(&model, 5000);
    explain(0);
    CHECK(!strstr(text, "lay unused") && !strstr(text, "remedies"));
    domain = round_find(&model.engine.round, 1);
    CHECK(!strstr(text, "not shown that it uses"));
    domain->insists = true;
    domain->demand.doubt = 300;
    domain->remedy.applied = true;
    explain(0);
    SAYS("For waiting it is given 30 % less: what it was given for that before lay unused.");
    SAYS("For long it has held more than its weight's share, and not shown that it uses that: what "
         "it would miss above that is shared out with the others' room to grow.");
    SAYS("The configuration's remedies are in force for it.");
    model_free_all(&model);
}

/* Steps are told of the policy that took them, not of one that takes none. */
static void test_without_steps(void)
{
    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 120 * MIB);
    model_run(&model, 5000);
    CHECK_EQ(model.engine.round.steps, STEPS);
    policy_hold(&model.engine.round); /* as a program does before it is asked */
    explain(0);
    CHECK(!strstr(text, "1. The guarantee"));
    snprintf(model.engine.config.policy, sizeof(model.engine.config.policy), "static");
    model_run(&model, 1000);
    explain(0);
    SAYS("\"static\" has ");
    CHECK(!strstr(text, "1. The guarantee"));
    SAYS("So it should hold 256.0 MiB.");
    model_free_all(&model);
}

/* The answer's figures add up, and a name is no escape sequence. */
static void test_figures(void)
{
    struct json_value *value;
    const struct json_value *steps;
    int64_t held[STEPS] = { 0 };
    int64_t want = 0;

    model_init(&model, 1000 * MIB);
    model_add(&model, 0, 256 * MIB, 1024 * MIB, 120 * MIB);
    model_run(&model, 5000);
    snprintf(round_find(&model.engine.round, 1)->name, DOMAIN_NAME_SIZE, "a\033[2Jb");
    explain(0);
    SAYS("a?[2Jb (domain 1) ");
    value = answer_for(0);
    steps = json_get(json_get(value, "policy"), "steps");
    CHECK_EQ(json_length(steps), STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        CHECK(json_get_int(json_get(json_at(steps, i), "held_kib"), &held[i]));
        CHECK(i == 0 || held[i] >= held[i - 1]);
    }
    CHECK(json_get_int(json_get(json_get(value, "policy"), "want_kib"), &want));
    CHECK_EQ(held[STEP_SURPLUS], want);
    json_value_free(value);
    model_free_all(&model);
}

int main(int argc, char **argv)
{
    check_init(argc, argv);
    check_run("one that has its share of the surplus", test_surplus);
    check_run("one that has its share of too little", test_share);
    check_run("surplus that stays where it is", test_surplus_stays);
    check_run("what is left in its grace is not taxed", test_surplus_in_grace);
    check_run("one that grows, and one that waits", test_growing_and_waiting);
    check_run("one that does not give, and one that cannot", test_unhelpful_and_stalled);
    check_run("one that starts, and one below its minimum", test_starting_silent_and_short);
    check_run("one that gives what it uses", test_careful);
    check_run("one that is left alone", test_left_alone);
    check_run("a call that failed, and a dry run", test_failed_call);
    check_run("a bill", test_bill);
    check_run("a policy without steps", test_without_steps);
    check_run("the figures add up", test_figures);
    check_run("what follows from doubt and conduct", test_consequences);
    return check_done();
}
