#include "daemon/explain_pool.h"

#include "balance/mix.h"
#include "balance/subset.h"
#include "base/check.h"
#include "daemon/explain_sticky.h"

#include <inttypes.h>
#include <stdio.h>

#define KEY_SHOWN_BYTES 100

/* A key's value as it counts, or that there is none. */
static void say_key(const char *what, const char *text, const struct key *key,
                    const struct facts *facts)
{
    uint8_t memory[KEY_BYTES_MAX];
    struct bytes value = key_read(key, facts, memory);

    printf("%-10s %s: ", what, text);
    if (!value.len) {
        printf("the request does not say it\n");
        return;
    }
    putchar('"');
    for (size_t i = 0; i < value.len && i < KEY_SHOWN_BYTES; i++)
        putchar(value.at[i] < ' ' || value.at[i] == 0x7f ? '?' : value.at[i]);
    printf("\"%s, hash %016" PRIx64 "\n", value.len > KEY_SHOWN_BYTES ? "..." : "",
           key_hash(value));
}

static void say_hash(const struct snapshot *snapshot, size_t pool, const struct facts *facts)
{
    const struct pool_settings *settings = &snapshot->settings->pools[pool];
    const struct key *key = &snapshot->hash_keys[pool];

    if (key->kind)
        say_key("hash", key->kind == KEY_CLIENT ? "client" : settings->hash, key, facts);
}

static void say_set(struct pool *pool, const struct aim *aim)
{
    struct server *set[SUBSET_MAX];
    size_t count;

    if (!aim->shard_servers)
        return;
    count = pool_set(pool, aim->shard_hash, aim->shard_servers, 0, set);
    printf("set        of %u: ", aim->shard_servers);
    for (size_t i = 0; i < count; i++) {
        printf("%s%s", i ? ", " : "", set[i]->name);
        server_unref(set[i]);
    }
    printf("%s\n", count ? "" : "no server is usable");
}

/* Nothing is asked for here: what a name server says now is not what it says when it serves. */
static void say_found(const struct pool_settings *settings)
{
    if (settings->dns)
        printf("servers    found by DNS, as %s; `turnout servers` of a running one says which\n",
               settings->dns);
    else if (settings->file)
        printf("servers    found in %s\n", settings->file);
}

static void say_choice(struct pool *pool, const struct aim *aim,
                       const struct pool_settings *settings)
{
    static const char *const headers[] = {"", ", told by PROXY v1", ", told by PROXY v2",
                                          ", told by PROXY v2 with CRC32C"};
    const struct pool_ask ask = {
        .is_handshake = true,
        .hash = aim->has_hash ? aim->hash : mix64(0),
        .shard_hash = aim->shard_hash,
        .shard_servers = aim->shard_servers,
    };
    struct server *server = pool_pick(pool, &ask, NULL);

    printf("pool       %s, %s%s\n", pool_name(pool), pool_balancer(pool)->name,
           headers[pool_proxy_protocol(pool)]);
    say_found(settings);
    for (size_t i = 0; i < pool_count(pool); i++) {
        printf("%s %s, weight %u", i == 0 && !settings->file ? "servers   " : "          ",
               pool_server(pool, i)->name, pool_weight(pool, i));
        if (pool_max_connections(pool, i))
            printf(", at most %u connections", pool_max_connections(pool, i));
        printf("%s\n", server && server == pool_server(pool, i)
                           ? "  <- chosen when nothing is connected"
                           : "");
    }
    if (server) {
        printf("why        %s (%s)\n", pool_balancer(pool)->because, pool_balancer(pool)->name);
        pool_release(server);
    }
}

static void say_pool(const struct snapshot *snapshot, const struct route *route, uint8_t share,
                     const struct facts *facts)
{
    const struct route_settings *settings = route->settings;
    struct pool *pool = route_pool(route, share);
    const struct aim aim = aim_find(snapshot, route, share, facts);
    size_t number =
        settings->share_count ? settings->shares[share].pool_index : settings->pool_index;

    say_choice(pool, &aim, &snapshot->settings->pools[number]);
    say_hash(snapshot, number, facts);
    say_set(pool, &aim);
}

/* All of them, by weight, and what becomes of a request that goes to each. */
void explain_pools(const struct snapshot *snapshot, const struct route *route,
                   const struct facts *facts)
{
    const struct route_settings *settings = route->settings;
    uint64_t sum = 0;

    if (route->shard_key.kind)
        say_key("shard", settings->shard.key, &route->shard_key, facts);
    explain_sticky(snapshot, route, facts);
    for (size_t i = 0; i < settings->share_count; i++)
        sum += settings->shares[i].weight;
    for (size_t i = 0; i < settings->share_count; i++)
        printf("%s %s, %" PRIu64 " of %" PRIu64 "\n", i == 0 ? "pools     " : "          ",
               settings->shares[i].pool, settings->shares[i].weight, sum);
    if (settings->share_count < 2)
        say_pool(snapshot, route, 0, facts);
    for (size_t i = 0; route->pools && i < settings->share_count; i++)
        if (settings->shares[i].weight)
            say_pool(snapshot, route, (uint8_t)i, facts);
}
