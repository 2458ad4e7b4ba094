#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "service/offline/offline.h"
#include "service/store/directory.h"
#include "service/store/restore.h"

#define STANDARD_INPUT "-"

result offline_restore(const struct offline_options *options, const char *file, struct problem *ret_problem) {
    const bool is_standard = strcmp(file, STANDARD_INPUT) == 0;
    const int descriptor = is_standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        const int error = errno;
        problem_set(ret_problem, "cannot read %s: %s", file, strerror(error));
        return failure_result(directory_failure(error));
    }
    const struct restore_options restore_options = {.directory = options->directory,
                                                    .map_bytes = options->map_bytes,
                                                    .remote_file_system_allowed = options->remote_file_system_allowed,
                                                    .descriptor = descriptor,
                                                    .name = is_standard ? "the backup" : file};
    struct restored restored;
    const result outcome = restore(&restore_options, &restored, ret_problem);
    if (!is_standard) (void)close(descriptor);
    TRY(outcome);
    (void)printf("%" PRIu64 " events, %" PRIu64 " checkpoints and the settings of %" PRIu64
                 " streams of store %s restored in %s and verified\n",
                 restored.events_count, restored.checkpoints_count, restored.streams_count, restored.store_id,
                 options->directory);
    return RESULT_OK;
}
