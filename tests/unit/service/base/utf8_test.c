/* Text or not: compared with the definition of every character, and with what is none. */
#include "service/base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

#define CHARACTER_MAX 0x10ffffu

/* The bytes of a number in the form that UTF-8 gives to numbers of so many bytes, shortest or not. */
static size_t encode(uint32_t number, size_t size, char out[4]) {
    static const uint8_t marks[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t index = size; index-- > 1; number >>= 6) out[index] = (char)(0x80 | (number & 0x3f));
    out[0] = (char)(marks[size] | number);
    return size;
}

static size_t shortest(uint32_t number) {
    return number < 0x80 ? 1 : number < 0x800 ? 2 : number < 0x10000 ? 3 : 4;
}

Test(utf8, every_character_is_text_in_its_shortest_form_alone) {
    for (uint32_t number = 0; number <= CHARACTER_MAX + 0x10000; number++) {
        const bool is_character = number <= CHARACTER_MAX && !(number >= 0xd800 && number <= 0xdfff);
        for (size_t size = shortest(number); size <= 4; size++) {
            char bytes[4];
            encode(number, size, bytes);
            const bool expected = is_character && size == shortest(number);
            cr_assert_eq(utf8_is_valid(bytes_of(bytes, size)), expected, "U+%04X in %zu bytes", number, size);
        }
    }
}

Test(utf8, a_character_that_is_cut_off_is_no_text) {
    static const uint32_t numbers[] = {0x80, 0x7ff, 0x800, 0xffff, 0x10000, CHARACTER_MAX};
    for (size_t index = 0; index < sizeof numbers / sizeof numbers[0]; index++) {
        char bytes[5] = "a";
        const size_t size = encode(numbers[index], shortest(numbers[index]), bytes + 1);
        cr_assert(utf8_is_valid(bytes_of(bytes, 1 + size)));
        for (size_t cut = 1; cut < size; cut++) cr_assert_not(utf8_is_valid(bytes_of(bytes, 1 + cut)));
    }
}

Test(utf8, bytes_that_begin_nothing_are_no_text) {
    for (unsigned byte = 0x80; byte <= 0xff; byte++) {
        const char alone[] = {(char)byte};
        const char among[] = {'a', (char)byte, 'b', 'c', 'd'};
        cr_assert_not(utf8_is_valid(bytes_of(alone, sizeof alone)), "%02x", byte);
        cr_assert_not(utf8_is_valid(bytes_of(among, sizeof among)), "%02x", byte);
    }
}

Test(utf8, a_character_goes_on_with_its_own_bytes) {
    static const char *const bad[] = {"\xc3(",         "\xe2(\xac",     "\xe2\x82(",        "\xf0(\x9f\x93",
                                      "\xf0\x9f(\x93", "\xf0\x9f\x93(", "\xe2\x82\xc3\xa9", "\xc3\xa9\x80"};
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        cr_assert_not(utf8_is_valid(bytes_of_text(bad[index])), "%zu", index);
    }
}

Test(utf8, nothing_and_any_mixture_are_text) {
    cr_assert(utf8_is_valid(bytes_of(NULL, 0)));
    cr_assert(utf8_is_valid(bytes_of("", 0)));
    cr_assert(utf8_is_valid(bytes_of("\0", 1)));
    cr_assert(utf8_is_valid(bytes_of_text("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\x94z\x7f")));
}
