/* resilience_calls.h: one call of every kind and form, made to its end.
 *
 * Ownership: nothing is left of a call when its function returns. Threads: any. Errors: one that hangs is an assertion. */
#pragma once

#include "daybook/daybook.h"

/* Whoever waits so long hangs. */
#define RESILIENCE_PATIENCE_MS 60000

struct resilience_form {
    const char *name;
    /* Makes a call whose message is `text`, and returns how it ended: its first message for OK, or the error. */
    daybook_code (*call)(daybook_client *client, const char *text, const daybook_call_options *options);
};

/* The unary ones come first. */
#define RESILIENCE_FORMS_COUNT       6
#define RESILIENCE_FORMS_UNARY_COUNT 3
extern const struct resilience_form resilience_forms[RESILIENCE_FORMS_COUNT];
