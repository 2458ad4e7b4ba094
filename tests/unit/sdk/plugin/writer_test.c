/* Text that grows. */
#include <criterion/criterion.h>
#include <string.h>

#include "sdk/plugin/writer.h"

static upb_Arena *arena;
static struct writer writer;

static void setup(void) {
    arena = upb_Arena_New();
    writer_init(&writer, arena);
}

static void teardown(void) {
    upb_Arena_Free(arena);
}

TestSuite(writer, .init = setup, .fini = teardown);

static void expect(const char *text) {
    const upb_StringView written = writer_text(&writer);
    cr_assert_eq(written.size, strlen(text), "wrote \"%.*s\"", (int)written.size, written.data);
    cr_assert_eq(memcmp(written.data, text, written.size), 0, "wrote \"%.*s\"", (int)written.size, written.data);
}

Test(writer, writes_in_order) {
    write_format(&writer, "%s %d", "one", 2);
    write_format(&writer, ";\n");
    expect("one 2;\n");
}

Test(writer, grows_as_far_as_needed) {
    for (int count = 0; count < 10000; count++) write_format(&writer, "%010d", count);
    const upb_StringView written = writer_text(&writer);
    cr_assert_eq(written.size, 100000);
    cr_assert_eq(memcmp(written.data + 99990, "0000009999", 10), 0);
}

Test(writer, bytes_are_taken_as_they_are) {
    write_bytes(&writer, "%s", 2);
    write_format(&writer, "%c", '!');
    expect("%s!");
}
