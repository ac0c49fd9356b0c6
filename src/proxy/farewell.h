/* The end of a connection, said to both its ends. */
#pragma once

#include "proxy/connection.h"

/* As a step, after a relay that we end: a Close frame to each end whose direction stands at a frame
 * boundary, then FIN; only FIN to an end that is told by another one's Close frame already, and
 * where there is no boundary (c->is_unaligned). It waits until both are written, two seconds at
 * most. For a relay that an end left, the flow leaves at once. */
enum next farewell_say(struct connection *c);

/* As a step: reads and forgets until both ends have finished, or a second is over; as long as the
 * client has not taken what it was sent, five seconds. Then the flow leaves. Closing with unread
 * input would be a reset that could overtake what was said. */
enum next farewell_linger(struct connection *c);
