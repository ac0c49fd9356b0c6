/* Rebalancing: tunnels of a pool's fullest servers are closed, at a bounded rate over all workers,
 * until none has more than the mean by weight and a tolerance. Their clients come back to where the
 * balancer sends them.
 *
 * The main thread decides, several times a second, from the servers' own counts; workers close what
 * they are granted (drains.h). Never more are closed than were too many at the beginning, wherever
 * clients come back to. Servers that may not be chosen (down, drained, backup) take no part. */
#pragma once

#include "proxy/drains.h"

#define REBALANCES_MAX 100 /* that run or are remembered */

struct rebalance_spec {
    const char *pool; /* copied */
    struct rate rate; /* tunnels; count 0: 50/s */
    uint64_t tolerance_percent;
};

struct rebalance;

/* Of the main thread. */
struct rebalances {
    struct drains *drains;
    struct snapshot *const *in_force;
    struct list all; /* oldest first */
};

void rebalances_init(struct rebalances *all, struct drains *drains,
                     struct snapshot *const *in_force);
void rebalances_done(struct rebalances *all); /* harmless when it is zeroed */

/* 0; -EBUSY: one of that pool runs, or too many do; -ENOENT: there is no such pool; -ENOMEM. */
int rebalance_start(struct rebalances *all, const struct rebalance_spec *spec,
                    struct rebalance **ret_rebalance); /* borrowed until the next start */
void rebalance_stop(struct rebalance *rebalance);      /* what is not closed yet is left alone */
struct rebalance *rebalances_find(const struct rebalances *all, uint64_t id); /* borrowed */
void rebalances_each(const struct rebalances *all,
                     void (*tell)(void *to, struct rebalance *rebalance), void *to);

struct rebalance_progress {
    uint64_t id, started_wall_usec;
    const char *pool;
    struct rate rate;
    uint64_t tolerance_percent;
    uint64_t left; /* too many still; never more than this will be closed */
    uint64_t closed;
    uint64_t unaligned;     /* of those, by FIN */
    uint64_t above_percent; /* how far the fullest is above the mean that is aimed at */
    bool is_done, is_undone;
};
void rebalance_progress(const struct rebalance *rebalance, struct rebalance_progress *ret_progress);
