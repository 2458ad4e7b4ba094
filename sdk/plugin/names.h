/* names.h: every rule by which names of protos become names of C.
 *
 *   a type or service     its full name, dots as underscores           daybook.v1.Event -> daybook_v1_Event
 *   functions of a method service's name, '_', method's name            daybook_v1_EventStore_Append
 *   a handler's slot      the method's name; a '_' is added to a word that C or C++ reserves or a header defines
 *   an include guard      the file's name in capitals, other characters as underscores
 *
 * Types follow upb's generator, so that both speak of the same C types. Names that would clash after these rules are errors
 * (identifiers.h), never silent renames. README.md has the rules for users.
 * Ownership: results live in the arena. Threads: one. */
#ifndef SDK_PLUGIN_NAMES_H
#define SDK_PLUGIN_NAMES_H

#include <stdbool.h>

#include "upb/upb.h"

/* Whether it is "Svc" or "pkg.v1.Svc": letters, digits and '_' between dots, and no digit first. */
bool name_is_full(const char *name);

/* Whether upb's generator makes C of a file of this name: it takes '/' and '.' for '_', and all else as it is. */
bool name_is_file(const char *name);

/* "pkg.v1", "Svc" -> "pkg.v1.Svc"; without a package just the name. */
const char *name_full(upb_Arena *arena, upb_StringView package, upb_StringView name);

/* ".pkg.v1.Svc" or "pkg.v1.Svc" -> "pkg_v1_Svc" */
const char *name_symbol(upb_Arena *arena, const char *full_name);

/* Whether C or C++ reserve the word, or it is among the macros that compilers and the headers of the C library define. */
bool name_is_reserved(const char *name);

/* The slot of a method in the handlers' struct: a name that is reserved, or ends as limits do (INT_MAX), gets a '_'. */
const char *name_slot(upb_Arena *arena, const char *method);

/* "a/b-c.proto" -> "A_B_C_GRPC_H_" */
const char *name_guard(upb_Arena *arena, const char *stem);

/* "a/b.proto" -> "a/b" */
const char *name_stem(upb_Arena *arena, const char *file);

#endif
