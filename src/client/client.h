/* SPDX-License-Identifier: ISC */
/* ballast: the subcommands, one main each. */
#ifndef BALLAST_CLIENT_H
#define BALLAST_CLIENT_H

#include <stdbool.h>

/* Exit statuses. */
#define EXIT_TROUBLE 3 /* `status`: the host is in trouble; the daemon is well */

/* Where the daemon listens: --socket. */
extern const char *client_socket;

/* Each gets its own arguments, argv[0] being its name, and returns the exit status. */
int status_main(int argc, char **argv);
int top_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int set_main(int argc, char **argv);
int events_main(int argc, char **argv);
int reload_main(int argc, char **argv);
int check_main(int argc, char **argv);
int simulate_main(int argc, char **argv);
int reserve_main(int argc, char **argv);
int release_main(int argc, char **argv);

/* Says on standard error where the help is. Returns EXIT_USAGE. */
int client_try_help(const char *command);

/* For subcommands that take no options but --json and --help, and at most arguments_max arguments:
 * reads them, prints help. Returns -1 to go on with the arguments from optind, or the exit
 * status. */
int client_options(int argc, char **argv, const char *help, int arguments_max, bool *json);

#endif
