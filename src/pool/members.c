/* Who is in a pool. A list is built whole, with its index and what its balancer works out once,
 * before any worker sees it. */
#include "pool/pool_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define MEMBERS_MAGIC 0x6d656d62u

_Static_assert(POOL_SERVERS_MAX < UINT16_MAX, "a slot holds index + 1");

/* --- addresses, found by hashing
 * ----------------------------------------------------------------- */

/* FNV-1a. Addresses come from the configuration: no one attacks this table. */
static uint32_t mix(uint32_t hash, const void *memory, size_t len)
{
    const uint8_t *at = memory;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

static uint32_t hash_of(const struct address *address)
{
    uint32_t hash = 2166136261u;

    if (address->any.sa_family == AF_INET6) {
        hash = mix(hash, &address->v6.sin6_port, sizeof address->v6.sin6_port);
        return mix(hash, &address->v6.sin6_addr, sizeof address->v6.sin6_addr);
    }
    hash = mix(hash, &address->v4.sin_port, sizeof address->v4.sin_port);
    return mix(hash, &address->v4.sin_addr, sizeof address->v4.sin_addr);
}

/* At most half full, so there is always a free one. */
int slots_make(struct slots *slots, size_t count)
{
    size_t size = 2;

    while (size < 2 * count)
        size *= 2;
    slots->at = calloc(size, sizeof *slots->at);
    slots->mask = size - 1;
    return slots->at ? 0 : -ENOMEM;
}

uint16_t *slots_find(const struct slots *slots, const struct pool_member_spec *first, size_t stride,
                     const struct address *address)
{
    size_t at = hash_of(address) & slots->mask;

    while (slots->at[at]) {
        const struct pool_member_spec *there =
            (const void *)((const char *)first + stride * (slots->at[at] - 1u));
        if (address_equal(&there->address, address))
            break;
        at = (at + 1) & slots->mask;
    }
    return &slots->at[at];
}

/* --- the list ---------------------------------------------------------------------------------
 */

static int prepare(struct members *members)
{
    struct candidate *of;

    if (!members->balancer->prepare || !members->count)
        return 0;
    of = calloc(members->count, sizeof *of);
    if (!of)
        return -ENOMEM;
    for (size_t i = 0; i < members->count; i++)
        of[i] = (struct candidate){
            .id = members->member[i].server->id,
            .weight = members->member[i].spec.weight,
            .is_open = true,
        };
    int error = members->balancer->prepare(of, members->count, &members->prepared);
    free(of);
    return error;
}

static uint16_t *slot_of(const struct members *members, const struct address *address)
{
    return slots_find(&members->slots, &members->member[0].spec, sizeof members->member[0],
                      address);
}

static int add_member(struct members *members, const struct members_spec *whole,
                      const struct pool_member_spec *spec)
{
    uint16_t *slot = slot_of(members, &spec->address);
    struct server *known = whole->before ? members_find(whole->before, &spec->address) : NULL;
    struct member *member = &members->member[members->count];

    if (spec->weight > BALANCER_WEIGHT_MAX)
        return -EINVAL;
    if (*slot)
        return -EEXIST;
    *member = (struct member){
        .spec = *spec,
        .server = known ? server_ref(known)
                        : server_obtain(whole->state, whole->pool_name, &spec->address),
    };
    member->spec.weight = spec->weight ? spec->weight : 1;
    if (!member->server)
        return -ENOMEM;
    members->seat[members->count] = (struct seat){
        .server = member->server,
        .max_connections = spec->max_connections,
        .weight = (uint16_t)member->spec.weight,
        .is_backup = spec->is_backup,
    };
    members->backups += spec->is_backup;
    *slot = (uint16_t)++members->count;
    return 0;
}

int members_new(const struct members_spec *spec, struct members **ret_members)
{
    if (spec->count > POOL_SERVERS_MAX)
        return -E2BIG;
    struct members *members = calloc(1, sizeof *members + spec->count * sizeof members->member[0]);
    if (!members)
        return -ENOMEM;
    members->magic = MEMBERS_MAGIC;
    atomic_init(&members->references, 1);
    members->balancer = spec->balancer;

    members->seat = calloc(spec->count + 1, sizeof *members->seat);
    int error = members->seat ? slots_make(&members->slots, spec->count) : -ENOMEM;
    for (size_t i = 0; !error && i < spec->count; i++)
        error = add_member(members, spec, &spec->member[i]);
    if (!error)
        error = prepare(members);
    if (error)
        members_unref(members);
    else
        *ret_members = members;
    return error;
}

void members_follow(struct members *before, struct members *now, uint64_t now_usec)
{
    for (size_t i = 0; i < before->count; i++)
        if (!members_find(now, &before->member[i].spec.address))
            server_lose(before->member[i].server);
    for (size_t i = 0; i < now->count; i++) {
        struct server *server = now->member[i].server;
        if (members_find(before, &server->address))
            continue;
        server_regain(server);
        atomic_store(&server->admin, SERVER_UP);
        atomic_store(&server->ramp_usec, now_usec);
    }
}

struct members *members_ref(struct members *members)
{
    CHECK_OBJ(members, MEMBERS_MAGIC);
    atomic_fetch_add_explicit(&members->references, 1, memory_order_relaxed);
    return members;
}

struct members *members_unref(struct members *members)
{
    if (!members)
        return NULL;
    CHECK_OBJ(members, MEMBERS_MAGIC);
    if (atomic_fetch_sub_explicit(&members->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    members->magic = 0;
    if (members->prepared)
        members->balancer->discard(members->prepared);
    for (size_t i = 0; i < members->count; i++)
        server_unref(members->member[i].server);
    free(members->slots.at);
    free(members->seat);
    free(members);
    return NULL;
}

size_t members_count(const struct members *members)
{
    return members->count;
}

struct server *members_server(const struct members *members, size_t i)
{
    return members->member[i].server;
}

const struct pool_member_spec *members_spec(const struct members *members, size_t i)
{
    return &members->member[i].spec;
}

struct server *members_find(const struct members *members, const struct address *address)
{
    uint16_t number = *slot_of(members, address);

    return number ? members->member[number - 1].server : NULL;
}
