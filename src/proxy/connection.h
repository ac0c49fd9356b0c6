/* What a client's connection is, whichever flow serves it (tunnel.c: HTTP and WebSocket;
 * passthrough.c: TLS by SNI): two streams, the relay between them, and what is told about it. What
 * only the handshake needs lies elsewhere and is freed when the relay begins. */
#pragma once

#include "proxy/proxy.h"

#define TRAIL_STEPS_MAX 11

/* The steps of the present request (or handshake), each with the time at which it was entered,
 * counted from the connection's beginning. Of more steps (retries) the last place keeps the latest.
 */
struct trail {
    uint32_t usec[TRAIL_STEPS_MAX];
    uint8_t step[TRAIL_STEPS_MAX]; /* in flow.kind->steps */
    uint8_t count;
    uint8_t sticky; /* enum sticky_outcome: what became of its session; 0: it has none */
};

/* What a request says of itself, and we believe: whom it is from, where trusted proxies name
 * another than the peer, and its own X-Request-Id. */
struct claimed {
    struct address from;
    char id[]; /* "": none */
};

struct connection {
    struct flow flow;
    struct list node; /* in proxy.connections */
    struct stream client;
    struct stream *server; /* heap: it may outlive this client, in keepalive; NULL: none */
    struct relay relay;
    struct snapshot *snapshot;         /* the one it was routed by; counted */
    const struct route *route;         /* in it; NULL before */
    struct server *chosen;             /* a seat on it is taken; NULL: none */
    struct choice *choice;             /* why; NULL: not yet, or no memory */
    struct introduction *introduction; /* by the proxy in front; NULL: none, or not yet */
    struct claimed *claimed;           /* by the present request; NULL: nothing that counts */
    uint64_t opened_usec;
    uint64_t request_id;
    uint32_t handshake_usec; /* from the request's first byte to the 101's last */
    struct address peer;
    uint16_t port;         /* ours, that the client connected to; 0: a Unix socket */
    uint16_t gate;         /* number of the gate in the snapshot at its beginning */
    uint8_t share;         /* which of the route's pools is asked: connection_pool */
    uint8_t end_reason;    /* what to say instead of RECLAIMED; 0: nothing */
    uint8_t end_code;      /* of the Close frames, above 1000; 0: the reason's */
    bool is_tunnel : 1;    /* the relay was reached: `open` is logged and counted */
    bool owns_rest : 1;    /* connections to servers may rest that are this client's alone */
    bool is_unaligned : 1; /* an end could not be told by a Close frame */
    uint8_t told : 4;      /* farewell.c: what its ends were told */
    struct rate_hold hold; /* what counts towards its client's limit of connections */
    struct trail trail;
};

static inline struct connection *connection_of(struct flow *flow)
{
    return container_of(flow, struct connection, flow);
}

static inline const struct address *connection_from(const struct connection *c)
{
    return c->claimed ? &c->claimed->from : &c->peer;
}

/* The request's own id; NULL: it has none. */
static inline const char *connection_given_id(const struct connection *c)
{
    return c->claimed && c->claimed->id[0] ? c->claimed->id : NULL;
}

/* Remembers both for the present request. 0 or -ENOMEM. */
int connection_claim(struct connection *c, const struct address *from, struct bytes id);

/* Whose servers are asked; NULL: not known yet, or none is. */
static inline struct pool *connection_pool(const struct connection *c)
{
    return c->route ? route_pool(c->route, c->share) : NULL;
}

/* The settings of that pool; there must be one. */
static inline const struct pool_settings *connection_pool_settings(const struct connection *c)
{
    return &c->snapshot->settings->pools[route_pool_number(c->route, c->share)];
}

/* Whose a connection to its route's servers is: 0: anyone's, where they are not told of clients. */
static inline uint64_t connection_as_owner(const struct connection *c)
{
    return pool_proxy_protocol(connection_pool(c)) ? c->flow.number : 0;
}

/* The struct must be zeroed. Joins the proxy's list, takes a reference to its snapshot. */
void connection_begin(struct connection *c, struct proxy *proxy, unsigned gate,
                      const struct address *peer);
/* For the flow's leave: lets go of everything, closes or aborts both ends as the relay's end asks.
 */
void connection_end(struct connection *c);

void connection_entered(struct flow *flow);         /* FLOW_IN's `told`: keeps the trail */
void connection_forget_trail(struct connection *c); /* a new request begins */

/* Of the listener, for this worker; NULL: TLS does not end here. */
struct tls_context *connection_tls(const struct connection *c);

/* A new request is judged by the configuration in force. */
void connection_take_newest_snapshot(struct connection *c);
void connection_release_seat(struct connection *c); /* harmless without one */
void connection_release_hold(struct connection *c); /* harmless without one */
void connection_close_server(struct connection *c); /* harmless without one */

/* The relay begins: logs `open`, counts. The streams are open; heads and early bytes as in
 * relay_start. `guard`: of a WebSocket; NULL: none. */
void connection_start_relay(struct connection *c, struct relay_end client, struct relay_end server,
                            bool is_websocket, const struct guard_opts *guard);

/* Asks for the tunnel's end, in order, for that reason: at a frame boundary, within a second. */
void connection_close_tunnel(struct connection *c, enum reason reason);
/* The same with a Close code of its own (1000 to 1255; 0: the reason's), and a patience. Who asked
 * first is heard. */
void connection_close_with(struct connection *c, enum reason reason, uint16_t code,
                           uint64_t within_usec);

/* What is known of the connection, as log fields; texts live in `texts`. */
struct connection_texts {
    char client[ADDRESS_TEXT_BYTES], through[ADDRESS_TEXT_BYTES], request_id[17], letters[3];
};
struct log_fields connection_fields(const struct connection *c, enum reason reason,
                                    struct connection_texts *texts);
char connection_phase(const struct connection *c, unsigned step); /* the letters' second */

/* The flows, each with its own file. Both take the descriptor, whatever happens. */
void tunnel_start(struct proxy *proxy, unsigned gate, int take_fd, const struct address *peer);
void passthrough_start(struct proxy *proxy, unsigned gate, int take_fd, const struct address *peer);
void tunnel_drain(struct connection *c); /* a kept connection that waits for a request leaves */
