/* subscription.c: one step of a subscriber that never ends.
 *
 * The head is taken first, then the records up to it, so that a commit between the two is seen by the next step: parking
 * compares the cursor with the head once more. A response ends where an append ends, so its position splits one only when
 * that is too large for one response, which then says so. */
#include "service/feed/reading.h"
#include "service/record/filter.h"
#include "service/store/postings.h"

/* A response in the making. */
struct progress {
    struct message message;
    uint64_t cursor;
    uint64_t scanned_count;
    struct bytes last;     /* the record at the cursor */
    bool append_continues; /* behind the cursor */
};

/* Enough for one response: the bytes are there, or a filter has looked at many without finding. */
static bool is_full(const struct reading *reading, const struct progress *progress) {
    return progress->message.size >= reading->chunk_bytes || progress->scanned_count >= STEP_EVENTS_COUNT_MAX;
}

result append_ends(struct bytes before, struct bytes after, bool *ret_ends) {
    struct record left;
    struct record right;
    TRY(record_read(before, &left));
    TRY(record_read(after, &right));
    *ret_ends = left.recorded_ns != right.recorded_ns;
    return RESULT_OK;
}

/* Passes over what the index says cannot match. True: there is nothing else up to the head. */
static result skip(struct postings *postings, uint64_t head, struct progress *progress, bool *ret_done) {
    uint64_t candidate;
    TRY(postings_seek(postings, progress->cursor + 1, &candidate));
    *ret_done = candidate == 0 || candidate > head;
    progress->cursor = *ret_done ? head : candidate - 1;
    return RESULT_OK;
}

/* Takes records up to the head, or until the response is full and an append has ended or is too large for one response.
 * `postings` may be NULL. */
static result collect(const struct reading *reading, struct source *source, struct postings *postings, uint64_t head,
                      struct progress *progress) {
    while (progress->cursor < head) {
        bool done = false;
        if (postings != NULL && !is_full(reading, progress)) TRY(skip(postings, head, progress, &done));
        if (done) break;
        struct bytes record;
        TRY(source_get(source, progress->cursor + 1, &record));
        if (is_full(reading, progress)) {
            bool ends;
            TRY(append_ends(progress->last, record, &ends));
            if (ends || progress->message.size >= RESPONSE_BYTES_MAX) {
                progress->append_continues = !ends;
                break;
            }
        }
        bool matches = true;
        if (reading->filter != NULL) TRY(filter_match(reading->filter, record, &matches));
        if (matches) TRY(source_shows(source, record, &matches));
        if (matches) TRY(message_add_record(&progress->message, record));
        progress->last = record;
        progress->cursor++;
        progress->scanned_count++;
    }
    return RESULT_OK;
}

/* One that is far behind is led by the index; close to the head a look at each event is cheaper. */
static result collect_step(const struct reading *reading, struct source *source, uint64_t head,
                           struct progress *progress) {
    const bool is_far_behind = progress->cursor + SUBSCRIPTION_SKIP_EVENTS_COUNT_MIN <= head;
    if (!is_far_behind || !postings_serve(reading->filter)) {
        return collect(reading, source, NULL, head, progress);
    }
    struct postings *postings;
    TRY(postings_new(reading->feed->index, reading->filter, INDEX_FORWARD, &postings));
    const result outcome = collect(reading, source, postings, head, progress);
    postings_free(postings);
    return outcome;
}

/* Sets the marks that are due and remembers that they were said. */
static struct subscription_marks marks_of(struct subscription *subscription, const struct progress *progress,
                                          uint64_t head, bool from_log) {
    struct subscription_marks marks = {
        .position = progress->cursor, .head = head, .append_continues = progress->append_continues};
    if (from_log && subscription->caught_up) {
        marks.fell_behind = true;
        subscription->caught_up = false;
    }
    if (progress->cursor >= head && !subscription->caught_up) {
        marks.caught_up = true;
        subscription->caught_up = true;
    }
    return marks;
}

struct step subscription_step(struct reading *reading, struct source *source, bool heartbeat_due) {
    struct subscription *subscription = &reading->subscription;
    const uint64_t head = feed_head(reading->feed);
    struct progress progress = {.cursor = subscription->cursor};
    message_init(&progress.message, reading->feed->buffers);

    result outcome = collect_step(reading, source, head, &progress);
    if (!failed(outcome)) {
        const bool moved = progress.message.events_count > 0 || progress.scanned_count >= STEP_EVENTS_COUNT_MAX;
        struct subscription_marks marks = marks_of(subscription, &progress, head, source->log_records_count > 0);
        subscription->cursor = progress.cursor;
        if (!moved && !marks.caught_up && !marks.fell_behind && !heartbeat_due) {
            message_deinit(&progress.message);
            return (struct step){.kind = STEP_WAIT};
        }
        marks.heartbeat = heartbeat_due && !moved && !marks.caught_up && !marks.fell_behind;
        outcome = message_end_subscribe(&progress.message, &marks);
    }
    if (failed(outcome)) {
        message_deinit(&progress.message);
        return step_end(outcome.failure);
    }
    return (struct step){.kind = STEP_MESSAGE, .message = message_take(&progress.message)};
}
