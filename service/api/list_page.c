#include "service/api/list_page.h"

#include "service/base/limits.h"

void validate_prefix(struct validation *validation, upb_StringView prefix) {
    const struct field field = field_of(NULL, "prefix");
    if (prefix.size > 0) validate_name(validation, &field, prefix);
}

struct taking {
    struct list_page *page;
    uint32_t size;
    upb_Arena *arena;
    bool has_more;
    bool has_no_memory;
};

static bool take(void *context, struct bytes name, const struct name_figures *figures) {
    struct taking *taking = context;
    struct list_page *page = taking->page;
    taking->has_more = page->count == taking->size;
    if (taking->has_more) return false;
    char *copy = upb_Arena_Malloc(taking->arena, name.size);
    taking->has_no_memory = copy == NULL;
    if (copy == NULL) return false;
    memcpy(copy, name.data, name.size);
    page->names[page->count] = upb_StringView_FromDataAndSize(copy, name.size);
    page->figures[page->count] = *figures;
    page->count++;
    return true;
}

static result page_fill(struct index *index, const struct list_request *request, struct bytes after,
                        struct taking *taking) {
    struct list_page *page = taking->page;
    page->names = upb_Arena_Malloc(taking->arena, taking->size * sizeof *page->names);
    page->figures = upb_Arena_Malloc(taking->arena, taking->size * sizeof *page->figures);
    if (page->names == NULL || page->figures == NULL) return failure_result(FAILURE_MEMORY);
    const struct bytes prefix = bytes_of(request->prefix.data, request->prefix.size);
    TRY(index_names_list(index, request->kind, prefix, after, take, taking));
    if (taking->has_no_memory) return failure_result(FAILURE_MEMORY);
    if (!taking->has_more) return RESULT_OK;
    const upb_StringView last = page->names[page->count - 1];
    page->next_page_token = page_token_of_prefix(request->list, prefix, bytes_of(last.data, last.size), taking->arena);
    return page->next_page_token.size > 0 ? RESULT_OK : failure_result(FAILURE_MEMORY);
}

bool list_page_take(struct index *index, const struct list_request *request, daybook_server_call *call,
                    struct list_page *ret_page) {
    struct validation validation;
    validation_init(&validation);
    validate_prefix(&validation, request->prefix);
    const struct bytes after = page_after_prefix(
        &validation, request->list, bytes_of(request->prefix.data, request->prefix.size), request->page_token);
    if (validation.failed) {
        error_fail(call, &validation.error);
        return false;
    }
    *ret_page = (struct list_page){0};
    struct taking taking = {
        .page = ret_page, .size = page_size_of(request->page_size), .arena = daybook_server_call_arena(call)};
    const result outcome = page_fill(index, request, after, &taking);
    if (failed(outcome)) error_fail_failure(call, outcome.failure);
    return !failed(outcome);
}
