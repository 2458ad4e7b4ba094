/* AppendMany: requests of one client, pipelined.
 *
 *   receive ──► slot ──fill──► submitted ──done, on the sequencer's thread──► decided ──in order──► response ──► sent
 *                 │               ▲ room                                         ▲
 *                 │               └── waiting, when the queue is full            │
 *                 └──────────────── refused by a check ──────────────────────────┘
 *
 * Slots are in one list, in the order of the requests; its head goes into a response when it is decided. One response is in
 * flight, and one gathers behind it. The list is bounded: at its limit nothing is received, and HTTP/2's flow control holds
 * the client. The limit shrinks with the memory that all streams hold together, and what still finds no room is refused
 * (append_streams.h); what is decided keeps its outcome alone. Everything runs on the stream's thread; the sequencer and the
 * one who drains leave notes, and the first of them posts. So nothing has a lock, and the outcomes of a group come with few
 * wake-ups, in few messages.
 *
 * A stream ends when nothing of it is in flight: with OK after the client has said everything, with DRAINING when the daemon
 * stops; a stream that is lost (the client has gone, or there is no memory) answers nothing any more. */
#include <assert.h>

#include "service/api/append_slot.h"
#include "service/api/append_streams.h"
#include "service/api/deadline.h"
#include "service/base/limits.h"
#include "service/commit/queue.h"
#include "service/commit/sequencer.h"
#include "service/feed/message.h"

struct append_many {
    const struct api *api;
    daybook_server_stream *stream;
    int64_t deadline_ns; /* the call's, and so that of each request */
    struct append_member member;
    struct notes notes;
    struct note drain; /* left by who drains */
    struct note room;  /* left by the queue that was full */
    struct queue_waiter waiter;

    struct append_slot *first; /* in the order of the requests */
    struct append_slot **last_link;
    uint32_t slots_count;
    uint64_t size_bytes;          /* of the slots in the list */
    uint32_t submitted_count;     /* of them: not decided yet */
    struct append_slot *waiting;  /* the last one, while the queue is full */
    struct append_slot *incoming; /* what is received goes into this one, which is not in the list yet */
    struct append_slot *spare;    /* to be used again; never more than a window */
    uint32_t spare_count;
    uint64_t size_bytes_told; /* of both, to the other streams */
    struct message response;  /* gathers */

    bool receiving;
    bool sending;
    bool heard_all; /* the client has said everything */
    bool draining;
    bool lost;
    bool finished;
    enum failure failure; /* why it is lost; FAILURE_NONE: the client has gone */
};

#define MANY_OF(member_pointer, name)                                                                                  \
    ((struct append_many *)(void *)((char *)(member_pointer)-offsetof(struct append_many, name)))

static void advance(struct append_many *many);

static void lose(struct append_many *many, enum failure failure) {
    if (many->lost) return;
    many->lost = true;
    many->failure = failure;
}

/* --- Slots ------------------------------------------------------------------------------------------------------------ */

static struct append_slot *slot_take(struct append_many *many) {
    struct append_slot *slot = many->spare;
    if (slot == NULL) return append_slot_new(many);
    many->spare = slot->next;
    many->spare_count--;
    append_slot_begin(slot);
    return slot;
}

static void slot_give(struct append_many *many, struct append_slot *slot) {
    append_slot_end(slot);
    slot->next = many->spare;
    many->spare = slot;
    many->spare_count++;
}

static void spare_free(struct append_many *many) {
    while (many->spare != NULL) {
        struct append_slot *slot = many->spare;
        many->spare = slot->next;
        append_slot_free(slot);
    }
    many->spare_count = 0;
}

static void slot_append(struct append_many *many, struct append_slot *slot) {
    slot->next = NULL;
    *many->last_link = slot;
    many->last_link = &slot->next;
    many->slots_count++;
    slot->size_bytes_taken = slot->size_bytes;
    many->size_bytes += slot->size_bytes_taken;
}

static struct append_slot *slot_remove_first(struct append_many *many) {
    struct append_slot *slot = many->first;
    many->first = slot->next;
    if (many->first == NULL) many->last_link = &many->first;
    many->slots_count--;
    many->size_bytes -= slot->size_bytes_taken;
    return slot;
}

/* What a slot of the list holds has changed. */
static void slot_recount(struct append_many *many, struct append_slot *slot) {
    many->size_bytes -= slot->size_bytes_taken;
    many->size_bytes += slot->size_bytes;
    slot->size_bytes_taken = slot->size_bytes;
}

static void slot_refuse(struct append_many *many, struct append_slot *slot, enum failure failure) {
    append_slot_refuse(slot, failure);
    slot_recount(many, slot);
}

/* Once for all that one wake-up has changed. */
static void size_tell(struct append_many *many) {
    const uint64_t size_bytes = many->size_bytes + many->spare_count * (uint64_t)APPEND_SLOT_BYTES;
    if (size_bytes == many->size_bytes_told) return;
    append_streams_hold(many->api->append_streams, (int64_t)(size_bytes - many->size_bytes_told));
    many->size_bytes_told = size_bytes;
}

/* --- What other threads leave ------------------------------------------------------------------------------------------ */

static void notes_posted(daybook_server_stream *stream, void *context) {
    struct append_many *many = context;
    (void)stream;
    notes_take(&many->notes);
    advance(many);
}

/* The stream may have ended when this returns, unless the note was the first: then it waits for the post. */
static void note_leave(struct append_many *many, struct note *note) {
    if (notes_push(&many->notes, note)) daybook_server_stream_post(many->stream, notes_posted, many);
}

static void on_done(struct append_request *request) {
    struct append_slot *slot = request->context;
    note_leave(slot->many, &slot->decided);
}

static void decided_take(struct note *note) {
    struct append_slot *slot = (struct append_slot *)(void *)((char *)note - offsetof(struct append_slot, decided));
    slot->state = SLOT_DECIDED;
    slot->many->submitted_count--;
    append_slot_settle(slot);
    slot_recount(slot->many, slot);
}

static void on_room(struct queue_waiter *waiter) {
    struct append_many *many = MANY_OF(waiter, waiter);
    note_leave(many, &many->room);
}

static void submit(struct append_many *many, struct append_slot *slot);

static void room_take(struct note *note) {
    struct append_many *many = MANY_OF(note, room);
    struct append_slot *slot = many->waiting;
    many->waiting = NULL;
    if (many->lost) {
        slot_refuse(many, slot, FAILURE_STOPPED); /* nobody would hear of it */
    } else {
        submit(many, slot);
    }
}

static void on_drain(struct append_member *member) {
    struct append_many *many = MANY_OF(member, member);
    note_leave(many, &many->drain);
}

static void drain_take(struct note *note) {
    MANY_OF(note, drain)->draining = true;
}

/* --- The way in -------------------------------------------------------------------------------------------------------- */

static void submit(struct append_many *many, struct append_slot *slot) {
    const result submitted = sequencer_submit_or_wait(many->api->sequencer, &slot->append.request, &many->waiter);
    if (!failed(submitted)) {
        many->submitted_count++;
    } else if (submitted.failure == FAILURE_LIMIT) {
        many->waiting = slot;
    } else {
        slot_refuse(many, slot, submitted.failure);
    }
}

/* What all streams together have no room for is found before it is encoded; what has grown by that, after it. */
static void slot_fill(struct append_many *many, struct append_slot *slot, const daybook_v1_AppendRequest *message) {
    struct append_streams *streams = many->api->append_streams;
    bool has_room = append_streams_admit(streams, slot->size_bytes);
    if (has_room) {
        append_slot_fill(slot, many->api, message);
        has_room = slot->state == SLOT_SETTLED || append_streams_admit(streams, slot->size_bytes);
    }
    if (!has_room) append_slot_refuse_full(slot);
}

static void request_take(struct append_many *many, struct append_slot *slot, const daybook_v1_AppendRequest *message) {
    slot_fill(many, slot, message);
    slot_append(many, slot);
    if (slot->state == SLOT_SETTLED) return;
    slot->decided.take = decided_take;
    slot->append.request.done = on_done;
    slot->append.request.context = slot;
    slot->append.request.deadline_ns = many->deadline_ns;
    submit(many, slot);
}

static void on_received(daybook_server_stream *stream, const void *request, void *context) {
    struct append_many *many = context;
    (void)stream;
    struct append_slot *slot = many->incoming;
    many->receiving = false;
    many->incoming = NULL;
    if (request == NULL) many->heard_all = true;
    if (request == NULL || many->draining || many->lost || many->finished) {
        slot_give(many, slot);
    } else {
        request_take(many, slot, request);
    }
    advance(many);
}

/* Who holds nothing needs no window, so that none waits for the others: what it has of its own wakes a stream. */
static bool has_window(const struct append_many *many) {
    if (many->first == NULL && !many->sending) return true;
    return many->slots_count < APPEND_MANY_REQUESTS_COUNT_MAX &&
           many->size_bytes < append_streams_window_bytes(many->api->append_streams);
}

static bool may_receive(const struct append_many *many) {
    return !many->receiving && !many->heard_all && !many->draining && !many->lost && many->waiting == NULL &&
           has_window(many);
}

/* Without memory for one more, those before it give some back. */
static void receive(struct append_many *many) {
    many->incoming = slot_take(many);
    if (many->incoming != NULL) {
        many->receiving = true;
        daybook_server_stream_receive_into(many->stream, many->incoming->arena, on_received, many);
    } else if (many->first == NULL && !many->sending) {
        lose(many, FAILURE_MEMORY);
    }
}

/* --- The way back ------------------------------------------------------------------------------------------------------ */

static void outcome_add(struct append_many *many, const struct append_slot *slot) {
    const struct bytes outcome = append_slot_outcome(slot);
    if (outcome.size == 0 || failed(message_add_record(&many->response, outcome))) lose(many, FAILURE_MEMORY);
}

/* Moves what is decided from the head of the list into the response, as far as that may grow. */
static void collect(struct append_many *many) {
    while (many->first != NULL && many->first->state != SLOT_OPEN &&
           many->response.size < APPEND_MANY_RESPONSE_BYTES_MAX) {
        struct append_slot *slot = slot_remove_first(many);
        if (!many->lost) outcome_add(many, slot);
        slot_give(many, slot);
    }
    if (many->first == NULL)
        spare_free(many); /* a burst's memory goes with it; one slot is waiting for the next request */
}

static void on_sent(daybook_server_stream *stream, bool ok, void *context) {
    struct append_many *many = context;
    (void)stream;
    many->sending = false;
    if (!ok) lose(many, FAILURE_NONE);
    advance(many);
}

static void send(struct append_many *many) {
    const struct feed_message message = message_take(&many->response);
    const daybook_bytes encoded = {
        .data = message.data, .size = message.size, .release = message.release, .context = message.context};
    many->sending = true;
    daybook_server_stream_send_bytes(many->stream, encoded, on_sent, many);
}

/* --- The end ----------------------------------------------------------------------------------------------------------- */

/* What the sequencer or its queue holds must come back first. */
static bool may_finish(const struct append_many *many) {
    if (many->sending || many->submitted_count > 0 || many->waiting != NULL) return false;
    if (many->lost) return true;
    return (many->heard_all || many->draining) && many->first == NULL && many->response.size == 0;
}

static void fail(daybook_server_stream *stream, enum failure failure) {
    struct error error;
    error_of_failure(&error, failure);
    error_finish(stream, &error);
}

static void finish(struct append_many *many) {
    append_streams_leave(many->api->append_streams, &many->member);
    many->finished = true;
    if (many->lost && many->failure != FAILURE_NONE) {
        fail(many->stream, many->failure);
    } else if (many->lost) {
        daybook_server_stream_finish(many->stream, DAYBOOK_CANCELLED, "", NULL, 0);
    } else if (many->heard_all) {
        daybook_server_stream_finish(many->stream, DAYBOOK_OK, "", NULL, 0);
    } else {
        fail(many->stream, FAILURE_STOPPED);
    }
}

static void advance(struct append_many *many) {
    if (many->finished) return;
    collect(many);
    if (!many->sending && !many->lost && many->response.size > 0) send(many);
    if (may_receive(many)) receive(many);
    size_tell(many);
    if (may_finish(many)) finish(many);
}

static void on_cancelled(daybook_server_stream *stream, void *context) {
    struct append_many *many = context;
    (void)stream;
    lose(many, FAILURE_NONE);
    advance(many);
}

static void on_closed(void *context) {
    struct append_many *many = context;
    assert(many->finished && !many->receiving && !many->sending);
    while (many->first != NULL) slot_give(many, slot_remove_first(many));
    spare_free(many);
    size_tell(many);
    message_deinit(&many->response);
}

/* --- The beginning ----------------------------------------------------------------------------------------------------- */

static void init(struct append_many *many, const struct api *api, daybook_server_stream *stream) {
    *many = (struct append_many){.api = api, .stream = stream, .last_link = &many->first};
    many->deadline_ns = deadline_of(daybook_server_stream_remaining_ms(stream));
    many->member.drain = on_drain;
    many->drain.take = drain_take;
    many->room.take = room_take;
    many->waiter.has_room = on_room;
    atomic_init(&many->notes.newest, NULL);
    message_init(&many->response, append_streams_buffers(api->append_streams));
}

void api_append_many(void *context, daybook_server_stream *stream) {
    static const daybook_server_stream_events events = {.cancelled = on_cancelled, .closed = on_closed};
    const struct api *api = context;
    struct append_many *many = upb_Arena_Malloc(daybook_server_stream_arena(stream), sizeof *many);
    if (many == NULL) {
        fail(stream, FAILURE_MEMORY);
        return;
    }
    init(many, api, stream);
    daybook_server_stream_watch(stream, &events, many);
    const result entered = append_streams_enter(api->append_streams, &many->member);
    if (failed(entered)) {
        many->finished = true;
        fail(stream, entered.failure);
        return;
    }
    advance(many);
}
