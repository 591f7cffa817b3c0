/* SPDX-License-Identifier: ISC */
/* Files in the syntax of xl.conf, read with libxlutil, with the line of each setting and list item
 * (which libxlutil does not tell) for error messages. Used for the configuration and scenarios. */
#ifndef BALLAST_CFGFILE_H
#define BALLAST_CFGFILE_H

#include <stddef.h>
#include <stdio.h>

struct cfgfile;

/* Reads a file; faults of syntax are printed to `report` as "FILE:LINE: ...". Returns 0 or a
 * negative errno (-EINVAL for syntax; nothing of the file can be had then). A setting that stands
 * twice is a fault, and the last one counts; "+=" adds to a list or string. The caller frees
 * *ret_file with cfgfile_free(). */
int cfgfile_read(const char *file, FILE *report, struct cfgfile **ret_file);
void cfgfile_free(struct cfgfile *file); /* NULL is fine */

/* The keys in the order of the file; NULL after the last. *ret_line: where it stands. */
const char *cfgfile_key(const struct cfgfile *file, size_t index, int *ret_line);

/* A setting that is a string or a number, as text; NULL when it is not there or is a list. */
const char *cfgfile_string(const struct cfgfile *file, const char *key, int *ret_line);

/* The number of items of a setting that is a list of strings; -ENOENT when it is not there,
 * -EINVAL when it is no list. */
int cfgfile_list(const struct cfgfile *file, const char *key);
const char *cfgfile_item(const struct cfgfile *file, const char *key, int index, int *ret_line);

/* Splits "name, key=value, key=value" in place: returns the next word without the spaces around it,
 * or NULL at the end; *value is NULL for a word without '='. */
char *cfgfile_word(char **cursor, char **ret_value);

/* Prints "FILE:LINE: ..." (line 0: "FILE: ...") and a newline to the report that was given to
 * cfgfile_read(), and counts it. */
void cfgfile_fault(struct cfgfile *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int cfgfile_faults(const struct cfgfile *file);

#endif
