/* Choosing reads the counters of all servers without a lock: a choice made on figures that are a
 * few nanoseconds old is as good a choice. Only taking a limited seat, and being admitted, must be
 * exact, and are: a compare and swap that never lets the count pass the limit.
 *
 * Who may be chosen is narrowed in this order: health (unless so few are well that health itself is
 * not believed), backups only without others, the set of the request's shard, the server that it
 * sticks to, seats and admission, and last the slow start, which never leaves a request without a
 * server that it would have had. */
#include "pool/pool_priv.h"

#include "balance/subset.h"
#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define CANDIDATES_INNER 64 /* on the stack */

struct look {
    struct pool *pool;
    struct members *members; /* counted */
    const struct pool_ask *ask;
    struct candidate *of;
    size_t wanted; /* index; SIZE_MAX: none */
};

static bool was_tried(const struct pool_ask *ask, uint64_t id)
{
    for (uint32_t i = 0; ask->tried && i < ask->tried->count; i++)
        if (ask->tried->id[i] == id)
            return true;
    return false;
}

/* --- who may be chosen --------------------------------------------------------------------------
 */

static bool is_wanted_by_operator(const struct server *server)
{
    return atomic_load_explicit(&server->admin, memory_order_relaxed) == SERVER_UP;
}

/* With so few well, the checks are more likely wrong than the servers. */
static bool is_panic(const struct look *look, size_t usable)
{
    uint64_t primaries = look->members->count - look->members->backups;

    return usable * 100 < look->pool->policy.panic_percent * primaries;
}

/* Everything that a choice depends on, read once: is_open of all that are usable. Returns how many
 * of them are no backups. The load of `active` is sequentially consistent for waiters.c. */
static size_t look_at_servers(const struct look *look)
{
    size_t usable = 0;

    for (size_t i = 0; i < look->members->count; i++) {
        const struct seat *seat = &look->members->seat[i];
        const struct server *server = seat->server;
        look->of[i] = (struct candidate){
            .id = server->id,
            .active = atomic_load(&server->active),
            .weight = seat->weight,
            .latency_usec = atomic_load_explicit(&server->latency_usec, memory_order_relaxed),
            .is_open = server_is_usable(server, look->ask->now_usec),
        };
        usable += look->of[i].is_open && !seat->is_backup;
    }
    return usable;
}

/* Returns how many are. */
static size_t open_whoever_is_up(const struct look *look)
{
    size_t up = 0;

    for (size_t i = 0; i < look->members->count; i++) {
        const struct seat *seat = &look->members->seat[i];
        look->of[i].is_open = is_wanted_by_operator(seat->server) && !seat->is_backup;
        up += look->of[i].is_open;
    }
    return up;
}

/* Returns how many are left. */
static size_t keep_backups(const struct look *look, bool are_wanted)
{
    size_t left = 0;

    for (size_t i = 0; i < look->members->count; i++) {
        look->of[i].is_open = look->of[i].is_open && look->members->seat[i].is_backup == are_wanted;
        left += look->of[i].is_open;
    }
    return left;
}

/* Sets is_open of all that health lets serve. Returns how many. */
static size_t look_at_health(const struct look *look)
{
    size_t usable = look_at_servers(look);

    if (is_panic(look, usable)) {
        size_t up = open_whoever_is_up(look);
        usable = up;
        if (!up)
            look_at_servers(look);
    }
    if (look->members->backups)
        usable = keep_backups(look, usable == 0);
    atomic_store_explicit(&look->pool->usable, (unsigned)usable, memory_order_relaxed);
    return usable;
}

static void keep_the_set(const struct look *look)
{
    const struct pool_ask *ask = look->ask;
    size_t set[SUBSET_MAX];

    if (!ask->shard_servers)
        return;
    size_t count =
        subset_choose(look->of, look->members->count, ask->shard_hash, ask->shard_servers, set);
    for (size_t i = 0; i < look->members->count; i++)
        look->of[i].is_open = false;
    for (size_t i = 0; i < count; i++)
        look->of[set[i]].is_open = true;
}

static void keep_the_wanted(struct look *look)
{
    look->wanted = SIZE_MAX;
    if (!look->ask->wanted || was_tried(look->ask, look->ask->wanted->id))
        return;
    for (size_t i = 0; i < look->members->count; i++)
        if (look->members->seat[i].server == look->ask->wanted &&
            server_is_usable(look->ask->wanted, look->ask->now_usec) &&
            (look->of[i].is_open || !look->ask->shard_servers))
            look->wanted = i;
    for (size_t i = 0; look->wanted != SIZE_MAX && i < look->members->count; i++)
        look->of[i].is_open = i == look->wanted;
}

/* A server that was tried is known by its id. */
static void keep_untried(const struct look *look)
{
    const struct tried *tried = look->ask->tried;

    for (size_t i = 0; tried && tried->count && i < look->members->count; i++)
        look->of[i].is_open = look->of[i].is_open && !was_tried(look->ask, look->of[i].id);
}

/* Who could serve this request, were there a seat: is_open is set so. False: nobody. */
static bool look_at_all(struct look *look)
{
    bool is_any = false;

    if (!look_at_health(look))
        return false;
    keep_the_set(look);
    keep_the_wanted(look);
    keep_untried(look);
    for (size_t i = 0; i < look->members->count; i++)
        is_any = is_any || look->of[i].is_open;
    return is_any;
}

/* --- who has room -------------------------------------------------------------------------------
 */

static bool has_seat(const struct seat *seat, uint32_t active)
{
    return !seat->max_connections || active < seat->max_connections;
}

static bool has_room(const struct look *look, size_t i)
{
    const struct seat *seat = &look->members->seat[i];

    return has_seat(seat, look->of[i].active) &&
           (!look->ask->is_handshake ||
            admission_has(&look->pool->policy.per_server, &seat->server->admitted_nsec,
                          look->ask->now_usec));
}

/* A number below 1000 that differs from server to server and from choice to choice. */
static uint64_t roll(uint64_t random, size_t i)
{
    uint64_t mixed = (random ^ (i + 1) * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;

    return (mixed >> 33) % 1000;
}

static bool is_let_off(const struct look *look, size_t i)
{
    uint64_t whole = look->pool->policy.slow_start_usec, now = look->ask->now_usec;
    uint64_t since = whole ? server_ramp_usec(look->members->seat[i].server, now) : 0;

    if (!since || now >= since + whole || i == look->wanted)
        return false;
    return roll(look->ask->random, i) >= (now > since ? (now - since) * 1000 / whole : 0);
}

/* is_open of those that have a seat and may be asked now. False: nobody has. Loads are sequentially
 * consistent for waiters.c. */
static bool look_for_room(const struct look *look)
{
    bool is_any = false, is_any_on = false;

    for (size_t i = 0; i < look->members->count; i++) {
        look->of[i].is_open = look->of[i].is_open && has_room(look, i);
        is_any = is_any || look->of[i].is_open;
    }
    for (size_t i = 0; look->pool->policy.slow_start_usec && i < look->members->count; i++)
        is_any_on = is_any_on || (look->of[i].is_open && !is_let_off(look, i));
    for (size_t i = 0; is_any_on && i < look->members->count; i++)
        look->of[i].is_open = look->of[i].is_open && !is_let_off(look, i);
    return is_any;
}

/* --- taking it ----------------------------------------------------------------------------------
 */

static bool take_count(const struct seat *seat)
{
    atomic_uint *active = &seat->server->active;
    unsigned taken = atomic_load(active);

    if (!seat->max_connections) {
        atomic_fetch_add(active, 1);
        return true;
    }
    while (taken < seat->max_connections)
        if (atomic_compare_exchange_weak(active, &taken, taken + 1))
            return true;
    return false;
}

/* False: someone else took the last one meanwhile. */
static bool take_seat(const struct look *look, const struct seat *seat)
{
    const struct pool_admission *admission = &look->pool->policy.per_server;
    uint64_t now = look->ask->now_usec;
    bool counts = look->ask->is_handshake;

    if (counts && !admission_take(admission, &seat->server->admitted_nsec, now))
        return false;
    if (take_count(seat))
        return true;
    if (counts)
        admission_give_back(admission, &seat->server->admitted_nsec);
    return false;
}

static void note_candidate(struct choice *choice, const struct candidate *of, size_t member)
{
    choice->seen[choice->seen_count++] = (struct choice_seen){
        .member = (uint16_t)member,
        .weight = (uint16_t)of->weight,
        .active = of->active & 0x7fffffffu,
        .is_open = of->is_open,
    };
}

static struct choice *remember(const struct look *look, size_t chosen)
{
    size_t count = look->members->count;
    size_t most = count < CHOICE_SEEN_MAX ? count : CHOICE_SEEN_MAX;
    struct choice *choice = malloc(sizeof *choice + most * sizeof choice->seen[0]);

    if (!choice)
        return NULL;
    *choice = (struct choice){
        .members = members_ref(look->members),
        .candidates = (uint32_t)count,
        .how = chosen == look->wanted ? CHOICE_STICKY : CHOICE_BALANCED,
        .shard_hash = look->ask->shard_hash,
        .shard_servers = look->ask->shard_servers,
    };
    for (size_t i = 0; i < count && choice->seen_count < most; i++) {
        bool is_last_place = choice->seen_count + 1u == most;
        size_t member = is_last_place && chosen >= i ? chosen : i;
        if (member == chosen)
            choice->chosen = choice->seen_count;
        note_candidate(choice, &look->of[member], member);
    }
    return choice;
}

struct choice *choice_free(struct choice *choice)
{
    if (choice)
        members_unref(choice->members);
    free(choice);
    return NULL;
}

/* SIZE_MAX: none. A choice takes a turn only when there is a choice: who finds all full does not
 * move the cursor. */
static size_t choose(const struct look *look)
{
    bool has_choice = look->wanted == SIZE_MAX;
    const struct pick pick = {
        .turn = has_choice
                    ? atomic_fetch_add_explicit(&look->pool->state->turn, 1, memory_order_relaxed)
                    : 0,
        .hash = look->ask->hash,
        .random = look->ask->random,
    };
    const struct members *members = look->members;

    for (;;) {
        size_t chosen =
            members->balancer->choose(members->prepared, look->of, members->count, &pick);
        if (chosen == BALANCER_NONE)
            return SIZE_MAX;
        CHECK(chosen < members->count && look->of[chosen].is_open);
        if (take_seat(look, &members->seat[chosen]))
            return chosen;
        look->of[chosen].is_open = false;
    }
}

static struct server *try_with(struct look *look, struct choice **ret_choice)
{
    const struct pool_admission *whole = &look->pool->policy.whole;
    _Atomic uint64_t *spoken = &look->pool->state->admitted_nsec;
    bool counts = look->ask->is_handshake;

    if (!look_at_all(look) || !look_for_room(look))
        return NULL;
    if (counts && !admission_take(whole, spoken, look->ask->now_usec))
        return NULL;
    size_t chosen = choose(look);
    if (chosen == SIZE_MAX) {
        if (counts)
            admission_give_back(whole, spoken);
        return NULL;
    }
    if (ret_choice)
        *ret_choice = remember(look, chosen);
    return server_ref(look->members->seat[chosen].server);
}

/* When there is no memory for candidates: not fair, but served. */
static struct server *try_first(const struct look *look, struct choice **ret_choice)
{
    for (size_t i = 0; i < look->members->count; i++) {
        const struct seat *seat = &look->members->seat[i];
        if (was_tried(look->ask, seat->server->id) ||
            !server_is_usable(seat->server, look->ask->now_usec) || !take_seat(look, seat))
            continue;
        if (ret_choice)
            *ret_choice = NULL;
        return server_ref(seat->server);
    }
    return NULL;
}

struct server *pool_try(struct pool *pool, const struct pool_ask *ask, struct choice **ret_choice)
{
    struct candidate inner[CANDIDATES_INNER];
    struct look look = {.pool = pool, .members = pool_members(pool), .ask = ask, .of = inner};
    struct server *server;

    if (look.members->count > CANDIDATES_INNER)
        look.of = malloc(look.members->count * sizeof *look.of);
    server = look.of ? try_with(&look, ret_choice) : try_first(&look, ret_choice);
    if (look.of != inner)
        free(look.of);
    members_unref(look.members);
    return server;
}

static bool must_wait(const struct pool *pool, const struct pool_ask *ask)
{
    if (!ask->is_handshake && pool_admits_slowly(pool))
        return false;
    return atomic_load(&pool->waiting) > 0;
}

struct server *pool_pick(struct pool *pool, const struct pool_ask *ask, struct choice **ret_choice)
{
    if (must_wait(pool, ask))
        return NULL; /* no one overtakes those who wait */
    return pool_try(pool, ask, ret_choice);
}

bool pool_may_wait(struct pool *pool, const struct pool_ask *ask)
{
    struct candidate inner[CANDIDATES_INNER];
    struct look look = {.pool = pool, .members = pool_members(pool), .ask = ask, .of = inner};

    if (look.members->count > CANDIDATES_INNER)
        look.of = malloc(look.members->count * sizeof *look.of);
    bool may = look.of && look_at_all(&look);
    if (look.of != inner)
        free(look.of);
    members_unref(look.members);
    return may;
}

size_t pool_set(struct pool *pool, uint64_t shard_hash, uint32_t servers, uint64_t now_usec,
                struct server **ret_servers)
{
    const struct pool_ask ask = {.now_usec = now_usec};
    struct candidate inner[CANDIDATES_INNER];
    struct look look = {.pool = pool, .members = pool_members(pool), .ask = &ask, .of = inner};
    size_t set[SUBSET_MAX], count = 0;

    if (look.members->count > CANDIDATES_INNER)
        look.of = malloc(look.members->count * sizeof *look.of);
    if (look.of) {
        look_at_health(&look);
        count = subset_choose(look.of, look.members->count, shard_hash, servers, set);
    }
    for (size_t i = 0; i < count; i++)
        ret_servers[i] = server_ref(look.members->seat[set[i]].server);
    if (look.of != inner)
        free(look.of);
    members_unref(look.members);
    return count;
}
