/* A lock, held for a few instructions and never over anything that waits. With queue.h and spool.h
 * the only place where there is one: what is above this floor and must be seen as one by several
 * threads uses it. */
#pragma once

#include <pthread.h>

struct lock {
    pthread_mutex_t mutex;
};

static inline void lock_init(struct lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
}
static inline void lock_done(struct lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}
static inline void lock_take(struct lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}
static inline void lock_give(struct lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}
