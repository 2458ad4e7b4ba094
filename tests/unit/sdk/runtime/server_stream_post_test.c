/* server_stream_post_test.c: how other threads reach a stream's callbacks. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/sdk/runtime/server_fixture.h"
#include "tests/unit/sdk/runtime/server_stream_script.h"

/* What only the callbacks of the stream touch, and whether they ran before the close. */
struct posts {
    struct script script; /* first: it is the context of the handler's events */
    struct counter run;
    uint32_t run_count;
    pthread_t thread;
};

static struct posts posts;
static struct fixture fixture;

static void remember_bidirectional(void *context, daybook_server_stream *stream) {
    script_remember(context, stream, NULL);
}

static void setup(void) {
    static const struct counter zero = COUNTER_INIT;
    posts = (struct posts){.run = zero};
    script_init(&posts.script);
    fixture_open(&fixture, (struct fixture_handlers){.bidirectional = remember_bidirectional}, &posts, 1);
}

static void teardown(void) {
    fixture_close(&fixture);
}

TestSuite(server_stream_post, .init = setup, .fini = teardown);

static void note_post(daybook_server_stream *stream, void *context) {
    cr_assert_eq(context, &posts);
    cr_assert_eq(stream, atomic_load(&posts.script.stream));
    posts.run_count++;
    posts.thread = pthread_self();
    counter_add(&posts.run);
}

Test(server_stream_post, runs_on_the_streams_thread_once_for_each) {
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    counter_wait(&posts.script.started, 1);
    daybook_server_stream *stream = atomic_load(&posts.script.stream);
    for (uint32_t i = 1; i <= 200; i++) {
        daybook_server_stream_post(stream, note_post, &posts);
        counter_wait(&posts.run, i);
    }
    cr_assert_eq(posts.run_count, 200);
    cr_assert_not(pthread_equal(posts.thread, pthread_self()));
    script_finish_ok(stream);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
}

/* An end at the heels of a post, while the queue's thread is busy with either: the close waits for both. */
Test(server_stream_post, runs_before_the_close_although_the_stream_is_finished) {
    for (uint32_t i = 1; i <= 200; i++) {
        struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
        counter_wait(&posts.script.started, i);
        daybook_server_stream *stream = atomic_load(&posts.script.stream);
        daybook_server_stream_post(stream, note_post, &posts);
        script_finish_ok(stream);
        cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
        raw_call_free(call);
        counter_wait(&posts.script.closed, i);
        cr_assert_eq(counter_get(&posts.run), i);
    }
}

Test(server_stream_post, runs_for_a_stream_whose_client_has_gone) {
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    counter_wait(&posts.script.started, 1);
    raw_call_cancel(call);
    raw_call_free(call);
    counter_wait(&posts.script.cancelled, 1);
    daybook_server_stream *stream = atomic_load(&posts.script.stream);
    daybook_server_stream_post(stream, note_post, &posts);
    counter_wait(&posts.run, 1);
    cr_assert_eq(counter_get(&posts.script.closed), 0);
    script_finish_ok(stream);
    counter_wait(&posts.script.closed, 1);
}

static void post_again(daybook_server_stream *stream, void *context) {
    note_post(stream, context);
    if (posts.run_count < 50) daybook_server_stream_post(stream, post_again, context);
}

Test(server_stream_post, may_post_again) {
    struct raw_call *call = script_open_stream(&fixture, FIXTURE_BIDIRECTIONAL);
    counter_wait(&posts.script.started, 1);
    daybook_server_stream *stream = atomic_load(&posts.script.stream);
    daybook_server_stream_post(stream, post_again, &posts);
    counter_wait(&posts.run, 50);
    script_finish_ok(stream);
    cr_assert_eq(raw_call_finish(call).code, DAYBOOK_OK);
    raw_call_free(call);
}
