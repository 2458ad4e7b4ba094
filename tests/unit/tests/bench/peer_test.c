#include "tests/bench/peer.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct peer_event_fields fields = {.id = 1, .type = 2, .data = 4};

Test(peer, found_by_name) {
    cr_assert_eq(peer_find("daybook"), &peer_daybook);
    cr_assert_eq(peer_find("umadb"), &peer_umadb);
    cr_assert_eq(peer_find("echo"), &peer_echo);
    cr_assert_null(peer_find("etcd"));
}

Test(peer, an_event_has_exactly_the_size_asked_for) {
    for (uint32_t bytes = PEER_EVENT_BYTES_MIN; bytes < 400; bytes++) {
        /* 181 bytes cannot be had: data of 127 bytes with its length in one byte gives 180, 128 in two gives 182. */
        if (bytes == 181) continue;
        struct wire_writer event;
        wire_writer_init(&event);
        peer_write_event(&event, fields, &(struct peer_append){.events_count = 1, .event_bytes = bytes}, 0);
        cr_assert_eq(event.size, bytes);
        wire_writer_deinit(&event);
    }
}

/* The events of an append request: how many, at the depth where the peer has them. */
static uint64_t count_events(const struct wire_writer *request, uint32_t field) {
    struct wire_counter counter;
    wire_counter_init(&counter, field);
    cr_assert(wire_counter_feed(&counter, request->data, request->size));
    cr_assert(wire_counter_is_complete(&counter));
    return counter.fields_count;
}

Test(peer, umadb_gets_the_events_in_field_1) {
    struct wire_writer request;
    wire_writer_init(&request);
    peer_umadb.write_append(&request, &(struct peer_append){.number = 3, .events_count = 10, .event_bytes = 200});
    cr_assert_eq(count_events(&request, 1), 10);
    cr_assert_eq(request.size, 10 * (1 + 2 + 200));
    wire_writer_deinit(&request);
}

Test(peer, daybook_gets_one_write_with_the_stream_and_the_events) {
    struct wire_writer request;
    wire_writer_init(&request);
    peer_daybook.write_append(&request, &(struct peer_append){.number = 3, .events_count = 10, .event_bytes = 200});
    cr_assert_eq(count_events(&request, 1), 1);
    struct wire_writer write = {.data = request.data + 3, .size = request.size - 3};
    cr_assert_eq(count_events(&write, 1), 1);
    cr_assert_eq(count_events(&write, 4), 10);
    cr_assert(memcmp(write.data + 2, "order-000003", 12) == 0);
    wire_writer_deinit(&request);
}

Test(peer, requests_with_different_numbers_differ) {
    struct wire_writer one;
    struct wire_writer other;
    wire_writer_init(&one);
    wire_writer_init(&other);
    peer_umadb.write_append(&one, &(struct peer_append){.number = 1, .events_count = 1, .event_bytes = 200});
    peer_umadb.write_append(&other, &(struct peer_append){.number = 2, .events_count = 1, .event_bytes = 200});
    cr_assert_eq(one.size, other.size);
    cr_assert(memcmp(one.data, other.data, one.size) != 0);
    wire_writer_deinit(&one);
    wire_writer_deinit(&other);
}
