/* Sets of eight places. A session has one set, found by a hash with a seed of this process, so that
 * nobody can aim at another's; its places are searched one by one. The locks are many, and held for
 * a look at one set. */
#include "session/sticky_table.h"

#include "base/check.h"
#include "loop/lock.h"

#include <stdatomic.h>
#include <stdlib.h>

#define LOCKS       256u /* a power of two */
#define TABLE_MAGIC 0x73746b79u

struct place {
    struct sticky_key key;
    struct sticky_home home;
    uint64_t seen_usec; /* 0: empty */
};
_Static_assert(sizeof(struct place) <= 56, "the table's size is a promise");

struct sticky_table {
    uint32_t magic;
    atomic_uint references;
    uint64_t seed[2];
    struct {
        _Alignas(64) struct lock lock;
    } lock[LOCKS];
    struct place *place;
};

uint32_t sticky_pool(const char *name)
{
    uint32_t hash = 0x811c9dc5u;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x01000193u; /* FNV-1a */
    return hash;
}

struct sticky_table *sticky_table_new(const uint64_t seed[2])
{
    struct sticky_table *table = aligned_alloc(64, sizeof *table);

    if (!table)
        return NULL;
    memset(table, 0, sizeof *table);
    table->place = calloc(STICKY_TABLE_SETS * STICKY_TABLE_PLACES, sizeof *table->place);
    if (!table->place) {
        free(table);
        return NULL;
    }
    table->magic = TABLE_MAGIC;
    atomic_init(&table->references, 1);
    memcpy(table->seed, seed, sizeof table->seed);
    for (size_t i = 0; i < LOCKS; i++)
        lock_init(&table->lock[i].lock);
    return table;
}

struct sticky_table *sticky_table_ref(struct sticky_table *table)
{
    CHECK_OBJ(table, TABLE_MAGIC);
    atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return table;
}

struct sticky_table *sticky_table_unref(struct sticky_table *table)
{
    if (!table)
        return NULL;
    CHECK_OBJ(table, TABLE_MAGIC);
    if (atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    for (size_t i = 0; i < LOCKS; i++)
        lock_done(&table->lock[i].lock);
    free(table->place);
    table->magic = 0;
    free(table);
    return NULL;
}

static uint32_t set_of(const struct sticky_table *table, const struct sticky_key *key)
{
    uint64_t words[2];

    memcpy(words, key->at, sizeof words);
    unsigned __int128 product =
        (unsigned __int128)(words[0] ^ table->seed[0]) * ((words[1] ^ table->seed[1]) | 1);
    return (uint32_t)((uint64_t)product ^ (uint64_t)(product >> 64)) & (STICKY_TABLE_SETS - 1);
}

static struct lock *lock_of(struct sticky_table *table, uint32_t set)
{
    return &table->lock[set & (LOCKS - 1)].lock;
}

static bool is_fresh(const struct place *place, uint64_t now_usec)
{
    return place->seen_usec && now_usec < place->seen_usec + STICKY_TABLE_USEC;
}

static struct place *find(struct place *set, const struct sticky_key *key)
{
    for (size_t i = 0; i < STICKY_TABLE_PLACES; i++)
        if (set[i].seen_usec && memcmp(set[i].key.at, key->at, sizeof key->at) == 0)
            return &set[i];
    return NULL;
}

static struct place *oldest(struct place *set)
{
    struct place *place = &set[0];

    for (size_t i = 1; i < STICKY_TABLE_PLACES; i++)
        if (set[i].seen_usec < place->seen_usec)
            place = &set[i];
    return place;
}

bool sticky_table_find(struct sticky_table *table, const struct sticky_key *key, uint64_t now_usec,
                       struct sticky_home *ret_home)
{
    uint32_t set = set_of(table, key);

    CHECK_OBJ(table, TABLE_MAGIC);
    lock_take(lock_of(table, set));
    struct place *place = find(&table->place[set * STICKY_TABLE_PLACES], key);
    bool is_there = place && is_fresh(place, now_usec);
    if (is_there) {
        *ret_home = place->home;
        place->seen_usec = now_usec;
    }
    lock_give(lock_of(table, set));
    return is_there;
}

void sticky_table_put(struct sticky_table *table, const struct sticky_key *key,
                      const struct sticky_home *home, uint64_t now_usec)
{
    uint32_t number = set_of(table, key);
    struct place *set = &table->place[number * STICKY_TABLE_PLACES];

    CHECK_OBJ(table, TABLE_MAGIC);
    lock_take(lock_of(table, number));
    struct place *place = find(set, key);
    if (!place)
        place = oldest(set);
    *place = (struct place){*key, *home, now_usec ? now_usec : 1};
    lock_give(lock_of(table, number));
}
