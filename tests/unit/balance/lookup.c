/* The table of maglev, ip_hash and bounded_hash. */
#include "balance/lookup.c"

#include "test.h"

#include <math.h>

#define MOST 1000

static struct lookup *table_of(struct candidate *of, size_t count, uint64_t seed, uint32_t weights)
{
    void *lookup = NULL;

    for (size_t i = 0; i < count; i++)
        of[i] = (struct candidate){.id = mix_pair(seed, i),
                                   .weight = 1 + (uint32_t)(mix_pair(seed, ~i) % weights),
                                   .is_open = true};
    EXPECT(lookup_new(of, count, &lookup) == 0);
    return lookup;
}

TEST(mixing_is_splitmix64_s)
{
    EXPECT(mix64(0) == 0xe220a8397b1dcdafu); /* the first numbers of its seed 0 */
    EXPECT(mix64(0x9e3779b97f4a7c15u) == 0x6e789e6aa1b965f4u);
}

TEST(sizes_are_prime_and_large_enough)
{
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (uint32_t divisor = 2; divisor * divisor <= sizes[i]; divisor++)
            EXPECT(sizes[i] % divisor);
    EXPECT(size_for(1) == 65537 && size_for(655) == 65537 && size_for(656) == 655373);
    EXPECT(size_for(10000) == 1000003 && size_for(65000) == 1000003);
}

/* Places are as many as the weight says: the paper's rounds leave no more than one round's
 * difference, and what is left of the last one. */
TEST(places_are_by_weight)
{
    static struct candidate of[MOST];
    static unsigned got[MOST];

    for (uint32_t weights = 1; weights <= 256; weights *= 4) {
        struct lookup *lookup = table_of(of, MOST, weights, weights);
        double total = 0;
        for (size_t i = 0; i < MOST; i++) {
            got[i] = 0;
            total += of[i].weight;
        }
        for (uint32_t at = 0; at < lookup->size; at++) {
            EXPECT(lookup->server[at] < MOST);
            got[lookup->server[at]]++;
        }
        for (size_t i = 0; i < MOST; i++)
            EXPECT(fabs(got[i] - lookup->size * of[i].weight / total) < 2);
        free(lookup);
    }
}

TEST(every_place_can_be_found)
{
    struct candidate of[3];
    struct lookup *lookup = table_of(of, 3, 1, 1);
    unsigned got[3] = {0};

    EXPECT(lookup_at(lookup, 0, 0) == lookup->server[0]);
    EXPECT(lookup_at(lookup, UINT64_MAX, 0) == lookup->server[lookup->size - 1]);
    for (unsigned try = 0; try < LOOKUP_TRIES; try++)
        got[lookup_at(lookup, 42, try)]++;
    EXPECT(got[0] && got[1] && got[2]); /* tries lead elsewhere */
    free(lookup);
}

TEST(none_and_one)
{
    struct candidate of[1];
    struct lookup *none = table_of(of, 0, 1, 1), *one = table_of(of, 1, 1, 1);
    const struct pick pick = {.hash = 9};

    EXPECT(lookup_choose(none, of, 0, &pick) == BALANCER_NONE);
    EXPECT(lookup_choose(one, of, 1, &pick) == 0);
    of[0].is_open = false;
    EXPECT(lookup_choose(one, of, 1, &pick) == BALANCER_NONE);
    free(none);
    free(one);
}

/* With one open of a thousand, all tries miss it. */
TEST(what_no_try_finds_is_found)
{
    static struct candidate of[MOST];
    struct lookup *lookup = table_of(of, MOST, 5, 10);

    for (size_t i = 0; i < MOST; i++)
        of[i].is_open = i == 777;
    for (uint64_t key = 0; key < 100; key++)
        EXPECT(lookup_choose(lookup, of, MOST, &(struct pick){.hash = mix64(key)}) == 777);
    free(lookup);
}
