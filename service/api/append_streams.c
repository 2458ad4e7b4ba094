#include "service/api/append_streams.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "service/feed/buffers.h"

struct append_streams {
    pthread_mutex_t mutex;
    struct append_member *first;
    struct buffers *buffers;
    bool draining;
};

result append_streams_new(struct append_streams **ret_streams) {
    struct append_streams *streams = calloc(1, sizeof *streams);
    if (streams == NULL) return failure_result(FAILURE_MEMORY);
    const result outcome = buffers_new(&streams->buffers);
    if (failed(outcome)) {
        free(streams);
        return outcome;
    }
    pthread_mutex_init(&streams->mutex, NULL);
    *ret_streams = streams;
    return RESULT_OK;
}

struct append_streams *append_streams_free(struct append_streams *streams) {
    if (streams == NULL) return NULL;
    assert(streams->first == NULL);
    buffers_unref(streams->buffers);
    pthread_mutex_destroy(&streams->mutex);
    free(streams);
    return NULL;
}

static void member_link(struct append_streams *streams, struct append_member *member) {
    member->next = streams->first;
    member->link = &streams->first;
    if (member->next != NULL) member->next->link = &member->next;
    streams->first = member;
}

result append_streams_enter(struct append_streams *streams, struct append_member *member) {
    pthread_mutex_lock(&streams->mutex);
    const bool draining = streams->draining;
    if (!draining) member_link(streams, member);
    pthread_mutex_unlock(&streams->mutex);
    return draining ? failure_result(FAILURE_STOPPED) : RESULT_OK;
}

void append_streams_leave(struct append_streams *streams, struct append_member *member) {
    pthread_mutex_lock(&streams->mutex);
    *member->link = member->next;
    if (member->next != NULL) member->next->link = member->link;
    pthread_mutex_unlock(&streams->mutex);
}

void append_streams_drain(struct append_streams *streams) {
    pthread_mutex_lock(&streams->mutex);
    const bool draining = streams->draining;
    streams->draining = true;
    for (struct append_member *member = streams->first; member != NULL && !draining; member = member->next) {
        member->drain(member);
    }
    pthread_mutex_unlock(&streams->mutex);
}

struct buffers *append_streams_buffers(struct append_streams *streams) {
    return streams->buffers;
}
