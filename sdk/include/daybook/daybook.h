/** @file daybook.h
 * The whole runtime of the C SDK in one include. See each header for its contract.
 * Threads: as each header says. */
#ifndef DAYBOOK_DAYBOOK_H
#define DAYBOOK_DAYBOOK_H

#include "daybook/call.h"
#include "daybook/client.h"
#include "daybook/metadata.h"
#include "daybook/method.h"
#include "daybook/options.h"
#include "daybook/server.h"
#include "daybook/server_context.h"
#include "daybook/status.h"
#include "daybook/stream.h"

#endif
