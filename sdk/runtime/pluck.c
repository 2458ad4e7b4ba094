/* pluck.c: see pluck.h. */
#include "sdk/runtime/pluck.h"

#include <assert.h>

#include "daybook/options.h"
#include "sdk/runtime/core_timers.h"

gpr_timespec daybook__pluck_deadline(uint32_t wait_ms) {
    if (wait_ms == DAYBOOK_TIMEOUT_NONE) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (wait_ms == 0) return gpr_time_0(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(wait_ms, GPR_TIMESPAN));
}

grpc_completion_queue *daybook__pluck_open(void) {
    return grpc_completion_queue_create_for_pluck(NULL);
}

void daybook__pluck_close(grpc_completion_queue *queue) {
    if (queue == NULL) return;
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
}

bool daybook__pluck(grpc_completion_queue *queue, struct loop_operation *operation, gpr_timespec deadline,
                    bool *ret_ok) {
    grpc_event event;
    int64_t timers_run_seconds = 0;
    for (;;) {
        const gpr_timespec bound = daybook__core_timers_bound(deadline);
        event = grpc_completion_queue_pluck(queue, operation, bound, NULL);
        if (event.type != GRPC_QUEUE_TIMEOUT) break;
        if (gpr_time_cmp(bound, deadline) == 0) return false;
        daybook__core_timers_run(&timers_run_seconds);
    }
    assert(event.type == GRPC_OP_COMPLETE && event.tag == operation);
    daybook__loop_take(operation);
    *ret_ok = event.success != 0;
    return true;
}
