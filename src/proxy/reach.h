/* The way to a server, as every flow goes it: pick, wait for a seat, dial, the next server on
 * failure. Used inside the flow's own steps, so that they are counted and timed under its name. */
#pragma once

#include "net/dial.h"
#include "proxy/connection.h"

struct reach {
    struct dial dial;
    struct tried tried;
    struct waiter *waiter; /* NULL: not in the queue */
    struct pool_ask ask;   /* the caller fills hash, shard and wanted after reach_begin */
    struct server *wanted; /* counted: ask.wanted */
    unsigned attempts;
    struct bytes server_name; /* for the PROXY header: what a ClientHello asks for; borrowed */
    size_t introduced_bytes;  /* of that header, told already */
    bool has_hash;            /* ask.hash is of something in the request */
    bool is_reused;           /* the connection had rested in keepalive */
    uint8_t last_reason;      /* why the last server was not reached; 0: none was tried */
};

void reach_begin(struct reach *reach); /* a new request: nothing is tried yet */
/* The server that the request sticks to: until reach_end; NULL: none. */
void reach_want(struct reach *reach, struct server *server);
void reach_end(struct reach *reach); /* leaves the queue; harmless twice */

/* For the step pick_server: takes a seat on c->route's pool, waiting in its queue if need be; then
 * takes a connection that rests in keepalive (is_reused), or starts to dial. */
enum next reach_pick(struct reach *reach, struct connection *c);

/* For the step dial: waits for it. NEXT: connected, and c's flow has adopted the server. On failure
 * the seat goes back, and the flow goes to `pick_step` while another server may be tried. */
enum next reach_dial(struct reach *reach, struct connection *c, unsigned pick_step);

/* A new connection to the server that is chosen already, instead of the one that had died while it
 * rested. Then the step dial. */
enum next reach_redial(struct reach *reach, struct connection *c);

/* The chosen server did not answer, for that reason: gives its seat back. Then the step pick_server
 * chooses another one, or fails for the reason when enough were tried. */
void reach_give_up(struct reach *reach, struct connection *c, enum reason reason);

/* The server's connection, which is clean, rests for the next request; so long at most, the server
 * says (FOREVER: it says nothing). */
void reach_rest(struct connection *c, uint64_t server_rests_usec);
