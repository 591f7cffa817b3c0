/* SPDX-License-Identifier: ISC */
/* Stands in for libFuzzer where it is not there: gives each file of a folder to the fuzz target.
 * usage: replay-NAME FOLDER */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1024 * 1024)

static int replay(const char *folder, const char *name)
{
    char path[4096];
    uint8_t *data = malloc(INPUT_MAX);
    size_t size = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (file && data)
        size = fread(data, 1, INPUT_MAX, file);
    if (file)
        fclose(file);
    if (!file || !data) {
        free(data);
        return -1;
    }
    /* A copy of just this size, so that a sanitizer sees one byte too much. */
    data = realloc(data, size ? size : 1);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    unsigned inputs = 0;

    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        if (replay(argv[1], entry->d_name) < 0) {
            perror(entry->d_name);
            return 1;
        }
        inputs++;
    }
    closedir(folder);
    if (inputs == 0) {
        fprintf(stderr, "%s has no input\n", argv[1]);
        return 1;
    }
    printf("%u inputs\n", inputs);
    return 0;
}
