/* trace_print.h: a tree of causes as people and programs read it. Threads: the main thread. */
#ifndef SDK_CLI_TRACE_PRINT_H
#define SDK_CLI_TRACE_PRINT_H

#include <stdbool.h>

#include "sdk/cli/trace.h"

/* Deeper levels are drawn below each other at this one, with the depth in numbers: a long chain of causes would otherwise
 * be more indentation than text. */
#define TRACE_DEPTH_DRAWN_MAX 32

/* Whether the terminal of this locale shows line drawing characters. */
bool trace_locale_is_utf8(void);

/* Prints each event once, effects below their cause and in the order of position. For people:
 *
 *        5      +0.000s  OrderPlaced  order-1@1
 *        7      +0.012s  ├─ PaymentTaken  payment-1@1
 *        9      +1.500s  └─ ParcelSent  parcel-1@1
 *
 * position, time since the first event, type, stream and revision. For programs: one object a line with depth and
 * cause_position. False without memory. */
bool trace_print(const struct trace *trace, bool utf8, bool json);

#endif
