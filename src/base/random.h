/* Pseudo-random numbers for jitter and balancing, never for secrets (xoshiro256**). Seeded by the
 * caller; the same seed gives the same numbers, so tests decide. */
#pragma once

#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t limit); /* 0 to limit - 1; limit > 0 */
