/* reflection_files_test.c: protos as strangers write them: without a package, with extensions, with imports that are not
 * there or go in a circle. */
#include <criterion/criterion.h>
#include <string.h>

#include "sdk/runtime/reflection_files.h"

static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text);
}

static google_protobuf_FileDescriptorProto *new_file(upb_Arena *arena, const char *name, const char *package) {
    google_protobuf_FileDescriptorProto *file = google_protobuf_FileDescriptorProto_new(arena);
    google_protobuf_FileDescriptorProto_set_name(file, view(name));
    if (package != NULL) google_protobuf_FileDescriptorProto_set_package(file, view(package));
    return file;
}

static void set_extension(google_protobuf_FieldDescriptorProto *field, const char *name, const char *extendee,
                          int32_t number) {
    google_protobuf_FieldDescriptorProto_set_name(field, view(name));
    google_protobuf_FieldDescriptorProto_set_extendee(field, view(extendee));
    google_protobuf_FieldDescriptorProto_set_number(field, number);
}

static daybook_file encode(upb_Arena *arena, const google_protobuf_FileDescriptorProto *file, const char *name) {
    daybook_file encoded = {.name = name};
    encoded.data = (const uint8_t *)google_protobuf_FileDescriptorProto_serialize(
        (google_protobuf_FileDescriptorProto *)file, arena, &encoded.size);
    return encoded;
}

static const char *name_of(const struct reflection_file *file) {
    return file == NULL ? "none" : file->file->name;
}

struct protos {
    upb_Arena *arena;
    daybook_file base;
    daybook_file more;
    const daybook_file *list[3];
    daybook_service service;
    const daybook_service *services[2];
    struct reflection_files files;
};

/* base.proto has no package and declares Base, Color { RED } and an extension; more.proto imports it, itself being imported
 * by it, and a file that nobody has. */
static void open_protos(struct protos *protos) {
    protos->arena = upb_Arena_New();
    google_protobuf_FileDescriptorProto *base = new_file(protos->arena, "base.proto", NULL);
    google_protobuf_FileDescriptorProto_add_dependency(base, view("more.proto"), protos->arena);
    google_protobuf_DescriptorProto *message =
        google_protobuf_FileDescriptorProto_add_message_type(base, protos->arena);
    google_protobuf_DescriptorProto_set_name(message, view("Base"));
    google_protobuf_EnumDescriptorProto *color = google_protobuf_FileDescriptorProto_add_enum_type(base, protos->arena);
    google_protobuf_EnumDescriptorProto_set_name(color, view("Color"));
    google_protobuf_EnumValueDescriptorProto_set_name(
        google_protobuf_EnumDescriptorProto_add_value(color, protos->arena), view("RED"));
    set_extension(google_protobuf_FileDescriptorProto_add_extension(base, protos->arena), "first", ".Base", 100);

    google_protobuf_FileDescriptorProto *more = new_file(protos->arena, "more.proto", "some.more");
    google_protobuf_FileDescriptorProto_add_dependency(more, view("base.proto"), protos->arena);
    google_protobuf_FileDescriptorProto_add_dependency(more, view("lost.proto"), protos->arena);
    google_protobuf_DescriptorProto *outer = google_protobuf_FileDescriptorProto_add_message_type(more, protos->arena);
    google_protobuf_DescriptorProto_set_name(outer, view("Outer"));
    google_protobuf_DescriptorProto *inner = google_protobuf_DescriptorProto_add_nested_type(outer, protos->arena);
    google_protobuf_DescriptorProto_set_name(inner, view("Inner"));
    set_extension(google_protobuf_DescriptorProto_add_extension(inner, protos->arena), "second", ".Base", 200);
    set_extension(google_protobuf_DescriptorProto_add_extension(inner, protos->arena), "other", ".Baseline", 100);

    protos->base = encode(protos->arena, base, "base.proto");
    protos->more = encode(protos->arena, more, "more.proto");
    protos->list[0] = &protos->base;
    protos->list[1] = &protos->more;
    protos->list[2] = &protos->base;
    protos->service = (daybook_service){.full_name = "x.Y", .files = protos->list, .files_count = 3};
    protos->services[0] = &protos->service;
    protos->services[1] = &protos->service;
    daybook_status status;
    protos->files = (struct reflection_files){0};
    cr_assert(daybook__reflection_files_open(&protos->files, protos->services, 2, &status));
}

static void close_protos(struct protos *protos) {
    daybook__reflection_files_close(&protos->files);
    upb_Arena_Free(protos->arena);
}

Test(reflection_files, each_name_is_kept_once) {
    struct protos protos;
    open_protos(&protos);
    cr_assert_eq(protos.files.count, 2);
    cr_assert_str_eq(name_of(daybook__reflection_files_find_name(&protos.files, view("more.proto"))), "more.proto");
    cr_assert_null(daybook__reflection_files_find_name(&protos.files, view("lost.proto")));
    close_protos(&protos);
}

Test(reflection_files, symbols_without_a_package_and_deep_ones) {
    struct protos protos;
    open_protos(&protos);
    static const char *const in_base[] = {"Base", "Color", "RED", "first"};
    for (size_t i = 0; i < sizeof in_base / sizeof in_base[0]; i++) {
        cr_assert_str_eq(name_of(daybook__reflection_files_find_symbol(&protos.files, view(in_base[i]))), "base.proto");
    }
    static const char *const in_more[] = {"some.more.Outer", "some.more.Outer.Inner", "some.more.Outer.Inner.second"};
    for (size_t i = 0; i < sizeof in_more / sizeof in_more[0]; i++) {
        cr_assert_str_eq(name_of(daybook__reflection_files_find_symbol(&protos.files, view(in_more[i]))), "more.proto");
    }
    static const char *const nowhere[] = {"Outer", "some.more", "some.more.Inner", "Color.RED", "Base.first", "bas"};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        cr_assert_null(daybook__reflection_files_find_symbol(&protos.files, view(nowhere[i])));
    }
    close_protos(&protos);
}

static void add_number(void *context, int32_t number) {
    int32_t *sum = context;
    *sum += number;
}

Test(reflection_files, extensions_are_found_wherever_they_are_declared) {
    struct protos protos;
    open_protos(&protos);
    struct reflection_files *files = &protos.files;
    cr_assert_str_eq(name_of(daybook__reflection_files_find_extension(files, view("Base"), 100)), "base.proto");
    cr_assert_str_eq(name_of(daybook__reflection_files_find_extension(files, view("Base"), 200)), "more.proto");
    cr_assert_null(daybook__reflection_files_find_extension(files, view("Base"), 300));
    cr_assert_null(daybook__reflection_files_find_extension(files, view("Bas"), 100));
    cr_assert_null(daybook__reflection_files_find_extension(files, view(".Base"), 100));
    int32_t sum = 0;
    daybook__reflection_files_each_extension(files, view("Base"), add_number, &sum);
    cr_assert_eq(sum, 300);
    close_protos(&protos);
}

static void count_file(void *context, const daybook_file *file) {
    cr_assert_not_null(file);
    size_t *count = context;
    (*count)++;
}

Test(reflection_files, imports_in_a_circle_are_walked_once) {
    struct protos protos;
    open_protos(&protos);
    for (size_t i = 0; i < protos.files.count; i++) {
        size_t count = 0;
        cr_assert(daybook__reflection_files_each_import(&protos.files, &protos.files.items[i], count_file, &count));
        cr_assert_eq(count, 2);
    }
    close_protos(&protos);
}

Test(reflection_files, what_is_no_descriptor_is_told) {
    static const uint8_t bytes[] = {0x0a, 0x7f};
    static const daybook_file broken = {.name = "broken.proto", .data = bytes, .size = sizeof bytes};
    static const daybook_file *const list[] = {&broken};
    static const daybook_service service = {.full_name = "x.Y", .files = list, .files_count = 1};
    static const daybook_service *const services[] = {&service};
    struct reflection_files files = {0};
    daybook_status status;
    cr_assert_not(daybook__reflection_files_open(&files, services, 1, &status));
    cr_assert_eq(status.code, DAYBOOK_INTERNAL);
    cr_assert_str_eq(status.message, "the descriptor of broken.proto cannot be read");
}
