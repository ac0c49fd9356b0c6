/* Smooth weighted round robin (as nginx has it): each one's turn grows by its weight, the one with
 * most is chosen and pays for all. What always holds: the turns sum up to 0, and after as many
 * choices as the weights sum up to, each was chosen exactly by its weight and all turns are 0
 * again; the rarer one's choices lie evenly among them. */
#include "route/shares.h"

size_t shares_pick(const uint32_t *weight, size_t count, int64_t *turn)
{
    size_t best = count;
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        if (!weight[i])
            continue;
        turn[i] += weight[i];
        sum += weight[i];
        if (best == count || turn[i] > turn[best])
            best = i;
    }
    if (best == count)
        return 0;
    turn[best] -= sum;
    return best;
}
