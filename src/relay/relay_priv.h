/* Between the relay and its tiers. */
#pragma once

#include "relay/relay.h"

/* What a tier is: how bytes get from one end to the other. Listed in meson.build. */
struct relay_tier_ops {
    const char *name;
    void (*move)(struct relay *relay, unsigned lane); /* what there is; posts `again` when that is much */
};

/* What a tier may find; what it means is the table in endings.c. */
enum lane_event {
    FOUND_END,         /* the source has ended: FIN */
    FOUND_SOURCE_GONE, /* the source has broken: reset, time-out, a broken record */
    FOUND_TARGET_GONE, /* the destination takes no more */
    FOUND_FLUSHED,     /* nothing is unsent any more */
    FOUND_BOUNDARY,    /* a reclaim was asked for, and the lane stands where a frame may begin */
};
void relay_found(struct relay *relay, unsigned lane, enum lane_event event);
void relay_over(struct relay *relay, enum reason reason); /* at once: out of memory, deadlines */

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

    return l->backlog || stream_has_unsent(lane_to(relay, lane));
}

/* Tier copy, with which every relay begins: what was read before it, and what is dropped at its end. */
extern const struct relay_tier_ops relay_tier_copy;
void copy_begin(struct relay *relay, unsigned lane, struct bytes head, struct bytes early);
void copy_append(struct relay *relay, unsigned lane, struct bytes more);
void copy_forget(struct relay *relay, unsigned lane);

/* That end broke. The first to break names the reason; the other end shall see a reset, once it has had
 * everything that was sent to it. */
void relay_blame(struct relay *relay, unsigned end);
void relay_look_over(struct relay *relay); /* a lane has changed: is the relay over, or finishing? */
