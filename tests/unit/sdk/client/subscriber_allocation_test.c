/* A subscriber whose memory runs out at every point: it says so, and who calls again goes on where it was, with each event
 * once. */
#include "daybook/subscriber.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/support/allocation_faults.h"
#include "tests/unit/sdk/client/scripted_server.h"

#define PATIENCE_MS     60000
#define ALLOCATIONS_MAX 200
/* More than one subscription gives. */
#define POSITION_WANTED 15

static struct scripted_server *server;
static daybook_client *client;

static void setup(void) {
    /* Two responses, and an end whose details have to be decoded. */
    const struct script_turn turn = {
        .responses_count = 2, .code = DAYBOOK_UNAVAILABLE, .retry_ms = 1, .reason = "AGAIN"};
    server = scripted_start(0, &turn, 1);
    char target[32];
    (void)snprintf(target, sizeof target, "127.0.0.1:%u", scripted_port(server));
    daybook_status status;
    client = daybook_client_open(&(daybook_client_options){.target = target}, &status);
    cr_assert_not_null(client, "%s", status.message);
}

static void teardown(void) {
    daybook_client_close(client);
    scripted_stop(server);
    cr_assert_eq(allocation_faults_live_count(), 0, "%ld blocks were forgotten", (long)allocation_faults_live_count());
}

TestSuite(subscriber_allocation, .init = setup, .fini = teardown, .timeout = 120);

static void check_events(const daybook_v1_SubscribeResponse *response, uint64_t position) {
    size_t count = 0;
    const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
    for (size_t i = 0; i < count; i++) cr_assert_eq(daybook_v1_RecordedEvent_position(events[i]), ++position);
    cr_assert_eq(daybook_v1_SubscribeResponse_position(response), position);
}

/* Reads to POSITION_WANTED, or, when all memory is gone, to the first error. */
static void read_on(daybook_subscriber *subscriber, bool once) {
    uint64_t position = 0;
    while (position < POSITION_WANTED) {
        const daybook_v1_SubscribeResponse *response = NULL;
        daybook_status status;
        const daybook_next next = daybook_subscriber_next(subscriber, PATIENCE_MS, &response, &status);
        cr_assert_neq(next, DAYBOOK_NEXT_TIMEOUT, "the subscriber hangs");
        if (next == DAYBOOK_NEXT_MESSAGE) {
            check_events(response, position);
            position = daybook_subscriber_position(subscriber);
        } else {
            cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED, "%s: %s", daybook_code_name(status.code),
                         status.message);
            cr_assert_eq(daybook_subscriber_position(subscriber), position);
            if (once) return;
        }
    }
}

/* Whether allocation `number` was made at all. */
static bool fail(const daybook_v1_Filter *filter, uint32_t number, bool and_all_after) {
    const daybook_subscriber_options options = {.filter = filter, .consumer = NULL, .backoff_max_ms = 1};
    daybook_status status;
    allocation_faults_begin_here(number, and_all_after);
    daybook_subscriber *subscriber = daybook_subscriber_open(client, &options, &status);
    if (subscriber == NULL)
        cr_assert_eq(status.code, DAYBOOK_RESOURCE_EXHAUSTED, "%s", status.message);
    else
        read_on(subscriber, and_all_after);
    daybook_subscriber_close(subscriber);
    return allocation_faults_end() > 0;
}

Test(subscriber_allocation, it_says_so_and_goes_on) {
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_Filter *filter = daybook_v1_Filter_new(arena);
    daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, arena);
    cr_assert(daybook_v1_Clause_add_types(clause, upb_StringView_FromString("Placed"), arena));
    for (int and_all_after = 0; and_all_after <= 1; and_all_after++) {
        uint32_t number = 1;
        while (fail(filter, number, and_all_after != 0)) {
            cr_assert_lt(number, ALLOCATIONS_MAX);
            number++;
        }
        cr_assert_gt(number, 3, "a subscriber, its arena and a stream are allocated");
    }
    upb_Arena_Free(arena);
}
