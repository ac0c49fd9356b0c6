/* Those who wait for something that other threads give back, first come first served: the one place where
 * a lock is held, for a few stores, and never while anything waits or calls up. Callers hold the queue's lock
 * around what must be seen as one; who is woken gets a letter to his own worker. */
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
static inline bool queue_holds(const struct queued *queued)
{
    return !list_is_empty(&queued->node);
}

/* After it was removed, with or without the lock: its mail's on_arrival runs on its owner's thread. */
void queue_wake(struct queued *queued);
