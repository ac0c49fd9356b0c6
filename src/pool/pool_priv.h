/* Between pool.c and waiters.c. */
#pragma once

#include "loop/queue.h"
#include "pool/pool.h"

/* What outlives a configuration, by the pool's name. */
struct pool_state {
    atomic_uint references;
    _Atomic uint64_t turn;
    struct queue queue; /* of struct waiter, of all its pools */
    uint64_t round;     /* of pool_serve; under the queue's lock */
};

struct member {
    struct server *server; /* counted */
    uint32_t weight, max_connections;
};

struct pool {
    uint32_t magic;
    atomic_uint references;
    const struct balancer *balancer;
    void *prepared;           /* the balancer's */
    struct pool_state *state; /* counted */
    char *name;
    struct pool_keepalive keepalive;
    enum proxy_out proxy_protocol;
    atomic_uint waiting; /* for this pool; written under the queue's lock */
    uint64_t full_round; /* the last in which its first waiter got nothing; under the same lock */
    uint16_t *slot;      /* members by address: a hash table of index + 1, 0 where none is */
    size_t slot_mask;
    size_t count;
    struct member member[];
};

#define POOL_MAGIC 0x706f6f6cu

struct pool_state *pool_state_ref(struct pool_state *state);
struct pool_state *pool_state_unref(struct pool_state *state);

/* Takes a seat, whoever waits. As pool_pick. */
struct server *pool_try(struct pool *pool, const struct tried *tried, size_t *ret_member,
                        struct choice **ret_choice);
void pool_serve(struct pool_state *state); /* gives free seats to those who wait */
