/* Watching servers: all of all pools, from one thread. Each configured way of asking is a flow per
 * server; what they find becomes server->check, a line in the log, and a word to the owner.
 *
 * Everything here is for the thread of the worker that was handed in, but health_hear_drain. What
 * others may read lies in the server itself (outcomes.h). */
#pragma once

#include "loop/worker.h"
#include "net/tcp.h"
#include "pool/pool.h"

#define HEALTH_UNDER_WAY_MAX 256 /* checks at once; the others wait their turn */
/* How long a server's wish to be drained holds that it said by X-Turnout-Drain on an answer to a
 * client, counted from the last time; a check's own answer says more, sooner. */
#define HEALTH_DRAIN_USEC 60000000u

struct health;

/* What a pool's configuration wants for tunnels to a server that is lost. */
struct health_policy {
    enum on_down on_down;
    uint64_t drain_over_usec;
    uint16_t drain_code;
};

/* What has changed: server->check. All borrowed. */
struct health_change {
    struct pool *pool;
    struct server *server;
    enum server_check from, to;
    const struct health_policy *policy;
};

/* Told on the health thread, after it has. May not call health. */
struct health_sink {
    void (*on_change)(struct health_sink *sink, const struct health_change *change);
};

/* A pool of the configuration in force; all borrowed for the call. */
struct health_pool {
    struct pool *pool;
    const struct pool_settings *settings;
    const char *host; /* what its clients name: of a route that leads there; NULL: none is known */
    struct tcp_tuning tuning;
};

/* Monotone but `under_way` and `waiting`; read by any thread (relaxed). */
#define HEALTH_COUNTERS(COUNTER)                                                                   \
    COUNTER(checks_ever, "health checks that ended")                                               \
    COUNTER(checks_failed_ever, "health checks that found something wrong")                        \
    COUNTER(checks_not_made_ever, "health checks that we had no descriptor, port or memory for")   \
    COUNTER(checks_under_way, "health checks under way now")                                       \
    COUNTER(checks_under_way_most, "health checks that were under way at once, at most")           \
    COUNTER(checks_waiting, "health checks that wait for their turn")                              \
    COUNTER(verdicts_ever, "times that a server's health was judged otherwise than before")

struct health_counters {
#define COUNTER(name, help) _Atomic uint64_t name;
    HEALTH_COUNTERS(COUNTER)
#undef COUNTER
};

/* `worker` and `sink` outlive it. NULL: no memory. */
struct health *health_new(struct worker *worker, struct health_sink *sink, uint64_t seed);
/* After every other thread that knows it has ended. Accepts NULL, returns NULL. */
struct health *health_free(struct health *health);
const struct health_counters *health_counters(const struct health *health); /* any thread */

/* These pools and their present servers are watched from now on, and no others. To be called for
 * each configuration that is in force, and after each change of a pool's members. What is known of
 * servers that stay is kept, whatever else changes. 0 or -ENOMEM: some are not watched. */
int health_adopt(struct health *health, const struct health_pool *pools, size_t count);

/* Any thread: a server has asked to be drained, in an answer that carries X-Turnout-Drain. Cheap
 * when it is known already. */
void health_hear_drain(struct health *health, struct server *server, uint64_t now_usec);
/* Any thread: passive health has ejected it; that this ends is told, too, and who waits is served.
 */
void health_hear_ejection(struct health *health, struct server *server);
