/* `turnout explain`: which server a request that is known by its facts would go to. */
#pragma once

#include "proxy/aim.h"

/* The route's keys and set, its pools, their servers, and the choice in each. */
void explain_pools(const struct snapshot *snapshot, const struct route *route,
                   const struct facts *facts);
