#include "service/store/log_check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "service/base/checksum.h"
#include "service/base/uuid.h"
#include "service/record/record.h"
#include "service/record/remains.h"

/* What is known of the streams whose terms lead to one place. */
struct place {
    struct term stream;
    uint64_t revision;
    uint32_t generation; /* of the check, when it was written; 0: never */
};

struct log_check {
    int64_t recorded_ns;
    uint32_t generation; /* from 1; places of an earlier one may have missed events */
    struct place *places;
};

result log_check_new(struct log_check **ret_check) {
    struct log_check *check = calloc(1, sizeof *check);
    if (check == NULL) return failure_result(FAILURE_MEMORY);
    check->generation = 1;
    check->places = calloc(LOG_CHECK_STREAMS_COUNT, sizeof *check->places);
    if (check->places == NULL) {
        free(check);
        return failure_result(FAILURE_MEMORY);
    }
    *ret_check = check;
    return RESULT_OK;
}

struct log_check *log_check_free(struct log_check *check) {
    if (check == NULL) return NULL;
    free(check->places);
    free(check);
    return NULL;
}

static struct place *place_of(struct log_check *check, struct term stream) {
    uint64_t hash;
    memcpy(&hash, stream.bytes, sizeof hash);
    return &check->places[hash % LOG_CHECK_STREAMS_COUNT];
}

/* Whether a revision may follow what is known of its stream; knows it afterwards. */
static bool revision_follows(struct log_check *check, struct bytes stream, uint64_t revision) {
    const struct term term = term_of(TERM_STREAM, stream);
    struct place *place = place_of(check, term);
    const bool is_current = place->generation == check->generation;
    bool follows = revision > 0;
    if (is_current && term_equal(place->stream, term)) {
        follows = revision == place->revision + 1;
    } else if (place->generation == 0 && check->generation == 1) {
        follows = revision == 1; /* nothing was forgotten here */
    }
    *place = (struct place){.stream = term, .revision = revision, .generation = check->generation};
    return follows;
}

static const char *event_wrong(const struct record *record, struct bytes encoded) {
    struct event_fields fields;
    if (failed(record_event_fields(record->event, &fields))) return "has an event that is none";
    if (fields.id.size != UUID_TEXT_BYTES) return "has an event without an id";
    if (fields.type.size == 0 && !remains_is_removed(encoded)) return "has an event without a type";
    return NULL;
}

const char *log_check_record(struct log_check *check, uint64_t position, struct bytes record) {
    struct record parts;
    if (failed(record_read(record, &parts))) {
        log_check_skip(check);
        return "is no record";
    }
    const bool is_late = parts.recorded_ns < check->recorded_ns;
    const bool follows = revision_follows(check, parts.stream, parts.revision);
    check->recorded_ns = parts.recorded_ns;
    if (parts.position != position) return "says that it is at another position";
    if (is_late) return "was recorded before the one in front of it";
    if (!follows) return "is not the next revision of its stream";
    return event_wrong(&parts, record);
}

void log_check_skip(struct log_check *check) {
    check->generation++;
}
