/* Whether somebody who has failed often is still asked. Closed: yes. After `failures` in a row it
 * is open: nobody asks for `rest_usec`; then one may try (half open), and his answer decides. Every
 * thread uses the same one, without a lock: figures may be a moment old, so at worst somebody asks
 * once too often. Pure: it is told the time. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct breaker {
    atomic_uint failures;         /* in a row */
    _Atomic uint64_t closed_usec; /* from then on one may try; 0: everyone asks */
    _Atomic uint64_t opened_ever;
    unsigned limit;
    uint64_t rest_usec;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

void breaker_init(struct breaker *breaker, unsigned failures, uint64_t rest_usec);

/* True: go and ask, and say by one of the next two how it went. */
bool breaker_allows(struct breaker *breaker, uint64_t now_usec);
bool breaker_succeeded(struct breaker *breaker);                 /* true: it was open until now */
bool breaker_failed(struct breaker *breaker, uint64_t now_usec); /* true: it has just opened */

enum breaker_state breaker_state(const struct breaker *breaker, uint64_t now_usec);
