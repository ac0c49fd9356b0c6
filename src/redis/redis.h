/* A connection to a Redis server that makes itself anew: one per worker and target, a flow of its
 * own. Questions of any number of flows go out in a pipeline; answers come back in their order.
 *
 * What is sent and not yet answered when the connection breaks, is sent again on the next one, so
 * questions must be such as may be done twice. What the server may be able to answer in a moment
 * (LOADING, READONLY, MASTERDOWN, TRYAGAIN, CLUSTERDOWN, BUSY) is asked again, until whoever asked
 * leaves: his own deadline is the only one. When no connection can be made, all that wait are told
 * why. Behind Sentinels a server that takes no writes, or that is lost, is looked for anew. */
#pragma once

#include "base/buf.h"
#include "loop/worker.h"
#include "redis/reply.h"
#include "redis/target.h"

struct redis;

struct redis_opts {
    const struct redis_target *target; /* outlives the connection */
    uint64_t connect_usec; /* until it serves: connected, and its user and database taken */
    uint64_t stall_usec;   /* a server that answers nothing for so long is left */
    uint64_t idle_usec;    /* unused for so long, it ends; FOREVER: never */
    size_t reply_max_bytes;
    void (*on_leave)(void *owner, unsigned worker); /* it is gone; may be NULL */
    void *owner;
};

/* On the calling worker. NULL: no memory. It ends when it is idle, or its worker ends. */
struct redis *redis_start(const struct redis_opts *opts, struct runner *runner);

#define REDIS_COMMAND_MAX_BYTES 16384u

struct redis_ask {
    struct list node;          /* among those that wait */
    struct redis *redis;       /* NULL: not asked, or over */
    struct flow *flow;         /* woken when it is over */
    struct buf command;        /* whole, by redis_command; the asker's, and kept until he leaves */
    struct redis_reply *reply; /* the asker's, once it is over; NULL: there is none, see trouble */
    const char *trouble;       /* static words, or NULL */
    uint8_t sent;              /* so many times */
    bool is_over;
};

/* Zeroed, with `flow` and `command` set; a second time after it was over. */
void redis_ask(struct redis *redis, struct redis_ask *ask);
/* Lets go of all that belongs to it, over or not. What the trouble was until now; NULL: none. */
const char *redis_ask_leave(struct redis_ask *ask);
