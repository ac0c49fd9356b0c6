/* A table that says for each hash which server is its own, each server as often as its weight says:
 * Maglev's (Eisenbud and others, NSDI 2016, section 3.4). When a server comes or goes, its share of
 * the hashes moves and hardly any other. Worked out once for a set of ids and weights, whatever
 * their order; immutable. */
#pragma once

#include "balance/balancer.h"

struct lookup;

/* For `prepare`. 0 or -ENOMEM; at most 65535 candidates. */
int lookup_new(const struct candidate *of, size_t count, void **ret_lookup);

/* How many tables a hash may be looked up in: the second and later ones are the same table at other
 * places, for who finds its own server closed. */
#define LOOKUP_TRIES 32
/* Index of the server that is the hash's own at that try, from 0. There must be one. */
size_t lookup_at(const struct lookup *lookup, uint64_t hash, unsigned try);

/* The first open one of the tries; when all are closed, the best open one by rendezvous. */
size_t lookup_choose(const void *lookup, const struct candidate *of, size_t count,
                     const struct pick *pick);
