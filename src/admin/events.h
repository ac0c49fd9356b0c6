/* The live events: what the workers' rings (base/ring.h) hold since the last look, as JSON lines in
 * chunks. The rings and the runners' tables of kinds are made for readers on other threads; nothing
 * else of a runner is touched. */
#pragma once

#include "base/buf.h"
#include "loop/flow.h"

#define EVENTS_RUNNERS_MAX 64
#define EVENTS_MAX_BYTES                                                                           \
    262144u /* that wait for a slow client; further ones are lost, and counted */

struct events {
    uint64_t connection;       /* only of this one; 0: all */
    uint64_t wall_offset_usec; /* what makes a runner's clock the wall's: one for all, so that
                                  differences are exact */
    uint64_t seen[EVENTS_RUNNERS_MAX];
};

void events_begin(struct events *events, unsigned i, const struct runner *runner); /* from now on */

/* Appends what is new in the i-th runner's ring; {"lost":N} stands for what was overwritten, or had
 * no room. 0 or -ENOMEM. */
int events_put(struct events *events, unsigned i, const struct runner *runner, struct buf *out);
