/* api_reference.h: what Daybook's API promises, as arrays and linear scans: the reference that the real one is compared with.
 *
 * No cleverness: whoever doubts an answer of the daemon reads here what it should have been.
 * Ownership: everything lives in the reference's arena until reference_free. Threads: one. Errors: assertions. */
#ifndef TESTS_MODEL_API_REFERENCE_H
#define TESTS_MODEL_API_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.upb.h"
#include "service/base/bytes.h"

#define REFERENCE_STREAMS_COUNT    12 /* that clients may write to */
#define REFERENCE_STREAM_ERASURES  REFERENCE_STREAMS_COUNT
#define REFERENCE_TYPES_COUNT      5
#define REFERENCE_TAGS_COUNT       8
#define REFERENCE_CONSUMERS_COUNT  5
#define REFERENCE_EVENTS_COUNT_MAX (1u << 17)
#define REFERENCE_TAGS_MAX         3
#define REFERENCE_WRITES_MAX       4
#define REFERENCE_WRITE_EVENTS_MAX 4
#define REFERENCE_CHECKS_MAX       3
#define REFERENCE_CLAUSES_MAX      3
#define REFERENCE_CLAUSE_NAMES_MAX 3
#define REFERENCE_CONFLICTS_MAX    (REFERENCE_WRITES_MAX * REFERENCE_WRITE_EVENTS_MAX + REFERENCE_CHECKS_MAX)
#define REFERENCE_ID_BYTES         36
#define REFERENCE_BEGIN_NS         INT64_C(1800000000123456789) /* by the wall clock */

/* Several are prefixes of others. The last stream is the one of erasures. */
extern const char *const reference_streams[REFERENCE_STREAMS_COUNT + 1];
extern const char *const reference_types[REFERENCE_TYPES_COUNT];
extern const char *const reference_tags[REFERENCE_TAGS_COUNT];
extern const char *const reference_consumers[REFERENCE_CONSUMERS_COUNT];

/* --- What is asked. ---------------------------------------------------------------------------------------------------- */

struct reference_new_event {
    const char *id; /* in lower case; NULL: the server makes one */
    const char *type;
    const char *tags[REFERENCE_TAGS_MAX];
    uint32_t tags_count;
    struct bytes encoded; /* as it is to be stored; without its id when the server makes that */
};

enum reference_expects { EXPECTS_NOTHING, EXPECTS_REVISION, EXPECTS_STREAM };

struct reference_expectation {
    uint32_t stream;
    enum reference_expects expects;
    uint64_t revision;
};

struct reference_write {
    struct reference_expectation expectation; /* and the stream that is written to */
    struct reference_new_event events[REFERENCE_WRITE_EVENTS_MAX];
    uint32_t events_count;
};

/* A list of names of one field of a clause; a count of 0: not set. */
struct reference_names {
    const char *names[REFERENCE_CLAUSE_NAMES_MAX];
    uint32_t count;
};
struct reference_clause {
    struct reference_names types;
    struct reference_names tags;
    struct reference_names streams;
    struct reference_names stream_prefixes;
    struct reference_names type_prefixes;
};
struct reference_filter {
    struct reference_clause clauses[REFERENCE_CLAUSES_MAX];
    uint32_t count; /* 0: everything matches */
};

struct reference_append {
    struct reference_write writes[REFERENCE_WRITES_MAX];
    uint32_t writes_count;
    struct reference_expectation checks[REFERENCE_CHECKS_MAX];
    uint32_t checks_count;
    bool has_condition;
    struct reference_filter none_match;
    uint64_t after;
    const char *consumer; /* NULL: no checkpoint */
    uint64_t checkpoint;
};

/* --- What is answered. -------------------------------------------------------------------------------------------------- */

struct reference_stream_conflict {
    bool is_check;
    uint32_t index;
    struct reference_expectation expectation;
    uint64_t actual;
};
struct reference_id_conflict {
    uint32_t write;
    uint32_t event;
    const char *id;
    uint64_t position;
};
struct reference_result {
    uint64_t first_revision;
    uint64_t last_revision;
    uint64_t first_position;
    uint64_t last_position;
};

struct reference_answer {
    const char *reason; /* "OK" or that of the error */
    int code;
    bool replayed;
    struct reference_result results[REFERENCE_WRITES_MAX]; /* one a write, when it is OK */
    uint32_t results_count;
    struct reference_stream_conflict streams[REFERENCE_CONFLICTS_MAX];
    uint32_t streams_count;
    struct reference_id_conflict ids[REFERENCE_CONFLICTS_MAX];
    uint32_t ids_count;
    uint64_t condition_position; /* 0: it held */
    bool checkpoint_is_stale;
    uint64_t checkpoint_position;
};

/* --- What is there. ----------------------------------------------------------------------------------------------------- */

struct reference_event {
    struct reference_new_event event;
    uint32_t stream;
    uint64_t revision;
    uint64_t append;     /* number of the request that wrote it */
    int64_t recorded_ns; /* the same of all events of a request, and later than those of the one before */
    bool is_of_system;
    bool is_erased;
    bool is_removed;         /* the retention has taken its bytes */
    uint64_t changed_at;     /* operation that hid or erased it; 0: none has */
    struct bytes record;     /* as it was first seen since it was written or erased; empty: not yet */
    struct bytes as_written; /* its bytes before it was erased */
    uint32_t tags_written_count;
};

enum reference_state { REFERENCE_ACTIVE, REFERENCE_DELETED, REFERENCE_TOMBSTONED };

struct reference_stream {
    uint64_t revision;
    enum reference_state state;
    uint64_t first_revision; /* that may be shown */
    bool has_settings;       /* something was said of it besides its events */
    uint64_t max_age_seconds;
    uint64_t max_count;
    uint64_t truncate_before;
};

struct reference_checkpoint {
    const char *consumer;
    uint64_t position; /* 0: none stored */
};

struct reference {
    upb_Arena *arena;
    struct reference_event *events; /* position p is events[p - 1] */
    uint64_t head;
    uint64_t appends_count;
    uint64_t operation; /* of the moment; the caller counts */
    int64_t now_ns;     /* the wall clock */
    int64_t recorded_last_ns;
    struct reference_stream streams[REFERENCE_STREAMS_COUNT + 1];
    struct reference_checkpoint checkpoints[REFERENCE_CONSUMERS_COUNT]; /* by name */
};

struct reference *reference_new(void);
struct reference *reference_free(struct reference *reference);

/* Copies text or bytes into the arena. */
const char *reference_text(struct reference *reference, const char *text, size_t size);
struct bytes reference_bytes(struct reference *reference, struct bytes bytes);

const struct reference_event *reference_at(const struct reference *reference, uint64_t position);

/* Whether the event may be shown, and whether it matches a filter. */
bool reference_shows(const struct reference *reference, const struct reference_event *event);
bool reference_matches(const struct reference_event *event, const struct reference_filter *filter);

/* What would be answered to an append that is a replay or is refused; of any other only that it would be written. */
struct reference_answer reference_decide(struct reference *reference, const struct reference_append *append);

/* Appends, or says why not. */
struct reference_answer reference_append(struct reference *reference, const struct reference_append *append);

/* One event of the server's own: it is the next one of its stream. Returns its position. */
uint64_t reference_append_own(struct reference *reference, uint32_t stream, const char *type);

/* Hides the stream's events below a revision, which is never taken back. */
void reference_hide(struct reference *reference, uint32_t stream, uint64_t first_revision);

/* Sets a stream's limit of age. What the one before has hidden stays hidden. */
void reference_limit_age(struct reference *reference, uint32_t stream, uint64_t max_age_seconds);

/* Time passes: what becomes too old is hidden. */
void reference_pass(struct reference *reference, int64_t nanoseconds);

/* The first revision of a stream that may be shown; one after the last: none may. */
uint64_t reference_first_revision(const struct reference *reference, uint32_t stream);

/* Whether an expectation holds. */
bool reference_holds(const struct reference *reference, const struct reference_expectation *expectation);

/* The checkpoint of a consumer. */
struct reference_checkpoint *reference_checkpoint(struct reference *reference, const char *consumer);

/* Compares an encoded RecordedEvent with the event at its position, and with its bytes as others have seen them. When
 * `may_be_old`, it may also be as it was before it was erased. Returns its position. */
uint64_t reference_check_record(struct reference *reference, struct bytes encoded, bool may_be_old);

#endif
