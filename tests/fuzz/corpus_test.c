/* Runs a fuzz target over its committed corpus, so that neither rots. CORPUS names its folder. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX (1u << 20)
#define PATH_BYTES      512

static void run(const char *path) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    uint8_t *buffer = malloc(INPUT_BYTES_MAX);
    cr_assert_not_null(buffer);
    const size_t size = fread(buffer, 1, INPUT_BYTES_MAX, file);
    (void)fclose(file);
    /* In memory of just its size, so that a sanitizer sees a step beyond it. */
    uint8_t *input = malloc(size > 0 ? size : 1);
    cr_assert_not_null(input);
    memcpy(input, buffer, size);
    free(buffer);
    cr_assert_eq(LLVMFuzzerTestOneInput(input, size), 0, "%s", path);
    free(input);
}

Test(corpus, every_input_passes) {
    DIR *folder = opendir(CORPUS);
    cr_assert_not_null(folder, "%s", CORPUS);
    unsigned inputs_count = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] == '.') continue;
        char path[PATH_BYTES];
        (void)snprintf(path, sizeof path, "%s/%s", CORPUS, entry->d_name);
        run(path);
        inputs_count++;
    }
    (void)closedir(folder);
    cr_assert_gt(inputs_count, 10, "the corpus is not where it should be");
}

Test(corpus, nothing_is_an_input_too) {
    cr_assert_eq(LLVMFuzzerTestOneInput((const uint8_t *)"", 0), 0);
}
