/* SPDX-License-Identifier: ISC */
/* The three descriptors that every program is started with. */
#ifndef BALLAST_DESCRIPTORS_H
#define BALLAST_DESCRIPTORS_H

/* Takes the places of standard input, output and error that we were started without, so that no
 * file or socket that is opened later gets one of them, with what is printed. Reading the one and
 * writing to the others goes on failing. Called before anything is opened. */
void descriptors_fill(void);

/* Called last: what could not be written to standard output, to a full disk say, was not shown.
 * Returns status, or EXIT_FAILURE with a line on standard error that begins with the program's
 * name. */
int descriptors_shown(const char *program, int status);

#endif
