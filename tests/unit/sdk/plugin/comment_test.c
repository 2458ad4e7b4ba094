/* Comments of protos cannot break out of comments of C, nor command Doxygen. */
#include <criterion/criterion.h>
#include <string.h>

#include "sdk/plugin/comment.h"

static upb_Arena *arena;
static struct writer writer;

static void setup(void) {
    arena = upb_Arena_New();
    writer_init(&writer, arena);
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(comment, .init = setup, .fini = teardown);

static void expect_written(const char *text) {
    const upb_StringView written = writer_text(&writer);
    cr_assert_eq(written.size, strlen(text), "wrote \"%.*s\"", (int)written.size, written.data);
    cr_assert_eq(memcmp(written.data, text, written.size), 0, "wrote \"%.*s\"", (int)written.size, written.data);
}

static void expect(const char *comment, const char *text) {
    writer_init(&writer, arena);
    write_comment(&writer, &(struct comment){.text = upb_StringView_FromString(comment)}, "");
    expect_written(text);
}

Test(comment, keeps_its_lines) {
    write_comment(&writer, &(struct comment){.text = upb_StringView_FromString(" One.\n\n Two.  \n")}, "  ");
    expect_written("  /** One.\n   *\n   * Two. */\n");
}

Test(comment, a_block_of_two_stars_is_none_of_three) {
    expect("*\n One.\n Two. ", "/** One.\n * Two. */\n");
    expect("* One. ", "/** One. */\n");
}

Test(comment, none_writes_nothing) {
    expect("", "");
    expect("\n \n", "");
}

Test(comment, none_falls_back) {
    write_comment(&writer, &(struct comment){.fallback = "Calls it."}, "");
    expect_written("/** Calls it. */\n");
}

Test(comment, says_what_is_deprecated) {
    write_comment(&writer, &(struct comment){.text = upb_StringView_FromString(" One."), .deprecated = true}, "  ");
    expect_written("  /** One.\n   *\n   * @deprecated Its proto says so. */\n");
    writer_init(&writer, arena);
    write_comment(&writer, &(struct comment){.deprecated = true}, "");
    expect_written("/** @deprecated Its proto says so. */\n");
}

Test(comment, cannot_end_or_begin_another) {
    expect(" */ int x; /* y **/ z /*/", "/** * / int x; / * y ** / z / * / */\n");
    expect(" *\n/ int x;", "/** *\n * int x; */\n");
    expect("/ three slashes\n// four", "/** three slashes\n * four */\n");
    expect(" ends with *", "/** ends with * */\n");
    expect(" a trigraph *?\?/\n/ int x;", "/** a trigraph *? ?/\n * int x; */\n");
    expect(" `*/ in code`", "/** `* / in code` */\n");
}

Test(comment, cannot_command_doxygen) {
    expect(" @param x \\return y", "/** \\@param x \\\\return y */\n");
    expect(" a <id>, </id>, <!--, 1 < 2", "/** a \\<id>, \\</id>, \\<!--, 1 < 2 */\n");
    expect(" &amp; &#38; a & b", "/** \\&amp; \\&#38; a & b */\n");
    expect(" #link %word #1 100%", "/** \\#link \\%word #1 100% */\n");
}

Test(comment, code_stays_as_it_is) {
    expect(" `<id> @ \\ #x`, but `<id", "/** `<id> @ \\ #x`, but `\\<id */\n");
    expect(" `a` <b> `c`", "/** `a` \\<b> `c` */\n");
}

Test(comment, bytes_that_are_no_text) {
    write_comment(&writer, &(struct comment){.text = upb_StringView_FromDataAndSize(" a\0b", 4)}, "");
    expect_written("/** ab */\n");
}
