#include "examples/shop/stock.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POSITION_PREFIX "position "

static size_t place_of(const struct stock *stock, const char *code) {
    size_t low = 0;
    size_t high = stock->entries_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (strcmp(stock->entries[middle].code, code) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool entry_insert(struct stock *stock, size_t place, const char *code) {
    if (stock->entries_count == stock->capacity) {
        const size_t capacity = stock->capacity == 0 ? 64 : stock->capacity * 2;
        struct stock_entry *grown = realloc(stock->entries, capacity * sizeof *grown);
        if (grown == NULL) return false;
        stock->entries = grown;
        stock->capacity = capacity;
    }
    char *copy = strdup(code);
    if (copy == NULL) return false;
    memmove(&stock->entries[place + 1], &stock->entries[place],
            (stock->entries_count - place) * sizeof *stock->entries);
    stock->entries[place] = (struct stock_entry){.code = copy};
    stock->entries_count++;
    return true;
}

bool stock_change(struct stock *stock, const char *code, int64_t difference) {
    if (strchr(code, '\n') != NULL) return false;
    const size_t place = place_of(stock, code);
    if (place == stock->entries_count || strcmp(stock->entries[place].code, code) != 0) {
        if (!entry_insert(stock, place, code)) return false;
    }
    stock->entries[place].level += difference;
    return true;
}

void stock_print(const struct stock *stock, FILE *out) {
    for (size_t index = 0; index < stock->entries_count; index++) {
        (void)fprintf(out, "%s %" PRId64 "\n", stock->entries[index].code, stock->entries[index].level);
    }
}

/* A whole number at the end of a line. */
static bool number_read(const char *text, int64_t *ret_number) {
    char *end;
    errno = 0;
    *ret_number = strtoll(text, &end, 10);
    return (isdigit((unsigned char)text[0]) || text[0] == '-') && end != text && *end == '\0' && errno == 0;
}

/* `CODE LEVEL`: the level follows the last space, because a code may have some. */
static bool entry_read(struct stock *stock, char *line) {
    char *space = strrchr(line, ' ');
    int64_t level;
    if (space == NULL || !number_read(space + 1, &level)) return false;
    *space = '\0';
    return stock_change(stock, line, level);
}

static bool lines_read(struct stock *stock, FILE *file) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    bool has_position = false;
    bool good = true;
    while (good && (size = getline(&line, &capacity, file)) >= 0) {
        good = strlen(line) == (size_t)size && line[size - 1] == '\n'; /* A file that was cut off ends without one. */
        if (!good) break;
        line[size - 1] = '\0';
        int64_t position;
        if (has_position) {
            good = entry_read(stock, line);
        } else if (strncmp(line, POSITION_PREFIX, strlen(POSITION_PREFIX)) == 0) {
            good = number_read(line + strlen(POSITION_PREFIX), &position) && position >= 0;
            if (good) stock->position = (uint64_t)position;
            has_position = true;
        } else {
            good = false;
        }
    }
    free(line);
    return good && has_position && !ferror(file);
}

bool stock_load(struct stock *ret_stock, const char *path) {
    struct stock stock = {0};
    FILE *file = fopen(path, "r");
    if (file == NULL && errno != ENOENT) {
        (void)fprintf(stderr, "inventory: %s: %s\n", path, strerror(errno));
        return false;
    }
    const bool good = file == NULL || lines_read(&stock, file);
    if (file != NULL) (void)fclose(file);
    if (!good) {
        (void)fprintf(stderr, "inventory: %s is no stock file\n", path);
        stock_free(&stock);
        return false;
    }
    *ret_stock = stock;
    return true;
}

bool stock_save(const struct stock *stock, const char *path) {
    char temporary[PATH_MAX];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary) {
        (void)fprintf(stderr, "inventory: %s: %s\n", path, strerror(ENAMETOOLONG));
        return false;
    }
    FILE *file = fopen(temporary, "w");
    bool good = file != NULL;
    if (good) {
        (void)fprintf(file, POSITION_PREFIX "%" PRIu64 "\n", stock->position);
        stock_print(stock, file);
        good = fflush(file) == 0 && fsync(fileno(file)) == 0;
        good = fclose(file) == 0 && good;
    }
    good = good && rename(temporary, path) == 0;
    if (!good) (void)fprintf(stderr, "inventory: %s cannot be written: %s\n", path, strerror(errno));
    return good;
}

void stock_free(struct stock *stock) {
    for (size_t index = 0; index < stock->entries_count; index++) free(stock->entries[index].code);
    free(stock->entries);
    *stock = (struct stock){0};
}
