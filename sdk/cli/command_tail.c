#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "daybook/subscriber.h"
#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/filter_options.h"
#include "sdk/cli/print.h"

enum { KEY_AFTER = 0x300, KEY_BEGINNING, KEY_FROM_END, KEY_CONSUMER };

struct tail_arguments {
    struct common common;
    struct filter_options filter;
    const char *stream;
    unsigned starts_count; /* options that say where to begin */
    uint64_t after;
    bool from_end;
    const char *consumer;
};

static void end_check(struct argp_state *state, struct tail_arguments *arguments) {
    if (arguments->starts_count > 1) {
        argp_error(state, "give one of --after, --beginning, --from-end and --consumer");
    }
    if (arguments->stream == NULL) return;
    /* Both must match, and a clause says "any of the streams". */
    if (arguments->filter.streams.count > 0 || arguments->filter.stream_prefixes.count > 0) {
        argp_error(state, "name STREAM, or give --stream and --stream-prefix, not both");
    }
    filter_add_stream(state, &arguments->filter, arguments->stream);
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct tail_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->filter;
        state->child_inputs[1] = &arguments->common;
        return 0;
    case KEY_AFTER:
        arguments->after = common_number(state, argument, "--after");
        break;
    case KEY_BEGINNING:
        arguments->after = 0;
        break;
    case KEY_FROM_END:
        arguments->from_end = true;
        break;
    case KEY_CONSUMER:
        arguments->consumer = argument;
        break;
    case ARGP_KEY_ARG:
        if (arguments->stream != NULL) argp_error(state, "only one stream can be named; \"%s\" is too much", argument);
        arguments->stream = argument;
        return 0;
    case ARGP_KEY_END:
        end_check(state, arguments);
        if (arguments->starts_count == 0) arguments->from_end = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    arguments->starts_count++;
    return 0;
}

/* The stored progress of the consumer: where the subscription begins, also after a lost connection. */
static bool consumer_ask(const struct tail_arguments *arguments, daybook_client *client, upb_Arena *arena,
                         uint64_t *ret_position, daybook_status *ret_status) {
    const daybook_call_options options = common_call_options(&arguments->common);
    const daybook_v1_GetCheckpointResponse *response;
    daybook_v1_GetCheckpointRequest *request = daybook_v1_GetCheckpointRequest_new(arena);
    if (request == NULL) {
        daybook_status_set(ret_status, DAYBOOK_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    daybook_v1_GetCheckpointRequest_set_consumer(request, upb_StringView_FromString(arguments->consumer));
    if (!daybook_v1_EventStore_GetCheckpoint(client, request, &options, arena, &response, ret_status)) return false;
    const daybook_v1_Checkpoint *checkpoint = daybook_v1_GetCheckpointResponse_checkpoint(response);
    *ret_position = checkpoint == NULL ? 0 : daybook_v1_Checkpoint_position(checkpoint);
    return true;
}

static void on_disconnected(const daybook_status *status, uint32_t retry_ms, void *context) {
    (void)context;
    (void)fputs("daybook: the connection is lost (", stderr);
    print_plain(stderr, upb_StringView_FromString(status->message));
    (void)fprintf(stderr, "); trying again in %" PRIu32 " ms\n", retry_ms);
}

/* Ctrl-C and SIGTERM are waited for by a thread, so that the cancellation runs outside of a signal handler. */
static void *cancel_on_signal(void *context) {
    sigset_t set;
    int taken;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigwait(&set, &taken) == 0) daybook_subscriber_cancel(context);
    return NULL;
}

static int follow(const struct common *common, daybook_subscriber *subscriber) {
    for (;;) {
        const daybook_v1_SubscribeResponse *response;
        daybook_status status;
        const daybook_next next = daybook_subscriber_next(subscriber, DAYBOOK_TIMEOUT_NONE, &response, &status);
        if (next == DAYBOOK_NEXT_TIMEOUT) continue;
        if (next != DAYBOOK_NEXT_MESSAGE) return status.code == DAYBOOK_CANCELLED ? 0 : common_fail(common, &status);
        size_t count;
        const daybook_v1_RecordedEvent *const *events = daybook_v1_SubscribeResponse_events(response, &count);
        for (size_t index = 0; index < count; index++) {
            if (!print_event(events[index], common->json)) return common_out_of_memory();
        }
        if (count > 0 && fflush(stdout) != 0) return EXIT_OUTPUT;
    }
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct tail_arguments *arguments = context;
    daybook_status status;
    daybook_subscriber_options options = {
        .after = arguments->after, .from_end = arguments->from_end, .disconnected = on_disconnected};
    if (filter_is_given(&arguments->filter)) {
        daybook_v1_Filter *filter = daybook_v1_Filter_new(arena);
        if (filter == NULL || !filter_build(&arguments->filter, filter, arena)) return common_out_of_memory();
        options.filter = filter;
    }
    if (arguments->consumer != NULL && !consumer_ask(arguments, client, arena, &options.after, &status)) {
        return common_fail(common, &status);
    }
    daybook_subscriber *subscriber = daybook_subscriber_open(client, &options, &status);
    if (subscriber == NULL) return common_fail(common, &status);
    pthread_t waiter;
    if (pthread_create(&waiter, NULL, cancel_on_signal, subscriber) != 0) {
        daybook_subscriber_close(subscriber);
        return common_out_of_memory();
    }
    const int code = follow(common, subscriber);
    pthread_kill(waiter, SIGINT); /* It waits for this when no signal has come. */
    pthread_join(waiter, NULL);
    daybook_subscriber_close(subscriber);
    return code;
}

int command_tail(int argc, char **argv) {
    struct tail_arguments arguments = {.stream = NULL};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"after", KEY_AFTER, "POSITION", 0, "begin after this position", 0},
        {"beginning", KEY_BEGINNING, NULL, 0, "begin with the first event", 0},
        {"from-end", KEY_FROM_END, NULL, 0, "begin with the next event (default)", 0},
        {"consumer", KEY_CONSUMER, "CONSUMER", 0, "begin after what this consumer has stored as its progress", 0},
        {0},
    };
    static const struct argp_child children[] = {{&filter_argp, 0, NULL, 0}, {&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {.options = options,
                              .parser = parse,
                              .args_doc = "[STREAM]",
                              .doc =
                                  "Prints events as they come, until Ctrl-C. When the server restarts it goes on after "
                                  "the last event it has printed.",
                              .children = children};
    common_parse(&argp, argc, argv, &arguments);
    /* Before the client's threads exist, so that they inherit it. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return common_run(&arguments.common, run, &arguments);
}
