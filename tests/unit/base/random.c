#include "base/random.c"

#include "test.h"

TEST(the_same_seed_gives_the_same_numbers_and_another_seed_others)
{
    struct random a, b, c;

    random_init(&a, 7);
    random_init(&b, 7);
    random_init(&c, 8);
    uint64_t first = random_next(&a);
    EXPECT(first == random_next(&b) && first != random_next(&c));
}

TEST(below_a_limit_is_below_it_and_reaches_everywhere)
{
    struct random r;
    unsigned seen[10] = {0};

    random_init(&r, 1);
    for (int i = 0; i < 10000; i++) {
        uint64_t n = random_below(&r, 10);
        EXPECT(n < 10);
        seen[n]++;
    }
    for (int i = 0; i < 10; i++)
        EXPECT(seen[i] > 800 && seen[i] < 1200);
}
