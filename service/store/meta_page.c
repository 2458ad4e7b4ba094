#include "service/store/meta_page.h"

#include <string.h>
#include <unistd.h>

/* Offsets from the start of the page. */
enum {
    FLAGS_OFFSET = 10, /* 2 bytes of the page header */
    MAGIC_OFFSET = 16,
    VERSION_OFFSET = 20,
    PAGE_BYTES_OFFSET = 40,
    TABLES_PAGE_OFFSET = 128,
    LAST_PAGE_OFFSET = 136,
    TRANSACTION_OFFSET = 144,
};
#define META_FLAG      0x08u
#define META_MAGIC     0xBEEFC0DEu
#define PAGE_BYTES_MIN 256u
#define PAGE_BYTES_MAX 65536u

struct meta_page meta_page_parse(const uint8_t bytes[META_PAGE_BYTES]) {
    struct meta_page meta;
    memcpy(meta.bytes, bytes, sizeof meta.bytes);
    memcpy(&meta.flags, bytes + FLAGS_OFFSET, sizeof meta.flags);
    memcpy(&meta.magic, bytes + MAGIC_OFFSET, sizeof meta.magic);
    memcpy(&meta.version, bytes + VERSION_OFFSET, sizeof meta.version);
    memcpy(&meta.page_bytes, bytes + PAGE_BYTES_OFFSET, sizeof meta.page_bytes);
    memcpy(&meta.tables_page, bytes + TABLES_PAGE_OFFSET, sizeof meta.tables_page);
    memcpy(&meta.last_page, bytes + LAST_PAGE_OFFSET, sizeof meta.last_page);
    memcpy(&meta.transaction, bytes + TRANSACTION_OFFSET, sizeof meta.transaction);
    return meta;
}

result meta_page_read(int descriptor, uint64_t offset, struct meta_page *ret_meta) {
    uint8_t bytes[META_PAGE_BYTES] = {0};
    if (pread(descriptor, bytes, sizeof bytes, (off_t)offset) < 0) return failure_result(FAILURE_STORAGE);
    *ret_meta = meta_page_parse(bytes);
    return RESULT_OK;
}

bool meta_page_is_sound(const struct meta_page *meta) {
    return (meta->flags & META_FLAG) != 0 && meta->magic == META_MAGIC && meta->page_bytes >= PAGE_BYTES_MIN &&
           meta->page_bytes <= PAGE_BYTES_MAX && (meta->page_bytes & (meta->page_bytes - 1)) == 0;
}

bool meta_pages_agree(const struct meta_page *first, const struct meta_page *second) {
    if (!meta_page_is_sound(first) || !meta_page_is_sound(second)) return false;
    if (first->version != second->version || first->page_bytes != second->page_bytes) return false;
    if (first->transaction == 0 && second->transaction == 0) return true;
    const bool is_in_place = first->transaction % 2 == 0 && second->transaction % 2 == 1;
    const bool are_neighbours =
        first->transaction + 1 == second->transaction || second->transaction + 1 == first->transaction;
    return is_in_place && are_neighbours;
}
