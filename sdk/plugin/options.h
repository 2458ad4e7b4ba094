/* options.h: what a user asks for with --grpc-c_opt=NAME=VALUE, and several with commas or again.
 *
 * Ownership: texts are the arena's. Threads: one. Errors: a text that says which option is wrong and which there are. */
#ifndef SDK_PLUGIN_OPTIONS_H
#define SDK_PLUGIN_OPTIONS_H

#include <stdbool.h>

#include "upb/upb.h"

struct options {
    bool client;                /* the half that calls */
    bool server;                /* the half that answers */
    bool descriptors;           /* what reflection serves */
    const char *include_prefix; /* "" or a folder with its '/', before the generated headers' names */
};

/* What there is without any option: everything. */
extern const struct options options_default;

/* The options, one a line, for people. */
extern const char options_help[];

/* `parameter` is protoc's: NAME=VALUE with commas between. NULL, or what is wrong; `ret_options` is untouched then. */
const char *options_parse(upb_StringView parameter, upb_Arena *arena, struct options *ret_options);

#endif
