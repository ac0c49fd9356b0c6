/* Where sessions were seen: what this process has learnt of values that name them. One table for
 * all workers and all configurations, of fixed size: what was not asked for longest is forgotten
 * first, and everything after a day. */
#pragma once

#include "session/sticky.h"

#define STICKY_TABLE_SETS   16384u /* a power of two */
#define STICKY_TABLE_PLACES 8u     /* of a set: 131072 sessions in 7 MiB, touched as they come */
#define STICKY_TABLE_USEC   UINT64_C(86400000000)

struct sticky_table; /* counted */

struct sticky_home {
    struct address server;
    uint32_t pool; /* sticky_pool of its name */
};
uint32_t sticky_pool(const char *name);

struct sticky_table *sticky_table_new(const uint64_t seed[2]); /* NULL: no memory */
struct sticky_table *sticky_table_ref(struct sticky_table *table);
struct sticky_table *sticky_table_unref(struct sticky_table *table); /* accepts NULL */

/* Any thread. Asking keeps it alive. */
bool sticky_table_find(struct sticky_table *table, const struct sticky_key *key, uint64_t now_usec,
                       struct sticky_home *ret_home);
void sticky_table_put(struct sticky_table *table, const struct sticky_key *key,
                      const struct sticky_home *home, uint64_t now_usec);
