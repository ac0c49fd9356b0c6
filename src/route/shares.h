/* One of several, by weight. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The index of the next one. `turn` (`count` numbers, zero in the beginning) is the state of who
 * asks, and belongs to one thread. At least one weight is above 0; of weight 0 it is never. */
size_t shares_pick(const uint32_t *weight, size_t count, int64_t *turn);
