#include "tests/interop/flags.h"

#include <stdio.h>
#include <string.h>

static const struct flag *find(const struct flag *flags, size_t flags_count, const char *name, size_t name_size) {
    for (size_t index = 0; index < flags_count; index++) {
        if (strlen(flags[index].name) == name_size && memcmp(flags[index].name, name, name_size) == 0)
            return &flags[index];
    }
    return NULL;
}

static bool set_bool(const struct flag *flag, const char *value) {
    *flag->ret_bool = value == NULL || strcmp(value, "true") == 0;
    if (*flag->ret_bool || strcmp(value, "false") == 0) return true;
    fprintf(stderr, "--%s is true or false\n", flag->name);
    return false;
}

bool flags_parse(int argc, char **argv, const struct flag *flags, size_t flags_count) {
    for (int index = 1; index < argc; index++) {
        const char *argument = argv[index];
        if (strncmp(argument, "--", 2) != 0) {
            fprintf(stderr, "%s is no flag\n", argument);
            return false;
        }
        const char *name = argument + 2;
        const char *equals = strchr(name, '=');
        const size_t name_size = equals == NULL ? strlen(name) : (size_t)(equals - name);
        const struct flag *flag = find(flags, flags_count, name, name_size);
        if (flag == NULL) {
            fprintf(stderr, "%s is unknown\n", argument);
            return false;
        }
        const char *value = equals == NULL ? NULL : equals + 1;
        if (flag->ret_bool != NULL) {
            if (!set_bool(flag, value)) return false;
            continue;
        }
        if (value == NULL && index + 1 < argc) value = argv[++index];
        if (value == NULL) {
            fprintf(stderr, "%s needs a value\n", argument);
            return false;
        }
        *flag->ret_text = value;
    }
    return true;
}
