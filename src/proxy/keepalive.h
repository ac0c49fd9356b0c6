/* A worker's connections to servers that wait for their next request. Any client's request may go
 * over any of them, but for those that have an owner: by the PROXY protocol the server was told who
 * the client is. A connection is here only after a clean end of both messages, and leaves it the
 * moment the server says or ends anything. */
#pragma once

#include "net/stream.h"
#include "pool/pool.h"

#define KEEPALIVE_BUCKETS 256

struct keepalive {
    struct loop *loop;
    struct list server[KEEPALIVE_BUCKETS]; /* of resting connections, newest first found */
    struct list pools;                     /* of those with a connection here */
    _Atomic uint64_t resting;              /* any thread may read it (relaxed) */
};

void keepalive_init(struct keepalive *keepalive, struct loop *loop);
void keepalive_done(struct keepalive *keepalive); /* closes them all */

/* Takes the stream, a heap object, on whatever outcome: it rests for `limits->idle_usec` at most.
 * Beyond `limits->max` of that pool the one that rested longest goes. One that is not clean (the
 * server has more to say, or has left) is closed instead. `owner`: whose it is alone; 0: anyone's.
 */
void keepalive_give(struct keepalive *keepalive, struct server *server, struct stream *take_stream,
                    const struct pool_keepalive *limits, uint64_t owner);
/* The one of that owner's that rested shortest, the caller's from now on; NULL: none to that
 * server. */
struct stream *keepalive_take(struct keepalive *keepalive, const struct server *server,
                              uint64_t owner);
void keepalive_forget(struct keepalive *keepalive, uint64_t owner); /* closes all that are his */

/* Closes those to servers of which `is_kept` says no. */
void keepalive_sweep(struct keepalive *keepalive,
                     bool (*is_kept)(const struct server *server, const void *context),
                     const void *context);
/* Closes a stream and frees it; harmless on NULL. */
void keepalive_discard(struct stream *take_stream);
