/* Watches are an array sorted by their server's place in memory: found by halving, replaced whole
 * when a configuration or a pool's members change. A server is one object over all of that, so its
 * watch is, too. */
#include "health/health_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

struct health *health_new(struct worker *worker, struct health_sink *sink, uint64_t seed)
{
    struct health *health = calloc(1, sizeof *health);

    if (!health)
        return NULL;
    health->worker = worker;
    health->sink = sink;
    random_init(&health->random, seed);
    list_init(&health->turns);
    return health;
}

struct health *health_free(struct health *health)
{
    if (!health)
        return NULL;
    for (size_t i = 0; i < health->count; i++)
        watch_free(health->watches[i]);
    CHECK(list_is_empty(&health->turns));
    free(health->watches);
    free(health);
    return NULL;
}

const struct health_counters *health_counters(const struct health *health)
{
    return &health->counters;
}

/* --- who is watched -----------------------------------------------------------------------------
 */

static int by_server(const void *a, const void *b)
{
    const struct watch *const *one = a, *const *other = b;
    uintptr_t x = (uintptr_t)(*one)->server, y = (uintptr_t)(*other)->server;

    return (x > y) - (x < y);
}

/* Where it is in the array, or NULL. */
static struct watch **find(const struct health *health, struct server *server)
{
    const struct watch key = {.server = server}, *wanted = &key;

    if (!health->count)
        return NULL;
    return bsearch(&wanted, health->watches, health->count, sizeof(struct watch *), by_server);
}

/* What becomes of an adoption: room for all, then watches one by one. */
struct adoption {
    struct watch **watches;
    size_t count;
    int error;
};

static void adopt_server(struct health *health, struct adoption *a, struct server *server,
                         struct plan *plan)
{
    struct watch **there = find(health, server);
    struct watch *watch = there ? *there : watch_new(health, server, plan);

    if (!watch) {
        a->error = -ENOMEM;
        return;
    }
    watch->is_kept = true;
    if (watch_adopt(watch, plan))
        a->error = -ENOMEM;
    a->watches[a->count++] = watch;
}

static void adopt_pool(struct health *health, struct adoption *a, const struct health_pool *pool,
                       struct members *members)
{
    struct plan *plan = plan_new(pool, members_count(members));

    if (!plan) {
        a->error = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < members_count(members); i++)
        adopt_server(health, a, members_server(members, i), plan);
    plan_unref(plan);
}

static int replace(struct health *health, const struct health_pool *pools, size_t count,
                   struct members **members)
{
    struct adoption a = {0};
    size_t room = 0;

    for (size_t i = 0; i < count; i++) {
        members[i] = pool_members(pools[i].pool);
        room += members_count(members[i]);
    }
    a.watches = calloc(room + 1, sizeof(struct watch *));
    if (!a.watches)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        adopt_pool(health, &a, &pools[i], members[i]);
    for (size_t i = 0; i < health->count; i++)
        if (!health->watches[i]->is_kept)
            watch_free(health->watches[i]);
    free(health->watches);
    for (size_t i = 0; i < a.count; i++)
        a.watches[i]->is_kept = false;
    qsort(a.watches, a.count, sizeof(struct watch *), by_server);
    health->watches = a.watches;
    health->count = a.count;
    return a.error;
}

int health_adopt(struct health *health, const struct health_pool *pools, size_t count)
{
    struct members **members = calloc(count + 1, sizeof(struct members *));
    int error = members ? replace(health, pools, count, members) : -ENOMEM;

    for (size_t i = 0; members && i < count; i++)
        members_unref(members[i]);
    free(members);
    return error;
}

/* --- what clients' answers say ------------------------------------------------------------------
 */

struct letter {
    struct mail mail;
    struct health *health;
    struct server *server; /* counted */
};

/* Takes it apart. Its server's watch; NULL: it has gone. */
static struct watch *open_letter(struct mail *take_mail)
{
    struct letter *letter = container_of(take_mail, struct letter, mail);
    struct watch **watch = find(letter->health, letter->server);

    server_unref(letter->server);
    free(letter);
    return watch ? *watch : NULL;
}

static void on_drain_letter(struct mail *take_mail)
{
    struct letter *letter = container_of(take_mail, struct letter, mail);

    atomic_store(&letter->server->is_drain_told, false);
    struct watch *watch = open_letter(take_mail);
    if (watch)
        watch_hear_drain(watch);
}

static void on_ejection_letter(struct mail *take_mail)
{
    struct watch *watch = open_letter(take_mail);

    if (watch)
        watch_hear_ejection(watch);
}

/* False: no memory. */
static bool send_letter(struct health *health, struct server *server, mail_fn *on_arrival)
{
    struct letter *letter = calloc(1, sizeof *letter);

    if (!letter)
        return false;
    *letter = (struct letter){{.on_arrival = on_arrival}, health, server_ref(server)};
    mailbox_send(&health->worker->mailbox, &letter->mail);
    return true;
}

void health_hear_drain(struct health *health, struct server *server, uint64_t now_usec)
{
    atomic_store_explicit(&server->drain_asked_usec, now_usec, memory_order_relaxed);
    if (atomic_load_explicit(&server->check, memory_order_relaxed) == CHECK_DRAINING ||
        atomic_exchange(&server->is_drain_told, true))
        return;
    if (!send_letter(health, server, on_drain_letter))
        atomic_store(&server->is_drain_told, false); /* the next answer will say it again */
}

void health_hear_ejection(struct health *health, struct server *server)
{
    send_letter(health, server,
                on_ejection_letter); /* without memory its end is not told: no more */
}
