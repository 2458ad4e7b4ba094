/* What --grpc-c_opt takes, and that what it does not take is told with what there is. */
#include <criterion/criterion.h>
#include <string.h>

#include "sdk/plugin/options.h"

static upb_Arena *arena;

static void setup(void) {
    arena = upb_Arena_New();
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(options, .init = setup, .fini = teardown);

static struct options parse(const char *parameter) {
    struct options options;
    const char *error = options_parse(upb_StringView_FromString(parameter), arena, &options);
    cr_assert_null(error, "%s", error);
    return options;
}

Test(options, everything_without_any) {
    const struct options options = parse("");
    cr_assert(options.client && options.server && options.descriptors);
    cr_assert_str_eq(options.include_prefix, "");
}

Test(options, each_alone) {
    cr_assert_not(parse("client=false").client);
    cr_assert(parse("client=false").server);
    cr_assert_not(parse("server=false").server);
    cr_assert_not(parse("descriptors=false").descriptors);
    cr_assert_str_eq(parse("include_prefix=generated/c/").include_prefix, "generated/c/");
}

Test(options, together_and_the_last_one_wins) {
    const struct options options = parse("server=false,include_prefix=a/,server=true,client=false,include_prefix=");
    cr_assert(options.server);
    cr_assert_not(options.client);
    cr_assert_str_eq(options.include_prefix, "");
}

static void expect_error(const char *parameter, const char *begin) {
    struct options options = {.include_prefix = "untouched"};
    const char *error = options_parse(upb_StringView_FromString(parameter), arena, &options);
    cr_assert_not_null(error, "%s was taken", parameter);
    cr_assert_eq(strncmp(error, begin, strlen(begin)), 0, "said \"%s\"", error);
    static const char *const names[] = {"client=", "server=", "descriptors=", "include_prefix="};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        cr_assert_not_null(strstr(error, names[index]), "%s is not told of", names[index]);
    }
    cr_assert_str_eq(options.include_prefix, "untouched");
}

Test(options, what_is_wrong_is_told) {
    expect_error("fast=true", "--grpc-c_opt=fast=true: there is no such option; the options are\n");
    expect_error("server=false,fast", "--grpc-c_opt=fast: an option is NAME=VALUE; ");
    expect_error("server=no", "--grpc-c_opt=server=no: its values are true and false; ");
    expect_error("server=falsely", "--grpc-c_opt=server=falsely: ");
    expect_error("=true", "--grpc-c_opt==true: there is no such option; ");
    expect_error("serve=false", "--grpc-c_opt=serve=false: there is no such option; ");
    expect_error(",server=false", "--grpc-c_opt=: an option is NAME=VALUE; ");
    expect_error("include_prefix=a", "--grpc-c_opt=include_prefix=a: the prefix is a folder and ends with '/'; ");
    expect_error("include_prefix=a\"/", "--grpc-c_opt=include_prefix=a\"/: the prefix ");
    expect_error("client=false,server=false", "--grpc-c_opt=client=false,server=false: nothing would be left; ");
}
