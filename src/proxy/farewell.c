/* How a connection ends well: the last words at a frame boundary, then FIN, then patience. A peer
 * that streams leaves no room in its socket most of the time, so the last words wait for some. */
#include "proxy/farewell.h"

#include "relay/guard.h"
#include "sys/sys.h"

#include <errno.h>

#define SAY_USEC     2000000u
#define LINGER_USEC  1000000u
#define DELIVER_USEC 5000000u
#define LINGER_BYTES 1048576u

/* c->told: two bits for each end, 0 the client's, 1 the server's. */
#define SAID(end)  (1u << (end))       /* the Close frame is written, or there is none to write */
#define ENDED(end) (1u << ((end) + 2)) /* and the FIN */

static void note(struct connection *c, unsigned bit)
{
    c->told = (c->told | bit) & 15u;
}

/* A guard tells the end that broke a rule which one, and the other only that it is over. */
static uint16_t close_code(const struct connection *c, unsigned end)
{
    const struct guard_verdict *verdict = relay_guard_verdict(&c->relay);

    if (verdict)
        return verdict->close_code[end];
    return c->end_code ? (uint16_t)(1000 + c->end_code) : reason_row(c->flow.reason)->ws_code;
}

static size_t write_close(struct connection *c, unsigned end, uint8_t frame[8])
{
    uint16_t code = close_code(c, end);
    uint64_t random = random_next(&proxy_of(&c->flow)->random);
    uint8_t mask[4];

    memcpy(mask, &random, sizeof mask);
    return ws_close_write(code, end ? mask : NULL, frame);
}

/* The Close frame. False: it has to wait for room. */
static bool say_close(struct connection *c, struct stream *to, unsigned end)
{
    unsigned lane = !end;
    uint8_t frame[8];

    if (c->relay.lane[lane].close_code && relay_lane_is_aligned(&c->relay, lane))
        return true; /* nothing may follow a Close frame (RFC 6455 section 5.5.1) */
    if (!relay_lane_is_aligned(&c->relay, lane)) {
        c->is_unaligned = true;
        return true;
    }
    ssize_t sent = stream_write(to, (struct bytes){frame, write_close(c, end, frame)});
    if (sent < 0 && sent != -EAGAIN)
        c->is_unaligned = true;
    return sent != -EAGAIN;
}

/* True: this end has been told, and has the FIN. */
static bool say(struct connection *c, struct stream *to, unsigned end)
{
    if (c->told & ENDED(end))
        return true;
    if (relay_end_is_reset(&c->relay, end)) { /* what it was sent is not whole */
        c->is_unaligned = true;
        note(c, SAID(end) | ENDED(end));
        return true;
    }
    if (!(c->told & SAID(end)) && !say_close(c, to, end))
        return false;
    note(c, SAID(end));
    if (stream_flush(to) == -EAGAIN)
        return false;
    stream_end(to);
    note(c, ENDED(end));
    return true;
}

/* Time is up: who has taken no Close frame until now is told by FIN. */
static void give_up(struct connection *c, struct stream *to, unsigned end)
{
    if (c->told & ENDED(end))
        return;
    c->is_unaligned = true;
    note(c, SAID(end) | ENDED(end));
    stream_end(to);
}

/* The reasons for which neither end has left yet, so both are owed a word. */
static bool is_ours(const struct connection *c)
{
    enum reason reason = c->flow.reason;

    return relay_guard_verdict(&c->relay) || reason == REASON_TUNNEL_IDLE ||
           reason == REASON_LIFETIME || reason == REASON_STOPPING || reason == REASON_RECLAIMED ||
           (c->end_reason && reason == c->end_reason);
}

enum next farewell_say(struct connection *c)
{
    uint64_t until = c->flow.entered_usec + SAY_USEC;

    if (!is_ours(c))
        return flow_leave(&c->flow, c->flow.reason);
    bool client_is_told = say(c, &c->client, 0);
    bool server_is_told = say(c, c->server, 1);
    if (client_is_told && server_is_told)
        return NEXT;
    if (now_of(&c->flow) >= until) {
        give_up(c, &c->client, 0);
        give_up(c, c->server, 1);
        return NEXT;
    }
    flow_wake_at(&c->flow, until);
    return flow_wait_either(&c->flow, &c->client.source, client_is_told ? 0 : WRITABLE,
                            &c->server->source, server_is_told ? 0 : WRITABLE,
                            WITHIN(FOREVER, c->flow.reason));
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

/* After its tunnel a client may have much to read before the last words. */
static bool is_delivering(const struct connection *c)
{
    const struct source *client = &c->client.source;

    return c->is_tunnel && !relay_end_is_reset(&c->relay, 0) && !(client->ready & GONE) &&
           sys_undelivered_bytes(client->fd) > 0;
}

static enum next linger_on(struct connection *c, bool client_is_done, bool server_is_done)
{
    uint64_t since = c->flow.entered_usec, until = since + DELIVER_USEC, now = now_of(&c->flow);

    if (now >= until || (now >= since + LINGER_USEC && !is_delivering(c)))
        return flow_leave(&c->flow, c->flow.has_failed ? c->flow.reason : REASON_DONE);
    flow_wake_at(&c->flow, now < since + LINGER_USEC ? since + LINGER_USEC : now + 100000);
    if (c->server)
        return flow_wait_either(&c->flow, &c->client.source, client_is_done ? 0 : READABLE,
                                &c->server->source, server_is_done ? 0 : READABLE,
                                WITHIN(FOREVER, c->flow.reason));
    return flow_wait_source(&c->flow, &c->client.source, READABLE, WITHIN(FOREVER, c->flow.reason));
}

/* Closing with unread input would be a reset that could overtake what was said. */
enum next farewell_linger(struct connection *c)
{
    bool client_is_done = drink(c, &c->client);
    bool server_is_done = !c->server || drink(c, c->server);

    if (client_is_done && server_is_done)
        return flow_leave(&c->flow, c->flow.has_failed ? c->flow.reason : REASON_DONE);
    return linger_on(c, client_is_done, server_is_done);
}
