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

#include <stdlib.h>

struct waiter {
    struct queued queued;
    struct pool *pool; /* counted */
    struct flow *flow; /* NULL: it has left */
    struct tried tried;
    struct server *seat; /* given, with its reference; the owner's once the letter has come */
    size_t member;
    struct choice *choice;
    bool has_letter; /* it has arrived */
};

static void waiter_free(struct waiter *waiter)
{
    if (waiter->seat)
        pool_release(waiter->seat);
    free(waiter->choice);
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
}

static void part(struct waiter *waiter, struct queue *queue)
{
    queue_remove(queue, &waiter->queued);
    atomic_fetch_sub(&waiter->pool->waiting, 1);
}

/* The longest waiter of a pool holds up those behind him in it, even when one of them could be
 * served (he may have tried the server that is free): else he could wait for ever. He does not hold
 * up the pool of the next configuration, which may have servers that his does not know. */
void pool_serve(struct pool_state *state)
{
    struct queue *queue = &state->queue;
    struct queued *queued, *next;
    unsigned held_up = 0; /* waiters of pools that have no seat for their first */

    queue_lock(queue);
    state->round++;
    for (queued = queue_first(queue); queued && held_up < atomic_load(&queue->count);
         queued = next) {
        struct waiter *waiter = container_of(queued, struct waiter, queued);
        struct pool *pool = waiter->pool;
        next = queue_next(queue, queued);
        if (pool->full_round == state->round)
            continue;
        waiter->seat = pool_try(pool, &waiter->tried, &waiter->member, &waiter->choice);
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

struct waiter *pool_wait(struct pool *pool, const struct tried *tried, struct flow *flow)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);

    if (!waiter)
        return NULL;
    waiter->pool = pool_ref(pool);
    waiter->flow = flow;
    waiter->tried = *tried;
    waiter->queued.owner = &worker_of(flow)->mailbox;
    waiter->queued.mail.on_arrival = on_arrival;
    list_init(&waiter->queued.node);

    queue_lock(&pool->state->queue);
    join(waiter, &pool->state->queue);
    queue_unlock(&pool->state->queue);
    pool_serve(pool->state);
    return waiter;
}

struct server *waiter_take(struct waiter **take_waiter, size_t *ret_member,
                           struct choice **ret_choice)
{
    struct waiter *waiter = *take_waiter;

    if (!waiter->has_letter)
        return NULL;
    struct server *seat = TAKE(waiter->seat);
    *ret_member = waiter->member;
    if (ret_choice)
        *ret_choice = TAKE(waiter->choice);
    waiter_free(TAKE(*take_waiter));
    return seat;
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
