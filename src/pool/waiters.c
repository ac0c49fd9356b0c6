/* No wake-up is lost: who gives a seat back first lowers the count and then looks for waiters; who waits first
 * joins the queue and then looks for seats. Both orders are sequentially consistent, so at least one of the
 * two sees the other, and both serve the same way: under the lock, the longest waiter first.
 *
 * A waiter is a heap object because its letter may still be on its way when its flow has left: then it is
 * abandoned, and whoever receives the letter (its own worker) gives the seat back. */
#include "pool/pool_priv.h"

#include "base/check.h"

#include <stdlib.h>

struct waiter {
    struct queued queued;
    struct pool *pool;   /* counted */
    struct flow *flow;   /* NULL: it has left */
    struct tried tried;
    struct server *seat; /* given, with its reference; read by the owner after the letter has come */
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

/* The longest waiter holds up those behind it even when one of them could be served (he may have tried the
 * server that is free): else he could wait for ever. */
void pool_serve(struct pool_state *state)
{
    struct queued *first;

    queue_lock(&state->queue);
    while ((first = queue_first(&state->queue))) {
        struct waiter *waiter = container_of(first, struct waiter, queued);
        waiter->seat = pool_try(waiter->pool, &waiter->tried, &waiter->member, &waiter->choice);
        if (!waiter->seat)
            break;
        queue_remove(&state->queue, first);
        queue_wake(first);
    }
    queue_unlock(&state->queue);
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
    queue_add_last(&pool->state->queue, &waiter->queued);
    queue_unlock(&pool->state->queue);
    pool_serve(pool->state);
    return waiter;
}

struct server *waiter_take(struct waiter **take_waiter, size_t *ret_member, struct choice **ret_choice)
{
    struct waiter *waiter = *take_waiter;

    if (!waiter->has_letter)
        return NULL;
    struct server *seat = TAKE(waiter->seat);
    *ret_member = waiter->member;
    if (ret_choice) {
        free(*ret_choice);
        *ret_choice = TAKE(waiter->choice);
    }
    waiter_free(TAKE(*take_waiter));
    return seat;
}

void waiter_leave(struct waiter *take_waiter)
{
    struct queue *queue;
    bool was_queued;

    if (!take_waiter)
        return;
    queue = &take_waiter->pool->state->queue;
    queue_lock(queue);
    was_queued = queue_holds(&take_waiter->queued);
    if (was_queued)
        queue_remove(queue, &take_waiter->queued);
    queue_unlock(queue);

    take_waiter->flow = NULL;
    if (was_queued || take_waiter->has_letter)
        waiter_free(take_waiter);
    /* else its letter is on its way, and frees it */
}
