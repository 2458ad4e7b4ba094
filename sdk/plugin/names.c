#include "sdk/plugin/names.h"

#include <ctype.h>
#include <string.h>

#include "sdk/plugin/writer.h"

/* The words that C and C++ reserve, up to C23 and C++20, as the alternative spellings of operators are, and macros that
 * compilers or the headers of the C library define, which a proto may use as a method's name. */
static const char reserved[] =
    " BIG_ENDIAN BYTE_ORDER CHAR_BIT EOF EXIT_FAILURE EXIT_SUCCESS FD_CLR FD_ISSET FD_SET FD_SETSIZE"
    " FD_ZERO LITTLE_ENDIAN NFDBITS NULL PDP_ENDIAN UTF8 WCONTINUED WEXITED WEXITSTATUS WIFCONTINUED"
    " WIFEXITED WIFSIGNALED WIFSTOPPED WNOHANG WNOWAIT WSTOPPED WSTOPSIG WTERMSIG WUNTRACED alignas"
    " alignof alloca and and_eq asm assert assert_perror auto be16toh be32toh be64toh bitand bitor bool"
    " break case catch char char16_t char32_t char8_t class co_await co_return co_yield compl complex"
    " concept const const_cast consteval constexpr constinit continue decltype default delete do double"
    " dynamic_cast else enum errno explicit export extern false float for friend goto htobe16 htobe32"
    " htobe64 htole16 htole32 htole64 i386 if inline int le16toh le32toh le64toh linux long mutable"
    " namespace new noexcept noreturn not not_eq nullptr offsetof operator or or_eq private protected"
    " public register reinterpret_cast requires restrict return short signed sizeof static static_assert"
    " static_cast stderr stdin stdout strdupa strndupa struct switch template this thread_local throw true"
    " try typedef typeid typename typeof typeof_unqual union unix unsigned using va_arg va_copy va_end"
    " va_start virtual void volatile wchar_t while xor xor_eq"
    " ";

/* The identifier that `name` begins with; 0: none. */
static size_t identifier_size(const char *name) {
    if (isdigit((unsigned char)*name)) return 0;
    size_t size = 0;
    while (isalnum((unsigned char)name[size]) || name[size] == '_') size++;
    return size;
}

bool name_is_full(const char *name) {
    for (;;) {
        const size_t size = identifier_size(name);
        if (size == 0 || name[size] == '\0') return size > 0;
        if (name[size] != '.') return false;
        name += size + 1;
    }
}

bool name_is_file(const char *name) {
    if (!isalpha((unsigned char)*name) && *name != '_') return false;
    for (const char *at = name; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("_./", *at) == NULL) return false;
    }
    const char *dot = strrchr(name, '.');
    return dot == NULL || strchr(dot, '/') == NULL;
}

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

/* What <stdint.h> and <limits.h> define: INT_MAX, SIZE_WIDTH, UINT64_C. */
static bool is_limit(const char *name) {
    static const char *const suffixes[] = {"_MAX", "_MIN", "_WIDTH", "_C"};
    const size_t size = strlen(name);
    for (size_t index = 0; index < sizeof suffixes / sizeof suffixes[0]; index++) {
        const size_t suffix_size = strlen(suffixes[index]);
        if (size > suffix_size && strcmp(name + size - suffix_size, suffixes[index]) == 0) return true;
    }
    return false;
}

bool name_is_reserved(const char *name) {
    const size_t size = strlen(name);
    if (size == 0) return false;
    for (const char *at = strstr(reserved, name); at != NULL; at = strstr(at + 1, name)) {
        if (at > reserved && at[-1] == ' ' && at[size] == ' ') return true;
    }
    return false;
}

const char *name_slot(upb_Arena *arena, const char *method) {
    return name_is_reserved(method) || is_limit(method) ? arena_format(arena, "%s_", method) : method;
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
