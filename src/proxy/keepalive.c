/* A stream is a heap object of its own, so that it moves between a tunnel and this place without a
 * system call: epoll knows it by its address.
 *
 * The newest is taken first, so that a crowd's connections age and go when the crowd has gone. What
 * a server closes here is noticed by the loop; nothing is closed inside the loop's telling, so the
 * close is a task. */
#include "proxy/keepalive.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

/* A pool by its name, over configurations. */
struct resting_pool {
    struct list node;       /* in keepalive.pools */
    struct list connection; /* the one that rested longest first */
    const struct pool_state *state;
    uint32_t count;
};

struct resting {
    struct list in_server, in_pool;
    struct keepalive *keepalive;
    struct resting_pool *pool;
    struct server *server; /* counted */
    struct stream *stream;
    uint64_t owner; /* 0: anyone's */
    struct timer timer;
    struct task leave;
};

void keepalive_discard(struct stream *take_stream)
{
    if (!take_stream)
        return;
    stream_close(take_stream);
    free(take_stream);
}

void keepalive_init(struct keepalive *keepalive, struct loop *loop)
{
    *keepalive = (struct keepalive){.loop = loop};
    list_init(&keepalive->pools);
    for (size_t i = 0; i < KEEPALIVE_BUCKETS; i++)
        list_init(&keepalive->server[i]);
}

/* Servers are heap objects of more than 64 bytes: the low bits of their addresses say nothing. */
static struct list *bucket_of(struct keepalive *keepalive, const struct server *server)
{
    uint64_t hash = ((uintptr_t)server >> 6) * 0x9e3779b97f4a7c15u;

    return &keepalive->server[hash >> 56];
}
_Static_assert(KEEPALIVE_BUCKETS == 256, "bucket_of takes eight bits");

static struct resting_pool *pool_of(struct keepalive *keepalive, const struct pool_state *state)
{
    list_each(node, &keepalive->pools) {
        struct resting_pool *pool = container_of(node, struct resting_pool, node);
        if (pool->state == state)
            return pool;
    }
    struct resting_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->state = state;
    list_init(&pool->connection);
    list_add_last(&keepalive->pools, &pool->node);
    return pool;
}

/* Out of all lists; the stream is the caller's. */
static struct stream *remove_resting(struct resting *resting)
{
    struct resting_pool *pool = resting->pool;
    struct stream *stream = resting->stream;

    timer_cancel(&resting->timer);
    task_cancel(&resting->leave);
    list_remove(&resting->in_server);
    list_remove(&resting->in_pool);
    atomic_fetch_sub_explicit(&resting->keepalive->resting, 1, memory_order_relaxed);
    if (--pool->count == 0) {
        list_remove(&pool->node);
        free(pool);
    }
    server_unref(resting->server);
    free(resting);
    return stream;
}

static void leave(struct task *task)
{
    keepalive_discard(remove_resting(container_of(task, struct resting, leave)));
}

static void on_due(struct timer *timer)
{
    struct resting *resting = container_of(timer, struct resting, timer);

    loop_post(resting->keepalive->loop, &resting->leave);
}

static void on_ready(struct source *source, unsigned ready)
{
    struct resting *resting = source->owner;

    if (ready & (READABLE | ENDED | GONE))
        loop_post(resting->keepalive->loop, &resting->leave);
}

/* A body whose length was known may have been read to its last byte without a word on whether more
 * is there: then we ask. */
static bool is_clean(struct stream *stream)
{
    uint8_t byte;

    if (stream->source.ready & (ENDED | GONE))
        return false;
    if (!(stream->source.ready & READABLE))
        return true;
    return stream_read(stream, &byte, 1) == -EAGAIN;
}

static void rest(struct keepalive *keepalive, struct resting *resting, uint64_t idle_usec)
{
    struct stream *stream = resting->stream;

    list_add_last(bucket_of(keepalive, resting->server), &resting->in_server);
    list_add_last(&resting->pool->connection, &resting->in_pool);
    resting->pool->count++;
    atomic_fetch_add_explicit(&keepalive->resting, 1, memory_order_relaxed);
    timer_init(&resting->timer, on_due);
    task_init(&resting->leave, leave);
    if (idle_usec != UINT64_MAX)
        loop_arm(keepalive->loop, &resting->timer, keepalive->loop->now_usec + idle_usec);
    stream->source.owner = resting;
    stream->source.on_ready = on_ready;
}

void keepalive_give(struct keepalive *keepalive, struct server *server, struct stream *take_stream,
                    const struct pool_keepalive *limits, uint64_t owner)
{
    struct resting *resting = limits->max && is_clean(take_stream) ? malloc(sizeof *resting) : NULL;
    struct resting_pool *pool = resting ? pool_of(keepalive, server->state) : NULL;

    if (!pool) {
        free(resting);
        keepalive_discard(take_stream);
        return;
    }
    *resting = (struct resting){
        .keepalive = keepalive,
        .pool = pool,
        .server = server_ref(server),
        .stream = take_stream,
        .owner = owner,
    };
    rest(keepalive, resting, limits->idle_usec);
    while (pool->count > limits->max) /* the new one stays: its pool record lives */
        keepalive_discard(
            remove_resting(container_of(pool->connection.next, struct resting, in_pool)));
}

struct stream *keepalive_take(struct keepalive *keepalive, const struct server *server,
                              uint64_t owner)
{
    struct list *bucket = bucket_of(keepalive, server);
    struct list *before;

    for (struct list *node = bucket->prev; node != bucket; node = before) {
        struct resting *resting = container_of(node, struct resting, in_server);
        before = node->prev;
        bool is_leaving = !list_is_empty(&resting->leave.node);
        if (resting->server == server && resting->owner == owner && !is_leaving)
            return remove_resting(resting);
    }
    return NULL;
}

/* Discards those of a bucket of which `is_kept` says no, and of a given owner's all. */
static void sweep_bucket(struct list *bucket, uint64_t owner,
                         bool (*is_kept)(const struct server *server, const void *context),
                         const void *context)
{
    struct list *next;

    for (struct list *node = bucket->next; node != bucket; node = next) {
        struct resting *resting = container_of(node, struct resting, in_server);
        next = node->next;
        bool goes = owner ? resting->owner == owner : !is_kept(resting->server, context);
        if (goes)
            keepalive_discard(remove_resting(resting));
    }
}

void keepalive_sweep(struct keepalive *keepalive,
                     bool (*is_kept)(const struct server *server, const void *context),
                     const void *context)
{
    for (size_t i = 0; i < KEEPALIVE_BUCKETS; i++)
        sweep_bucket(&keepalive->server[i], 0, is_kept, context);
}

void keepalive_forget(struct keepalive *keepalive, uint64_t owner)
{
    for (size_t i = 0; i < KEEPALIVE_BUCKETS; i++)
        sweep_bucket(&keepalive->server[i], owner, NULL, NULL);
}

static bool keeps_none(const struct server *server, const void *context)
{
    (void)server;
    (void)context;
    return false;
}

void keepalive_done(struct keepalive *keepalive)
{
    keepalive_sweep(keepalive, keeps_none, NULL);
}
