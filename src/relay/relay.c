/* What every tier shares: the beginning, one lazy timer for all limits, the reclaim, the figures.
 *
 * The timer is lazy: a byte only stores the time; the timer, when it fires, looks whether it fired too early
 * and sets itself again. Streams stay open until the owner has left: the relay only says that it is over. */
#include "relay/relay_priv.h"

#include "base/check.h"

#define RELAY_MAGIC 0x72656c61u

static const struct relay_tier_ops *const tiers[TIER_COUNT] = {[TIER_COPY] = &relay_tier_copy};

const char *relay_tier_name(unsigned tier)
{
    CHECK(tier < TIER_COUNT);
    return tiers[tier]->name;
}

void relay_over(struct relay *relay, enum reason reason)
{
    if (relay->is_over)
        return;
    relay->is_over = true;
    if (!relay->has_reason)
        relay->reason = (uint8_t)reason;
    flow_wake(relay->owner);
}

static uint64_t last_active(const struct relay *relay)
{
    uint64_t client = relay->lane[0].active_usec, server = relay->lane[1].active_usec;

    return client > server ? client : server;
}

static bool lane_is_finished(const struct lane *lane)
{
    return lane->state != LANE_OPEN && lane->state != LANE_STOPPED;
}

/* When the relay ends if nothing more happens, and why. */
static uint64_t next_end(const struct relay *relay, enum reason *ret_reason)
{
    uint64_t quiet_since = last_active(relay), limit = relay->idle_usec;

    *ret_reason = REASON_TUNNEL_IDLE;
    if (relay->finishing_usec) {
        limit = relay->fin_usec;
        if (relay->finishing_usec > quiet_since)
            quiet_since = relay->finishing_usec;
        *ret_reason = lane_is_finished(&relay->lane[0]) ? REASON_SERVER_FIN_TOO_SLOW : REASON_FIN_TOO_SLOW;
    }
    uint64_t quiet_ends = limit == FOREVER ? FOREVER : quiet_since + limit;
    if (relay->ends_usec > quiet_ends)
        return quiet_ends;
    *ret_reason = relay->is_reclaimed ? REASON_RECLAIMED : REASON_LIFETIME;
    return relay->ends_usec;
}

static void arm(struct relay *relay)
{
    enum reason reason;
    uint64_t ends = next_end(relay, &reason);

    if (ends != FOREVER)
        loop_arm(loop_of(relay->owner), &relay->timer, ends);
}

static void on_due(struct timer *timer)
{
    struct relay *relay = container_of(timer, struct relay, timer);
    enum reason reason;

    CHECK_OBJ(relay, RELAY_MAGIC);
    if (next_end(relay, &reason) > now_of(relay->owner)) {
        arm(relay);
        return;
    }
    for (unsigned end = 0; end < 2; end++)
        if (relay->finishing_usec && relay->end[end]->source.ready & GONE && !relay->reset_ends)
            relay_blame(relay, end);
    relay_over(relay, reason);
}

void relay_look_over(struct relay *relay)
{
    bool is_first = lane_is_finished(&relay->lane[0]), is_second = lane_is_finished(&relay->lane[1]);

    if (relay->lane[0].state == LANE_DONE && relay->lane[1].state == LANE_DONE) {
        relay_over(relay, relay->is_reclaimed ? REASON_RECLAIMED : REASON_DONE);
    } else if ((is_first || is_second) && !relay->finishing_usec && !relay->is_reclaimed) {
        relay->finishing_usec = now_of(relay->owner);
        arm(relay);
    }
}

static void move(struct relay *relay, unsigned lane)
{
    if (!relay->is_over)
        tiers[relay->tier]->move(relay, lane);
}

static void on_ready(struct source *source, unsigned ready)
{
    struct relay *relay = source->owner;

    CHECK_OBJ(relay, RELAY_MAGIC);
    unsigned end = source == &relay->end[0]->source ? 0 : 1;
    if (ready & READABLE)
        move(relay, end);
    if (ready & WRITABLE)
        move(relay, !end);
    if (ready & GONE && !relay->is_over && !relay->finishing_usec) {
        /* its last bytes may wait for a slow reader at the other end: `fin` bounds that */
        relay->finishing_usec = now_of(relay->owner);
        arm(relay);
    }
}

static void run_again(struct task *task)
{
    struct relay *relay = container_of(task, struct relay, again);

    CHECK_OBJ(relay, RELAY_MAGIC);
    move(relay, 0);
    move(relay, 1);
}

static void take_over(struct relay *relay, struct stream *stream)
{
    stream->source.owner = relay;
    stream->source.on_ready = on_ready;
}

void relay_start(struct relay *relay, struct flow *owner, struct relay_worker *shared,
                 struct relay_end client, struct relay_end server, const struct relay_opts *opts)
{
    uint64_t now = now_of(owner);

    *relay = (struct relay){
        .magic = RELAY_MAGIC,
        .tier = TIER_COPY,
        .is_websocket = opts->is_websocket,
        .unsent_bytes = opts->unsent_bytes,
        .end = {client.stream, server.stream},
        .lane = {{.active_usec = now}, {.active_usec = now}},
        .shared = shared,
        .owner = owner,
        .idle_usec = opts->idle_usec,
        .fin_usec = opts->fin_usec,
        .ends_usec = opts->lifetime_usec == FOREVER ? FOREVER : now + opts->lifetime_usec,
    };
    task_init(&relay->again, run_again);
    timer_init(&relay->timer, on_due);
    arm(relay);
    take_over(relay, client.stream);
    take_over(relay, server.stream);
    copy_begin(relay, 0, client.head, client.early);
    copy_begin(relay, 1, server.head, server.early);
    move(relay, 0); /* what came while no one listened */
    move(relay, 1);
}

bool relay_is_started(const struct relay *relay)
{
    return relay->magic != 0;
}

bool relay_is_over(const struct relay *relay)
{
    return relay->is_over;
}

void relay_stop(struct relay *relay)
{
    if (!relay_is_started(relay))
        return;
    timer_cancel(&relay->timer);
    task_cancel(&relay->again);
    for (unsigned i = 0; i < 2; i++) {
        copy_forget(relay, i);
        if (relay->end[i]->source.owner == relay)
            relay->end[i]->source.on_ready = NULL;
    }
}

bool relay_end_is_reset(const struct relay *relay, unsigned end)
{
    return relay->reset_ends >> end & 1;
}

/* An unaligned direction, and one that is no WebSocket, has no boundary to wait for. */
static bool may_stop_at_once(const struct relay *relay, unsigned lane)
{
    const struct ws_track *frames = &lane_now(&relay->lane[lane])->frames;

    return !relay->is_websocket || !ws_track_is_aligned(frames) || ws_track_at_boundary(frames);
}

void relay_reclaim(struct relay *relay, uint64_t within_usec)
{
    if (relay->is_over || relay->is_reclaimed)
        return;
    relay->is_reclaimed = true;
    uint64_t ends = now_of(relay->owner) + within_usec;
    if (ends < relay->ends_usec)
        relay->ends_usec = ends;
    for (unsigned i = 0; i < 2; i++)
        if (may_stop_at_once(relay, i))
            relay_found(relay, i, FOUND_BOUNDARY);
    if (!relay->is_over)
        arm(relay);
}

bool relay_lane_is_aligned(const struct relay *relay, unsigned lane)
{
    const struct lane *l = &relay->lane[lane];

    return relay->is_websocket && (l->state == LANE_OPEN || l->state == LANE_STOPPED || l->state == LANE_DONE) &&
           !lane_has_unsent(relay, lane) && ws_track_at_boundary(&lane_now(l)->frames);
}

uint64_t relay_moved_bytes(const struct relay *relay, unsigned lane)
{
    const struct lane_record *now = lane_now(&relay->lane[lane]);

    return now->settled - now->produced;
}

uint64_t relay_unsent_bytes(const struct relay *relay, unsigned lane)
{
    return lane_now(&relay->lane[lane])->settled - relay->lane[lane].written;
}
