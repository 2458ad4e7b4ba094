#include <inttypes.h>
#include <stdio.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/list.h"

static int page_print(const struct list_options *options, daybook_client *client, upb_Arena *arena,
                      struct list_page *page, void *context) {
    (void)context;
    daybook_status status;
    const daybook_v1_ListTypesResponse *response;
    const daybook_call_options call_options = common_call_options(&options->common);
    daybook_v1_ListTypesRequest *request = daybook_v1_ListTypesRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_ListTypesRequest_set_prefix(request, list_prefix(options));
    daybook_v1_ListTypesRequest_set_page_size(request, page->size);
    daybook_v1_ListTypesRequest_set_page_token(request, page->token);
    if (!daybook_v1_EventStore_ListTypes(client, request, &call_options, arena, &response, &status)) {
        return common_fail(&options->common, &status);
    }
    size_t count;
    const daybook_v1_NameCount *const *types = daybook_v1_ListTypesResponse_types(response, &count);
    for (size_t index = 0; index < count; index++) {
        if (!list_print_name(types[index], options->common.json)) return common_out_of_memory();
    }
    page->items_count = count;
    page->next_token = daybook_v1_ListTypesResponse_next_page_token(response);
    return 0;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    (void)common;
    (void)arena;
    return list_run(context, client, page_print, NULL);
}

int command_types(int argc, char **argv) {
    struct list_options options = {.prefix = NULL};
    common_init(&options.common);
    static const struct argp_child children[] = {{&list_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.children = children,
                              .doc = "Prints the types of events, by name, each with how many events carry it and the "
                                     "position of the newest of them."};
    common_parse(&argp, argc, argv, &options);
    return common_run(&options.common, run, &options);
}
