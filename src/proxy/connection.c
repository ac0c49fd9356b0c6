/* Beginning, relaying and ending are alike for all flows; only the way to the server differs. */
#include "proxy/connection.h"

#include "net/tcp.h"
#include "proxy/drains.h"
#include "proxy/introduction.h"
#include "relay/guard.h"
#include "session/sticky.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(struct connection) <= 760, "the price of an idle connection is a promise");

#define RECLAIM_USEC 1000000u

static void add(_Atomic uint64_t *figure, uint64_t more)
{
    atomic_fetch_add_explicit(figure, more, memory_order_relaxed);
}

static void take_off(_Atomic uint64_t *figure)
{
    atomic_fetch_sub_explicit(figure, 1, memory_order_relaxed);
}

void connection_begin(struct connection *c, struct proxy *proxy, unsigned gate,
                      const struct address *peer)
{
    c->gate = (uint16_t)gate;
    c->peer = *peer;
    c->port = endpoint_port(&proxy->snapshot->gates[gate].endpoint);
    c->opened_usec = proxy->worker.runner.loop.now_usec;
    c->snapshot = snapshot_ref(proxy->snapshot);
    list_add_last(&proxy->connections, &c->node);
    add(&proxy->counters.connections_ever, 1);
    add(&proxy->counters.connections, 1);
}

void connection_entered(struct flow *flow)
{
    struct connection *c = connection_of(flow);
    struct trail *trail = &c->trail;
    uint64_t usec = now_of(flow) - c->opened_usec;
    unsigned at = trail->count < TRAIL_STEPS_MAX ? trail->count++ : TRAIL_STEPS_MAX - 1;

    trail->step[at] = flow->step;
    trail->usec[at] = usec > UINT32_MAX ? UINT32_MAX : (uint32_t)usec;
}

void connection_forget_trail(struct connection *c)
{
    c->trail.count = 0;
    free(TAKE(c->claimed));
    connection_entered(&c->flow);
}

struct tls_context *connection_tls(const struct connection *c)
{
    const struct gate_spec *gate = &c->snapshot->gates[c->gate];

    return gate->tls ? gate->tls[worker_of(&c->flow)->runner.number] : NULL;
}

int connection_claim(struct connection *c, const struct address *from, struct bytes id)
{
    free(TAKE(c->claimed));
    if (!id.len && address_equal(from, &c->peer))
        return 0;
    c->claimed = calloc(1, sizeof *c->claimed + id.len + 1);
    if (!c->claimed)
        return -ENOMEM;
    c->claimed->from = *from;
    if (id.len)
        memcpy(c->claimed->id, id.at, id.len);
    return 0;
}

void connection_take_newest_snapshot(struct connection *c)
{
    struct proxy *proxy = proxy_of(&c->flow);

    if (c->snapshot == proxy->snapshot)
        return;
    snapshot_unref(c->snapshot);
    c->snapshot = snapshot_ref(proxy->snapshot);
}

void connection_release_seat(struct connection *c)
{
    if (c->chosen)
        pool_release(TAKE(c->chosen));
}

void connection_release_hold(struct connection *c)
{
    rate_release(c->snapshot->rates, &c->hold);
}

void connection_close_server(struct connection *c)
{
    keepalive_discard(TAKE(c->server));
}

/* Lifetimes are spread by up to the route's jitter, downward, so that what began together does not
 * end together. */
static uint64_t jittered(struct proxy *proxy, uint64_t usec, uint64_t percent)
{
    if (usec == FOREVER || percent == 0)
        return usec;
    return usec - random_below(&proxy->random, usec / 100 * percent + 1);
}

void connection_start_relay(struct connection *c, struct relay_end client, struct relay_end server,
                            bool is_websocket, const struct guard_opts *guard)
{
    struct proxy *proxy = proxy_of(&c->flow);
    struct connection_texts texts;
    struct relay_opts opts = c->route->relay;

    opts.is_websocket = is_websocket;
    opts.guard = guard;
    opts.lifetime_usec = jittered(proxy, opts.lifetime_usec, c->route->settings->lifetime_jitter);
    c->is_tunnel = true;
    add(&c->chosen->tunnels, 1);
    add(&c->chosen->tunnels_ever, 1);
    add(&proxy->counters.tunnels, 1);
    add(&proxy->counters.tunnels_ever, 1);
    relay_start(&c->relay, &c->flow, &proxy->relays, client, server, &opts);
    drains_joined(c);

    if (!log_wants(proxy->worker.log, EVENT_open))
        return;
    struct log_fields fields = connection_fields(c, REASON_DONE, &texts);
    fields.reason = fields.letters = (struct bytes){0};
    fields.status = is_websocket ? 101 : LOG_NONE;
    log_event(proxy->worker.log, EVENT_open, &fields);
}

void connection_close_with(struct connection *c, enum reason reason, uint16_t code,
                           uint64_t within_usec)
{
    if (!relay_is_started(&c->relay) || relay_is_over(&c->relay) || c->end_reason)
        return;
    c->end_reason = (uint8_t)reason;
    c->end_code = (uint8_t)(code ? code - 1000 : 0);
    relay_reclaim(&c->relay, within_usec);
}

void connection_close_tunnel(struct connection *c, enum reason reason)
{
    connection_close_with(c, reason, 0, RECLAIM_USEC);
}

char connection_phase(const struct connection *c, unsigned step)
{
    static const struct {
        const char *step;
        char letter;
    } phases[] = {
        {"pick_server", 'Q'}, {"dial", 'C'},    {"ask", 'H'},   {"answer", 'H'},
        {"hand_over", 'H'},   {"forward", 'D'}, {"relay", 'D'},
    };
    const char *name = c->flow.kind->steps[step].name;

    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        if (strcmp(phases[i].step, name) == 0)
            return phases[i].letter;
    return c->is_tunnel ? 'D' : 'R';
}

/* The step in which the connection was when its end was decided: the last one before its last
 * steps. */
static unsigned last_working_step(const struct connection *c)
{
    const struct flow *flow = &c->flow;
    unsigned step = flow->step;

    for (size_t i = 0; i < ARRAY_LEN(flow->last) && step >= flow->kind->last_step; i++)
        step = flow->last[i];
    return step;
}

static struct bytes text(const char *from)
{
    return from ? bytes_of(from) : (struct bytes){0};
}

static void relay_fields(const struct connection *c, struct log_fields *fields)
{
    const struct relay *relay = &c->relay;
    uint64_t now = now_of(&c->flow);

    fields->to_server_tier = text(relay_lane_tier(relay, 0));
    fields->to_client_tier = text(relay_lane_tier(relay, 1));
    fields->tier =
        relay->tier[0] < relay->tier[1] ? fields->to_server_tier : fields->to_client_tier;
    fields->to_server_bytes = relay_moved_bytes(relay, 0);
    fields->to_client_bytes = relay_moved_bytes(relay, 1);
    fields->client_silent_usec = now - relay->lane[0].active_usec;
    fields->server_silent_usec = now - relay->lane[1].active_usec;
    if (relay->lane[0].close_code)
        fields->close_code_client = relay->lane[0].close_code;
    if (relay->lane[1].close_code)
        fields->close_code_server = relay->lane[1].close_code;
}

static void guard_fields(const struct connection *c, struct log_fields *fields)
{
    const struct guard_verdict *verdict = relay_guard_verdict(&c->relay);

    if (!verdict)
        return;
    fields->guard = text(verdict->words);
    fields->guard_end = text(verdict->offender ? "server" : "client");
    if (verdict->frame)
        fields->guard_frame = verdict->frame;
}

struct log_fields connection_fields(const struct connection *c, enum reason reason,
                                    struct connection_texts *texts)
{
    struct log_fields fields = log_fields_none();

    fields.connection = c->flow.number;
    fields.client = bytes_of(address_write(connection_from(c), texts->client));
    if (c->introduction && !c->introduction->preface)
        fields.through = bytes_of(address_write(&c->introduction->through, texts->through));
    if (c->gate < c->snapshot->settings->listener_count)
        fields.listener = text(c->snapshot->settings->listeners[c->gate].listen);
    if (c->route) {
        fields.route = text(c->route->name);
        fields.pool = text(connection_pool(c) ? pool_name(connection_pool(c)) : NULL);
    }
    if (c->chosen)
        fields.server = text(c->chosen->name);
    reason_letters(reason, connection_phase(c, last_working_step(c)), texts->letters);
    fields.reason = text(reason_row(reason)->name);
    fields.letters = text(texts->letters);
    if (connection_given_id(c)) {
        fields.request_id = text(connection_given_id(c));
    } else if (c->request_id) {
        bytes_write_hex(c->request_id, texts->request_id);
        texts->request_id[16] = '\0';
        fields.request_id = text(texts->request_id);
    }
    if (c->trail.sticky)
        fields.sticky = text(sticky_outcome_name(c->trail.sticky));
    if (c->handshake_usec)
        fields.handshake_usec = c->handshake_usec;
    if (relay_is_started(&c->relay)) {
        relay_fields(c, &fields);
        guard_fields(c, &fields);
    }
    return fields;
}

static void log_close(const struct connection *c)
{
    struct log *log = worker_of(&c->flow)->log;
    struct connection_texts texts;

    if (!log_wants(log, EVENT_close))
        return;
    struct log_fields fields = connection_fields(c, c->flow.reason, &texts);
    fields.lifetime_usec = now_of(&c->flow) - c->opened_usec;
    log_event(log, EVENT_close, &fields);
}

static void count_end(struct connection *c)
{
    struct proxy_counters *counters = &proxy_of(&c->flow)->counters;

    take_off(&counters->connections);
    if (!c->is_tunnel)
        return;
    take_off(&counters->tunnels);
    take_off(&c->chosen->tunnels);
    if (relay_guard_verdict(&c->relay))
        add(&counters->guard_ended_ever, 1);
    add(&counters->to_server_bytes, relay_moved_bytes(&c->relay, 0));
    add(&counters->to_client_bytes, relay_moved_bytes(&c->relay, 1));
}

static void close_end(struct connection *c, struct stream *stream, unsigned end)
{
    if (c->is_tunnel && relay_end_is_reset(&c->relay, end))
        stream_abort(stream);
    else
        stream_close(stream);
}

void connection_end(struct connection *c)
{
    if (c->is_tunnel) {
        log_close(c);
        drains_left(c);
    }
    count_end(c);
    relay_stop(&c->relay);
    if (c->server)
        close_end(c, c->server, 1);
    free(TAKE(c->server));
    close_end(c, &c->client, 0);
    connection_release_seat(c);
    connection_release_hold(c);
    if (c->owns_rest)
        keepalive_forget(&proxy_of(&c->flow)->keepalive, c->flow.number);
    c->choice = choice_free(c->choice);
    free(TAKE(c->claimed));
    c->introduction = introduction_free(c->introduction);
    list_remove(&c->node);
    c->snapshot = snapshot_unref(c->snapshot);
}
