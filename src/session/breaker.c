/* The time until which it is open is the whole state: whoever may try moves it on by one rest, so
 * that the others go on waiting, and if he never tells how it went, the next may try after that. */
#include "session/breaker.h"

void breaker_init(struct breaker *breaker, unsigned failures, uint64_t rest_usec)
{
    atomic_init(&breaker->failures, 0);
    atomic_init(&breaker->closed_usec, 0);
    atomic_init(&breaker->opened_ever, 0);
    breaker->limit = failures;
    breaker->rest_usec = rest_usec;
}

bool breaker_allows(struct breaker *breaker, uint64_t now_usec)
{
    uint64_t until = atomic_load(&breaker->closed_usec);

    if (!until)
        return true;
    return now_usec >= until && atomic_compare_exchange_strong(&breaker->closed_usec, &until,
                                                               now_usec + breaker->rest_usec);
}

bool breaker_succeeded(struct breaker *breaker)
{
    if (atomic_load_explicit(&breaker->failures, memory_order_relaxed))
        atomic_store(&breaker->failures, 0);
    return atomic_load_explicit(&breaker->closed_usec, memory_order_relaxed) &&
           atomic_exchange(&breaker->closed_usec, 0) != 0;
}

bool breaker_failed(struct breaker *breaker, uint64_t now_usec)
{
    if (atomic_fetch_add(&breaker->failures, 1) + 1 < breaker->limit)
        return false;
    if (atomic_exchange(&breaker->closed_usec, now_usec + breaker->rest_usec))
        return false;
    atomic_fetch_add(&breaker->opened_ever, 1);
    return true;
}

enum breaker_state breaker_state(const struct breaker *breaker, uint64_t now_usec)
{
    uint64_t until = atomic_load(&breaker->closed_usec);

    return !until ? BREAKER_CLOSED : now_usec < until ? BREAKER_OPEN : BREAKER_HALF_OPEN;
}
