/* A server's score is -weight / ln(u), u being a number in (0, 1) of server and key alone: the
 * chance to be best is then its share of all weight, whoever else is there. */
#include "balance/subset.h"

#include <math.h>

static uint64_t stir(uint64_t id, uint64_t key_hash)
{
    uint64_t hash = id ^ (key_hash * 0x9e3779b97f4a7c15u);

    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

double subset_score(uint64_t id, uint32_t weight, uint64_t key_hash)
{
    /* 53 bits, and never 0 or 1 */
    double u = ((double)(stir(id, key_hash) >> 11) + 0.5) * 0x1p-53;

    return -(double)weight / log(u);
}

static bool is_better(double score, uint64_t id, double than, uint64_t than_id)
{
    return score > than || (!(score < than) && id < than_id);
}

size_t subset_choose(const struct candidate *of, size_t count, uint64_t key_hash, size_t want,
                     size_t *ret_index)
{
    double best[SUBSET_MAX];
    size_t found = 0;

    want = want < SUBSET_MAX ? want : SUBSET_MAX;
    for (size_t i = 0; want && i < count; i++) {
        if (!of[i].is_open)
            continue;
        double score = subset_score(of[i].id, of[i].weight, key_hash);
        size_t at = found;
        while (at > 0 && is_better(score, of[i].id, best[at - 1], of[ret_index[at - 1]].id))
            at--;
        if (at == want)
            continue;
        found += found < want;
        for (size_t k = found - 1; k > at; k--) {
            best[k] = best[k - 1];
            ret_index[k] = ret_index[k - 1];
        }
        best[at] = score;
        ret_index[at] = i;
    }
    return found;
}
