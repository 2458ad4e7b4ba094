/* api_append.h: appends for the model test: made by chance, sent, and compared with what the reference answers.
 *
 * Ownership: the reference's arena. Threads: one. Errors: assertions. */
#ifndef TESTS_MODEL_API_APPEND_H
#define TESTS_MODEL_API_APPEND_H

#include "tests/model/api_world.h"

/* Any event; with an id of its own for most of them. */
struct reference_new_event api_event_make(struct api_world *world);
/* The same event, with other content. */
void api_event_change(struct api_world *world, struct reference_new_event *event);

/* Any append that is valid. */
struct reference_append api_append_make(struct api_world *world);

/* The encoded AppendRequest, in the operation's arena. */
upb_StringView api_append_encode(struct api_world *world, const struct reference_append *append);

/* Whether an answer is the one expected, with all its details. */
bool api_append_equals(struct api_world *world, const struct answer *answer, const struct reference_answer *expected);

#endif
