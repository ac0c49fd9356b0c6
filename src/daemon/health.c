/* What the house has to do with health: it says whom to watch, and follows what is found: tunnels
 * to a server that is lost stay, are closed or drained as `on_down` says. */
#include "daemon/house.h"

#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- whom to watch ------------------------------------------------------------------------------
 */

/* A host as a client of that pool names it: of the first route that leads there and wants a host
 * without wildcards. NULL: none does. */
static const char *host_of(const struct snapshot *snapshot, const struct pool *pool)
{
    for (size_t i = 0; i < snapshot->settings->route_count; i++) {
        const struct route *route = &snapshot->routes[i];
        const char *host = route->settings->host;
        bool leads_there = route->pool == pool;
        for (size_t k = 0; route->pools && k < route->settings->share_count; k++)
            leads_there = leads_there || route->pools[k] == pool;
        if (leads_there && host && !strpbrk(host, "*{}"))
            return host;
    }
    return NULL;
}

void house_watch_health(struct house *house)
{
    const struct snapshot *snapshot = house->snapshot;
    size_t count = snapshot->settings->pool_count;
    struct health_pool *pools = calloc(count + 1, sizeof *pools);
    int error = -1;

    for (size_t i = 0; pools && i < count; i++)
        pools[i] = (struct health_pool){
            .pool = snapshot->pools[i],
            .settings = &snapshot->settings->pools[i],
            .host = host_of(snapshot, snapshot->pools[i]),
            .tuning = snapshot->tuning,
        };
    if (pools)
        error = health_adopt(house->health, pools, count);
    if (error)
        log_say(&house->log.log, EVENT_shortage,
                "no memory to watch the health of all servers: some are not checked");
    free(pools);
}

/* --- what is found ------------------------------------------------------------------------------
 */

static void begin_drain(struct house *house, struct server *server, uint64_t over_usec,
                        uint16_t code, enum reason reason)
{
    const struct drain_spec spec = {
        .kind = DRAIN_SERVER,
        .server = server,
        .name = server->name,
        .over_usec = over_usec,
        .code = code,
        .reason = reason,
    };
    int error = drains_start(&house->drains, &spec, NULL);

    if (error)
        log_say(&house->log.log, EVENT_shortage, "tunnels to %s cannot be drained: %s",
                server->name, strerror(-error));
}

static void lose(struct house *house, struct server *server, const struct health_policy *policy)
{
    if (policy->on_down == ON_DOWN_KEEP)
        return;
    begin_drain(house, server, policy->on_down == ON_DOWN_CLOSE ? 0 : policy->drain_over_usec,
                policy->drain_code, REASON_SERVER_DOWN);
}

/* With fewer servers usable than `panic` the pool serves as if all were well: then its tunnels are
 * not driven away either. */
static bool is_believed(const struct house *house, struct pool *pool)
{
    uint64_t now = house->main.runner.loop.now_usec;
    struct members *members = pool_members(pool);
    size_t primaries = 0, usable = 0;

    for (size_t i = 0; i < members_count(members); i++) {
        if (members_spec(members, i)->is_backup)
            continue;
        primaries++;
        usable += server_is_usable(members_server(members, i), now);
    }
    members_unref(members);
    return usable * 100 >= (uint64_t)pool_policy(pool)->panic_percent * primaries;
}

/* Of a server that is well again: who is left may stay. */
static void end_drain(struct house *house, const struct server *server)
{
    struct drain *drain = drains_find_target(&house->drains, DRAIN_SERVER, server->name);
    enum reason why = drain ? drain_spec_of(drain)->reason : REASON_DONE;

    if (why == REASON_SERVER_DOWN || why == REASON_SERVER_DRAINS)
        drains_undo(&house->drains, drain);
}

static void on_change(struct health_sink *sink, const struct health_change *change)
{
    struct house *house = container_of(sink, struct house, health_sink);

    if (!house->started)
        return; /* the workers have ended already */
    if (change->from == CHECK_DOWN || change->from == CHECK_DRAINING)
        end_drain(house, change->server);
    if (change->to == CHECK_DRAINING)
        begin_drain(house, change->server, change->policy->drain_over_usec,
                    change->policy->drain_code, REASON_SERVER_DRAINS);
    if (change->to != CHECK_DOWN)
        return;
    if (is_believed(house, change->pool))
        lose(house, change->server, change->policy);
    else
        log_say(&house->log.log, EVENT_notice,
                "so few servers of pool %s are up that its health is not believed (panic): tunnels "
                "to %s stay",
                pool_name(change->pool), change->server->name);
}

/* --- an operator's word -------------------------------------------------------------------------
 */

/* It is up again: what was begun by hand ends, and what health began, unless that still holds. */
static void undo_by_hand(struct house *house, const struct server *server)
{
    bool is_down = atomic_load(&server->check) == CHECK_DOWN;
    struct drain *drain;

    while ((drain = drains_find_target(&house->drains, DRAIN_SERVER, server->name))) {
        enum reason why = drain_spec_of(drain)->reason;
        if (why != REASON_DRAINED && (why != REASON_SERVER_DOWN || is_down))
            return;
        drains_undo(&house->drains, drain);
    }
}

void house_server_set(struct house *house, struct server *server,
                      const struct pool_settings *settings)
{
    const struct health_policy policy = {
        .on_down = settings->on_down,
        .drain_over_usec = settings->drain_over,
        .drain_code = (uint16_t)settings->drain_code,
    };

    switch (atomic_load(&server->admin)) {
    case SERVER_UP:
        undo_by_hand(house, server);
        break;
    case SERVER_DRAIN:
        begin_drain(house, server, policy.drain_over_usec, policy.drain_code, REASON_DRAINED);
        break;
    default:
        lose(house, server, &policy);
        break;
    }
}

/* --- life ---------------------------------------------------------------------------------------
 */

int house_start_health(struct house *house)
{
    house->health_sink = (struct health_sink){on_change};
    house->health = health_new(&house->main, &house->health_sink, sys_random());
    if (!house->health)
        return -ENOMEM;
    for (unsigned i = 0; i < house->count; i++)
        house->proxy[i]->health = house->health;
    return 0;
}
