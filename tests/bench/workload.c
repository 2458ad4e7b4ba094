#include "tests/bench/workload.h"

#include <assert.h>
#include <string.h>

#define NAME_DIGITS 6u
/* Both are prime, and so share no factor with a count of customers that is not their multiple. */
#define SHUFFLE_STEP  UINT64_C(611953)
#define SHUFFLE_SHIFT UINT64_C(7919)
#define POOL_BYTES    (4u * WORKLOAD_PAYLOAD_BYTES_MAX)

static const char *const types[WORKLOAD_TYPES_COUNT] = {
    "OrderPlaced",   "OrderPaid",      "OrderPacked",      "OrderShipped", "OrderDelivered",
    "OrderReturned", "PaymentRefused", "AddressCorrected", "InvoiceSent",  "ReviewWritten",
};

static uint8_t pool[POOL_BYTES];

void workload_prepare(void) {
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof pool; i += sizeof state) {
        uint64_t bytes = random_next(&state);
        memcpy(pool + i, &bytes, sizeof bytes);
    }
}

/* "order-000042". By hand, as random_id is. */
static void write_name(const char *prefix, uint32_t number, char ret_name[WORKLOAD_NAME_BYTES]) {
    size_t length = strlen(prefix);
    assert(length + NAME_DIGITS < WORKLOAD_NAME_BYTES && number < WORKLOAD_NAMES_COUNT_MAX);
    memcpy(ret_name, prefix, length);
    for (uint32_t i = 0; i < NAME_DIGITS; i++) {
        ret_name[length + NAME_DIGITS - 1 - i] = (char)('0' + number % 10);
        number /= 10;
    }
    ret_name[length + NAME_DIGITS] = '\0';
}

const char *workload_type(uint32_t index) {
    assert(index < WORKLOAD_TYPES_COUNT);
    return types[index];
}

void workload_customer(uint32_t customer, char ret_tag[WORKLOAD_NAME_BYTES]) {
    write_name("customer:", customer, ret_tag);
}

void workload_needle(uint32_t needle, char ret_tag[WORKLOAD_NAME_BYTES]) {
    write_name("needle:", needle, ret_tag);
}

/* Which customer's turn it is: every round of all customers is a permutation, another one each time. */
static uint32_t customer_in_turn(const struct workload *workload, uint64_t number) {
    assert(workload->customers_count % SHUFFLE_STEP != 0);
    uint64_t round = number / workload->customers_count;
    uint64_t place = number % workload->customers_count;
    return (uint32_t)((place * SHUFFLE_STEP + round * SHUFFLE_SHIFT) % workload->customers_count);
}

void workload_event(const struct workload *workload, uint64_t number, struct workload_event *ret_event) {
    assert(workload->payload_bytes <= WORKLOAD_PAYLOAD_BYTES_MAX);
    assert(workload->types_count > 0 && workload->types_count <= WORKLOAD_TYPES_COUNT);
    uint64_t state = number;
    random_id(&state, ret_event->id);
    write_name("order-", random_below(&state, workload->streams_count), ret_event->stream);
    uint32_t customer = random_below(&state, workload->customers_count);
    if (workload->customers_even) customer = customer_in_turn(workload, number);
    workload_customer(customer, ret_event->tags[0]);
    ret_event->tags_count = 1;
    ret_event->type = types[random_below(&state, workload->types_count)];
    if (workload->needles_every > 0 && number % workload->needles_every == 0) {
        workload_needle((uint32_t)(number / workload->needles_every % workload->needles_count), ret_event->tags[1]);
        ret_event->tags_count = 2;
        ret_event->type = types[0];
    }
    ret_event->payload = pool + random_below(&state, POOL_BYTES - workload->payload_bytes);
    ret_event->payload_bytes = workload->payload_bytes;
}
