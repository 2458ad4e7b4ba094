/* flags.h: the flags of gRPC's interoperability programs, `--name=value` or `--name value`.
 *
 * Ownership: values point into argv. Threads: one. Errors: said on standard error, false. */
#ifndef TESTS_INTEROP_FLAGS_H
#define TESTS_INTEROP_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

/* Where the value of one flag goes: a text, or a bool, which needs no value. */
struct flag {
    const char *name;
    const char **ret_text;
    bool *ret_bool;
};

bool flags_parse(int argc, char **argv, const struct flag *flags, size_t flags_count);

#endif
