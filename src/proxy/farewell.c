/* How a connection ends well: the last words at a frame boundary, then FIN, then patience. */
#include "proxy/farewell.h"

#include <errno.h>

#define LINGER_USEC  1000000u
#define LINGER_BYTES 1048576u

static void say_close(const struct connection *c, struct stream *to, unsigned lane,
                      const uint8_t *mask)
{
    uint8_t frame[8];

    if (relay_lane_is_aligned(&c->relay, lane)) {
        size_t len = ws_close_write(reason_row(c->flow.reason)->ws_code, mask, frame);
        stream_write(to,
                     (struct bytes){frame, len}); /* who does not take it would not have read it */
    }
    stream_end(to);
}

void farewell_say(struct connection *c)
{
    uint64_t random = random_next(&proxy_of(&c->flow)->random);
    uint8_t mask[4];

    memcpy(mask, &random, sizeof mask);
    say_close(c, &c->client, 1, NULL);
    say_close(c, c->server, 0, mask);
}

/* Reads and forgets. True: the peer has ended, or has had its share. */
static bool drink(struct connection *c, struct stream *from)
{
    size_t drunk = 0;
    ssize_t got;

    if (!stream_is_open(from) || stream_flush(from) == -EAGAIN)
        return !stream_is_open(from);
    while ((got = stream_read(from, worker_of(&c->flow)->scratch, WORKER_SCRATCH_BYTES)) > 0) {
        drunk += (size_t)got;
        if (drunk > LINGER_BYTES)
            return true;
    }
    return got != -EAGAIN;
}

/* Closing with unread input would be a reset that could overtake what was said. */
enum next farewell_linger(struct connection *c)
{
    bool client_is_done = drink(c, &c->client);
    bool server_is_done = !c->server || drink(c, c->server);
    const struct deadline patience = WITHIN(LINGER_USEC, c->flow.reason);

    if (client_is_done && server_is_done)
        return flow_leave(&c->flow, c->flow.has_failed ? c->flow.reason : REASON_DONE);
    if (c->server)
        return flow_wait_either(&c->flow, &c->client.source, client_is_done ? 0 : READABLE,
                                &c->server->source, server_is_done ? 0 : READABLE, patience);
    return flow_wait_source(&c->flow, &c->client.source, READABLE, patience);
}
