#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"
#include "sdk/cli/append.h"
#include "sdk/cli/clause_text.h"
#include "sdk/cli/print.h"

static bool condition_set(daybook_v1_AppendRequest *request, const struct append_arguments *arguments,
                          upb_Arena *arena) {
    if (arguments->if_none_count == 0) return true;
    daybook_v1_Condition *condition = daybook_v1_AppendRequest_mutable_condition(request, arena);
    daybook_v1_Filter *filter = condition == NULL ? NULL : daybook_v1_Condition_mutable_none_match(condition, arena);
    if (filter == NULL) return false;
    daybook_v1_Condition_set_after(condition, arguments->after);
    for (size_t index = 0; index < arguments->if_none_count; index++) {
        daybook_v1_Clause *clause = daybook_v1_Filter_add_any_of(filter, arena);
        /* Its form was checked with the arguments. */
        if (clause == NULL || clause_parse(arguments->if_none[index], clause, arena) != NULL) return false;
    }
    return true;
}

static bool checks_set(daybook_v1_AppendRequest *request, const struct append_arguments *arguments, upb_Arena *arena) {
    for (size_t index = 0; index < arguments->checks_count; index++) {
        const struct append_check *source = &arguments->checks[index];
        daybook_v1_StreamCheck *check = daybook_v1_AppendRequest_add_checks(request, arena);
        if (check == NULL) return false;
        daybook_v1_StreamCheck_set_stream(check, source->stream);
        daybook_v1_StreamCheck_set_stream_exists(check, source->expectation.exists);
        if (source->expectation.has_revision) {
            daybook_v1_StreamCheck_set_expected_revision(check, source->expectation.revision);
        }
    }
    return true;
}

static bool checkpoint_set(daybook_v1_AppendRequest *request, const struct append_arguments *arguments,
                           upb_Arena *arena) {
    if (arguments->consumer.size == 0) return true;
    daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_mutable_checkpoint(request, arena);
    if (checkpoint == NULL) return false;
    daybook_v1_Checkpoint_set_consumer(checkpoint, arguments->consumer);
    daybook_v1_Checkpoint_set_position(checkpoint, arguments->consumer_position);
    return true;
}

bool append_batch_begin(struct append_batch *batch, const struct append_arguments *arguments) {
    *batch = (struct append_batch){.arena = upb_Arena_New()};
    if (batch->arena == NULL) return false;
    batch->request = daybook_v1_AppendRequest_new(batch->arena);
    batch->write = batch->request == NULL ? NULL : daybook_v1_AppendRequest_add_writes(batch->request, batch->arena);
    if (batch->write == NULL || !condition_set(batch->request, arguments, batch->arena) ||
        !checks_set(batch->request, arguments, batch->arena) ||
        !checkpoint_set(batch->request, arguments, batch->arena)) {
        append_batch_drop(batch);
        return false;
    }
    daybook_v1_Write_set_stream(batch->write, upb_StringView_FromString(arguments->stream));
    daybook_v1_Write_set_stream_exists(batch->write, arguments->expectation.exists);
    if (arguments->expectation.has_revision) {
        daybook_v1_Write_set_expected_revision(batch->write, arguments->expectation.revision);
    }
    return true;
}

void append_batch_drop(struct append_batch *batch) {
    upb_Arena_Free(batch->arena);
    batch->arena = NULL;
}

bool append_batch_add(struct append_batch *batch, const struct append_arguments *arguments, const char *payload,
                      size_t size) {
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
    for (size_t index = 0; index < arguments->metadata_count; index++) {
        const struct value_pair *pair = &arguments->metadata[index];
        if (!daybook_v1_Event_metadata_set(event, pair->key, pair->text, batch->arena)) return false;
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
        (void)printf("position %" PRIu64 ", ", last_position);
    } else {
        (void)printf("positions %" PRIu64 " to %" PRIu64 ", ", first_position, last_position);
    }
    print_plain(stdout, upb_StringView_FromString(arguments->stream));
    (void)printf("@%" PRIu64 "%s\n", last_revision, replayed ? ", recorded before" : "");
}

int append_batch_send(struct append_batch *batch, const struct append_arguments *arguments, daybook_client *client,
                      bool quiet) {
    daybook_status status;
    const daybook_v1_AppendResponse *response;
    int code = 0;
    if (batch->events_count > 0) {
        daybook_call_options options = common_call_options(&arguments->common);
        /* The same id is the same event; without one, a second attempt could append it twice. */
        options.idempotent = arguments->id != NULL;
        if (!daybook_v1_EventStore_Append(client, batch->request, &options, batch->arena, &response, &status)) {
            code = common_fail(&arguments->common, &status);
        } else if (!quiet) {
            result_print(arguments, response);
        }
    }
    append_batch_drop(batch);
    return code;
}

bool append_payload_check(const struct append_arguments *arguments, const char *payload, size_t size, uint64_t line) {
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
    (void)fputs("no JSON (", stderr);
    print_plain(stderr, upb_StringView_FromString(error.text));
    (void)fprintf(stderr, ", column %d); --text takes any text\n", error.column);
    return false;
}
