/* SPDX-License-Identifier: ISC */
/* What a guest may do to its neighbours and to the daemon, on purpose:
 *
 *   lie       posts that it is short of memory and stalls, whatever it has
 *   rubbish   posts what is no report, as much of it as the store takes
 *   nodes     makes a thousand nodes below and beside its post, and changes them
 *   storm     posts a good report as often as it can
 *   grab      asks its own balloon for all that it may ever have, again and again
 *   regain    obeys for two seconds, asks for all for two, and so on */
#ifndef TESTS_XEN_ATTACKS_H
#define TESTS_XEN_ATTACKS_H

/* Does so until the process is killed; returns when there is no such attack. */
void attacks_make(const char *name);

#endif
