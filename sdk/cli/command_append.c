#include <stdio.h>
#include <string.h>

#include "sdk/cli/append.h"
#include "sdk/cli/clause_text.h"

enum {
    KEY_TAG = 0x300,
    KEY_TEXT,
    KEY_ID,
    KEY_EXPECT,
    KEY_IF_NONE,
    KEY_AFTER,
    KEY_CHECK,
    KEY_CHECKPOINT,
    KEY_METADATA,
    KEY_CORRELATION_ID,
    KEY_CAUSATION_ID,
};

static void metadata_add(struct argp_state *state, struct append_arguments *arguments, struct value_pair pair) {
    if (arguments->metadata_count == APPEND_METADATA_COUNT_MAX) {
        argp_error(state, "at most %d entries of metadata are allowed", APPEND_METADATA_COUNT_MAX);
        return;
    }
    arguments->metadata[arguments->metadata_count++] = pair;
}

static void tag_add(struct argp_state *state, struct append_arguments *arguments, const char *tag) {
    if (arguments->tags_count == APPEND_TAGS_COUNT_MAX) {
        argp_error(state, "at most %d tags are allowed", APPEND_TAGS_COUNT_MAX);
        return;
    }
    arguments->tags[arguments->tags_count++] = tag;
}

static void if_none_add(struct argp_state *state, struct append_arguments *arguments, const char *text) {
    if (arguments->if_none_count == APPEND_CLAUSES_COUNT_MAX) {
        argp_error(state, "--if-none may be given %d times", APPEND_CLAUSES_COUNT_MAX);
        return;
    }
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_Clause *clause = arena == NULL ? NULL : daybook_v1_Clause_new(arena);
    const char *problem = clause == NULL ? "out of memory" : clause_parse(text, clause, arena);
    if (arena != NULL) upb_Arena_Free(arena);
    if (problem != NULL) argp_error(state, "--if-none is \"%s\": %s", text, problem);
    arguments->if_none[arguments->if_none_count++] = text;
}

static void check_add(struct argp_state *state, struct append_arguments *arguments, const char *text) {
    if (arguments->checks_count == APPEND_CHECKS_COUNT_MAX) {
        argp_error(state, "--check may be given %d times", APPEND_CHECKS_COUNT_MAX);
        return;
    }
    const struct value_place place = value_place(state, text, "--check");
    const struct append_check check = {.stream = place.name,
                                       .expectation = value_expectation(state, place.place, "the revision of --check")};
    if (!check.expectation.exists && !check.expectation.has_revision) {
        argp_error(state, "--check is \"%s\": a stream that may be anywhere need not be checked", text);
    }
    arguments->checks[arguments->checks_count++] = check;
}

static void checkpoint_set(struct argp_state *state, struct append_arguments *arguments, const char *text) {
    const struct value_place place = value_place(state, text, "--checkpoint");
    arguments->consumer = place.name;
    arguments->consumer_position = common_number(state, place.place, "the position of --checkpoint");
}

static void argument_take(struct argp_state *state, struct append_arguments *arguments, const char *argument) {
    if (state->arg_num == 0) arguments->stream = argument;
    if (state->arg_num == 1) arguments->type = argument;
    if (state->arg_num == 2) arguments->payload = argument;
    if (state->arg_num > 2) argp_error(state, "\"%s\" is too much; quote a payload that has spaces", argument);
}

static void end_check(struct argp_state *state, const struct append_arguments *arguments) {
    if (state->arg_num < 2) argp_error(state, "a stream and a type are needed");
    if (arguments->has_after && arguments->if_none_count == 0) argp_error(state, "--after belongs to --if-none");
    const bool is_lines = arguments->payload != NULL && strcmp(arguments->payload, "-") == 0;
    const bool is_single = arguments->id != NULL || arguments->expectation.has_revision ||
                           arguments->expectation.exists || arguments->if_none_count > 0 ||
                           arguments->checks_count > 0 || arguments->consumer.size > 0;
    if (is_lines && is_single) {
        argp_error(state, "--id, --expect, --if-none, --check and --checkpoint are for one event, not for the lines of "
                          "standard input");
    }
}

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct append_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_TAG:
        tag_add(state, arguments, argument);
        return 0;
    case KEY_TEXT:
        arguments->text = true;
        return 0;
    case KEY_ID:
        arguments->id = argument;
        return 0;
    case KEY_EXPECT:
        arguments->expectation = value_expectation(state, argument, "--expect");
        return 0;
    case KEY_IF_NONE:
        if_none_add(state, arguments, argument);
        return 0;
    case KEY_AFTER:
        arguments->after = common_number(state, argument, "--after");
        arguments->has_after = true;
        return 0;
    case KEY_CHECK:
        check_add(state, arguments, argument);
        return 0;
    case KEY_CHECKPOINT:
        checkpoint_set(state, arguments, argument);
        return 0;
    case KEY_METADATA:
        metadata_add(state, arguments, value_pair(state, argument, "--metadata"));
        return 0;
    case KEY_CORRELATION_ID:
        metadata_add(
            state, arguments,
            (struct value_pair){upb_StringView_FromString("correlation_id"), upb_StringView_FromString(argument)});
        return 0;
    case KEY_CAUSATION_ID:
        metadata_add(
            state, arguments,
            (struct value_pair){upb_StringView_FromString("causation_id"), upb_StringView_FromString(argument)});
        return 0;
    case ARGP_KEY_ARG:
        argument_take(state, arguments, argument);
        return 0;
    case ARGP_KEY_END:
        end_check(state, arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    const struct append_arguments *arguments = context;
    (void)common;
    (void)arena;
    if (arguments->payload != NULL && strcmp(arguments->payload, "-") == 0) return append_lines(arguments, client);
    const size_t size = arguments->payload == NULL ? 0 : strlen(arguments->payload);
    if (arguments->payload != NULL && !append_payload_check(arguments, arguments->payload, size, 0)) return EXIT_DATA;
    struct append_batch batch;
    if (!append_batch_begin(&batch, arguments)) return common_out_of_memory();
    if (!append_batch_add(&batch, arguments, arguments->payload, size)) {
        append_batch_drop(&batch);
        return common_out_of_memory();
    }
    return append_batch_send(&batch, arguments, client, false);
}

static const struct argp_option options[] = {
    {"tag", KEY_TAG, "TAG", 0, "a tag of the events; may be repeated", 0},
    {"metadata", KEY_METADATA, "KEY=VALUE", 0, "context beside the facts; may be repeated", 0},
    {"correlation-id", KEY_CORRELATION_ID, "ID", 0,
     "what the event belongs to, for `daybook trace`: the metadata correlation_id. With --tag correlation:ID beside it "
     "the index finds the event",
     0},
    {"causation-id", KEY_CAUSATION_ID, "ID", 0, "the id of the event that caused this one: the metadata causation_id",
     0},
    {"id", KEY_ID, "UUID", 0, "the event's id: with the same id the command may be repeated safely", 0},
    {"text", KEY_TEXT, NULL, 0, "the payload is any text, not JSON", 0},
    {NULL, 0, NULL, 0, "What must hold, or nothing is written:", 2},
    {"expect", KEY_EXPECT, "REVISION", 0,
     "the stream must be at this revision; new: have none; exists: have events; any", 2},
    {"check", KEY_CHECK, "STREAM@REVISION", 0,
     "another stream must be at this revision, or STREAM@new, STREAM@exists; may be repeated", 2},
    {"if-none", KEY_IF_NONE, "CLAUSE", 0,
     "no event may match the clause: KEY=TEXT parts with ',' between them, all of which an event must meet, "
     "\"type=OrderPlaced,tag=customer:7\". Keys: type, tag, stream, type-prefix, stream-prefix; a key may be repeated "
     "(any of the types, streams and prefixes, all of the tags). A ',' in a text is \"\\,\", a '\\' is \"\\\\\". May be "
     "repeated: no event may match any of the clauses",
     2},
    {"after", KEY_AFTER, "POSITION", 0,
     "--if-none looks at events after this position only: the head on which the decision stands (default 0: at all)",
     2},
    {"checkpoint", KEY_CHECKPOINT, "CONSUMER@POSITION", 0,
     "stores with the event that the consumer has come so far; it must have been behind that", 2},
    {0},
};

int command_append(int argc, char **argv) {
    static struct append_arguments arguments;
    arguments = (struct append_arguments){.stream = NULL};
    common_init(&arguments.common);
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
