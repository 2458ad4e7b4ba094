/* server_answers.h: answers of unary calls that their clients have not taken yet, on one queue.
 *
 * A client that gives no window for its answers would keep its calls for ever, and what they hold: with enough of them nobody
 * else is let in. So answers that are old are given up, the oldest first, when all of them hold more than a part of what the
 * server's unary calls may hold; a client that takes its answers has none that is old. Beyond a bound of bytes age does not
 * count. A call that is given up is cancelled: its client may make it again.
 * Ownership: borrows the calls, which take their answers off before they go. Threads: the queue's; `given_up_count` any. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_ANSWERS_H
#define DAYBOOK_SDK_RUNTIME_SERVER_ANSWERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <grpc/grpc.h>

/* An answer that is on its way; part of its call. */
struct server_answer {
    struct server_answer *older;
    struct server_answer *newer;
    grpc_call *call;
    uint64_t held_bytes; /* by the call and its answer */
    int64_t begun_ms;    /* of the monotonic clock */
    bool is_listed;
};

struct server_answers {
    struct server_answer *oldest;
    struct server_answer *newest;
    uint32_t count;
    uint64_t held_bytes;
    /* From these on what is old is given up; from twice the bytes on, the oldest. */
    uint32_t count_tight;
    uint64_t held_bytes_tight;
    _Atomic uint64_t given_up_count;
};

/* Adds an answer before it is started, and gives up what is too much. */
void daybook__server_answers_add(struct server_answers *answers, struct server_answer *answer, grpc_call *call,
                                 uint64_t held_bytes);

/* Of an answer that was taken, or was given up: then it is on no list any more, and nothing happens. */
void daybook__server_answers_remove(struct server_answers *answers, struct server_answer *answer);

#endif
