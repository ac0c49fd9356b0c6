/* What `explain` says of a route's `sticky`. */
#pragma once

#include "proxy/snapshot.h"

/* By what it sticks, and what this request says of itself. Silent where it does not stick. */
void explain_sticky(const struct snapshot *snapshot, const struct route *route,
                    const struct facts *facts);
