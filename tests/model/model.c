#include "tests/model/model.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "service/record/record.h"

const char *const model_streams[MODEL_STREAMS_COUNT] = {"order-1", "order-2", "order-22", "order", "cart-1", "c"};
const char *const model_types[MODEL_TYPES_COUNT] = {"OrderPlaced", "OrderPaid", "Order"};
const char *const model_tags[MODEL_TAGS_COUNT] = {"customer:1", "customer:2", "product:1", "urgent"};

struct model *model_new(void) {
    struct model *model = calloc(1, sizeof *model);
    cr_assert_not_null(model);
    return model;
}

struct model *model_free(struct model *model) {
    for (uint64_t index = 0; index < model->head; index++) {
        free(model->events[index].encoded);
        free(model->events[index].record);
    }
    free(model);
    return NULL;
}

static uint8_t *copy_of(struct bytes bytes) {
    uint8_t *copy = malloc(bytes.size + 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes.data, bytes.size);
    return copy;
}

void model_append(struct model *model, uint32_t stream, uint32_t type, uint32_t tags, struct bytes encoded) {
    cr_assert_lt(model->head, MODEL_EVENTS_COUNT_MAX);
    model->events[model->head++] = (struct model_event){.stream = stream,
                                                        .type = type,
                                                        .tags = tags,
                                                        .revision = ++model->revisions[stream],
                                                        .encoded = copy_of(encoded),
                                                        .encoded_size = encoded.size};
}

void model_append_end(struct model *model) {
    model->events[model->head - 1].ends_append = true;
}

bool model_matches(const struct model_event *event, const struct model_filter *filter) {
    if (filter->streams != 0 && (filter->streams & 1u << event->stream) == 0) return false;
    if (filter->types != 0 && (filter->types & 1u << event->type) == 0) return false;
    if ((event->tags & filter->tags) != filter->tags) return false;
    if (filter->prefix == NULL) return true;
    return strncmp(model_streams[event->stream], filter->prefix, strlen(filter->prefix)) == 0;
}

uint64_t model_next(const struct model *model, uint64_t after, const struct model_filter *filter) {
    for (uint64_t position = after + 1; position <= model->head; position++) {
        if (model_matches(&model->events[position - 1], filter)) return position;
    }
    return 0;
}

uint64_t model_check_record(struct model *model, struct bytes encoded) {
    struct record record;
    cr_assert_not(failed(record_read(encoded, &record)));
    cr_assert_geq(record.position, 1);
    cr_assert_leq(record.position, model->head);
    struct model_event *event = &model->events[record.position - 1];
    cr_assert(bytes_equal(record.stream, bytes_of_text(model_streams[event->stream])));
    cr_assert_eq(record.revision, event->revision);
    cr_assert(bytes_equal(record.event, bytes_of(event->encoded, event->encoded_size)));
    if (event->record == NULL) {
        event->record = copy_of(encoded);
        event->record_size = encoded.size;
    }
    cr_assert(bytes_equal(encoded, bytes_of(event->record, event->record_size)),
              "position %lu was sent with other bytes before", (unsigned long)record.position);
    return record.position;
}
