/* The section `pools`: each by its tables, and its servers, listed or to be discovered. */
#include "conf/load.h"

static void load_server(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct server_settings *server = ret_fields;
    const char *hint = "write an address with port, such as 127.0.0.1:9001 or \"[::1]:9001\"";
    bool is_secret = false;

    section_preset(loader, &section_server, server);
    server->mark = element->mark;
    if (element->kind == TREE_SCALAR || value_is_elsewhere(element)) {
        server->address = value_text(loader, element, "servers", &is_secret);
        if (is_secret)
            settings_keep_secret(loader, &server->address);
    } else {
        section_load(loader, &section_server, element, server);
        if (element->kind == TREE_MAP && !tree_find(element, "address"))
            complain_at(loader, element->mark, hint, "\"address\" is missing");
        if (element->kind == TREE_MAP)
            server->mark = mark_of(element, "address");
    }
    if (server->address && loader->source->is_address &&
        !loader->source->is_address(server->address))
        complain_at(loader, server->mark, hint, "\"%s\" is no server address",
                    settings_shown(loader->settings, &server->address));
    if (!server->address)
        server->address = "";
}

static bool is_good_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_alnum && c != '_' && c != '-' && c != '.')
            return false;
    }
    return len > 0 && len <= 64;
}

static void check_balance(struct loader *loader, const struct tree *map,
                          const struct pool_settings *pool)
{
    const char *const *names = loader->source->balancers;
    char hint[WORDS_BYTES] = "write one of: ";

    for (size_t i = 0; names && names[i]; i++)
        if (strcmp(names[i], pool->balance) == 0)
            return;
    if (!names)
        return;
    list_words(hint, sizeof hint, names);
    complain_at(loader, mark_of(map, "balance"), hint, "pools.balance: there is no balancer \"%s\"",
                settings_shown(loader->settings, &pool->balance));
}

static void load_servers(struct loader *loader, const struct tree_entry *entry,
                         struct pool_settings *pool)
{
    const struct tree *servers = child(entry->value, "servers");

    if (servers && servers->kind == TREE_MAP) {
        load_discovered(loader, servers, pool);
        return;
    }
    pool->servers = load_list(loader, servers, "servers", sizeof *pool->servers, load_server,
                              &pool->server_count);
    if (!pool->server_count)
        complain_at(loader, entry->mark, "add servers: [ 127.0.0.1:9001 ]",
                    "pool \"%s\" has no server", pool->name);
}

static void load_pool(struct loader *loader, const struct tree_entry *entry,
                      struct pool_settings *pool)
{
    pool->mark = entry->mark;
    pool->name = entry->key;
    pool->on_removed = loader->settings->on_removed;
    section_preset(loader, &section_pool, pool);
    section_preset(loader, &section_pool_keepalive, pool);
    section_preset(loader, &section_discovered, pool);
    policy_preset_pool(loader, pool);
    section_load(loader, &section_pool, entry->value, pool);
    if (!is_good_name(pool->name))
        complain_at(loader, entry->mark, "use letters, digits, \"_\", \"-\" and \".\", 64 at most",
                    "\"%s\" will not do as a pool's name", pool->name);
    if (entry->value->kind != TREE_MAP)
        return;
    check_balance(loader, entry->value, pool);
    section_load(loader, &section_pool_keepalive, child(entry->value, "keepalive"), pool);
    policy_load_pool(loader, entry->value, pool);
    load_servers(loader, entry, pool);
}

void load_pools(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;
    const struct tree *pools = child(whole, "pools");

    if (!pools) {
        complain_at(loader, whole->mark, "add pools: { NAME: { servers: [ 127.0.0.1:9001 ] } }",
                    "\"pools\" is missing");
        return;
    }
    if (!value_is_map(loader, pools, "pools"))
        return;
    size_t count = count_of(loader, pools, "pools");
    settings->pools = loader_alloc(loader, (count + 1) * sizeof *settings->pools);
    loader->pool_names = loader_alloc(loader, (count + 1) * sizeof *loader->pool_names);
    if (!settings->pools || !loader->pool_names)
        return;
    for (const struct tree_entry *entry = count ? pools->first : NULL; entry; entry = entry->next) {
        loader->pool_names[settings->pool_count] = entry->key;
        load_pool(loader, entry, &settings->pools[settings->pool_count++]);
    }
    if (!pools->first)
        complain_at(loader, pools->mark, "add one: NAME: { servers: [ 127.0.0.1:9001 ] }",
                    "there is no pool");
}
