/* Who may ask. A browser on this machine reaches the admin listener for every page it shows, so a
 * page must not be able to read (by DNS rebinding: its own name, our address) nor to change
 * anything (by a cross-site request). Pure. */
#pragma once

#include "base/bytes.h"

/* True for names that no page of someone else's can have: an IPv4 or bracketed IPv6 address,
 * `localhost`. The port is not part of it. */
bool guard_is_local_name(struct bytes name);

/* Whether `origin` (RFC 6454 section 6.1) is the very host and port that `host`, the Host field,
 * names. */
bool guard_is_same_host(struct bytes origin, struct bytes host);
