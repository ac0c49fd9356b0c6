/* The few servers that a key's connections go to: weighted rendezvous hashing (Thaler and
 * Ravishankar, 1998; weights after Schindelhauer and Schomaker, 2005). Every node finds the same
 * set, without a table; who comes or goes changes only the sets it joins or leaves. */
#pragma once

#include "balance/balancer.h"

#define SUBSET_MAX 64

/* The `want` (SUBSET_MAX at most) best of the open candidates for that key, best first; of equals
 * that with the smaller id. Returns how many there are: fewer when fewer are open. */
size_t subset_choose(const struct candidate *of, size_t count, uint64_t key_hash, size_t want,
                     size_t *ret_index);

/* How well a server suits a key: larger is better, in proportion to its weight on average. */
double subset_score(uint64_t id, uint32_t weight, uint64_t key_hash);
