/* list.h: lists that the server gives in pages: each page is printed before the next is asked for.
 *
 * Ownership: a page lives in the arena that the body is given, until the body has returned. Threads: the main thread.
 * Errors: exit codes, as everywhere in this folder. */
#ifndef SDK_CLI_LIST_H
#define SDK_CLI_LIST_H

#include "daybook/v1/event_store.upb.h"
#include "sdk/cli/common.h"

struct list_options {
    struct common common;
    const char *prefix; /* NULL: all names */
    uint64_t limit;     /* 0: none */
};

/* --limit and the shared options; list_argp with [PREFIX]. Their input is the `struct list_options`. */
extern const struct argp list_limit_argp;
extern const struct argp list_argp;

/* The prefix as a request has it. */
upb_StringView list_prefix(const struct list_options *options);

/* A page: what to ask for, and what has come. */
struct list_page {
    uint32_t size;
    upb_StringView token;
    uint64_t items_count;      /* set by the body: printed ones */
    upb_StringView next_token; /* set by the body: empty after the last page */
};

/* Asks for the page and prints it. 0, or the exit code. */
typedef int list_body(const struct list_options *options, daybook_client *client, upb_Arena *arena,
                      struct list_page *page, void *context);

/* Runs the body for page after page. Returns the exit code. */
int list_run(const struct list_options *options, daybook_client *client, list_body *body, void *context);

/* Prints how often a type or tag occurs. False without memory. */
bool list_print_name(const daybook_v1_NameCount *name, bool json);

#endif
