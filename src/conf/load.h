/* Between the files that put sections together: settings.c (the whole, and its routes), listeners.c
 * and pools.c. */
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
