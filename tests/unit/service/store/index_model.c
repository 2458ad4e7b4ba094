#include "tests/unit/service/store/index_model.h"

#include <assert.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/events.h"

#define STREAMS_COUNT     60
#define TYPES_COUNT       6
#define TAGS_COUNT        80
#define TAGS_EACH_MAX     4
#define ENTRIES_EACH_MAX  (3 + TAGS_EACH_MAX)
#define TERMS_COUNT       (STREAMS_COUNT + TYPES_COUNT + TAGS_COUNT)
#define NAME_BYTES        48
#define RECORD_BYTES_MAX  512
#define ABSENT_TERMS_EACH 16 /* one question of these is about a term that nobody has */

struct list {
    struct term term;
    uint32_t count;
    uint32_t capacity;
    struct index_entry *entries;
};

struct event {
    uint32_t count;
    struct index_entry entries[ENTRIES_EACH_MAX];
};

struct model {
    uint64_t seed;
    uint32_t events_count;
    struct event *events;
    struct list lists[TERMS_COUNT];
};

struct name {
    char text[NAME_BYTES];
};

static struct name name_numbered(enum term_kind kind, uint64_t number) {
    struct name name;
    (void)snprintf(name.text, sizeof name.text, "%d-%" PRIu64, (int)kind, number);
    return name;
}

static struct term term_named(enum term_kind kind, uint64_t number) {
    const struct name name = name_numbered(kind, number);
    return term_of(kind, bytes_of_text(name.text));
}

static void list_add(struct list *list, struct event *event, uint64_t number, uint64_t position) {
    if (list->count > 0 && list->entries[list->count - 1].position == position) return; /* the same tag twice */
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        list->entries = realloc(list->entries, list->capacity * sizeof *list->entries);
        assert(list->entries != NULL);
    }
    const struct index_entry entry = {.term = list->term, .number = number, .position = position};
    list->entries[list->count++] = entry;
    event->entries[event->count++] = entry;
}

struct term model_id(const struct model *model, uint64_t position) {
    const struct events_id id = events_id_of(model->seed ^ position);
    return term_of(TERM_EVENT_ID, bytes_of_text(id.text));
}

static void event_make(struct model *model, struct random *random, uint64_t position) {
    struct event *event = &model->events[position - 1];
    /* Half of the events are of the first few streams. */
    struct list *stream = &model->lists[random_below(random, random_below(random, 2) == 0 ? 4 : STREAMS_COUNT)];
    list_add(stream, event, stream->count + 1, position);
    struct list *types = &model->lists[STREAMS_COUNT];
    list_add(&types[random_below(random, 2) == 0 ? 0 : random_below(random, TYPES_COUNT)], event, position, position);
    struct list *tags = &model->lists[STREAMS_COUNT + TYPES_COUNT];
    const uint64_t tags_count = random_below(random, TAGS_EACH_MAX + 1);
    for (uint64_t tag = 0; tag < tags_count; tag++) {
        list_add(&tags[random_below(random, TAGS_COUNT)], event, position, position);
    }
    event->entries[event->count++] =
        (struct index_entry){.term = model_id(model, position), .number = INDEX_ID_NUMBER, .position = position};
}

static enum term_kind kind_of(uint32_t list) {
    if (list < STREAMS_COUNT) return TERM_STREAM;
    return list < STREAMS_COUNT + TYPES_COUNT ? TERM_TYPE : TERM_TAG;
}

struct model *model_new(uint64_t seed, uint32_t events_count) {
    struct model *model = calloc(1, sizeof *model);
    assert(model != NULL);
    model->seed = seed;
    model->events_count = events_count;
    model->events = calloc(events_count + 1, sizeof *model->events);
    assert(model->events != NULL);
    for (uint32_t number = 0; number < TERMS_COUNT; number++) {
        model->lists[number].term = term_named(kind_of(number), number);
    }
    struct random random = {.state = seed};
    for (uint64_t position = 1; position <= events_count; position++) event_make(model, &random, position);
    return model;
}

struct model *model_free(struct model *model) {
    if (model == NULL) return NULL;
    for (uint32_t number = 0; number < TERMS_COUNT; number++) free(model->lists[number].entries);
    free(model->events);
    free(model);
    return NULL;
}

uint32_t model_events_count(const struct model *model) {
    return model->events_count;
}

const struct index_entry *model_event(const struct model *model, uint64_t position, uint32_t *ret_count) {
    assert(position >= 1 && position <= model->events_count);
    *ret_count = model->events[position - 1].count;
    return model->events[position - 1].entries;
}

void model_add(const struct model *model, struct index *index, uint64_t position_first, uint64_t position_last) {
    for (uint64_t position = position_first; position <= position_last; position++) {
        uint32_t count;
        const struct index_entry *entries = model_event(model, position, &count);
        cr_assert_eq(index_add(index, position, entries, count).failure, FAILURE_NONE, "position %" PRIu64, position);
    }
}

/* The names of an event, found by its terms. */
struct names {
    struct name stream;
    struct name type;
    struct name tags[TAGS_EACH_MAX];
    const char *tag_texts[TAGS_EACH_MAX];
    uint32_t tags_count;
    uint64_t revision;
};

static void names_of(const struct model *model, const struct event *event, struct names *ret_names) {
    ret_names->tags_count = 0;
    for (uint32_t entry = 0; entry + 1 < event->count; entry++) { /* the last is the id */
        uint32_t list = 0;
        while (!term_equal(model->lists[list].term, event->entries[entry].term)) list++;
        const enum term_kind kind = kind_of(list);
        const struct name name = name_numbered(kind, list);
        if (kind == TERM_STREAM) {
            ret_names->stream = name;
            ret_names->revision = event->entries[entry].number;
        } else if (kind == TERM_TYPE) {
            ret_names->type = name;
        } else {
            ret_names->tags[ret_names->tags_count] = name;
            ret_names->tag_texts[ret_names->tags_count] = ret_names->tags[ret_names->tags_count].text;
            ret_names->tags_count++;
        }
    }
}

void model_log(const struct model *model, struct store *store, uint64_t position_first, uint64_t position_last) {
    cr_assert_eq(store_begin(store).failure, FAILURE_NONE);
    for (uint64_t position = position_first; position <= position_last; position++) {
        struct names names;
        names_of(model, &model->events[position - 1], &names);
        const struct events_id id = events_id_of(model->seed ^ position);
        const struct event_parts parts = {
            .id = id.text, .type = names.type.text, .tags = names.tag_texts, .tags_count = names.tags_count};
        uint8_t event[RECORD_BYTES_MAX];
        uint8_t encoded[RECORD_BYTES_MAX];
        const struct record record = {.position = position,
                                      .stream = bytes_of_text(names.stream.text),
                                      .revision = names.revision,
                                      .recorded_ns = (int64_t)position,
                                      .event = event_encode(&parts, event, sizeof event)};
        const struct bytes bytes = event_record_encode(&record, encoded, sizeof encoded);
        cr_assert_eq(store_append(store, position, bytes).failure, FAILURE_NONE);
    }
    cr_assert_eq(store_commit(store).failure, FAILURE_NONE);
}

static const struct list *list_of(const struct model *model, struct term term) {
    for (uint32_t number = 0; number < TERMS_COUNT; number++) {
        if (term_equal(model->lists[number].term, term)) return &model->lists[number];
    }
    return NULL;
}

struct model_query model_query_random(const struct model *model, struct random *random, uint64_t position) {
    struct model_query query = {
        .direction = random_below(random, 2) == 0 ? INDEX_FORWARD : INDEX_BACKWARD,
        .count_max = 1 + (uint32_t)random_below(random, random_below(random, 4) == 0 ? MODEL_COUNT_MAX : 20),
    };
    const uint64_t kind = random_below(random, ABSENT_TERMS_EACH);
    if (kind == 0) {
        query.term = term_named(TERM_STREAM, UINT32_MAX + random_below(random, 1000));
        return query;
    }
    if (kind == 1 && position > 0) {
        query.term = model_id(model, 1 + random_below(random, position));
        return query;
    }
    const struct list *list = &model->lists[random_below(random, TERMS_COUNT)];
    query.term = list->term;
    const uint64_t choice = random_below(random, 4);
    if (choice == 0) query.number = 0;
    if (choice == 1) query.number = UINT64_MAX;
    if (choice >= 2 && list->count > 0) {
        query.number = list->entries[random_below(random, list->count)].number + random_below(random, 3) - 1;
    }
    return query;
}

/* The place in the list of the first entry that comes after a position. */
static uint32_t count_up_to(const struct list *list, uint64_t position) {
    uint32_t low = 0;
    uint32_t high = list->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (list->entries[middle].position <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Whether the answer is right when the list has just its first `there` entries. */
static bool is_right(const struct list *list, uint32_t there, const struct model_query *query,
                     const struct index_entry *entries, uint32_t count) {
    uint32_t found = 0;
    if (query->direction == INDEX_FORWARD) {
        uint32_t first = 0;
        while (first < there && list->entries[first].number < query->number) first++;
        for (uint32_t index = first; index < there && found < query->count_max; index++, found++) {
            if (found >= count || memcmp(&list->entries[index], &entries[found], sizeof entries[0]) != 0) return false;
        }
    } else {
        uint32_t end = there;
        while (end > 0 && list->entries[end - 1].number > query->number) end--;
        for (uint32_t index = end; index > 0 && found < query->count_max; index--, found++) {
            if (found >= count || memcmp(&list->entries[index - 1], &entries[found], sizeof entries[0]) != 0) {
                return false;
            }
        }
    }
    return found == count;
}

void model_check(const struct model *model, const struct model_query *query, const struct index_entry *entries,
                 uint32_t count, uint64_t position_least, uint64_t position_most) {
    const struct list *list = list_of(model, query->term);
    if (list == NULL) {
        /* An id: at its position once that has been added; or nothing at all. */
        if (count == 0) {
            for (uint64_t position = 1; position <= position_least; position++) {
                const struct event *event = &model->events[position - 1];
                cr_assert(!term_equal(event->entries[event->count - 1].term, query->term));
            }
            return;
        }
        cr_assert_eq(count, 1);
        cr_assert(entries[0].position >= 1 && entries[0].position <= position_most);
        const struct event *event = &model->events[entries[0].position - 1];
        cr_assert(term_equal(event->entries[event->count - 1].term, query->term));
        return;
    }
    const uint32_t least = count_up_to(list, position_least);
    const uint32_t most = count_up_to(list, position_most);
    for (uint32_t there = least; there <= most; there++) {
        if (is_right(list, there, query, entries, count)) return;
    }
    cr_assert(false,
              "wrong answer: number %" PRIu64 ", direction %d, at most %" PRIu32 ", got %" PRIu32 " at %" PRIu64
              " to %" PRIu64,
              query->number, (int)query->direction, query->count_max, count, position_least, position_most);
}

void model_ask(const struct model *model, struct index *index, struct random *random, uint64_t position) {
    struct index_entry entries[MODEL_COUNT_MAX];
    uint32_t count = 0;
    struct model_query query = model_query_random(model, random, position);
    if (random_below(random, 4) == 0) {
        query.number = UINT64_MAX;
        query.direction = INDEX_BACKWARD;
        query.count_max = 1;
        const result outcome = index_last(index, query.term, &entries[0]);
        cr_assert(outcome.failure == FAILURE_NONE || outcome.failure == FAILURE_NOT_FOUND);
        count = failed(outcome) ? 0 : 1;
    } else {
        const result outcome =
            index_range(index, query.term, query.number, query.direction, query.count_max, entries, &count);
        cr_assert_eq(outcome.failure, FAILURE_NONE);
    }
    model_check(model, &query, entries, count, position, position);
}
