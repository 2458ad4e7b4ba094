#include "tests/bench/peer.h"

#include "tests/bench/workload.h"

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

static const struct workload workload = {
    .streams_count = 200000,
    .customers_count = 300000,
    .payload_bytes = 128,
    .types_count = WORKLOAD_TYPES_COUNT,
};

/* Field `number`, the one after `skip` others of that number. */
static struct wire_reader inside(struct wire_reader message, uint32_t number, uint32_t skip) {
    struct wire_field field;
    while (wire_next_field(&message, &field)) {
        if (field.number == number && skip-- == 0) return (struct wire_reader){.data = field.data, .size = field.size};
    }
    cr_assert_fail("no field %u", number);
    return message;
}

static void expect_text(struct wire_reader message, uint32_t number, uint32_t skip, const char *text) {
    const struct wire_reader field = inside(message, number, skip);
    cr_assert_eq(field.size, strlen(text), "field %u", number);
    cr_assert(memcmp(field.data, text, field.size) == 0, "field %u", number);
}

static const struct peer_condition condition = {
    .none_match = {.tag = "customer:000007", .type = "OrderPaid"},
    .after = 1234,
};

Test(peer, daybook_gets_each_event_of_a_workload_in_a_write_with_its_stream, .init = workload_prepare) {
    struct wire_writer request;
    wire_writer_init(&request);
    peer_daybook.write_workload(&request, &workload, 500, 3, &condition);
    cr_assert_eq(count_events(&request, 1), 3);
    const struct wire_reader top = {.data = request.data, .size = request.size};
    for (uint32_t i = 0; i < 3; i++) {
        struct workload_event event;
        workload_event(&workload, 500 + i, &event);
        const struct wire_reader write = inside(top, 1, i);
        expect_text(write, 1, 0, event.stream);
        const struct wire_reader written = inside(write, 4, 0);
        expect_text(written, 1, 0, event.id);
        expect_text(written, 2, 0, event.type);
        expect_text(written, 3, 0, event.tags[0]);
        cr_assert_eq(inside(written, 4, 0).size, 128);
    }
    const struct wire_reader asked = inside(top, 3, 0);
    const struct wire_reader clause = inside(inside(asked, 1, 0), 1, 0);
    expect_text(clause, 1, 0, "OrderPaid");
    expect_text(clause, 2, 0, "customer:000007");
    uint64_t after = 0;
    cr_assert(wire_find_uint(asked.data, asked.size, 2, &after));
    cr_assert_eq(after, 1234);
    wire_writer_deinit(&request);
}

Test(peer, umadb_gets_the_stream_of_an_event_as_a_tag, .init = workload_prepare) {
    struct wire_writer request;
    wire_writer_init(&request);
    peer_umadb.write_workload(&request, &workload, 500, 2, &condition);
    cr_assert_eq(count_events(&request, 1), 2);
    const struct wire_reader top = {.data = request.data, .size = request.size};
    struct workload_event event;
    workload_event(&workload, 501, &event);
    const struct wire_reader written = inside(top, 1, 1);
    expect_text(written, 1, 0, event.type);
    expect_text(written, 2, 0, event.stream);
    expect_text(written, 2, 1, event.tags[0]);
    expect_text(written, 4, 0, event.id);
    cr_assert_eq(inside(written, 3, 0).size, 128);
    const struct wire_reader asked = inside(top, 2, 0);
    const struct wire_reader item = inside(inside(asked, 1, 0), 1, 0);
    expect_text(item, 1, 0, "OrderPaid");
    expect_text(item, 2, 0, "customer:000007");
    uint64_t after = 0;
    cr_assert(wire_find_uint(asked.data, asked.size, 2, &after));
    cr_assert_eq(after, 1234);
    wire_writer_deinit(&request);
}

Test(peer, an_append_without_a_condition_has_none, .init = workload_prepare) {
    struct wire_writer request;
    wire_writer_init(&request);
    peer_daybook.write_workload(&request, &workload, 0, 1, NULL);
    cr_assert_eq(count_events(&request, 3), 0);
    wire_writer_clear(&request);
    peer_umadb.write_workload(&request, &workload, 0, 1, NULL);
    cr_assert_eq(count_events(&request, 2), 0);
    wire_writer_deinit(&request);
}

Test(peer, a_query_asks_for_a_tag_and_for_a_type_only_when_it_has_one) {
    struct wire_writer request;
    wire_writer_init(&request);
    peer_daybook.write_query(&request, &(struct peer_query){.tag = "needle:000001"});
    struct wire_reader top = {.data = request.data, .size = request.size};
    struct wire_reader clause = inside(inside(top, 2, 0), 1, 0);
    expect_text(clause, 2, 0, "needle:000001");
    cr_assert_eq(clause.size, 2 + strlen("needle:000001"));
    wire_writer_clear(&request);
    peer_umadb.write_query(&request, &(struct peer_query){.tag = "needle:000001", .type = "OrderPaid"});
    top = (struct wire_reader){.data = request.data, .size = request.size};
    clause = inside(inside(top, 1, 0), 1, 0);
    expect_text(clause, 1, 0, "OrderPaid");
    expect_text(clause, 2, 0, "needle:000001");
    wire_writer_deinit(&request);
}

/* An AppendManyResponse of `count` outcomes that have field `outcome_field` set. */
static void write_outcomes(struct wire_writer *message, uint32_t count, uint32_t outcome_field) {
    struct wire_writer outcome;
    wire_writer_init(&outcome);
    wire_put_text_field(&outcome, outcome_field, "any message");
    for (uint32_t i = 0; i < count; i++) wire_put_message_field(message, 1, &outcome);
    wire_writer_deinit(&outcome);
}

Test(peer, outcomes_of_appends_are_counted_and_a_refusal_is_seen) {
    struct wire_writer message;
    wire_writer_init(&message);
    uint64_t count = 42;
    cr_assert(peer_daybook.count_outcomes(NULL, 0, &count));
    cr_assert_eq(count, 0);
    write_outcomes(&message, 17, 1);
    cr_assert(peer_daybook.count_outcomes(message.data, message.size, &count));
    cr_assert_eq(count, 17);
    cr_assert_not(peer_daybook.count_outcomes(message.data, message.size - 1, &count));
    write_outcomes(&message, 1, 2);
    cr_assert_not(peer_daybook.count_outcomes(message.data, message.size, &count));
    cr_assert_eq(count, 17);
    wire_writer_deinit(&message);
}
