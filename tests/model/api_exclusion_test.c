/* Appends that exclude each other, sent by many threads at once: one of them succeeds, whoever it is, and the others are told
 * which event of whom stood in their way. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/api_world.h"

#define THREADS_COUNT 8
#define ROUNDS_COUNT  150
#define NAME_BYTES    32

/* How the appends of a round exclude each other. */
enum rule {
    RULE_TAG,        /* no event with this tag, which each of them writes, to a stream of its own */
    RULE_TYPE,       /* no event of this type, which each of them writes */
    RULE_TWO_TAGS,   /* of two tags each writes one and excludes both */
    RULE_REVISION,   /* the stream must be new */
    RULE_CHECK,      /* each writes to both streams and checks one: nobody may find the other's */
    RULE_CHECKPOINT, /* the consumer's next checkpoint */
    RULES_COUNT,
};

struct contender {
    pthread_t thread;
    uint32_t number;
    struct raw_channel *channel;
    pthread_barrier_t *start;
    pthread_barrier_t *end;
    uint64_t position; /* of its event; 0: it was refused */
    uint64_t obstacle; /* the position it was told of; 0: none */
    char reason[NAME_BYTES];
};

static struct api_rooms rooms;
static uint64_t round_number;
static uint64_t head;

static upb_StringView name_of(upb_Arena *arena, const char *kind, uint64_t number) {
    char *text = upb_Arena_Malloc(arena, NAME_BYTES);
    (void)snprintf(text, NAME_BYTES, "%s-%" PRIu64, kind, number);
    return upb_StringView_FromString(text);
}

static daybook_v1_Event *event_add(daybook_v1_AppendRequest *request, upb_StringView stream, upb_Arena *arena) {
    daybook_v1_Write *write = daybook_v1_AppendRequest_add_writes(request, arena);
    daybook_v1_Write_set_stream(write, stream);
    daybook_v1_Event *event = daybook_v1_Write_add_events(write, arena);
    daybook_v1_Event_set_type(event, upb_StringView_FromString("Contended"));
    return event;
}

static daybook_v1_Clause *clause_add(daybook_v1_AppendRequest *request, upb_Arena *arena) {
    daybook_v1_Condition *condition = daybook_v1_AppendRequest_mutable_condition(request, arena);
    daybook_v1_Condition_set_after(condition, head);
    return daybook_v1_Filter_add_any_of(daybook_v1_Condition_mutable_none_match(condition, arena), arena);
}

static void tag_exclude(daybook_v1_AppendRequest *request, upb_StringView tag, upb_Arena *arena) {
    cr_assert(daybook_v1_Clause_add_tags(clause_add(request, arena), tag, arena));
}

/* Events of its own in front shift the positions, so that groups differ. */
static daybook_v1_AppendRequest *request_make(const struct contender *contender, upb_Arena *arena) {
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    const upb_StringView own = name_of(arena, "own", contender->number);
    const upb_StringView tag = name_of(arena, "tag", round_number);
    const upb_StringView other = name_of(arena, "other", round_number);
    const upb_StringView shared = name_of(arena, "shared", round_number);
    switch ((enum rule)(round_number % RULES_COUNT)) {
    case RULE_TAG:
        cr_assert(daybook_v1_Event_add_tags(event_add(request, own, arena), tag, arena));
        tag_exclude(request, tag, arena);
        break;
    case RULE_TYPE:
        daybook_v1_Event_set_type(event_add(request, own, arena), tag);
        cr_assert(daybook_v1_Clause_add_types(clause_add(request, arena), tag, arena));
        break;
    case RULE_TWO_TAGS:
        cr_assert(
            daybook_v1_Event_add_tags(event_add(request, own, arena), contender->number % 2 == 0 ? tag : other, arena));
        tag_exclude(request, tag, arena);
        tag_exclude(request, other, arena);
        break;
    case RULE_REVISION:
        (void)event_add(request, shared, arena);
        size_t count;
        daybook_v1_Write_set_expected_revision(daybook_v1_AppendRequest_mutable_writes(request, &count)[0], 0);
        break;
    case RULE_CHECK: {
        daybook_v1_StreamCheck *check = daybook_v1_AppendRequest_add_checks(request, arena);
        daybook_v1_StreamCheck_set_stream(check, contender->number % 2 == 0 ? shared : tag);
        daybook_v1_StreamCheck_set_expected_revision(check, 0);
        (void)event_add(request, shared, arena);
        (void)event_add(request, tag, arena);
        break;
    }
    case RULE_CHECKPOINT:
    case RULES_COUNT: {
        daybook_v1_Checkpoint *checkpoint = daybook_v1_AppendRequest_mutable_checkpoint(request, arena);
        daybook_v1_Checkpoint_set_consumer(checkpoint, upb_StringView_FromString("consumer"));
        daybook_v1_Checkpoint_set_position(checkpoint, head);
        (void)event_add(request, own, arena);
        break;
    }
    }
    return request;
}

static void outcome_note(struct contender *contender, const struct answer *answer, upb_Arena *arena) {
    contender->position = 0;
    contender->obstacle = 0;
    if (answer->response.data != NULL) {
        const daybook_v1_AppendResponse *response =
            daybook_v1_AppendResponse_parse(answer->response.data, answer->response.size, arena);
        size_t count;
        contender->position =
            daybook_v1_WriteResult_first_position(daybook_v1_AppendResponse_results(response, &count)[0]);
        return;
    }
    cr_assert_eq(answer->status.code, DAYBOOK_ABORTED, "%s", answer->status.message);
    const upb_StringView reason = google_rpc_ErrorInfo_reason(answer->info);
    (void)snprintf(contender->reason, NAME_BYTES, "%.*s", (int)reason.size, reason.data);
    const daybook_v1_ConditionConflict *condition = daybook_v1_AppendConflicts_condition(answer->conflicts);
    if (condition != NULL) contender->obstacle = daybook_v1_ConditionConflict_position(condition);
}

static void *contend(void *context) {
    struct contender *contender = context;
    for (uint32_t round = 0; round < ROUNDS_COUNT; round++) {
        pthread_barrier_wait(contender->start);
        upb_Arena *arena = upb_Arena_New();
        size_t size;
        const char *encoded = daybook_v1_AppendRequest_serialize(request_make(contender, arena), arena, &size);
        struct answer answer =
            answer_to(contender->channel, METHOD_APPEND, upb_StringView_FromDataAndSize(encoded, size));
        outcome_note(contender, &answer, arena);
        answer_free(&answer);
        upb_Arena_Free(arena);
        pthread_barrier_wait(contender->end);
    }
    return NULL;
}

/* Of a round: one has won, and the others know why they have not. */
static void round_check(const struct contender *contenders) {
    static const char *const reasons[RULES_COUNT] = {"CONDITION_FAILED",  "CONDITION_FAILED",  "CONDITION_FAILED",
                                                     "REVISION_CONFLICT", "REVISION_CONFLICT", "CHECKPOINT_STALE"};
    const enum rule rule = (enum rule)(round_number % RULES_COUNT);
    uint64_t won = 0;
    for (uint32_t index = 0; index < THREADS_COUNT; index++) {
        if (contenders[index].position == 0) continue;
        cr_assert_eq(won, 0, "round %" PRIu64 ": two have won", round_number);
        won = contenders[index].position;
    }
    cr_assert_eq(won, head + 1, "round %" PRIu64 ": one wins", round_number);
    for (uint32_t index = 0; index < THREADS_COUNT; index++) {
        if (contenders[index].position != 0) continue;
        cr_assert_str_eq(contenders[index].reason, reasons[rule]);
        if (rule <= RULE_TWO_TAGS) cr_assert_eq(contenders[index].obstacle, won);
    }
    head = rule == RULE_CHECK ? won + 1 : won;
}

/* So that there is a position for a checkpoint. */
static void first_event_append(void) {
    upb_Arena *arena = upb_Arena_New();
    daybook_v1_AppendRequest *request = daybook_v1_AppendRequest_new(arena);
    (void)event_add(request, upb_StringView_FromString("first"), arena);
    size_t size;
    const char *encoded = daybook_v1_AppendRequest_serialize(request, arena, &size);
    struct answer answer = answer_to(rooms.channels[0], METHOD_APPEND, upb_StringView_FromDataAndSize(encoded, size));
    cr_assert_eq(answer.status.code, DAYBOOK_OK);
    answer_free(&answer);
    upb_Arena_Free(arena);
    head = 1;
}

Test(api_exclusion, of_those_that_exclude_each_other_one_succeeds) {
    static struct contender contenders[THREADS_COUNT];
    pthread_barrier_t start;
    pthread_barrier_t end;
    rooms.directory = temporary_directory_make();
    api_rooms_open(&rooms);
    first_event_append();
    pthread_barrier_init(&start, NULL, THREADS_COUNT + 1);
    pthread_barrier_init(&end, NULL, THREADS_COUNT + 1);
    for (uint32_t index = 0; index < THREADS_COUNT; index++) {
        struct contender *contender = &contenders[index];
        *contender = (struct contender){.number = index, .start = &start, .end = &end};
        contender->channel = raw_channel_open(daybook_server_port(rooms.server));
        cr_assert_eq(pthread_create(&contender->thread, NULL, contend, contender), 0);
    }
    for (uint32_t round = 0; round < ROUNDS_COUNT; round++) {
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&end);
        round_check(contenders);
        round_number++;
    }
    for (uint32_t index = 0; index < THREADS_COUNT; index++) {
        pthread_join(contenders[index].thread, NULL);
        raw_channel_close(contenders[index].channel);
    }
    pthread_barrier_destroy(&start);
    pthread_barrier_destroy(&end);
    api_rooms_close(&rooms);
    temporary_directory_remove(&rooms.directory);
}
