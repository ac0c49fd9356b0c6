/* Lists of a configuration, bounded. */
#include "conf/load.h"

#define ELEMENTS_MAX 10000 /* of one list */

size_t count_of(struct loader *loader, const struct tree *list, const char *what)
{
    size_t count = 0;

    for (const struct tree_entry *entry = list->first; entry; entry = entry->next)
        count++;
    if (count <= ELEMENTS_MAX)
        return count;
    complain_at(loader, list->mark, "10000 is the most", "%s: %zu are too many", what, count);
    return 0;
}

void *load_list(struct loader *loader, const struct tree *list, const char *what, size_t size,
                element_fn *load, size_t *ret_count)
{
    char *fields, *at;

    *ret_count = 0;
    if (!list || !value_is_list(loader, list, what))
        return NULL;
    size_t count = count_of(loader, list, what);
    if (!count)
        return NULL;
    fields = at = loader_alloc(loader, count * size);
    for (const struct tree_entry *entry = fields ? list->first : NULL; entry;
         entry = entry->next, at += size)
        load(loader, entry->value, at);
    if (fields)
        *ret_count = count;
    return fields;
}
