/* When, and in what order, many things are ended over a while. Pure: told the time, it says how
 * many are due.
 *
 * What always holds: as long as nobody leaves by himself the intervals are equal, the first and the
 * last half an interval from the window's ends; who leaves makes those that are left spread over
 * what is left of the window; who is late to a window that is over is due at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pace {
    uint64_t until_usec;
    uint64_t next_usec; /* when the next one is due; 0: nobody waits */
};

void pace_begin(struct pace *pace, uint64_t now_usec, uint64_t over_usec);

/* How many of the `waiting` are due by now: `most` at most. They count as gone afterwards. */
size_t pace_due(struct pace *pace, uint64_t now_usec, size_t waiting, size_t most);

/* An order that mixes: a step through `count` places that meets each once and lands far from where
 * it was, so that the old and the new end alike. Place k of it is k * stride modulo count. */
size_t pace_stride(size_t count);
static inline size_t pace_place(size_t k, size_t stride, size_t count)
{
    return (size_t)((unsigned __int128)k * stride % count);
}

/* A server's share of tunnels. */
struct pace_load {
    uint64_t tunnels; /* those that are being closed already are none */
    uint32_t weight;  /* at least 1 */
};

/* Whose next tunnel is to be closed so that nobody has more than the mean by weight and
 * `tolerance_percent` of it: the fullest. `count`: nobody's. `least_total`: the mean is of so many
 * tunnels at least, so that who was closed and has not come back yet does not lower it. Nobody is
 * brought below the mean. */
size_t pace_fullest(const struct pace_load *of, size_t count, uint64_t least_total,
                    uint64_t tolerance_percent);
