/* appender_send.c: the thread that writes; see appender.h. */
#include "sdk/client/appender.h"

static bool has_work(const struct daybook_appender *appender) {
    if (appender->stream == NULL || appender->half_closed) return false;
    return appender->half_close || appender->send_next != NULL;
}

/* Writes the next append; locked before and after. It is counted as sent before anybody can answer it. */
static void send_next(struct daybook_appender *appender) {
    daybook_v1_EventStore_AppendMany_stream *stream = appender->stream;
    struct daybook_append *append = appender->send_next;
    appender->send_next = append->next;
    const bool more = appender->send_next != NULL;
    append->attempts_count++;
    daybook__append_ref(append); /* a server that answers what it has not read must not free what is being encoded */
    pthread_mutex_unlock(&appender->mutex);
    const daybook_write written =
        more ? daybook_v1_EventStore_AppendMany_write_more(stream, append->request, DAYBOOK_TIMEOUT_NONE, NULL)
             : daybook_v1_EventStore_AppendMany_write(stream, append->request, DAYBOOK_TIMEOUT_NONE, NULL);
    /* It has a place among the answers that nothing will fill: without memory, this round is lost. */
    if (written == DAYBOOK_WRITE_REFUSED) daybook_v1_EventStore_AppendMany_cancel(stream);
    daybook__append_unref(append);
    pthread_mutex_lock(&appender->mutex);
    if (written != DAYBOOK_WRITE_TAKEN) appender->half_closed = true;
}

/* As send_next. */
static void half_close(struct daybook_appender *appender) {
    daybook_v1_EventStore_AppendMany_stream *stream = appender->stream;
    appender->half_closed = true;
    pthread_mutex_unlock(&appender->mutex);
    daybook_v1_EventStore_AppendMany_writes_done(stream);
    pthread_mutex_lock(&appender->mutex);
}

void *daybook__appender_send(void *context) {
    struct daybook_appender *appender = context;
    pthread_mutex_lock(&appender->mutex);
    while (!appender->over) {
        if (!has_work(appender)) {
            pthread_cond_wait(&appender->sendable, &appender->mutex);
            continue;
        }
        appender->sending = true;
        if (appender->half_close)
            half_close(appender);
        else
            send_next(appender);
        appender->sending = false;
        pthread_cond_signal(&appender->work);
    }
    pthread_mutex_unlock(&appender->mutex);
    return NULL;
}
