/* listener.h: who hears of a commit before it is acknowledged; commit knows no more of the feed than this.
 *
 * Threads: called on the sequencer's thread, once for every group that wrote something, in order of position. */
#ifndef SERVICE_COMMIT_LISTENER_H
#define SERVICE_COMMIT_LISTENER_H

#include "service/record/chunk.h"

struct commit_listener {
    /* The group is on disk and in the index. The listener may keep a reference to the chunk; it publishes the tail and then
     * advances the head before it returns. */
    void (*committed)(void *context, struct chunk *chunk);
    /* Records before those of the group were rewritten on disk: what memory has of them must not be shown any more. Called
     * before `committed`, and by erasures alone. */
    void (*rewritten)(void *context);
    /* The disk has failed: nothing will be acknowledged any more and the process must end. May not return. */
    void (*storage_failed)(void *context, enum failure failure);
    void *context;
};

#endif
