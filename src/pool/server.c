/* A server's counts must not begin again at zero because a configuration or a DNS answer left it
 * out for a while: its tunnels are still there. So one that is no longer named stays findable, in
 * its pool's list of the lost, until its last reference goes. */
#include "pool/pool_priv.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

#define SERVER_MAGIC 0x73657276u

struct server *server_ref(struct server *server)
{
    CHECK_OBJ(server, SERVER_MAGIC);
    atomic_fetch_add_explicit(&server->references, 1, memory_order_relaxed);
    return server;
}

/* The last reference goes under the lock: whoever finds it among the lost would take another. */
static bool let_go(struct server *server)
{
    unsigned references = atomic_load_explicit(&server->references, memory_order_relaxed);

    while (references > 1)
        if (atomic_compare_exchange_weak_explicit(&server->references, &references, references - 1,
                                                  memory_order_release, memory_order_relaxed))
            return false;
    lock_take(&server->state->lock);
    bool is_last = atomic_fetch_sub_explicit(&server->references, 1, memory_order_acq_rel) == 1;
    if (is_last)
        list_remove(&server->lost);
    lock_give(&server->state->lock);
    return is_last;
}

struct server *server_unref(struct server *server)
{
    if (!server)
        return NULL;
    CHECK_OBJ(server, SERVER_MAGIC);
    if (!let_go(server))
        return NULL;
    server->magic = 0;
    pool_state_unref(server->state);
    free(server);
    return NULL;
}

/* FNV-1a, then stirred: near addresses shall not have near numbers. */
static uint64_t id_of(const struct address *address)
{
    char text[ADDRESS_TEXT_BYTES];
    uint64_t hash = 0xcbf29ce484222325u;

    for (const char *at = address_write(address, text); *at; at++)
        hash = (hash ^ (uint8_t)*at) * 0x100000001b3u;
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return hash ^ hash >> 33;
}

static struct server *server_new(struct pool_state *state, const char *pool_name,
                                 const struct address *address)
{
    struct server *server = aligned_alloc(SERVER_LINE_BYTES, sizeof *server);
    char text[ADDRESS_TEXT_BYTES];

    if (!server)
        return NULL;
    memset(server, 0, sizeof *server);
    server->magic = SERVER_MAGIC;
    atomic_init(&server->references, 1);
    list_init(&server->lost);
    server->address = *address;
    server->id = id_of(address);
    server->state = pool_state_ref(state);
    snprintf(server->name, sizeof server->name, "%.*s/%s",
             (int)(SERVER_NAME_BYTES - ADDRESS_TEXT_BYTES - 2), pool_name,
             address_write(address, text));
    return server;
}

struct server *server_obtain(struct pool_state *state, const char *pool_name,
                             const struct address *address)
{
    struct server *found = NULL;

    lock_take(&state->lock);
    list_each(node, &state->lost) {
        struct server *server = container_of(node, struct server, lost);
        if (!address_equal(&server->address, address))
            continue;
        found = server_ref(server);
        break;
    }
    lock_give(&state->lock);
    return found ? found : server_new(state, pool_name, address);
}

void server_lose(struct server *server)
{
    lock_take(&server->state->lock);
    if (list_is_empty(&server->lost))
        list_add_last(&server->state->lost, &server->lost);
    lock_give(&server->state->lock);
}

void server_regain(struct server *server)
{
    lock_take(&server->state->lock);
    list_remove(&server->lost);
    lock_give(&server->state->lock);
}

/* --- what is known of it ------------------------------------------------------------------------
 */

const char *server_admin_name(enum server_admin admin)
{
    static const char *const names[] = {"up", "drain", "down"};

    return names[admin];
}

const char *server_check_name(enum server_check check)
{
    static const char *const names[] = {"unknown", "up", "down", "draining"};

    return names[check];
}

static bool is_admitted(uint8_t admin, uint8_t check)
{
    return admin == SERVER_UP && (check == CHECK_UP || check == CHECK_UNKNOWN);
}

bool server_is_usable(const struct server *server, uint64_t now_usec)
{
    return is_admitted(atomic_load_explicit(&server->admin, memory_order_relaxed),
                       atomic_load_explicit(&server->check, memory_order_relaxed)) &&
           atomic_load_explicit(&server->passive.ejected_until_usec, memory_order_relaxed) <=
               now_usec;
}

static void set(struct server *server, uint8_t admin, uint8_t check, uint64_t now_usec)
{
    uint8_t old_admin = atomic_exchange(&server->admin, admin);
    uint8_t old_check = atomic_exchange(&server->check, check);

    if (!is_admitted(old_admin, old_check) && is_admitted(admin, check))
        atomic_store(&server->ramp_usec, now_usec);
}

void server_set_admin(struct server *server, enum server_admin admin, uint64_t now_usec)
{
    set(server, (uint8_t)admin, atomic_load(&server->check), now_usec);
}

void server_set_check(struct server *server, enum server_check check, uint64_t now_usec)
{
    set(server, atomic_load(&server->admin), (uint8_t)check, now_usec);
}

uint64_t server_ramp_usec(const struct server *server, uint64_t now_usec)
{
    uint64_t ramp = atomic_load_explicit(&server->ramp_usec, memory_order_relaxed);
    uint64_t ejected =
        atomic_load_explicit(&server->passive.ejected_until_usec, memory_order_relaxed);

    return ejected <= now_usec && ejected > ramp ? ejected : ramp;
}

void server_note_latency(struct server *server, uint64_t usec)
{
    unsigned before = atomic_load_explicit(&server->latency_usec, memory_order_relaxed);
    uint64_t now = usec > UINT32_MAX / 8 ? UINT32_MAX / 8 : usec ? usec : 1;

    if (before)
        now = (7 * (uint64_t)before + now + 7) / 8;
    atomic_store_explicit(&server->latency_usec, (unsigned)now, memory_order_relaxed);
}
