#include "route/shares.c"

#include "base/random.h"

#include "test.h"

#include <string.h>

TEST(choices_are_exact_and_lie_evenly)
{
    const uint32_t weight[] = {95, 5};
    int64_t turn[2] = {0};
    size_t rare = 0, last = 0;

    for (size_t i = 1; i <= 1000; i++) {
        if (shares_pick(weight, 2, turn) == 0)
            continue;
        EXPECT(rare++ == 0 || i - last == 20);
        last = i;
        if (i % 100 == 0)
            EXPECT(rare == i / 20);
    }
    EXPECT(rare == 50 && turn[0] == 0 && turn[1] == 0);
}

/* Whatever the weights: after each round of their sum every one had its share; never two rounds of
 * one apart from it. */
TEST(every_round_is_exact)
{
    struct random random;

    random_init(&random, 7);
    for (unsigned round = 0; round < 200; round++) {
        uint32_t weight[8], sum = 0, taken[8] = {0};
        int64_t turn[8] = {0};
        size_t count = 1 + random_below(&random, 8);
        for (size_t i = 0; i < count; i++)
            sum += weight[i] = (uint32_t)random_below(&random, 30);
        if (sum == 0)
            continue;
        for (uint32_t k = 0; k < 3 * sum; k++)
            taken[shares_pick(weight, count, turn)]++;
        for (size_t i = 0; i < count; i++)
            EXPECT(taken[i] == 3 * weight[i] && turn[i] == 0);
    }
}

TEST(of_weight_0_it_is_never)
{
    const uint32_t weight[] = {0, 1, 0};
    int64_t turn[3] = {0};

    for (int i = 0; i < 100; i++)
        EXPECT(shares_pick(weight, 3, turn) == 1);
}
