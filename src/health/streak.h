/* What outcomes in a row make of a verdict. Pure. */
#pragma once

#include "pool/server.h"

enum outcome_kind { OUTCOME_GOOD, OUTCOME_BAD, OUTCOME_DRAINING, OUTCOME_NONE };

struct streak {
    uint8_t verdict; /* enum server_check */
    uint32_t good, bad;
};

/* The first outcome decides, as nothing else is known; then `rise` good ones in a row are needed to
 * come up, `fall` bad ones to go down. A server's own wish to be drained counts at once. */
void streak_note(struct streak *streak, enum outcome_kind kind, uint64_t rise, uint64_t fall);
/* Whether the next outcomes may change the verdict: ask soon. */
bool streak_is_moving(const struct streak *streak);
