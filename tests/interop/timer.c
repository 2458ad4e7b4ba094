#include "tests/interop/timer.h"

#include <assert.h>
#include <time.h>

#define NS_PER_S  1000000000
#define NS_PER_US 1000

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void wait_for_first(struct timer *timer) {
    if (timer->first == NULL) {
        pthread_cond_wait(&timer->changed, &timer->mutex);
        return;
    }
    const int64_t due_ns = timer->first->due_ns;
    const struct timespec until = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};
    pthread_cond_timedwait(&timer->changed, &timer->mutex, &until);
}

static void *run(void *context) {
    struct timer *timer = context;
    pthread_mutex_lock(&timer->mutex);
    while (!timer->is_stopping) {
        struct timer_entry *entry = timer->first;
        if (entry == NULL || entry->due_ns > now_ns()) {
            wait_for_first(timer);
            continue;
        }
        timer->first = entry->next;
        /* What is called may free the entry, and may add and remove others. */
        timer_due *due = entry->due;
        void *due_context = entry->context;
        pthread_mutex_unlock(&timer->mutex);
        due(due_context);
        pthread_mutex_lock(&timer->mutex);
    }
    pthread_mutex_unlock(&timer->mutex);
    return NULL;
}

void timer_init(struct timer *timer) {
    *timer = (struct timer){0};
    pthread_mutex_init(&timer->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    const int error = pthread_create(&timer->thread, NULL, run, timer);
    assert(error == 0);
}

void timer_deinit(struct timer *timer) {
    pthread_mutex_lock(&timer->mutex);
    assert(timer->first == NULL);
    timer->is_stopping = true;
    pthread_cond_signal(&timer->changed);
    pthread_mutex_unlock(&timer->mutex);
    pthread_join(timer->thread, NULL);
    pthread_cond_destroy(&timer->changed);
    pthread_mutex_destroy(&timer->mutex);
}

void timer_add(struct timer *timer, struct timer_entry *entry, int32_t pause_us, timer_due *due, void *context) {
    *entry = (struct timer_entry){
        .due_ns = now_ns() + (int64_t)pause_us * NS_PER_US,
        .due = due,
        .context = context,
    };
    pthread_mutex_lock(&timer->mutex);
    struct timer_entry **place = &timer->first;
    while (*place != NULL && (*place)->due_ns <= entry->due_ns) place = &(*place)->next;
    entry->next = *place;
    *place = entry;
    pthread_cond_signal(&timer->changed);
    pthread_mutex_unlock(&timer->mutex);
}

bool timer_remove(struct timer *timer, struct timer_entry *entry) {
    pthread_mutex_lock(&timer->mutex);
    struct timer_entry **place = &timer->first;
    while (*place != NULL && *place != entry) place = &(*place)->next;
    const bool is_found = *place != NULL;
    if (is_found) *place = entry->next;
    pthread_mutex_unlock(&timer->mutex);
    return is_found;
}
