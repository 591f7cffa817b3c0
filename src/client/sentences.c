/* SPDX-License-Identifier: ISC */
/* One paragraph for each stage of a round, in the round's order. */
#include "client/sentences.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "client/view.h"

#define TEXT_SIZE 24

/* The answer's parts. A figure that is missing is 0: then the daemon is of another version. */
struct answer {
    const struct json_value *domain, *post, *need, *conduct, *policy, *pace, *guard, *host;
    int64_t next_ms;
    bool dry_run;
};

struct page {
    FILE *out;
    const char *label; /* of the paragraph that is being written */
};

static int64_t get(const struct json_value *map, const char *key)
{
    int64_t value = 0;

    (void)json_get_int(json_get(map, key), &value);
    return value;
}

static bool has(const struct json_value *map, const char *key)
{
    int64_t value;

    return json_get_int(json_get(map, key), &value);
}

static bool truth(const struct json_value *map, const char *key)
{
    bool value = false;

    (void)json_get_bool(json_get(map, key), &value);
    return value;
}

static double figure(const struct json_value *map, const char *key)
{
    double value = 0;

    (void)json_get_double(json_get(map, key), &value);
    return value;
}

static const char *word(const struct json_value *map, const char *key)
{
    const char *text = json_get_string(json_get(map, key));

    return text ? text : "";
}

static bool is(const struct json_value *map, const char *key, const char *expected)
{
    return strcmp(word(map, key), expected) == 0;
}

/* One sentence, on a line of its own; the first of a paragraph stands beside its label. */
static void say(struct page *page, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct page *page, const char *label, const char *format, ...)
{
    bool first = !page->label || strcmp(page->label, label) != 0;
    va_list args;

    fprintf(page->out, "%s%-8s ", first && page->label ? "\n" : "", first ? label : "");
    page->label = label;
    va_start(args, format);
    vfprintf(page->out, format, args);
    va_end(args);
    fputc('\n', page->out);
}

/* For an argument of say(): the texts of one sentence live as long as it does. */
#define MIB(kib) mib((kib), (char[TEXT_SIZE]){ 0 })
#define SPAN(ms) span((ms), (char[TEXT_SIZE]){ 0 })

static const char *mib(int64_t kib, char text[TEXT_SIZE])
{
    snprintf(text, TEXT_SIZE, "%.1f MiB", (double)kib / 1024.0);
    return text;
}

static const char *span(int64_t ms, char text[TEXT_SIZE])
{
    int64_t minutes = ms / 60000;

    if (ms < 10000)
        snprintf(text, TEXT_SIZE, "%.1f s", (double)ms / 1000.0);
    else if (minutes < 2)
        snprintf(text, TEXT_SIZE, "%" PRId64 " s", ms / 1000);
    else if (minutes < 120)
        snprintf(text, TEXT_SIZE, "%" PRId64 " min", minutes);
    else
        snprintf(text, TEXT_SIZE, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60);
    return text;
}

static void say_size(struct page *page, const struct answer *answer)
{
    const struct json_value *domain = answer->domain;

    say(page, "Size", "It holds %s, as the hypervisor counts.", MIB(get(domain, "actual_kib")));
    say(page, "Size", "Its target is %s and its cap %s.", MIB(get(domain, "target_kib")),
        MIB(get(domain, "cap_kib")));
    if (truth(domain, "managed"))
        say(page, "Size",
            "It is guaranteed %s and may have %s; its weight is %" PRId64 ", its priority %" PRId64
            ".",
            MIB(get(domain, "min_kib")), MIB(get(domain, "max_kib")), get(domain, "weight"),
            get(domain, "priority"));
}

/* Why nothing at all is done with it. */
static void say_left_alone(struct page *page, const struct answer *answer)
{
    static const struct {
        const char *phase;
        const char *why;
        const char *next;
    } phases[] = {
        { "building", "It is being built.", "It takes part once it runs." },
        { "paused", "It is paused.", "It takes part again once it runs." },
        { "shutdown", "It has ended or is suspended, and still holds its memory.",
          "Its memory is free once it is destroyed (xl destroy)." },
        { "dying", "It is dying.", "Its memory is free once it is gone." },
        { "running", "It has no target in xenstore, so it cannot be asked for anything.",
          "It takes part once the toolstack has given it one." },
    };

    if (!truth(answer->domain, "managed")) {
        say(page, "Policy",
            "It is left alone: this is dom0, and the configuration does not name it.");
        say(page, "Policy", "What it may take without being asked counts as promised.");
        say(page, "Next", "Nothing. To have it managed, name Domain-0 in ballast.conf.");
        return;
    }
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
        if (!is(answer->domain, "phase", phases[i].phase))
            continue;
        say(page, "Policy", "%s It is left alone.", phases[i].why);
        say(page, "Policy", "All that it can reach, %s, counts as taken.",
            MIB(get(answer->domain, "actual_kib") > get(answer->domain, "cap_kib")
                    ? get(answer->domain, "actual_kib")
                    : get(answer->domain, "cap_kib")));
        say(page, "Next", "%s", phases[i].next);
    }
}

static void say_figures(struct page *page, const struct json_value *figures)
{
    int64_t swapped = get(figures, "swap_total_kib") - get(figures, "swap_free_kib");

    if (has(figures, "total_kib") && has(figures, "available_kib"))
        say(page, "Post", "Of the %s that it sees, %s are available.",
            MIB(get(figures, "total_kib")), MIB(get(figures, "available_kib")));
    if (has(figures, "some_avg10_centi"))
        say(page, "Post", "In 10 s its programs waited for memory %.1f %% of the time.",
            (double)get(figures, "some_avg10_centi") / 100.0);
    if (has(figures, "swap_free_kib") && swapped > 0)
        say(page, "Post", "%s are swapped out.", MIB(swapped));
}

static void say_post(struct page *page, const struct answer *answer)
{
    const struct json_value *post = answer->post;

    if (truth(post, "bad")) {
        say(page, "Post", "What it posted last makes no sense: it is not believed.");
        say(page, "Post", "Until it makes sense again it gets no surplus.");
        return;
    }
    if (!has(post, "age_ms")) {
        say(page, "Post", "It has posted nothing: only what it holds is known.");
        return;
    }
    say(page, "Post", "It posted %s ago (dialect %s).", SPAN(get(post, "age_ms")),
        word(post, "dialect"));
    if (!truth(post, "usable")) {
        say(page, "Post", "That is too long ago to say anything of now.");
        return;
    }
    if (get(post, "wish_kib") > 0)
        say(page, "Post", "It sizes itself, and would like to hold %s.",
            MIB(get(post, "wish_kib")));
    if (!is(post, "dialect", "selfballoon"))
        say(page, "Post", "It uses %s, and %s of cache that it reads often.",
            MIB(get(post, "used_kib")), MIB(get(post, "cache_kib")));
    say_figures(page, json_get(post, "figures"));
}

static void say_need(struct page *page, const struct answer *answer)
{
    const struct json_value *need = answer->need;
    int64_t available = get(answer->domain, "available_kib");

    if (is(answer->domain, "conduct", "unhelpful") || is(answer->domain, "conduct", "malicious"))
        say(page, "Need", "It is counted as needing no more than its minimum, %s.",
            MIB(get(need, "need_kib")));
    else if (get(need, "need_kib") <= get(answer->domain, "min_kib"))
        say(page, "Need", "It needs no more than its minimum, %s.", MIB(get(need, "need_kib")));
    else if (!truth(answer->post, "usable"))
        say(page, "Need", "It is counted as needing %s, what its weight gives it.",
            MIB(get(need, "need_kib")));
    else
        say(page, "Need", "It needs %s: %s that it would miss at once, and %s of room to grow.",
            MIB(get(need, "need_kib")), MIB(get(need, "core_kib")), MIB(get(need, "room_kib")));
    if (get(need, "pressure_kib") > 0)
        say(page, "Need", "%s of it were added since its programs wait for memory.",
            MIB(get(need, "pressure_kib")));
    if (get(need, "doubt") > 0)
        say(page, "Need",
            "For waiting it is given %.0f %% less: what it was given for that before "
            "lay unused.",
            (double)get(need, "doubt") / 10.0);
    if (truth(need, "insists"))
        say(page, "Need",
            "For long it has held more than its weight's share, and not shown that it uses that: "
            "what it would miss above that is shared out with the others' room to grow.");
    if (available < 0)
        say(page, "Need", "It is short by %s.", MIB(-available));
    else
        say(page, "Need", "It holds %s more than it needs.", MIB(available));
}

static void say_asked(struct page *page, const struct json_value *conduct, int64_t held)
{
    int64_t from = get(conduct, "from_kib");
    int64_t to = get(conduct, "to_kib");

    if (is(conduct, "asked", "shrink")) {
        say(page, "Conduct", "It was asked %s ago to shrink from %s to %s.",
            SPAN(get(conduct, "asked_age_ms")), MIB(from), MIB(to));
        if (from > held)
            say(page, "Conduct", "It has let go %s; its last progress was %s ago.",
                MIB(from - held), SPAN(get(conduct, "progress_age_ms")));
        else
            say(page, "Conduct", "It has let go nothing.");
    } else if (is(conduct, "asked", "grow")) {
        say(page, "Conduct", "It may grow to %s; its last progress was %s ago.", MIB(to),
            SPAN(get(conduct, "asked_age_ms")));
    } else if (get(conduct, "retry_in_ms") > 0) {
        say(page, "Conduct", "It did not let go what it was asked for: its target is where it is.");
    } else {
        say(page, "Conduct", "Nothing is asked of it: it is where its target is.");
    }
}

static void say_conduct(struct page *page, const struct answer *answer)
{
    const struct json_value *conduct = answer->conduct;

    if (*word(conduct, "why"))
        say(page, "Conduct", "It has been %s for %s: %s.", word(conduct, "class"),
            SPAN(get(conduct, "age_ms")), word(conduct, "why"));
    else
        say(page, "Conduct", "It is %s: its balloon driver has shown nothing yet.",
            word(conduct, "class"));
    if (truth(conduct, "remedied"))
        say(page, "Conduct", "The configuration's remedies are in force for it.");
    say_asked(page, conduct, get(answer->domain, "actual_kib"));
    if (truth(conduct, "stalled"))
        say(page, "Conduct", "It uses what it was asked for, so it is not to blame.");
    if (get(conduct, "offer_in_ms") > 0)
        say(page, "Conduct", "It did not take what it was given; it is offered more in %s.",
            SPAN(get(conduct, "offer_in_ms")));
}

/* "2. What it would miss at once: 150.0 of 160.0 MiB." */
static void say_step(struct page *page, const struct answer *answer, size_t number,
                     const struct json_value *step)
{
    static const struct {
        const char *word;
        const char *text;
    } texts[] = {
        { "guarantee", "The guarantee" },
        { "core", "What it would miss at once" },
        { "room", "Room to grow" },
        { "surplus", "What nobody needs" },
    };
    int64_t asked = get(step, "asked_kib");
    int64_t held = get(step, "held_kib");
    bool surplus = is(step, "step", "surplus");
    const char *text = word(step, "step");

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (is(step, "step", texts[i].word))
            text = texts[i].text;
    if (held >= asked)
        say(page, "Policy", "%zu. %s: up to %s, all of it.", number, text, MIB(held));
    else
        say(page, "Policy", "%zu. %s: up to %s of %s.", number, text, MIB(held), MIB(asked));
    if (is(step, "step", "guarantee") && asked > get(answer->domain, "min_kib"))
        say(page, "Policy", "   (More than its minimum: below that nothing is taken from it now.)");
    if (held < asked && !surplus && get(step, "higher_kib") > 0)
        say(page, "Policy", "   Domains of higher priority took %s first.",
            MIB(get(step, "higher_kib")));
    if (has(step, "level_kib") && surplus)
        say(page, "Policy",
            "   A weight of 256 brings %s, of which need counts for %.0f %%; it has %" PRId64 ".",
            MIB(get(step, "level_kib")), 100 - 100 * figure(answer->policy, "idle_tax"),
            get(answer->domain, "weight"));
    else if (has(step, "level_kib"))
        say(page, "Policy", "   A weight of 256 brings %s; it has %" PRId64 ".",
            MIB(get(step, "level_kib")), get(answer->domain, "weight"));
    else if (surplus && held < asked)
        say(page, "Policy",
            "   It stays where it is until somebody needs it; when nobody had to give for a "
            "while, it goes by weight where it is far from that.");
    if (surplus && held < asked)
        say(page, "Policy", "   %s are kept free, so that growth is served at once.",
            MIB(get(step, "left_kib")));
}

static void say_policy(struct page *page, const struct answer *answer)
{
    const struct json_value *policy = answer->policy;
    const struct json_value *steps = json_get(policy, "steps");

    if (!truth(policy, "shares")) {
        say(page, "Policy", "It takes no part in the sharing: what it holds is not counted on.");
    } else {
        say(page, "Policy", "\"%s\" has %s to share among all who take part.", word(policy, "name"),
            MIB(get(policy, "share_kib")));
        for (size_t i = 0; i < json_length(steps); i++)
            say_step(page, answer, i + 1, json_at(steps, i));
    }
    if (!truth(answer->host, "minimums_fit"))
        say(page, "Policy",
            "The minimums do not fit the host: the lowest priority goes short first.");
    say(page, "Policy", "So it should hold %s.", MIB(get(policy, "want_kib")));
}

static void say_bill(struct page *page, const struct answer *answer)
{
    const struct json_value *bill = json_get(answer->domain, "bill");

    if (!bill)
        return;
    say(page, "Bill", "Its weight entitles it to %s; its goodness is %.2f.",
        MIB(get(answer->domain, "entitled_kib")), (double)get(answer->domain, "goodness") / 1000.0);
    say(page, "Bill", "In MiB hours it held %.1f, and was entitled to %.1f.",
        figure(bill, "held_mib_h"), figure(bill, "entitled_mib_h"));
    say(page, "Bill", "It held %.1f above that, %.1f that it did not need, and lacked %.1f.",
        figure(bill, "above_mib_h"), figure(bill, "idle_mib_h"), figure(bill, "unmet_mib_h"));
}

static void say_pace(struct page *page, const struct answer *answer)
{
    const struct json_value *pace = answer->pace;
    int64_t step = get(pace, "step_kib");
    int64_t pause = get(pace, "pause_ms");

    if (is(pace, "pace", "there"))
        say(page, "Pace", "Its target is where it should be, in whole steps of 4 MiB.");
    else if (is(pace, "pace", "small"))
        say(page, "Pace", "The change is small, or beyond what it needs: it may wait %s.",
            SPAN(pause));
    else if (is(pace, "pace", "grace"))
        say(page, "Pace", "Nothing is taken from a domain that has just started.");
    else if (is(pace, "pace", "left"))
        say(page, "Pace", "It is not asked for more now: its target stands where it is.");
    else if (is(pace, "pace", "unpaced"))
        say(page, "Pace", "The policy sets targets at once.");
    else if (is(pace, "pace", "up"))
        say(page, "Pace", "Growing is not slowed down.");
    else if (is(pace, "pace", "unheld"))
        say(page, "Pace", "What it does not hold is taken back at once.");
    else if (is(pace, "pace", "following"))
        say(page, "Pace",
            "It still lets go what it was asked for: the next step comes after that.");
    else if (is(pace, "pace", "fast"))
        say(page, "Pace", "It shrinks by up to %s a step: it does not use what it is asked for.",
            MIB(step));
    else if (is(pace, "pace", "urgent"))
        say(page, "Pace",
            "It shrinks by up to %s a step, whatever it uses: a guarantee or a reservation waits.",
            MIB(step));
    else if (is(pace, "pace", "careful"))
        say(page, "Pace",
            "It shrinks by %s every %s: it uses what it is asked for, and needs time "
            "to page out.",
            MIB(step), SPAN(pause));
    else if (is(pace, "pace", "pressed"))
        say(page, "Pace", "It shrinks by only %s every %s: its programs wait for memory.",
            MIB(step), SPAN(pause));
}

static void say_headroom(struct page *page, const struct json_value *host)
{
    int64_t headroom = get(host, "headroom_kib");

    say(page, "Guard", "The host has %s free; of that %s are always left free,",
        MIB(get(host, "free_kib")), MIB(get(host, "reserve_kib")));
    say(page, "Guard",
        "%s held for reservations, %s promised to domains, %s claimed by the "
        "toolstack.",
        MIB(get(host, "reserved_kib")), MIB(get(host, "promised_kib")),
        MIB(get(host, "claimed_kib")));
    if (headroom < 0)
        say(page, "Guard", "That is %s too little: nothing is given.", MIB(-headroom));
    else
        say(page, "Guard", "That leaves a headroom of %s for all.", MIB(headroom));
}

static void say_guard(struct page *page, const struct answer *answer)
{
    int64_t goal = get(answer->pace, "goal_kib");
    int64_t grant = get(answer->guard, "grant_kib");

    if (grant == goal)
        say(page, "Guard", "It allowed a target of %s, all that was asked.", MIB(grant));
    else
        say(page, "Guard", "Of a target of %s it allowed %s.", MIB(goal), MIB(grant));
    if (grant < goal || get(answer->host, "headroom_kib") < 0)
        say_headroom(page, answer->host);
    if (get(answer->guard, "call_retry_in_ms") > 0)
        say(page, "Guard", "The last call for it failed; the next is made in %s.",
            SPAN(get(answer->guard, "call_retry_in_ms")));
    if (answer->dry_run)
        say(page, "Guard", "This is a dry run: no call is made.");
}

static void say_next(struct page *page, const struct answer *answer)
{
    const struct json_value *domain = answer->domain;
    int64_t retry = get(answer->conduct, "retry_in_ms");

    if (is(domain, "reason", "growing")) {
        say(page, "Next", "Its balloon driver takes the %s that it still may.",
            MIB(get(answer->conduct, "to_kib") - get(domain, "actual_kib")));
    } else if (is(domain, "reason", "waiting")) {
        say(page, "Next", "%s are on their way from others; it gets more as they let go.",
            MIB(get(answer->guard, "coming_kib")));
        say(page, "Next", "Nobody needs to ask again.");
    } else if (is(domain, "reason", "shrinking")) {
        say(page, "Next", "It goes on down to %s.", MIB(get(answer->policy, "want_kib")));
    } else if (is(domain, "reason", "share") || is(domain, "reason", "minimum-short")) {
        say(page, "Next",
            "It gets more when others need less. To give it more now, raise its "
            "minimum, weight or priority.");
    } else if (is(domain, "reason", "starting")) {
        say(page, "Next", "It keeps what it has for %s more.",
            SPAN(get(answer->pace, "grace_left_ms")));
    } else if (retry > 0) {
        say(page, "Next", "It is asked again in %s.", SPAN(retry));
    } else {
        say(page, "Next", "Nothing, until its need changes or that of others.");
    }
    say(page, "Next", "The host is looked at again within %s.", SPAN(answer->next_ms));
}

static struct answer parts_of(const struct json_value *value)
{
    return (struct answer){
        .domain = json_get(value, "domain"),
        .post = json_get(value, "post"),
        .need = json_get(value, "need"),
        .conduct = json_get(value, "conduct"),
        .policy = json_get(value, "policy"),
        .pace = json_get(value, "pace"),
        .guard = json_get(value, "guard"),
        .host = json_get(value, "host"),
        .next_ms = get(value, "next_ms"),
        .dry_run = truth(value, "dry_run"),
    };
}

void sentences_print(FILE *out, const struct json_value *value)
{
    struct answer answer = parts_of(value);
    struct page page = { .out = out };
    char name[DOMAIN_NAME_SIZE];

    view_clean(word(answer.domain, "name"), name, sizeof(name));
    fprintf(out, "%s (domain %" PRId64 ") %s.\n\n", name, get(answer.domain, "domid"),
            view_phrase(word(answer.domain, "reason")));
    say_size(&page, &answer);
    if (is(answer.domain, "reason", "unmanaged") || is(answer.domain, "reason", "untouched")) {
        say_left_alone(&page, &answer);
        return;
    }
    say_post(&page, &answer);
    say_need(&page, &answer);
    say_conduct(&page, &answer);
    say_bill(&page, &answer);
    say_policy(&page, &answer);
    say_pace(&page, &answer);
    say_guard(&page, &answer);
    say_next(&page, &answer);
}
