/* Which servers a key's connections go to, by their health of now. */
#include "admin/door.h"

#include "admin/named.h"
#include "balance/subset.h"
#include "route/shard.h"

#include <inttypes.h>

static json_t *name_servers(struct pool *pool, uint64_t hash, uint32_t servers, uint64_t now_usec)
{
    struct server *set[SUBSET_MAX];
    size_t count = pool_set(pool, hash, servers, now_usec, set);
    json_t *names = json_array();

    for (size_t i = 0; i < count; i++) {
        json_array_append_new(names, json_string(set[i]->name));
        server_unref(set[i]);
    }
    return names;
}

/* A route with several pools has a set in each of them: the first one's is `servers`. */
static json_t *say_set(struct call *call)
{
    const char *name = call_text(call, "route"), *text = call_text(call, "key");
    const struct route *route;
    json_t *answer;
    char digits[17] = "";

    if (!name || !text || !text[0])
        return call_refuse(call, 400, "ask for /api/v1/shards?route=rooms&key=lobby",
                           "which %s is meant", name ? "key" : "route");
    if (!named_route(call, name, &route, &answer))
        return answer;
    if (!route->shard_key.kind)
        return call_refuse(call, 409, "give it shard: { key: path.room, servers: 2 }",
                           "route \"%s\" is not sharded: its connections go to any server", name);

    struct bytes key = bytes_slice(bytes_of(text), 0, KEY_BYTES_MAX);
    uint64_t hash = key_hash(key), now = call->house->main->runner.loop.now_usec;
    uint32_t wanted = shard_servers(&route->settings->shard, key);
    size_t shares = route->pools ? route->settings->share_count : 1;
    json_t *json = json_object(), *pools = json_array();

    bytes_write_hex(hash, digits);
    json_object_set_new(json, "servers", name_servers(route->pool, hash, wanted, now));
    json_object_set_new(json, "route", json_string(route->name));
    json_object_set_new(json, "key", json_string(text));
    json_object_set_new(json, "hash", json_string(digits));
    json_object_set_new(json, "wanted", json_integer(wanted));
    for (size_t i = 0; i < shares; i++) {
        struct pool *pool = route_pool(route, (uint8_t)i);
        json_t *one = json_object();
        json_object_set_new(one, "pool", json_string(pool_name(pool)));
        json_object_set_new(one, "servers", name_servers(pool, hash, wanted, now));
        json_array_append_new(pools, one);
    }
    json_object_set_new(json, "pools", pools);
    return json;
}

const struct door doors_of_shards[] = {
    {"GET", "/api/v1/shards", .on_main = say_set},
    {0},
};
