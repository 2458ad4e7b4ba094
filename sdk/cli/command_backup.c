/* backup: writes what the daemon streams to FILE.partial, and gives it its name when it is whole and on disk. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "daybook/v1/admin.grpc.h"
#include "sdk/cli/common.h"
#include "sdk/cli/json.h"
#include "sdk/cli/print.h"
#include "sdk/cli/progress.h"

#define STANDARD_OUTPUT    "-"
#define CHECKSUM_TEXT_SIZE (2 * sizeof(XXH128_hash_t))

struct target {
    const char *file; /* where the backup will be; "-" */
    bool is_standard; /* standard output */
    bool may_replace;
    char *partial; /* where it is meanwhile; NULL for standard output */
    int descriptor;
    XXH3_state_t *checksum;
    uint64_t bytes;
    uint64_t head;
};

struct arguments {
    struct common common;
    struct target target;
};

static int file_fail(const char *action, const char *path) {
    (void)fprintf(stderr, "daybook: cannot %s %s: %s\n", action, path, strerror(errno));
    return EXIT_OUTPUT;
}

/* -1, or the exit code. */
static int target_open(struct target *target) {
    target->checksum = XXH3_createState();
    if (target->checksum == NULL || XXH3_128bits_reset(target->checksum) != XXH_OK) return common_out_of_memory();
    target->is_standard = strcmp(target->file, STANDARD_OUTPUT) == 0;
    if (target->is_standard) return -1;
    if (!target->may_replace && access(target->file, F_OK) == 0) {
        (void)fprintf(stderr, "daybook: %s is there already; choose another name, or --replace\n", target->file);
        return EXIT_OUTPUT;
    }
    if (asprintf(&target->partial, "%s.partial", target->file) < 0) {
        target->partial = NULL;
        return common_out_of_memory();
    }
    /* It holds everything that the store does: nobody else's to read. */
    target->descriptor = open(target->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return target->descriptor < 0 ? file_fail("write", target->partial) : -1;
}

static int target_write(struct target *target, upb_StringView data) {
    (void)XXH3_128bits_update(target->checksum, data.data, data.size);
    target->bytes += data.size;
    if (target->is_standard) {
        const bool is_written = fwrite(data.data, 1, data.size, stdout) == data.size && fflush(stdout) == 0;
        return is_written ? -1 : file_fail("write", "standard output");
    }
    while (data.size > 0) {
        const ssize_t written = write(target->descriptor, data.data, data.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_fail("write", target->partial);
        data.data += written;
        data.size -= (size_t)written;
    }
    return -1;
}

static int directory_sync(const char *file) {
    char *copy = strdup(file);
    if (copy == NULL) return common_out_of_memory();
    const char *path = dirname(copy);
    const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = -1;
    if (descriptor < 0 || fsync(descriptor) != 0) code = file_fail("sync", path);
    if (descriptor >= 0) (void)close(descriptor);
    free(copy);
    return code;
}

/* Compares the checksum and makes the file what it is called. -1, or the exit code. */
static int target_finish(struct target *target, const char *checksum) {
    XXH128_canonical_t canonical;
    char text[CHECKSUM_TEXT_SIZE + 1];
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(target->checksum));
    for (size_t index = 0; index < sizeof canonical.digest; index++) {
        (void)snprintf(text + 2 * index, 3, "%02x", canonical.digest[index]);
    }
    if (strcmp(text, checksum) != 0) {
        (void)fprintf(stderr, "daybook: the backup is not what was sent (checksum %s, not \"%s\"): make it again\n",
                      text, checksum);
        return EXIT_DATA;
    }
    if (target->is_standard) return -1;
    if (fsync(target->descriptor) != 0) return file_fail("sync", target->partial);
    if (rename(target->partial, target->file) != 0) return file_fail("rename to", target->file);
    free(target->partial);
    target->partial = NULL;
    return directory_sync(target->file);
}

/* Whatever is not finished goes. */
static void target_close(struct target *target) {
    if (target->descriptor >= 0) (void)close(target->descriptor);
    if (target->partial != NULL) {
        (void)unlink(target->partial);
        free(target->partial);
    }
    (void)XXH3_freeState(target->checksum);
}

/* Takes all parts. -1, or the exit code. */
static int parts_take(const struct common *common, daybook_v1_Admin_Backup_stream *stream, struct target *target,
                      char ret_checksum[CHECKSUM_TEXT_SIZE + 1], struct progress *progress) {
    daybook_status status;
    daybook_next next;
    const daybook_v1_BackupResponse *response;
    int code = -1;
    while (code < 0 && (next = daybook_v1_Admin_Backup_next(stream, common->timeout_ms, &response, &status)) ==
                           DAYBOOK_NEXT_MESSAGE) {
        const upb_StringView checksum = daybook_v1_BackupResponse_checksum(response);
        if (target->bytes == 0) target->head = daybook_v1_BackupResponse_head(response);
        code = target_write(target, daybook_v1_BackupResponse_data(response));
        if (checksum.size == CHECKSUM_TEXT_SIZE) memcpy(ret_checksum, checksum.data, checksum.size);
        if (progress->terminal) progress_show(progress, daybook_v1_BackupResponse_position(response), target->head);
    }
    (void)daybook_v1_Admin_Backup_close(stream);
    progress_end(progress);
    if (code >= 0) return code;
    code = common_stream_ended(common, next, &status);
    return code == 0 ? -1 : code;
}

static int stream_take(const struct common *common, daybook_client *client, upb_Arena *arena, struct target *target) {
    daybook_status status;
    struct progress progress;
    char checksum[CHECKSUM_TEXT_SIZE + 1] = {0};
    const daybook_call_options options = common_stream_options(common);
    const daybook_v1_BackupRequest *request = daybook_v1_BackupRequest_new(arena);
    if (request == NULL) return common_out_of_memory();
    daybook_v1_Admin_Backup_stream *stream = daybook_v1_Admin_Backup_open(client, request, &options, &status);
    if (stream == NULL) return common_fail(common, &status);
    progress_init(&progress, "events copied");
    int code = parts_take(common, stream, target, checksum, &progress);
    if (code < 0) code = target_finish(target, checksum);
    if (code >= 0) return code;
    char bytes[PRINT_BYTES_BYTES];
    print_bytes(target->bytes, bytes);
    FILE *out = target->is_standard ? stderr : stdout; /* the backup itself may be on the other */
    if (!common->json) {
        (void)fprintf(out, "%" PRIu64 " events, %s, XXH3-128 %s\n", target->head, bytes, checksum);
    } else if (out == stdout) {
        json_t *object = json_object();
        json_add(object, "head", json_number(target->head));
        json_add(object, "bytes", json_number(target->bytes));
        json_add(object, "checksum", json_text(upb_StringView_FromString(checksum)));
        if (!json_line(object)) return common_out_of_memory();
    }
    return 0;
}

static int run(const struct common *common, daybook_client *client, upb_Arena *arena, void *context) {
    struct target *target = context;
    int code = target_open(target);
    if (code < 0) code = stream_take(common, client, arena, target);
    target_close(target);
    return code;
}

enum { KEY_REPLACE = 0x100 };

static error_t option_parse(int key, char *argument, struct argp_state *state) {
    struct arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->common;
        return 0;
    case KEY_REPLACE:
        arguments->target.may_replace = true;
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->target.file != NULL) return ARGP_ERR_UNKNOWN;
        arguments->target.file = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->target.file == NULL) argp_error(state, "FILE is needed; \"-\" is standard output");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_backup(int argc, char **argv) {
    struct arguments arguments = {.target = {.descriptor = -1}};
    common_init(&arguments.common);
    arguments.common.timeout_ms = DAYBOOK_TIMEOUT_NONE;
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {.name = "replace", .key = KEY_REPLACE, .doc = "Put the backup in the place of a FILE that is there"}, {0}};
    const struct argp argp = {.options = options,
                              .parser = option_parse,
                              .children = children,
                              .args_doc = "FILE",
                              .doc = "Copies the store to FILE (\"-\": standard output), while the daemon serves: "
                                     "everything up to the head at the start. It is FILE.partial until it is whole, "
                                     "compared with its checksum and on disk. `daybookd --restore FILE` makes a store "
                                     "of it. Waits as long as it takes; --timeout-ms ends it when nothing moves for "
                                     "so long."};
    common_parse(&argp, argc, argv, &arguments);
    return common_run(&arguments.common, run, &arguments.target);
}
