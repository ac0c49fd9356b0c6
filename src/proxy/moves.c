/* Whether anything has changed is seen by one number per route: the sum, so that order has no say,
 * of a mixed number for each usable server and its weight. Only then are tunnels looked at, by the
 * drain that is begun, on their own threads.
 *
 * A tunnel remembers in its choice what its key was and how large its set; a route that shards by
 * another key now says nothing about it. Nor does it say anything about a tunnel that sticks to its
 * server, which stands above the set when servers are chosen, too. */
#include "proxy/moves.h"

#include "balance/mix.h"
#include "balance/subset.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_USEC 500000u

struct moves_watch {
    uint64_t route;      /* its name, hashed */
    uint64_t seen, done; /* what the last look saw; for what tunnels were drained last */
    struct drain *drain; /* of that time; counted; NULL: there was none */
};

/* --- which tunnels -----------------------------------------------------------------------------
 */

struct lot {
    struct snapshot *snapshot; /* counted */
    const struct route *route; /* in it */
};

static void lot_free(void *take_lot)
{
    struct lot *lot = take_lot;

    snapshot_unref(lot->snapshot);
    free(lot);
}

static size_t pools_of(const struct route *route)
{
    return route->pools ? route->settings->share_count : 1;
}

/* The pool of now that has the name of the tunnel's; NULL: the route asks it no more. */
static struct pool *pool_of_now(const struct route *route, const struct pool *then)
{
    for (size_t i = 0; i < pools_of(route); i++)
        if (strcmp(pool_name(route_pool(route, (uint8_t)i)), pool_name(then)) == 0)
            return route_pool(route, (uint8_t)i);
    return NULL;
}

static bool has_left_its_set(const struct connection *c, const void *by)
{
    const struct lot *lot = by;
    const struct choice *choice = c->choice;
    struct server *set[SUBSET_MAX];
    bool is_in = false;

    if (!choice || !choice->shard_servers || choice->how == CHOICE_STICKY || !c->chosen ||
        strcmp(c->route->name, lot->route->name) != 0 ||
        strcmp(c->route->settings->shard.key, lot->route->settings->shard.key) != 0)
        return false;
    struct pool *pool = pool_of_now(lot->route, connection_pool(c));
    size_t count =
        pool ? pool_set(pool, choice->shard_hash, choice->shard_servers, now_of(&c->flow), set) : 0;
    for (size_t i = 0; i < count; i++) {
        is_in = is_in || set[i]->id == c->chosen->id;
        server_unref(set[i]);
    }
    return count && !is_in; /* where nobody is usable, there is nowhere to move to */
}

static void begin(struct moves *moves, struct moves_watch *watch, const struct route *route)
{
    const struct snapshot *snapshot = *moves->in_force;
    const struct route_settings *settings = route->settings;
    const struct pool_settings *pool =
        &snapshot->settings
             ->pools[settings->share_count ? settings->shares[0].pool_index : settings->pool_index];
    struct lot *lot = malloc(sizeof *lot);
    char name[DRAIN_NAME_BYTES];

    if (watch->drain)
        drains_undo(moves->drains, watch->drain); /* what it had in mind has changed again */
    watch->drain = drain_unref(watch->drain);
    if (!lot)
        return;
    *lot = (struct lot){snapshot_ref(*moves->in_force), route};
    snprintf(name, sizeof name, "shards of route %s", route->name);
    const struct drain_spec spec = {
        .kind = DRAIN_CHOSEN,
        .name = name,
        .chooses = has_left_its_set,
        .take_by = lot,
        .free_by = lot_free,
        .over_usec = pool->drain_over,
        .code = (uint16_t)pool->drain_code,
        .reason = REASON_MOVED,
    };
    if (drains_start(moves->drains, &spec, &watch->drain) == 0)
        watch->done = watch->seen;
}

/* --- when --------------------------------------------------------------------------------------
 */

static uint64_t look_at(const struct route *route, uint64_t now_usec)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < pools_of(route); i++) {
        struct members *members = pool_members(route_pool(route, (uint8_t)i));
        for (size_t k = 0; k < members_count(members); k++) {
            struct server *server = members_server(members, k);
            if (server_is_usable(server, now_usec))
                sum += mix_pair(mix_pair(server->id, i), members_spec(members, k)->weight);
        }
        members_unref(members);
    }
    return sum;
}

/* Whether tunnels have to be looked at: what is seen is new, and was seen twice. */
static bool has_settled(struct moves_watch *watch, uint64_t sees)
{
    bool is_same = watch->seen == sees;

    watch->seen = sees;
    return is_same && watch->done != sees;
}

static struct moves_watch *find(const struct moves *moves, const char *name)
{
    uint64_t route = key_hash(bytes_of(name));

    for (size_t i = 0; i < moves->count; i++)
        if (moves->watch[i].route == route)
            return &moves->watch[i];
    return NULL;
}

static bool is_watched(const struct route *route)
{
    return route->shard_key.kind && route->settings->shard.on_move == ON_MOVE_DRAIN;
}

static void on_time(struct timer *timer)
{
    struct moves *moves = container_of(timer, struct moves, timer);
    const struct snapshot *snapshot = *moves->in_force;
    uint64_t now = moves->main->runner.loop.now_usec;

    for (size_t i = 0; i < snapshot->settings->route_count; i++) {
        const struct route *route = &snapshot->routes[i];
        struct moves_watch *watch = is_watched(route) ? find(moves, route->name) : NULL;
        if (watch && has_settled(watch, look_at(route, now)))
            begin(moves, watch, route);
    }
    loop_arm(&moves->main->runner.loop, timer, now + LOOK_USEC);
}

/* --- beginning and ending ----------------------------------------------------------------------
 */

void moves_init(struct moves *moves, struct drains *drains, struct worker *main,
                struct snapshot *const *in_force)
{
    *moves = (struct moves){.drains = drains, .main = main, .in_force = in_force};
    timer_init(&moves->timer, on_time);
}

static void forget(struct moves *moves)
{
    for (size_t i = 0; i < moves->count; i++)
        drain_unref(moves->watch[i].drain);
    free(TAKE(moves->watch));
    moves->count = 0;
}

/* Of one that is watched already, what was seen of it; of a new one, what is so now. */
static struct moves_watch take_over(struct moves *moves, const struct route *route)
{
    struct moves_watch *before = find(moves, route->name);
    uint64_t sees = look_at(route, moves->main->runner.loop.now_usec);
    struct moves_watch watch = {
        .route = key_hash(bytes_of(route->name)), .seen = sees, .done = sees};

    if (before) {
        watch = *before;
        before->drain = NULL;
    }
    return watch;
}

/* Without memory nobody is watched, until the next configuration. */
void moves_follow(struct moves *moves)
{
    const struct snapshot *snapshot = *moves->in_force;
    size_t routes = snapshot->settings->route_count, count = 0;
    struct moves_watch *watch = calloc(routes + 1, sizeof *watch);

    for (size_t i = 0; watch && i < routes; i++)
        if (is_watched(&snapshot->routes[i]))
            watch[count++] = take_over(moves, &snapshot->routes[i]);
    forget(moves);
    moves->watch = watch;
    moves->count = count;
    if (count)
        loop_arm(&moves->main->runner.loop, &moves->timer,
                 moves->main->runner.loop.now_usec + LOOK_USEC);
    else
        timer_cancel(&moves->timer);
}

void moves_done(struct moves *moves)
{
    if (!moves->main)
        return;
    timer_cancel(&moves->timer);
    forget(moves);
    moves->main = NULL;
}
