/* Names and units are those of the log's fields, so that one story has one vocabulary. */
#include "admin/view.h"

#include "sys/sys.h"

#include <stdlib.h>
#include <unistd.h>

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *text(const char *value)
{
    return value ? json_string(value) : json_null();
}

static json_t *borrowed(struct bytes value)
{
    json_t *json = json_stringn((const char *)value.at, value.len);

    return json ? json : json_string("(not UTF-8)");
}

static void set(json_t *object, const char *key, json_t *take_value)
{
    json_object_set_new(object, key, take_value); /* NULL in, nothing set: memory is short */
}

static json_t *wall(uint64_t usec)
{
    char time[LOG_TIME_BYTES];

    log_time_write(usec, time);
    return usec ? json_string(time) : json_null();
}

/* --- a connection
 * ---------------------------------------------------------------------------------- */

static json_t *view_addresses(const struct stream *stream)
{
    struct address local, peer;
    char words[ADDRESS_TEXT_BYTES];
    json_t *json = json_object();

    if (!stream_is_open(stream) || tcp_names(stream->source.fd, &local, &peer)) {
        json_decref(json);
        return json_null();
    }
    set(json, "local", text(address_write(&local, words)));
    set(json, "peer", text(address_write(&peer, words)));
    return json;
}

static json_t *view_steps(const struct connection *c)
{
    json_t *steps = json_array();

    for (unsigned i = 0; i < c->trail.count; i++) {
        json_t *step = json_object();
        set(step, "step", text(c->flow.kind->steps[c->trail.step[i]].name));
        set(step, "at_usec", number(c->trail.usec[i]));
        json_array_append_new(steps, step);
    }
    return steps;
}

/* The set that alone could be chosen from: of which key, and how large. */
static json_t *view_shard(const struct choice *choice)
{
    char digits[17] = "";
    json_t *json;

    if (!choice->shard_servers)
        return json_null();
    json = json_object();
    bytes_write_hex(choice->shard_hash, digits);
    set(json, "hash", text(digits));
    set(json, "servers", number(choice->shard_servers));
    return json;
}

static json_t *view_choice(const struct connection *c)
{
    const struct choice *choice = c->choice;
    json_t *json, *candidates;

    if (!choice || !c->route)
        return json_null();
    json = json_object();
    candidates = json_array();
    set(json, "balancer", text(pool_balancer(connection_pool(c))->name));
    set(json, "because", text(pool_balancer(connection_pool(c))->because));
    set(json, "how", text(choice->how == CHOICE_STICKY ? "sticky" : "balanced"));
    set(json, "servers", number(choice->candidates));
    for (unsigned i = 0; i < choice->seen_count; i++) {
        const struct choice_seen *seen = &choice->seen[i];
        json_t *one = json_object();
        set(one, "server", text(members_server(choice->members, seen->member)->name));
        set(one, "active", number(seen->active));
        set(one, "weight", number(seen->weight));
        set(one, "open", json_boolean(seen->is_open));
        set(one, "chosen", json_boolean(i == choice->chosen));
        json_array_append_new(candidates, one);
    }
    set(json, "candidates", candidates);
    set(json, "shard", view_shard(choice));
    return json;
}

/* Which tier serves it, for how long already, and why no better one does. */
static json_t *view_lane(const struct relay *relay, unsigned lane)
{
    const char *why = relay_lane_why(relay, lane);
    json_t *json = json_object();

    set(json, "tier", text(relay_lane_tier(relay, lane)));
    set(json, "since_usec", number(relay_lane_tier_usec(relay, lane)));
    set(json, "no_better", why ? text(why) : json_null());
    return json;
}

static void add_relay(json_t *json, const struct connection *c)
{
    const struct relay *relay = &c->relay;
    uint64_t now = now_of(&c->flow);

    set(json, "tier", text(relay_tier_name(relay->tier[relay->tier[0] < relay->tier[1] ? 0 : 1])));
    set(json, "to_server_relay", view_lane(relay, 0));
    set(json, "to_client_relay", view_lane(relay, 1));
    set(json, "to_server_bytes", number(relay_moved_bytes(relay, 0)));
    set(json, "to_client_bytes", number(relay_moved_bytes(relay, 1)));
    set(json, "to_server_unsent_bytes", number(relay_unsent_bytes(relay, 0)));
    set(json, "to_client_unsent_bytes", number(relay_unsent_bytes(relay, 1)));
    set(json, "client_silent_usec", number(now - relay->lane[0].active_usec));
    set(json, "server_silent_usec", number(now - relay->lane[1].active_usec));
    if (relay->lane[0].close_code)
        set(json, "close_code_client", number(relay->lane[0].close_code));
    if (relay->lane[1].close_code)
        set(json, "close_code_server", number(relay->lane[1].close_code));
    if (relay->is_websocket)
        set(json, "aligned",
            json_pack("[b,b]",
                      ws_track_is_aligned(&relay->lane[0].record[relay->lane[0].selected].frames),
                      ws_track_is_aligned(&relay->lane[1].record[relay->lane[1].selected].frames)));
}

json_t *view_connection(const struct connection *c, bool with_story)
{
    struct connection_texts texts;
    struct log_fields fields = connection_fields(c, REASON_DONE, &texts);
    json_t *json = json_object();

    set(json, "connection", number(c->flow.number));
    set(json, "worker", number(c->flow.runner->number));
    set(json, "flow", text(c->flow.kind->name));
    set(json, "state", text(flow_step_name(&c->flow)));
    set(json, "client", text(texts.client));
    if (fields.through.at)
        set(json, "through", borrowed(fields.through));
    if (fields.listener.at)
        set(json, "listener", borrowed(fields.listener));
    if (fields.route.at)
        set(json, "route", borrowed(fields.route));
    if (fields.pool.at)
        set(json, "pool", borrowed(fields.pool));
    set(json, "server", c->chosen ? text(c->chosen->name) : json_null());
    set(json, "open_usec", number(now_of(&c->flow) - c->opened_usec));
    if (fields.sticky.at)
        set(json, "sticky", borrowed(fields.sticky));
    if (c->handshake_usec)
        set(json, "handshake_usec", number(c->handshake_usec));
    if (fields.request_id.at)
        set(json, "request_id", borrowed(fields.request_id));
    if (relay_is_started(&c->relay))
        add_relay(json, c);
    if (!with_story)
        return json;
    set(json, "clock_usec", number(now_of(&c->flow)));
    set(json, "opened", wall(sys_wall_usec() - (now_of(&c->flow) - c->opened_usec)));
    set(json, "tls", c->client.tls ? text(stream_tls_version(&c->client)) : json_null());
    set(json, "configuration", number(c->snapshot->number));
    set(json, "steps", view_steps(c));
    set(json, "choice", view_choice(c));
    set(json, "client_side", view_addresses(&c->client));
    set(json, "server_side", view_addresses(c->server));
    return json;
}

/* --- counters and facts
 * ---------------------------------------------------------------------------- */

json_t *view_counters(const struct proxy *proxy)
{
    json_t *json = json_object();

#define COUNTER(name, help)                                                                        \
    set(json, #name, number(atomic_load_explicit(&proxy->counters.name, memory_order_relaxed)));
    PROXY_COUNTERS(COUNTER)
#undef COUNTER
    return json;
}

static void add_error(void *to, struct mark mark, const char *words, const char *hint)
{
    json_t *json = json_object();

    set(json, "file", text(mark.file));
    set(json, "line", number(mark.line));
    set(json, "column", number(mark.column));
    set(json, "words", text(words));
    set(json, "hint", text(hint));
    json_array_append_new(to, json);
}

json_t *view_reload(const struct admin_reload_result *result)
{
    json_t *json = json_object();

    set(json, "result", text(result->is_good ? "ok" : "refused"));
    set(json, "number", number(result->number));
    set(json, "at", wall(result->wall_usec));
    if (!result->is_good && result->report) {
        json_t *errors = json_array();
        report_each(result->report, add_error, errors);
        set(json, "errors", errors);
    }
    return json;
}

static void add_origin(void *to, const struct discovery_state *state)
{
    json_t *json = json_object();

    set(json, "pool", text(state->pool));
    set(json, "by", text(state->by));
    set(json, "what", text(state->what));
    set(json, "servers", number(state->servers));
    set(json, "found", wall(state->found_wall_usec));
    set(json, "next_usec", state->next_usec == LOG_NONE ? json_null() : number(state->next_usec));
    set(json, "failures", number(state->failures));
    set(json, "failed", wall(state->failed_wall_usec));
    set(json, "error", state->error[0] ? text(state->error) : json_null());
    json_array_append_new(to, json);
}

static json_t *view_discovery(const struct discovery *discovery)
{
    json_t *all = json_array();

    if (discovery)
        discovery_each(discovery, add_origin, all);
    return all;
}

static json_t *view_health(const struct health_counters *counters)
{
    json_t *json = json_object();

#define COUNTER(name, help)                                                                        \
    set(json, #name, number(atomic_load_explicit(&counters->name, memory_order_relaxed)));
    HEALTH_COUNTERS(COUNTER)
#undef COUNTER
    return json;
}

json_t *view_status(const struct admin_status *status, const struct snapshot *snapshot)
{
    json_t *json = json_object(), *tiers = json_array();

    set(json, "version", text(TURNOUT_VERSION));
    set(json, "pid", number((uint64_t)getpid()));
    set(json, "started", wall(status->started_wall_usec));
    set(json, "uptime_usec", number(sys_wall_usec() - status->started_wall_usec));
    set(json, "file", text(status->path));
    set(json, "configuration", number(snapshot->number));
    set(json, "configuration_since", wall(status->configured_wall_usec));
    set(json, "log_lines_lost", number(status->log_lines_lost));
    set(json, "state", text(status->is_draining ? "draining" : "serving"));
    set(json, "workers", number(snapshot->workers));
    set(json, "descriptor_limit", number((uint64_t)status->descriptor_limit));
    set(json, "health", view_health(status->health));
    set(json, "kernel", text(status->features));
    for (unsigned i = 0; i < relay_tier_count(); i++)
        json_array_append_new(tiers,
                              json_pack("{s:s, s:b, s:s*}", "tier", relay_tier_name(i), "serves",
                                        !status->refused[i], "why", status->refused[i]));
    set(json, "tiers", tiers);
    set(json, "stores", view_stores(snapshot));
    set(json, "changes", view_changes(snapshot));
    set(json, "discovery", view_discovery(status->discovery));
    set(json, "last_reload",
        status->last_reload.wall_usec ? view_reload(&status->last_reload) : json_null());
    return json;
}

static void view_action(const struct route *route, json_t *json)
{
    static const char *const kinds[] = {"pools", "respond", "redirect"};
    const struct route_settings *settings = route->settings;
    json_t *pools = json_object();

    set(json, "action", text(kinds[settings->kind]));
    if (route->pool) {
        set(json, "pool", text(pool_name(route->pool)));
        set(json, "balance", text(pool_balancer(route->pool)->name));
    } else {
        set(json, "status", number(route->action->status));
    }
    for (size_t i = 0; i < settings->share_count; i++)
        set(pools, settings->shares[i].pool, number(settings->shares[i].weight));
    if (settings->share_count)
        json_object_set_new(json, "weights", pools);
    else
        json_decref(pools);
}

json_t *view_routes(const struct snapshot *snapshot)
{
    json_t *all = json_array();
    char words[512];

    for (size_t i = 0; i < snapshot->settings->route_count; i++) {
        const struct route *route = &snapshot->routes[i];
        json_t *json = json_object();
        set(json, "route", text(route->name));
        set(json, "matches", text(route_rule_describe(route->rule, words, sizeof words)));
        view_action(route, json);
        json_array_append_new(all, json);
    }
    return all;
}

/* --- flows
 * ----------------------------------------------------------------------------------------- */

static uint64_t load(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static json_t *view_kind(const struct flow_stats *stats, const struct flow_kind *kind,
                         unsigned worker)
{
    json_t *json = json_object(), *steps = json_array(), *ended = json_object();

    set(json, "flow", text(kind->name));
    set(json, "worker", number(worker));
    for (unsigned i = 0; i < kind->step_count; i++) {
        uint64_t count = load(&stats->step[i].count);
        json_t *step = json_object();
        set(step, "step", text(kind->steps[i].name));
        set(step, "count", number(count));
        set(step, "mean_usec", number(count ? load(&stats->step[i].usec) / count : 0));
        set(step, "longest_usec", number(load(&stats->step[i].longest_usec)));
        json_array_append_new(steps, step);
    }
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (load(&stats->ended[i]))
            set(ended, reason_row(i)->name, number(load(&stats->ended[i])));
    set(json, "steps", steps);
    set(json, "ended", ended);
    return json;
}

json_t *view_flows(struct proxy *const *proxies, unsigned count)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < count; i++) {
        const struct runner *runner = &proxies[i]->worker.runner;
        for (unsigned k = 0; k < RUNNER_KINDS_MAX; k++) {
            const struct flow_kind *kind = runner_kind(runner, k);
            if (kind)
                json_array_append_new(all, view_kind(&runner->stats[k], kind, i));
        }
    }
    return all;
}
