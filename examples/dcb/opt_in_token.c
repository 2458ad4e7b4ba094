/* opt_in_token: an account is created once its e-mail address was confirmed, by a code that works once and for an hour.
 *
 *   opt_in_token SERVER
 *
 * The code is a tag of the event that sent it. Confirming stands on two clauses: that sign-up (address and code), and whether
 * the address has been confirmed by any code. No table of pending codes has to be kept, cleaned or locked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "examples/dcb/story.h"

#define CODE_VALID_S INT64_C(3600)
#define TEXT_BYTES   64
#define CLICKS_COUNT 12

struct sign_up {
    char address[TEXT_BYTES];
    char code[8]; /* given by the caller, who sends it by mail */
    char name[TEXT_BYTES];
    int64_t now_s;
};

static const char *initiate(struct decision *decision, const void *argument) {
    const struct sign_up *command = argument;
    const char *address_tag = story_tag(decision, "email", command->address);
    const char *code_tag = story_tag(decision, "otp", command->code);
    decision_about(decision, LIST("SignUpConfirmed"), LIST(address_tag));
    decision_about(decision, LIST("SignUpInitiated"), LIST(address_tag, code_tag));
    const struct fact *fact = decision_next(decision);
    if (fact != NULL) {
        return fact_is(fact, "SignUpConfirmed") ? "the address has an account" : "the code was given out before";
    }
    decision_set_time(decision, command->now_s);
    decision_record(
        decision, decision_text(decision, "sign_up-%s", command->address), "SignUpInitiated",
        LIST(address_tag, code_tag),
        json_pack("{s:s, s:s, s:s}", "address", command->address, "code", command->code, "name", command->name));
    return NULL;
}

static const char *confirm(struct decision *decision, const void *argument) {
    const struct sign_up *command = argument;
    const char *address_tag = story_tag(decision, "email", command->address);
    const char *code_tag = story_tag(decision, "otp", command->code);
    bool pending = false;
    bool used = false;
    bool has_account = false;
    const char *name = "";
    int64_t sent_at_s = 0;
    decision_about(decision, LIST("SignUpInitiated"), LIST(address_tag, code_tag));
    decision_about(decision, LIST("SignUpConfirmed"), LIST(address_tag));
    for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) {
        if (fact_is(fact, "SignUpInitiated")) {
            pending = true;
            sent_at_s = fact->occurred_at_s;
            name = decision_text(decision, "%s", fact_text(fact, "name"));
        } else {
            has_account = true;
            used |= strcmp(fact_text(fact, "code"), command->code) == 0;
        }
    }
    if (!pending) return "no sign-up of this address has this code";
    if (used) return "the code was used already";
    if (has_account) return "the address has an account";
    if (command->now_s - sent_at_s > CODE_VALID_S) return "the code has expired";
    decision_set_time(decision, command->now_s);
    decision_record(decision, decision_text(decision, "sign_up-%s", command->address), "SignUpConfirmed",
                    LIST(address_tag, code_tag),
                    json_pack("{s:s, s:s, s:s}", "address", command->address, "code", command->code, "name", name));
    return NULL;
}

/* --- The story. ------------------------------------------------------------------------------------------------------- */

/* 1 March 2026, 12:00 UTC, and minutes after it: the events are dated by the story, which cannot wait for an hour. */
#define MINUTE(number) (INT64_C(1772366400) + (number)*INT64_C(60))

static void expect_confirm(daybook_client *client, const char *address, const char *code, int64_t now_s,
                           const char *expected, const char *what) {
    struct sign_up command = {.now_s = now_s};
    (void)snprintf(command.address, sizeof command.address, "%s", address);
    (void)snprintf(command.code, sizeof command.code, "%s", code);
    story_expect_outcome(decision_make(client, confirm, &command, NULL), expected, what);
}

static void rules(daybook_client *client) {
    const struct sign_up ada = {"ada@example.org", "111111", "Ada", MINUTE(0)};
    const struct sign_up ada_later = {"ada@example.org", "222222", "Ada", MINUTE(61)};
    const struct sign_up ada_again = {"ada@example.org", "333333", "Ada", MINUTE(70)};
    story_say("The rules, one command after the other");
    story_expect_outcome(decision_make(client, initiate, &ada, NULL), NULL, "12:00 ada signs up, code 111111");
    expect_confirm(client, "ada@example.org", "000000", MINUTE(1), "no sign-up of this address has this code",
                   "12:01 ada confirms with 000000");
    expect_confirm(client, "bob@example.org", "111111", MINUTE(1), "no sign-up of this address has this code",
                   "12:01 bob confirms with 111111");
    expect_confirm(client, "ada@example.org", "111111", MINUTE(61), "the code has expired",
                   "13:01 ada confirms with 111111");
    story_expect_outcome(decision_make(client, initiate, &ada_later, NULL), NULL, "13:01 ada signs up, code 222222");
    expect_confirm(client, "ada@example.org", "222222", MINUTE(62), NULL, "13:02 ada confirms with 222222");
    expect_confirm(client, "ada@example.org", "222222", MINUTE(63), "the code was used already",
                   "13:03 ada confirms with 222222");
    story_expect_outcome(decision_make(client, initiate, &ada_again, NULL), "the address has an account",
                         "13:10 ada signs up");
}

static void races(daybook_client *client) {
    const struct sign_up eve = {"eve@example.org", "444444", "Eve", MINUTE(0)};
    const struct sign_up eve_second = {"eve@example.org", "555555", "Eve", MINUTE(1)};
    story_say("The link in the mail is opened twice at the same time");
    story_expect_outcome(decision_make(client, initiate, &eve, NULL), NULL, "eve signs up, code 444444");
    story_expect_outcome(decision_make(client, initiate, &eve_second, NULL), NULL, "and again, code 555555");
    story_race(client, confirm, &eve, confirm, &eve);
    story_expect_outcome(decision_make(client, confirm, &eve, NULL), "the code was used already",
                         "the second decides anew");
    story_expect_outcome(decision_make(client, confirm, &eve_second, NULL), "the address has an account",
                         "eve confirms with her other code");
}

struct clicks {
    daybook_client *client;
    bool same_address;
    const char *refusals[CLICKS_COUNT];
    uint64_t conflicts[CLICKS_COUNT];
};

static void click_body(size_t number, void *context) {
    struct clicks *clicks = context;
    struct sign_up command = {.address = "fay@example.org", .code = "666666", .name = "Fay", .now_s = MINUTE(5)};
    if (!clicks->same_address) {
        (void)snprintf(command.address, sizeof command.address, "guest%zu@example.org", number);
        const char *refusal = decision_make(clicks->client, initiate, &command, &clicks->conflicts[number]);
        if (refusal != NULL) {
            clicks->refusals[number] = refusal;
            return;
        }
    }
    clicks->refusals[number] = decision_make(clicks->client, confirm, &command, &clicks->conflicts[number]);
}

static void crowds(daybook_client *client) {
    const struct sign_up fay = {"fay@example.org", "666666", "Fay", MINUTE(0)};
    story_say("Many at the same time");
    story_expect_outcome(decision_make(client, initiate, &fay, NULL), NULL, "fay signs up, code 666666");
    for (int same_address = 1; same_address >= 0; same_address--) {
        struct clicks clicks = {.client = client, .same_address = same_address != 0};
        uint64_t accepted_count = 0;
        uint64_t conflicts_count = 0;
        story_together(CLICKS_COUNT, click_body, &clicks);
        for (size_t number = 0; number < CLICKS_COUNT; number++) {
            accepted_count += clicks.refusals[number] == NULL;
            conflicts_count += clicks.conflicts[number];
        }
        if (same_address) {
            story_expect(accepted_count == 1, "of %d who confirm with her code %" PRIu64 " is accepted", CLICKS_COUNT,
                         accepted_count);
        } else {
            story_expect(accepted_count == CLICKS_COUNT,
                         "of %d who sign up with the same code, each under an own address, %" PRIu64 " are accepted",
                         CLICKS_COUNT, accepted_count);
            story_expect(conflicts_count == 0, "%" PRIu64 " conflicts", conflicts_count);
        }
    }
}

int main(int argc, char **argv) {
    daybook_client *client = story_begin(argc, argv);
    rules(client);
    races(client);
    crowds(client);
    return story_end();
}
