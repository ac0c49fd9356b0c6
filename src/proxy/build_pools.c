/* The pools and the stores of a snapshot. Those of the same name in the configuration before live
 * on in them. */
#include "proxy/snapshot_priv.h"

#include <errno.h>
#include <stdlib.h>

static void set_keepalive(struct pool *pool, const struct pool_settings *settings)
{
    const struct pool_keepalive keepalive = {
        .idle_usec = forever_if_none(settings->keepalive_idle),
        .max = (uint32_t)settings->keepalive_max,
    };

    pool_set_keepalive(pool, &keepalive);
}

#define NSEC_PER_USEC 1000u

static struct pool_admission admission_of(const struct admission_settings *settings)
{
    const struct rate *rate = &settings->rate;

    return (struct pool_admission){
        .interval_nsec = rate->count ? rate->per_usec * NSEC_PER_USEC / rate->count : 0,
        .burst = (uint32_t)settings->burst,
    };
}

static void set_policy(struct pool *pool, const struct pool_settings *settings)
{
    uint64_t queue =
        settings->admission.rate.count ? settings->admission.queue : settings->admission_pool.queue;
    const struct pool_policy policy = {
        .per_server = admission_of(&settings->admission),
        .whole = admission_of(&settings->admission_pool),
        .queue_max = (uint32_t)queue,
        .slow_start_usec = settings->slow_start,
        .panic_percent = (uint32_t)settings->panic,
    };

    pool_set_policy(pool, &policy);
}

static void set_all(struct pool *pool, const struct pool_settings *settings)
{
    set_keepalive(pool, settings);
    set_policy(pool, settings);
    pool_set_proxy_protocol(pool, settings->proxy_out);
}

static bool is_discovered(const struct pool_settings *settings)
{
    return settings->dns || settings->file;
}

void build_pool(struct build *b, size_t number)
{
    const struct pool_settings *settings = &b->made->settings->pools[number];
    struct pool *before = b->before ? snapshot_pool(b->before, settings->name) : NULL;
    struct pool_member_spec *members = calloc(settings->server_count + 1, sizeof *members);

    if (!members) {
        out_of_memory(b);
        return;
    }
    for (size_t i = 0; i < settings->server_count; i++) {
        const struct server_settings *server = &settings->servers[i];
        members[i].weight = (uint32_t)server->weight;
        members[i].max_connections = (uint32_t)server->max_connections;
        members[i].is_backup = server->backup;
        if (address_parse(server->address, &members[i].address))
            report_add(b->report, server->mark,
                       "write an address such as 127.0.0.1:9001 or \"[::1]:9001\"",
                       "\"%s\" is no server address", server->address);
    }
    int error = pool_new(settings->name, balancer_find(settings->balance),
                         is_discovered(settings) ? NULL : members, settings->server_count, before,
                         &b->made->pools[number]);
    if (error == -EEXIST)
        report_add(b->report, settings->mark, "give it a weight instead of a second entry",
                   "pool \"%s\" names one server twice", settings->name);
    else if (error == -E2BIG)
        report_add(b->report, settings->mark, "spread them over several pools",
                   "pool \"%s\" has more than %d servers", settings->name, POOL_SERVERS_MAX);
    else if (error)
        out_of_memory(b);
    else
        set_all(b->made->pools[number], settings);
    free(members);
}

/* --- stores ------------------------------------------------------------------------------------
 */

static const struct store *store_before(const struct build *b, const char *name)
{
    for (size_t i = 0; b->before && i < b->before->settings->store_count; i++)
        if (strcmp(b->before->settings->stores[i].name, name) == 0)
            return b->before->stores[i];
    return NULL;
}

void build_store(struct build *b, size_t number)
{
    const struct store_settings *settings = &b->made->settings->stores[number];
    char words[256] = "";
    int error =
        store_new(settings, store_before(b, settings->name), &b->made->stores[number], words);

    if (error == -EINVAL)
        report_add(b->report, settings->redis_mark, NULL, "stores.redis: %s", words);
    else if (error)
        out_of_memory(b);
}
