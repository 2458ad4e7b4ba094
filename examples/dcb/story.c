#include "examples/dcb/story.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daybook/v1/event_store.grpc.h"

static struct {
    daybook_client *client;
    uint64_t head; /* when the story began */
    uint64_t held_count;
    uint64_t violated_count;
} story;

static _Noreturn void fail(const char *message) {
    (void)fprintf(stderr, "%s\n", message);
    exit(1);
}

daybook_client *story_begin(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "Usage: %s SERVER\n", argv[0]);
        exit(64);
    }
    daybook_status status;
    story.client = daybook_client_open(&(daybook_client_options){.target = argv[1]}, &status);
    upb_Arena *arena = upb_Arena_New();
    if (story.client == NULL || arena == NULL) fail("out of memory, or no address of a server");
    const daybook_v1_HeadResponse *response;
    if (!daybook_v1_EventStore_Head(story.client, daybook_v1_HeadRequest_new(arena), NULL, arena, &response, &status)) {
        fail(status.message);
    }
    story.head = daybook_v1_HeadResponse_head(response);
    upb_Arena_Free(arena);
    return story.client;
}

int story_end(void) {
    daybook_client_close(story.client);
    (void)printf("%" PRIu64 " checks held, %" PRIu64 " did not.\n", story.held_count, story.violated_count);
    return story.violated_count == 0 && story.held_count > 0 ? 0 : 1;
}

void story_say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
    (void)fflush(stdout);
}

void story_expect(bool holds, const char *format, ...) {
    (void)fputs(holds ? "  ok        " : "  VIOLATED  ", stdout);
    va_list arguments;
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
    (void)fflush(stdout);
    if (holds) {
        story.held_count++;
    } else {
        story.violated_count++;
    }
}

void story_expect_outcome(const char *refusal, const char *expected, const char *what) {
    const bool same = refusal == NULL || expected == NULL ? refusal == expected : strcmp(refusal, expected) == 0;
    story_expect(same, "%s: %s", what, refusal == NULL ? "accepted" : refusal);
}

const char *story_tag(struct decision *decision, const char *kind, const char *id) {
    if (story.head == 0) return decision_text(decision, "%s:%s", kind, id);
    return decision_text(decision, "%s:%s.%" PRIu64, kind, id, story.head);
}

struct participant {
    pthread_t thread;
    pthread_barrier_t *start;
    size_t number;
    story_body *body;
    void *context;
};

static void *participate(void *argument) {
    const struct participant *participant = argument;
    pthread_barrier_wait(participant->start);
    participant->body(participant->number, participant->context);
    return NULL;
}

void story_together(size_t count, story_body *body, void *context) {
    struct participant *participants = calloc(count, sizeof *participants);
    pthread_barrier_t start;
    if (participants == NULL || pthread_barrier_init(&start, NULL, (unsigned)count) != 0) fail("out of memory");
    for (size_t number = 0; number < count; number++) {
        participants[number] =
            (struct participant){.start = &start, .number = number, .body = body, .context = context};
        if (pthread_create(&participants[number].thread, NULL, participate, &participants[number]) != 0) {
            fail("no further thread can be started");
        }
    }
    for (size_t number = 0; number < count; number++) pthread_join(participants[number].thread, NULL);
    pthread_barrier_destroy(&start);
    free(participants);
}

void story_race(daybook_client *client, decide_function *first_decide, const void *first,
                decide_function *second_decide, const void *second) {
    struct decision *first_decision = decision_open(client);
    struct decision *second_decision = decision_open(client);
    const bool both = first_decide(first_decision, first) == NULL && second_decide(second_decision, second) == NULL;
    story_expect(both, "both deciders accept, by the same state");
    if (both) {
        story_expect(decision_commit(first_decision), "the first append is taken");
        story_expect(!decision_commit(second_decision), "the second append is not: its state is no longer true");
    }
    decision_close(first_decision);
    decision_close(second_decision);
}
