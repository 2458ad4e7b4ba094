#include "service/feed/message.h"

#include <string.h>

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
#define TAG_CONTINUES      0x38 /* 7 */
#define TRAILING_BYTES_MAX 64

void message_init(struct message *message, struct buffers *buffers) {
    *message = (struct message){.buffers = buffers};
}

void message_deinit(struct message *message) {
    buffer_give(message->buffer);
    message_init(message, message->buffers);
}

static result reserve(struct message *message, size_t size) {
    const size_t needed = message->size + size;
    if (message->buffer != NULL && needed <= message->buffer->capacity) return RESULT_OK;
    struct buffer *larger;
    TRY(buffer_take(message->buffers, needed, &larger));
    if (message->size > 0) memcpy(larger->data, message->buffer->data, message->size);
    buffer_give(message->buffer);
    message->buffer = larger;
    return RESULT_OK;
}

/* Where the next byte goes, once there is room. */
static uint8_t *end_of(const struct message *message) {
    return message->buffer->data + message->size;
}

result message_add_record(struct message *message, struct bytes record) {
    TRY(reserve(message, 1 + VARINT_BYTES_MAX + record.size));
    uint8_t *at = end_of(message);
    *at++ = TAG_EVENTS;
    at = varint_write(at, record.size);
    memcpy(at, record.data, record.size);
    message->size = (size_t)(at - message->buffer->data) + record.size;
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
    uint8_t *at = number_write(end_of(message), TAG_READ_HEAD, head);
    message->size = (size_t)(at - message->buffer->data);
    return RESULT_OK;
}

result message_end_subscribe(struct message *message, const struct subscription_marks *marks) {
    TRY(reserve(message, TRAILING_BYTES_MAX));
    uint8_t *at = end_of(message);
    at = number_write(at, TAG_POSITION, marks->position);
    at = number_write(at, TAG_HEAD, marks->head);
    at = number_write(at, TAG_CAUGHT_UP, marks->caught_up);
    at = number_write(at, TAG_FELL_BEHIND, marks->fell_behind);
    at = number_write(at, TAG_HEARTBEAT, marks->heartbeat);
    at = number_write(at, TAG_CONTINUES, marks->append_continues);
    message->size = (size_t)(at - message->buffer->data);
    return RESULT_OK;
}

struct feed_message message_take(struct message *message) {
    const struct feed_message taken = {.data = message->buffer == NULL ? NULL : message->buffer->data,
                                       .size = message->size,
                                       .release = buffer_give,
                                       .context = message->buffer};
    buffer_pass(message->buffer);
    message_init(message, message->buffers);
    return taken;
}
