/* What a configuration's sticky routes need: keys of cookies, and the table of what was learnt. */
#pragma once

#include "proxy/snapshot.h"

/* After the routes. Both live on through reloads; keys of our own do, too. */
void stickiness_build(struct snapshot *made, const struct snapshot *before, struct report *report);
void stickiness_done(struct snapshot *snapshot);
