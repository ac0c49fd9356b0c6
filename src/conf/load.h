/* Between the files that put sections together: settings.c (the whole, and its routes),
 * listeners.c, pools.c and actions.c (what routes do). */
#pragma once

#include "conf/sections.h"

#define WORDS_BYTES 512 /* of a hint */

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

/* The index of that pool; SIZE_MAX and an error: there is none. */
size_t find_pool_named(struct loader *loader, struct mark mark, const char *const *name);
/* Scheme, methods and fields of a match. */
void load_match_more(struct loader *loader, const struct tree *match, struct match_settings *more);
/* What a route does: pool, pools, respond or redirect, and what changes on the way. */
void load_action(struct loader *loader, const struct tree *element, struct route_settings *route);
void load_error_pages(struct loader *loader, const struct tree *pages);
