/* dynamic_product_price: an order is taken at the prices that the customer saw, as long as they are valid.
 *
 *   dynamic_product_price SERVER
 *
 * Prices change at any time; the one before stays valid for ten minutes. An order of several products stands on the prices
 * of just these: a boundary that is different for each order and that no aggregate could be cut to. Orders do not stand on
 * orders, so customers never wait for each other.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "examples/dcb/story.h"

#define GRACE_S          INT64_C(600)
#define ID_BYTES         32
#define ITEMS_COUNT_MAX  8
#define PRICES_COUNT_MAX 32
#define CUSTOMERS_COUNT  16

struct price_command {
    char product[ID_BYTES];
    int64_t price; /* in cents */
    int64_t now_s;
};

struct order {
    char id[ID_BYTES];
    int64_t now_s;
    size_t items_count;
    struct {
        char product[ID_BYTES];
        int64_t price; /* as it was shown */
    } items[ITEMS_COUNT_MAX];
};

/* The prices of a product that are valid at a moment. */
struct model {
    bool exists;
    size_t prices_count;
    int64_t prices[PRICES_COUNT_MAX];
};

static void model_about(struct decision *decision, const char *product) {
    decision_about(decision, LIST("ProductDefined", "ProductPriceChanged"),
                   LIST(story_tag(decision, "product", product)));
}

/* A price that has been there for longer than the grace period is the only one; a younger one joins those before it. Of a price
 * that changes faster than 32 times in the period the oldest are forgotten: an order at them is refused. */
static void model_fold(struct model *model, const struct fact *fact, int64_t now_s) {
    if (now_s - fact->occurred_at_s > GRACE_S) model->prices_count = 0;
    if (model->prices_count == PRICES_COUNT_MAX) {
        memmove(model->prices, model->prices + 1, sizeof model->prices - sizeof model->prices[0]);
        model->prices_count--;
    }
    model->prices[model->prices_count++] = fact_number(fact, "price");
    model->exists = true;
}

static bool model_accepts(const struct model *model, int64_t price) {
    for (size_t index = 0; index < model->prices_count; index++) {
        if (model->prices[index] == price) return true;
    }
    return false;
}

static const char *set_price(struct decision *decision, const struct price_command *command, bool is_new) {
    struct model model = {.exists = false};
    model_about(decision, command->product);
    for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) {
        model_fold(&model, fact, command->now_s);
    }
    if (model.exists == is_new) return is_new ? "the product exists already" : "there is no such product";
    decision_set_time(decision, command->now_s);
    decision_record(decision, decision_text(decision, "product-%s", command->product),
                    is_new ? "ProductDefined" : "ProductPriceChanged",
                    LIST(story_tag(decision, "product", command->product)),
                    json_pack("{s:s, s:I}", "product", command->product, "price", (json_int_t)command->price));
    return NULL;
}

static const char *define_product(struct decision *decision, const void *argument) {
    return set_price(decision, argument, true);
}

static const char *change_price(struct decision *decision, const void *argument) {
    return set_price(decision, argument, false);
}

static bool has_duplicate(const struct order *order) {
    for (size_t item = 1; item < order->items_count; item++) {
        for (size_t other = 0; other < item; other++) {
            if (strcmp(order->items[item].product, order->items[other].product) == 0) return true;
        }
    }
    return false;
}

static const char *place_order(struct decision *decision, const void *argument) {
    const struct order *order = argument;
    struct model models[ITEMS_COUNT_MAX] = {{.exists = false}};
    const char *tags[ITEMS_COUNT_MAX + 1] = {NULL};
    if (has_duplicate(order)) return "a product stands in the order twice";
    json_t *items = json_array();
    for (size_t item = 0; item < order->items_count; item++) {
        model_about(decision, order->items[item].product);
        tags[item] = story_tag(decision, "product", order->items[item].product);
        json_array_append_new(items, json_pack("{s:s, s:I}", "product", order->items[item].product, "price",
                                               (json_int_t)order->items[item].price));
    }
    for (const struct fact *fact; (fact = decision_next(decision)) != NULL;) {
        for (size_t item = 0; item < order->items_count; item++) {
            const bool same = strcmp(fact_text(fact, "product"), order->items[item].product) == 0;
            if (same) model_fold(&models[item], fact, order->now_s);
        }
    }
    for (size_t item = 0; item < order->items_count; item++) {
        if (model_accepts(&models[item], order->items[item].price)) continue;
        json_decref(items);
        return "a price is not valid";
    }
    decision_set_time(decision, order->now_s);
    decision_record(decision, decision_text(decision, "order-%s", order->id), "ProductsOrdered", tags,
                    json_pack("{s:s, s:o}", "order", order->id, "items", items));
    return NULL;
}

/* --- The story. ------------------------------------------------------------------------------------------------------- */

/* 1 March 2026, 12:00 UTC, and minutes after it: the events are dated by the story, which cannot wait. */
#define MINUTE(number) (INT64_C(1772366400) + (number)*INT64_C(60))

static void expect_order(daybook_client *client, int64_t now_s, int64_t lamp_price, int64_t desk_price,
                         const char *expected, const char *what) {
    const struct order order = {.id = "1",
                                .now_s = now_s,
                                .items_count = desk_price == 0 ? 1 : 2,
                                .items = {{"lamp", lamp_price}, {"desk", desk_price}}};
    story_expect_outcome(decision_make(client, place_order, &order, NULL), expected, what);
}

static void expect_lamp_twice(daybook_client *client) {
    const struct order order = {.now_s = MINUTE(1), .items_count = 2, .items = {{"lamp", 2000}, {"lamp", 2000}}};
    story_expect_outcome(decision_make(client, place_order, &order, NULL), "a product stands in the order twice",
                         "12:01 order: lamp and lamp");
}

static void rules(daybook_client *client) {
    const struct price_command lamp = {"lamp", 2000, MINUTE(0)};
    const struct price_command lamp_changed = {"lamp", 2500, MINUTE(30)};
    const struct price_command desk = {"desk", 9000, MINUTE(0)};
    story_say("The rules, one command after the other");
    story_expect_outcome(decision_make(client, define_product, &lamp, NULL), NULL, "12:00 a lamp costs 20.00");
    story_expect_outcome(decision_make(client, define_product, &desk, NULL), NULL, "12:00 a desk costs 90.00");
    expect_order(client, MINUTE(1), 2000, 0, NULL, "12:01 order: lamp at 20.00");
    expect_order(client, MINUTE(1), 1000, 0, "a price is not valid", "12:01 order: lamp at 10.00");
    expect_lamp_twice(client);
    story_expect_outcome(decision_make(client, change_price, &lamp_changed, NULL), NULL, "12:30 a lamp costs 25.00");
    expect_order(client, MINUTE(31), 2500, 0, NULL, "12:31 order: lamp at 25.00");
    expect_order(client, MINUTE(40), 2000, 0, NULL, "12:40 order: lamp at 20.00");
    expect_order(client, MINUTE(40) + 1, 2000, 0, "a price is not valid", "a second later");
    expect_order(client, MINUTE(41), 2500, 9000, NULL, "12:41 order: lamp at 25.00 and desk at 90.00");
    expect_order(client, MINUTE(41), 2000, 9000, "a price is not valid",
                 "12:41 order: lamp at 20.00 and desk at 90.00");
    expect_order(client, MINUTE(41), 2500, 8000, "a price is not valid",
                 "12:41 order: lamp at 25.00 and desk at 80.00");
}

static void races(daybook_client *client) {
    const struct price_command desk = {"desk", 9900, MINUTE(60)};
    const struct price_command desk_again = {"desk", 9500, MINUTE(80)};
    const struct price_command sofa = {"sofa", 50000, MINUTE(60)};
    struct order order = {.id = "2", .now_s = MINUTE(60), .items_count = 2, .items = {{"lamp", 2500}, {"desk", 9000}}};
    story_say("A price changes while it is ordered");
    story_race(client, change_price, &desk, place_order, &order);
    story_expect_outcome(decision_make(client, place_order, &order, NULL), NULL,
                         "the order is decided anew, within ten minutes");
    order.now_s = MINUTE(80);
    order.items[1].price = 9900;
    story_race(client, change_price, &desk_again, place_order, &order);
    order.now_s = MINUTE(91);
    story_expect_outcome(decision_make(client, place_order, &order, NULL), "a price is not valid",
                         "the order is decided anew, too late");

    story_say("Another price changes while it is ordered");
    struct decision *decision = decision_open(client);
    order.items[1].price = 9500;
    story_expect(place_order(decision, &order) == NULL, "the order of a lamp and a desk is accepted");
    story_expect_outcome(decision_make(client, define_product, &sofa, NULL), NULL, "13:00 a sofa costs 500.00");
    story_expect(decision_commit(decision), "the order's append is taken: it does not stand on sofas");
    decision_close(decision);
}

struct shop {
    daybook_client *client;
    const char *refusals[CUSTOMERS_COUNT];
    uint64_t conflicts[CUSTOMERS_COUNT];
};

static void customer_body(size_t number, void *context) {
    struct shop *shop = context;
    struct order order = {.now_s = MINUTE(120), .items_count = 2, .items = {{"lamp", 2500}, {"desk", 9500}}};
    for (int count = 0; count < 5 && shop->refusals[number] == NULL; count++) {
        (void)snprintf(order.id, sizeof order.id, "%zu-%d", number, count);
        shop->refusals[number] = decision_make(shop->client, place_order, &order, &shop->conflicts[number]);
    }
}

int main(int argc, char **argv) {
    daybook_client *client = story_begin(argc, argv);
    struct shop shop = {.client = client};
    uint64_t accepted_count = 0;
    uint64_t conflicts_count = 0;
    rules(client);
    races(client);
    story_say("%d customers at once order the same lamps and desks, five times", CUSTOMERS_COUNT);
    story_together(CUSTOMERS_COUNT, customer_body, &shop);
    for (size_t number = 0; number < CUSTOMERS_COUNT; number++) {
        accepted_count += shop.refusals[number] == NULL;
        conflicts_count += shop.conflicts[number];
    }
    story_expect(accepted_count == CUSTOMERS_COUNT, "all orders are accepted");
    story_expect(conflicts_count == 0, "%" PRIu64 " conflicts: orders do not stand on orders", conflicts_count);
    return story_end();
}
