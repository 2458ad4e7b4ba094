/* message.h: a response in the making: framed records, then the fields behind them.
 *
 * The bytes are those of daybook.v1.ReadResponse or SubscribeResponse; the field numbers are in event_store.proto. Records
 * are copied, never decoded. An AppendManyResponse is made of outcomes in the same way: they, too, are field 1.
 * Ownership: a message owns its buffer, which comes from the feed's, until message_take hands it over. Threads: one at a time. */
#ifndef SERVICE_FEED_MESSAGE_H
#define SERVICE_FEED_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "service/base/bytes.h"
#include "service/base/result.h"
#include "service/feed/buffers.h"
#include "service/feed/feed.h"

struct message {
    struct buffers *buffers;
    struct buffer *buffer; /* NULL: nothing was added yet */
    size_t size;
    uint64_t events_count;
};

void message_init(struct message *message, struct buffers *buffers);
void message_deinit(struct message *message);

/* Appends a record as one of `events`. FAILURE_MEMORY. */
MUST_USE result message_add_record(struct message *message, struct bytes record);

/* Append the trailing fields; zero and false are not encoded, as proto3 has it. FAILURE_MEMORY. */
MUST_USE result message_end_read(struct message *message, uint64_t head);

struct subscription_marks {
    uint64_t position;
    uint64_t head;
    bool caught_up;
    bool fell_behind;
    bool heartbeat;
    bool append_continues;
};
MUST_USE result message_end_subscribe(struct message *message, const struct subscription_marks *marks);

/* Hands the bytes over; the message is empty afterwards. */
struct feed_message message_take(struct message *message);

#endif
