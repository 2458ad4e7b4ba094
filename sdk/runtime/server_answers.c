/* server_answers.c: see server_answers.h. */
#include "sdk/runtime/server_answers.h"

#include <assert.h>
#include <stddef.h>

#include "sdk/base/clock.h"

/* A client that reads at all takes an answer long before, unless it has stopped, or its connection is full. */
#define PATIENCE_MS 250

static void sum_change(struct server_answers_sum *sum, uint64_t count, uint64_t held_bytes) {
    atomic_fetch_add_explicit(&sum->count, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&sum->held_bytes, held_bytes, memory_order_relaxed);
}

void daybook__server_answers_remove(struct server_answers *answers, struct server_answer *answer) {
    if (!answer->is_listed) return;
    answer->is_listed = false;
    if (answer->older == NULL)
        answers->oldest = answer->newer;
    else
        answer->older->newer = answer->newer;
    if (answer->newer == NULL)
        answers->newest = answer->older;
    else
        answer->newer->older = answer->older;
    sum_change(answers->sum, -UINT64_C(1), -answer->held_bytes);
}

static bool must_go(const struct server_answers *answers, int64_t now_ms) {
    const struct server_answers_sum *sum = answers->sum;
    if (atomic_load_explicit(&sum->held_bytes, memory_order_relaxed) > sum->held_bytes_max) return true;
    return atomic_load_explicit(&sum->count, memory_order_relaxed) > sum->count_max &&
           now_ms - answers->oldest->begun_ms > PATIENCE_MS;
}

/* The call's batch completes later, on this thread. */
static void give_up(struct server_answers *answers, struct server_answer *answer) {
    daybook__server_answers_remove(answers, answer);
    atomic_fetch_add_explicit(&answers->sum->given_up_count, 1, memory_order_relaxed);
    const grpc_call_error error = grpc_call_cancel(answer->call, NULL);
    assert(error == GRPC_CALL_OK);
    (void)error;
}

void daybook__server_answers_add(struct server_answers *answers, struct server_answer *answer, grpc_call *call,
                                 uint64_t held_bytes) {
    const int64_t now_ms = daybook__clock_now_ms();
    *answer = (struct server_answer){
        .older = answers->newest, .call = call, .held_bytes = held_bytes, .begun_ms = now_ms, .is_listed = true};
    if (answers->newest == NULL)
        answers->oldest = answer;
    else
        answers->newest->newer = answer;
    answers->newest = answer;
    sum_change(answers->sum, 1, held_bytes);
    while (answers->oldest != answer && must_go(answers, now_ms)) give_up(answers, answers->oldest);
}
