/* Those who wait for something that other threads give back, first come first served: with the
 * spool, the only place where a lock is held. Callers hold it around what must be seen
 * as one: joining, leaving, and finding out who gets what. Nothing that is done under it waits, and
 * who is woken gets a letter to his own worker; as it is sent under the lock, who has left under
 * the lock knows that his letter is in his mailbox, or that none will come. */
#pragma once

#include "loop/mailbox.h"

#include <pthread.h>

struct queue {
    pthread_mutex_t lock;
    struct list waiting;
    atomic_uint count; /* readable without the lock, sequentially consistent */
};

/* Embedded in what waits. */
struct queued {
    struct list node; /* in queue.waiting, or alone */
    struct mail mail; /* for queue_wake */
    struct mailbox *owner;
};

void queue_init(struct queue *queue);
void queue_done(struct queue *queue);
void queue_lock(struct queue *queue);
void queue_unlock(struct queue *queue);

/* Under the lock. */
void queue_add_last(struct queue *queue, struct queued *queued);
void queue_remove(struct queue *queue, struct queued *queued);
struct queued *queue_first(const struct queue *queue); /* NULL: no one waits */
/* NULL: it is the last. */
struct queued *queue_next(const struct queue *queue, const struct queued *queued);
static inline bool queue_holds(const struct queued *queued)
{
    return !list_is_empty(&queued->node);
}

/* After it was removed. Its mail's on_arrival runs on its owner's thread and may free it at once.
 */
void queue_wake(struct queued *queued);
