/* A score is w / -ln(u), u the pair's hash as a number between 0 and 1. The logarithm is worked out
 * in whole numbers: floating point may be contracted differently on another kind of machine, and
 * all nodes must find the same set. It is only worked out for those that may be among the best. */
#include "balance/subset.h"

#include "balance/mix.h"

/* Numbers with 60 binary digits behind the point. */
#define ONE   (INT64_C(1) << 60)
#define LN_2  INT64_C(799144290325165978)  /* ln 2 */
#define SQRT2 INT64_C(1630477228166597776) /* the square root of 2 */

static int64_t multiply(int64_t a, int64_t b)
{
    return (int64_t)(((__int128)a * b) >> 60);
}

/* a / b for |a| < b, to 31 digits behind the first that is not 0. */
static int64_t divide(int64_t a, int64_t b)
{
    uint64_t upper = (uint64_t)(a < 0 ? -a : a);

    if (upper == 0)
        return 0;
    int shift = __builtin_clzll(upper);
    uint64_t quotient = (upper << shift) / ((uint64_t)b >> 29);
    int64_t result = (int64_t)(shift < 31 ? quotient << (31 - shift) : quotient >> (shift - 31));
    return a < 0 ? -result : result;
}

/* ln m, for m between sqrt(1/2) and sqrt(2): twice the inverse hyperbolic tangent of (m-1)/(m+1),
 * by its series; what is cut off is below 2^-30 of it. */
static int64_t ln_near_one(int64_t m)
{
    int64_t z = divide(m - ONE, m + ONE), square = multiply(z, z);
    int64_t sum = ONE / 13;

    for (int64_t odd = 11; odd >= 1; odd -= 2)
        sum = ONE / odd + multiply(sum, square);
    return 2 * multiply(z, sum);
}

/* -ln of (hash + 1/2) / 2^64, above 0. */
static uint64_t minus_ln(uint64_t hash)
{
    int zeros = hash ? __builtin_clzll(hash) : 63;
    int64_t m = (int64_t)((hash << zeros) >> 4); /* 1/2 to 1 */

    if (m < ONE / 2)
        m = ONE / 2; /* hash 0: as if it were 1 */
    int64_t ln = m < SQRT2 / 2 ? ln_near_one(2 * m) - LN_2 : ln_near_one(m);
    /* 64 * ln 2 does not fit behind 60 digits: 56 are enough */
    int64_t minus = (zeros * (LN_2 >> 4)) - (ln >> 4);
    return minus > 0 ? (uint64_t)minus : 1;
}

static double score_of(uint64_t hash, uint32_t weight)
{
    return (double)weight / (double)minus_ln(hash);
}

double subset_score(uint64_t id, uint32_t weight, uint64_t key_hash)
{
    return score_of(mix_pair(key_hash, id), weight);
}

struct rank {
    uint64_t hash, id;
    double score;
    uint32_t weight;
    size_t index;
};

/* Of one weight the hash itself decides: where the logarithm's pieces meet, it may go back by its
 * last digits. */
static bool is_better(const struct rank *a, const struct rank *b)
{
    if (a->weight == b->weight && a->hash != b->hash)
        return a->hash > b->hash;
    if (a->score > b->score || a->score < b->score)
        return a->score > b->score;
    return a->id < b->id;
}

/* Whether it cannot be among them, seen without a logarithm: -ln u is never below 1 - u, and near
 * there where u is near 1, as that of the best is. The rest is for the logarithm's last digits. */
static bool is_hopeless(const struct rank *last, uint64_t hash, uint32_t weight)
{
    double least_minus_ln = (double)(~hash >> 8);

    return (double)weight * 1.000001 < last->score * least_minus_ln;
}

static void insert(struct rank *best, size_t have, const struct rank *rank)
{
    size_t at = have;

    while (at > 0 && is_better(rank, &best[at - 1])) {
        best[at] = best[at - 1];
        at--;
    }
    best[at] = *rank;
}

size_t subset_choose(const struct candidate *of, size_t count, uint64_t key_hash, size_t want,
                     size_t *ret_index)
{
    struct rank best[SUBSET_MAX];
    uint64_t key = mix64(key_hash);
    size_t have = 0;

    if (want > SUBSET_MAX)
        want = SUBSET_MAX;
    for (size_t i = 0; want && i < count; i++) {
        if (!of[i].is_open)
            continue;
        struct rank rank = {
            .hash = mix64(key ^ of[i].id), .id = of[i].id, .weight = of[i].weight, .index = i};
        if (have == want && is_hopeless(&best[have - 1], rank.hash, rank.weight))
            continue;
        rank.score = score_of(rank.hash, rank.weight);
        if (have < want)
            insert(best, have++, &rank);
        else if (is_better(&rank, &best[have - 1]))
            insert(best, have - 1, &rank);
    }
    for (size_t i = 0; i < have; i++)
        ret_index[i] = best[i].index;
    return have;
}
