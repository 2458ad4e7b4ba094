#include "sdk/plugin/comment.h"

#include <ctype.h>
#include <string.h>

static bool is_followed_by(const char *at, const char *end, const char *text) {
    const size_t size = strlen(text);
    return (size_t)(end - at) > size && memcmp(at + 1, text, size) == 0;
}

/* What means something to C even in a comment is broken up by a space: its end, another one's beginning, and the trigraph
 * of a backslash. */
static bool is_broken_up(const char *at, const char *end) {
    return (*at == '*' && is_followed_by(at, end, "/")) || (*at == '/' && is_followed_by(at, end, "*")) ||
           (*at == '?' && is_followed_by(at, end, "?/"));
}

/* What begins a command, a tag, an entity, a link or a word that is not to be one. */
static bool is_special(const char *at, const char *end) {
    const bool word = at + 1 < end && (isalpha((unsigned char)at[1]) || at[1] == '_');
    switch (*at) {
    case '@':
    case '\\':
        return true;
    case '<':
        return word || is_followed_by(at, end, "/") || is_followed_by(at, end, "!");
    case '&':
        return word || is_followed_by(at, end, "#");
    case '#':
    case '%':
        return word;
    default:
        return false;
    }
}

/* The backtick that ends the code that begins at `at`; NULL: it begins none. */
static const char *code_end(const char *at, const char *end) {
    if (*at != '`' || at + 1 == end) return NULL;
    return memchr(at + 1, '`', (size_t)(end - at - 1));
}

static void write_line(struct writer *writer, const char *at, const char *end) {
    const char *code = NULL;
    for (; at < end; at++) {
        if (code == NULL)
            code = code_end(at, end);
        else if (at == code)
            code = NULL;
        if (*at == '\0') continue;
        if (code == NULL && is_special(at, end)) write_bytes(writer, "\\", 1);
        write_bytes(writer, at, 1);
        if (is_broken_up(at, end)) write_bytes(writer, " ", 1);
    }
}

static void write_lines(struct writer *writer, upb_StringView text, const char *indent) {
    const char *line = text.data;
    const char *end = text.data + text.size;
    for (bool first = true; line <= end; first = false) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL) stop = end;
        const char *last = stop;
        while (last > line && isspace((unsigned char)last[-1])) last--;
        while (line < last && *line == '/') line++; /* of a comment that began with more than two */
        if (!first) write_format(writer, "\n%s *", indent);
        if (line < last && *line != ' ') write_bytes(writer, " ", 1);
        write_line(writer, line, last);
        line = stop + 1;
    }
}

static upb_StringView without_first(upb_StringView text) {
    return upb_StringView_FromDataAndSize(text.data + 1, text.size - 1);
}

void write_comment(struct writer *writer, const struct comment *comment, const char *indent) {
    upb_StringView text = comment->text;
    if (text.size > 0 && text.data[0] == '*') text = without_first(text); /* of a block that began with two stars */
    while (text.size > 0 && text.data[0] == '\n') text = without_first(text);
    while (text.size > 0 && isspace((unsigned char)text.data[text.size - 1])) text.size--;
    if (text.size == 0 && comment->fallback == NULL && !comment->deprecated) return;
    write_format(writer, "%s/**", indent);
    if (text.size > 0)
        write_lines(writer, text, indent);
    else if (comment->fallback != NULL)
        write_format(writer, " %s", comment->fallback);
    if (comment->deprecated) {
        const bool alone = text.size == 0 && comment->fallback == NULL;
        if (!alone) write_format(writer, "\n%s *\n%s *", indent, indent);
        write_format(writer, " @deprecated Its proto says so.");
    }
    write_format(writer, " */\n");
}
