#include "examples/shop/csv.h"

#include <stdint.h>
#include <string.h>

void csv_init(struct csv *csv, FILE *file) {
    *csv = (struct csv){.file = file};
}

/* The second byte of the characters that begin with these: neither a longer form of a shorter character, nor a surrogate,
 * nor beyond U+10FFFF (Unicode 15, table 3-7). Every other one is 0x80 to 0xbf. */
static bool second_is_good(unsigned char first, unsigned char second) {
    switch (first) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second < 0xa0;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second < 0x90;
    default:
        return true;
    }
}

/* The length of a valid UTF-8 character at `at`, 0 when there is none. */
static size_t character_size(const unsigned char *at) {
    const size_t size = at[0] < 0x80                    ? 1
                        : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                        : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                        : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                                        : 0;
    for (size_t index = 1; index < size; index++) {
        if ((at[index] & 0xc0) != 0x80) return 0;
    }
    return size > 1 && !second_is_good(at[0], at[1]) ? 0 : size;
}

static bool is_utf8(const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        const size_t size = character_size(at);
        if (size == 0) return false;
        at += size;
    }
    return true;
}

/* Collects the characters of a record into `text`, which fields point into. */
struct builder {
    struct csv *csv;
    size_t used;
    bool full;
};

static void put(struct builder *builder, int byte) {
    if (builder->used == sizeof builder->csv->text) {
        builder->full = true;
        return;
    }
    builder->csv->text[builder->used++] = (char)byte;
}

/* Rewrites a Latin-1 field behind itself as UTF-8: every byte above 0x7f becomes two. */
static const char *latin1_convert(struct builder *builder, size_t first) {
    const size_t end = builder->used;
    for (size_t index = first; index < end; index++) {
        const unsigned char byte = (unsigned char)builder->csv->text[index];
        if (byte >= 0x80) put(builder, 0xc0 | byte >> 6);
        put(builder, byte >= 0x80 ? 0x80 | (byte & 0x3f) : byte);
    }
    return builder->csv->text + end;
}

static int fail(struct csv *csv, const char *error) {
    csv->error = error;
    return 0;
}

static void field_end(struct builder *builder, size_t *first) {
    struct csv *csv = builder->csv;
    put(builder, '\0');
    if (builder->full || csv->fields_count == CSV_FIELDS_COUNT_MAX) {
        builder->full = true;
        return;
    }
    const char *field = csv->text + *first;
    if (!is_utf8(field)) field = latin1_convert(builder, *first);
    csv->fields[csv->fields_count++] = field;
    *first = builder->used;
}

/* Reads one field and returns what ended it: ',', '\n' or EOF; 0 and the error when it is none. */
static int field_read(struct builder *builder) {
    struct csv *csv = builder->csv;
    bool quoted = false;
    for (;;) {
        const int byte = getc(csv->file);
        if (byte == EOF && ferror(csv->file)) return fail(csv, "the file cannot be read");
        if (byte == EOF) return quoted ? fail(csv, "a quote is never closed") : EOF;
        if (byte == '\0') return fail(csv, "there is a byte 0, which no text has");
        if (byte == '\n') csv->lines_read++;
        if (byte == '"') {
            const int next = quoted ? getc(csv->file) : EOF;
            if (quoted && next == '"') {
                put(builder, '"');
                continue;
            }
            if (quoted && next != EOF) (void)ungetc(next, csv->file);
            quoted = !quoted;
        } else if (!quoted && (byte == ',' || byte == '\n')) {
            return byte;
        } else if (quoted || byte != '\r') {
            put(builder, byte);
        }
    }
}

bool csv_read(struct csv *csv) {
    struct builder builder = {.csv = csv};
    size_t first = 0;
    csv->fields_count = 0;
    csv->line = csv->lines_read + 1;
    csv->error = NULL;
    for (;;) {
        const int end = field_read(&builder);
        if (end == 0 || (end == EOF && csv->fields_count == 0 && builder.used == 0)) return false;
        field_end(&builder, &first);
        if (builder.full) {
            csv->error = "the line is too long or has too many fields";
            return false;
        }
        if (end != ',') return true;
    }
}
