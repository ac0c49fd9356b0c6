/* What a route's `guard` means for one of its tunnels. */
#pragma once

#include "base/random.h"
#include "proxy/exchange.h"
#include "relay/guard.h"

/* For the tunnel that this handshake opens; its 101 is h->reply_head. False: its route has no
 * guard. */
bool guarding_opts(const struct exchange *h, struct random *random, struct guard_opts *ret_opts);

/* A guard needs frames: a route that TLS may pass through to has none to show. */
void guarding_judge(const struct snapshot *made, struct report *report);
