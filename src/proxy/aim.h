/* What the choice of a server may depend on besides the servers: the keys that the route's `shard`
 * and its pool's `hash` name, found in the request, or in what is known of a bare connection. */
#pragma once

#include "proxy/exchange.h"

/* Compiles the keys of all pools and routes. What a route cannot say goes into the report. 0 or
 * -ENOMEM. */
int aim_prepare(struct snapshot *made, struct report *report);

/* What of the facts counts: `client`, `query`, `request`, `params` and the claims. */
struct aim {
    uint64_t hash, shard_hash;
    uint32_t shard_servers; /* 0: of the whole pool */
    bool has_hash;          /* the request says what the pool's balancer wants to know */
};
struct aim aim_find(const struct snapshot *snapshot, const struct route *route, uint8_t share,
                    const struct facts *facts);

/* Both fill the question of the reach that has begun, and leave the rest of it. */
void aim_at_request(struct exchange *h, const struct connection *c);
void aim_at_connection(struct reach *reach, const struct connection *c);
