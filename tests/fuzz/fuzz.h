/* fuzz.h: what a fuzz target is made of.
 *
 * A target is one file, NAME_fuzz.c, that defines LLVMFuzzerTestOneInput: libFuzzer calls it with bytes it makes up
 * (`make fuzz`), and corpus_test.c with the bytes that are committed in corpus/NAME (`make test`). A property that does not
 * hold is an assertion.
 * Ownership: the input is the caller's. Threads: one. Errors: none are returned. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "daybook/v1/event.upb.h"
#include "service/base/bytes.h"
#include "service/record/record.h"

/* The name that libFuzzer calls. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An input that is read from its beginning to its end. What is asked for beyond the end is zeros. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};
uint8_t fuzz_byte(struct fuzz_input *input);
uint64_t fuzz_number(struct fuzz_input *input); /* eight bytes, little-endian */
/* Two bytes of length and so many bytes, or as many as there are. The view is into the input. */
struct bytes fuzz_bytes(struct fuzz_input *input);
struct bytes fuzz_rest(struct fuzz_input *input);

/* Decodes as the runtime decodes what comes from a client; NULL when it refuses the bytes. The arena's. */
void *fuzz_decode(struct bytes encoded, const upb_MiniTable *table, upb_Arena *arena);

/* Asserts that both are the same bytes. */
void fuzz_expect_same(struct bytes left, upb_StringView right);

/* Whether the message holds no more than record_event_fields has room for. */
bool fuzz_event_is_within_limits(const daybook_v1_Event *event);

/* Asserts that the scanner has found what the message holds. */
void fuzz_expect_fields(const struct event_fields *fields, const daybook_v1_Event *event);

#endif
