#include "tests/support/stores.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/record/record.h"
#include "tests/support/events.h"

#define EVENT_OVERHEAD_BYTES 128

struct store *stores_open(const char *directory) {
    const struct store_options options = {.directory = directory, .map_bytes = STORES_MAP_BYTES};
    struct store *store = NULL;
    struct problem problem = {0};
    const result outcome = store_open(&options, &store, &problem);
    if (failed(outcome)) (void)fprintf(stderr, "%s\n", problem.text);
    assert(!failed(outcome));
    return store;
}

struct bytes stores_record(uint64_t position, size_t payload_bytes) {
    uint8_t *payload = malloc(payload_bytes + 1);
    uint8_t *event = malloc(payload_bytes + EVENT_OVERHEAD_BYTES);
    assert(payload != NULL && event != NULL);
    for (size_t index = 0; index < payload_bytes; index++) payload[index] = (uint8_t)(position * 31 + index * 7);
    char stream[32];
    const int stream_size = snprintf(stream, sizeof stream, "stream-%" PRIu64, position % 7);
    assert(stream_size > 0);
    const struct events_id id = events_id_of(position);
    const struct event_parts parts = {
        .id = id.text, .type = "Tested", .data = {.data = payload, .size = payload_bytes}};
    const struct record record = {
        .position = position,
        .stream = bytes_of(stream, (size_t)stream_size),
        .revision = 1 + (position - 1) / 7,
        .recorded_ns = 1700000000000000000 + (int64_t)position,
        .event = event_encode(&parts, event, payload_bytes + EVENT_OVERHEAD_BYTES),
    };
    uint8_t *encoded = malloc(record_size(&record));
    assert(encoded != NULL);
    const struct bytes bytes = event_record_encode(&record, encoded, record_size(&record));
    free(event);
    free(payload);
    return bytes;
}

void stores_record_free(struct bytes record) {
    free((void *)(uintptr_t)record.data);
}

result stores_append(struct store *store, uint64_t first, uint64_t last, size_t payload_bytes) {
    TRY(store_begin(store));
    for (uint64_t position = first; position <= last; position++) {
        const struct bytes record = stores_record(position, payload_bytes);
        const result outcome = store_append(store, position, record);
        stores_record_free(record);
        if (failed(outcome)) {
            store_abort(store);
            return outcome;
        }
    }
    return store_commit(store);
}
