/* pages.h: lists come in pages (AIP-158).
 *
 * A page token is the name of the list, a colon and the name of the last entry: a page continues by name, so nothing is
 * there twice whatever is stored meanwhile. To clients it is opaque.
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

/* The token of the page after `last`; empty without memory. */
upb_StringView page_token_new(const char *list, struct bytes last, upb_Arena *arena);

#endif
