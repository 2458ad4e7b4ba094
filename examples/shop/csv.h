/* csv.h: one record of comma-separated values at a time (RFC 4180): quotes, doubled quotes, line breaks inside quotes.
 *
 * Text that is no UTF-8 is taken for Latin-1 and converted, because real exports are like that.
 * Ownership: the reader owns the record, which is valid until the next read. Threads: one. */
#ifndef EXAMPLES_SHOP_CSV_H
#define EXAMPLES_SHOP_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CSV_FIELDS_COUNT_MAX 32
#define CSV_RECORD_BYTES_MAX 65536

struct csv {
    FILE *file;
    size_t line; /* where the record begins, from 1 */
    size_t lines_read;
    size_t fields_count;
    const char *fields[CSV_FIELDS_COUNT_MAX]; /* terminated UTF-8 */
    const char *error;                        /* why the last read failed; NULL at the end of the file */
    char text[CSV_RECORD_BYTES_MAX];
};

void csv_init(struct csv *csv, FILE *file);

/* Reads the next record. False: the end, or an error, after which there is nothing more to read. */
bool csv_read(struct csv *csv);

#endif
