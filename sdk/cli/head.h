/* head.h: asks a server for its head; shared by the commands that need it. Threads: the main thread. */
#ifndef SDK_CLI_HEAD_H
#define SDK_CLI_HEAD_H

#include "daybook/v1/event_store.upb.h"
#include "sdk/cli/common.h"

/* The response lives in the arena. */
bool head_ask(const struct common *common, daybook_client *client, upb_Arena *arena,
              const daybook_v1_HeadResponse **ret_response, daybook_status *ret_status);

#endif
