/* The end of one request, said to its client and to the log. */
#pragma once

#include "proxy/exchange.h"

/* Our own answer for the flow's reason, to h->out: what the route or the access rules put into
 * h->own, an error page, or the reason's words. 503 asks to come back later, not all at once. 0,
 * -ENOMEM or -EMSGSIZE. */
int verdict_write(struct connection *c, struct exchange *h, bool keeps);

/* Logs and counts a request that was answered, by a server or by its route. */
void verdict_tell_answered(const struct connection *c, const struct exchange *h);
/* Logs and counts one that came to nothing, for the flow's reason. `h` may be NULL. */
void verdict_tell_refused(const struct connection *c, const struct exchange *h);
