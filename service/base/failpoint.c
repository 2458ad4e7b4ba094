#include "service/base/failpoint.h"

#ifdef DAYBOOK_FAILPOINTS

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES_COUNT_MAX 16
#define TEXT_BYTES_MAX  1024
#define EXIT_USAGE      64

enum action { ACTION_KILL, ACTION_PAUSE, ACTION_SHIFT, ACTION_LIMIT, ACTION_BREAK };

struct rule {
    enum failpoint failpoint;
    enum action action;
    int64_t value;       /* milliseconds, or a limit */
    uint64_t first_time; /* counts from 1 */
};

static const char *const names[FAILPOINTS_COUNT] = {
    [FAILPOINT_LOG_FILLED] = "log_filled",
    [FAILPOINT_LOG_RENAMED] = "log_renamed",
    [FAILPOINT_LOG_CREATED] = "log_created",
    [FAILPOINT_FORMAT_WRITTEN] = "format_written",
    [FAILPOINT_FORMAT_RENAMED] = "format_renamed",
    [FAILPOINT_FORMAT_SYNCED] = "format_synced",
    [FAILPOINT_GROUP_TAKEN] = "group_taken",
    [FAILPOINT_TRANSACTION_BEGUN] = "transaction_begun",
    [FAILPOINT_PUT_BEFORE] = "put_before",
    [FAILPOINT_PUT_AFTER] = "put_after",
    [FAILPOINT_GROUP_APPLIED] = "group_applied",
    [FAILPOINT_FILE_GROWN] = "file_grown",
    [FAILPOINT_COMMIT_BEFORE] = "commit_before",
    [FAILPOINT_COMMIT_AFTER] = "commit_after",
    [FAILPOINT_INDEX_ADDED] = "index_added",
    [FAILPOINT_TAIL_PUBLISHED] = "tail_published",
    [FAILPOINT_HEAD_ADVANCED] = "head_advanced",
    [FAILPOINT_READERS_WOKEN] = "readers_woken",
    [FAILPOINT_ANSWER_BEFORE] = "answer_before",
    [FAILPOINT_ANSWER_AFTER] = "answer_after",
    [FAILPOINT_GROUP_ANSWERED] = "group_answered",
    [FAILPOINT_RUN_BEFORE] = "run_before",
    [FAILPOINT_RUN_COMMITTED] = "run_committed",
    [FAILPOINT_RUN_PUBLISHED] = "run_published",
    [FAILPOINT_COPY_STEPPED] = "copy_stepped",
    [FAILPOINT_SWITCH_BEFORE] = "switch_before",
    [FAILPOINT_SWITCH_EXCHANGED] = "switch_exchanged",
    [FAILPOINT_SWITCH_SYNCED] = "switch_synced",
    [FAILPOINT_SWITCH_PUBLISHED] = "switch_published",
    [FAILPOINT_LEFTOVERS_REMOVED] = "leftovers_removed",
    [FAILPOINT_WALL_CLOCK] = "wall_clock",
    [FAILPOINT_INDEX_RUN_EVENTS] = "index_run_events",
    [FAILPOINT_BREAK_ACK_EARLY] = "break_ack_early",
    [FAILPOINT_BREAK_TAIL_PUBLISH] = "break_tail_publish",
    [FAILPOINT_BREAK_CHECKSUM] = "break_checksum",
    [FAILPOINT_BREAK_META_SYNC] = "break_meta_sync",
    [FAILPOINT_BREAK_VISIBILITY] = "break_visibility",
    [FAILPOINT_BREAK_ERASURE] = "break_erasure",
};

/* Read before main, never changed afterwards. */
static struct rule rules[RULES_COUNT_MAX];
static uint32_t rules_count;

static atomic_uint_fast64_t times[FAILPOINTS_COUNT];

static _Noreturn void usage(const char *text) {
    (void)fprintf(stderr, "DAYBOOK_FAILPOINTS: \"%s\" is not understood\n", text);
    _exit(EXIT_USAGE);
}

static _Noreturn void list(void) {
    for (uint32_t index = 0; index < FAILPOINTS_COUNT; index++) (void)puts(names[index]);
    (void)fflush(stdout);
    _exit(0);
}

static enum failpoint failpoint_of(const char *name) {
    for (uint32_t index = 0; index < FAILPOINTS_COUNT; index++) {
        if (strcmp(names[index], name) == 0) return (enum failpoint)index;
    }
    usage(name);
}

/* ":123" at `*text`, behind which it stands afterwards; the fallback if there is none. */
static int64_t number_take(char **text, int64_t fallback) {
    if (**text != ':') return fallback;
    char *end;
    const long long number = strtoll(*text + 1, &end, 10);
    if (end == *text + 1) usage(*text);
    *text = end;
    return number;
}

static bool word_take(char **text, const char *word) {
    if (strncmp(*text, word, strlen(word)) != 0) return false;
    *text += strlen(word);
    return true;
}

static struct rule rule_of(char *text) {
    char *at = strchr(text, '=');
    if (at == NULL) usage(text);
    *at++ = '\0';
    struct rule rule = {.failpoint = failpoint_of(text)};
    if (word_take(&at, "kill")) {
        rule.action = ACTION_KILL;
    } else if (word_take(&at, "pause")) {
        rule.action = ACTION_PAUSE;
        rule.value = number_take(&at, 0);
    } else if (word_take(&at, "shift")) {
        rule.action = ACTION_SHIFT;
        rule.value = number_take(&at, 0);
    } else if (word_take(&at, "limit")) {
        rule.action = ACTION_LIMIT;
        rule.value = number_take(&at, 0);
        if (rule.value <= 0 || rule.value > UINT32_MAX) usage(text);
    } else if (word_take(&at, "on")) {
        rule.action = ACTION_BREAK;
    } else {
        usage(at);
    }
    rule.first_time = (uint64_t)number_take(&at, 1);
    if (*at != '\0') usage(at);
    return rule;
}

__attribute__((constructor)) static void rules_read(void) {
    const char *variable = getenv("DAYBOOK_FAILPOINTS");
    if (variable == NULL || variable[0] == '\0') return;
    if (strcmp(variable, "list") == 0) list();
    /* Without memory: tests let allocations fail, and this one is none of the daemon's. */
    char copy[TEXT_BYTES_MAX];
    if (snprintf(copy, sizeof copy, "%s", variable) >= (int)sizeof copy) usage(variable);
    char *rest = copy;
    for (char *text = strsep(&rest, ","); text != NULL; text = strsep(&rest, ",")) {
        if (rules_count == RULES_COUNT_MAX) usage(text);
        rules[rules_count++] = rule_of(text);
    }
}

static void kill_now(enum failpoint failpoint) {
    char line[96];
    const int size = snprintf(line, sizeof line, "failpoint %s: killed\n", names[failpoint]);
    if (size > 0) (void)!write(STDERR_FILENO, line, (size_t)size);
    (void)kill(getpid(), SIGKILL);
    for (;;) (void)poll(NULL, 0, -1);
}

void failpoint_reach(enum failpoint failpoint) {
    if (rules_count == 0) return;
    const uint64_t time = atomic_fetch_add(&times[failpoint], 1) + 1;
    for (uint32_t index = 0; index < rules_count; index++) {
        const struct rule *rule = &rules[index];
        if (rule->failpoint != failpoint) continue;
        if (rule->action == ACTION_KILL && time == rule->first_time) kill_now(failpoint);
        if (rule->action == ACTION_PAUSE && time >= rule->first_time) (void)poll(NULL, 0, (int)rule->value);
    }
}

int64_t failpoint_shift_ms(enum failpoint failpoint) {
    if (rules_count == 0) return 0;
    const uint64_t time = atomic_fetch_add(&times[failpoint], 1) + 1;
    int64_t shift_ms = 0;
    for (uint32_t index = 0; index < rules_count; index++) {
        const struct rule *rule = &rules[index];
        if (rule->failpoint == failpoint && rule->action == ACTION_SHIFT && time >= rule->first_time) {
            shift_ms += rule->value;
        }
    }
    return shift_ms;
}

uint32_t failpoint_limit(enum failpoint failpoint, uint32_t limit) {
    for (uint32_t index = 0; index < rules_count; index++) {
        const struct rule *rule = &rules[index];
        if (rule->failpoint == failpoint && rule->action == ACTION_LIMIT) return (uint32_t)rule->value;
    }
    return limit;
}

bool failpoint_is_on(enum failpoint failpoint) {
    for (uint32_t index = 0; index < rules_count; index++) {
        if (rules[index].failpoint == failpoint && rules[index].action == ACTION_BREAK) return true;
    }
    return false;
}

#endif
