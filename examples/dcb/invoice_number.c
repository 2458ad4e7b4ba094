/* invoice_number: numbers that rise by one and leave no gap, given by many at the same time.
 *
 *   invoice_number SERVER
 *
 * Who creates an invoice reads the newest one alone (backward, one event, whatever the history's length) and appends the
 * next number on the condition that no invoice came in between. A number is taken by the append that records its invoice, so
 * that none is lost when a process dies between the two: there are no two.
 */
#include <inttypes.h>
#include <stdio.h>

#include "examples/dcb/story.h"

#define CLERKS_COUNT          8
#define INVOICES_OF_ONE_COUNT 25

static const char *create_invoice(struct decision *decision, const void *argument) {
    const char *customer = argument;
    decision_about(decision, LIST("InvoiceCreated"), ANY);
    decision_newest_only(decision);
    const struct fact *newest = decision_next(decision);
    const int64_t number = newest == NULL ? 1 : fact_number(newest, "number") + 1;
    decision_record(decision, decision_text(decision, "invoice-%" PRId64, number), "InvoiceCreated",
                    LIST(decision_text(decision, "invoice:%" PRId64, number)),
                    json_pack("{s:I, s:s}", "number", (json_int_t)number, "customer", customer));
    return NULL;
}

/* Reads all invoices. Returns how many there are, or -1 when their numbers are not 1, 2, 3, ... */
static int64_t invoices_audit(daybook_client *client) {
    struct decision *decision = decision_open(client);
    int64_t count = 0;
    decision_about(decision, LIST("InvoiceCreated"), ANY);
    for (const struct fact *fact; count >= 0 && (fact = decision_next(decision)) != NULL;) {
        count = fact_number(fact, "number") == count + 1 ? count + 1 : -1;
    }
    decision_close(decision);
    return count;
}

struct office {
    daybook_client *client;
    uint64_t conflicts[CLERKS_COUNT];
};

static void clerk_body(size_t number, void *context) {
    struct office *office = context;
    char customer[32];
    (void)snprintf(customer, sizeof customer, "customer %zu", number);
    for (int count = 0; count < INVOICES_OF_ONE_COUNT; count++) {
        if (decision_make(office->client, create_invoice, customer, &office->conflicts[number]) != NULL) return;
    }
}

int main(int argc, char **argv) {
    daybook_client *client = story_begin(argc, argv);
    struct office office = {.client = client};
    uint64_t conflicts_count = 0;

    story_say("One after the other");
    const int64_t before = invoices_audit(client);
    story_expect(before >= 0, "%" PRId64 " invoices are there, numbered without a gap", before);
    for (int count = 0; count < 3; count++) {
        story_expect_outcome(decision_make(client, create_invoice, "ada", NULL), NULL, "an invoice for ada");
    }
    story_expect(invoices_audit(client) == before + 3, "they have the next 3 numbers");

    story_say("Two create an invoice at once, both with the same number");
    story_race(client, create_invoice, "bob", create_invoice, "cyd");
    story_expect_outcome(decision_make(client, create_invoice, "cyd", NULL), NULL, "the second decides anew");
    story_expect(invoices_audit(client) == before + 5, "they have the next 2 numbers");

    story_say("%d clerks at once create %d invoices each", CLERKS_COUNT, INVOICES_OF_ONE_COUNT);
    story_together(CLERKS_COUNT, clerk_body, &office);
    for (size_t number = 0; number < CLERKS_COUNT; number++) conflicts_count += office.conflicts[number];
    story_expect(invoices_audit(client) == before + 5 + CLERKS_COUNT * INVOICES_OF_ONE_COUNT,
                 "%d further numbers, each once, none left out", CLERKS_COUNT * INVOICES_OF_ONE_COUNT);
    story_say("  (%" PRIu64 " times somebody else was first and the number was decided anew)", conflicts_count);
    return story_end();
}
