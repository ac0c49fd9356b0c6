/* Rates by one number each (the generic cell rate algorithm): the time until which what was allowed
 * is spoken for. A limit of 10/s lets 10 come at once, and then one every 100 ms.
 *
 * The table is sets of eight places. An address has one set, by a keyed hash, and the places in it
 * are searched one by one; a place whose address holds connections is never given away. Where all
 * eight are held, a further address is let through uncounted: a limit is no reason to refuse who
 * did nothing. The locks are many, and held for a look at one set. */
#include "access/rate.h"

#include "base/check.h"
#include "loop/lock.h"

#include <stdatomic.h>
#include <stdlib.h>

#define SETS        16384u /* a power of two */
#define PLACES      8u     /* of a set: 131072 addresses in 6 MiB, touched as they come */
#define LOCKS       256u   /* a power of two */
#define IPV6_BITS   64
#define WAIT_USEC   1000000u /* for a free connection, nobody knows how long */
#define TABLE_MAGIC 0x72617465u

enum kind { HANDSHAKES, REQUESTS, KINDS };

struct place {
    uint64_t key[2]; /* of address and route; both 0: empty */
    uint64_t spoken_for_usec[KINDS];
    uint64_t seen_usec;
    uint64_t connections;
};
_Static_assert(sizeof(struct place) == 48, "the table's size is a promise");

struct rate_table {
    uint32_t magic;
    atomic_uint references;
    uint64_t seed[2];
    struct {
        _Alignas(64) struct lock lock;
    } lock[LOCKS];
    struct place *place; /* SETS * PLACES; hold.place counts from 1 */
};

struct rate_table *rate_table_new(const uint64_t seed[2])
{
    struct rate_table *table = aligned_alloc(64, sizeof *table);

    if (!table)
        return NULL;
    memset(table, 0, sizeof *table);
    table->place = calloc(SETS * PLACES, sizeof *table->place);
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

struct rate_table *rate_table_ref(struct rate_table *table)
{
    CHECK_OBJ(table, TABLE_MAGIC);
    atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return table;
}

struct rate_table *rate_table_unref(struct rate_table *table)
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

/* --- places ------------------------------------------------------------------------------------
 */

static uint64_t mixed(uint64_t a, uint64_t b)
{
    unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15u) * ((b ^ 0xe7037ed1a0b428dbu) | 1);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Two numbers of 64 bits stand for the address: that two addresses share both is not to be seen. */
static void key_of(const struct rate_table *table, const struct rate_ask *ask, uint64_t ret_key[2])
{
    struct ip client =
        ask->client.family == IP_V6 ? ip_network(&ask->client, IPV6_BITS) : ask->client;
    uint64_t words[2];

    memcpy(words, client.at, sizeof words);
    for (size_t i = 0; i < 2; i++) {
        uint64_t hash = mixed(table->seed[i] ^ client.family, table->seed[1 - i] ^ ask->route);
        hash = mixed(hash ^ words[0], table->seed[i] + words[1]);
        ret_key[i] = mixed(hash, table->seed[i]);
    }
    ret_key[0] |= 1; /* never that of an empty place */
}

uint64_t rate_route(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u; /* FNV-1a */
    return hash;
}

static uint32_t set_of(const uint64_t key[2])
{
    return (uint32_t)(key[1] >> 32) & (SETS - 1);
}

static struct lock *lock_of(struct rate_table *table, uint32_t set)
{
    return &table->lock[set & (LOCKS - 1)].lock;
}

/* The address's own place, else the one that was quiet longest; NULL: all are held. */
static struct place *find_place(struct place *set, const uint64_t key[2])
{
    struct place *oldest = NULL;

    for (size_t i = 0; i < PLACES; i++) {
        struct place *place = &set[i];
        if (place->key[0] == key[0] && place->key[1] == key[1])
            return place;
        if (!place->connections && (!oldest || place->seen_usec < oldest->seen_usec))
            oldest = place;
    }
    if (oldest)
        *oldest = (struct place){.key = {key[0], key[1]}};
    return oldest;
}

/* --- limits ------------------------------------------------------------------------------------
 */

/* 0: allowed; else how long until it is. */
static uint64_t wait_for(const struct rate *limit, uint64_t spoken_for_usec, uint64_t now_usec)
{
    uint64_t each = limit->per_usec / limit->count;
    uint64_t ahead = limit->per_usec - each; /* what may be used before its time */

    if (spoken_for_usec <= now_usec + ahead)
        return 0;
    return spoken_for_usec - now_usec - ahead;
}

static enum reason judge(struct place *place, const struct rate_ask *ask, uint64_t *ret_wait_usec)
{
    const struct rate_settings *limits = ask->limits;
    const struct rate *limit = ask->is_handshake ? &limits->handshakes : &limits->requests;
    uint64_t *spoken_for = &place->spoken_for_usec[ask->is_handshake ? HANDSHAKES : REQUESTS];
    uint64_t wait = limit->count ? wait_for(limit, *spoken_for, ask->now_usec) : 0;

    place->seen_usec = ask->now_usec;
    *ret_wait_usec = wait;
    if (wait)
        return ask->is_handshake ? REASON_RATE_HANDSHAKES : REASON_RATE_REQUESTS;
    if (limits->connections && place->connections >= limits->connections) {
        *ret_wait_usec = WAIT_USEC;
        return REASON_RATE_CONNECTIONS;
    }
    if (limit->count) {
        uint64_t from = *spoken_for > ask->now_usec ? *spoken_for : ask->now_usec;
        *spoken_for = from + limit->per_usec / limit->count;
    }
    if (limits->connections)
        place->connections++;
    return REASON_DONE;
}

enum reason rate_take(struct rate_table *table, const struct rate_ask *ask,
                      struct rate_hold *ret_hold, uint64_t *ret_wait_usec)
{
    uint64_t key[2];
    enum reason why = REASON_DONE;

    CHECK_OBJ(table, TABLE_MAGIC);
    key_of(table, ask, key);
    uint32_t set = set_of(key);
    lock_take(lock_of(table, set));
    struct place *place = find_place(&table->place[set * PLACES], key);
    if (place)
        why = judge(place, ask, ret_wait_usec);
    lock_give(lock_of(table, set));

    bool is_held = place && why == REASON_DONE && ask->limits->connections;
    ret_hold->place = is_held ? (uint32_t)(place - table->place) + 1 : 0;
    return why;
}

void rate_release(struct rate_table *table, struct rate_hold *hold)
{
    uint32_t number = hold->place - 1;

    if (!hold->place)
        return;
    CHECK_OBJ(table, TABLE_MAGIC);
    hold->place = 0;
    lock_take(lock_of(table, number / PLACES));
    CHECK(table->place[number].connections);
    table->place[number].connections--;
    lock_give(lock_of(table, number / PLACES));
}
