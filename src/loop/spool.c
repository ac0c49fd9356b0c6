/* The writer is signalled only when it said that it sleeps, so a burst costs one wake-up. */
#include "loop/spool.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

int spool_init(struct spool *spool, size_t size)
{
    *spool = (struct spool){.size = size, .memory = malloc(size)};
    if (!spool->memory)
        return -ENOMEM;
    pthread_mutex_init(&spool->lock, NULL);
    pthread_cond_init(&spool->filled, NULL);
    return 0;
}

void spool_done(struct spool *spool)
{
    pthread_mutex_destroy(&spool->lock);
    pthread_cond_destroy(&spool->filled);
    free(TAKE(spool->memory));
}

/* Copies into the circle at its end; there is room. */
static void put(struct spool *spool, struct bytes piece)
{
    size_t at = (spool->from + spool->len) % spool->size;
    size_t first = piece.len < spool->size - at ? piece.len : spool->size - at;

    memcpy(spool->memory + at, piece.at, first);
    memcpy(spool->memory, piece.at + first, piece.len - first);
    spool->len += piece.len;
}

void spool_push(struct spool *spool, struct bytes piece)
{
    bool wakes = false;

    pthread_mutex_lock(&spool->lock);
    if (piece.len > spool->size - spool->len) {
        spool->lost++;
    } else {
        put(spool, piece);
        wakes = spool->is_asleep;
        spool->is_asleep = false;
    }
    pthread_mutex_unlock(&spool->lock);
    if (wakes)
        pthread_cond_signal(&spool->filled);
}

size_t spool_take(struct spool *spool, uint8_t *at, size_t size, uint64_t *ret_lost)
{
    pthread_mutex_lock(&spool->lock);
    while (spool->len == 0 && !spool->is_closed) {
        spool->is_asleep = true;
        pthread_cond_wait(&spool->filled, &spool->lock);
    }
    spool->is_asleep = false;
    size_t taken = spool->len < size ? spool->len : size;
    size_t first = taken < spool->size - spool->from ? taken : spool->size - spool->from;
    memcpy(at, spool->memory + spool->from, first);
    memcpy(at + first, spool->memory, taken - first);
    spool->len -= taken;
    spool->from =
        spool->len ? (spool->from + taken) % spool->size : 0; /* the same few pages again */
    *ret_lost = spool->lost;
    spool->lost = 0;
    pthread_mutex_unlock(&spool->lock);
    return taken;
}

void spool_close(struct spool *spool)
{
    pthread_mutex_lock(&spool->lock);
    spool->is_closed = true;
    pthread_mutex_unlock(&spool->lock);
    pthread_cond_signal(&spool->filled);
}

void spool_peek(const struct spool *spool, struct bytes ret_pieces[2])
{
    size_t len = spool->len <= spool->size ? spool->len : 0,
           from = spool->from < spool->size ? spool->from : 0;
    size_t first = len < spool->size - from ? len : spool->size - from;

    ret_pieces[0] = (struct bytes){spool->memory + from, first};
    ret_pieces[1] = (struct bytes){spool->memory, len - first};
}
