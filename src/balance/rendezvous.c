/* Each server draws a number for each hash, heavier ones larger ones, and the largest has it:
 * nothing to prepare, nothing to keep, and the least that can move when a server comes or goes.
 * Looks at every server. */
#include "balance/subset.h"

static size_t choose(const void *prepared, const struct candidate *of, size_t count,
                     const struct pick *pick)
{
    size_t best;

    (void)prepared;
    return subset_choose(of, count, pick->hash, 1, &best) ? best : BALANCER_NONE;
}

extern const struct balancer balancer_rendezvous;
const struct balancer balancer_rendezvous = {
    .name = "rendezvous",
    .help = "the server that scores best for the hash (weighted rendezvous hashing)",
    .because = "best score for its hash",
    .choose = choose,
};
