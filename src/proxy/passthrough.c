/* The flow of what is relayed without being understood. TLS that ends at the server: its
 * ClientHello is read in passing, routed by the name in it (SNI), and from then on everything, the
 * hello first, is relayed untouched. And `tcp` listeners: their pool is named, so nothing is read
 * at all, and who speaks first is no matter of ours; TLS may end here before. */
#include "codec/tls_hello.h"
#include "proxy/admission.h"
#include "proxy/aim.h"
#include "proxy/drains.h"
#include "proxy/farewell.h"
#include "proxy/introduction.h"
#include "proxy/recall.h"

#include <errno.h>
#include <stdlib.h>

#define PASSTHROUGH_STEPS(STEP)                                                                    \
    STEP(hear_proxy)   /* PROXY protocol: until it is said who the client is */                    \
    STEP(secure)       /* TLS that ends here: until its handshake is done */                       \
    STEP(read_hello)   /* until the ClientHello is whole */                                        \
    STEP(choose_route) /* by server name, or the listener's; policy only */                        \
    STEP(recall)       /* which server its client was at before; waits only for a store */         \
    STEP(pick_server)  /* waits only in the pool's queue */                                        \
    STEP(dial)         /* until connected; another server on failure */                            \
    STEP(relay)        /* layer 4 until an end leaves */                                           \
    STEP(say_goodbye)  /* what we end is ended by FIN */                                           \
    STEP(linger)       /* until the peer has read it: reads to the end, or a while */

/* Record headers, and what came behind the hello. */
#define HELLO_BUF_BYTES (TLS_HELLO_MAX_BYTES + 16384u)

struct hello {
    struct buf in;
    struct reach reach;
    struct recall recall;
    struct tls_accept accept;
    struct tls_hello parsed;
    uint64_t began_usec;
    uint8_t memory[TLS_HELLO_MAX_BYTES]; /* where there is a hello to read */
};

struct passthrough {
    struct connection c; /* first: connection_of */
    struct hello *hello; /* NULL once the relay has begun */
};

FLOW_IN(passthrough, PASSTHROUGH_STEPS, c.flow, connection_entered, STEP_say_goodbye)

static struct hello *hello_free(struct hello *hello)
{
    if (!hello)
        return NULL;
    reach_end(&hello->reach);
    recall_done(&hello->recall);
    buf_done(&hello->in);
    free(hello);
    return NULL;
}

static const struct route *tcp_route(const struct passthrough *p)
{
    return p->c.snapshot->gates[p->c.gate].tcp;
}

static enum next hear_proxy(struct passthrough *p)
{
    return introduction_hear(&p->c);
}

static enum next secure(struct passthrough *p)
{
    struct tls_context *context = connection_tls(&p->c);
    struct flow *child = &p->hello->accept.flow;

    if (!context)
        return NEXT;
    if (!flow_is_started(child))
        tls_accept_start(&p->hello->accept, &p->c.flow, &p->c.client, context,
                         p->c.snapshot->deadlines.request_head);
    if (!flow_is_over(child))
        return flow_wait_child(&p->c.flow, child);
    if (child->reason != REASON_DONE)
        return flow_leave(&p->c.flow, child->reason);
    flow_adopt(&p->c.flow, &p->c.client.source, REASON_CLIENT_LEFT);
    return NEXT;
}

static enum next read_hello(struct passthrough *p)
{
    struct hello *h = p->hello;
    int used;

    if (tcp_route(p))
        return NEXT;
    while (!(used = tls_hello_parse(buf_bytes(&h->in), h->memory, &h->parsed))) {
        ssize_t got = stream_read_into(&p->c.client, &h->in, worker_of(&p->c.flow)->scratch);
        if (got == -EAGAIN)
            return flow_wait_source(
                &p->c.flow, &p->c.client.source, READABLE,
                WITHIN(p->c.snapshot->deadlines.request_head, REASON_HEAD_TOO_SLOW));
        if (got == -ENOMEM)
            return flow_leave(&p->c.flow, REASON_NO_MEMORY);
        if (got == -EMSGSIZE)
            return flow_leave(&p->c.flow, REASON_HELLO_MALFORMED);
        if (got <= 0)
            return flow_leave(&p->c.flow,
                              buf_is_empty(&h->in) ? REASON_CLIENT_SILENT : REASON_CLIENT_LEFT);
    }
    return used > 0 ? NEXT : flow_leave(&p->c.flow, REASON_HELLO_MALFORMED);
}

static enum next choose_route(struct passthrough *p)
{
    p->c.request_id = random_next(&proxy_of(&p->c.flow)->random) | 1;
    p->c.route = tcp_route(p);
    if (!p->c.route)
        p->c.route = snapshot_route_by_name(p->c.snapshot, p->hello->parsed.server_name);
    if (!p->c.route)
        return flow_leave(&p->c.flow, REASON_NO_ROUTE);
    enum reason why = admission_judge_connection(&p->c);
    if (why != REASON_DONE)
        return flow_leave(&p->c.flow, why);
    why = drains_refusal(proxy_of(&p->c.flow), p->c.route);
    if (why == REASON_DONE)
        why = drains_choose_share(&p->c);
    if (why != REASON_DONE)
        return flow_leave(&p->c.flow, why);
    const struct sticky_ask ask = {.client = address_ip(connection_from(&p->c))};
    recall_begin(&p->hello->recall, &p->c, &ask);
    reach_begin(&p->hello->reach);
    p->hello->reach.ask.is_handshake = true;
    p->hello->reach.server_name = p->hello->parsed.server_name;
    aim_at_connection(&p->hello->reach, &p->c);
    return NEXT;
}

static enum next recall(struct passthrough *p)
{
    uint8_t share = p->c.share;
    enum next next = recall_look(&p->hello->recall, &p->c, &p->hello->reach);

    if (p->c.share != share)
        aim_at_connection(&p->hello->reach, &p->c);
    return next;
}

static enum next pick_server(struct passthrough *p)
{
    return reach_pick(&p->hello->reach, &p->c);
}

static enum next dial(struct passthrough *p)
{
    return reach_dial(&p->hello->reach, &p->c, STEP_pick_server);
}

static enum next relay(struct passthrough *p)
{
    if (!relay_is_started(&p->c.relay)) {
        enum next next = recall_remember(&p->hello->recall, &p->c, NULL);
        if (next != NEXT)
            return next;
        struct relay_end client = {.stream = &p->c.client, .early = buf_bytes(&p->hello->in)};
        struct relay_end server = {.stream = p->c.server};
        p->c.handshake_usec = (uint32_t)(now_of(&p->c.flow) - p->hello->began_usec);
        connection_start_relay(&p->c, client, server, false, NULL);
        p->hello = hello_free(p->hello);
    }
    if (!relay_is_over(&p->c.relay))
        return flow_wait_notice(&p->c.flow, WITHIN(FOREVER, REASON_LIFETIME));

    enum reason reason = p->c.relay.reason;
    flow_adopt(&p->c.flow, &p->c.client.source, REASON_DONE);
    flow_adopt(&p->c.flow, &p->c.server->source, REASON_DONE);
    return flow_fail(&p->c.flow,
                     reason == REASON_RECLAIMED && p->c.end_reason ? p->c.end_reason : reason);
}

static enum next say_goodbye(struct passthrough *p)
{
    if (!p->c.is_tunnel)
        return flow_leave(&p->c.flow, p->c.flow.reason);
    return farewell_say(&p->c);
}

static enum next linger(struct passthrough *p)
{
    return farewell_linger(&p->c);
}

static void log_refused(struct passthrough *p)
{
    struct connection_texts texts;
    struct log_fields fields = connection_fields(&p->c, p->c.flow.reason, &texts);

    fields.host = p->hello->parsed.server_name;
    fields.words = bytes_of(reason_row(p->c.flow.reason)->words);
    fields.lifetime_usec = now_of(&p->c.flow) - p->c.opened_usec;
    log_event(worker_of(&p->c.flow)->log, EVENT_refused, &fields);
    atomic_fetch_add_explicit(&proxy_of(&p->c.flow)->counters.refused_ever, 1,
                              memory_order_relaxed);
}

static void passthrough_leave(struct passthrough *p)
{
    if (!p->c.is_tunnel && p->hello && p->c.flow.reason != REASON_CLIENT_SILENT)
        log_refused(p);
    p->hello = hello_free(p->hello);
    connection_end(&p->c);
}

static struct hello *hello_new(uint64_t now_usec, bool is_read)
{
    struct hello *hello = malloc(is_read ? sizeof *hello : offsetof(struct hello, memory));

    if (!hello)
        return NULL;
    memset(hello, 0, offsetof(struct hello, memory));
    hello->began_usec = now_usec;
    buf_init(&hello->in, HELLO_BUF_BYTES);
    return hello;
}

void passthrough_start(struct proxy *proxy, unsigned gate, int take_fd, const struct address *peer)
{
    struct passthrough *p = calloc(1, sizeof *p);
    bool is_tcp = proxy->snapshot->gates[gate].tcp;
    struct hello *hello = hello_new(proxy->worker.runner.loop.now_usec, !is_tcp);

    if (!p || !hello) {
        free(p);
        free(hello);
        stream_refuse(take_fd);
        return;
    }
    p->hello = hello;
    connection_begin(&p->c, proxy, gate, peer);
    flow_start(&p->c.flow, &passthrough_kind, &proxy->worker.runner, NULL);
    if (stream_open(&p->c.client, &proxy->worker.runner.loop, take_fd))
        flow_stop(&p->c.flow, REASON_NO_MEMORY);
    else
        flow_adopt(&p->c.flow, &p->c.client.source, REASON_CLIENT_LEFT);
}
