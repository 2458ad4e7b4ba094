/* Compactions and new indexes, which go on while everything else happens: nobody may see anything of them. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "daybook/v1/admin.upb.h"
#include "tests/model/api_world.h"

#define METHOD_COMPACT "/daybook.v1.Admin/Compact"
#define METHOD_REINDEX "/daybook.v1.Admin/Reindex"

/* Waits for its end, which must be a good one. A compaction ends with a new index: another one may be in its way. */
static const char *end(struct raw_call **call, bool may_be_refused) {
    const size_t responses_count = raw_call_drain(*call);
    struct answer answer = answer_of(*call);
    const bool is_refused = may_be_refused && answer.status.code == DAYBOOK_ABORTED;
    const char *outcome =
        is_refused ? api_expect(&answer, DAYBOOK_ABORTED, "OPERATION_RUNNING") : api_expect(&answer, DAYBOOK_OK, "OK");
    answer_free(&answer);
    raw_call_free(*call);
    *call = NULL;
    if (!is_refused) cr_assert_gt(responses_count, 0, "it reports at least its end");
    return outcome;
}

const char *api_run_compact(struct api_world *world) {
    if (world->compaction != NULL) return end(&world->compaction, false);
    world->compaction = api_stream(world, METHOD_COMPACT, daybook_v1_CompactRequest_new(world->arena),
                                   &daybook_v1_CompactRequest_msginit);
    return "begun";
}

const char *api_run_reindex(struct api_world *world) {
    if (world->reindexing != NULL) return end(&world->reindexing, true);
    world->reindexing = api_stream(world, METHOD_REINDEX, daybook_v1_ReindexRequest_new(world->arena),
                                   &daybook_v1_ReindexRequest_msginit);
    return "begun";
}

void api_maintenance_end(struct api_world *world) {
    if (world->compaction != NULL) (void)end(&world->compaction, false);
    if (world->reindexing != NULL) (void)end(&world->reindexing, true);
}
