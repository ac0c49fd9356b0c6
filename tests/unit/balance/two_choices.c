#include "balance/two_choices.c"

#include "base/random.h"
#include "test.h"

#include <math.h>

#define MOST 200

static struct alias *make(struct candidate *ret_of, size_t count, const uint32_t *weight)
{
    void *prepared = NULL;

    for (size_t i = 0; i < count; i++)
        ret_of[i] = (struct candidate){.weight = weight ? weight[i] : 1, .is_open = true};
    EXPECT(prepare(ret_of, count, &prepared) == 0);
    return prepared;
}

/* Every column adds up: what is said of i in all columns together is its weight times the count. */
static void expect_exact(const struct alias *alias, const struct candidate *of, size_t count)
{
    uint64_t share[MOST] = {0};

    for (size_t i = 0; i < count; i++) {
        const struct column *column = &alias->column[i];
        EXPECT(column->mine <= alias->total && column->other < count);
        share[i] += column->mine;
        share[column->other] += alias->total - column->mine;
    }
    for (size_t i = 0; i < count; i++)
        EXPECT(share[i] == (uint64_t)of[i].weight * count);
}

TEST(the_table_is_exact)
{
    uint32_t weight[MOST];
    struct candidate of[MOST];
    struct random random;

    random_init(&random, 1);
    for (unsigned round = 0; round < 1000; round++) {
        size_t count = 1 + (size_t)random_below(&random, MOST);
        for (size_t i = 0; i < count; i++)
            weight[i] = 1 + (uint32_t)random_below(&random, round % 2 ? 256 : 2);
        struct alias *alias = make(of, count, weight);
        expect_exact(alias, of, count);
        free(alias);
    }
}

TEST(of_two_the_quieter_for_its_weight_is_kept)
{
    struct candidate of[2];
    struct alias *alias = make(of, 2, (const uint32_t[]){1, 4});

    of[0].active = 2;
    of[1].active = 7;
    for (uint64_t random = 0; random < 1000; random++)
        EXPECT(choose(alias, of, 2, &(struct pick){.random = random}) == 1);
    of[1].active = 9;
    for (uint64_t random = 0; random < 1000; random++)
        EXPECT(choose(alias, of, 2, &(struct pick){.random = random}) == 0);
    free(alias);
}

/* The busiest of many loses against whomever it is drawn with, the quietest wins: it has both
 * draws. */
TEST(the_busiest_is_never_kept_and_the_quietest_twice_as_often)
{
    struct candidate of[10];
    struct alias *alias = make(of, 10, NULL);
    unsigned got[10] = {0};

    for (uint32_t i = 0; i < 10; i++)
        of[i].active = i;
    for (uint64_t random = 0; random < 100000; random++)
        got[choose(alias, of, 10, &(struct pick){.random = random})]++;
    EXPECT(got[9] == 0);
    EXPECT(got[0] > 19000 && got[0] < 21000); /* 1/10 + 9/10 * 1/9 */
    free(alias);
}

/* Where all are equal, the first draw decides: by weight. Closed ones give theirs to the others, by
 * weight. */
TEST(draws_are_by_weight_also_beside_closed_ones)
{
    static const uint32_t weight[] = {1, 2, 4, 8, 200};
    struct candidate of[5];
    struct alias *alias = make(of, 5, weight);
    unsigned got[5] = {0};

    of[4].is_open = false;
    for (uint64_t random = 0; random < 150000; random++)
        got[choose(alias, of, 5, &(struct pick){.random = random})]++;
    EXPECT(got[4] == 0);
    for (size_t i = 0; i < 4; i++)
        EXPECT(fabs(got[i] - 10000.0 * weight[i]) < 6 * sqrt(10000.0 * weight[i]));
    free(alias);
}

/* A thousand connections that stay, over a hundred servers: the fullest is near the mean. One
 * choice alone would leave it at 20 and more. */
TEST(the_fullest_is_near_the_mean)
{
    struct candidate of[100];
    struct alias *alias = make(of, 100, NULL);

    for (uint64_t i = 0; i < 1000; i++)
        of[choose(alias, of, 100, &(struct pick){.random = mix64(i)})].active++;
    for (size_t i = 0; i < 100; i++)
        EXPECT(of[i].active <= 13);
    free(alias);
}
