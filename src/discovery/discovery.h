/* Pools whose servers are found: by name or in a file. On the main thread's loop. */
#pragma once

#include "base/log.h"
#include "conf/settings.h"
#include "loop/loop.h"
#include "pool/pool.h"

struct discovery;

struct discovery_means {
    struct loop *loop;
    struct log *log;
    struct conf_source *source; /* for files */
    /* After a pool's members have changed; may be NULL. */
    void (*on_changed)(void *owner, struct pool *pool);
    void *owner;
};

/* 0 or a negative errno. */
int discovery_new(const struct discovery_means *means, struct discovery **ret_discovery);
struct discovery *discovery_free(struct discovery *discovery); /* accepts NULL, returns NULL */

/* The configuration in force: pools as settings->pools, referred to until the next time. What a
 * pool of that name found by the same name or file before is kept; all others are asked or read now
 * (a file before this returns). Where memory is short, that is logged and the pool keeps what it
 * has.
 */
void discovery_adopt(struct discovery *discovery, const struct settings *settings,
                     struct pool *const *pools);

/* For `explain`: fills the pool from its file, once. 0 or a negative errno. */
int discovery_read_once(struct conf_source *source, const struct pool_settings *settings,
                        struct pool *pool);

/* How a pool's servers are found, and how that goes. */
struct discovery_state {
    const char *pool, *by, *what; /* by: "dns" or "file" */
    size_t servers;               /* found, last */
    uint64_t found_wall_usec;     /* when it was last asked or read with success; 0: never */
    uint64_t next_usec;           /* asked or looked at again in so long; LOG_NONE: being asked */
    unsigned failures;            /* in a row */
    uint64_t failed_wall_usec;    /* when the last of them was; 0: never */
    const char *error;            /* "": there is none now */
};
void discovery_each(const struct discovery *discovery,
                    void (*tell)(void *to, const struct discovery_state *state), void *to);
