#include "service/commit/committer.h"

#include <assert.h>

#include "service/base/failpoint.h"
#include "service/base/limits.h"
#include "service/commit/conditions.h"
#include "service/commit/replays.h"
#include "service/commit/revisions.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "service/store/terms.h"

result committer_init(struct committer *committer, struct store *store, struct index *index,
                      const struct commit_listener *listener) {
    *committer = (struct committer){.store = store, .index = index, .listener = listener};
    result outcome = revisions_new(store, index, &committer->revisions);
    if (!failed(outcome)) outcome = replays_new(store, index, &committer->replays);
    if (!failed(outcome)) outcome = conditions_new(store, index, &committer->conditions);
    if (!failed(outcome)) {
        outcome = apply_init(&committer->apply, store, committer->revisions, committer->replays, committer->conditions);
    }
    if (failed(outcome)) committer_deinit(committer);
    return outcome;
}

void committer_deinit(struct committer *committer) {
    committer->conditions = conditions_free(committer->conditions);
    committer->replays = replays_free(committer->replays);
    committer->revisions = revisions_free(committer->revisions);
}

static enum append_outcome outcome_of(enum failure failure) {
    switch (failure) {
    case FAILURE_STORAGE_FULL:
        return APPEND_STORAGE_FULL;
    case FAILURE_CORRUPT:
        return APPEND_STORAGE_CORRUPT;
    case FAILURE_MEMORY:
        return APPEND_OUT_OF_MEMORY;
    default:
        return APPEND_OUTCOME_UNKNOWN;
    }
}

/* Decided by what was on disk already, if nothing of the group came before it. */
static bool stands(const struct append_request *request) {
    if (request->outcome == APPEND_COMMITTED) return request->replayed;
    return request->outcome != APPEND_PENDING && request->conflicts_count > 0;
}

/* What comes after the first accepted request may have been decided by it, and shares its fate. */
static void group_fail(const struct log_group *group, enum failure failure) {
    bool accepted = false;
    for (struct append_request *request = group->requests.first; request != NULL; request = request->next) {
        if (!accepted && stands(request)) continue;
        accepted = true;
        request->outcome = outcome_of(failure);
    }
}

/* The index is derived from the log: what fails here is rebuilt from it after the restart. */
static result chunk_index(struct committer *committer, const struct chunk *chunk) {
    struct index_entry entries[TERMS_COUNT_MAX];
    const uint32_t count = chunk_records_count(chunk);
    for (uint32_t index = 0; index < count; index++) {
        struct record record;
        TRY(record_read(chunk_record(chunk, index), &record));
        uint32_t entries_count;
        TRY(terms_of_record(&record, entries, &entries_count));
        TRY(index_add(committer->index, record.position, entries, entries_count));
    }
    return RESULT_OK;
}

/* Applies within one transaction. On failure nothing of the group is left. */
static result group_write(struct committer *committer, const struct log_group *group, struct chunk *chunk) {
    TRY(store_begin(committer->store));
    result outcome = apply_group(&committer->apply, group->requests.first, group->now_ns, chunk);
    DAYBOOK_FAILPOINT(GROUP_APPLIED);
    if (!failed(outcome) && committer->apply.is_changed) {
        committer->commit_is_late = DAYBOOK_IS_BROKEN(ACK_EARLY);
        if (!committer->commit_is_late) outcome = store_commit(committer->store);
    } else {
        store_abort(committer->store);
    }
    if (failed(outcome)) {
        apply_abort(&committer->apply);
    } else {
        apply_commit(&committer->apply, chunk);
    }
    return outcome;
}

/* A good guess: the chunk stays in the tail's memory with all its room, and grows where the guess is short. */
static size_t bytes_expected(const struct queue_group *requests) {
    return (size_t)(requests->size_bytes + requests->events_count * RECORD_OVERHEAD_BYTES_TYPICAL);
}

result committer_commit(struct committer *committer, const struct log_group *group, uint32_t *ret_events_count) {
    struct chunk *chunk;
    result outcome = chunk_new(bytes_expected(&group->requests), (uint32_t)group->requests.events_count, &chunk);
    if (failed(outcome)) {
        group_fail(group, outcome.failure);
        *ret_events_count = 0;
        return RESULT_OK;
    }
    outcome = group_write(committer, group, chunk);
    if (failed(outcome)) group_fail(group, outcome.failure);
    const uint32_t count = failed(outcome) ? 0 : chunk_records_count(chunk);
    if (!failed(outcome) && committer->apply.is_rewritten) {
        committer->listener->rewritten(committer->listener->context);
    }
    if (count > 0) {
        /* The group is on disk: should the index fail now, its requests are committed, but nobody could read them yet. */
        outcome = chunk_index(committer, chunk);
        DAYBOOK_FAILPOINT(INDEX_ADDED);
        if (failed(outcome)) {
            group_fail(group, FAILURE_STORAGE);
            outcome = failure_result(FAILURE_STORAGE);
        } else {
            committer->listener->committed(committer->listener->context, chunk);
        }
    }
    chunk_unref(chunk);
    *ret_events_count = count;
    if (outcome.failure != FAILURE_STORAGE) return RESULT_OK;
    committer->listener->storage_failed(committer->listener->context, outcome.failure);
    return outcome;
}

#ifdef DAYBOOK_FAILPOINTS
void committer_commit_late(struct committer *committer) {
    if (!committer->commit_is_late) return;
    committer->commit_is_late = false;
    const result outcome = store_commit(committer->store);
    if (failed(outcome)) committer->listener->storage_failed(committer->listener->context, outcome.failure);
}
#endif
