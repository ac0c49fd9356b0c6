/* Bytes from any thread to one that writes them out: bounded, never waiting for the writer. Pieces
 * are whole or not there at all; what did not fit is counted. The second place with a lock, held
 * for one copy. */
#pragma once

#include "base/bytes.h"

#include <pthread.h>

struct spool {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    uint8_t *memory;
    size_t size, from, len; /* a circle */
    uint64_t lost;          /* pieces */
    bool is_asleep, is_closed;
};

int spool_init(struct spool *spool, size_t size); /* 0 or -ENOMEM */
void spool_done(struct spool *spool);
void spool_push(struct spool *spool, struct bytes piece); /* any thread */

/* For the writer: waits until there is something, or the spool is closed. Copies up to `size`
 * bytes; 0: closed and empty. ret_lost: pieces lost since the last call. */
size_t spool_take(struct spool *spool, uint8_t *at, size_t size, uint64_t *ret_lost);
void spool_close(struct spool *spool); /* spool_take returns what is left, then 0 */

/* What is in it, in two pieces, without the lock: for a process that dies. */
void spool_peek(const struct spool *spool, struct bytes ret_pieces[2]);
