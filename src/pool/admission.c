/* The generic cell rate algorithm (ITU-T I.371): one number, the time until which what was admitted
 * is spoken for. A burst may come at once, and then one in each interval. */
#include "pool/pool_priv.h"

#define NSEC 1000u

/* How far ahead of the clock that time may be, for one more to be admitted. */
static uint64_t allowance_nsec(const struct pool_admission *admission)
{
    return admission->burst > 1 ? (admission->burst - 1) * admission->interval_nsec : 0;
}

bool admission_has(const struct pool_admission *admission, const _Atomic uint64_t *spoken_nsec,
                   uint64_t now_usec)
{
    return !admission->interval_nsec || atomic_load_explicit(spoken_nsec, memory_order_relaxed) <=
                                            now_usec * NSEC + allowance_nsec(admission);
}

bool admission_take(const struct pool_admission *admission, _Atomic uint64_t *spoken_nsec,
                    uint64_t now_usec)
{
    uint64_t spoken = atomic_load_explicit(spoken_nsec, memory_order_relaxed), next;

    if (!admission->interval_nsec)
        return true;
    do {
        if (spoken > now_usec * NSEC + allowance_nsec(admission))
            return false;
        next = (spoken > now_usec * NSEC ? spoken : now_usec * NSEC) + admission->interval_nsec;
    } while (!atomic_compare_exchange_weak_explicit(spoken_nsec, &spoken, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void admission_give_back(const struct pool_admission *admission, _Atomic uint64_t *spoken_nsec)
{
    if (admission->interval_nsec)
        atomic_fetch_sub_explicit(spoken_nsec, admission->interval_nsec, memory_order_relaxed);
}

uint64_t admission_due_usec(const struct pool_admission *admission,
                            const _Atomic uint64_t *spoken_nsec)
{
    uint64_t spoken = atomic_load_explicit(spoken_nsec, memory_order_relaxed);
    uint64_t ahead = allowance_nsec(admission);

    if (!admission->interval_nsec || spoken <= ahead)
        return 0;
    return (spoken - ahead + NSEC - 1) / NSEC;
}
