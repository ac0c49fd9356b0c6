/* How much one client address may ask for: connections at a time, handshakes and requests in a
 * time. One table for the process, of a fixed size whoever comes: an address that is not in it has
 * done nothing lately, and the one that was quiet longest makes room.
 *
 * An IPv6 client is its /64, since everyone has that many addresses to choose from. */
#pragma once

#include "base/cidr.h"
#include "base/reason.h"
#include "conf/settings.h"

/* Counted; any thread, several at once. */
struct rate_table;

/* `seed` is unknown to clients, so that none can choose whose place it shares. NULL: no memory. */
struct rate_table *rate_table_new(const uint64_t seed[2]);
struct rate_table *rate_table_ref(struct rate_table *table);
struct rate_table *rate_table_unref(struct rate_table *table); /* accepts NULL, returns NULL */

/* A connection's place in the table while it counts; zeroed: none. */
struct rate_hold {
    uint32_t place;
};

struct rate_ask {
    const struct rate_settings *limits;
    uint64_t route; /* limits of different routes are counted apart */
    struct ip client;
    bool is_handshake;
    uint64_t now_usec; /* monotone */
};

/* DONE: it counts, until rate_release when there is a limit of connections. RATE_CONNECTIONS,
 * RATE_HANDSHAKES, RATE_REQUESTS: too much, *ret_wait_usec says when to come again; what is refused
 * counts for nothing. */
enum reason rate_take(struct rate_table *table, const struct rate_ask *ask,
                      struct rate_hold *ret_hold, uint64_t *ret_wait_usec);
void rate_release(struct rate_table *table, struct rate_hold *hold); /* harmless without one */

/* For a route's name, the same in every configuration. */
uint64_t rate_route(const char *name);
