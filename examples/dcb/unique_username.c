/* unique_username: a name is held by one account at most, in the whole system.
 *
 *   unique_username SERVER
 *
 * Whatever happens to a name carries its tag, in its normal form ("Ada" and "ada" are the same): registration, renaming (which
 * carries two of them), closing. A name that is given up is free again after three days. There is no table of names beside
 * the events, hence nothing that could differ from them.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "examples/dcb/story.h"

#define DAY_S           INT64_C(86400)
#define RETENTION_S     (3 * DAY_S)
#define NAME_BYTES      32
#define CLAIMANTS_COUNT 16

struct account_command {
    char account[NAME_BYTES];
    char username[NAME_BYTES];
    char new_username[NAME_BYTES]; /* of a renaming */
    int64_t now_s;
};

/* What became of one name. */
struct model {
    char username[NAME_BYTES]; /* in its normal form */
    char holder[NAME_BYTES];   /* the account that has it; empty: none has */
    bool was_held;
    int64_t released_at_s;
};

/* ASCII alone, to keep the example short; names of people need Unicode's case folding (UTS #39). */
static void username_normalise(const char *username, char ret_normal[NAME_BYTES]) {
    (void)snprintf(ret_normal, NAME_BYTES, "%s", username);
    for (char *at = ret_normal; *at != '\0'; at++) *at = (char)tolower((unsigned char)*at);
}

static void model_about(struct decision *decision, struct model *model, const char *username) {
    *model = (struct model){.was_held = false};
    username_normalise(username, model->username);
    decision_about(decision, LIST("AccountRegistered", "UsernameChanged", "AccountClosed"),
                   LIST(story_tag(decision, "username", model->username)));
}

static void model_fold(struct model *model, const struct fact *fact) {
    const bool changed = fact_is(fact, "UsernameChanged");
    const bool closed = fact_is(fact, "AccountClosed");
    char taken[NAME_BYTES] = "";
    char given_up[NAME_BYTES] = "";
    if (!closed) username_normalise(fact_text(fact, changed ? "new_username" : "username"), taken);
    if (closed || changed) username_normalise(fact_text(fact, "username"), given_up);
    if (strcmp(given_up, model->username) == 0) {
        model->holder[0] = '\0';
        model->released_at_s = fact->occurred_at_s;
    }
    if (strcmp(taken, model->username) == 0) {
        (void)snprintf(model->holder, NAME_BYTES, "%s", fact_text(fact, "account"));
        model->was_held = true;
    }
}

/* NULL when the account may take the name. */
static const char *model_refuses(const struct model *model, int64_t now_s) {
    if (model->holder[0] != '\0') return "the name is taken";
    if (model->was_held && now_s - model->released_at_s <= RETENTION_S) return "the name was given up only lately";
    return NULL;
}

static const char *account_stream(struct decision *decision, const struct account_command *command) {
    return decision_text(decision, "account-%s", command->account);
}

static const char *register_account(struct decision *decision, const void *argument) {
    const struct account_command *command = argument;
    struct model name;
    model_about(decision, &name, command->username);
    for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) model_fold(&name, fact);
    const char *refusal = model_refuses(&name, command->now_s);
    if (refusal != NULL) return refusal;
    decision_set_time(decision, command->now_s);
    decision_record(decision, account_stream(decision, command), "AccountRegistered",
                    LIST(story_tag(decision, "username", name.username)),
                    json_pack("{s:s, s:s}", "account", command->account, "username", command->username));
    return NULL;
}

static const char *close_account(struct decision *decision, const void *argument) {
    const struct account_command *command = argument;
    struct model name;
    model_about(decision, &name, command->username);
    for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) model_fold(&name, fact);
    if (strcmp(name.holder, command->account) != 0) return "the account does not have this name";
    decision_set_time(decision, command->now_s);
    decision_record(decision, account_stream(decision, command), "AccountClosed",
                    LIST(story_tag(decision, "username", name.username)),
                    json_pack("{s:s, s:s}", "account", command->account, "username", command->username));
    return NULL;
}

/* Stands on two names: the old one must be the account's, the new one free. */
static const char *change_username(struct decision *decision, const void *argument) {
    const struct account_command *command = argument;
    struct model old_name;
    struct model new_name;
    model_about(decision, &old_name, command->username);
    model_about(decision, &new_name, command->new_username);
    if (strcmp(old_name.username, new_name.username) == 0) return "the names are the same";
    for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) {
        model_fold(&old_name, fact);
        model_fold(&new_name, fact);
    }
    if (strcmp(old_name.holder, command->account) != 0) return "the account does not have this name";
    const char *refusal = model_refuses(&new_name, command->now_s);
    if (refusal != NULL) return refusal;
    decision_set_time(decision, command->now_s);
    decision_record(
        decision, account_stream(decision, command), "UsernameChanged",
        LIST(story_tag(decision, "username", old_name.username), story_tag(decision, "username", new_name.username)),
        json_pack("{s:s, s:s, s:s}", "account", command->account, "username", command->username, "new_username",
                  command->new_username));
    return NULL;
}

/* --- The story. ------------------------------------------------------------------------------------------------------- */

/* Midnight of 1 March 2026, UTC: the events are dated by the story, which cannot wait for days. */
#define DAY(number) (INT64_C(1772323200) + (number)*INT64_C(86400))

static void rules(daybook_client *client) {
    const struct account_command ada = {.account = "1", .username = "Ada", .now_s = DAY(0)};
    const struct account_command other_ada = {.account = "2", .username = "ADA", .now_s = DAY(0)};
    const struct account_command rename = {
        .account = "1", .username = "ada", .new_username = "lovelace", .now_s = DAY(1)};
    const struct account_command close = {.account = "1", .username = "lovelace", .now_s = DAY(10)};
    struct account_command late = {.account = "3", .username = "ada", .now_s = DAY(4)};
    struct account_command after_closing = {.account = "4", .username = "lovelace", .now_s = DAY(9)};
    story_say("The rules, one command after the other");
    story_expect_outcome(decision_make(client, register_account, &ada, NULL), NULL, "day 0: 1 registers as Ada");
    story_expect_outcome(decision_make(client, register_account, &other_ada, NULL), "the name is taken",
                         "day 0: 2 registers as ADA");
    story_expect_outcome(decision_make(client, change_username, &rename, NULL), NULL, "day 1: Ada becomes lovelace");
    story_expect_outcome(decision_make(client, change_username, &rename, NULL), "the account does not have this name",
                         "day 1: once more");
    story_expect_outcome(decision_make(client, register_account, &late, NULL), "the name was given up only lately",
                         "day 4: 3 registers as ada");
    late.now_s = DAY(4) + 1;
    story_expect_outcome(decision_make(client, register_account, &late, NULL), NULL, "a second later");
    story_expect_outcome(decision_make(client, register_account, &after_closing, NULL), "the name is taken",
                         "day 9: 4 registers as lovelace");
    story_expect_outcome(decision_make(client, close_account, &close, NULL), NULL, "day 10: lovelace closes");
    after_closing.now_s = DAY(13);
    story_expect_outcome(decision_make(client, register_account, &after_closing, NULL),
                         "the name was given up only lately", "day 13: 4 registers as lovelace");
    after_closing.now_s = DAY(14);
    story_expect_outcome(decision_make(client, register_account, &after_closing, NULL), NULL,
                         "day 14: 4 registers as lovelace");
}

static void races(daybook_client *client) {
    const struct account_command eve = {.account = "5", .username = "grace", .now_s = DAY(20)};
    const struct account_command mal = {.account = "6", .username = "Grace", .now_s = DAY(20)};
    const struct account_command rename = {
        .account = "5", .username = "grace", .new_username = "hopper", .now_s = DAY(21)};
    const struct account_command newcomer = {.account = "7", .username = "hopper", .now_s = DAY(21)};
    story_say("Two register the same name");
    story_race(client, register_account, &eve, register_account, &mal);
    story_expect_outcome(decision_make(client, register_account, &mal, NULL), "the name is taken",
                         "the second decides anew");
    story_say("One is renamed to what another registers as");
    story_race(client, change_username, &rename, register_account, &newcomer);
    story_expect_outcome(decision_make(client, register_account, &newcomer, NULL), "the name is taken",
                         "the second decides anew");
}

struct crowd {
    daybook_client *client;
    bool same_name;
    const char *refusals[CLAIMANTS_COUNT];
    uint64_t conflicts[CLAIMANTS_COUNT];
};

static void claim_body(size_t number, void *context) {
    struct crowd *crowd = context;
    struct account_command command = {.username = "neo", .now_s = DAY(30)};
    (void)snprintf(command.account, NAME_BYTES, "c%zu", number);
    if (!crowd->same_name) (void)snprintf(command.username, NAME_BYTES, "neo%zu", number);
    crowd->refusals[number] = decision_make(crowd->client, register_account, &command, &crowd->conflicts[number]);
}

static void crowds(daybook_client *client) {
    for (int same_name = 1; same_name >= 0; same_name--) {
        struct crowd crowd = {.client = client, .same_name = same_name != 0};
        uint64_t accepted_count = 0;
        uint64_t conflicts_count = 0;
        story_say("%d register at once, %s", CLAIMANTS_COUNT,
                  same_name ? "all as neo" : "each under a name of its own");
        story_together(CLAIMANTS_COUNT, claim_body, &crowd);
        for (size_t number = 0; number < CLAIMANTS_COUNT; number++) {
            accepted_count += crowd.refusals[number] == NULL;
            conflicts_count += crowd.conflicts[number];
        }
        story_expect(accepted_count == (same_name ? 1 : CLAIMANTS_COUNT), "%" PRIu64 " accepted", accepted_count);
        if (!same_name) story_expect(conflicts_count == 0, "%" PRIu64 " conflicts", conflicts_count);
    }
}

int main(int argc, char **argv) {
    daybook_client *client = story_begin(argc, argv);
    rules(client);
    races(client);
    crowds(client);
    return story_end();
}
