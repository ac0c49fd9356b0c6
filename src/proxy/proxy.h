/* One worker's share of the proxy: its gates, its connections, the configuration in force on it. */
#pragma once

#include "base/random.h"
#include "health/health.h"
#include "loop/worker.h"
#include "net/listener.h"
#include "proxy/keepalive.h"
#include "proxy/snapshot.h"

struct proxy;
struct exchange;

#define PROXY_SPARES 4

/* A listener of this worker. */
struct gate {
    struct list node; /* in proxy.gates */
    struct listener_sink sink;
    struct listener listener;
    struct proxy *proxy;
    unsigned number; /* in the current snapshot's gates */
    struct endpoint endpoint;
    bool is_open;
};

/* Monotone, written by the worker, read by any thread (relaxed). */
#define PROXY_COUNTERS(COUNTER)                                                                    \
    COUNTER(connections_ever, "client connections accepted")                                       \
    COUNTER(connections, "client connections now")                                                 \
    COUNTER(tunnels, "tunnels relayed now")                                                        \
    COUNTER(tunnels_ever, "tunnels established")                                                   \
    COUNTER(guard_ended_ever, "tunnels that their route's guard ended")                            \
    COUNTER(requests_ever, "plain HTTP requests answered by a server")                             \
    COUNTER(refused_ever, "connections and requests that came to nothing")                         \
    COUNTER(sticky_new_ever, "requests on sticky routes that named no session")                    \
    COUNTER(sticky_given_ever, "requests that named a session nobody knew")                        \
    COUNTER(sticky_valid_ever, "requests that went to their session's server")                     \
    COUNTER(sticky_invalid_ever, "requests whose sticky cookie was forged or changed")             \
    COUNTER(sticky_server_down_ever, "requests whose session's server was down or gone")           \
    COUNTER(sticky_reassigned_ever, "requests whose session's server was drained or full")         \
    COUNTER(ejections_ever, "servers left out for a while by passive health")                      \
    COUNTER(session_clients, "connections of servers to a sessions listener now")                  \
    COUNTER(session_requests_ever, "requests to sessions listeners")                               \
    COUNTER(to_server_bytes, "bytes relayed from clients to servers, of ended tunnels")            \
    COUNTER(to_client_bytes, "bytes relayed from servers to clients, of ended tunnels")

struct proxy_counters {
#define COUNTER(name, help) _Atomic uint64_t name;
    PROXY_COUNTERS(COUNTER)
#undef COUNTER
};

struct proxy {
    struct worker worker; /* first: proxy_of */
    struct snapshot *snapshot;
    struct relay_worker relays;
    struct tls_worker *tls;
    struct health *health; /* the house's; NULL: nobody is told */
    struct list gates;
    struct keepalive keepalive; /* connections to servers that wait for their next request */
    struct exchange *spare[PROXY_SPARES]; /* memory of requests that are over, for the next ones */
    unsigned spares;
    unsigned exchanges, exchanges_peak; /* under way now, and at most since memory was given back */
    struct timer give_back;
    struct list connections; /* oldest first, so by ascending number */
    struct list drains;      /* this worker's shares of them */
    struct proxy_counters counters;
    struct random random;
    bool is_draining; /* new handshakes get 503 */
    bool is_stopping; /* and the process will end */
    char date[30];    /* for Date, refreshed each second by whoever needs it */
    uint64_t date_usec;
};

static inline struct proxy *proxy_of(const struct flow *flow)
{
    return container_of(worker_of(flow), struct proxy, worker);
}

/* 0 or a negative errno. The snapshot gets one reference more. No gate is open yet. */
int proxy_init(struct proxy *proxy, unsigned number, struct log *log, struct tls_worker *take_tls,
               struct snapshot *snapshot);
void proxy_done(struct proxy *proxy); /* after worker_stop */

/* What follows runs on the worker's own thread, or before it is started. */

/* Opens a gate on a listening socket (the descriptor is taken, also on failure). */
int proxy_open_gate(struct proxy *proxy, unsigned number, const struct endpoint *endpoint,
                    int take_fd);

/* A new configuration: gates whose endpoint is gone close, those that stay get their new number,
 * fds[i] (or -1) is the socket of a new gate i. Tunnels whose pool or server is gone follow
 * on_removed. */
void proxy_adopt(struct proxy *proxy, struct snapshot *snapshot, const int *fds);

/* Members of pools have changed at run time: tunnels to a server that is in none any more follow
 * on_removed, connections that rest there close. */
void proxy_follow_members(struct proxy *proxy);

/* No gate is closed; handshakes and requests are refused with 503 and jittered Retry-After, idle
 * kept connections close. */
void proxy_drain(struct proxy *proxy);
/* Every tunnel is reclaimed and closed by a Close frame with 1012 where frames allow, within a
 * second. */
void proxy_close_tunnels(struct proxy *proxy, enum reason reason);
uint64_t proxy_connection_count(const struct proxy *proxy);

const char *proxy_date(struct proxy *proxy); /* "Tue, 25 Nov 2026 08:00:00 GMT" */
