/* stock.h: stock levels by product, and the position up to which they are true, in one file.
 *
 * The file is replaced as a whole (write, fsync, rename), so levels and position always belong together: whoever is killed
 * goes on exactly where the file says.
 * Ownership: the stock owns its entries. Threads: one. */
#ifndef EXAMPLES_SHOP_STOCK_H
#define EXAMPLES_SHOP_STOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct stock_entry {
    char *code;
    int64_t level; /* since the shop opened with an empty store: returns minus sales */
};

struct stock {
    uint64_t position;
    struct stock_entry *entries; /* sorted by code */
    size_t entries_count;
    size_t capacity;
};

/* Reads the file; one that is not there is an empty stock. False: the message is printed, the stock is untouched. */
bool stock_load(struct stock *ret_stock, const char *path);
bool stock_save(const struct stock *stock, const char *path);
void stock_free(struct stock *stock);

/* False without memory, or for a code with a line break, which no line of the file could hold. */
bool stock_change(struct stock *stock, const char *code, int64_t difference);

/* Prints `CODE LEVEL` lines in the order of the codes. */
void stock_print(const struct stock *stock, FILE *out);

#endif
