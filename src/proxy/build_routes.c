/* The routes of a snapshot, with their rules, actions, access and shares of pools. */
#include "proxy/snapshot_priv.h"

#include "route/shares.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct deadlines deadlines_of(const struct timeouts *timeouts)
{
    return (struct deadlines){
        .request_head = forever_if_none(timeouts->request_head),
        .body = forever_if_none(timeouts->body),
        .queue = forever_if_none(timeouts->queue),
        .connect = forever_if_none(timeouts->connect),
        .handshake = forever_if_none(timeouts->handshake),
        .response = forever_if_none(timeouts->response),
        .keepalive = forever_if_none(timeouts->keepalive),
    };
}

/* A bit for each tier that is not named; none where none is. */
static uint8_t tiers_left_out(const struct texts *tiers)
{
    const char *const *names = relay_tier_names();
    unsigned left_out = 0;

    for (unsigned i = 0; tiers->count && names[i]; i++) {
        bool is_named = false;
        for (size_t k = 0; k < tiers->count; k++)
            is_named |= strcmp(names[i], tiers->at[k]) == 0;
        left_out |= is_named ? 0 : 1u << i;
    }
    return (uint8_t)left_out;
}

static struct relay_opts relay_opts_of(const struct settings *settings,
                                       const struct route_settings *route)
{
    const struct timeouts *timeouts = &route->timeouts;

    return (struct relay_opts){
        .idle_usec = forever_if_none(timeouts->tunnel_idle),
        .fin_usec = forever_if_none(timeouts->fin),
        .lifetime_usec = forever_if_none(timeouts->lifetime),
        .unsent_bytes = (uint32_t)settings->limits.unsent,
        .is_websocket = true,
        .tiers_left_out = tiers_left_out(&route->relay.tiers),
    };
}

/* The host is tried alone first, so that an error points at the right key. */
static void build_rule(struct build *b, const struct route_settings *settings, struct route *route)
{
    const struct route_match host_only = {.host = settings->host};
    const struct route_match match = {settings->host, settings->path, settings->prefix,
                                      &settings->more};
    struct mark mark = settings->path ? settings->path_mark : settings->prefix_mark;
    char words[256];

    int error = route_rule_new(&host_only, &route->rule, words);
    if (error == -EINVAL)
        report_add(b->report, settings->host_mark, NULL, "%s", words);
    else if (error)
        out_of_memory(b);
    route->rule = route_rule_free(route->rule);
    if (error)
        return;

    error = route_rule_new(&match, &route->rule, words);
    if (error == -EINVAL)
        report_add(b->report, mark, NULL, "%s", words);
    else if (error)
        out_of_memory(b);
}

static void hear_action(void *to, struct mark mark, const char *words)
{
    const struct build *b = to;

    report_add(b->report, mark, NULL, "%s", words);
}

#define TURNS_ALIGN 8 /* numbers: two workers never write to one cache line */

static size_t turns_per_worker(size_t count)
{
    return (count + TURNS_ALIGN - 1) / TURNS_ALIGN * TURNS_ALIGN;
}

static void build_shares(struct build *b, struct route *route)
{
    const struct route_settings *settings = route->settings;
    size_t count = settings->share_count;
    unsigned workers = b->means->workers ? b->means->workers : 1;

    if (count < 2)
        return;
    route->pools = calloc(count, sizeof(struct pool *));
    route->weights = calloc(count, sizeof *route->weights);
    route->turns = aligned_alloc(TURNS_ALIGN * sizeof *route->turns,
                                 workers * turns_per_worker(count) * sizeof *route->turns);
    if (!route->pools || !route->weights || !route->turns) {
        out_of_memory(b);
        return;
    }
    memset(route->turns, 0, workers * turns_per_worker(count) * sizeof *route->turns);
    for (size_t i = 0; i < count; i++) {
        route->pools[i] = b->made->pools[settings->shares[i].pool_index];
        route->weights[i] = (uint32_t)settings->shares[i].weight;
    }
}

struct route route_of(const struct snapshot *made, const struct route_settings *settings)
{
    return (struct route){
        .name = settings->name,
        .pool = settings->kind == ROUTE_POOLS ? made->pools[settings->pool_index] : NULL,
        .settings = settings,
        .deadlines = deadlines_of(&settings->timeouts),
        .relay = relay_opts_of(made->settings, settings),
        .rate_key = settings->name ? rate_route(settings->name) : 0, /* raw TCP has no route */
        .is_rated = settings->rate.connections || settings->rate.handshakes.count ||
                    settings->rate.requests.count,
    };
}

void build_route(struct build *b, size_t number)
{
    const struct route_settings *settings = &b->made->settings->routes[number];
    struct route *route = &b->made->routes[number];

    *route = route_of(b->made, settings);
    route->number = (unsigned)number;
    build_rule(b, settings, route);
    build_shares(b, route);
    if (route_action_new(settings, hear_action, b, &route->action) == -ENOMEM)
        out_of_memory(b);
    route->access = access_new(b->made->settings, &settings->access, b->report);
    if (route->pool)
        sticky_init(&route->sticky, &settings->sticky, pool_name(route->pool));
}

/* One table for all configurations, so that a reload forgets nobody. */
void build_rates(struct build *b)
{
    struct rate_table *before = b->before ? b->before->rates : NULL;
    const uint64_t seed[2] = {sys_random(), sys_random()};
    bool is_wanted = false;

    for (size_t i = 0; i < b->made->settings->route_count; i++)
        is_wanted = is_wanted || b->made->routes[i].is_rated;
    if (before)
        b->made->rates = rate_table_ref(before);
    else if (is_wanted)
        b->made->rates = rate_table_new(seed);
    if (is_wanted && !b->made->rates)
        out_of_memory(b);
}

uint8_t route_next_share(const struct route *route, unsigned worker)
{
    size_t count = route->settings->share_count;

    if (!route->turns)
        return 0;
    return (uint8_t)shares_pick(route->weights, count,
                                route->turns + worker * turns_per_worker(count));
}

struct pool *route_pool(const struct route *route, uint8_t share)
{
    return route->pools ? route->pools[share] : route->pool;
}

size_t route_pool_number(const struct route *route, uint8_t share)
{
    return route->pools ? route->settings->shares[share].pool_index : route->settings->pool_index;
}

void free_route(struct route *route)
{
    access_free(route->access);
    route_rule_free(route->rule);
    route_action_free(route->action);
    free(route->pools);
    free(route->weights);
    free(route->turns);
}
