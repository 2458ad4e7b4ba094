/* Append: one request, one answer; append_answer.c is the way back. */
#include <inttypes.h>

#include "service/api/api.h"
#include "service/api/append.h"
#include "service/api/deadline.h"
#include "service/base/limits.h"
#include "service/commit/sequencer.h"

static void queue_fail(daybook_server_call *call, enum failure failure) {
    struct error error;
    error_of_queue(&error, failure);
    error_fail(call, &error);
}

/* The estimate is for what the sequencer will do; what is held already is known, and may be more. */
static void memory_set(struct append *append, const daybook_server_call *call) {
    const uint64_t held_bytes = daybook_server_call_memory_bytes(call) + filter_size_bytes(append->filter);
    if (append->request.memory_bytes < held_bytes) append->request.memory_bytes = held_bytes;
    append->request.memory_bytes += CALL_MEMORY_BYTES;
}

void api_append(void *context, daybook_server_call *call, const daybook_v1_AppendRequest *message) {
    const struct api *api = context;
    upb_Arena *arena = daybook_server_call_arena(call);
    struct append_call *unary = upb_Arena_Malloc(arena, sizeof *unary);
    if (unary == NULL) {
        error_fail_failure(call, FAILURE_MEMORY);
        return;
    }
    struct error error __attribute__((uninitialized)); /* 3 KiB, filled by a refusal */
    if (!append_init(&unary->append, api, message, arena, &error)) {
        error_fail(call, &error);
        return;
    }
    unary->call = call;
    memory_set(&unary->append, call);
    unary->append.request.done = append_answer;
    unary->append.request.context = unary;
    unary->append.request.deadline_ns = deadline_of(daybook_server_call_remaining_ms(call));
    const result queued = sequencer_submit(api->sequencer, &unary->append.request);
    if (!failed(queued)) return;
    append_deinit(&unary->append);
    queue_fail(call, queued.failure);
}
