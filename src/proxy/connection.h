/* What a client's connection is, whichever flow serves it (tunnel.c: HTTP and WebSocket; passthrough.c: TLS
 * by SNI): two streams, the relay between them, and what is told about it. What only the handshake needs
 * lies in an arena of the flow's that is freed when the relay begins. */
#pragma once

#include "proxy/proxy.h"

#define TRAIL_STEPS_MAX 10

/* The steps of the present request (or handshake), each with the time at which it was entered, counted
 * from the connection's beginning. */
struct trail {
    uint32_t usec[TRAIL_STEPS_MAX];
    uint8_t step[TRAIL_STEPS_MAX]; /* in flow.kind->steps */
    uint8_t count;
};

struct connection {
    struct flow flow;
    struct list node; /* in proxy.connections */
    struct stream client, server;
    struct relay relay;
    struct snapshot *snapshot;  /* the one it was routed by; counted */
    const struct route *route;  /* in it; NULL before */
    struct server *chosen;      /* a seat on it is taken; NULL: none */
    struct choice *choice;      /* why; NULL: not yet, or no memory */
    struct address peer;
    uint16_t gate; /* number of the gate in the snapshot at its beginning */
    uint16_t pool_member;
    uint64_t opened_usec;
    uint32_t handshake_usec; /* from the request's first byte to the 101's last */
    struct trail trail;
};

static inline struct connection *connection_of(struct flow *flow)
{
    return container_of(flow, struct connection, flow);
}
