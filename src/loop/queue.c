/* The count is kept beside the list so that a giver who finds no one waiting pays one load. */
#include "loop/queue.h"

#include "base/check.h"

void queue_init(struct queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    list_init(&queue->waiting);
    atomic_init(&queue->count, 0);
}

void queue_done(struct queue *queue)
{
    CHECK(list_is_empty(&queue->waiting));
    pthread_mutex_destroy(&queue->lock);
}

void queue_lock(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
}

void queue_unlock(struct queue *queue)
{
    pthread_mutex_unlock(&queue->lock);
}

void queue_add_last(struct queue *queue, struct queued *queued)
{
    list_add_last(&queue->waiting, &queued->node);
    atomic_fetch_add(&queue->count, 1);
}

void queue_remove(struct queue *queue, struct queued *queued)
{
    list_remove(&queued->node);
    atomic_fetch_sub(&queue->count, 1);
}

static struct queued *queued_at(const struct queue *queue, struct list *node)
{
    return node == &queue->waiting ? NULL : container_of(node, struct queued, node);
}

struct queued *queue_first(const struct queue *queue)
{
    return queued_at(queue, queue->waiting.next);
}

struct queued *queue_next(const struct queue *queue, const struct queued *queued)
{
    return queued_at(queue, queued->node.next);
}

void queue_wake(struct queued *queued)
{
    mailbox_send(queued->owner, &queued->mail);
}
