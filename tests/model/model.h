/* model.h: what a Daybook is, as a plain list: the reference that the real one is compared with.
 *
 * Ownership: the model owns copies of everything. Threads: one. Errors: what fails is an assertion. */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"

#define MODEL_STREAMS_COUNT    6
#define MODEL_TYPES_COUNT      3
#define MODEL_TAGS_COUNT       4
#define MODEL_EVENTS_COUNT_MAX 65536

/* Names, several of them prefixes of others. */
extern const char *const model_streams[MODEL_STREAMS_COUNT];
extern const char *const model_types[MODEL_TYPES_COUNT];
extern const char *const model_tags[MODEL_TAGS_COUNT];

struct model_event {
    uint32_t stream; /* index into model_streams */
    uint32_t type;
    uint32_t tags; /* bit n: model_tags[n] */
    uint64_t revision;
    bool ends_append;
    uint8_t *encoded; /* the Event as it was appended */
    size_t encoded_size;
    uint8_t *record; /* the RecordedEvent as it was first seen; NULL: not seen yet */
    size_t record_size;
};

struct model {
    struct model_event events[MODEL_EVENTS_COUNT_MAX]; /* position p is events[p - 1] */
    uint64_t head;
    uint64_t revisions[MODEL_STREAMS_COUNT];
};

/* What a reader wants; a bit set of 0 means any. One clause is enough here: filter_test.c has the rest. */
struct model_filter {
    uint32_t streams;
    uint32_t types;
    uint32_t tags;      /* all of them */
    const char *prefix; /* of the stream, or NULL */
};

struct model *model_new(void);
struct model *model_free(struct model *model);

/* Adds an event at the end. `encoded` is copied. */
void model_append(struct model *model, uint32_t stream, uint32_t type, uint32_t tags, struct bytes encoded);

/* The last event ends an append. */
void model_append_end(struct model *model);

bool model_matches(const struct model_event *event, const struct model_filter *filter);

/* The first position after `after` that matches, 0 when there is none up to the head. */
uint64_t model_next(const struct model *model, uint64_t after, const struct model_filter *filter);

/* Compares a record with the event at its position: place, stream, revision, the event's bytes, and the record's own bytes
 * with those that others have seen. `record` is an encoded RecordedEvent. Returns its position. */
uint64_t model_check_record(struct model *model, struct bytes record);

#endif
