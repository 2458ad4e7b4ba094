#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "daybook/v1/event.upb.h"
#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/common.h"

enum { KEY_TAG = 0x300, KEY_TEXT, KEY_ID, KEY_EXPECT };

/* One request of a long input. */
#define BATCH_EVENTS_COUNT 500
#define BATCH_BYTES        (4u << 20)
#define TAGS_COUNT_MAX     64
/* The progress line moves this often. */
#define PROGRESS_EVENTS_COUNT 5000

struct append_arguments {
    struct common common;
    const char *stream;
    const char *type;
    const char *payload; /* NULL: none; "-": lines of standard input */
    const char *tags[TAGS_COUNT_MAX];
    size_t tags_count;
    bool text; /* the payload need not be JSON */
    const char *id;
    bool has_expected_revision;
    uint64_t expected_revision;
    bool stream_exists;
};

/* Events on their way into one request. */
struct batch {
    upb_Arena *arena;
    daybook_v1_AppendRequest *request;
    daybook_v1_Write *write;
    size_t events_count;
    size_t bytes;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct append_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_TAG:
        if (arguments->tags_count == TAGS_COUNT_MAX) argp_error(state, "at most %d tags are allowed", TAGS_COUNT_MAX);
        arguments->tags[arguments->tags_count++] = argument;
        return 0;
    case KEY_TEXT:
        arguments->text = true;
        return 0;
    case KEY_ID:
        arguments->id = argument;
        return 0;
    case KEY_EXPECT:
        arguments->stream_exists = strcmp(argument, "exists") == 0;
        arguments->has_expected_revision = !arguments->stream_exists;
        if (!arguments->stream_exists) arguments->expected_revision = common_number(state, argument, "--expect");
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0) arguments->stream = argument;
        if (state->arg_num == 1) arguments->type = argument;
        if (state->arg_num == 2) arguments->payload = argument;
        if (state->arg_num > 2) argp_error(state, "\"%s\" is too much; quote a payload that has spaces", argument);
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < 2) argp_error(state, "a stream and a type are needed");
        if (arguments->payload != NULL && strcmp(arguments->payload, "-") == 0 &&
            (arguments->id != NULL || arguments->has_expected_revision || arguments->stream_exists)) {
            argp_error(state, "--id and --expect are for one event, not for the lines of standard input");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool batch_begin(struct batch *batch, const struct append_arguments *arguments) {
    *batch = (struct batch){.arena = upb_Arena_New()};
    if (batch->arena == NULL) return false;
    batch->request = daybook_v1_AppendRequest_new(batch->arena);
    batch->write = batch->request == NULL ? NULL : daybook_v1_AppendRequest_add_writes(batch->request, batch->arena);
    if (batch->write == NULL) {
        upb_Arena_Free(batch->arena);
        return false;
    }
    daybook_v1_Write_set_stream(batch->write, upb_StringView_FromString(arguments->stream));
    daybook_v1_Write_set_stream_exists(batch->write, arguments->stream_exists);
    if (arguments->has_expected_revision) {
        daybook_v1_Write_set_expected_revision(batch->write, arguments->expected_revision);
    }
    return true;
}

static bool batch_add(struct batch *batch, const struct append_arguments *arguments, const char *payload, size_t size) {
    daybook_v1_Event *event = daybook_v1_Write_add_events(batch->write, batch->arena);
    char *copy = upb_Arena_Malloc(batch->arena, size + 1);
    if (event == NULL || copy == NULL) return false;
    daybook_v1_Event_set_type(event, upb_StringView_FromString(arguments->type));
    if (arguments->id != NULL) daybook_v1_Event_set_id(event, upb_StringView_FromString(arguments->id));
    for (size_t index = 0; index < arguments->tags_count; index++) {
        if (!daybook_v1_Event_add_tags(event, upb_StringView_FromString(arguments->tags[index]), batch->arena)) {
            return false;
        }
    }
    if (payload != NULL) {
        memcpy(copy, payload, size);
        daybook_v1_Event_set_text(event, upb_StringView_FromDataAndSize(copy, size));
        if (!arguments->text) {
            daybook_v1_Event_set_content_type(event, upb_StringView_FromString("application/json"));
        }
    }
    batch->events_count++;
    batch->bytes += size;
    return true;
}

static void result_print(const struct append_arguments *arguments, const daybook_v1_AppendResponse *response) {
    size_t count;
    const daybook_v1_WriteResult *const *results = daybook_v1_AppendResponse_results(response, &count);
    if (count == 0) return;
    const uint64_t first_position = daybook_v1_WriteResult_first_position(results[0]);
    const uint64_t last_position = daybook_v1_WriteResult_last_position(results[0]);
    const uint64_t last_revision = daybook_v1_WriteResult_last_revision(results[0]);
    const bool replayed = daybook_v1_AppendResponse_replayed(response);
    if (arguments->common.json) {
        (void)printf("{\"first_position\":%" PRIu64 ",\"last_position\":%" PRIu64 ",\"last_revision\":%" PRIu64
                     ",\"replayed\":%s}\n",
                     first_position, last_position, last_revision, replayed ? "true" : "false");
        return;
    }
    if (first_position == last_position) {
        (void)printf("position %" PRIu64, last_position);
    } else {
        (void)printf("positions %" PRIu64 " to %" PRIu64, first_position, last_position);
    }
    (void)printf(", %s@%" PRIu64 "%s\n", arguments->stream, last_revision, replayed ? ", recorded before" : "");
}

/* Sends the batch and frees it. */
static int batch_send(struct batch *batch, const struct append_arguments *arguments, daybook_client *client,
                      bool quiet) {
    daybook_status status;
    const daybook_v1_AppendResponse *response;
    int code = 0;
    if (batch->events_count > 0) {
        const daybook_call_options options = {.timeout_ms = arguments->common.timeout_ms};
        if (!daybook_v1_EventStore_Append(client, batch->request, &options, batch->arena, &response, &status)) {
            code = common_fail(&arguments->common, &status);
        } else if (!quiet) {
            result_print(arguments, response);
        }
    }
    upb_Arena_Free(batch->arena);
    return code;
}

/* A payload that is meant as JSON is looked at here, because the server takes any text. */
static bool payload_check(const struct append_arguments *arguments, const char *payload, size_t size, uint64_t line) {
    if (arguments->text) return true;
    json_error_t error;
    json_t *parsed = json_loadb(payload, size, JSON_DECODE_ANY, &error);
    if (parsed != NULL) {
        json_decref(parsed);
        return true;
    }
    if (line > 0)
        (void)fprintf(stderr, "daybook: line %" PRIu64 " of standard input: ", line);
    else
        (void)fputs("daybook: the payload: ", stderr);
    (void)fprintf(stderr, "no JSON (%s, column %d); --text takes any text\n", error.text, error.column);
    return false;
}

struct lines {
    char *line;
    size_t capacity;
    uint64_t read_count;
    uint64_t sent_count;
    bool progress;
};

static void progress_show(const struct lines *lines, bool last) {
    if (!lines->progress || (!last && lines->sent_count % PROGRESS_EVENTS_COUNT != 0)) return;
    (void)fprintf(stderr, "\r%" PRIu64 " events appended%s", lines->sent_count, last ? "\n" : "");
}

/* Fills a batch from standard input. 0, or the exit code. */
static int batch_fill(struct batch *batch, const struct append_arguments *arguments, struct lines *lines,
                      bool *ret_end) {
    *ret_end = false;
    while (batch->events_count < BATCH_EVENTS_COUNT && batch->bytes < BATCH_BYTES) {
        errno = 0;
        ssize_t size = getline(&lines->line, &lines->capacity, stdin);
        if (size < 0) {
            *ret_end = true;
            if (errno == 0 && !ferror(stdin)) return 0;
            (void)fprintf(stderr, "daybook: standard input cannot be read: %s\n", strerror(errno));
            return EXIT_DATA;
        }
        lines->read_count++;
        while (size > 0 && (lines->line[size - 1] == '\n' || lines->line[size - 1] == '\r')) size--;
        if (size == 0) continue;
        if (!payload_check(arguments, lines->line, (size_t)size, lines->read_count)) return EXIT_DATA;
        if (!batch_add(batch, arguments, lines->line, (size_t)size)) return common_out_of_memory();
    }
    return 0;
}

/* What was sent before a bad line stays; the message says how much that is. */
static int append_lines(const struct append_arguments *arguments, daybook_client *client) {
    struct lines lines = {.progress = isatty(STDERR_FILENO) != 0};
    int code = 0;
    for (bool end = false; code == 0 && !end;) {
        struct batch batch;
        if (!batch_begin(&batch, arguments)) {
            code = common_out_of_memory();
            break;
        }
        code = batch_fill(&batch, arguments, &lines, &end);
        const size_t count = batch.events_count;
        const int sent = batch_send(&batch, arguments, client, true);
        if (sent == 0) lines.sent_count += count;
        if (code == 0) code = sent;
        progress_show(&lines, end || code != 0);
    }
    free(lines.line);
    if (arguments->common.json) {
        (void)printf("{\"appended\":%" PRIu64 "}\n", lines.sent_count);
    } else {
        (void)printf("%" PRIu64 " events appended to %s\n", lines.sent_count, arguments->stream);
    }
    return code;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct append_arguments *arguments = context;
    (void)common;
    (void)arena;
    if (arguments->payload != NULL && strcmp(arguments->payload, "-") == 0) return append_lines(arguments, client);
    const size_t size = arguments->payload == NULL ? 0 : strlen(arguments->payload);
    if (arguments->payload != NULL && !payload_check(arguments, arguments->payload, size, 0)) return EXIT_DATA;
    struct batch batch;
    if (!batch_begin(&batch, arguments)) return common_out_of_memory();
    if (!batch_add(&batch, arguments, arguments->payload, size)) {
        upb_Arena_Free(batch.arena);
        return common_out_of_memory();
    }
    return batch_send(&batch, arguments, client, false);
}

int command_append(int argc, char **argv) {
    struct append_arguments arguments = {.stream = NULL};
    common_init(&arguments.common);
    static const struct argp_option options[] = {
        {"tag", KEY_TAG, "TAG", 0, "a tag of the events; may be repeated", 0},
        {"id", KEY_ID, "UUID", 0, "the event's id: with the same id the command may be repeated safely", 0},
        {"expect", KEY_EXPECT, "REVISION", 0, "the stream must be at this revision; 0: be new; exists: have events", 0},
        {"text", KEY_TEXT, NULL, 0, "the payload is any text, not JSON", 0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "STREAM TYPE [JSON|-]",
        .doc =
            "Records an event in a stream. With - each line of standard input is the payload of one event; lines are "
            "sent in batches of up to 500, each batch atomically, and empty lines are passed over.",
        .children = children};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.common, run, &arguments);
}
