#include "service/feed/message.h"

#include <stdlib.h>

#include "service/base/limits.h"
#include "service/base/varint.h"

/* Tags of protobuf: field number << 3 | wire type (0 varint, 2 length-delimited). */
#define TAG_EVENTS         0x0a /* both responses: 1 */
#define TAG_READ_HEAD      0x10 /* 2 */
#define TAG_POSITION       0x10 /* 2 */
#define TAG_HEAD           0x18 /* 3 */
#define TAG_CAUGHT_UP      0x20 /* 4 */
#define TAG_FELL_BEHIND    0x28 /* 5 */
#define TAG_HEARTBEAT      0x30 /* 6 */
#define CAPACITY_FIRST     512
#define TRAILING_BYTES_MAX 64

void message_init(struct message *message) {
    *message = (struct message){0};
}

void message_deinit(struct message *message) {
    free(message->data);
    message_init(message);
}

static result reserve(struct message *message, size_t size) {
    if (message->size + size <= message->capacity) return RESULT_OK;
    size_t capacity = message->capacity == 0 ? CAPACITY_FIRST : message->capacity;
    while (capacity < message->size + size) capacity *= 4;
    uint8_t *grown = realloc(message->data, capacity);
    if (grown == NULL) return failure_result(FAILURE_MEMORY);
    message->data = grown;
    message->capacity = capacity;
    return RESULT_OK;
}

result message_add_record(struct message *message, struct bytes record) {
    TRY(reserve(message, 1 + VARINT_BYTES_MAX + record.size));
    uint8_t *at = message->data + message->size;
    *at++ = TAG_EVENTS;
    at = varint_write(at, record.size);
    memcpy(at, record.data, record.size);
    message->size = (size_t)(at - message->data) + record.size;
    message->events_count++;
    return RESULT_OK;
}

static uint8_t *number_write(uint8_t *at, uint8_t tag, uint64_t number) {
    if (number == 0) return at;
    *at++ = tag;
    return varint_write(at, number);
}

result message_end_read(struct message *message, uint64_t head) {
    TRY(reserve(message, TRAILING_BYTES_MAX));
    uint8_t *at = number_write(message->data + message->size, TAG_READ_HEAD, head);
    message->size = (size_t)(at - message->data);
    return RESULT_OK;
}

result message_end_subscribe(struct message *message, const struct subscription_marks *marks) {
    TRY(reserve(message, TRAILING_BYTES_MAX));
    uint8_t *at = message->data + message->size;
    at = number_write(at, TAG_POSITION, marks->position);
    at = number_write(at, TAG_HEAD, marks->head);
    at = number_write(at, TAG_CAUGHT_UP, marks->caught_up);
    at = number_write(at, TAG_FELL_BEHIND, marks->fell_behind);
    at = number_write(at, TAG_HEARTBEAT, marks->heartbeat);
    message->size = (size_t)(at - message->data);
    return RESULT_OK;
}

struct feed_message message_take(struct message *message) {
    const struct feed_message taken = {
        .data = message->data, .size = message->size, .release = free, .context = message->data};
    message_init(message);
    return taken;
}
