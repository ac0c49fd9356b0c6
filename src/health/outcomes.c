/* A ring whose number is raised after an entry is whole. A reader looks at the number before and
 * after: what may have been overwritten meanwhile is left out. */
#include "health/outcomes.h"

#define KIND_SHIFT   56
#define REASON_SHIFT 48
#define STATUS_SHIFT 32

_Static_assert(REASON_COUNT <= 256, "a reason fits into a byte");

static uint64_t pack(const struct health_outcome *outcome)
{
    uint64_t took = outcome->took_usec > UINT32_MAX ? UINT32_MAX : outcome->took_usec;

    return (uint64_t)outcome->kind << KIND_SHIFT | (uint64_t)outcome->reason << REASON_SHIFT |
           (uint64_t)outcome->status << STATUS_SHIFT | took;
}

static struct health_outcome unpack(uint64_t wall_usec, uint64_t packed)
{
    return (struct health_outcome){
        .wall_usec = wall_usec,
        .took_usec = packed & UINT32_MAX,
        .kind = (enum check_kind)(packed >> KIND_SHIFT & 0xff),
        .reason = (enum reason)(packed >> REASON_SHIFT & 0xff),
        .status = (uint16_t)(packed >> STATUS_SHIFT & 0xffff),
    };
}

void health_note_outcome(struct server *server, const struct health_outcome *outcome)
{
    struct server_outcomes *to = &server->outcomes;
    unsigned number = atomic_load_explicit(&to->count, memory_order_relaxed);
    unsigned at = number % SERVER_OUTCOMES;

    atomic_thread_fence(memory_order_release); /* the number before is seen before these */
    atomic_store_explicit(&to->wall_usec[at], outcome->wall_usec, memory_order_relaxed);
    atomic_store_explicit(&to->packed[at], pack(outcome), memory_order_relaxed);
    atomic_store_explicit(&to->count, number + 1, memory_order_release);
}

size_t health_outcomes(const struct server *server,
                       struct health_outcome ret_outcomes[HEALTH_OUTCOMES_MAX])
{
    const struct server_outcomes *from = &server->outcomes;
    unsigned count = atomic_load_explicit(&from->count, memory_order_acquire);
    size_t wanted = count < HEALTH_OUTCOMES_MAX ? count : HEALTH_OUTCOMES_MAX;

    for (size_t i = 0; i < wanted; i++) {
        unsigned at = (count - 1 - (unsigned)i) % SERVER_OUTCOMES;
        ret_outcomes[i] = unpack(atomic_load_explicit(&from->wall_usec[at], memory_order_relaxed),
                                 atomic_load_explicit(&from->packed[at], memory_order_relaxed));
    }
    atomic_thread_fence(memory_order_acquire);
    unsigned since = atomic_load_explicit(&from->count, memory_order_relaxed) - count;
    if (since >= HEALTH_OUTCOMES_MAX)
        return 0;
    return wanted < HEALTH_OUTCOMES_MAX - since ? wanted : HEALTH_OUTCOMES_MAX - since;
}
