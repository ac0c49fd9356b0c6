/* Between the files of the pool. */
#pragma once

#include "loop/lock.h"
#include "loop/queue.h"
#include "pool/pool.h"

/* What was changed at run time of one server, and what its file said then. */
struct changed {
    struct pool_member_spec file; /* of no meaning where it was not named */
    struct pool_member_spec now;
    bool was_named;
    bool is_added, is_removed, has_weight, has_max_connections;
    uint8_t admin; /* enum server_admin */
};

/* Main thread only. */
struct changes {
    struct changed *at;
    size_t count, room;
};

/* What outlives a configuration, by the pool's name. */
struct pool_state {
    atomic_uint references;
    _Atomic uint64_t turn;
    _Atomic uint64_t admitted_nsec; /* admission.c, of the whole pool */
    struct queue queue;             /* of struct waiter, of all its pools */
    uint64_t round;                 /* of pool_serve; under the queue's lock */
    struct lock lock;               /* of `lost`, and of each pool's pointer to its members */
    struct list lost;               /* servers that only tunnels refer to */
    struct changes changes;         /* main thread only, as what follows */
    struct pool_member_spec *discovered;
    size_t discovered_count;
};

/* Addresses of an array, found by hashing: index + 1, 0 where none is. */
struct slots {
    uint16_t *at;
    size_t mask;
};
int slots_make(struct slots *slots, size_t count); /* 0 or -ENOMEM */
/* Where that address is in the array of `stride` bytes an element, or would be. */
uint16_t *slots_find(const struct slots *slots, const struct pool_member_spec *first, size_t stride,
                     const struct address *address);

struct member {
    struct pool_member_spec spec; /* first: slots_find */
    struct server *server;        /* counted */
};

/* What a choice reads of a member, close together. */
struct seat {
    struct server *server; /* as the member's */
    uint32_t max_connections;
    uint16_t weight;
    bool is_backup;
};

struct members {
    uint32_t magic;
    atomic_uint references;
    const struct balancer *balancer;
    void *prepared; /* the balancer's */
    struct slots slots;
    size_t count, backups;
    struct seat *seat;
    struct member member[];
};

struct members_spec {
    struct pool_state *state;
    const char *pool_name;
    const struct balancer *balancer;
    const struct pool_member_spec *member;
    size_t count;
    struct members *before; /* whose servers live on; NULL: this pool is new */
};
int members_new(const struct members_spec *spec, struct members **ret_members);
/* Those of `before` that `now` does not name are lost, those it names newly begin slowly. */
void members_follow(struct members *before, struct members *now, uint64_t now_usec);

struct pool {
    uint32_t magic;
    atomic_uint references;
    const struct balancer *balancer;
    struct pool_state *state; /* counted */
    char *name;
    struct pool_policy policy;
    struct pool_keepalive keepalive;
    enum proxy_out proxy_protocol;
    struct pool_member_spec *file; /* what the configuration says; NULL: they are discovered */
    size_t file_count;
    struct members *members; /* counted; read and replaced under the state's lock */
    struct members *before;  /* counted: those of the configuration before, until pool_in_force */
    atomic_uint usable;      /* servers at the last choice, for estimates */
    atomic_uint waiting;     /* for this pool; written under the queue's lock */
    uint64_t full_round; /* the last in which its first waiter got nothing; under the same lock */
    unsigned tickets, gone; /* who joined, and left or was served; under the same lock */
};

#define POOL_MAGIC 0x706f6f6cu

struct pool_state *pool_state_ref(struct pool_state *state);
struct pool_state *pool_state_unref(struct pool_state *state);

/* changes.c: what the file (or DNS) says, with the changes over it. malloc'ed. 0 or -ENOMEM,
 * -E2BIG.
 */
int changes_apply(const struct changes *changes, const struct pool_member_spec *file, size_t count,
                  struct pool_member_spec **ret_members, size_t *ret_count);
/* Notes it; errors as pool_change. `named`: what the file says of it, NULL: nothing; `is_member`:
 * it is one now. */
int changes_note(struct changes *changes, const struct pool_change *change,
                 const struct pool_member_spec *named, bool is_member);
void changes_forget(struct changes *changes, const struct pool_member_spec *file, size_t count);
int changes_copy(const struct changes *changes, struct changes *ret_copy); /* 0 or -ENOMEM */
void changes_done(struct changes *changes);

/* admission.c. */
bool admission_has(const struct pool_admission *admission, const _Atomic uint64_t *spoken_nsec,
                   uint64_t now_usec);
bool admission_take(const struct pool_admission *admission, _Atomic uint64_t *spoken_nsec,
                    uint64_t now_usec); /* false: not yet */
void admission_give_back(const struct pool_admission *admission, _Atomic uint64_t *spoken_nsec);
/* When the next is due. */
uint64_t admission_due_usec(const struct pool_admission *admission,
                            const _Atomic uint64_t *spoken_nsec);

static inline bool pool_admits_slowly(const struct pool *pool)
{
    return pool->policy.per_server.interval_nsec || pool->policy.whole.interval_nsec;
}

/* Takes a seat, whoever waits. As pool_pick. */
struct server *pool_try(struct pool *pool, const struct pool_ask *ask, struct choice **ret_choice);
void pool_serve(struct pool_state *state); /* gives free seats to those who wait */
