/* SPDX-License-Identifier: ISC */
/* The three descriptors that every program is started with. */
#ifndef BALLAST_DESCRIPTORS_H
#define BALLAST_DESCRIPTORS_H

/* Takes the places of standard input, output and error that we were started without, so that no
 * file or socket that is opened later gets one of them, with what is printed. Reading the one and
 * writing to the others goes on failing. Called before anything is opened. */
void descriptors_fill(void);

#endif
