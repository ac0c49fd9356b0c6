/* Intervals are found anew after each one that was due, from what is left of the window and who is
 * left in it; so nothing drifts, and no history is kept. */
#include "proxy/pace.h"

void pace_begin(struct pace *pace, uint64_t now_usec, uint64_t over_usec)
{
    *pace = (struct pace){.until_usec = over_usec < UINT64_MAX - now_usec ? now_usec + over_usec
                                                                          : UINT64_MAX};
}

static uint64_t left_of(const struct pace *pace, uint64_t from_usec)
{
    return pace->until_usec > from_usec ? pace->until_usec - from_usec : 0;
}

/* Half an interval from now; the last one half an interval before the end. */
static void wait_first(struct pace *pace, uint64_t now_usec, size_t waiting)
{
    pace->next_usec = now_usec + left_of(pace, now_usec) / (2 * (uint64_t)waiting);
}

/* One of them is gone, `waiting` are left. */
static void wait_next(struct pace *pace, size_t waiting)
{
    pace->next_usec += left_of(pace, pace->next_usec) / (2 * (uint64_t)waiting + 1) * 2;
}

size_t pace_due(struct pace *pace, uint64_t now_usec, size_t waiting, size_t most)
{
    size_t due = 0;

    if (waiting && !pace->next_usec)
        wait_first(pace, now_usec, waiting);
    while (due < waiting && due < most && pace->next_usec <= now_usec) {
        due++;
        if (due < waiting)
            wait_next(pace, waiting - due);
    }
    if (due == waiting)
        pace->next_usec = 0;
    return due;
}

static size_t common_divisor(size_t a, size_t b)
{
    while (b) {
        size_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Near the golden section, whose multiples keep the largest distances from each other. */
size_t pace_stride(size_t count)
{
    size_t golden = (size_t)((double)count * 0.6180339887498949);

    for (size_t away = 0; away < golden; away++) {
        if (common_divisor(golden - away, count) == 1)
            return golden - away;
        if (common_divisor(golden + away, count) == 1)
            return golden + away;
    }
    return 1;
}

size_t pace_fullest(const struct pace_load *of, size_t count, uint64_t least_total,
                    uint64_t tolerance_percent)
{
    uint64_t total = 0, weights = 0;
    size_t fullest = count;

    for (size_t i = 0; i < count; i++) {
        total += of[i].tunnels;
        weights += of[i].weight;
        if (fullest == count ||
            of[i].tunnels * of[fullest].weight > of[fullest].tunnels * of[i].weight)
            fullest = i;
    }
    if (fullest == count)
        return count;
    if (total < least_total)
        total = least_total;
    double mean = (double)total * of[fullest].weight / (double)weights;
    double most = mean * (1 + (double)tolerance_percent / 100), has = (double)of[fullest].tunnels;
    return has > most && has - 1 >= mean ? fullest : count;
}
