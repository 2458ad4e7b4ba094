/* The names that upb's generator takes for each shape of a type, and none that it does not take. What is refused because of
 * them is held against compilers in tests/golden. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/plugin/upb_names.h"
#include "sdk/plugin/writer.h"

#define NAMES_COUNT_MAX 64

typedef google_protobuf_DescriptorProto message_type;
typedef google_protobuf_FieldDescriptorProto field_type;

static upb_Arena *arena;
static google_protobuf_FileDescriptorProto *proto;
static const char *names[NAMES_COUNT_MAX];
static size_t names_count;
static struct upb_name problem;

static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text);
}

static void setup(void) {
    arena = upb_Arena_New();
    proto = google_protobuf_FileDescriptorProto_new(arena);
    google_protobuf_FileDescriptorProto_set_package(proto, view("p"));
    google_protobuf_FileDescriptorProto_set_syntax(proto, view("proto3"));
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(upb_names, .init = setup, .fini = teardown);

static void found(void *context, const struct upb_name *name) {
    (void)context;
    cr_assert_lt(names_count, NAMES_COUNT_MAX);
    names[names_count++] = name->identifier;
    if (name->problem != NULL) problem = *name;
}

static int compare(const void *left, const void *right) {
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* `expected` is sorted, with a space behind each name; what every message has is left out of both. */
static void expect(const char *expected) {
    upb_names_each(&(struct file){.descriptor = proto}, arena, found, NULL);
    qsort(names, names_count, sizeof names[0], compare);
    static const char *const usual[] = {"p_M",          "p_M_msginit",   "p_M_new",         "p_M_parse",
                                        "p_M_parse_ex", "p_M_serialize", "p_M_serialize_ex"};
    size_t usual_count = 0;
    struct writer writer;
    writer_init(&writer, arena);
    for (size_t index = 0; index < names_count; index++) {
        bool is_usual = false;
        for (size_t other = 0; other < sizeof usual / sizeof usual[0]; other++) {
            if (strcmp(usual[other], names[index]) == 0) is_usual = true;
        }
        if (is_usual)
            usual_count++;
        else
            write_format(&writer, "%s ", names[index]);
    }
    cr_assert_eq(usual_count, sizeof usual / sizeof usual[0]);
    const upb_StringView text = writer_text(&writer);
    cr_assert(upb_StringView_IsEqual(text, view(expected)), "found \"%.*s\"", (int)text.size, text.data);
}

static message_type *message_add(void) {
    message_type *message = google_protobuf_FileDescriptorProto_add_message_type(proto, arena);
    google_protobuf_DescriptorProto_set_name(message, view("M"));
    return message;
}

static field_type *field_set(field_type *field, const char *name, int32_t type, int32_t label) {
    google_protobuf_FieldDescriptorProto_set_name(field, view(name));
    google_protobuf_FieldDescriptorProto_set_type(field, type);
    google_protobuf_FieldDescriptorProto_set_label(field, label);
    return field;
}

static field_type *field_add(message_type *message, const char *name, int32_t type, bool is_repeated) {
    return field_set(google_protobuf_DescriptorProto_add_field(message, arena), name, type,
                     is_repeated ? google_protobuf_FieldDescriptorProto_LABEL_REPEATED
                                 : google_protobuf_FieldDescriptorProto_LABEL_OPTIONAL);
}

#define STRING      google_protobuf_FieldDescriptorProto_TYPE_STRING
#define SUB_MESSAGE google_protobuf_FieldDescriptorProto_TYPE_MESSAGE

Test(upb_names, a_message_without_fields) {
    message_add();
    expect("");
}

Test(upb_names, a_field_without_presence) {
    field_add(message_add(), "f", STRING, false);
    expect("p_M_clear_f p_M_f p_M_set_f ");
}

Test(upb_names, a_field_of_proto2_has_presence) {
    google_protobuf_FileDescriptorProto_set_syntax(proto, view(""));
    field_add(message_add(), "f", STRING, false);
    expect("p_M_clear_f p_M_f p_M_has_f p_M_set_f ");
}

Test(upb_names, an_optional_field_has_presence_and_no_oneof) {
    message_type *message = message_add();
    google_protobuf_OneofDescriptorProto_set_name(google_protobuf_DescriptorProto_add_oneof_decl(message, arena),
                                                  view("_f"));
    field_type *field = field_add(message, "f", STRING, false);
    google_protobuf_FieldDescriptorProto_set_proto3_optional(field, true);
    google_protobuf_FieldDescriptorProto_set_oneof_index(field, 0);
    expect("p_M_clear_f p_M_f p_M_has_f p_M_set_f ");
}

Test(upb_names, a_oneof) {
    message_type *message = message_add();
    google_protobuf_OneofDescriptorProto_set_name(google_protobuf_DescriptorProto_add_oneof_decl(message, arena),
                                                  view("o"));
    google_protobuf_FieldDescriptorProto_set_oneof_index(field_add(message, "f", STRING, false), 0);
    expect("p_M_clear_f p_M_f p_M_has_f p_M_o_NOT_SET p_M_o_case p_M_o_f p_M_o_oneofcases p_M_set_f ");
}

Test(upb_names, a_message_in_a_message) {
    field_add(message_add(), "f", SUB_MESSAGE, false);
    expect("p_M_clear_f p_M_f p_M_has_f p_M_mutable_f p_M_set_f ");
}

Test(upb_names, repeated_fields) {
    message_type *message = message_add();
    field_add(message, "f", STRING, true);
    field_add(message, "g", SUB_MESSAGE, true);
    expect("p_M_add_f p_M_add_g p_M_clear_f p_M_clear_g p_M_f p_M_g p_M_has_g p_M_mutable_f p_M_mutable_g "
           "p_M_resize_f p_M_resize_g ");
}

Test(upb_names, a_map) {
    message_type *message = message_add();
    message_type *entry = google_protobuf_DescriptorProto_add_nested_type(message, arena);
    google_protobuf_DescriptorProto_set_name(entry, view("FEntry"));
    google_protobuf_MessageOptions_set_map_entry(google_protobuf_DescriptorProto_mutable_options(entry, arena), true);
    field_type *field = field_add(message, "f", SUB_MESSAGE, true);
    google_protobuf_FieldDescriptorProto_set_type_name(field, view(".p.M.FEntry"));
    expect("p_M_FEntry p_M_FEntry_msginit p_M_clear_f p_M_f_clear p_M_f_delete p_M_f_get p_M_f_next p_M_f_nextmutable "
           "p_M_f_set p_M_f_size p_M_has_f ");
}

Test(upb_names, enums_and_their_values_stand_side_by_side) {
    google_protobuf_EnumDescriptorProto *color = google_protobuf_DescriptorProto_add_enum_type(message_add(), arena);
    google_protobuf_EnumDescriptorProto_set_name(color, view("Color"));
    google_protobuf_EnumValueDescriptorProto_set_name(google_protobuf_EnumDescriptorProto_add_value(color, arena),
                                                      view("RED"));
    expect("p_M_Color p_M_RED ");
}

Test(upb_names, extensions_stand_where_they_are_declared) {
    message_type *message = message_add();
    field_set(google_protobuf_FileDescriptorProto_add_extension(proto, arena), "x", STRING,
              google_protobuf_FieldDescriptorProto_LABEL_OPTIONAL);
    field_set(google_protobuf_DescriptorProto_add_extension(message, arena), "y", SUB_MESSAGE,
              google_protobuf_FieldDescriptorProto_LABEL_OPTIONAL);
    field_set(google_protobuf_FileDescriptorProto_add_extension(proto, arena), "z", STRING,
              google_protobuf_FieldDescriptorProto_LABEL_REPEATED);
    expect("p_M_clear_y p_M_has_y p_M_set_y p_M_y p_M_y_ext p_clear_x p_clear_z p_has_x p_has_z p_x p_x_ext p_z_ext ");
}

Test(upb_names, a_default_that_is_no_number_of_c) {
    field_type *field = field_add(message_add(), "f", google_protobuf_FieldDescriptorProto_TYPE_DOUBLE, false);
    google_protobuf_FieldDescriptorProto_set_default_value(field, view("nan"));
    expect("p_M_clear_f p_M_f p_M_set_f ");
    cr_assert_not_null(problem.problem);
    cr_assert_str_eq(problem.owner, "the field p.M.f");
    const int32_t path[] = {PATH_FILE_MESSAGE, 0, 2, 0};
    cr_assert_eq(problem.path_count, sizeof path / sizeof path[0]);
    cr_assert_arr_eq(problem.path, path, sizeof path);
}

Test(upb_names, a_text_may_say_inf) {
    field_type *field = field_add(message_add(), "f", STRING, false);
    google_protobuf_FieldDescriptorProto_set_default_value(field, view("inf"));
    expect("p_M_clear_f p_M_f p_M_set_f ");
    cr_assert_null(problem.problem);
}
