#include "sdk/cli/list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/cli/json.h"
#include "sdk/cli/print.h"

enum { KEY_LIMIT = 0x500 };

/* The largest page that the server gives (daybook/v1/event_store.proto). */
#define PAGE_SIZE_MAX 1000

static error_t limit_parse(int key, char *argument, struct argp_state *state) {
    struct list_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->common;
        return 0;
    case KEY_LIMIT:
        options->limit = common_number(state, argument, "--limit");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t prefix_parse(int key, char *argument, struct argp_state *state) {
    struct list_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = options;
        return 0;
    case ARGP_KEY_ARG:
        if (options->prefix != NULL) argp_error(state, "only one prefix can be given; \"%s\" is too much", argument);
        options->prefix = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option limit_options[] = {
    {"limit", KEY_LIMIT, "COUNT", 0, "at most so many", 0},
    {0},
};
static const struct argp_child limit_children[] = {{&common_argp, 0, NULL, 0}, {0}};
const struct argp list_limit_argp = {.options = limit_options, .parser = limit_parse, .children = limit_children};

static const struct argp_child prefix_children[] = {{&list_limit_argp, 0, NULL, 0}, {0}};
const struct argp list_argp = {.parser = prefix_parse, .args_doc = "[PREFIX]", .children = prefix_children};

upb_StringView list_prefix(const struct list_options *options) {
    return upb_StringView_FromString(options->prefix == NULL ? "" : options->prefix);
}

/* What is kept between two pages. */
struct progress {
    uint64_t items_left;
    char *token; /* on the heap; NULL for the first page */
    size_t token_size;
    bool done;
};

static int token_keep(struct progress *progress, upb_StringView token) {
    if (token.size == progress->token_size && memcmp(token.data, progress->token, token.size) == 0) {
        (void)fputs("daybook: the server gives the same page again and again\n", stderr);
        return EXIT_REFUSED;
    }
    char *copy = malloc(token.size);
    if (copy == NULL) return common_out_of_memory();
    memcpy(copy, token.data, token.size);
    free(progress->token);
    progress->token = copy;
    progress->token_size = token.size;
    return 0;
}

static int page_run(const struct list_options *options, daybook_client *client, list_body *body, void *context,
                    struct progress *progress) {
    upb_Arena *arena = upb_Arena_New();
    if (arena == NULL) return common_out_of_memory();
    struct list_page page = {
        .size = (uint32_t)(progress->items_left < PAGE_SIZE_MAX ? progress->items_left : PAGE_SIZE_MAX),
        .token = upb_StringView_FromDataAndSize(progress->token, progress->token_size),
    };
    int code = body(options, client, arena, &page, context);
    if (code == 0 && (fflush(stdout) != 0 || ferror(stdout))) code = EXIT_OUTPUT;
    progress->items_left -= page.items_count < progress->items_left ? page.items_count : progress->items_left;
    progress->done = page.next_token.size == 0 || progress->items_left == 0;
    if (code == 0 && !progress->done) code = token_keep(progress, page.next_token);
    upb_Arena_Free(arena);
    return code;
}

int list_run(const struct list_options *options, daybook_client *client, list_body *body, void *context) {
    struct progress progress = {.items_left = options->limit == 0 ? UINT64_MAX : options->limit};
    int code = 0;
    while (code == 0 && !progress.done) code = page_run(options, client, body, context, &progress);
    free(progress.token);
    return code;
}

bool list_print_name(const daybook_v1_NameCount *name, bool json) {
    const uint64_t events_count = daybook_v1_NameCount_events_count(name);
    const uint64_t last_position = daybook_v1_NameCount_last_position(name);
    if (json) {
        json_t *object = json_object();
        json_add(object, "name", json_text(daybook_v1_NameCount_name(name)));
        json_add(object, "events_count", json_number(events_count));
        json_add(object, "last_position", json_number(last_position));
        return json_line(object);
    }
    (void)printf("%10" PRIu64 "  ", events_count);
    print_plain(stdout, daybook_v1_NameCount_name(name));
    (void)printf("  last at %" PRIu64 "\n", last_position);
    return true;
}
