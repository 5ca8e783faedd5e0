/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Replays files through a fuzz target, without libFuzzer: run_NAME FILE... */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Exactly as long as the file, so that a sanitizer sees a look behind its end. */
static int run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    struct stat st;

    if (!file || fstat(fileno(file), &st) < 0) {
        perror(path);
        if (file)
            (void)fclose(file);
        return 1;
    }
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    int failed = !data || fread(data, 1, size, file) != size;
    if (failed)
        perror(path);
    else
        (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    (void)fclose(file);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;

    for (int i = 1; i < argc; i++)
        failed |= run_file(argv[i]);
    return failed;
}
