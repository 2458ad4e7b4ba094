#include "service/store/index_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct index_view *index_view_new(void) {
    struct index_view *view = calloc(1, sizeof *view);
    if (view != NULL) atomic_init(&view->references, 1);
    return view;
}

struct index_view *index_view_ref(struct index_view *view) {
    atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    return view;
}

static void run_release(struct index_run *run) {
    const unsigned views_count = atomic_fetch_sub_explicit(&run->views_count, 1, memory_order_acq_rel);
    assert(views_count > 0);
}

bool index_view_unref(struct index_view *view) {
    if (view == NULL) return false;
    const unsigned references = atomic_fetch_sub_explicit(&view->references, 1, memory_order_acq_rel);
    assert(references > 0);
    if (references > 1) return false;
    for (uint32_t index = 0; index < view->runs_count; index++) run_release(view->runs[index]);
    for (uint32_t index = 0; index < view->segments_count; index++) index_segment_unref(view->segments[index]);
    free(view);
    return true;
}

void index_view_copy(struct index_view *view, const struct index_view *other) {
    assert(view->runs_count == 0 && view->segments_count == 0);
    for (uint32_t index = 0; index < other->runs_count; index++) index_view_add_run(view, other->runs[index]);
    for (uint32_t index = 0; index < other->segments_count; index++) {
        index_view_add_segment(view, other->segments[index]);
    }
}

void index_view_add_run(struct index_view *view, struct index_run *run) {
    assert(view->runs_count < INDEX_TABLES_COUNT);
    assert(view->runs_count == 0 || view->runs[view->runs_count - 1]->position_last + 1 == run->position_first);
    atomic_fetch_add_explicit(&run->views_count, 1, memory_order_relaxed);
    view->runs[view->runs_count++] = run;
}

void index_view_add_segment(struct index_view *view, struct index_segment *segment) {
    assert(view->segments_count < INDEX_SEGMENTS_COUNT_MAX);
    view->segments[view->segments_count++] = index_segment_ref(segment);
}

void index_view_flush(struct index_view *view, struct index_run *run) {
    assert(view->segments_count > 0);
    assert(index_segment_position_first(view->segments[0]) == run->position_first);
    index_segment_unref(view->segments[0]);
    view->segments_count--;
    memmove(&view->segments[0], &view->segments[1], view->segments_count * sizeof view->segments[0]);
    index_view_add_run(view, run);
}

void index_view_merge(struct index_view *view, struct index_run *const *sources, uint32_t sources_count,
                      struct index_run *run) {
    assert(sources_count > 0 && sources_count <= view->runs_count);
    uint32_t first = 0;
    while (view->runs[first] != sources[0]) {
        first++;
        assert(first + sources_count <= view->runs_count);
    }
    for (uint32_t index = 0; index < sources_count; index++) {
        assert(view->runs[first + index] == sources[index]);
        run_release(sources[index]);
    }
    atomic_fetch_add_explicit(&run->views_count, 1, memory_order_relaxed);
    view->runs[first] = run;
    view->runs_count -= sources_count - 1;
    memmove(&view->runs[first + 1], &view->runs[first + sources_count],
            (view->runs_count - first - 1) * sizeof view->runs[0]);
}
