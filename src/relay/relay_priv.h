/* Between the relay and its tiers. */
#pragma once

#include "relay/relay.h"

/* A tier: how bytes get from one end to the other. One file, one name in meson.build. It may call
 * only relay_found and relay_settle, and does not read for a lane that has bytes unsent. */
struct relay_tier_ops {
    const char *name;
    /* Whether it can serve this relay here and now. The last of the list always can. */
    bool (*can)(const struct relay *relay);
    /* What was read before the relay: `head` counts as produced, `early` as moved. Once per lane.
     */
    void (*begin)(struct relay *relay, unsigned lane, struct bytes head, struct bytes early);
    /* Moves what there is; posts `again` when that is much. */
    void (*move)(struct relay *relay, unsigned lane);
    /* Forgets what is unsent, and gives its memory back. */
    void (*drop)(struct relay *relay, unsigned lane);
};

/* The list of meson.build, best first (tiers.c); NULL past the last. */
const struct relay_tier_ops *relay_tier_at(unsigned tier);

/* What a lane finds. What it means is the table in endings.c. */
enum lane_event {
    FOUND_END,         /* the source has ended: FIN */
    FOUND_SOURCE_GONE, /* the source has broken: reset, time-out, a broken record */
    FOUND_TARGET_GONE, /* the destination takes no more */
    FOUND_BOUNDARY,    /* a reclaim was asked for, and the lane stands where a frame may begin */
    FOUND_DELIVERED,   /* what a lane that reads no more still owed has gone out */
    FOUND_SOURCE_SLOW, /* `fin` has passed: the source neither sent nor ended */
    FOUND_TARGET_SLOW, /* `fin` has passed: the destination did not take what is unsent */
    FOUND_SILENCE,     /* idle_usec has passed */
    FOUND_OLD,         /* lifetime_usec has passed */
    FOUND_LATE,        /* a reclaim's patience has passed */
    FOUND_NO_MEMORY,   /* for what the destination did not take */
};
void relay_found(struct relay *relay, unsigned lane, enum lane_event event);

/* After something has gone out: a lane that only waits for that is done. */
void relay_settle(struct relay *relay, unsigned lane);

void relay_arm(struct relay *relay); /* the timer, for what ends the relay next */

static inline const struct lane_record *lane_now(const struct lane *lane)
{
    return &lane->record[lane->selected];
}
static inline struct stream *lane_from(const struct relay *relay, unsigned lane)
{
    return relay->end[lane];
}
static inline struct stream *lane_to(const struct relay *relay, unsigned lane)
{
    return relay->end[!lane];
}
static inline bool lane_has_unsent(const struct relay *relay, unsigned lane)
{
    const struct lane *l = &relay->lane[lane];

    return lane_now(l)->settled != l->written || stream_has_unsent(lane_to(relay, lane));
}
