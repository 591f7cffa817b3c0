/* SPDX-License-Identifier: ISC */
/* What happens in a scenario: the list `events`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/mischief.h"
#include "host/scenario-reader.h"
#include "util/units.h"

#define TIMES_MAX 100000 /* that one event happens */

static const struct key event_keys[] = {
    { "every", KIND_MS, offsetof(struct scenario_event, every_ms) },
    { "jitter", KIND_MS, offsetof(struct scenario_event, jitter_ms) },
    { "over", KIND_MS, offsetof(struct scenario_event, over_ms) },
    { "for", KIND_MS, offsetof(struct scenario_event, for_ms) },
};

static const struct {
    const char *name;
    enum action action;
    bool valued;
    bool can_end; /* takes for= */
} actions[] = {
    { "need", ACTION_NEED, true, true },         { "read", ACTION_READ, true, true },
    { "stuck", ACTION_STUCK, false, true },      { "loose", ACTION_LOOSE, false, false },
    { "pause", ACTION_PAUSE, false, true },      { "unpause", ACTION_UNPAUSE, false, false },
    { "create", ACTION_CREATE, false, false },   { "shutdown", ACTION_SHUTDOWN, false, false },
    { "destroy", ACTION_DESTROY, false, false }, { "mem-set", ACTION_MEM_SET, true, false },
    { "acts", ACTION_ACTS, true, false },        { "mem-max", ACTION_MEM_MAX, true, false },
    { "fail", ACTION_FAIL, true, true },         { "reserve", ACTION_RESERVE, true, true },
};

const char *scenario_event_key(size_t index)
{
    if (index < COUNT(event_keys))
        return event_keys[index].name;
    index -= COUNT(event_keys);
    return index < COUNT(actions) ? actions[index].name : NULL;
}

const char *scenario_action_name(enum action action)
{
    size_t i = 0;

    while (i < COUNT(actions) - 1 && actions[i].action != action)
        i++;
    return actions[i].name;
}

static int find_action(const char *name)
{
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (strcmp(actions[i].name, name) == 0)
            return (int)i;
    }
    return -ENOENT;
}

/* The first word without a value after the time: the guests. 0 when there is none. */
static size_t guests_word(const struct words *words)
{
    for (size_t i = 1; i < words->count; i++) {
        if (!words->word[i].value)
            return i;
    }
    return 0;
}

/* What happens: the one word that is an action, but that beside create the keys of a guest (need,
 * acts) are of the one that is created. 0 when there is none, or more than one. */
static size_t action_word(const struct words *words, size_t guests)
{
    size_t found = 0, create = 0, count = 0, others = 0;

    for (size_t i = 1; i < words->count; i++) {
        const char *name = words->word[i].name;

        if (i == guests || find_action(name) < 0)
            continue;
        found = i;
        count++;
        if (strcmp(name, "create") == 0)
            create = i;
        else if (strcmp(name, "need") != 0 && strcmp(name, "acts") != 0)
            others++;
    }
    if (create > 0)
        return others == 0 ? create : 0;
    return count == 1 ? found : 0;
}

static bool of_host(const struct scenario_event *event)
{
    return event->action == ACTION_FAIL || event->action == ACTION_RESERVE;
}

static void read_action(struct reader *reader, const struct words *words, size_t at,
                        struct scenario_event *event)
{
    const struct word *word = &words->word[at];
    int a = find_action(word->name);
    int r = 0;

    event->action = actions[a].action;
    if (actions[a].valued != (word->value != NULL)) {
        fault(reader, words->line, "%s %s value", word->name,
              actions[a].valued ? "needs a" : "takes no");
        return;
    }
    if (event->action == ACTION_FAIL) {
        int64_t percent = 0;

        r = units_parse_int(word->value, 0, 100, &percent);
        event->percent = (uint32_t)percent;
    } else if (event->action == ACTION_ACTS) {
        r = mischief_parse(word->value, &event->acts);
    } else if (actions[a].valued) {
        r = reader_range(KIND_SIZE, word->value, &event->low_kib, &event->high_kib);
    }
    if (r < 0)
        fault(reader, words->line, "%s=%s; expected %s", word->name, word->value,
              event->action == ACTION_FAIL   ? "a percentage, 0 to 100"
              : event->action == ACTION_ACTS ? MISCHIEF_EXPECTED
                                             : "a size such as 200M, or a range such as "
                                               "160M..240M");
    if (of_host(event) != (strcmp(event->guests, "host") == 0))
        fault(reader, words->line,
              "fail=PERCENT and reserve=SIZE are for the host, and all else for guests");
    if (event->for_ms > 0 && !actions[a].can_end)
        fault(reader, words->line, "%s cannot be taken back; expected no for=", word->name);
    if (event->over_ms > 0 && event->action != ACTION_NEED)
        fault(reader, words->line, "over=TIME is for need=SIZE");
}

static void read_when(struct reader *reader, const struct words *words,
                      struct scenario_event *event)
{
    if (reader_range(KIND_MS, words->word[0].name, &event->at_ms, &event->until_ms) < 0)
        fault(reader, words->line, "'%s'; expected when: a time such as 10s, or 20s..600s",
              words->word[0].name);
    else if ((event->until_ms > event->at_ms) != (event->every_ms > 0))
        fault(reader, words->line, "'%s'; expected a range of time and every=TIME, or neither",
              words->word[0].name);
    else if (event->every_ms > 0 && (event->until_ms - event->at_ms) / event->every_ms > TIMES_MAX)
        fault(reader, words->line, "'%s'; expected at most %d times", words->word[0].name,
              TIMES_MAX);
}

void reader_event(struct reader *reader, const struct words *words)
{
    struct scenario *scenario = reader->scenario;
    struct scenario_event event = { .line = words->line };
    size_t who = guests_word(words);
    size_t at = action_word(words, who);
    bool create = at > 0 && strcmp(words->word[at].name, "create") == 0;
    const char *guests = words->word[who].name;
    char all[EXPECT_SIZE];
    struct scenario_event *added;

    if (at == 0 || who == 0) {
        fault(reader, words->line,
              "expected a time, the guests, and what happens to them: one of "
              "need=SIZE, read=SIZE, stuck, loose, pause, unpause, create, shutdown, destroy, "
              "acts=WORDS, mem-set=SIZE, mem-max=SIZE, fail=PERCENT, reserve=SIZE");
        return;
    }
    if (strncmp(guests, "random ", 7) == 0) {
        event.random = true;
        guests += 7 + strspn(guests + 7, " ");
    }
    if (strlen(guests) >= sizeof(event.guests)) {
        fault(reader, words->line, "'%s' is too long", guests);
        return;
    }
    memcpy(event.guests, guests, strlen(guests) + 1);
    for (size_t i = 1; i < words->count && !create; i++) {
        if (i != at && i != who
            && !reader_take(reader, event_keys, COUNT(event_keys), words->line, &words->word[i],
                            &event))
            fault(reader, words->line, "'%s' is not known of an event; expected %s",
                  words->word[i].name, reader_all_of(scenario_event_key, all));
    }
    read_when(reader, words, &event);
    read_action(reader, words, at, &event);
    if (create && words->count > 3)
        reader_guest(reader, words, who);
    added = reader_grow(reader, (void **)&scenario->events, &scenario->event_count, sizeof(*added));
    if (added)
        *added = event;
}

void reader_check_events(struct reader *reader)
{
    const struct scenario *scenario = reader->scenario;

    for (size_t i = 0; i < scenario->event_count; i++) {
        const struct scenario_event *event = &scenario->events[i];

        if (!of_host(event) && !scenario_any(scenario, event->guests))
            fault(reader, event->line, "'%s' matches no guest", event->guests);
        if (event->at_ms > scenario->length_ms)
            fault(reader, event->line, "this would happen after the end");
    }
}
