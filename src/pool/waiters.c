/* No wake-up is lost: who gives a seat back first lowers the count and then looks for waiters; who
 * waits first joins the queue and then looks for seats. All four are sequentially consistent, so at
 * least one of the two sees the other, and both serve the same way: under the lock, the longest
 * waiter first. Who leaves the queue serves as well: he may have been the one who held up the
 * others.
 *
 * A waiter is a heap object because its letter may still be on its way when its flow has left: then
 * it is abandoned, and whoever receives the letter (its own worker) gives the seat back. */
#include "pool/pool_priv.h"

#include "base/check.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdlib.h>

#define SOON_USEC 500u /* no waiter asks more often */

struct waiter {
    struct queued queued;
    struct pool *pool; /* counted */
    struct flow *flow; /* NULL: it has left */
    struct tried tried;
    struct pool_ask ask; /* its `tried` is ours, its `wanted` counted */
    struct server *seat; /* given, with its reference; the owner's once the letter has come */
    struct choice *choice;
    unsigned ticket; /* how many had joined before it */
    bool has_letter; /* it has arrived */
};

static void waiter_free(struct waiter *waiter)
{
    if (waiter->seat)
        pool_release(waiter->seat);
    choice_free(waiter->choice);
    server_unref(waiter->ask.wanted);
    pool_unref(waiter->pool);
    free(waiter);
}

static void on_arrival(struct mail *take_mail)
{
    struct waiter *waiter = container_of(take_mail, struct waiter, queued.mail);

    waiter->has_letter = true;
    if (waiter->flow)
        flow_wake(waiter->flow);
    else
        waiter_free(waiter);
}

static void join(struct waiter *waiter, struct queue *queue)
{
    queue_add_last(queue, &waiter->queued);
    atomic_fetch_add(&waiter->pool->waiting, 1);
    waiter->ticket = waiter->pool->tickets++;
}

static void part(struct waiter *waiter, struct queue *queue)
{
    queue_remove(queue, &waiter->queued);
    atomic_fetch_sub(&waiter->pool->waiting, 1);
    waiter->pool->gone++;
}

/* The longest waiter of a pool holds up those behind him in it, even when one of them could be
 * served (he may have tried the server that is free): else he could wait for ever. He does not hold
 * up the pool of the next configuration, which may have servers that his does not know. */
void pool_serve(struct pool_state *state)
{
    struct queue *queue = &state->queue;
    struct queued *queued, *next;
    unsigned held_up = 0; /* waiters of pools that have no seat for their first */
    uint64_t now = sys_now_usec();

    queue_lock(queue);
    state->round++;
    for (queued = queue_first(queue); queued && held_up < atomic_load(&queue->count);
         queued = next) {
        struct waiter *waiter = container_of(queued, struct waiter, queued);
        struct pool *pool = waiter->pool;
        next = queue_next(queue, queued);
        if (pool->full_round == state->round)
            continue;
        waiter->ask.now_usec = now;
        waiter->seat = pool_try(pool, &waiter->ask, &waiter->choice);
        if (waiter->seat) {
            part(waiter, queue);
            queue_wake(queued);
        } else {
            pool->full_round = state->round;
            held_up += atomic_load(&pool->waiting);
        }
    }
    queue_unlock(queue);
}

void pool_serve_waiters(struct pool *pool)
{
    if (pool_waiting(pool))
        pool_serve(pool->state);
}

static bool is_crowded(const struct pool *pool, const struct pool_ask *ask)
{
    return ask->is_handshake && pool->policy.queue_max &&
           atomic_load(&pool->waiting) >= pool->policy.queue_max;
}

int pool_wait(struct pool *pool, const struct pool_ask *ask, struct flow *flow,
              struct waiter **ret_waiter)
{
    if (is_crowded(pool, ask))
        return -EBUSY;
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (!waiter)
        return -ENOMEM;
    waiter->pool = pool_ref(pool);
    waiter->flow = flow;
    waiter->ask = *ask;
    if (ask->tried)
        waiter->tried = *ask->tried;
    waiter->ask.tried = &waiter->tried;
    waiter->ask.wanted = ask->wanted ? server_ref(ask->wanted) : NULL;
    waiter->queued.owner = &worker_of(flow)->mailbox;
    waiter->queued.mail.on_arrival = on_arrival;
    list_init(&waiter->queued.node);

    queue_lock(&pool->state->queue);
    join(waiter, &pool->state->queue);
    queue_unlock(&pool->state->queue);
    pool_serve(pool->state);
    *ret_waiter = waiter;
    return 0;
}

struct server *waiter_take(struct waiter **take_waiter, struct choice **ret_choice)
{
    struct waiter *waiter = *take_waiter;

    if (!waiter->has_letter)
        return NULL;
    struct server *seat = TAKE(waiter->seat);
    if (ret_choice)
        *ret_choice = TAKE(waiter->choice);
    waiter_free(TAKE(*take_waiter));
    return seat;
}

bool waiter_has_seat(const struct waiter *waiter)
{
    struct queue *queue = &waiter->pool->state->queue;

    queue_lock(queue);
    bool has = !queue_holds(&waiter->queued);
    queue_unlock(queue);
    return has;
}

/* --- time alone ---------------------------------------------------------------------------------
 */

static uint64_t soonest_usec(struct pool *pool, uint64_t now_usec)
{
    const struct pool_policy *policy = &pool->policy;
    struct members *members = pool_members(pool);
    uint64_t soonest = FOREVER, whole;

    for (size_t i = 0; i < members->count; i++) {
        const struct server *server = members->member[i].server;
        uint64_t due = admission_due_usec(&policy->per_server, &server->admitted_nsec);
        if (server_is_usable(server, now_usec) && due < soonest)
            soonest = due;
    }
    members_unref(members);
    whole = admission_due_usec(&policy->whole, &pool->state->admitted_nsec);
    return soonest == FOREVER || whole > soonest ? whole : soonest;
}

/* Between two that are admitted, when all goes well. */
static uint64_t pace_nsec(const struct pool *pool)
{
    unsigned usable = atomic_load_explicit(&pool->usable, memory_order_relaxed);
    uint64_t pace = pool->policy.per_server.interval_nsec / (usable ? usable : 1);

    return pace > pool->policy.whole.interval_nsec ? pace : pool->policy.whole.interval_nsec;
}

/* Each waiter comes when its own turn is likely, so that a thousand who wait cost one look for each
 * that is admitted, and not a thousand. The first of them comes on time. */
uint64_t waiter_due_usec(const struct waiter *waiter, uint64_t now_usec)
{
    struct pool *pool = waiter->pool;
    unsigned before_it;

    if (!waiter->ask.is_handshake || !pool_admits_slowly(pool) || waiter->has_letter)
        return FOREVER;
    queue_lock(&pool->state->queue);
    before_it = waiter->ticket - pool->gone;
    queue_unlock(&pool->state->queue);
    if (before_it > atomic_load(&pool->waiting)) /* some left from behind it */
        before_it = 0;
    uint64_t soonest = soonest_usec(pool, now_usec);
    uint64_t due = (soonest > now_usec ? soonest : now_usec) + before_it * pace_nsec(pool) / 1000;
    return due > now_usec + SOON_USEC ? due : now_usec + SOON_USEC;
}

void waiter_leave(struct waiter *take_waiter)
{
    if (!take_waiter)
        return;
    struct pool_state *state = take_waiter->pool->state;

    queue_lock(&state->queue);
    bool was_queued = queue_holds(&take_waiter->queued);
    if (was_queued)
        part(take_waiter, &state->queue);
    queue_unlock(&state->queue);

    if (was_queued && atomic_load(&state->queue.count) > 0)
        pool_serve(state);
    take_waiter->flow = NULL;
    if (was_queued || take_waiter->has_letter)
        waiter_free(take_waiter);
    /* else its letter is on its way, and frees it */
}
