/* The bucket of a value is its highest bit and the seven below: one count of leading zeros and one
 * shift, no search. A bucket answers with its middle, the ends of the range are kept exactly. */
#include "histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define STEPS (1u << HISTOGRAM_STEPS_LOG2)

static unsigned bucket_of(uint64_t nsec)
{
    if (nsec < STEPS)
        return (unsigned)nsec;

    unsigned shift = 63u - (unsigned)__builtin_clzll(nsec) - HISTOGRAM_STEPS_LOG2;
    return ((shift + 1) << HISTOGRAM_STEPS_LOG2) + (unsigned)(nsec >> shift & (STEPS - 1));
}

static uint64_t middle_of(unsigned bucket)
{
    unsigned high = bucket >> HISTOGRAM_STEPS_LOG2, low = bucket & (STEPS - 1);

    if (high == 0)
        return low;
    return ((uint64_t)(STEPS | low) << (high - 1)) + (((uint64_t)1 << (high - 1)) >> 1);
}

void histogram_record(struct histogram *h, uint64_t nsec)
{
    if (!h->samples || nsec < h->least_nsec)
        h->least_nsec = nsec;
    if (nsec > h->most_nsec)
        h->most_nsec = nsec;
    h->samples++;
    h->sum_nsec += nsec;
    h->count[bucket_of(nsec)]++;
}

void histogram_add(struct histogram *h, const struct histogram *other)
{
    if (!other->samples)
        return;
    if (!h->samples || other->least_nsec < h->least_nsec)
        h->least_nsec = other->least_nsec;
    if (other->most_nsec > h->most_nsec)
        h->most_nsec = other->most_nsec;
    h->samples += other->samples;
    h->sum_nsec += other->sum_nsec;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->count[i] += other->count[i];
}

uint64_t histogram_at(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)((double)h->samples * share), seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->count[i];
        if (seen > wanted) {
            uint64_t middle = middle_of(i);
            return middle > h->most_nsec ? h->most_nsec : middle;
        }
    }
    return h->most_nsec;
}

int histogram_write(const struct histogram *h, const char *path)
{
    FILE *file = fopen(path, "w");
    uint64_t seen = 0;

    if (!file)
        return -errno;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->count[i];
        if (h->count[i])
            fprintf(file, "%.3f %" PRIu64 " %.6f\n", (double)middle_of(i) / 1000, h->count[i],
                    (double)seen / (double)h->samples);
    }
    return fclose(file) ? -errno : 0;
}
