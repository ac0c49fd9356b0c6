/* Where sessions are kept, and how that goes: figures of all workers, since the store was first
 * configured. */
#include "admin/view.h"

#include "sys/sys.h"

json_t *view_stores(const struct snapshot *snapshot)
{
    json_t *all = json_array();

    for (size_t i = 0; i < snapshot->settings->store_count; i++) {
        const struct store *store = snapshot->stores[i];
        const struct store_counters *counters = store_counters(store);
        json_t *json = json_pack("{s:s, s:s, s:s}", "store", store_name(store), "kind",
                                 store_backend_name(store), "breaker",
                                 store_breaker_state(store, sys_now_usec()));
        if (snapshot->settings->stores[i].kind == STORE_MEMORY)
            json_object_set_new(json, "entries", json_integer((json_int_t)store_entries(store)));
#define COUNTER(name, help)                                                                        \
    json_object_set_new(                                                                           \
        json, #name,                                                                               \
        json_integer((json_int_t)atomic_load_explicit(&counters->name, memory_order_relaxed)));
        STORE_COUNTERS(COUNTER)
#undef COUNTER
        json_array_append_new(all, json);
    }
    return all;
}
