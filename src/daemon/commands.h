/* SPDX-License-Identifier: ISC */
/* The commands of the socket. */
#ifndef BALLAST_COMMANDS_H
#define BALLAST_COMMANDS_H

#include <stdbool.h>

#include "daemon/control.h"
#include "util/json.h"

/* Why a request is not carried out: "class" and "desc" of the answer. */
struct fault {
    const char *class; /* a constant string */
    char desc[4096];
};

#define FAULT_UNKNOWN "CommandNotFound"
#define FAULT_ARGUMENT "BadArgument"
#define FAULT_REQUEST "BadRequest"
#define FAULT_DENIED "Denied"
#define FAULT_FAILED "Failed"

/* Sets both members. Returns -EINVAL, for the caller to return. */
int fault_set(struct fault *fault, const char *class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct command {
    const char *name;
    const char *summary;
    bool changes;   /* for root and the daemon's own user only */
    bool arguments; /* takes any; without it a request that has some is refused */

    /* Writes the value of "return" into json and returns 0; or sets *fault, writes nothing and
     * returns a negative errno. arguments is a map, or NULL when there are none. */
    int (*run)(struct control *control, struct control_peer *peer,
               const struct json_value *arguments, struct json *json, struct fault *fault);
};

/* NULL when there is none of this name. */
const struct command *command_find(const char *name);

#endif
