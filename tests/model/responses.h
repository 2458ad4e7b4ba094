/* responses.h: responses taken apart for the model test, byte by byte, without the code that makes them.
 *
 * Ownership: views into the response. Threads: any. Errors: what is no response is an assertion. */
#ifndef TESTS_MODEL_RESPONSES_H
#define TESTS_MODEL_RESPONSES_H

#include <stdint.h>

#include "service/base/bytes.h"

/* Fields 2 to 6 of SubscribeResponse, or field 2 of ReadResponse, by number. */
struct response {
    uint64_t fields[8];
    struct bytes rest; /* the records that were not taken yet */
};

/* Reads the numbers of a response, wherever they stand. */
struct response response_read(struct bytes encoded);

/* Takes the next record. False: there are no more. */
bool response_take(struct response *response, struct bytes *ret_record);

#endif
