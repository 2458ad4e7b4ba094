/* index_names.h: the catalogue of names as everybody has it: that of the part of the index that is current (names.h).
 *
 * The index was opened with a store. A query goes on with the part that it began with, also when that is replaced meanwhile.
 * Threads: any. Errors: those of names.h. */
#ifndef SERVICE_STORE_INDEX_NAMES_H
#define SERVICE_STORE_INDEX_NAMES_H

#include "service/store/index.h"
#include "service/store/names.h"

MUST_USE result index_names_list(struct index *index, enum term_kind kind, struct bytes prefix, struct bytes after,
                                 names_visit *visit, void *context);
MUST_USE result index_names_find(struct index *index, enum term_kind kind, struct bytes name,
                                 struct name_figures *ret_figures);
MUST_USE result index_names_find_all(struct index *index, enum term_kind kind, const struct bytes *asked,
                                     uint32_t count, struct name_figures *ret_figures);
void index_names_begin_anew(struct index *index);
void index_names_rest(struct index *index, int64_t now_ns);
struct names_counts index_names_count(struct index *index);

#endif
