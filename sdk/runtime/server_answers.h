/* server_answers.h: answers of unary calls that their clients have not taken yet.
 *
 * A client that gives no window for its answers would keep its calls for ever, and what they hold: with enough of them nobody
 * else is let in. So when answers that are on their way are too many, those that have been for long are given up, the oldest
 * first; a client that takes its answers has none of these. When they hold too much memory, age does not count. A call that is
 * given up is cancelled: its client may make it again.
 * A server has one sum, and each of its queues a list: a queue gives up its own.
 * Ownership: borrows the calls, which take their answers off before they go, and the sum. Threads: a list is its queue's, the
 * sum anybody's. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_ANSWERS_H
#define DAYBOOK_SDK_RUNTIME_SERVER_ANSWERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <grpc/grpc.h>

/* All answers of a server that are on their way. */
struct server_answers_sum {
    uint64_t count_max; /* with more, those that are old are given up */
    uint64_t held_bytes_max;
    _Atomic uint64_t count;
    _Atomic uint64_t held_bytes;
    _Atomic uint64_t given_up_count;
};

/* One of them; part of its call. */
struct server_answer {
    struct server_answer *older;
    struct server_answer *newer;
    grpc_call *call;
    uint64_t held_bytes; /* by the call and its answer */
    int64_t begun_ms;    /* by sdk/base/clock.h */
    bool is_listed;
};

/* Those of a queue. */
struct server_answers {
    struct server_answers_sum *sum;
    struct server_answer *oldest;
    struct server_answer *newest;
};

/* Adds an answer before it is started, and gives up others if there are too many. */
void daybook__server_answers_add(struct server_answers *answers, struct server_answer *answer, grpc_call *call,
                                 uint64_t held_bytes);

/* Of an answer that was taken, or was given up: then it is on no list any more, and nothing happens. */
void daybook__server_answers_remove(struct server_answers *answers, struct server_answer *answer);

#endif
