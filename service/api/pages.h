/* pages.h: lists come in pages (AIP-158).
 *
 * A page token is text that is opaque to clients:
 *   LIST:LAST              the name of the list and that of the last entry; a page continues by name, so nothing is there
 *                          twice whatever is stored meanwhile
 *   LIST/SIZE:LAST         the same of a list by prefix; the prefix is the first SIZE (decimal) bytes of LAST
 *   LIST@HEAD/NEXT:PREFIX  of a list by position: it began at HEAD and goes on, downward, with the position NEXT
 * Ownership: as said. Threads: any. */
#ifndef SERVICE_API_PAGES_H
#define SERVICE_API_PAGES_H

#include "service/api/validate.h"
#include "service/base/bytes.h"

/* How many entries a page has when so many are asked for. */
uint32_t page_size_of(uint32_t asked);

/* The name after which the page begins; empty: at the beginning. A token that is none of this list is a violation. The name
 * is a view of the token. */
struct bytes page_after(struct validation *validation, const char *list, upb_StringView token);
/* The same of a list by prefix; a token of another prefix is a violation, too. */
struct bytes page_after_prefix(struct validation *validation, const char *list, struct bytes prefix,
                               upb_StringView token);

/* The token of the page after `last`; empty without memory. */
upb_StringView page_token_new(const char *list, struct bytes last, upb_Arena *arena);
/* `last` begins with the prefix. */
upb_StringView page_token_of_prefix(const char *list, struct bytes prefix, struct bytes last, upb_Arena *arena);

/* Where a list by position goes on; head 0: at the beginning. */
struct page_place {
    uint64_t head;
    uint64_t next; /* 1 to head */
};
struct page_place page_place_of(struct validation *validation, const char *list, struct bytes prefix,
                                upb_StringView token);
upb_StringView page_token_of_place(const char *list, struct bytes prefix, struct page_place place, upb_Arena *arena);

#endif
