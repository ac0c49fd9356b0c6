#include "proxy/aim.h"

#include "route/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- keys --------------------------------------------------------------------------------------
 */

static bool is_ip_hash(const struct pool_settings *pool)
{
    return strcmp(pool->balance, "ip_hash") == 0;
}

/* Keys are judged when the settings are read (conf_source.is_key): what is none is no key here. */
static struct key key_of(const char *text)
{
    struct key key = {0};

    if (text)
        key_parse(text, &key);
    return key;
}

static bool has_segment(const struct route_settings *route, struct bytes name)
{
    const char *path = route->path ? route->path : route->prefix;
    struct bytes whole = path ? bytes_of(path) : (struct bytes){0};

    for (size_t at = 0; at < whole.len; at++) {
        struct bytes rest = bytes_from(whole, at + 1);
        if (whole.at[at] == '{' && rest.len > name.len && rest.at[name.len] == '}' &&
            bytes_equal(bytes_slice(rest, 0, name.len), name))
            return true;
    }
    return false;
}

/* A pool may be asked by several routes: each must be able to say what it hashes. */
static void check_pool(const struct snapshot *made, const struct route_settings *route, size_t pool,
                       struct report *report)
{
    const struct pool_settings *settings = &made->settings->pools[pool];
    const struct key *key = &made->hash_keys[pool];

    if (key->kind == KEY_PATH && !has_segment(route, key->name))
        report_add(report, settings->hash_mark,
                   "write match: { path: \"/rooms/{room}\" } and hash: path.room, or take another "
                   "pool",
                   "pools.hash: route %s asks this pool, and its path has no {%.*s}", route->name,
                   (int)key->name.len, (const char *)key->name.at);
    if (key->kind == KEY_JWT && !route->access.has_jwt)
        report_add(report, settings->hash_mark,
                   "add access: { jwt: { keys: { file: PATH } } } there, or take another pool",
                   "pools.hash: route %s asks this pool, and asks for no token", route->name);
}

static void check_route(const struct snapshot *made, const struct route_settings *route,
                        struct report *report)
{
    if (route->kind != ROUTE_POOLS)
        return;
    for (size_t i = 0; i < route->share_count; i++)
        check_pool(made, route, route->shares[i].pool_index, report);
    if (!route->share_count)
        check_pool(made, route, route->pool_index, report);
}

int aim_prepare(struct snapshot *made, struct report *report)
{
    const struct settings *settings = made->settings;

    made->hash_keys = calloc(settings->pool_count + 1, sizeof *made->hash_keys);
    if (!made->hash_keys)
        return -ENOMEM;
    for (size_t i = 0; i < settings->pool_count; i++)
        made->hash_keys[i] = is_ip_hash(&settings->pools[i]) ? (struct key){.kind = KEY_CLIENT}
                                                             : key_of(settings->pools[i].hash);
    for (size_t i = 0; i < settings->route_count; i++) {
        made->routes[i].shard_key = key_of(settings->routes[i].shard.key);
        check_route(made, &settings->routes[i], report);
    }
    return 0;
}

/* --- what a request says -----------------------------------------------------------------------
 */

static const struct key *hash_key(const struct snapshot *snapshot, const struct route *route,
                                  uint8_t share)
{
    const struct route_settings *settings = route->settings;

    return &snapshot->hash_keys[settings->share_count ? settings->shares[share].pool_index
                                                      : settings->pool_index];
}

static bool is_asked_for(const struct snapshot *snapshot, const struct route *route, uint8_t share)
{
    return route->shard_key.kind || hash_key(snapshot, route, share)->kind;
}

struct aim aim_find(const struct snapshot *snapshot, const struct route *route, uint8_t share,
                    const struct facts *facts)
{
    struct aim aim = {0};
    uint8_t memory[KEY_BYTES_MAX];
    struct bytes hashed = key_read(hash_key(snapshot, route, share), facts, memory);

    if (hashed.len) {
        aim.has_hash = true;
        aim.hash = key_hash(hashed);
    }
    struct bytes sharded = key_read(&route->shard_key, facts, memory);
    if (sharded.len) {
        aim.shard_hash = key_hash(sharded);
        aim.shard_servers = shard_servers(&route->settings->shard, sharded);
    }
    return aim;
}

static void take(struct reach *reach, const struct aim *aim)
{
    reach->has_hash = aim->has_hash;
    reach->ask.hash = aim->hash;
    reach->ask.shard_hash = aim->shard_hash;
    reach->ask.shard_servers = aim->shard_servers;
}

void aim_at_request(struct exchange *h, const struct connection *c)
{
    char client[IP_TEXT_BYTES];

    if (!is_asked_for(c->snapshot, c->route, c->share))
        return;
    const struct facts facts = exchange_facts(h, client);
    const struct aim aim = aim_find(c->snapshot, c->route, c->share, &facts);
    take(&h->reach, &aim);
}

/* There is no request: only the client can be known. */
void aim_at_connection(struct reach *reach, const struct connection *c)
{
    const struct ip ip = address_ip(connection_from(c));
    char client[IP_TEXT_BYTES];

    if (!is_asked_for(c->snapshot, c->route, c->share))
        return;
    const struct facts facts = {.client = bytes_of(ip_write(&ip, client))};
    const struct aim aim = aim_find(c->snapshot, c->route, c->share, &facts);
    take(reach, &aim);
}
