/* The end of a connection, said to both its ends. */
#pragma once

#include "proxy/connection.h"

/* After a relay that we end: a Close frame to each end whose direction stands at a frame boundary,
 * with the flow's reason's code, then FIN. */
void farewell_say(struct connection *c);

/* As a step: reads and forgets until both ends have finished, have had their share (1 MiB), or a
 * second is over; then the flow leaves. Closing with unread input would be a reset that could
 * overtake what was said. */
enum next farewell_linger(struct connection *c);
