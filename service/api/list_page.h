/* list_page.h: a page of names from the catalogue, for the lists of streams, types and tags.
 *
 * Ownership: what it holds lives in the call's arena. Threads: the lists' thread. */
#ifndef SERVICE_API_LIST_PAGE_H
#define SERVICE_API_LIST_PAGE_H

#include "service/api/pages.h"
#include "service/store/index_names.h"

/* What the three requests have in common. */
struct list_request {
    const char *list; /* what its tokens are of */
    enum term_kind kind;
    upb_StringView prefix;
    uint32_t page_size;
    upb_StringView page_token;
};

struct list_page {
    uint32_t count;
    upb_StringView *names; /* copies */
    struct name_figures *figures;
    upb_StringView next_page_token; /* empty: there are no more */
};

/* A prefix is empty or what a name could be. */
void validate_prefix(struct validation *validation, upb_StringView prefix);

/* False: a field is wrong, or it failed; the call has ended with that. */
bool list_page_take(struct index *index, const struct list_request *request, daybook_server_call *call,
                    struct list_page *ret_page);

#endif
