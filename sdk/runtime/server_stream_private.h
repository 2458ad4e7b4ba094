/* server_stream_private.h: what the files of a server's stream share. server_stream.c draws its life.
 *
 * Ownership: a stream lives in a slot of its queue. Threads: the queue's, but for the atomic flags. */
#ifndef DAYBOOK_SDK_RUNTIME_SERVER_STREAM_PRIVATE_H
#define DAYBOOK_SDK_RUNTIME_SERVER_STREAM_PRIVATE_H

#include <stdatomic.h>

#include "sdk/runtime/server_rpc.h"

enum stream_state { STREAM_OPEN, STREAM_FINISHING, STREAM_ENDING, STREAM_ENDED, STREAM_CLOSED, STREAM_STATES_COUNT };

/* The arena of the message that is being handled has a block of its own, for it starts anew with each. */
#define DAYBOOK__MESSAGE_BLOCK_BYTES 1024u

struct daybook_server_stream {
    struct server_rpc rpc;
    enum stream_state state;
    bool is_starting;            /* the handler has not returned yet */
    bool is_over;                /* the client's end of the call has been heard */
    bool headers_sent;           /* the initial metadata is on its way, or goes with the batch that is being made */
    codec_result request_fault;  /* what was wrong with a message; it decides how the stream ends */
    codec_result response_fault; /* the same for a message of ours */

    /* Set by the call of the function, reset before its callback runs: they also hold the handler to its contract. */
    atomic_bool sending;
    atomic_bool receiving;
    atomic_bool posting;
    atomic_bool finishing;

    struct server_command send;
    struct server_command receive;
    struct server_command post;
    struct server_command finish;
    struct loop_operation over;
    struct loop_operation sent;
    struct loop_operation received;
    struct loop_operation ended;

    grpc_byte_buffer *outgoing; /* being sent, or of a reply; NULL while sending: not encoded, see outgoing_result */
    codec_result outgoing_result;
    uint32_t outgoing_flags; /* gRPC's, of a write */
    daybook_server_stream_sent *on_sent;
    void *on_sent_context;
    grpc_byte_buffer *incoming;
    upb_Arena *incoming_arena; /* the handler's; NULL: the message is gone after its callback */
    daybook_server_stream_received *on_received;
    void *on_received_context;
    daybook_server_stream_posted *on_posted;
    void *on_posted_context;
    daybook_server_stream_events events;
    void *events_context;

    _Alignas(16) unsigned char message_block[DAYBOOK__MESSAGE_BLOCK_BYTES];
    _Alignas(16) unsigned char block[];
};

#define STREAM_OF(member, name)                                                                                        \
    ((daybook_server_stream *)(void *)((char *)(member)-offsetof(struct daybook_server_stream, name)))

/* Gives the stream back once it has ended and nothing of it is in flight: what every completion ends with. */
void daybook__server_stream_close_when_done(daybook_server_stream *stream);

/* server_stream_receive.c: what runs when a receive is due, and when it has completed. */
void daybook__server_stream_run_receive(struct server_command *command);
void daybook__server_stream_complete_receive(struct loop_operation *operation, bool ok);

#endif
