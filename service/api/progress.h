/* progress.h: the stream of a call that starts something long: a message now and then while it is at work, and one at its end.
 *
 * A thread of the call's own sends, so that a client hears at least every PROGRESS_INTERVAL_MS, whatever the work waits for; a
 * client that does not read is not sent to. When the client goes, the work is asked to give up; the stream is finished when
 * the work has ended, in any case.
 * Ownership: the progress frees itself with its stream; what the functions are given lives as long as the stream (its arena).
 * Threads: open and then started or refused on the handler's; end once, from any thread. */
#ifndef SERVICE_API_PROGRESS_H
#define SERVICE_API_PROGRESS_H

#include <stdbool.h>

#include "daybook/server.h"
#include "service/api/errors.h"

struct progress;

struct progress_job {
    /* Sends one message by the typed skin. One at a time, on the call's thread. */
    void (*send)(void *context, daybook_server_stream *stream, bool is_last, daybook_server_stream_sent *sent,
                 void *sent_context);
    /* The client has gone: the work should end soon, if it has not ended. It must not call the progress. */
    void (*cancel)(void *context);
    void *context;
};

/* Watches the stream and starts the thread. NULL: the stream is finished with an error already. */
struct progress *progress_open(daybook_server_stream *stream, const struct progress_job *job);

/* The handler's last act: the work has begun, and progress_end was or will be called. */
void progress_started(struct progress *progress);
/* The handler's last act instead: nothing was begun, the stream ends with the error. */
void progress_refuse(struct progress *progress, const struct error *error);

/* The work has ended: the stream ends with the last message, or with the error. `error` may be NULL and is copied. The progress
 * must not be touched again. */
void progress_end(struct progress *progress, const struct error *error);

#endif
