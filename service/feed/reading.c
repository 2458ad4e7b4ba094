/* reading.c: the life of one reader, whatever it reads.
 *
 *   open --> READY --message, none in flight: delivered; or held, with room for more--> READY
 *            ^  |
 *            |  |--message or end, and no room behind it--> HOLDING --sent--> READY, or ENDED
 *            |  |--nothing to say----------------------> WAITING
 *            |  '--end or last message, none in flight-> ENDED
 *            '------- head moved, heartbeat due, drain -- WAITING
 *
 *   every state --cancelled--> ENDED --closed, nothing in flight--> CLOSED
 *
 * One message is in flight and a few are held ready behind it, so that reading and sending overlap; that is all the memory
 * that a slow reader takes (limits.h). When many are slow, nothing is held and messages become small. There is no separate
 * live path: a reading that is woken takes its next step from its cursor, so the hand-off from history to the live edge cannot
 * lose or repeat an event. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/clock.h"
#include "service/feed/reading.h"

#define NANOSECONDS_PER_MILLISECOND 1000000
#define TO(state)                   (1u << READING_##state)

static const struct state reading_states[] = {
    [READING_READY] = {"ready", TO(HOLDING) | TO(WAITING) | TO(ENDED)},
    [READING_HOLDING] = {"holding", TO(READY) | TO(ENDED)},
    [READING_WAITING] = {"waiting", TO(READY) | TO(ENDED)},
    [READING_ENDED] = {"ended", TO(CLOSED)},
    [READING_CLOSED] = {"closed", 0},
};

static void move(struct reading *reading, enum reading_state next) {
    struct feed *feed = reading->feed;
    if (reading->state.current == READING_WAITING) feed->waiting_count--;
    if (next == READING_WAITING) feed->waiting_count++;
    state_machine_move(&reading->state, next);
}

static void unlink_reading(struct reading *reading) {
    struct feed *feed = reading->feed;
    if (reading->all_previous == NULL) {
        feed->all_first = reading->all_next;
    } else {
        reading->all_previous->all_next = reading->all_next;
    }
    if (reading->all_next != NULL) reading->all_next->all_previous = reading->all_previous;
    feed->readings_count--;
    if (reading->is_subscription) {
        feed->counts.subscriptions_count--;
    } else {
        feed->counts.reads_count--;
    }
}

/* --- What is held ------------------------------------------------------------------------------------------------- */

static void held_push(struct reading *reading, const struct step *step) {
    struct held *held = &reading->held;
    assert(held->count < HELD_MESSAGES_COUNT_MAX);
    held->steps[(held->first + held->count) % HELD_MESSAGES_COUNT_MAX] = *step;
    held->count++;
    reading->feed->held_bytes += step->message.size;
}

static struct step held_pop(struct reading *reading) {
    struct held *held = &reading->held;
    assert(held->count > 0);
    const struct step step = held->steps[held->first];
    held->first = (held->first + 1) % HELD_MESSAGES_COUNT_MAX;
    held->count--;
    reading->feed->held_bytes -= step.message.size;
    return step;
}

/* Whether clients leave so much untaken that each reader must do with little. */
static bool is_tight(const struct feed *feed) {
    return buffers_out_bytes(feed->buffers) >= UNTAKEN_BYTES_TIGHT;
}

/* Whether there is no step behind this one. */
static bool step_is_end(const struct step *step) {
    return step->kind == STEP_END || step->is_last;
}

/* Whether another step may be taken behind this one, which is held now. */
static bool held_has_room(const struct reading *reading, const struct step *newest) {
    return !step_is_end(newest) && reading->held.count < HELD_MESSAGES_COUNT_MAX &&
           reading->feed->held_bytes + CHUNK_BYTES_TARGET <= HELD_BYTES_MAX && !is_tight(reading->feed);
}

static bool end_is_held(const struct reading *reading) {
    const struct held *held = &reading->held;
    if (held->count == 0) return false;
    return step_is_end(&held->steps[(held->first + held->count - 1) % HELD_MESSAGES_COUNT_MAX]);
}

static void held_drop(struct reading *reading) {
    while (reading->held.count > 0) {
        const struct step step = held_pop(reading);
        if (step.kind == STEP_MESSAGE) step.message.release(step.message.context);
    }
}

/* --- Moves -------------------------------------------------------------------------------------------------------- */

/* Nothing more will be sent. Whoever runs a step now sees the mark when the step is over. */
static void end(struct reading *reading) {
    if (reading->running || reading->state.current == READING_ENDED) return;
    held_drop(reading);
    move(reading, READING_ENDED);
}

void reading_wake(struct reading *reading) {
    if (reading->state.current != READING_WAITING) return;
    move(reading, READING_READY);
    pool_queue(reading->feed, reading, true);
}

/* Parks the reading, unless what it would wait for has happened while its step ran. */
static void wait_or_go_on(struct reading *reading) {
    struct feed *feed = reading->feed;
    const uint64_t head = atomic_load_explicit(&feed->head, memory_order_acquire);
    if (head > reading->subscription.cursor || feed->draining) {
        pool_queue(feed, reading, false);
    } else {
        move(reading, READING_WAITING);
    }
}

/* Gives a message to the sink. The mutex is held before and after, and not meanwhile. */
static void message_deliver(struct reading *reading, struct feed_message message) {
    struct feed *feed = reading->feed;
    assert(!reading->in_flight && !reading->delivering);
    reading->in_flight = true;
    reading->delivering = true;
    feed->counts.messages_sent++;
    if (reading->is_subscription) {
        reading->heartbeat_due = false;
        reading->heartbeat_at_ns =
            clock_monotonic_ns() + (int64_t)reading->subscription.heartbeat_ms * NANOSECONDS_PER_MILLISECOND;
    }
    pthread_mutex_unlock(&feed->mutex);
    reading->sink->message(reading->context, message);
    pthread_mutex_lock(&feed->mutex);
    reading->delivering = false;
}

/* Gives the sink a last message, or a failure, and tells it so that it is over. The mutex is held before and after, and not
 * meanwhile. */
static void end_deliver(struct reading *reading, const struct step *step) {
    struct feed *feed = reading->feed;
    assert(!reading->in_flight && !reading->delivering);
    move(reading, READING_ENDED);
    reading->delivering = true;
    if (step->kind == STEP_MESSAGE) feed->counts.messages_sent++;
    pthread_mutex_unlock(&feed->mutex);
    if (step->kind == STEP_MESSAGE)
        reading->sink->last(reading->context, step->message);
    else
        reading->sink->ended(reading->context, step->failure);
    pthread_mutex_lock(&feed->mutex);
    reading->delivering = false;
}

/* The next step is taken, beside a message in flight only while there is room for what it finds. */
static void go_on(struct reading *reading, bool wake) {
    if (reading->in_flight && is_tight(reading->feed)) {
        if (reading->state.current == READING_READY) move(reading, READING_HOLDING);
        return;
    }
    if (reading->state.current == READING_HOLDING) move(reading, READING_READY);
    pool_queue(reading->feed, reading, wake);
}

/* A message or the end goes to the sink now, or is held while a message is in flight. */
static void outcome_deliver(struct reading *reading, const struct step *step) {
    if (reading->in_flight || reading->delivering) {
        held_push(reading, step);
        if (held_has_room(reading, step)) {
            pool_queue(reading->feed, reading, false);
        } else {
            move(reading, READING_HOLDING);
        }
    } else if (step_is_end(step)) {
        end_deliver(reading, step);
    } else {
        message_deliver(reading, step->message);
        if (!reading->cancelled) go_on(reading, false);
    }
}

/* The oldest of what is held goes now. The mutex is held before and after. */
static void held_deliver(struct reading *reading) {
    const struct step step = held_pop(reading);
    if (step_is_end(&step)) {
        end_deliver(reading, &step);
        return;
    }
    /* There is room again: the next step is taken while this message is on its way. */
    if (reading->state.current == READING_HOLDING && !end_is_held(reading) && !is_tight(reading->feed)) {
        go_on(reading, true);
    }
    message_deliver(reading, step.message);
}

/* Ends the use of the mutex: delivers what no longer has to wait, and gives the reading back when there is nothing left to
 * wait for. Every change of a reading ends here. */
static void unlock_and_settle(struct reading *reading) {
    struct feed *feed = reading->feed;
    while (reading->held.count > 0 && !reading->cancelled && !reading->in_flight && !reading->delivering) {
        held_deliver(reading);
    }
    /* Nothing was held behind the message that has been sent. */
    if (reading->state.current == READING_HOLDING && reading->held.count == 0 && !reading->in_flight &&
        !reading->delivering && !reading->cancelled) {
        go_on(reading, true);
    }
    const bool over =
        reading->close_asked && !reading->queued && !reading->running && !reading->delivering && !reading->in_flight;
    if (!over) {
        pthread_mutex_unlock(&feed->mutex);
        return;
    }
    end(reading);
    move(reading, READING_CLOSED);
    unlink_reading(reading);
    pthread_mutex_unlock(&feed->mutex);
    const struct feed_sink *sink = reading->sink;
    void *context = reading->context;
    free(reading);
    sink->closed(context);
}

static struct step step_take(struct reading *reading, struct store_reader *reader, bool heartbeat_due) {
    struct feed *feed = reading->feed;
    struct source source;
    source_begin(&source, &feed->tail, reader);
    struct step step =
        reading->is_subscription ? subscription_step(reading, &source, heartbeat_due) : read_step(reading, &source);
    step.log_records_count = source.log_records_count;
    step.tail_records_count = source.tail_records_count;
    source_end(&source);
    return step;
}

/* The mutex is held when this begins and when it ends. */
static void step_follow(struct reading *reading, const struct step *step) {
    reading->running = false;
    if (reading->cancelled) {
        if (step->kind == STEP_MESSAGE) step->message.release(step->message.context);
        end(reading);
        return;
    }
    switch (step->kind) {
    case STEP_MESSAGE:
    case STEP_END:
        outcome_deliver(reading, step);
        return;
    case STEP_WAIT:
        wait_or_go_on(reading);
        return;
    case STEP_AGAIN:
        pool_queue(reading->feed, reading, false);
        return;
    }
}

void reading_run(struct reading *reading, struct store_reader *reader) {
    struct feed *feed = reading->feed;
    pthread_mutex_lock(&feed->mutex);
    const bool cancelled = reading->cancelled;
    const bool stopped = feed->draining && reading->is_subscription;
    const bool heartbeat_due = reading->heartbeat_due;
    reading->chunk_bytes = is_tight(feed) ? CHUNK_BYTES_WHEN_TIGHT : CHUNK_BYTES_TARGET;
    pthread_mutex_unlock(&feed->mutex);

    struct step step = step_end(FAILURE_STOPPED);
    if (!cancelled && !stopped) step = step_take(reading, reader, heartbeat_due);

    pthread_mutex_lock(&feed->mutex);
    feed->counts.records_from_log += step.log_records_count;
    feed->counts.records_from_tail += step.tail_records_count;
    step_follow(reading, &step);
    unlock_and_settle(reading);
}

/* Links a new reading and lets its first step run. */
static result reading_start(struct feed *feed, struct reading *reading, struct reading **ret_reading) {
    pthread_mutex_lock(&feed->mutex);
    const enum failure refusal = feed->draining                                          ? FAILURE_STOPPED
                                 : feed->readings_count == SUBSCRIPTIONS_COUNT_MAX       ? FAILURE_LIMIT
                                 : buffers_out_bytes(feed->buffers) >= UNTAKEN_BYTES_MAX ? FAILURE_LIMIT
                                                                                         : FAILURE_NONE;
    if (refusal != FAILURE_NONE) {
        pthread_mutex_unlock(&feed->mutex);
        return failure_result(refusal);
    }
    feed->readings_count++;
    if (reading->is_subscription) {
        feed->counts.subscriptions_count++;
    } else {
        feed->counts.reads_count++;
    }
    reading->all_next = feed->all_first;
    if (feed->all_first != NULL) feed->all_first->all_previous = reading;
    feed->all_first = reading;
    state_machine_init(&reading->state, reading_states, READING_READY);
    *ret_reading = reading;
    pool_queue(feed, reading, true);
    pthread_mutex_unlock(&feed->mutex);
    return RESULT_OK;
}

static struct reading *reading_new(struct feed *feed, const struct filter *filter, const struct feed_sink *sink,
                                   void *context) {
    struct reading *reading = malloc(sizeof *reading);
    if (reading == NULL) return NULL;
    memset(reading, 0, offsetof(struct reading, read));
    reading->feed = feed;
    reading->sink = sink;
    reading->context = context;
    reading->filter = filter;
    return reading;
}

static result start_or_free(struct feed *feed, struct reading *reading, struct reading **ret_reading) {
    const result started = reading_start(feed, reading, ret_reading);
    if (failed(started)) free(reading);
    return started;
}

result feed_read(struct feed *feed, const struct read_options *options, const struct feed_sink *sink, void *context,
                 struct reading **ret_reading) {
    assert(options->stream.size <= NAME_BYTES_MAX);
    struct reading *reading = reading_new(feed, options->filter, sink, context);
    if (reading == NULL) return failure_result(FAILURE_MEMORY);
    read_begin(&reading->read, options, feed_head(feed));
    return start_or_free(feed, reading, ret_reading);
}

result feed_subscribe(struct feed *feed, const struct subscribe_options *options, const struct feed_sink *sink,
                      void *context, struct reading **ret_reading) {
    struct reading *reading = reading_new(feed, options->filter, sink, context);
    if (reading == NULL) return failure_result(FAILURE_MEMORY);
    reading->is_subscription = true;
    reading->subscription = (struct subscription){.cursor = options->from_end ? feed_head(feed) : options->after,
                                                  .heartbeat_ms = options->heartbeat_ms};
    return start_or_free(feed, reading, ret_reading);
}

static void cancel_locked(struct reading *reading) {
    reading->cancelled = true;
    end(reading);
}

void reading_sent(struct reading *reading, bool ok) {
    pthread_mutex_lock(&reading->feed->mutex);
    assert(reading->in_flight);
    reading->in_flight = false;
    if (!ok) cancel_locked(reading);
    unlock_and_settle(reading);
}

void reading_cancel(struct reading *reading) {
    pthread_mutex_lock(&reading->feed->mutex);
    cancel_locked(reading);
    pthread_mutex_unlock(&reading->feed->mutex);
}

void reading_close(struct reading *reading) {
    pthread_mutex_lock(&reading->feed->mutex);
    assert(!reading->close_asked);
    reading->close_asked = true;
    cancel_locked(reading);
    unlock_and_settle(reading);
}
