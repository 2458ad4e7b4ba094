/* validations.h: requests in the making, and what a check has noted about them.
 *
 * Ownership: messages live in the arena of the test, which `validations_open` makes and `validations_close` frees.
 * Threads: one. Errors: what must not fail is asserted. */
#ifndef TESTS_UNIT_SERVICE_API_VALIDATIONS_H
#define TESTS_UNIT_SERVICE_API_VALIDATIONS_H

#include "service/api/validate.h"

extern upb_Arena *validations_arena;

void validations_open(void);
void validations_close(void);

/* `count` times the character, in the arena. */
upb_StringView text_of(char character, size_t count);
upb_StringView text(const char *terminated);

/* A request with one write to "orders" of one event "T". */
daybook_v1_AppendRequest *request_new(void);
daybook_v1_Write *write_add(daybook_v1_AppendRequest *request, const char *stream);
daybook_v1_Event *event_add(daybook_v1_Write *write, const char *type);
/* The first write of a request, and its first event. */
daybook_v1_Write *write_of(daybook_v1_AppendRequest *request);
daybook_v1_Event *event_of(daybook_v1_AppendRequest *request);

struct validation validation_of_append(const daybook_v1_AppendRequest *request);

/* Fails the test unless nothing was noted. */
void expect_good(const struct validation *validation);

/* Fails the test unless a violation of this field was noted whose text contains the words. */
void expect_violation(const struct validation *validation, const char *field, const char *words);

/* The same when it must be the only one, with this reason. */
void expect_only(const struct validation *validation, enum reason reason, const char *field, const char *words);

/* Checks an append. */
/* The head that requests are validated against. */
#define VALIDATIONS_HEAD 100

void expect_append_good(const daybook_v1_AppendRequest *request);
void expect_append_refused(const daybook_v1_AppendRequest *request, enum reason reason, const char *field,
                           const char *words);

#endif
