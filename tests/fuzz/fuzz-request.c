/* SPDX-License-Identifier: ISC */
/* Lines on the socket: whatever comes, there is one good answer to each. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/daemon-model.h"
#include "daemon/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(struct json *json)
{
    char error[128];
    size_t len;
    const char *text = json_text(json, &len);
    struct json_value *answer;

    assert(text && !memchr(text, '\n', len));
    answer = json_parse(text, error, sizeof(error));
    assert(answer && !json_get(answer, "return") != !json_get(answer, "error"));
    json_value_free(answer);
    json_free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct engine engine;
    struct control *control = model_start(&engine);
    struct control_peer peer = { .may_change = size % 4 != 0 };
    uint64_t next_ms;

    while (size > 0) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t len = newline ? (size_t)(newline - data) : size;
        char *line = malloc(len + 1);

        if (!line)
            abort();
        memcpy(line, data, len);
        line[len] = '\0';
        check_answer(control_answer(control, &peer, line, len));
        free(line);
        data += len + (newline != NULL);
        size -= len + (newline != NULL);
    }
    /* A policy that was set may be any program that there is: it must not be started. */
    if (!policy_command(engine.config.policy))
        (void)engine_round(&engine, &next_ms);
    engine_free(&engine);
    return 0;
}
