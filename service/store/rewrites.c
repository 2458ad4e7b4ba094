#include "service/store/rewrites.h"

#include <stdlib.h>

#include "service/base/limits.h"

#define CAPACITY_MIN 64

static result room_make(struct rewrites *rewrites, uint32_t count) {
    if (count > REWRITES_COUNT_MAX - rewrites->count) return failure_result(FAILURE_LIMIT);
    const uint32_t needed = rewrites->count + count;
    if (needed <= rewrites->capacity) return RESULT_OK;
    uint32_t capacity = rewrites->capacity == 0 ? CAPACITY_MIN : rewrites->capacity;
    while (capacity < needed) capacity *= 2;
    uint64_t *positions = reallocarray(rewrites->positions, capacity, sizeof *positions);
    if (positions == NULL) return failure_result(FAILURE_MEMORY);
    rewrites->positions = positions;
    rewrites->capacity = capacity;
    return RESULT_OK;
}

result rewrites_add(struct rewrites *rewrites, uint64_t position) {
    TRY(room_make(rewrites, 1));
    rewrites->positions[rewrites->count++] = position;
    return RESULT_OK;
}

result rewrites_move(struct rewrites *source, struct rewrites *target) {
    const uint32_t count = source->count;
    source->count = 0;
    TRY(room_make(target, count));
    for (uint32_t index = 0; index < count; index++) {
        target->positions[target->count + index] = source->positions[index];
    }
    target->count += count;
    return RESULT_OK;
}

void rewrites_clear(struct rewrites *rewrites) {
    rewrites->count = 0;
}

void rewrites_deinit(struct rewrites *rewrites) {
    free(rewrites->positions);
    *rewrites = (struct rewrites){0};
}
