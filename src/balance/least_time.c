/* The server where a request would be answered soonest: how long it takes to answer, times what it
 * would have to do, for its weight. One whose time is not known is asked first, but only once at a
 * time: until it has answered it counts as the slowest. And time is forgotten in one choice of 64,
 * or a server that was slow once would never be asked again and stay slow for ever. */
#include "balance/balancer.h"

#define FORGETS_EVERY 64

struct cost {
    uint64_t usec_active; /* below 2^64: 32 bits of each, and no more than their product */
    uint32_t weight;
};

/* Of an unknown, busy one: the slowest that is known. */
static uint32_t slowest_of(const struct candidate *of, size_t count)
{
    uint32_t slowest = 1;

    for (size_t i = 0; i < count; i++)
        if (of[i].is_open && of[i].latency_usec > slowest)
            slowest = of[i].latency_usec;
    return slowest;
}

static struct cost cost_of(const struct candidate *candidate, uint32_t unknown, bool forgets)
{
    uint64_t usec = forgets                   ? 1
                    : candidate->latency_usec ? candidate->latency_usec
                    : candidate->active       ? unknown
                                              : 0;

    return (struct cost){usec * ((uint64_t)candidate->active + 1), candidate->weight};
}

/* Below, at or above zero as a is sooner, as soon or later. */
static int compare(const struct cost *a, const struct cost *b)
{
    unsigned __int128 one = (unsigned __int128)a->usec_active * b->weight;
    unsigned __int128 other = (unsigned __int128)b->usec_active * a->weight;

    return (one > other) - (one < other);
}

/* The least cost, the first candidate that has it, and how many have. */
struct least {
    struct cost cost;
    size_t first, equals;
};

static struct least find_least(const struct candidate *of, size_t count, uint32_t unknown,
                               bool forgets)
{
    struct least least = {.first = BALANCER_NONE};

    for (size_t i = 0; i < count; i++) {
        if (!of[i].is_open)
            continue;
        struct cost cost = cost_of(&of[i], unknown, forgets);
        int order = least.first == BALANCER_NONE ? -1 : compare(&cost, &least.cost);
        if (order < 0)
            least = (struct least){cost, i, 1};
        else if (order == 0)
            least.equals++;
    }
    return least;
}

static size_t choose(const void *prepared, const struct candidate *of, size_t count,
                     const struct pick *pick)
{
    bool forgets = pick->turn % FORGETS_EVERY == FORGETS_EVERY - 1;
    uint32_t unknown = slowest_of(of, count);
    struct least least = find_least(of, count, unknown, forgets);

    (void)prepared;
    if (least.first == BALANCER_NONE)
        return BALANCER_NONE;
    for (uint64_t turns = pick->turn % least.equals, at = least.first;; at++) {
        struct cost cost = cost_of(&of[at], unknown, forgets); /* equals take turns exactly */
        if (of[at].is_open && compare(&cost, &least.cost) == 0 && turns-- == 0)
            return at;
    }
}

extern const struct balancer balancer_least_time;
const struct balancer balancer_least_time = {
    .name = "least_time",
    .help = "the server that would answer soonest: its time to answer, times its connections, for "
            "its weight",
    .because = "soonest to answer for its connections and weight",
    .choose = choose,
};
