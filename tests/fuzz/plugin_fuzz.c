/* Bytes as protoc's request to the generator. Whatever it says, the answer is an error with words or two files for each
 * proto; the same request has the same answer; and what is made is C as far as can be seen without a compiler: every
 * comment, text and bracket is closed, and no comment of a proto changes anything but comments.
 *
 * Input: an encoded CodeGeneratorRequest. */
#include <string.h>

#include "google/protobuf/descriptor.upb.h"
#include "sdk/plugin/generator.h"
#include "tests/fuzz/fuzz.h"

typedef google_protobuf_compiler_CodeGeneratorRequest request_type;
typedef google_protobuf_compiler_CodeGeneratorResponse response_type;
typedef google_protobuf_compiler_CodeGeneratorResponse_File file_type;

/* --- C without its comments --------------------------------------------------------------------------------------- */

struct code {
    char *data; /* without comments and white space */
    size_t size;
};

static size_t comment_size(const char *at, const char *end) {
    for (const char *stop = at + 2; stop + 1 < end; stop++) {
        if (stop[0] == '*' && stop[1] == '/') return (size_t)(stop + 2 - at);
        assert(stop[0] != '/' || stop[1] != '*'); /* -Wcomment */
    }
    assert(!"a comment that does not end");
    return 0;
}

static size_t text_size(const char *at, const char *end) {
    for (const char *stop = at + 1; stop < end && *stop != '\n'; stop++) {
        if (*stop == '"') return (size_t)(stop + 1 - at);
        assert(*stop != '\\');
    }
    assert(!"a text that does not end");
    return 0;
}

static bool is_code(char character) {
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character != '\0' && strchr("_*&(){}[];,.=!#<->", character) != NULL);
}

static struct code code_of(upb_StringView text, upb_Arena *arena) {
    const char *at = text.data;
    const char *end = text.data + text.size;
    struct code code = {.data = upb_Arena_Malloc(arena, text.size + 1)};
    assert(code.data != NULL);
    int depth = 0;
    while (at < end) {
        if (*at == '/') {
            assert(at + 1 < end && at[1] == '*');
            at += comment_size(at, end);
            continue;
        }
        const size_t size = *at == '"' ? text_size(at, end) : 1;
        if (*at != ' ' && *at != '\n') {
            assert(*at == '"' || is_code(*at));
            depth += strchr("({[", *at) != NULL ? 1 : strchr(")}]", *at) != NULL ? -1 : 0;
            memcpy(code.data + code.size, at, size);
            code.size += size;
        }
        at += size;
    }
    assert(depth == 0);
    return code;
}

/* --- The target --------------------------------------------------------------------------------------------------- */

static void expect_same(upb_StringView left, upb_StringView right) {
    assert(upb_StringView_IsEqual(left, right));
}

static const file_type *const *files_of(const response_type *response, size_t *ret_count) {
    return google_protobuf_compiler_CodeGeneratorResponse_file(response, ret_count);
}

static void expect_same_answer(const response_type *left, const response_type *right) {
    expect_same(google_protobuf_compiler_CodeGeneratorResponse_error(left),
                google_protobuf_compiler_CodeGeneratorResponse_error(right));
    size_t left_count;
    size_t right_count;
    const file_type *const *left_files = files_of(left, &left_count);
    const file_type *const *right_files = files_of(right, &right_count);
    assert(left_count == right_count);
    for (size_t index = 0; index < left_count; index++) {
        expect_same(google_protobuf_compiler_CodeGeneratorResponse_File_content(left_files[index]),
                    google_protobuf_compiler_CodeGeneratorResponse_File_content(right_files[index]));
    }
}

static void comments_clear(request_type *request) {
    size_t count;
    google_protobuf_FileDescriptorProto **files =
        google_protobuf_compiler_CodeGeneratorRequest_mutable_proto_file(request, &count);
    for (size_t index = 0; index < count; index++) {
        google_protobuf_FileDescriptorProto_clear_source_code_info(files[index]);
    }
}

static void expect_same_code(const response_type *left, const response_type *right, upb_Arena *arena) {
    size_t left_count;
    size_t right_count;
    const file_type *const *left_files = files_of(left, &left_count);
    const file_type *const *right_files = files_of(right, &right_count);
    assert(left_count == right_count);
    for (size_t index = 0; index < left_count; index++) {
        const struct code left_code =
            code_of(google_protobuf_compiler_CodeGeneratorResponse_File_content(left_files[index]), arena);
        const struct code right_code =
            code_of(google_protobuf_compiler_CodeGeneratorResponse_File_content(right_files[index]), arena);
        assert(left_code.size == right_code.size && memcmp(left_code.data, right_code.data, left_code.size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    upb_Arena *arena = upb_Arena_New();
    assert(arena != NULL);
    request_type *request = google_protobuf_compiler_CodeGeneratorRequest_parse((const char *)data, size, arena);
    if (request != NULL) {
        const response_type *response = generator_run(request, arena);
        expect_same_answer(response, generator_run(request, arena));
        size_t count;
        (void)files_of(response, &count);
        if (google_protobuf_compiler_CodeGeneratorResponse_has_error(response)) {
            assert(google_protobuf_compiler_CodeGeneratorResponse_error(response).size > 0 && count == 0);
        } else {
            assert(count % 2 == 0);
            comments_clear(request);
            expect_same_code(response, generator_run(request, arena), arena);
        }
        size_t encoded_size;
        assert(google_protobuf_compiler_CodeGeneratorResponse_serialize(response, arena, &encoded_size) != NULL);
    }
    upb_Arena_Free(arena);
    return 0;
}
