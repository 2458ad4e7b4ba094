/* appends.h: rooms and requests for the tests of commit.
 *
 * Ownership: the caller closes and frees. Threads: one at a time for each request; append_wait waits for the sequencer's.
 * Errors: what fails is an assertion. */
#ifndef TESTS_UNIT_SERVICE_COMMIT_APPENDS_H
#define TESTS_UNIT_SERVICE_COMMIT_APPENDS_H

#include "service/base/limits.h"
#include "service/commit/listener.h"
#include "service/commit/request.h"
#include "service/store/index.h"
#include "service/store/store.h"
#include "tests/support/temporary_directory.h"

/* A store and its index, in a directory of their own. */
struct rooms {
    struct temporary_directory directory;
    struct store *store;
    struct index *index;
    uint64_t ids_window;       /* 0: all ids are known */
    uint32_t run_events_count; /* 0: as in the daemon */
};

struct rooms rooms_open(void);
/* Closes and opens them again with another window of ids, and small runs, so that old ids are soon dropped. */
void rooms_reopen_windowed(struct rooms *rooms, uint64_t ids_window, uint32_t run_events_count);
/* Closes and opens them again on the same directory. */
void rooms_reopen(struct rooms *rooms);
void rooms_close(struct rooms *rooms);

/* Commits are nothing to this listener, and a disk that has failed fails the test; and its functions, for others. */
extern const struct commit_listener appends_listener;
void appends_ignore(void *context, struct chunk *chunk);
void appends_ignore_rewritten(void *context);
void appends_storage_failed(void *context, enum failure failure);

/* A request with all its memory. */
struct append;

struct append *append_new(void);
void append_free(struct append *append);
struct append_request *append_request_of(struct append *append);

/* Adds a write of `events_count` events that can be told from their number. */
void append_write_add(struct append *append, const char *stream, uint32_t events_count, enum expectation expectation,
                      uint64_t revision);
/* Adds a write of one event of this type with these tags. */
void append_event_add(struct append *append, const char *stream, const char *type, const char *const *tags,
                      uint32_t tags_count);
void append_condition_set(struct append *append, const struct append_condition *condition);
void append_check_add(struct append *append, const char *stream, enum expectation expectation, uint64_t revision);

/* The same request once more, with memory of its own: a retry. */
struct append *append_copy(const struct append *append);
/* Changes of a copy: where a write goes, what an event says, and that the daemon has made the ids. */
void append_stream_set(struct append *append, uint32_t write, const char *stream);
void append_event_change(struct append *append, uint32_t write, uint32_t event);
void append_ids_are_new(struct append *append);
/* Adds one write of the first event of each of two requests. */
void append_write_join(struct append *append, const struct append *first, const struct append *second);

/* The request of one write of one event to a stream, without an expectation. */
struct append *append_of(const char *stream);
/* The same, which expects a revision. */
struct append *append_expecting(const char *stream, uint64_t revision);

/* Waits until the request has been answered; returns its outcome. */
enum append_outcome append_wait(struct append *append);
bool append_is_done(struct append *append);

/* The events of this request, as results say where they are, are in the store, byte for byte. */
void append_expect_stored(struct append *append, struct store *store);

#endif
