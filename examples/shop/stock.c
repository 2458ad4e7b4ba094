#include "examples/shop/stock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CODE_BYTES_MAX 255

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

bool stock_load(struct stock *ret_stock, const char *path) {
    *ret_stock = (struct stock){0};
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        if (errno == ENOENT) return true;
        (void)fprintf(stderr, "inventory: %s: %s\n", path, strerror(errno));
        return false;
    }
    char code[CODE_BYTES_MAX + 1];
    int64_t level;
    bool good = fscanf(file, "position %" SCNu64 "\n", &ret_stock->position) == 1;
    while (good && fscanf(file, "%255s %" SCNd64 "\n", code, &level) == 2) good = stock_change(ret_stock, code, level);
    if (!feof(file)) good = false;
    (void)fclose(file);
    if (!good) (void)fprintf(stderr, "inventory: %s is no stock file\n", path);
    return good;
}

bool stock_save(const struct stock *stock, const char *path) {
    char temporary[4096];
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *file = fopen(temporary, "w");
    bool good = file != NULL;
    if (good) {
        (void)fprintf(file, "position %" PRIu64 "\n", stock->position);
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
