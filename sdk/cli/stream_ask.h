/* stream_ask.h: asks a server for one stream; shared by the commands that need it. Threads: the main thread. */
#ifndef SDK_CLI_STREAM_ASK_H
#define SDK_CLI_STREAM_ASK_H

#include "daybook/v1/event_store.upb.h"
#include "sdk/cli/common.h"

/* The response lives in the arena. */
bool stream_ask(const struct common *common, daybook_client *client, const char *stream, upb_Arena *arena,
                const daybook_v1_GetStreamResponse **ret_response, daybook_status *ret_status);

#endif
