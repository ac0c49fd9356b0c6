/* Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): the hash's own
 * server, unless it serves a quarter more than its share already; then the hash's next one. So a
 * hash that everyone has cannot drown a server, and others stay where they are. The next one is
 * another place in the table instead of the neighbour on a ring, so that what one server cannot
 * take is spread over all (Chen, Coleman and Shrivastava, 2021).
 *
 * What always holds: nobody is chosen who then serves more than 5/4 of the mean by weight, rounded
 * up; someone always may be. */
#include "balance/lookup.h"

#include "balance/subset.h"

#include <stdlib.h>

struct bound {
    uint64_t active, weight; /* of all open ones, with the one that is to come */
};

/* (a->active + 1) <= ceil(5/4 * bound.active * weight / bound.weight), without a division. Nothing
 * wraps: 65535 servers have less than 2^48 connections and 2^24 of weight. */
static bool has_room(const struct bound *bound, const struct candidate *candidate)
{
    return 4 * (uint64_t)candidate->active * bound->weight < 5 * bound->active * candidate->weight;
}

/* The best by rendezvous among those that have room: for when all tries met full or closed ones. */
static size_t choose_from_all(const struct bound *bound, const struct candidate *of, size_t count,
                              uint64_t hash)
{
    size_t best = BALANCER_NONE;
    double most = 0;

    for (size_t i = 0; i < count; i++) {
        if (!of[i].is_open || !has_room(bound, &of[i]))
            continue;
        double score = subset_score(of[i].id, of[i].weight, hash);
        if (best == BALANCER_NONE || score > most) {
            best = i;
            most = score;
        }
    }
    return best;
}

static size_t choose(const void *prepared, const struct candidate *of, size_t count,
                     const struct pick *pick)
{
    struct bound bound = {.active = 1};

    for (size_t i = 0; i < count; i++) {
        bound.active += of[i].is_open ? of[i].active : 0;
        bound.weight += of[i].is_open ? of[i].weight : 0;
    }
    if (bound.weight == 0)
        return BALANCER_NONE;
    for (unsigned try = 0; try < LOOKUP_TRIES; try++) {
        size_t at = lookup_at(prepared, pick->hash, try);
        if (of[at].is_open && has_room(&bound, &of[at]))
            return at;
    }
    return choose_from_all(&bound, of, count, pick->hash);
}

extern const struct balancer balancer_bounded_hash;
const struct balancer balancer_bounded_hash = {
    .name = "bounded_hash",
    .help = "the hash's own server, or its next one where that serves 5/4 of its share already",
    .because = "first for its hash that is not too full",
    .prepare = lookup_new,
    .discard = free,
    .choose = choose,
};
