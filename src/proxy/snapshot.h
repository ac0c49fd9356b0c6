/* One configuration in force: counted, immutable, built and checked whole before any worker sees
 * it. A connection keeps the one it was routed by. What lives across configurations (servers'
 * counts, waiters, TLS contexts of unchanged certificates) is shared with the one before. */
#pragma once

#include "access/access.h"
#include "access/rate.h"
#include "conf/settings.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "pool/pool.h"
#include "relay/relay.h"
#include "route/action.h"
#include "route/key.h"
#include "session/sticky_table.h"
#include "session/sticky_token.h"
#include "session/store.h"

struct deadlines { /* microseconds; FOREVER where the file says 0 */
    uint64_t request_head, body, queue, connect, handshake, response, keepalive;
};

struct route {
    const char *name;
    unsigned number; /* its place in the file, from 0 */
    struct route_rule *rule;
    struct route_action *action;
    struct pool *pool;   /* the only one, or the first; borrowed from the snapshot; NULL: none */
    struct pool **pools; /* where there are several: settings->shares */
    uint32_t *weights;
    int64_t *turns; /* whose turn it is: per worker, and only its own worker touches it */
    const struct route_settings *settings;
    struct key shard_key; /* KEY_NONE: it is not sharded */
    struct deadlines deadlines;
    struct relay_opts relay; /* lifetime without its jitter */
    struct access *access;   /* NULL: everyone may come in */
    uint64_t rate_key;       /* of its name */
    bool is_rated;           /* settings->rate has a limit */
    struct sticky sticky;    /* settings NULL: it is not */
};

struct error_page {
    unsigned status;
    const char *type; /* for Content-Type */
    struct bytes body;
};

struct gate_spec { /* a listener */
    const struct listener_settings *settings;
    struct endpoint endpoint;
    struct tls_context **tls; /* one per worker, for TLS_TERMINATE; else NULL */
    uint64_t certificates_hash;
    struct route *tcp; /* where everything goes that comes here; NULL: HTTP, or passthrough */
};

struct snapshot {
    uint32_t magic;
    atomic_uint references;
    uint64_t number; /* 1, 2, ... in this process */
    struct settings *settings;
    struct deadlines deadlines;  /* before a route is known */
    struct tcp_tuning tuning;    /* of every TCP socket, both sides */
    struct cidr_set trusted;     /* whose word on the client is taken: trusted_proxies */
    struct pool **pools;         /* as settings->pools */
    struct key *hash_keys;       /* as settings->pools: what their balancers look at */
    struct route *routes;        /* as settings->routes */
    struct gate_spec *gates;     /* as settings->listeners */
    struct error_page *pages;    /* as settings->error_pages */
    struct store **stores;       /* as settings->stores */
    struct rate_table *rates;    /* shared with the snapshots before; NULL: no route is rated */
    struct sticky_table *learnt; /* shared so, too; NULL: no route needs it */
    struct seal *seal;           /* of sticky cookies */
    unsigned workers;
};

struct snapshot_means {
    struct conf_source *source; /* for certificates */
    struct tls_worker **tls;    /* per worker; NULL: certificates are checked, no context is kept */
    const struct tls_tickets *tickets;
    unsigned workers;
};

/* Takes the settings, also on failure. NULL: the report says why. `before` may be NULL. */
struct snapshot *snapshot_new(const struct snapshot_means *means, struct settings *take_settings,
                              struct snapshot *before, struct report *report);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
struct snapshot *
snapshot_unref(struct snapshot *snapshot); /* any thread; accepts NULL, returns NULL */

struct pool *snapshot_pool(const struct snapshot *snapshot, const char *name); /* NULL: none */

/* By the main thread, when every worker has heard of it: pool_in_force. */
void snapshot_in_force(const struct snapshot *snapshot);

/* Whether what comes from that address may name the client (PROXY protocol, X-Forwarded-For). */
bool snapshot_trusts(const struct snapshot *snapshot, const struct ip *ip);

/* The first route that matches; NULL: none. */
const struct route *snapshot_route(const struct snapshot *snapshot, const struct route_asked *asked,
                                   struct route_params *ret_params);
/* The first route whose host matches, that asks for nothing else and has a pool, and whose access
 * wants no request's head: for passthrough by SNI. */
const struct route *snapshot_route_by_name(const struct snapshot *snapshot, struct bytes name);
bool route_goes_by_name(const struct route *route); /* whether it may be that one */
/* A listener that passes TLS through, as written; NULL: there is none. */
const char *snapshot_passthrough(const struct snapshot *snapshot);

/* Which pool the next request or handshake goes to, by weight. For that worker's thread alone. */
uint8_t route_next_share(const struct route *route, unsigned worker);
/* NULL: the route answers by itself. */
struct pool *route_pool(const struct route *route, uint8_t share);
size_t route_pool_number(const struct route *route, uint8_t share); /* in settings->pools */

/* What is said instead of our own words; NULL: nothing. */
const struct error_page *snapshot_error_page(const struct snapshot *snapshot, unsigned status);
