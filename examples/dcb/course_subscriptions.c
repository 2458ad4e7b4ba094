/* course_subscriptions: one event under two rules, one of its course and one of its student.
 *
 *   course_subscriptions SERVER
 *
 * A course takes as many students as its capacity, which may change; a student takes at most five courses. A subscription
 * carries the tags of both, so both rules are decided in one append, without a lock, an aggregate or a saga. Whoever wants
 * the same course or is the same student competes; all others do not notice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "examples/dcb/story.h"

#define STUDENT_COURSES_MAX 5
#define ID_BYTES            32

struct course_command {
    char course[ID_BYTES];
    int64_t capacity;
};

struct subscription {
    char student[ID_BYTES];
    char course[ID_BYTES];
};

/* What a decision needs to know; built from events each time, stored nowhere. */
struct model {
    bool course_exists;
    int64_t capacity;
    int64_t seats_taken;
    int64_t courses_of_student;
    bool already_subscribed;
};

/* `student` may be NULL. */
static struct model model_read(struct decision *decision, const char *course, const char *student) {
    struct model model = {.course_exists = false};
    decision_about(decision, LIST("CourseDefined", "CourseCapacityChanged", "StudentSubscribed"),
                   LIST(story_tag(decision, "course", course)));
    if (student != NULL) {
        decision_about(decision, LIST("StudentSubscribed"), LIST(story_tag(decision, "student", student)));
    }
    for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) {
        if (fact_is(fact, "StudentSubscribed")) {
            const bool same_course = strcmp(fact_text(fact, "course"), course) == 0;
            const bool same_student = student != NULL && strcmp(fact_text(fact, "student"), student) == 0;
            model.seats_taken += same_course;
            model.courses_of_student += same_student;
            model.already_subscribed |= same_course && same_student;
        } else {
            model.course_exists = true;
            model.capacity = fact_number(fact, "capacity");
        }
    }
    return model;
}

static void course_record(struct decision *decision, const char *type, const struct course_command *command) {
    const char *tag = story_tag(decision, "course", command->course);
    decision_record(decision, decision_text(decision, "course-%s", command->course), type, LIST(tag),
                    json_pack("{s:s, s:I}", "course", command->course, "capacity", (json_int_t)command->capacity));
}

static const char *define_course(struct decision *decision, const void *argument) {
    const struct course_command *command = argument;
    if (model_read(decision, command->course, NULL).course_exists) return "the course exists already";
    course_record(decision, "CourseDefined", command);
    return NULL;
}

static const char *change_capacity(struct decision *decision, const void *argument) {
    const struct course_command *command = argument;
    const struct model model = model_read(decision, command->course, NULL);
    if (!model.course_exists) return "there is no such course";
    if (model.capacity == command->capacity) return "the course has that capacity";
    course_record(decision, "CourseCapacityChanged", command);
    return NULL;
}

static const char *subscribe(struct decision *decision, const void *argument) {
    const struct subscription *wish = argument;
    const struct model model = model_read(decision, wish->course, wish->student);
    if (!model.course_exists) return "there is no such course";
    if (model.already_subscribed) return "the student is in the course already";
    if (model.seats_taken >= model.capacity) return "the course is full";
    if (model.courses_of_student >= STUDENT_COURSES_MAX) return "the student has five courses";
    decision_record(decision, decision_text(decision, "student-%s", wish->student), "StudentSubscribed",
                    LIST(story_tag(decision, "course", wish->course), story_tag(decision, "student", wish->student)),
                    json_pack("{s:s, s:s}", "student", wish->student, "course", wish->course));
    return NULL;
}

static void rules(daybook_client *client) {
    const struct course_command logic = {.course = "logic", .capacity = 1};
    const struct course_command logic_wider = {.course = "logic", .capacity = 2};
    const struct course_command music = {.course = "music", .capacity = 3};
    story_say("The rules, one command after the other");
    story_expect_outcome(decision_make(client, define_course, &logic, NULL), NULL, "define logic with 1 seat");
    story_expect_outcome(decision_make(client, define_course, &logic, NULL), "the course exists already",
                         "define it again");
    story_expect_outcome(decision_make(client, change_capacity, &logic, NULL), "the course has that capacity",
                         "change its capacity to 1");
    story_expect_outcome(decision_make(client, change_capacity, &music, NULL), "there is no such course",
                         "change the capacity of music");
    story_expect_outcome(decision_make(client, subscribe, &(struct subscription){"ada", "music"}, NULL),
                         "there is no such course", "ada into music");
    story_expect_outcome(decision_make(client, subscribe, &(struct subscription){"ada", "logic"}, NULL), NULL,
                         "ada into logic");
    story_expect_outcome(decision_make(client, subscribe, &(struct subscription){"ada", "logic"}, NULL),
                         "the student is in the course already", "ada into logic again");
    story_expect_outcome(decision_make(client, subscribe, &(struct subscription){"bob", "logic"}, NULL),
                         "the course is full", "bob into logic");
    story_expect_outcome(decision_make(client, change_capacity, &logic_wider, NULL), NULL, "change its capacity to 2");
}

static void races(daybook_client *client) {
    const struct subscription bob = {"bob", "logic"};
    const struct subscription cyd = {"cyd", "logic"};
    const struct course_command chess = {.course = "chess", .capacity = 1};
    const struct course_command chess_closed = {.course = "chess", .capacity = 0};
    const struct subscription bob_chess = {"bob", "chess"};
    story_say("Two want the last seat");
    story_race(client, subscribe, &bob, subscribe, &cyd);
    story_expect_outcome(decision_make(client, subscribe, &cyd, NULL), "the course is full", "the second decides anew");
    story_say("A course is closed while somebody subscribes");
    story_expect_outcome(decision_make(client, define_course, &chess, NULL), NULL, "define chess with 1 seat");
    story_race(client, change_capacity, &chess_closed, subscribe, &bob_chess);
    story_expect_outcome(decision_make(client, subscribe, &bob_chess, NULL), "the course is full",
                         "the second decides anew");
}

/* --- Many at the same time. ------------------------------------------------------------------------------------------- */

#define CROWD_COUNT_MAX 24

struct crowd {
    daybook_client *client;
    struct subscription wishes[CROWD_COUNT_MAX];
    const char *refusals[CROWD_COUNT_MAX];
    uint64_t conflicts[CROWD_COUNT_MAX];
};

static void crowd_body(size_t number, void *context) {
    struct crowd *crowd = context;
    crowd->refusals[number] =
        decision_make(crowd->client, subscribe, &crowd->wishes[number], &crowd->conflicts[number]);
}

static uint64_t accepted_count(const struct crowd *crowd, size_t count, const char *refusal, bool *ret_as_expected) {
    uint64_t accepted = 0;
    *ret_as_expected = true;
    for (size_t number = 0; number < count; number++) {
        if (crowd->refusals[number] == NULL) {
            accepted++;
        } else if (strcmp(crowd->refusals[number], refusal) != 0) {
            *ret_as_expected = false;
        }
    }
    return accepted;
}

static struct model model_now(daybook_client *client, const char *course, const char *student) {
    struct decision *decision = decision_open(client);
    const struct model model = model_read(decision, course, student);
    decision_close(decision);
    return model;
}

static void overbooking(daybook_client *client) {
    struct crowd crowd = {.client = client};
    const struct course_command course = {.course = "piano", .capacity = 10};
    bool as_expected;
    story_say("24 students at once want one of 10 seats");
    story_expect_outcome(decision_make(client, define_course, &course, NULL), NULL, "define piano with 10 seats");
    for (size_t number = 0; number < 24; number++) {
        (void)snprintf(crowd.wishes[number].student, ID_BYTES, "pianist%zu", number);
        (void)snprintf(crowd.wishes[number].course, ID_BYTES, "piano");
    }
    story_together(24, crowd_body, &crowd);
    story_expect(accepted_count(&crowd, 24, "the course is full", &as_expected) == 10, "10 are accepted");
    story_expect(as_expected, "the others are told that the course is full");
    story_expect(model_now(client, "piano", NULL).seats_taken == 10, "10 subscriptions are recorded");
}

static void greed(daybook_client *client) {
    struct crowd crowd = {.client = client};
    bool as_expected;
    story_say("One student at once wants 8 courses");
    for (size_t number = 0; number < 8; number++) {
        struct course_command course = {.capacity = 100};
        (void)snprintf(course.course, ID_BYTES, "language%zu", number);
        (void)snprintf(crowd.wishes[number].student, ID_BYTES, "dee");
        (void)snprintf(crowd.wishes[number].course, ID_BYTES, "language%zu", number);
        if (decision_make(client, define_course, &course, NULL) != NULL) story_expect(false, "%s", course.course);
    }
    story_together(8, crowd_body, &crowd);
    story_expect(accepted_count(&crowd, 8, "the student has five courses", &as_expected) == 5, "5 are accepted");
    story_expect(as_expected, "the others are refused because the student has five courses");
    story_expect(model_now(client, "language0", "dee").courses_of_student == 5, "5 subscriptions are recorded");
}

/* Its own course, and students of its own: nobody else's business. */
static void independent_body(size_t number, void *context) {
    struct crowd *crowd = context;
    struct course_command course = {.capacity = 20};
    (void)snprintf(course.course, ID_BYTES, "private%zu", number);
    crowd->refusals[number] = decision_make(crowd->client, define_course, &course, &crowd->conflicts[number]);
    for (size_t student = 0; student < 20 && crowd->refusals[number] == NULL; student++) {
        struct subscription wish;
        (void)snprintf(wish.course, ID_BYTES, "private%zu", number);
        (void)snprintf(wish.student, ID_BYTES, "pupil%zu-%zu", number, student);
        crowd->refusals[number] = decision_make(crowd->client, subscribe, &wish, &crowd->conflicts[number]);
    }
}

static void independence(daybook_client *client) {
    struct crowd crowd = {.client = client};
    uint64_t conflicts_count = 0;
    bool as_expected;
    story_say("8 courses are filled at once, each with students of its own");
    story_together(8, independent_body, &crowd);
    for (size_t number = 0; number < 8; number++) conflicts_count += crowd.conflicts[number];
    story_expect(accepted_count(&crowd, 8, "", &as_expected) == 8, "all 160 subscriptions are accepted");
    story_expect(conflicts_count == 0, "%" PRIu64 " conflicts: they do not touch each other", conflicts_count);
}

int main(int argc, char **argv) {
    daybook_client *client = story_begin(argc, argv);
    rules(client);
    races(client);
    overbooking(client);
    greed(client);
    independence(client);
    return story_end();
}
