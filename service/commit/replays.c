#include "service/commit/replays.h"

#include <assert.h>
#include <stdlib.h>

#include "service/commit/pending.h"
#include "service/record/record.h"
#include "service/record/remains.h"
#include "service/store/index.h"
#include "service/store/store.h"

/* Hits of a term that are looked at; more than one only when two ids share a term, and no two are known to. */
#define HITS_COUNT_MAX 16

struct replays {
    const struct store *store;
    struct index *index;
    uint64_t window; /* ids of so many of the newest events are known; 0: of all */
    struct store_reader *reader;
    bool is_reading;
    struct pending pending;
    uint32_t next;                                /* the first of the next request */
    struct term terms[PENDING_COUNT_MAX];         /* of the ids that the group's requests give, in their order */
    struct index_entry newest[PENDING_COUNT_MAX]; /* what the index has of them */
};

result replays_new(struct store *store, struct index *index, struct replays **ret_replays) {
    struct replays *replays = calloc(1, sizeof *replays);
    if (replays == NULL) return failure_result(FAILURE_MEMORY);
    replays->store = store;
    replays->index = index;
    replays->window = index_ids_window(index);
    const result outcome = store_reader_open(store, &replays->reader);
    if (failed(outcome)) {
        replays_free(replays);
        return outcome;
    }
    *ret_replays = replays;
    return RESULT_OK;
}

struct replays *replays_free(struct replays *replays) {
    if (replays == NULL) return NULL;
    store_reader_close(replays->reader);
    free(replays);
    return NULL;
}

result replays_prepare(struct replays *replays, const struct append_request *requests) {
    uint32_t count = 0;
    for (const struct append_request *request = requests; request != NULL; request = request->next) {
        for (uint32_t write = 0; write < request->writes_count; write++) {
            for (uint32_t event = 0; event < request->writes[write].events_count; event++) {
                const struct append_event *given = &request->writes[write].events[event];
                if (given->id_is_new) continue;
                assert(count < PENDING_COUNT_MAX);
                replays->terms[count++] = given->id_term;
            }
        }
    }
    replays->next = 0;
    return index_newest(replays->index, replays->terms, count, replays->newest);
}

/* Most requests are new: only a known id needs the log. */
static result reading_begin(struct replays *replays) {
    if (replays->is_reading) return RESULT_OK;
    TRY(store_reader_begin(replays->reader, NULL));
    replays->is_reading = true;
    return RESULT_OK;
}

static void reading_end(struct replays *replays) {
    if (replays->is_reading) store_reader_end(replays->reader);
    replays->is_reading = false;
}

/* The record at a known position: of this group, or from the log. */
static result record_get(struct replays *replays, const struct chunk *chunk, uint64_t position,
                         struct record *ret_record) {
    if (chunk_records_count(chunk) > 0 && position >= chunk_position_first(chunk)) {
        return record_read(chunk_record(chunk, (uint32_t)(position - chunk_position_first(chunk))), ret_record);
    }
    struct bytes encoded;
    TRY(reading_begin(replays));
    const result found = store_reader_get(replays->reader, position, &encoded);
    /* The index only holds what is committed: a hit without its record is damage. */
    if (found.failure == FAILURE_NOT_FOUND) return failure_result(FAILURE_CORRUPT);
    TRY(found);
    return record_read(encoded, ret_record);
}

static result id_is_of(struct replays *replays, const struct chunk *chunk, uint64_t position, struct bytes id,
                       bool *ret_is) {
    struct record record;
    struct event_fields fields;
    TRY(record_get(replays, chunk, position, &record));
    TRY(record_event_fields(record.event, &fields));
    *ret_is = bytes_equal(fields.id, id);
    return RESULT_OK;
}

/* Whether an event is among those whose ids count, at this moment of the log: so the answer is the same wherever the log is
 * applied, whatever the index still has. */
static bool is_known(const struct replays *replays, uint64_t position) {
    return replays->window == 0 || store_position_last(replays->store) - position < replays->window;
}

/* The position of the event with this id, 0 when it is new. `newest` is the newest entry of its term. */
static result position_find(struct replays *replays, const struct append_event *event, const struct index_entry *newest,
                            const struct chunk *chunk, uint64_t *ret_position) {
    *ret_position = 0;
    uint64_t position;
    if (pending_get(&replays->pending, event->id_term, event->id, &position) && is_known(replays, position)) {
        *ret_position = position;
        return RESULT_OK;
    }
    if (newest->position == 0 || !is_known(replays, newest->position)) return RESULT_OK;
    struct index_entry hits[HITS_COUNT_MAX];
    uint32_t count;
    TRY(index_range(replays->index, event->id_term, UINT64_MAX, INDEX_BACKWARD, HITS_COUNT_MAX, hits, &count));
    for (uint32_t index = 0; index < count && *ret_position == 0; index++) {
        bool is_it;
        if (!is_known(replays, hits[index].position)) break; /* so are all after it */
        TRY(id_is_of(replays, chunk, hits[index].position, event->id, &is_it));
        if (is_it) *ret_position = hits[index].position;
    }
    return RESULT_OK;
}

/* How many ids the request gives. */
static uint32_t given_count(const struct append_request *request) {
    uint32_t count = 0;
    for (uint32_t write = 0; write < request->writes_count; write++) {
        for (uint32_t event = 0; event < request->writes[write].events_count; event++) {
            if (!request->writes[write].events[event].id_is_new) count++;
        }
    }
    return count;
}

/* Notes every event whose id is known as a conflict, until it turns out to be a replay. */
static result known_find(struct replays *replays, struct append_request *request, const struct chunk *chunk) {
    const struct index_entry *newest = &replays->newest[replays->next];
    replays->next += given_count(request); /* also when this one fails: the others go on */
    request->conflicts_count = 0;
    for (uint32_t write = 0; write < request->writes_count; write++) {
        for (uint32_t event = 0; event < request->writes[write].events_count; event++) {
            const struct append_event *given = &request->writes[write].events[event];
            uint64_t position;
            if (given->id_is_new) continue;
            TRY(position_find(replays, given, newest++, chunk, &position));
            if (position == 0) continue;
            request->conflicts[request->conflicts_count++] =
                (struct append_conflict){.kind = CONFLICT_ID, .index = write, .event = event, .actual = position};
        }
    }
    return RESULT_OK;
}

/* Of an event whose bytes were taken away since, what is left decides. */
static bool is_event(const struct record *record, const struct append_event *event) {
    return bytes_equal(record->event, event->encoded) || remains_match(record, event->id, event->encoded);
}

/* Whether the known events of one write, from `known` on, are this write, after what `last_position` says. */
static result write_matches(struct replays *replays, const struct append_write *write,
                            const struct append_conflict *known, const struct chunk *chunk, uint64_t *last_position,
                            struct append_result *ret_result, bool *ret_matches) {
    *ret_matches = false;
    for (uint32_t index = 0; index < write->events_count; index++) {
        struct record record;
        TRY(record_get(replays, chunk, known[index].actual, &record));
        const bool follows = index == 0 ? record.position > *last_position : record.position == *last_position + 1;
        if (!follows || !bytes_equal(record.stream, write->stream) || !is_event(&record, &write->events[index])) {
            return RESULT_OK;
        }
        if (index == 0) {
            ret_result->first_revision = record.revision;
            ret_result->first_position = record.position;
        }
        ret_result->last_revision = record.revision;
        ret_result->last_position = *last_position = record.position;
    }
    *ret_matches = true;
    return RESULT_OK;
}

/* All ids are known, so the conflicts are the events of the request, one for one. */
static result request_matches(struct replays *replays, struct append_request *request, const struct chunk *chunk,
                              bool *ret_matches) {
    const struct append_conflict *known = request->conflicts;
    uint64_t last_position = 0;
    *ret_matches = true;
    for (uint32_t index = 0; index < request->writes_count && *ret_matches; index++) {
        TRY(write_matches(replays, &request->writes[index], known, chunk, &last_position, &request->results[index],
                          ret_matches));
        known += request->writes[index].events_count;
    }
    return RESULT_OK;
}

static result find(struct replays *replays, struct append_request *request, const struct chunk *chunk,
                   enum replay *ret_replay) {
    TRY(known_find(replays, request, chunk));
    *ret_replay = request->conflicts_count == 0 ? REPLAY_NONE : REPLAY_CONFLICT;
    if (request->conflicts_count < request->events_count) return RESULT_OK;
    bool matches;
    TRY(request_matches(replays, request, chunk, &matches));
    if (!matches) return RESULT_OK;
    request->conflicts_count = 0;
    *ret_replay = REPLAY_COMPLETE;
    return RESULT_OK;
}

result replays_find(struct replays *replays, struct append_request *request, const struct chunk *chunk,
                    enum replay *ret_replay) {
    assert(request->events_count > 0);
    const result outcome = find(replays, request, chunk, ret_replay);
    reading_end(replays);
    return outcome;
}

void replays_set(struct replays *replays, const struct append_event *event, uint64_t position) {
    if (!event->id_is_new) pending_set(&replays->pending, event->id_term, event->id, position);
}

void replays_clear(struct replays *replays) {
    pending_clear(&replays->pending);
}
