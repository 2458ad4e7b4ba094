#include "tests/bench/random.h"

#include <criterion/criterion.h>
#include <string.h>

Test(random, the_first_numbers_of_splitmix64) {
    /* Published for the seed 1234567. */
    uint64_t state = 1234567;
    cr_assert_eq(random_next(&state), UINT64_C(6457827717110365317));
    cr_assert_eq(random_next(&state), UINT64_C(3203168211198807973));
    cr_assert_eq(random_next(&state), UINT64_C(9817491932198370423));
}

Test(random, below_stays_below_and_reaches_everything) {
    uint64_t state = 7;
    uint32_t seen[10] = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        const uint32_t number = random_below(&state, 10);
        cr_assert_lt(number, 10);
        seen[number]++;
    }
    /* 1,000 expected; ten times the standard deviation of 30. */
    for (uint32_t i = 0; i < 10; i++) cr_assert(seen[i] > 700 && seen[i] < 1300, "%u: %u", i, seen[i]);
    cr_assert_eq(random_below(&state, 1), 0);
}

Test(random, an_id_is_a_uuid_of_version_4) {
    uint64_t state = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        char id[RANDOM_ID_BYTES];
        random_id(&state, id);
        cr_assert_eq(strlen(id), 36);
        for (uint32_t place = 0; place < 36; place++) {
            const bool dash = place == 8 || place == 13 || place == 18 || place == 23;
            cr_assert(dash ? id[place] == '-' : strchr("0123456789abcdef", id[place]) != NULL, "%s", id);
        }
        cr_assert_eq(id[14], '4');
        cr_assert_not_null(strchr("89ab", id[19]));
    }
}

Test(random, the_same_state_gives_the_same_id) {
    uint64_t one = 42;
    uint64_t other = 42;
    char first[RANDOM_ID_BYTES];
    char second[RANDOM_ID_BYTES];
    random_id(&one, first);
    random_id(&other, second);
    cr_assert_str_eq(first, second);
    random_id(&one, first);
    cr_assert_str_neq(first, second);
}
