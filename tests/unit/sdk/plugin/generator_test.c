/* protoc's question and the answer to it. The text that is made has its goldens in tests/golden. */
#include <criterion/criterion.h>
#include <string.h>

#include "google/protobuf/descriptor.upb.h"
#include "sdk/plugin/generator.h"

typedef google_protobuf_compiler_CodeGeneratorRequest request_type;
typedef google_protobuf_compiler_CodeGeneratorResponse response_type;

static upb_Arena *arena;
static request_type *request;

static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text);
}

/* One proto without anything in it. */
static void setup(void) {
    arena = upb_Arena_New();
    request = google_protobuf_compiler_CodeGeneratorRequest_new(arena);
    google_protobuf_FileDescriptorProto_set_name(
        google_protobuf_compiler_CodeGeneratorRequest_add_proto_file(request, arena), view("a/b.proto"));
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(generator, .init = setup, .fini = teardown);

static void expect_files(const response_type *response, const char *const *names, size_t names_count) {
    size_t count;
    const google_protobuf_compiler_CodeGeneratorResponse_File *const *files =
        google_protobuf_compiler_CodeGeneratorResponse_file(response, &count);
    cr_assert_eq(count, names_count);
    for (size_t index = 0; index < count; index++) {
        cr_assert(upb_StringView_IsEqual(google_protobuf_compiler_CodeGeneratorResponse_File_name(files[index]),
                                         view(names[index])));
        cr_assert_gt(google_protobuf_compiler_CodeGeneratorResponse_File_content(files[index]).size, 0);
    }
}

Test(generator, makes_two_files_of_each_that_is_asked_for) {
    google_protobuf_compiler_CodeGeneratorRequest_add_file_to_generate(request, view("a/b.proto"), arena);
    const response_type *response = generator_run(request, arena);
    cr_assert_not(google_protobuf_compiler_CodeGeneratorResponse_has_error(response));
    cr_assert_eq(google_protobuf_compiler_CodeGeneratorResponse_supported_features(response),
                 google_protobuf_compiler_CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL);
    expect_files(response, (const char *const[]){"a/b.grpc.h", "a/b.grpc.c"}, 2);
}

Test(generator, makes_nothing_of_what_is_only_imported) {
    expect_files(generator_run(request, arena), NULL, 0);
}

static void expect_error(const char *begin) {
    const response_type *response = generator_run(request, arena);
    const upb_StringView error = google_protobuf_compiler_CodeGeneratorResponse_error(response);
    cr_assert_geq(error.size, strlen(begin));
    cr_assert_eq(memcmp(error.data, begin, strlen(begin)), 0, "said \"%.*s\"", (int)error.size, error.data);
    expect_files(response, NULL, 0);
}

Test(generator, an_error_is_an_answer_without_files) {
    google_protobuf_compiler_CodeGeneratorRequest_add_file_to_generate(request, view("a/b.proto"), arena);
    google_protobuf_compiler_CodeGeneratorRequest_add_file_to_generate(request, view("c.proto"), arena);
    expect_error("c.proto:1:1: ");
}

Test(generator, so_is_an_option_that_is_none) {
    google_protobuf_compiler_CodeGeneratorRequest_add_file_to_generate(request, view("a/b.proto"), arena);
    google_protobuf_compiler_CodeGeneratorRequest_set_parameter(request, view("fast=true"));
    expect_error("--grpc-c_opt=fast=true: ");
}
