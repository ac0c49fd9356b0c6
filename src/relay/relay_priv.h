/* Between the relay and its tiers. */
#pragma once

#include "relay/relay.h"

/* A tier: how the bytes of a lane get from one end to the other. One file, one name in meson.build.
 * Of the relay it may call only relay_found, relay_settle and relay_note_batch, and it does not
 * read for a lane that has bytes unsent. */
struct relay_tier_ops {
    const char *name;
    /* Whether it works at all on this kernel: NULL, or why not. Itself NULL: always. */
    const char *(*probe)(void);
    /* Whether it could serve this lane: NULL, or why not. The last of the list never refuses. */
    const char *(*refuses)(const struct relay *relay, unsigned lane);
    /* Whether it has at this moment what it needs to begin. Itself NULL: always. */
    bool (*is_ready)(struct relay *relay, unsigned lane);
    /* Moves what there is; posts `again` when that is much. */
    void (*move)(struct relay *relay, unsigned lane);
    /* Forgets what is unsent, and gives its memory back. */
    void (*drop)(struct relay *relay, unsigned lane);
};

/* The list of meson.build, best first (tiers.c); NULL past the last. */
const struct relay_tier_ops *relay_tier_at(unsigned tier);

static inline const struct relay_tier_ops *tier_of(const struct relay *relay, unsigned lane)
{
    return relay_tier_at(relay->tier[lane]);
}

/* The one that chooses (choose.c). A tier tells it of each batch: how large the pieces were that
 * could go by unseen. A lane with nothing unsent may be given another tier. */
#define LARGE_BYTES   16384u
#define READS_AT_ONCE 4
void relay_note_batch(struct relay *relay, unsigned lane, uint64_t piece_bytes);
/* The tier cannot go on for now: the next one takes the lane over, with nothing unsent. */
void relay_step_back(struct relay *relay, unsigned lane, const char *why);

/* The worker's pipes (pipes.c). A taken one is empty. False: none could be had. Only an empty one
 * goes back to the others; lane_pipe_drop closes what is not. */
bool lane_pipe_take(struct relay *relay, unsigned lane);
void lane_pipe_drop(struct relay *relay, unsigned lane);  /* harmless without one */
void lane_pipe_count(struct relay *relay, unsigned lane); /* what is in it stays for now */
bool pipes_are_short(const struct relay_worker *shared);  /* no other can be had */

/* What `copy` can, and tiers that stand on it (copy.c). */
void copy_note_journal(struct relay *relay, unsigned lane);
void copy_begin(struct relay *relay, unsigned lane, struct bytes head, struct bytes early);
/* What lies in no scratch as it goes out: to the backlog, then committed, then written. True: all
 * of it has gone out. */
struct pieces {
    const struct bytes *at;
    size_t count;
    size_t unseen; /* so many of their bytes, the first ones, are no frames */
    size_t taken;  /* so many bytes came from the source for them */
};
bool copy_gather(struct relay *relay, unsigned lane, const struct pieces *pieces);
void copy_drop(struct relay *relay, unsigned lane);
bool copy_may_read(const struct relay *relay, unsigned lane);
size_t copy_most_to_read(const struct relay *relay);
bool copy_flush(struct relay *relay, unsigned lane); /* the backlog; true: nothing is left */
bool copy_once(struct relay *relay, unsigned lane);  /* one read; true: there may be more at once */
/* Passes on a batch that lies in the scratch; behind the bytes in a pipe, if there are any. `kept`
 * bytes more were read and are not passed on. True: all of it has gone out. */
bool copy_serve(struct relay *relay, unsigned lane, struct bytes batch, size_t kept);
void copy_scan(struct relay *relay, unsigned lane, struct bytes bytes, struct ws_seen *ret_seen);
/* The next record, `len` further; its frames are set. */
void copy_commit(struct relay *relay, unsigned lane, size_t len, uint64_t base);
void copy_note_frames(struct relay *relay, unsigned lane, const struct ws_seen *seen);
void copy_clamp(struct relay *relay, unsigned lane, size_t got);        /* before it is settled */
bool copy_take_backlog(struct relay *relay, unsigned lane, size_t len); /* false: no memory */

/* The frame guard (guard.c), where relay->is_guarded. */
bool guard_start(struct relay *relay, const struct guard_opts *opts); /* false: no memory */
void guard_stop(struct relay *relay);                                 /* harmless without one */
void guard_begin(struct relay *relay, unsigned lane, struct bytes head, struct bytes early);
bool guard_serve(struct relay *relay, unsigned lane, struct bytes batch); /* as copy_serve */
void guard_flushed(struct relay *relay, unsigned lane); /* nothing of the lane is unsent any more */
uint64_t guard_due_usec(const struct relay *relay);     /* when it wants to look; FOREVER: never */
uint64_t guard_since_sec(const struct relay *relay);    /* when it began, as in tier_since */
void guard_look(struct relay *relay);                   /* at the time */

/* What a lane finds. What it means is the table in endings.c. */
enum lane_event {
    FOUND_END,         /* the source has ended: FIN */
    FOUND_SOURCE_GONE, /* the source has broken: reset, a broken record */
    FOUND_SOURCE_LOST, /* the network towards it has: it acknowledged nothing any more */
    FOUND_TARGET_GONE, /* the destination takes no more */
    FOUND_TARGET_LOST, /* likewise the network towards it */
    FOUND_BOUNDARY,    /* a reclaim was asked for, and the lane stands where a frame may begin */
    FOUND_FAULT,       /* its guard passes nothing more on, and has said why */
    FOUND_DELIVERED,   /* what a lane that reads no more still owed has gone out */
    FOUND_SOURCE_SLOW, /* `fin` has passed: the source neither sent nor ended */
    FOUND_TARGET_SLOW, /* `fin` has passed: the destination did not take what is unsent */
    FOUND_SILENCE,     /* idle_usec has passed */
    FOUND_OLD,         /* lifetime_usec has passed: the relay reclaims itself instead */
    FOUND_LATE,        /* a reclaim's patience has passed */
    FOUND_NO_MEMORY,   /* for what the destination did not take */
};
void relay_found(struct relay *relay, unsigned lane, enum lane_event event);
/* What a negative errno of its source, or of its destination, means for a lane. */
enum lane_event source_broken_by(ssize_t error);
enum lane_event target_broken_by(ssize_t error);

/* After something has gone out: a lane that only waits for that is done. */
void relay_settle(struct relay *relay, unsigned lane);

void relay_arm(struct relay *relay); /* the timer, for what ends the relay next */

static inline const struct lane_record *lane_now(const struct lane *lane)
{
    return &lane->record[lane->selected];
}
static inline struct lane_record *lane_next(struct lane *lane)
{
    return &lane->record[!lane->selected];
}
static inline struct relay_pipe *lane_pipe(const struct relay *relay, unsigned lane)
{
    return relay->pipe[lane] ? &relay->shared->pipes[relay->pipe[lane] - 1] : NULL;
}
static inline bool lane_has_piped(const struct relay *relay, unsigned lane)
{
    return relay->pipe[lane] && lane_pipe(relay, lane)->bytes;
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
