#include "service/store/index_names.h"

#include <assert.h>

#include "service/store/index_state.h"

static struct index_part *hold(struct index *index) {
    struct index_part *part = index_hold(index);
    assert(part->names != NULL);
    return part;
}

result index_names_list(struct index *index, enum term_kind kind, struct bytes prefix, struct bytes after,
                        names_visit *visit, void *context) {
    struct index_part *part = hold(index);
    const result outcome = names_list(part->names, kind, prefix, after, visit, context);
    index_release(index, part);
    return outcome;
}

result index_names_find(struct index *index, enum term_kind kind, struct bytes name, struct name_figures *ret_figures) {
    struct index_part *part = hold(index);
    const result outcome = names_find(part->names, kind, name, ret_figures);
    index_release(index, part);
    return outcome;
}

result index_names_find_all(struct index *index, enum term_kind kind, const struct bytes *asked, uint32_t count,
                            struct name_figures *ret_figures) {
    struct index_part *part = hold(index);
    const result outcome = names_find_all(part->names, kind, asked, count, ret_figures);
    index_release(index, part);
    return outcome;
}

void index_names_begin_anew(struct index *index) {
    struct index_part *part = hold(index);
    names_begin_anew(part->names);
    index_release(index, part);
}

void index_names_rest(struct index *index, int64_t now_ns) {
    struct index_part *part = hold(index);
    names_rest(part->names, now_ns);
    index_release(index, part);
}

struct names_counts index_names_count(struct index *index) {
    struct index_part *part = hold(index);
    const struct names_counts counts = names_count(part->names);
    index_release(index, part);
    return counts;
}
