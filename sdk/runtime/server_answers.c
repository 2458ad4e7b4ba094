/* server_answers.c: see server_answers.h. */
#include "sdk/runtime/server_answers.h"

#include <assert.h>
#include <stddef.h>

#include "sdk/base/clock.h"

/* A client that reads at all takes an answer long before, unless it has stopped, or its connection is full. */
#define PATIENCE_MS 250

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
    answers->count--;
    answers->held_bytes -= answer->held_bytes;
}

static bool must_go(const struct server_answers *answers, const struct server_answer *oldest, int64_t now) {
    if (answers->held_bytes > 2 * answers->held_bytes_tight) return true;
    const bool is_tight = answers->count > answers->count_tight || answers->held_bytes > answers->held_bytes_tight;
    return is_tight && now - oldest->begun_ms > PATIENCE_MS;
}

/* The call's batch completes later, on this thread. */
static void give_up(struct server_answers *answers, struct server_answer *answer) {
    daybook__server_answers_remove(answers, answer);
    const uint64_t count = atomic_load_explicit(&answers->given_up_count, memory_order_relaxed);
    atomic_store_explicit(&answers->given_up_count, count + 1, memory_order_relaxed);
    const grpc_call_error error = grpc_call_cancel(answer->call, NULL);
    assert(error == GRPC_CALL_OK);
}

void daybook__server_answers_add(struct server_answers *answers, struct server_answer *answer, grpc_call *call,
                                 uint64_t held_bytes) {
    const int64_t now = daybook__clock_now_ms();
    *answer = (struct server_answer){
        .older = answers->newest, .call = call, .held_bytes = held_bytes, .begun_ms = now, .is_listed = true};
    if (answers->newest == NULL)
        answers->oldest = answer;
    else
        answers->newest->newer = answer;
    answers->newest = answer;
    answers->count++;
    answers->held_bytes += held_bytes;
    while (answers->oldest != answer && must_go(answers, answers->oldest, now)) give_up(answers, answers->oldest);
}
