/* Things as JSON. Each function runs on the thread that owns the thing. NULL: no memory. */
#pragma once

#include "admin/admin.h"
#include "proxy/connection.h"

#include <jansson.h>

json_t *view_connection(const struct connection *c,
                        bool with_story); /* with_story: steps, candidates, 4-tuples */
json_t *view_counters(const struct proxy *proxy);
json_t *view_status(const struct admin_status *status, const struct snapshot *snapshot);
/* Pools and servers, on the main thread. `now_usec` is of the loops' clock. */
json_t *view_pool(const struct snapshot *snapshot, size_t pool, uint64_t now_usec);
json_t *view_server(const struct snapshot *snapshot, size_t pool, size_t server, uint64_t now_usec);
/* Of one pool, or of all: SIZE_MAX. */
json_t *view_servers(const struct snapshot *snapshot, size_t pool, uint64_t now_usec);
json_t *view_changes(const struct snapshot *snapshot); /* made by hand, that a reload keeps */
/* drains.c: what is drained and rebalanced now, as `drains` and `rebalances`. */
void view_live_drains(json_t *json, const struct admin_house *house);
json_t *view_drain(const struct drain *drain);
json_t *view_rebalance(const struct rebalance *rebalance);
json_t *view_stores(const struct snapshot *snapshot);
json_t *view_routes(const struct snapshot *snapshot);
json_t *view_reload(const struct admin_reload_result *result);
json_t *view_flows(struct proxy *const *proxies,
                   unsigned count); /* any thread: reads relaxed counters */
