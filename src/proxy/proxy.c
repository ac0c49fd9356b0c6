/* Gates open and close here, and a new configuration is taken over. All of it on the worker's own
 * thread, so nothing here is locked or atomic but the counters that others read. */
#include "proxy/proxy.h"

#include "proxy/connection.h"
#include "proxy/drains.h"
#include "proxy/sessions.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define DATE_USEC 1000000u

/* What a crowd of handshakes needed for a moment, ten times what its tunnels do, lies free between
 * those: whole pages of it go back once nobody is at layer 7. */
static void on_give_back(struct timer *timer)
{
    struct proxy *proxy = container_of(timer, struct proxy, give_back);

    if (proxy->exchanges)
        return;
    proxy->exchanges_peak = 0;
    sys_give_back_memory();
}

int proxy_init(struct proxy *proxy, unsigned number, struct log *log, struct tls_worker *take_tls,
               struct snapshot *snapshot)
{
    *proxy = (struct proxy){.tls = take_tls};
    list_init(&proxy->gates);
    list_init(&proxy->connections);
    list_init(&proxy->drains);

    int error = worker_init(&proxy->worker, number, log);
    if (error) {
        tls_worker_free(take_tls);
        return error;
    }
    timer_init(&proxy->give_back, on_give_back);
    keepalive_init(&proxy->keepalive, &proxy->worker.runner.loop);
    proxy->snapshot = snapshot_ref(snapshot);
    proxy->relays.unsent_limit_bytes = snapshot->settings->limits.unsent_worker;
    relay_worker_probe(&proxy->relays);
    random_init(&proxy->random, sys_random());
    return 0;
}

static void close_gate(struct gate *gate)
{
    listener_close(&gate->listener);
    list_remove(&gate->node);
    free(gate);
}

void proxy_done(struct proxy *proxy)
{
    while (!list_is_empty(&proxy->gates))
        close_gate(container_of(proxy->gates.next, struct gate, node));
    runner_stop_all(&proxy->worker.runner, REASON_STOPPING); /* what the closing gates let in */
    mailbox_deliver(&proxy->worker.mailbox);
    drains_forget(proxy);
    timer_cancel(&proxy->give_back);
    keepalive_done(&proxy->keepalive);
    relay_worker_done(&proxy->relays);
    while (proxy->spares)
        free(proxy->spare[--proxy->spares]);
    proxy->snapshot = snapshot_unref(proxy->snapshot);
    worker_done(&proxy->worker);
    proxy->tls = tls_worker_free(proxy->tls);
}

/* --- gates -------------------------------------------------------------------------------------
 */

/* The descriptor is one of the spare ones: this connection fails by name, so that others live. */
static void turn_away(struct gate *gate, int take_fd, const struct address *peer)
{
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
        "Content-Length: 0\r\n\r\n";
    const struct reason_row *row = reason_row(REASON_DESCRIPTORS_SHORT);
    const struct listener_settings *settings = gate->proxy->snapshot->gates[gate->number].settings;
    struct log_fields fields = log_fields_none();
    char client[ADDRESS_TEXT_BYTES], letters[3];

    if (settings->tls_mode == TLS_NONE && !settings->tcp_pool) {
        sys_send(take_fd, bytes_of(answer));
        fields.status = row->http_status;
    }
    stream_refuse(take_fd);
    reason_letters(REASON_DESCRIPTORS_SHORT, 'R', letters);
    fields.client = bytes_of(address_write(peer, client));
    fields.listener = bytes_of(settings->listen);
    fields.reason = bytes_of(row->name);
    fields.letters = bytes_of(letters);
    fields.words = bytes_of(row->words);
    log_event(gate->proxy->worker.log, EVENT_refused, &fields);
    atomic_fetch_add_explicit(&gate->proxy->counters.refused_ever, 1, memory_order_relaxed);
}

static void on_accept(struct listener_sink *sink, int take_fd, const struct address *peer,
                      bool is_short)
{
    struct gate *gate = container_of(sink, struct gate, sink);
    const struct listener_settings *settings = gate->proxy->snapshot->gates[gate->number].settings;

    if (is_short)
        turn_away(gate, take_fd, peer);
    else if (settings->sessions)
        sessions_start(gate->proxy, gate->number, take_fd);
    else if (settings->tls_mode == TLS_PASSTHROUGH || settings->tcp_pool)
        passthrough_start(gate->proxy, gate->number, take_fd, peer);
    else
        tunnel_start(gate->proxy, gate->number, take_fd, peer);
}

static void on_shortage(struct listener_sink *sink, int error)
{
    struct gate *gate = container_of(sink, struct gate, sink);

    log_say(
        gate->proxy->worker.log, EVENT_shortage,
        "cannot accept on %s: %s; tried again in 100 ms, clients wait meanwhile (see ulimit -n)",
        gate->proxy->snapshot->gates[gate->number].settings->listen, strerror(-error));
}

/* What a listening socket is told, every connection it accepts inherits. */
static void tune(int fd, const struct snapshot *snapshot)
{
    tcp_tune(fd, &snapshot->tuning);
    tcp_tune_bulk(fd);
}

int proxy_open_gate(struct proxy *proxy, unsigned number, const struct endpoint *endpoint,
                    int take_fd)
{
    struct gate *gate = calloc(1, sizeof *gate);

    if (!gate) {
        stream_refuse(take_fd);
        return -ENOMEM;
    }
    gate->sink = (struct listener_sink){on_accept, on_shortage};
    gate->proxy = proxy;
    gate->number = number;
    gate->endpoint = *endpoint;
    if (!endpoint->is_unix)
        tune(take_fd, proxy->snapshot);
    int error = listener_open(&gate->listener, &proxy->worker.runner.loop, take_fd,
                              endpoint->is_unix, &gate->sink);
    if (error) {
        free(gate);
        return error;
    }
    list_add_last(&proxy->gates, &gate->node);
    return 0;
}

/* --- a new configuration -------------------------------------------------------------------------
 */

static bool stays(struct gate *gate, const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->settings->listener_count; i++) {
        if (!endpoint_equal(&gate->endpoint, &snapshot->gates[i].endpoint))
            continue;
        gate->number = (unsigned)i;
        return true;
    }
    return false;
}

/* A tunnel stays untouched while its route's pool and its server are still configured. */
static void follow_removal(struct connection *c, const struct snapshot *snapshot)
{
    if (!c->is_tunnel)
        return;
    struct pool *pool = snapshot_pool(snapshot, pool_name(connection_pool(c)));
    bool is_there = pool && pool_has(pool, c->chosen);
    if (!is_there && c->route->settings->on_removed == ON_REMOVED_CLOSE)
        connection_close_tunnel(c, REASON_REMOVED);
}

static bool is_configured(const struct server *server, const void *context)
{
    const struct snapshot *snapshot = context;

    for (size_t i = 0; i < snapshot->settings->pool_count; i++)
        if (pool_has(snapshot->pools[i], server))
            return true;
    return false;
}

void proxy_follow_members(struct proxy *proxy)
{
    if (!proxy->snapshot)
        return; /* the letter came when all was over */
    list_each(node, &proxy->connections)
        follow_removal(container_of(node, struct connection, node), proxy->snapshot);
    keepalive_sweep(&proxy->keepalive, is_configured, proxy->snapshot);
}

void proxy_adopt(struct proxy *proxy, struct snapshot *snapshot, const int *fds)
{
    struct snapshot *before = proxy->snapshot;
    struct list *next;

    /* Gates that close let in who is queued, still under the configuration they belong to. */
    for (struct list *node = proxy->gates.next; node != &proxy->gates; node = next) {
        next = node->next;
        struct gate *gate = container_of(node, struct gate, node);
        if (!stays(gate, snapshot))
            close_gate(gate);
        else if (!gate->endpoint.is_unix)
            tune(gate->listener.source.fd, snapshot);
    }
    proxy->snapshot = snapshot_ref(snapshot);
    proxy->relays.unsent_limit_bytes = snapshot->settings->limits.unsent_worker;
    for (size_t i = 0; i < snapshot->settings->listener_count; i++)
        if (fds[i] >= 0 &&
            proxy_open_gate(proxy, (unsigned)i, &snapshot->gates[i].endpoint, fds[i]))
            log_say(proxy->worker.log, EVENT_shortage,
                    "worker %u cannot listen on %s: out of memory", proxy->worker.runner.number,
                    snapshot->settings->listeners[i].listen);
    proxy_follow_members(proxy);
    for (size_t i = 0; i < snapshot->settings->pool_count; i++)
        pool_serve_waiters(snapshot->pools[i]);
    snapshot_unref(before);
}

/* --- draining ------------------------------------------------------------------------------------
 */

void proxy_drain(struct proxy *proxy)
{
    struct list *next;

    proxy->is_draining = proxy->is_stopping = true;
    for (struct list *node = proxy->connections.next; node != &proxy->connections; node = next) {
        next = node->next;
        tunnel_drain(container_of(node, struct connection, node));
    }
}

void proxy_close_tunnels(struct proxy *proxy, enum reason reason)
{
    list_each(node, &proxy->connections)
        connection_close_tunnel(container_of(node, struct connection, node), reason);
}

uint64_t proxy_connection_count(const struct proxy *proxy)
{
    return atomic_load_explicit(&proxy->counters.connections, memory_order_relaxed);
}

const char *proxy_date(struct proxy *proxy)
{
    uint64_t now = proxy->worker.runner.loop.now_usec;
    time_t wall;
    struct tm parts;

    if (proxy->date[0] && now - proxy->date_usec < DATE_USEC)
        return proxy->date;
    wall = (time_t)(sys_wall_usec() / 1000000u);
    gmtime_r(&wall, &parts);
    strftime(proxy->date, sizeof proxy->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    proxy->date_usec = now;
    return proxy->date;
}
