#include "balance/subset.c"

#include "base/random.h"
#include "test.h"

#include <math.h>
#include <string.h>

#define MOST 40

static void make(struct candidate *ret_of, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        ret_of[i] = (struct candidate){.id = mix_pair(seed, i), .weight = 1, .is_open = true};
}

/* --- the logarithm
 * -------------------------------------------------------------------------------------------- */

TEST(the_logarithm_is_right)
{
    struct random random;

    random_init(&random, 1);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t hash = random_next(&random) >> random_below(&random, 64);
        if (i % 3 == 0)
            hash = ~hash; /* near one, where the best of many are */
        if (hash < 2 || hash > UINT64_MAX - (1 << 20))
            continue;
        long double exact = -(logl((long double)hash) - 64 * logl(2.0L));
        long double got = (long double)minus_ln(hash) / (long double)(INT64_C(1) << 56);
        EXPECT(fabsl(got - exact) < exact * 2e-9L + 1e-15L);
    }
}

TEST(the_logarithm_never_ends_at_nothing)
{
    EXPECT(minus_ln(UINT64_MAX) >= 1);
    EXPECT(minus_ln(0) == minus_ln(1));
    EXPECT(minus_ln(1) > minus_ln(2));
}

/* Where it is cut into pieces it goes on, but for its last digits. */
static void expect_no_jump(uint64_t at)
{
    uint64_t before = minus_ln(at - 2), after = minus_ln(at + 2);

    EXPECT(after <= before + before / 1000000000);
}

TEST(a_larger_hash_scores_no_less)
{
    for (unsigned bit = 4; bit < 64; bit++) {
        expect_no_jump(UINT64_C(1) << bit);
        expect_no_jump((uint64_t)((double)(UINT64_C(1) << bit) * 1.41421356237));
    }
}

/* --- the set
 * --------------------------------------------------------------------------------------------------
 */

/* As plain as it can be: all scores, the best taken out one by one. */
static size_t choose_plainly(const struct candidate *of, size_t count, uint64_t key, size_t want,
                             size_t *ret_index)
{
    bool taken[MOST] = {false};
    size_t have = 0;

    for (; have < want; have++) {
        size_t best = MOST;
        for (size_t i = 0; i < count; i++)
            if (of[i].is_open && !taken[i] &&
                (best == MOST || subset_score(of[i].id, of[i].weight, key) >
                                     subset_score(of[best].id, of[best].weight, key)))
                best = i;
        if (best == MOST)
            break;
        taken[best] = true;
        ret_index[have] = best;
    }
    return have;
}

TEST(the_best_are_found_and_only_open_ones)
{
    struct candidate of[MOST];
    size_t got[MOST], expected[MOST];
    struct random random;

    random_init(&random, 2);
    for (unsigned i = 0; i < 20000; i++) {
        size_t count = (size_t)random_below(&random, MOST + 1);
        size_t want = (size_t)random_below(&random, MOST);
        make(of, count, i);
        for (size_t k = 0; k < count; k++) {
            of[k].weight = 1 + (uint32_t)random_below(&random, i % 2 ? 256 : 2);
            of[k].is_open = random_below(&random, 4) > 0;
        }
        uint64_t key = random_next(&random);
        size_t have = subset_choose(of, count, key, want, got);
        EXPECT(have == choose_plainly(of, count, key, want, expected));
        EXPECT(memcmp(got, expected, have * sizeof got[0]) == 0);
    }
}

TEST(no_more_than_fit)
{
    struct candidate of[100];
    size_t got[SUBSET_MAX];

    make(of, 100, 3);
    EXPECT(subset_choose(of, 100, 7, 1000, got) == SUBSET_MAX);
    EXPECT(subset_choose(of, 0, 7, 2, got) == 0);
    EXPECT(subset_choose(of, 100, 7, 0, got) == 0);
}

TEST(the_order_of_the_file_does_not_matter)
{
    struct candidate of[MOST], turned[MOST];
    size_t a[3], b[3];

    make(of, MOST, 4);
    for (size_t i = 0; i < MOST; i++)
        turned[i] = of[MOST - 1 - i];
    for (uint64_t key = 0; key < 1000; key++) {
        EXPECT(subset_choose(of, MOST, key, 3, a) == 3);
        EXPECT(subset_choose(turned, MOST, key, 3, b) == 3);
        for (size_t i = 0; i < 3; i++)
            EXPECT(of[a[i]].id == turned[b[i]].id);
    }
}

/* Of sets of one, each server's share is as its weight says. */
TEST(weights_are_shares)
{
    enum { KEYS = 200000 };
    struct candidate of[4];
    unsigned got[4] = {0};
    size_t index;

    make(of, 4, 5);
    for (size_t i = 0; i < 4; i++)
        of[i].weight = 1u << i; /* 1 2 4 8 */
    for (uint64_t key = 0; key < KEYS; key++) {
        EXPECT(subset_choose(of, 4, mix64(key), 1, &index) == 1);
        got[index]++;
    }
    for (size_t i = 0; i < 4; i++)
        EXPECT(fabs(got[i] - KEYS / 15.0 * of[i].weight) < 5 * sqrt(KEYS / 15.0 * of[i].weight));
}

static bool holds(const size_t *index, size_t count, size_t wanted)
{
    for (size_t i = 0; i < count; i++)
        if (index[i] == wanted)
            return true;
    return false;
}

/* Whether the room's set is another with the eleventh server: then it takes that one in, in the
 * place of one that was there. */
static bool changes(struct candidate of[11], uint64_t room)
{
    size_t before[2], after[2];

    EXPECT(subset_choose(of, 10, mix64(room), 2, before) == 2);
    EXPECT(subset_choose(of, 11, mix64(room), 2, after) == 2);
    bool is_same = holds(before, 2, after[0]) && holds(before, 2, after[1]);
    EXPECT(is_same != holds(after, 2, 10));
    EXPECT(is_same || holds(before, 2, after[after[0] == 10]));
    return !is_same;
}

/* Nearly the least that can change does: 2/11 of 10,000. */
TEST(a_server_more_changes_only_the_sets_that_it_joins)
{
    enum { ROOMS = 10000 };
    struct candidate of[11];

    for (uint64_t seed = 0; seed < 20; seed++) {
        unsigned changed = 0;
        make(of, 11, seed);
        for (uint64_t room = 0; room < ROOMS; room++)
            changed += changes(of, room);
        EXPECT(changed > ROOMS * (2.0 / 11 - 0.02) && changed < ROOMS * (2.0 / 11 + 0.05));
    }
}

/* One that goes, or closes, is replaced where it was, and nothing else changes. */
TEST(a_server_less_changes_only_its_own_sets)
{
    struct candidate of[11];
    size_t before[3], after[3];

    make(of, 11, 6);
    for (uint64_t key = 0; key < 10000; key++) {
        of[4].is_open = true;
        subset_choose(of, 11, key, 3, before);
        of[4].is_open = false;
        subset_choose(of, 11, key, 3, after);
        size_t kept = 0;
        for (size_t i = 0; i < 3; i++)
            if (before[i] != 4)
                EXPECT(after[kept++] == before[i]);
        EXPECT(kept == (holds(before, 3, 4) ? 2u : 3u));
    }
}
