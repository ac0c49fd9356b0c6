/* The section `stores`: where sessions are kept, by name. Whether a URL is one is judged
 * by who speaks to such servers. A password in it is never shown. */
#include "conf/load.h"

#include "base/check.h"

static void load_redis(struct loader *loader, const struct tree *map, struct store_settings *store)
{
    store->kind = STORE_REDIS;
    store->redis_mark = mark_of(map, "redis");
    if (!store->redis)
        return; /* said already */
    char words[256] = "";
    if (loader->source->is_store_url && !loader->source->is_store_url(store->redis, words))
        complain_at(loader, store->redis_mark,
                    "write \"redis://127.0.0.1:6379/0\" or \"redis+sentinel://HOST:PORT/MASTER/0\"",
                    "stores.redis: %s", words);
    if (strchr(store->redis, '@'))
        settings_keep_secret(loader, &store->redis);
}

static void load_store(struct loader *loader, const struct tree_entry *entry,
                       struct store_settings *store)
{
    const struct tree *map = entry->value;

    *store = (struct store_settings){.mark = entry->mark, .name = entry->key};
    section_preset(loader, &section_store, store);
    section_preset(loader, &section_store_memory, store);
    section_load(loader, &section_store, map, store);
    if (map->kind != TREE_MAP)
        return;
    if (child(map, "redis") && child(map, "memory"))
        complain_at(loader, mark_of(map, "memory"), "leave one of the two out",
                    "stores: \"%s\" is one thing, and has `redis` already", store->name);
    if (child(map, "redis"))
        load_redis(loader, map, store);
    else if (child(map, "memory"))
        section_load(loader, &section_store_memory, child(map, "memory"), store);
    else
        complain_at(loader, entry->mark, "add memory: {} or redis: \"redis://127.0.0.1:6379/0\"",
                    "stores: where \"%s\" keeps its entries is missing", store->name);
    if (!store->timeout)
        complain_at(loader, mark_of(map, "timeout"), "write a time such as 50ms",
                    "stores.timeout: clients would wait for ever");
}

void load_stores(struct loader *loader, const struct tree *stores)
{
    struct settings *settings = loader->settings;

    if (!stores || !value_is_map(loader, stores, "stores"))
        return;
    size_t count = count_of(loader, stores, "stores");
    settings->stores = count ? loader_alloc(loader, count * sizeof *settings->stores) : NULL;
    for (const struct tree_entry *entry = settings->stores ? stores->first : NULL; entry;
         entry = entry->next)
        load_store(loader, entry, &settings->stores[settings->store_count++]);
}

size_t find_store_named(struct loader *loader, struct mark mark, const char *what,
                        const char *const *name)
{
    const struct settings *settings = loader->settings;
    const char *names[16];
    char hint[WORDS_BYTES] = "there are: ";
    size_t count = 0;

    for (size_t i = 0; i < settings->store_count; i++) {
        if (strcmp(settings->stores[i].name, *name) == 0)
            return i;
        if (count + 1 < ARRAY_LEN(names))
            names[count++] = settings->stores[i].name;
    }
    names[count] = NULL;
    list_words(hint, sizeof hint, names);
    complain_at(loader, mark, count ? hint : "add stores: { NAME: { memory: {} } }",
                "%s: there is no store \"%s\"", what, settings_shown(settings, name));
    return 0;
}
