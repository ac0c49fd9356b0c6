/* What decides where requests go and how long tunnels stay: admission, hash and drain of a pool,
 * shard, sticky and guard of a route. What a key names is judged by floors above
 * (conf_source.is_key); here is what keys mean to each other. */
#include "conf/load.h"

#include "base/check.h"
#include "codec/http1.h"

#include <stdio.h>

void complain_key(struct loader *loader, struct mark mark, const char *what, const char *const *key)
{
    if (loader->source->is_key && !loader->source->is_key(*key))
        complain_at(
            loader, mark, "write client, header.N, cookie.N, query.N, path.N, jwt.N or subprotocol",
            "%s: \"%s\" names nothing of a request", what, settings_shown(loader->settings, key));
}

/* --- pools -------------------------------------------------------------------------------------
 */

void policy_preset_pool(struct loader *loader, struct pool_settings *pool)
{
    section_preset(loader, &section_admission, &pool->admission);
    section_preset(loader, &section_admission, &pool->admission_pool);
    section_preset(loader, &section_drain, pool);
    load_health(loader, NULL, pool);
}

static void load_admission(struct loader *loader, const struct tree *map, const char *what,
                           struct admission_settings *admission)
{
    if (!map)
        return;
    section_load(loader, &section_admission, map, admission);
    if (map->kind == TREE_MAP && !tree_find(map, "rate"))
        complain_at(loader, map->mark, "add rate: 200/s", "%s: \"rate\" is missing", what);
}

/* Their names are a contract, as what they look at is. */
static bool is_hashing(const char *balancer)
{
    static const char *const names[] = {"maglev", "rendezvous", "bounded_hash"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], balancer) == 0)
            return true;
    return false;
}

static void check_hash(struct loader *loader, const struct tree *map, struct pool_settings *pool)
{
    bool is_used = is_hashing(pool->balance);

    pool->hash_mark = mark_of(map, "hash");
    if (!pool->hash && is_used)
        pool->hash = "client";
    if (!tree_find(map, "hash") || !pool->hash)
        return;
    complain_key(loader, pool->hash_mark, "pools.hash", &pool->hash);
    if (is_used || settings_is_secret(loader->settings, &pool->balance))
        return;
    complain_at(loader, pool->hash_mark,
                "write balance: bounded_hash, maglev or rendezvous, or leave hash out",
                strcmp(pool->balance, "ip_hash") == 0
                    ? "pools.hash: %s hashes the client's address, and nothing else"
                    : "pools.hash: %s looks at no hash",
                pool->balance);
}

static void load_drain(struct loader *loader, const struct tree *map, struct pool_settings *pool)
{
    if (!map)
        return;
    section_load(loader, &section_drain, map, pool);
    if (map->kind == TREE_MAP && pool->drain_code != 1001 && pool->drain_code != 1012)
        complain_at(loader, mark_of(map, "code"), "write 1001 (going away) or 1012 (restart)",
                    "drain.code: %llu says something else", (unsigned long long)pool->drain_code);
}

void policy_load_pool(struct loader *loader, const struct tree *map, struct pool_settings *pool)
{
    check_hash(loader, map, pool);
    load_admission(loader, child(map, "admission"), "admission", &pool->admission);
    load_admission(loader, child(map, "admission_pool"), "admission_pool", &pool->admission_pool);
    load_drain(loader, child(map, "drain"), pool);
    if (child(map, "health"))
        load_health(loader, child(map, "health"), pool);
}

void policy_check_tcp(struct loader *loader, const struct listener_settings *listener)
{
    if (!listener->tcp_route)
        return;
    const struct pool_settings *pool = &loader->settings->pools[listener->tcp_route->pool_index];

    if (pool->hash && strcmp(pool->hash, "client") != 0)
        complain_at(loader, pool->hash_mark, "write hash: client, or take another pool",
                    "pools.hash: a listener relays to this pool as `tcp`, where there is no "
                    "request to look at");
}

/* --- shard -------------------------------------------------------------------------------------
 */

void policy_preset_route(struct loader *loader, struct route_settings *route)
{
    section_preset(loader, &section_shard, &route->shard);
    section_preset(loader, &section_sticky, &route->sticky);
    section_preset(loader, &section_sticky_cookie, &route->sticky);
    section_preset(loader, &section_guard, &route->guard);
}

static void load_larger(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct larger_settings *larger = ret_fields;

    larger->mark = element->mark;
    section_load(loader, &section_larger, element, larger);
    if (element->kind == TREE_MAP &&
        (!tree_find(element, "match") || !tree_find(element, "servers")))
        complain_at(loader, element->mark, "write { match: \"vip-*\", servers: 4 }",
                    "shard.larger: \"%s\" is missing",
                    tree_find(element, "match") ? "servers" : "match");
    if (!larger->match)
        larger->match = "";
}

/* A segment or claim that the route does not have would never be found. */
static void check_shard_key(struct loader *loader, struct mark mark,
                            const struct route_settings *route)
{
    const char *key = route->shard.key;
    const char *path = route->path ? route->path : route->prefix;
    char segment[128];

    complain_key(loader, mark, "shard.key", &route->shard.key);
    snprintf(segment, sizeof segment, "{%.100s}", strncmp(key, "path.", 5) == 0 ? key + 5 : "");
    if (strncmp(key, "path.", 5) == 0 && (!path || !strstr(path, segment)))
        complain_at(loader, mark, "write match: { path: \"/rooms/{room}\" } and key: path.room",
                    "shard.key: the route's path has no %s",
                    settings_is_secret(loader->settings, &route->shard.key) ? "such segment"
                                                                            : segment);
    if (strncmp(key, "jwt.", 4) == 0 && !route->access.has_jwt)
        complain_at(loader, mark, "add access: { jwt: { keys: { file: PATH } } }",
                    "shard.key: the route asks for no token");
}

static void load_shard(struct loader *loader, const struct tree *map, struct route_settings *route)
{
    struct shard_settings *shard = &route->shard;

    shard->mark = map->mark;
    section_load(loader, &section_shard, map, shard);
    if (map->kind != TREE_MAP)
        return;
    if (shard->key)
        check_shard_key(loader, mark_of(map, "key"), route);
    else if (!tree_find(map, "key"))
        complain_at(loader, map->mark, "add key: path.room, query.N, header.N, cookie.N or jwt.N",
                    "shard: \"key\" is missing");
    shard->larger = load_list(loader, child(map, "larger"), "shard.larger", sizeof *shard->larger,
                              load_larger, &shard->larger_count);
    for (size_t i = 0; i < shard->larger_count; i++)
        if (shard->larger[i].servers && shard->larger[i].servers <= shard->servers)
            complain_at(loader, shard->larger[i].mark, "write a larger number of servers",
                        "shard.larger: %llu servers are no more than the %llu of every set",
                        (unsigned long long)shard->larger[i].servers,
                        (unsigned long long)shard->servers);
}

/* --- sticky ------------------------------------------------------------------------------------
 */

/* In the order of enum sticky_kind, without its first. */
static enum sticky_kind find_kind(struct loader *loader, const struct tree *map)
{
    enum sticky_kind kind = STICKY_NONE;
    const char *first = "";

    for (size_t i = 0; i < section_sticky_kind.count; i++) {
        const struct tree_entry *entry = tree_find(map, section_sticky_kind.rows[i].name);
        if (entry && kind)
            complain_at(loader, entry->mark, "leave one of the two out",
                        "a route sticks in one way, and this one has `%s` already", first);
        if (!entry || kind)
            continue;
        kind = (enum sticky_kind)(i + 1);
        first = entry->key;
    }
    if (!kind)
        complain_at(loader, map->mark,
                    "add cookie: NAME, query: NAME, learn: cookie.NAME, source: "
                    "24 or preset: socket.io",
                    "sticky: what it goes by is missing");
    return kind;
}

static void check_sticky_name(struct loader *loader, struct mark mark,
                              const struct sticky_settings *sticky)
{
    const char *name = sticky->name, *shown = settings_shown(loader->settings, &sticky->name);

    if (!name)
        return; /* said already, or there is none */
    if (sticky->kind == STICKY_COOKIE && !http1_is_token(bytes_of(name)))
        complain_at(loader, mark, "use letters, digits, \"_\" and \"-\"",
                    "sticky.cookie: \"%s\" is no name of a cookie", shown);
    if (sticky->kind == STICKY_QUERY && strpbrk(name, "&=#?% \t\r\n"))
        complain_at(loader, mark, "use letters, digits, \"_\" and \"-\"",
                    "sticky.query: \"%s\" is no name of a parameter", shown);
    if (sticky->kind == STICKY_LEARN &&
        (strncmp(name, "cookie.", 7) != 0 || !http1_is_token(bytes_of(name + 7))) &&
        (strncmp(name, "header.", 7) != 0 || !http1_is_token(bytes_of(name + 7))))
        complain_at(loader, mark, "write cookie.NAME or header.NAME",
                    "sticky.learn: \"%s\" is nothing that an answer gives out", shown);
    if (sticky->kind == STICKY_SOCKET_IO && strcmp(name, "socket.io") != 0)
        complain_at(loader, mark, "write socket.io", "sticky.preset: there is none named \"%s\"",
                    shown);
}

static void load_attributes(struct loader *loader, const struct tree *map,
                            struct sticky_settings *sticky)
{
    for (size_t i = 0; i < section_sticky_cookie.count; i++) {
        const struct tree_entry *entry = tree_find(map, section_sticky_cookie.rows[i].name);
        if (!entry)
            continue;
        section_load_one(loader, &section_sticky_cookie, entry, sticky);
        if (sticky->kind != STICKY_COOKIE)
            complain_at(loader, entry->mark, "leave it out, or write cookie: NAME",
                        "sticky.%s is of a cookie that turnout sets, and it sets none", entry->key);
    }
    if (sticky->same_site == SAME_SITE_NONE && sticky->secure == SECURE_NO)
        complain_at(loader, mark_of(map, "same_site"), "leave secure out, or write yes",
                    "sticky.same_site: browsers take `none` only with secure");
    if (sticky->path && (sticky->path[0] != '/' || strpbrk(sticky->path, "; \t\r\n,")))
        complain_at(loader, mark_of(map, "path"), "write a path such as /",
                    "sticky.path: \"%s\" is no path",
                    settings_shown(loader->settings, &sticky->path));
}

static void load_sticky(struct loader *loader, const struct tree *map,
                        struct sticky_settings *sticky)
{
    sticky->mark = map->mark;
    section_load(loader, &section_sticky, map, sticky);
    if (map->kind != TREE_MAP)
        return;
    sticky->kind = find_kind(loader, map);
    if (sticky->kind) {
        const char *key = section_sticky_kind.rows[sticky->kind - 1].name;
        section_load_one(loader, &section_sticky_kind, tree_find(map, key), sticky);
        check_sticky_name(loader, mark_of(map, key), sticky);
    }
    load_attributes(loader, map, sticky);
    if (sticky->store)
        sticky->store_index =
            find_store_named(loader, mark_of(map, "store"), "sticky.store", &sticky->store);
}

/* --- guard -------------------------------------------------------------------------------------
 */

static void load_guard(struct loader *loader, const struct tree *map, struct route_settings *route)
{
    struct guard_settings *guard = &route->guard;

    guard->mark = map->mark;
    guard->is_on = true;
    section_load(loader, &section_guard, map, guard);
    if (map->kind != TREE_MAP)
        return;
    if (!guard->ping && !tree_find(map, "pong"))
        guard->pong = 0;
    if (!guard->ping && guard->pong)
        complain_at(loader, mark_of(map, "pong"), "add ping: 30s, or leave pong out",
                    "guard.pong: there is no ping to be answered");
    else if (guard->ping && (!guard->pong || guard->pong >= guard->ping))
        complain_at(loader, mark_of(map, tree_find(map, "pong") ? "pong" : "ping"),
                    "write ping: 30s, pong: 10s",
                    "guard.pong must be shorter than ping, so that one is under way at a time");
}

void policy_load_route(struct loader *loader, const struct tree *element,
                       struct route_settings *route)
{
    static const char *const keys[] = {"shard", "sticky", "guard"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (child(element, keys[i]) && route->kind != ROUTE_POOLS)
            complain_at(loader, mark_of(element, keys[i]), "leave it out",
                        "%s: this route asks no server", keys[i]);
    if (child(element, "shard"))
        load_shard(loader, child(element, "shard"), route);
    if (child(element, "sticky"))
        load_sticky(loader, child(element, "sticky"), &route->sticky);
    if (child(element, "guard"))
        load_guard(loader, child(element, "guard"), route);
}
