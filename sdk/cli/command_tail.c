#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daybook/subscriber.h"
#include "sdk/cli/common.h"
#include "sdk/cli/print.h"

enum { KEY_AFTER = 0x300, KEY_BEGINNING, KEY_PREFIX };

struct tail_arguments {
    struct common common;
    const char *stream;
    const char *prefix;
    uint64_t after;
    bool from_end;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct tail_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_AFTER:
        arguments->after = common_number(state, argument, "--after");
        arguments->from_end = false;
        return 0;
    case KEY_BEGINNING:
        arguments->after = 0;
        arguments->from_end = false;
        return 0;
    case KEY_PREFIX:
        arguments->prefix = argument;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->stream != NULL) argp_error(state, "only one stream can be named; \"%s\" is too much", argument);
        arguments->stream = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->stream != NULL && arguments->prefix != NULL)
            argp_error(state, "name STREAM or --prefix, not both");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* NULL without a filter; sets `*ret_failed` without memory. */
static const daybook_v1_Filter *filter_build(const struct tail_arguments *arguments, upb_Arena *arena,
                                             bool *ret_failed) {
    *ret_failed = false;
    if (arguments->stream == NULL && arguments->prefix == NULL) return NULL;
    daybook_v1_Filter *filter = daybook_v1_Filter_new(arena);
    daybook_v1_Clause *clause = filter == NULL ? NULL : daybook_v1_Filter_add_any_of(filter, arena);
    const bool added =
        clause != NULL &&
        (arguments->stream != NULL
             ? daybook_v1_Clause_add_streams(clause, upb_StringView_FromString(arguments->stream), arena)
             : daybook_v1_Clause_add_stream_prefixes(clause, upb_StringView_FromString(arguments->prefix), arena));
    *ret_failed = !added;
    return filter;
}

static void on_disconnected(const daybook_status *status, uint32_t retry_ms, void *context) {
    (void)context;
    (void)fprintf(stderr, "daybook: the connection is lost (%s); trying again in %" PRIu32 " ms\n", status->message,
                  retry_ms);
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
    bool out_of_memory;
    daybook_status status;
    const daybook_subscriber_options options = {.after = arguments->after,
                                                .from_end = arguments->from_end,
                                                .filter = filter_build(arguments, arena, &out_of_memory),
                                                .disconnected = on_disconnected};
    if (out_of_memory) return common_out_of_memory();
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
    struct tail_arguments arguments = {.from_end = true};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"after", KEY_AFTER, "POSITION", 0, "begin after this position", 0},
        {"beginning", KEY_BEGINNING, NULL, 0, "begin with the first event (default: with the next one)", 0},
        {"prefix", KEY_PREFIX, "TEXT", 0, "only streams whose names begin so: \"order-\"", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
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
