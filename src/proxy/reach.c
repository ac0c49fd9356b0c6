/* What always holds: c->chosen is set exactly while a seat is taken; a server that was tried for
 * this request is not tried again; at most 1 + retries servers are. */
#include "proxy/reach.h"

#include "balance/mix.h"
#include "proxy/introduction.h"
#include "proxy/symptoms.h"

#include <errno.h>
#include <stdlib.h>

#define SERVER_MARGIN_USEC 1000000u

void reach_begin(struct reach *reach)
{
    *reach = (struct reach){0};
}

void reach_want(struct reach *reach, struct server *server)
{
    server_unref(reach->wanted);
    reach->wanted = reach->ask.wanted = server ? server_ref(server) : NULL;
}

void reach_end(struct reach *reach)
{
    if (reach->waiter)
        waiter_leave(TAKE(reach->waiter));
    reach_want(reach, NULL);
}

static void note_tried(struct reach *reach, const struct server *server)
{
    if (reach->tried.count < ARRAY_LEN(reach->tried.id))
        reach->tried.id[reach->tried.count++] = server->id;
}

enum next reach_redial(struct reach *reach, struct connection *c)
{
    const struct dial_opts opts = {
        .limit_usec = c->route->deadlines.connect,
        .tuning = c->snapshot->tuning,
    };

    connection_close_server(c);
    reach->is_reused = false;
    reach->introduced_bytes = 0;
    c->server = calloc(1, sizeof *c->server);
    if (!c->server)
        return flow_fail(&c->flow, REASON_NO_MEMORY);
    dial_start(&reach->dial, &c->flow, &c->chosen->address, &opts, c->server);
    return NEXT;
}

/* The seat that is taken is on a server to which a connection rests, or one is begun. */
static enum next connect_chosen(struct reach *reach, struct connection *c)
{
    reach->attempts++;
    connection_close_server(c);
    c->server = keepalive_take(&proxy_of(&c->flow)->keepalive, c->chosen, connection_as_owner(c));
    reach->is_reused = c->server;
    if (!reach->is_reused)
        return reach_redial(reach, c);
    flow_adopt(&c->flow, &c->server->source, REASON_DONE);
    return NEXT;
}

static enum next nothing_left(const struct reach *reach, struct connection *c)
{
    return flow_fail(&c->flow, reach->last_reason ? reach->last_reason : REASON_NO_SERVER);
}

/* Where time alone may bring its turn, it looks by itself; else it is told. */
static enum next wait_in_queue(struct reach *reach, struct connection *c)
{
    uint64_t within = c->route->deadlines.queue, now = now_of(&c->flow);
    uint64_t until = within == FOREVER ? FOREVER : c->flow.entered_usec + within;

    c->chosen = waiter_take(&reach->waiter, &c->choice);
    if (c->chosen)
        return connect_chosen(reach, c);
    if (waiter_has_seat(reach->waiter)) /* that it comes late is no reason to refuse */
        return flow_wait_notice(&c->flow, WITHIN(FOREVER, REASON_QUEUE_TOO_SLOW));
    if (now >= until)
        return flow_fail(&c->flow, REASON_QUEUE_TOO_SLOW);
    uint64_t due = waiter_due_usec(reach->waiter, now);
    if (due != FOREVER || until != FOREVER)
        flow_wake_at(&c->flow, due < until ? due : until);
    return flow_wait_notice(&c->flow, WITHIN(FOREVER, REASON_QUEUE_TOO_SLOW));
}

static enum next join_queue(struct reach *reach, struct connection *c)
{
    int error = pool_wait(connection_pool(c), &reach->ask, &c->flow, &reach->waiter);

    if (error)
        return flow_fail(&c->flow, error == -EBUSY ? REASON_QUEUE_FULL : REASON_NO_MEMORY);
    return wait_in_queue(reach, c);
}

enum next reach_pick(struct reach *reach, struct connection *c)
{
    struct pool *pool = connection_pool(c);

    if (reach->waiter) {
        pool_serve_waiters(pool);
        return wait_in_queue(reach, c);
    }
    if (reach->attempts > c->snapshot->settings->retries)
        return nothing_left(reach, c);

    c->choice = choice_free(c->choice);
    reach->ask.tried = &reach->tried;
    reach->ask.now_usec = now_of(&c->flow);
    reach->ask.random = random_next(&proxy_of(&c->flow)->random);
    if (!reach->has_hash)
        reach->ask.hash = mix64(reach->ask.random);
    c->chosen = pool_pick(pool, &reach->ask, &c->choice);
    if (c->chosen)
        return connect_chosen(reach, c);
    return pool_may_wait(pool, &reach->ask) ? join_queue(reach, c) : nothing_left(reach, c);
}

void reach_give_up(struct reach *reach, struct connection *c, enum reason reason)
{
    reach->last_reason = (uint8_t)reason;
    note_tried(reach, c->chosen);
    symptoms_failed(c, reason, reach->ask.is_handshake);
    atomic_fetch_add_explicit(&c->chosen->failures_ever, 1, memory_order_relaxed);
    connection_close_server(c);
    connection_release_seat(c);
}

/* The server hears who the client is before it hears anything else. */
static enum next introduce(struct reach *reach, struct connection *c, unsigned pick_step)
{
    enum proxy_out version = pool_proxy_protocol(connection_pool(c));
    uint8_t header[PROXY_OUT_MAX_BYTES];

    if (!version)
        return NEXT;
    size_t len = introduction_write(c, version, reach->server_name, header);
    struct bytes rest = bytes_slice((struct bytes){header, len}, reach->introduced_bytes, len);
    ssize_t sent = stream_write(c->server, rest);
    if (sent < 0 && sent != -EAGAIN) {
        reach_give_up(reach, c, REASON_CONNECT_REFUSED);
        return flow_goto(&c->flow, pick_step);
    }
    if (sent > 0)
        reach->introduced_bytes += (size_t)sent;
    if (reach->introduced_bytes == len)
        return NEXT;
    return flow_wait_source(&c->flow, &c->server->source, WRITABLE,
                            WITHIN(c->route->deadlines.connect, REASON_CONNECT_TOO_SLOW));
}

enum next reach_dial(struct reach *reach, struct connection *c, unsigned pick_step)
{
    struct flow *child = &reach->dial.flow;

    if (reach->is_reused)
        return NEXT;
    if (!flow_is_over(child))
        return flow_wait_child(&c->flow, child);
    if (child->reason == REASON_DONE) {
        flow_adopt(&c->flow, &c->server->source, REASON_DONE);
        return introduce(reach, c, pick_step);
    }

    reach_give_up(reach, c, child->reason);
    if (child->reason == REASON_DESCRIPTORS_SHORT || child->reason == REASON_NO_MEMORY)
        return flow_fail(&c->flow, child->reason); /* another server would not help */
    return flow_goto(&c->flow, pick_step);
}

/* A server that says how long it waits is left earlier than that: a request sent as it closes would
 * be lost, and may not be sent again. */
void reach_rest(struct connection *c, uint64_t server_rests_usec)
{
    struct pool_keepalive limits = *pool_keepalive(connection_pool(c));
    uint64_t server = server_rests_usec;

    if (server != FOREVER) {
        server = server > SERVER_MARGIN_USEC ? server - SERVER_MARGIN_USEC : 0;
        limits.idle_usec = server < limits.idle_usec ? server : limits.idle_usec;
        limits.max = server ? limits.max : 0;
    }
    c->owns_rest |= pool_proxy_protocol(connection_pool(c)) != PROXY_OUT_NO;
    keepalive_give(&proxy_of(&c->flow)->keepalive, c->chosen, TAKE(c->server), &limits,
                   connection_as_owner(c));
}
