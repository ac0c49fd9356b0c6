/* Sizes are few, so that the size hardly ever changes with the number of servers: another size
 * moves nearly all hashes. Each is prime, as the servers' permutations of the places need it, and a
 * hundred times as large as the servers that it is for, as the paper advises; above 10,000 servers
 * memory counts for more. */
#include "balance/lookup.h"

#include "balance/mix.h"
#include "balance/subset.h"
#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define NOBODY UINT16_MAX

static const uint32_t sizes[] = {65537, 655373, 1000003}; /* 128 KiB to 2 MiB */

struct lookup {
    uint32_t size;
    uint16_t server[];
};

/* One server's way through the places: a permutation of them, from its id alone. */
struct turn {
    uint64_t id;
    uint32_t at, step; /* the next place it would like, and how far to the one after */
    uint32_t weight, credit;
    uint16_t server;
};

static uint32_t size_for(size_t count)
{
    size_t i = 0;

    while (i + 1 < ARRAY_LEN(sizes) && count * 100 > sizes[i])
        i++;
    return sizes[i];
}

static int compare_ids(const void *one, const void *other)
{
    const struct turn *a = one, *b = other;

    return (a->id > b->id) - (a->id < b->id);
}

/* In the order of their ids: the order of the file has no say. Returns the largest weight. */
static uint32_t make_turns(const struct candidate *of, size_t count, uint32_t size,
                           struct turn *ret_turn)
{
    uint32_t largest = 1;

    for (size_t i = 0; i < count; i++) {
        CHECK(of[i].weight >= 1 && of[i].weight <= BALANCER_WEIGHT_MAX);
        ret_turn[i] = (struct turn){
            .id = of[i].id,
            .at = (uint32_t)mix_below(mix_pair(of[i].id, 1), size),
            .step = 1 + (uint32_t)mix_below(mix_pair(of[i].id, 2), size - 1),
            .weight = of[i].weight,
            .server = (uint16_t)i,
        };
        if (of[i].weight > largest)
            largest = of[i].weight;
    }
    qsort(ret_turn, count, sizeof *ret_turn, compare_ids);
    return largest;
}

/* The next place on its way that nobody has yet. */
static void take_place(struct lookup *lookup, struct turn *turn)
{
    uint32_t at = turn->at;

    while (lookup->server[at] != NOBODY) {
        at += turn->step;
        if (at >= lookup->size)
            at -= lookup->size;
    }
    lookup->server[at] = turn->server;
    turn->at = at;
}

/* Round after round, each takes a place; the heaviest in every round, others as often as their
 * weight is to the largest. */
static void fill(struct lookup *lookup, struct turn *turn, size_t count, uint32_t largest)
{
    uint32_t left = lookup->size;

    for (size_t i = 0; left; i = i + 1 == count ? 0 : i + 1) {
        turn[i].credit += turn[i].weight;
        if (turn[i].credit < largest)
            continue;
        turn[i].credit -= largest;
        take_place(lookup, &turn[i]);
        left--;
    }
}

int lookup_new(const struct candidate *of, size_t count, void **ret_lookup)
{
    uint32_t size = count ? size_for(count) : 0;
    struct lookup *lookup = malloc(sizeof *lookup + size * sizeof lookup->server[0]);
    struct turn *turn = calloc(count + 1, sizeof *turn);

    CHECK(count < NOBODY);
    if (!lookup || !turn) {
        free(lookup);
        free(turn);
        return -ENOMEM;
    }
    lookup->size = size;
    for (uint32_t i = 0; i < size; i++)
        lookup->server[i] = NOBODY;
    if (count)
        fill(lookup, turn, count, make_turns(of, count, size, turn));
    free(turn);
    *ret_lookup = lookup;
    return 0;
}

size_t lookup_at(const struct lookup *lookup, uint64_t hash, unsigned try)
{
    return lookup->server[mix_below(try ? mix_pair(hash, try) : hash, lookup->size)];
}

size_t lookup_choose(const void *lookup, const struct candidate *of, size_t count,
                     const struct pick *pick)
{
    size_t best;

    if (count == 0)
        return BALANCER_NONE;
    for (unsigned try = 0; try < LOOKUP_TRIES; try++) {
        size_t at = lookup_at(lookup, pick->hash, try);
        if (of[at].is_open)
            return at;
    }
    return subset_choose(of, count, pick->hash, 1, &best) ? best : BALANCER_NONE;
}
