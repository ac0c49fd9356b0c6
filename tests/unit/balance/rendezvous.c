#include "balance/rendezvous.c"

#include "balance/mix.h"
#include "test.h"

TEST(it_is_the_first_of_the_set)
{
    struct candidate of[20];
    size_t set[5];

    for (size_t i = 0; i < 20; i++)
        of[i] =
            (struct candidate){.id = mix64(i), .weight = 1 + (uint32_t)i, .is_open = i % 3 != 0};
    for (uint64_t key = 0; key < 1000; key++) {
        EXPECT(subset_choose(of, 20, mix64(key), 5, set) == 5);
        EXPECT(choose(NULL, of, 20, &(struct pick){.hash = mix64(key)}) == set[0]);
    }
}

/* All nodes of all versions must agree: another answer here is another answer for every session. */
TEST(it_is_what_it_was)
{
    static const char expected[] = "beeedeededcebedddaddaeaedddcddec";
    struct candidate of[5];

    for (size_t i = 0; i < 5; i++)
        of[i] = (struct candidate){.id = mix64(i), .weight = 1 + (uint32_t)i, .is_open = true};
    for (uint64_t key = 0; expected[key]; key++)
        EXPECT(choose(NULL, of, 5, &(struct pick){.hash = mix64(key)}) ==
               (size_t)(expected[key] - 'a'));
}
