/* What is refused before it is read: an append that the sequencer would not take, or only when nobody waits for it any more. */
#include "service/api/api.h"
#include "service/api/deadline.h"
#include "service/api/errors.h"
#include "service/base/limits.h"
#include "service/commit/sequencer.h"

bool api_admit(void *context, daybook_server_call *call, const daybook_method *method, size_t request_bytes) {
    const struct api *api = context;
    if (method->request != &daybook_v1_AppendRequest_msginit) return true;
    const int64_t deadline_ns = deadline_of(daybook_server_call_remaining_ms(call));
    /* Not less than append_build.c takes it for: what is stored is about what was sent. */
    const uint64_t memory_bytes = CALL_MEMORY_BYTES + REQUEST_MEMORY_BYTES + 3 * request_bytes;
    const enum queue_prospect prospect = sequencer_prospect(api->sequencer, memory_bytes, deadline_ns);
    if (prospect == QUEUE_HAS_ROOM) return true;
    struct error error;
    if (prospect == QUEUE_IS_FULL) {
        error_of_queue(&error, FAILURE_LIMIT);
    } else {
        error_set(&error, REASON_QUEUE_FULL,
                  "what waits to be written takes longer than this call can wait; retry later");
    }
    error_fail(call, &error);
    return false;
}
