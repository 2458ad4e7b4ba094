#include "service/commit/apply.h"

#include <assert.h>

#include "service/commit/changes.h"
#include "service/commit/conditions.h"
#include "service/commit/replays.h"
#include "service/commit/revisions.h"
#include "service/store/store.h"

static result last_recorded(struct store *store, uint64_t position, int64_t *ret_recorded_ns) {
    struct store_reader *reader;
    TRY(store_reader_open(store, &reader));
    struct bytes encoded;
    struct record record;
    result outcome = store_reader_begin(reader, NULL);
    if (!failed(outcome)) {
        outcome = store_reader_get(reader, position, &encoded);
        if (!failed(outcome)) outcome = record_read(encoded, &record);
        if (!failed(outcome)) *ret_recorded_ns = record.recorded_ns;
        store_reader_end(reader);
    }
    store_reader_close(reader);
    return outcome;
}

result apply_init(struct apply *apply, struct store *store, struct revisions *revisions, struct replays *replays,
                  struct conditions *conditions) {
    *apply = (struct apply){.store = store,
                            .revisions = revisions,
                            .replays = replays,
                            .conditions = conditions,
                            .position_last = store_position_last(store)};
    if (apply->position_last == 0) return RESULT_OK;
    TRY(last_recorded(store, apply->position_last, &apply->recorded_last_ns));
    apply->recorded_committed_ns = apply->recorded_last_ns;
    return RESULT_OK;
}

/* A deleted stream counts as new, and still has its revision. */
static bool expectation_holds(enum expectation expectation, uint64_t expected, const struct stream_now *now) {
    switch (expectation) {
    case EXPECT_ANY:
        return true;
    case EXPECT_REVISION:
        return now->revision == expected || (expected == 0 && !now->exists);
    case EXPECT_EXISTS:
        return now->exists;
    }
    assert(!"an expectation is one of the three");
    return false;
}

/* Checks one stream and notes a conflict. */
static result stream_check(struct apply *apply, struct append_request *request, enum conflict_kind kind, uint32_t index,
                           const struct append_check *check) {
    struct stream_now now;
    TRY(stream_now_get(apply, check->term, check->stream, &now));
    if (expectation_holds(check->expectation, check->expected_revision, &now)) return RESULT_OK;
    const uint64_t actual = check->expectation == EXPECT_EXISTS ? 0 : now.revision;
    request->conflicts[request->conflicts_count++] =
        (struct append_conflict){.kind = kind, .index = index, .actual = actual};
    return RESULT_OK;
}

/* Finds every conflict, not just the first, against the state before the request. */
static result conflicts_find(struct apply *apply, struct append_request *request) {
    for (uint32_t index = 0; index < request->writes_count; index++) {
        const struct append_write *write = &request->writes[index];
        if (write->expectation == EXPECT_ANY) continue;
        const struct append_check check = {.stream = write->stream,
                                           .term = write->term,
                                           .expectation = write->expectation,
                                           .expected_revision = write->expected_revision};
        TRY(stream_check(apply, request, CONFLICT_WRITE, index, &check));
    }
    for (uint32_t index = 0; index < request->checks_count; index++) {
        TRY(stream_check(apply, request, CONFLICT_CHECK, index, &request->checks[index]));
    }
    return RESULT_OK;
}

static result event_write(struct apply *apply, const struct record *record, struct chunk *chunk) {
    struct bytes encoded;
    apply->is_changed = true;
    TRY(chunk_append(chunk, record, &encoded));
    return store_append(apply->store, record->position, encoded);
}

static result write_apply(struct apply *apply, const struct append_write *write, struct append_result *ret_result,
                          struct chunk *chunk) {
    uint64_t revision;
    TRY(revisions_get(apply->revisions, write->term, write->stream, &revision));
    ret_result->first_revision = revision + 1;
    ret_result->first_position = apply->position_last + 1;
    for (uint32_t index = 0; index < write->events_count; index++) {
        const struct record record = {.position = apply->position_last + 1,
                                      .stream = write->stream,
                                      .revision = revision + 1,
                                      .recorded_ns = apply->recorded_last_ns,
                                      .event = write->events[index].encoded};
        TRY(event_write(apply, &record, chunk));
        replays_set(apply->replays, &write->events[index], record.position);
        apply->position_last++;
        revision++;
    }
    ret_result->last_revision = revision;
    ret_result->last_position = apply->position_last;
    revisions_set(apply->revisions, write->term, write->stream, revision);
    return stream_follow_write(apply, write->stream, revision);
}

static result condition_check(struct apply *apply, struct append_request *request, const struct chunk *chunk,
                              int64_t now_ns) {
    if (request->condition == NULL) return RESULT_OK;
    uint64_t position;
    TRY(conditions_violation(apply->conditions, request->condition, chunk, now_ns, &position));
    if (position == 0) return RESULT_OK;
    request->conflicts[request->conflicts_count++] =
        (struct append_conflict){.kind = CONFLICT_CONDITION, .actual = position};
    return RESULT_OK;
}

static result checkpoint_check(struct apply *apply, struct append_request *request) {
    if (request->checkpoint == NULL) return RESULT_OK;
    uint64_t position;
    TRY(store_checkpoint_get(apply->store, request->checkpoint->consumer, &position));
    if (request->checkpoint->position > position) return RESULT_OK;
    request->conflicts[request->conflicts_count++] =
        (struct append_conflict){.kind = CONFLICT_CHECKPOINT, .actual = position};
    return RESULT_OK;
}

static result checkpoint_write(struct apply *apply, const struct append_checkpoint *checkpoint) {
    if (checkpoint == NULL) return RESULT_OK;
    const struct checkpoint stored = {
        .consumer = checkpoint->consumer, .position = checkpoint->position, .recorded_ns = apply->recorded_last_ns};
    return store_checkpoint_put(apply->store, &stored);
}

/* The first conflict gives the request its outcome: streams, then the condition, then the checkpoint. */
static enum append_outcome outcome_of(const struct append_request *request) {
    if (request->conflicts_count == 0) return APPEND_PENDING;
    switch (request->conflicts[0].kind) {
    case CONFLICT_WRITE:
    case CONFLICT_CHECK:
        return APPEND_REVISION_CONFLICT;
    case CONFLICT_CONDITION:
        return APPEND_CONDITION_FAILED;
    case CONFLICT_CHECKPOINT:
        return APPEND_CHECKPOINT_STALE;
    case CONFLICT_ID:
        return APPEND_ID_CONFLICT;
    case CONFLICT_TOMBSTONE:
        return APPEND_STREAM_TOMBSTONED;
    case CONFLICT_MISSING:
        return APPEND_STREAM_NOT_FOUND;
    }
    assert(!"a conflict is one of the seven");
    return APPEND_PENDING;
}

/* What stands against the request, a tombstone before anything that could be put right. Every stream that is written is looked
 * up here, so that damage is found before the request has left a trace. */
static result request_check(struct apply *apply, struct append_request *request, int64_t now_ns,
                            const struct chunk *chunk) {
    TRY(changes_check(apply, request));
    if (request->conflicts_count > 0) return RESULT_OK;
    TRY(conflicts_find(apply, request));
    TRY(condition_check(apply, request, chunk, now_ns));
    TRY(checkpoint_check(apply, request));
    return request->rewrite == NULL ? RESULT_OK : rewrite_probe(apply, request->rewrite);
}

/* Decides whether the request can be written: APPEND_PENDING, it can. */
static result request_decide(struct apply *apply, struct append_request *request, int64_t now_ns,
                             const struct chunk *chunk) {
    enum replay replay = REPLAY_NONE;
    request->conflicts_count = 0;
    for (uint32_t index = 0; index < request->writes_count; index++) {
        revisions_prefetch(apply->revisions, request->writes[index].term);
    }
    if (request->events_count > 0) TRY(replays_find(apply->replays, request, chunk, &replay));
    request->replayed = replay == REPLAY_COMPLETE;
    if (replay == REPLAY_COMPLETE) {
        request->outcome = APPEND_COMMITTED;
        return RESULT_OK;
    }
    if (replay == REPLAY_NONE) TRY(request_check(apply, request, now_ns, chunk));
    request->outcome = outcome_of(request);
    return RESULT_OK;
}

/* Nothing to erase, nothing to tell. */
static bool writes_are_due(const struct append_request *request) {
    const struct append_rewrite *rewrite = request->rewrite;
    return rewrite == NULL || rewrite->kind != REWRITE_ERASE || rewrite->rewritten_count > 0;
}

static result request_write(struct apply *apply, struct append_request *request, struct chunk *chunk) {
    if (request->rewrite != NULL) TRY(rewrite_write(apply, request->rewrite, apply->recorded_last_ns));
    if (!writes_are_due(request)) return RESULT_OK;
    for (uint32_t index = 0; index < request->writes_count; index++) {
        TRY(write_apply(apply, &request->writes[index], &request->results[index], chunk));
    }
    if (request->change != NULL) TRY(change_write(apply, request->change));
    return checkpoint_write(apply, request->checkpoint);
}

/* The time of a request: later than that of every append before it. */
static int64_t time_after(const struct apply *apply, int64_t now_ns) {
    return now_ns > apply->recorded_last_ns ? now_ns : apply->recorded_last_ns + 1;
}

static result request_apply(struct apply *apply, struct append_request *request, int64_t now_ns, struct chunk *chunk) {
    const result decided = request_decide(apply, request, time_after(apply, now_ns), chunk);
    if (decided.failure == FAILURE_CORRUPT) {
        request->outcome = APPEND_STORAGE_CORRUPT;
        return RESULT_OK;
    }
    TRY(decided);
    if (request->outcome != APPEND_PENDING) return RESULT_OK;
    const uint64_t position_before = apply->position_last;
    const int64_t recorded_before_ns = apply->recorded_last_ns;
    apply->recorded_last_ns = time_after(apply, now_ns);
    TRY(request_write(apply, request, chunk));
    /* Without an event the time is nowhere on disk: whoever starts again would go on with an earlier one. */
    if (apply->position_last == position_before) apply->recorded_last_ns = recorded_before_ns;
    request->outcome = APPEND_COMMITTED;
    return RESULT_OK;
}

result apply_group(struct apply *apply, struct append_request *requests, int64_t now_ns, struct chunk *chunk) {
    apply->is_changed = false;
    apply->is_rewritten = false;
    TRY(replays_prepare(apply->replays, requests));
    for (struct append_request *request = requests; request != NULL; request = request->next) {
        TRY(request_apply(apply, request, now_ns, chunk));
    }
    return RESULT_OK;
}

void apply_commit(struct apply *apply, const struct chunk *chunk) {
    assert(chunk_records_count(chunk) == 0 || chunk_position_last(chunk) == apply->position_last);
    apply->recorded_committed_ns = apply->recorded_last_ns;
    replays_clear(apply->replays);
    conditions_clear(apply->conditions);
    revisions_commit(apply->revisions);
}

void apply_abort(struct apply *apply) {
    apply->position_last = store_position_last(apply->store);
    apply->recorded_last_ns = apply->recorded_committed_ns;
    replays_clear(apply->replays);
    conditions_clear(apply->conditions);
    revisions_abort(apply->revisions);
}
