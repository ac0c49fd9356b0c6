/* `shard.on_move: drain`: when the servers of a sharded route change (one comes, goes, fails,
 * recovers or weighs another), the tunnels whose server has left the set of their key are drained,
 * and no others. The main thread watches, at a leisurely pace: what flaps within two looks moves
 * nobody. */
#pragma once

#include "proxy/drains.h"

struct moves_watch;

/* Of the main thread. */
struct moves {
    struct drains *drains;
    struct worker *main;
    struct snapshot *const *in_force;
    struct timer timer;
    struct moves_watch *watch; /* one for each route that asks for it, by name */
    size_t count;
};

void moves_init(struct moves *moves, struct drains *drains, struct worker *main,
                struct snapshot *const *in_force);
/* The configuration in force is another one, or the first. */
void moves_follow(struct moves *moves);
void moves_done(struct moves *moves); /* harmless when it is zeroed */
