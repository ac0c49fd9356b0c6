/* A histogram of durations in nanoseconds, log-linear like HdrHistogram: 128 steps to a power of
 * two, so that no value is off by more than 0.8 %, over the whole range of 64 bits. Plain memory:
 * it may lie in memory that processes share, and two can be added. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_STEPS_LOG2 7
#define HISTOGRAM_BUCKETS    ((64 - HISTOGRAM_STEPS_LOG2 + 1) << HISTOGRAM_STEPS_LOG2)

struct histogram {
    uint64_t samples, sum_nsec, least_nsec, most_nsec;
    uint64_t count[HISTOGRAM_BUCKETS];
};

void histogram_record(struct histogram *h, uint64_t nsec);
void histogram_add(struct histogram *h, const struct histogram *other);

/* The value that `share` (0 to 1) of all samples do not exceed, in nanoseconds; 0 of none. */
uint64_t histogram_at(const struct histogram *h, double share);

/* Writes `microseconds count share-so-far`, one line for each bucket that is not empty. Returns 0
 * or a negative errno. */
int histogram_write(const struct histogram *h, const char *path);
