/* Between the files that put sections together: settings.c (the whole, and its routes),
 * listeners.c, stores.c, pools.c (with health.c, policy.c and discovered.c) and actions.c (what
 * routes do). */
#pragma once

#include "conf/sections.h"

static inline const struct tree *child(const struct tree *map, const char *key)
{
    const struct tree_entry *entry = tree_find(map, key);

    return entry ? entry->value : NULL;
}

/* Where the key's value stands; where there is none, the map. */
static inline struct mark mark_of(const struct tree *map, const char *key)
{
    const struct tree_entry *entry = tree_find(map, key);

    return entry ? entry->value->mark : map->mark;
}

/* A section that is a list of maps: one element each. */
typedef void element_fn(struct loader *loader, const struct tree *element, void *ret_fields);

/* 0 and an error when there are too many of them: comparing each with each must stay quick. */
size_t count_of(struct loader *loader, const struct tree *list, const char *what);

/* One zeroed element of `size` bytes for each of the list, loaded by `load`. NULL: there are none,
 * or errors were reported; `list` may be NULL. */
void *load_list(struct loader *loader, const struct tree *list, const char *what, size_t size,
                element_fn *load, size_t *ret_count);

void load_listeners(struct loader *loader, const struct tree *whole);
void load_pools(struct loader *loader, const struct tree *whole);

void load_stores(struct loader *loader, const struct tree *stores);
/* The index of that store; 0 and an error: there is none. */
size_t find_store_named(struct loader *loader, struct mark mark, const char *what,
                        const char *const *name);
void load_health(struct loader *loader, const struct tree *map, struct pool_settings *pool);
/* `servers` as a map: where they are found. */
void load_discovered(struct loader *loader, const struct tree *map, struct pool_settings *pool);
/* Admission, drain, and what a pool's keys mean to each other. */
void policy_preset_pool(struct loader *loader, struct pool_settings *pool);
void policy_load_pool(struct loader *loader, const struct tree *map, struct pool_settings *pool);
/* What a pool cannot do for a listener with `tcp`. */
void policy_check_tcp(struct loader *loader, const struct listener_settings *listener);
/* shard, sticky and guard of a route. */
void policy_preset_route(struct loader *loader, struct route_settings *route);
void policy_load_route(struct loader *loader, const struct tree *element,
                       struct route_settings *route);
/* Complains unless the text names something of a request. */
void complain_key(struct loader *loader, struct mark mark, const char *what,
                  const char *const *key);

/* The index of that pool; SIZE_MAX and an error: there is none. */
size_t find_pool_named(struct loader *loader, struct mark mark, const char *const *name);
/* Scheme, methods and fields of a match. */
void load_match_more(struct loader *loader, const struct tree *match, struct match_settings *more);
/* What a route does: pool, pools, respond or redirect, and what changes on the way. */
void load_action(struct loader *loader, const struct tree *element, struct route_settings *route);
void load_error_pages(struct loader *loader, const struct tree *pages);
