/* meta_page.h: the two meta pages of an LMDB 0.9 file, read past LMDB, which believes whatever is in them.
 *
 * They are the file's first two pages. Each has a page header of 16 bytes, then the commit's number and where its trees begin.
 * A commit writes the older one: an even commit the first page, an odd one the second. So the numbers of two whole pages are
 * neighbours and each is in its place; a file that was just made has 0 in both. Numbers are native.
 * Ownership: plain data. Threads: any. Errors: FAILURE_STORAGE, the file cannot be read. */
#ifndef SERVICE_STORE_META_PAGE_H
#define SERVICE_STORE_META_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/result.h"

/* What LMDB uses of the page. */
#define META_PAGE_BYTES   152
#define META_PAGE_VERSION 1u

struct meta_page {
    uint8_t bytes[META_PAGE_BYTES];
    uint16_t flags;
    uint32_t magic;
    uint32_t version;
    uint32_t page_bytes;
    uint64_t tables_page; /* the page that names the tables, as long as they fit one */
    uint64_t last_page;
    uint64_t transaction; /* the commit's number */
};

struct meta_page meta_page_parse(const uint8_t bytes[META_PAGE_BYTES]);

/* A file that ends before the page gives one that is not sound. */
MUST_USE result meta_page_read(int descriptor, uint64_t offset, struct meta_page *ret_meta);

/* Whether it is LMDB's, as far as the page alone can say. */
bool meta_page_is_sound(const struct meta_page *meta);

/* Whether both are sound and are those of two commits in a row, each in its place. */
bool meta_pages_agree(const struct meta_page *first, const struct meta_page *second);

#endif
