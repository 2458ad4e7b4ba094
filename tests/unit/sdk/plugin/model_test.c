/* What protoc's request says, and what is wrong with it. The text that is made of a model has its goldens in
 * tests/golden. */
#include <criterion/criterion.h>
#include <string.h>

#include "sdk/plugin/model.h"

typedef google_protobuf_compiler_CodeGeneratorRequest request_type;
typedef google_protobuf_FileDescriptorProto file_type;

static upb_Arena *arena;
static request_type *request;

static void setup(void) {
    arena = upb_Arena_New();
    request = google_protobuf_compiler_CodeGeneratorRequest_new(arena);
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(model, .init = setup, .fini = teardown);

static upb_StringView view(const char *text) {
    return upb_StringView_FromString(text);
}

static file_type *file_add(const char *name, const char *package) {
    file_type *file = google_protobuf_compiler_CodeGeneratorRequest_add_proto_file(request, arena);
    google_protobuf_FileDescriptorProto_set_name(file, view(name));
    google_protobuf_FileDescriptorProto_set_package(file, view(package));
    return file;
}

static void message_add(file_type *file, const char *name) {
    google_protobuf_DescriptorProto_set_name(google_protobuf_FileDescriptorProto_add_message_type(file, arena),
                                             view(name));
}

/* A service with one unary method Get. */
static void service_add(file_type *file, const char *name, const char *input, const char *output) {
    google_protobuf_ServiceDescriptorProto *service = google_protobuf_FileDescriptorProto_add_service(file, arena);
    google_protobuf_ServiceDescriptorProto_set_name(service, view(name));
    google_protobuf_MethodDescriptorProto *method = google_protobuf_ServiceDescriptorProto_add_method(service, arena);
    google_protobuf_MethodDescriptorProto_set_name(method, view("Get"));
    google_protobuf_MethodDescriptorProto_set_input_type(method, view(input));
    google_protobuf_MethodDescriptorProto_set_output_type(method, view(output));
}

static void generate(const char *name) {
    google_protobuf_compiler_CodeGeneratorRequest_add_file_to_generate(request, view(name), arena);
}

Test(model, names_types_and_their_files) {
    message_add(file_add("shop/common.proto", "shop"), "Money");
    file_type *orders = file_add("shop/orders.proto", "shop.v1");
    message_add(orders, "Order");
    google_protobuf_FileDescriptorProto_add_dependency(orders, view("shop/common.proto"), arena);
    service_add(orders, "Orders", ".shop.Money", ".shop.v1.Order");
    generate("shop/orders.proto");

    struct model model;
    cr_assert(model_build(request, arena, &model), "%s", model.error);
    cr_assert_eq(model.files_count, 2);
    cr_assert_not(model.files[0].generate);
    const struct file *file = &model.files[1];
    cr_assert(file->generate);
    cr_assert_str_eq(file->stem, "shop/orders");
    cr_assert_eq(file->imports_count, 1);
    cr_assert_eq(file->imports[0], &model.files[0]);
    cr_assert_str_eq(file->services[0].full_name, "shop.v1.Orders");
    const struct method *method = &file->services[0].methods[0];
    cr_assert_str_eq(method->symbol, "shop_v1_Orders_Get");
    cr_assert_str_eq(method->request, "shop_Money");
    cr_assert_str_eq(method->request_file, "shop/common.proto");
    cr_assert_str_eq(method->response_file, "shop/orders.proto");
    cr_assert_eq(method->place.line, 1);
}

static void expect_error(const char *text) {
    struct model model;
    cr_assert_not(model_build(request, arena, &model));
    cr_assert_str_eq(model.error, text);
}

Test(model, a_file_that_is_not_there) {
    generate("nowhere.proto");
    expect_error("nowhere.proto:1:1: is to be generated, but protoc did not give it");
}

Test(model, an_import_that_is_not_there) {
    file_type *file = file_add("a.proto", "a");
    google_protobuf_FileDescriptorProto_add_dependency(file, view("b.proto"), arena);
    expect_error("a.proto:1:1: imports \"b.proto\", which protoc did not give before it");
}

Test(model, an_import_that_leads_back) {
    google_protobuf_FileDescriptorProto_add_dependency(file_add("a.proto", "a"), view("b.proto"), arena);
    google_protobuf_FileDescriptorProto_add_dependency(file_add("b.proto", "b"), view("a.proto"), arena);
    expect_error("a.proto:1:1: imports \"b.proto\", which protoc did not give before it");
}

Test(model, a_file_that_imports_itself) {
    google_protobuf_FileDescriptorProto_add_dependency(file_add("a.proto", "a"), view("a.proto"), arena);
    expect_error("a.proto:1:1: imports \"a.proto\", which protoc did not give before it");
}

Test(model, names_that_are_none) {
    file_type *file = file_add("a.proto", "a");
    message_add(file, "Order");
    service_add(file, "Orders\" ", ".a.Order", ".a.Order");
    generate("a.proto");
    expect_error("a.proto:1:1: the service a.Orders\"  has a name that is none");
}

Test(model, a_file_name_that_is_none_matters_where_it_is_used) {
    file_add("dash-ed.proto", "a");
    file_add("mine.proto", "b");
    generate("mine.proto");
    struct model model;
    cr_assert(model_build(request, arena, &model), "%s", model.error);
    file_type *user = file_add("user.proto", "c");
    google_protobuf_FileDescriptorProto_add_dependency(user, view("dash-ed.proto"), arena);
    cr_assert(model_build(request, arena, &model), "%s", model.error);
    generate("user.proto");
    cr_assert_not(model_build(request, arena, &model));
    static const char begin[] = "user.proto:1:1: imports \"dash-ed.proto\"; ";
    cr_assert_eq(strncmp(model.error, begin, strlen(begin)), 0, "%s", model.error);
}

Test(model, a_deprecated_service_has_deprecated_methods) {
    file_type *file = file_add("a.proto", "a");
    message_add(file, "Order");
    service_add(file, "Old", ".a.Order", ".a.Order");
    service_add(file, "New", ".a.Order", ".a.Order");
    size_t count;
    google_protobuf_ServiceDescriptorProto **services =
        google_protobuf_FileDescriptorProto_mutable_service(file, &count);
    google_protobuf_ServiceOptions_set_deprecated(
        google_protobuf_ServiceDescriptorProto_mutable_options(services[0], arena), true);
    generate("a.proto");
    struct model model;
    cr_assert(model_build(request, arena, &model), "%s", model.error);
    cr_assert(model.files[0].services[0].methods[0].deprecated);
    cr_assert_not(model.files[0].services[1].methods[0].deprecated);
}

Test(model, a_type_that_is_not_there) {
    file_type *file = file_add("a.proto", "a");
    message_add(file, "Order");
    service_add(file, "Orders", ".a.Order", ".a.Order.Item");
    expect_error("a.proto:1:1: the type .a.Order.Item of the method Get is declared in none of the files that protoc "
                 "gave");
}

Test(model, services_of_two_files_can_clash) {
    file_type *one = file_add("one.proto", "a.b");
    message_add(one, "Order");
    service_add(one, "C", ".a.b.Order", ".a.b.Order");
    file_type *other = file_add("other.proto", "a");
    service_add(other, "b_C", ".a.b.Order", ".a.b.Order");
    generate("other.proto");
    expect_error("other.proto:1:1: the service a.b_C gives C the name a_b_C_service, which the service a.b.C at "
                 "one.proto:1:1 has already; rename one of them");
}

Test(model, a_clash_between_others_is_theirs) {
    file_type *one = file_add("one.proto", "a.b");
    message_add(one, "Order");
    service_add(one, "C", ".a.b.Order", ".a.b.Order");
    service_add(file_add("other.proto", "a"), "b_C", ".a.b.Order", ".a.b.Order");
    file_add("mine.proto", "c");
    generate("mine.proto");
    struct model model;
    cr_assert(model_build(request, arena, &model), "%s", model.error);
}
