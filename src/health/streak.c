/* An outcome that says nothing about the server (we had no descriptor, no memory) moves nothing. */
#include "health/streak.h"

void streak_note(struct streak *s, enum outcome_kind kind, uint64_t rise, uint64_t fall)
{
    if (kind == OUTCOME_NONE)
        return;
    if (kind == OUTCOME_DRAINING) {
        *s = (struct streak){.verdict = CHECK_DRAINING};
        return;
    }
    if (kind == OUTCOME_GOOD) {
        s->bad = 0;
        s->good += s->good < UINT32_MAX;
        if (s->verdict == CHECK_UNKNOWN || s->good >= rise)
            s->verdict = CHECK_UP;
        return;
    }
    s->good = 0;
    s->bad += s->bad < UINT32_MAX;
    if (s->verdict == CHECK_UNKNOWN || s->bad >= fall)
        s->verdict = CHECK_DOWN;
}

bool streak_is_moving(const struct streak *s)
{
    return (s->verdict == CHECK_UP && s->bad) || (s->verdict == CHECK_DOWN && s->good) ||
           s->verdict == CHECK_DRAINING;
}
