#include "sdk/plugin/names.h"

#include <ctype.h>
#include <string.h>

#include "sdk/plugin/writer.h"

/* The words that C11 and C++17 reserve, and macros that headers or compilers define, which a proto may use as a method's
 * name. */
static const char *const reserved[] = {
    "alignas",   "alignof",  "and",      "and_eq",   "asm",           "auto",         "bitand",    "bitor",
    "bool",      "break",    "case",     "catch",    "char",          "class",        "compl",     "const",
    "constexpr", "continue", "decltype", "default",  "delete",        "do",           "double",    "else",
    "enum",      "explicit", "export",   "extern",   "false",         "float",        "for",       "friend",
    "goto",      "if",       "inline",   "int",      "long",          "mutable",      "namespace", "new",
    "noexcept",  "not",      "not_eq",   "nullptr",  "operator",      "or",           "or_eq",     "private",
    "protected", "public",   "register", "restrict", "return",        "short",        "signed",    "sizeof",
    "static",    "struct",   "switch",   "template", "this",          "throw",        "true",      "try",
    "typedef",   "typeid",   "typename", "union",    "unsigned",      "using",        "virtual",   "void",
    "volatile",  "while",    "xor",      "xor_eq",   "static_assert", "thread_local", "wchar_t",   "NULL",
    "EOF",       "assert",   "errno",    "stdin",    "stdout",        "stderr",       "linux",     "unix",
};

const char *name_full(upb_Arena *arena, upb_StringView package, upb_StringView name) {
    if (package.size == 0) return arena_format(arena, "%.*s", (int)name.size, name.data);
    return arena_format(arena, "%.*s.%.*s", (int)package.size, package.data, (int)name.size, name.data);
}

static char *replace_others(upb_Arena *arena, const char *text, bool capitals) {
    char *copy = arena_format(arena, "%s", text);
    for (char *at = copy; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at)) *at = '_';
        if (capitals) *at = (char)toupper((unsigned char)*at);
    }
    return copy;
}

const char *name_symbol(upb_Arena *arena, const char *full_name) {
    return replace_others(arena, full_name[0] == '.' ? full_name + 1 : full_name, false);
}

const char *name_slot(upb_Arena *arena, const char *method) {
    for (size_t index = 0; index < sizeof reserved / sizeof reserved[0]; index++) {
        if (strcmp(reserved[index], method) == 0) return arena_format(arena, "%s_", method);
    }
    return method;
}

const char *name_guard(upb_Arena *arena, const char *stem) {
    return arena_format(arena, "%s_GRPC_H_", replace_others(arena, stem, true));
}

const char *name_stem(upb_Arena *arena, const char *file) {
    const char *dot = strrchr(file, '.');
    const char *slash = strrchr(file, '/');
    if (dot == NULL || (slash != NULL && dot < slash)) return file;
    return arena_format(arena, "%.*s", (int)(dot - file), file);
}
