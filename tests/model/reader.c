#include "tests/model/reader.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_SECONDS 60

/* Takes a message in. The mutex is held afterwards. */
static void message_add(struct reader *reader, struct feed_message message) {
    struct reader_message *entry = malloc(sizeof *entry);
    cr_assert_not_null(entry);
    *entry = (struct reader_message){.message = message};
    pthread_mutex_lock(&reader->mutex);
    *reader->last_link = entry;
    reader->last_link = &entry->next;
    pthread_cond_broadcast(&reader->changed);
}

static void on_message(void *context, struct feed_message message) {
    struct reader *reader = context;
    message_add(reader, message);
    const bool slow = reader->slow;
    reader->in_flight = slow;
    struct reading *reading = reader->reading;
    pthread_mutex_unlock(&reader->mutex);
    if (!slow) reading_sent(reading, true);
}

static void on_ended(void *context, enum failure failure) {
    struct reader *reader = context;
    pthread_mutex_lock(&reader->mutex);
    reader->ended = true;
    reader->failure = failure;
    pthread_cond_broadcast(&reader->changed);
    pthread_mutex_unlock(&reader->mutex);
}

static void on_last(void *context, struct feed_message message) {
    struct reader *reader = context;
    message_add(reader, message);
    cr_assert_not(reader->in_flight);
    reader->ended = true;
    reader->ended_with_message = true;
    reader->failure = FAILURE_NONE;
    pthread_mutex_unlock(&reader->mutex);
}

static void on_closed(void *context) {
    struct reader *reader = context;
    pthread_mutex_lock(&reader->mutex);
    reader->closed = true;
    pthread_cond_broadcast(&reader->changed);
    pthread_mutex_unlock(&reader->mutex);
}

const struct feed_sink reader_sink = {.message = on_message, .last = on_last, .ended = on_ended, .closed = on_closed};

void reader_init(struct reader *reader, bool slow) {
    *reader = (struct reader){.last_link = &reader->first, .slow = slow};
    pthread_mutex_init(&reader->mutex, NULL);
    pthread_cond_init(&reader->changed, NULL);
}

void reader_let_go(struct reader *reader) {
    pthread_mutex_lock(&reader->mutex);
    const bool in_flight = reader->in_flight;
    reader->in_flight = false;
    pthread_mutex_unlock(&reader->mutex);
    if (in_flight) reading_sent(reader->reading, true);
}

static struct timespec after_ms(uint64_t wait_ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    const uint64_t total_ns = (uint64_t)until.tv_nsec + wait_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(wait_ms / 1000 + total_ns / 1000000000);
    until.tv_nsec = (long)(total_ns % 1000000000);
    return until;
}

bool reader_receive(struct reader *reader, uint32_t wait_ms, struct feed_message *ret_message) {
    const struct timespec until = after_ms(wait_ms);
    pthread_mutex_lock(&reader->mutex);
    while (reader->first == NULL && !reader->ended) {
        if (pthread_cond_timedwait(&reader->changed, &reader->mutex, &until) == ETIMEDOUT) break;
    }
    struct reader_message *entry = reader->first;
    if (entry != NULL) {
        reader->first = entry->next;
        if (reader->first == NULL) reader->last_link = &reader->first;
    }
    pthread_mutex_unlock(&reader->mutex);
    if (entry == NULL) return false;
    *ret_message = entry->message;
    free(entry);
    return true;
}

void reader_wait_end(struct reader *reader) {
    const struct timespec until = after_ms((uint64_t)PATIENCE_SECONDS * 1000);
    pthread_mutex_lock(&reader->mutex);
    while (!reader->ended) {
        if (reader->in_flight) {
            pthread_mutex_unlock(&reader->mutex);
            reader_let_go(reader);
            pthread_mutex_lock(&reader->mutex);
            continue;
        }
        cr_assert_neq(pthread_cond_timedwait(&reader->changed, &reader->mutex, &until), ETIMEDOUT);
    }
    pthread_mutex_unlock(&reader->mutex);
}

void reader_finish(struct reader *reader) {
    pthread_mutex_lock(&reader->mutex);
    const bool in_flight = reader->in_flight;
    reader->in_flight = false;
    reader->slow = false;
    pthread_mutex_unlock(&reader->mutex);
    reading_cancel(reader->reading);
    if (in_flight) reading_sent(reader->reading, false);
    reading_close(reader->reading);
    const struct timespec until = after_ms((uint64_t)PATIENCE_SECONDS * 1000);
    pthread_mutex_lock(&reader->mutex);
    while (!reader->closed) {
        cr_assert_neq(pthread_cond_timedwait(&reader->changed, &reader->mutex, &until), ETIMEDOUT);
    }
    pthread_mutex_unlock(&reader->mutex);
    struct feed_message message;
    reader->ended = true;
    while (reader_receive(reader, 0, &message)) message.release(message.context);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->mutex);
}
