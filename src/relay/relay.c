/* What every tier shares: the beginning, one lazy timer for all limits, the reclaim, the figures.
 *
 * The timer is lazy: a byte only stores the time; the timer, when it fires, looks whether it fired
 * too early and sets itself again. Streams stay open until the owner has left: the relay only says
 * that it is over. */
#include "relay/relay_priv.h"

#include "base/check.h"
#include "sys/sys.h"

#define RELAY_MAGIC   0x72656c61u
#define SECOND_USEC   1000000u
#define DELIVERY_USEC 10000u /* how often is asked whether the kernel has delivered all */

static bool is_breaking(const struct relay *relay, unsigned lane)
{
    return relay->lane[lane].state == LANE_BREAKING;
}

/* What ends the relay if nothing more happens. */
struct limit {
    uint64_t due_usec;
    unsigned lane;
    enum lane_event event;
};

static bool waits_for_target(const struct relay *relay, unsigned lane)
{
    bool has_more = lane_from(relay, lane)->source.ready & READABLE;

    switch ((enum lane_state)relay->lane[lane].state) {
    case LANE_OPEN:
        return lane_has_unsent(relay, lane) ||
               (has_more && !(lane_to(relay, lane)->source.ready & WRITABLE));
    case LANE_STOPPED:
    case LANE_BREAKING:
        return true;
    case LANE_DONE:
        break;
    }
    return false;
}

/* Who holds up a relay that one end has finished: a destination that does not take what there is,
 * else the source of the lane that is still open. */
static void find_slow(const struct relay *relay, struct limit *limit)
{
    for (unsigned lane = 0; lane < 2; lane++)
        if (waits_for_target(relay, lane)) {
            limit->event = FOUND_TARGET_SLOW;
            limit->lane = lane;
            return;
        }
    limit->event = FOUND_SOURCE_SLOW;
    limit->lane = relay->lane[0].state == LANE_OPEN ? 0 : 1;
}

static uint64_t quiet_since(const struct relay *relay)
{
    uint64_t client = relay->lane[0].active_usec, server = relay->lane[1].active_usec;
    uint64_t since = client > server ? client : server;

    return relay->moved_usec > since ? relay->moved_usec : since;
}

static struct limit next_limit(const struct relay *relay)
{
    uint64_t patience = relay->is_finishing ? relay->fin_usec : relay->idle_usec;
    struct limit limit = {.due_usec = FOREVER, .event = FOUND_SILENCE};

    if (patience != FOREVER)
        limit.due_usec = quiet_since(relay) + patience;
    if (relay->ends_usec < limit.due_usec) {
        limit.due_usec = relay->ends_usec;
        limit.event = relay->is_reclaimed ? FOUND_LATE : FOUND_OLD;
    } else if (relay->is_finishing) {
        find_slow(relay, &limit);
    }
    return limit;
}

void relay_arm(struct relay *relay)
{
    uint64_t due = next_limit(relay).due_usec, soon = now_of(relay->owner) + DELIVERY_USEC;

    if (relay->is_guarded && guard_due_usec(relay) < due)
        due = guard_due_usec(relay);
    if ((is_breaking(relay, 0) || is_breaking(relay, 1)) && soon < due)
        due = soon;
    if (due != FOREVER)
        loop_arm(loop_of(relay->owner), &relay->timer, due);
}

/* What broke an end; 0: nothing did. One that has ended and was sent the FIN is as dead for epoll
 * (a Unix socket even without), but no error waits there. Reading and writing take it, and know
 * then themselves. */
static int death_of(const struct relay *relay, unsigned end)
{
    const struct source *source = &relay->end[end]->source;

    return source->ready & GONE ? sys_error_take(source->fd) : 0;
}

/* Its lifetime is over: it ends as one that is reclaimed does, at a frame boundary. */
static void retire(struct relay *relay)
{
    if (relay->reason == REASON_DONE)
        relay->reason = REASON_LIFETIME;
    relay->ends_usec = FOREVER;
    relay_reclaim(relay, RELAY_PATIENCE_USEC);
}

static void on_due(struct timer *timer)
{
    struct relay *relay = container_of(timer, struct relay, timer);

    CHECK_OBJ(relay, RELAY_MAGIC);
    relay_settle(relay, 0);
    relay_settle(relay, 1);
    if (relay->is_guarded && !relay->is_over)
        guard_look(relay);
    if (relay->is_over)
        return;
    if (next_limit(relay).due_usec > now_of(relay->owner)) {
        relay_arm(relay);
        return;
    }
    for (unsigned end = 0; end < 2; end++) { /* what it said before is stuck */
        int error = death_of(relay, end);
        if (error)
            relay_found(relay, end, source_broken_by(error));
    }
    struct limit limit = next_limit(relay); /* what is dead is not slow */
    if (limit.event == FOUND_OLD)
        retire(relay);
    else
        relay_found(relay, limit.lane, limit.event);
}

static void move(struct relay *relay, unsigned lane)
{
    if (!relay->is_over && relay->lane[lane].state != LANE_DONE)
        tier_of(relay, lane)->move(relay, lane);
}

/* An end that has finished or died, but whose last bytes wait for a slow reader at the other end:
 * `fin` bounds that as well. */
static void note_end(struct relay *relay, unsigned end)
{
    if (relay->is_over)
        return;
    int error = relay->lane[end].state == LANE_DONE ? death_of(relay, end) : 0;
    if (error)
        relay_found(relay, !end, target_broken_by(error)); /* no read will tell */
    relay_settle(relay, !end);
    if (relay->is_finishing || relay->is_reclaimed || relay->is_over)
        return;
    relay->is_finishing = true;
    relay->moved_usec = now_of(relay->owner);
    relay_arm(relay);
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
    if (ready & (ENDED | GONE))
        note_end(relay, end);
}

static void run_again(struct task *task)
{
    struct relay *relay = container_of(task, struct relay, again);

    CHECK_OBJ(relay, RELAY_MAGIC);
    move(relay, 0);
    move(relay, 1);
}

static void take_over(struct relay *relay, unsigned end)
{
    struct source *source = &relay->end[end]->source;

    source->owner = relay;
    source->on_ready = on_ready;
}

/* What was read before the relay began. */
static void begin(struct relay *relay, unsigned lane, const struct relay_end *from)
{
    if (relay->is_over || relay->lane[lane].state != LANE_OPEN)
        return;
    if (relay->is_guarded)
        guard_begin(relay, lane, from->head, from->early);
    else
        copy_begin(relay, lane, from->head, from->early);
}

void relay_start(struct relay *relay, struct flow *owner, struct relay_worker *shared,
                 struct relay_end client, struct relay_end server, const struct relay_opts *opts)
{
    uint64_t now = now_of(owner);

    *relay = (struct relay){
        .magic = RELAY_MAGIC,
        .is_websocket = opts->is_websocket,
        .read_bytes = WORKER_SCRATCH_BYTES,
        .end = {client.stream, server.stream},
        .lane = {{.active_usec = now}, {.active_usec = now}},
        .tier = {(uint8_t)(relay_tier_count() - 1), (uint8_t)(relay_tier_count() - 1)},
        .tier_since = {(uint32_t)(now / SECOND_USEC), (uint32_t)(now / SECOND_USEC)},
        .tiers_left_out = opts->tiers_left_out & 15u,
        .shared = shared,
        .owner = owner,
        .idle_usec = opts->idle_usec,
        .fin_usec = opts->fin_usec,
        .ends_usec = opts->lifetime_usec == FOREVER ? FOREVER : now + opts->lifetime_usec,
    };
    if (opts->unsent_bytes && opts->unsent_bytes < WORKER_SCRATCH_BYTES)
        relay->read_bytes = opts->unsent_bytes;
    task_init(&relay->again, run_again);
    timer_init(&relay->timer, on_due);
    bool is_able = !opts->guard || !opts->is_websocket || guard_start(relay, opts->guard);
    relay_arm(relay);
    take_over(relay, 0);
    take_over(relay, 1);
    if (!is_able)
        relay_found(relay, 0, FOUND_NO_MEMORY);
    begin(relay, 1, &server); /* the 101 first: what follows it may end the relay */
    begin(relay, 0, &client);
    for (unsigned end = 0; end < 2; end++) { /* what came while no one listened */
        move(relay, end);
        if (relay->end[end]->source.ready & (ENDED | GONE))
            note_end(relay, end);
    }
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
        tier_of(relay, i)->drop(relay, i);
        if (relay->end[i]->source.owner == relay)
            relay->end[i]->source.on_ready = NULL;
    }
    guard_stop(relay);
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
    uint64_t now = now_of(relay->owner);
    if (within_usec < FOREVER - now && now + within_usec < relay->ends_usec)
        relay->ends_usec = now + within_usec;
    for (unsigned lane = 0; lane < 2; lane++)
        if (may_stop_at_once(relay, lane))
            relay_found(relay, lane, FOUND_BOUNDARY);
    if (!relay->is_over)
        relay_arm(relay);
}

bool relay_lane_is_aligned(const struct relay *relay, unsigned lane)
{
    return relay->is_websocket && !(relay->deaf_ends & 1u << !lane) &&
           !lane_has_unsent(relay, lane) &&
           ws_track_at_boundary(&lane_now(&relay->lane[lane])->frames);
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

const char *relay_lane_tier(const struct relay *relay, unsigned lane)
{
    return tier_of(relay, lane)->name;
}

static uint64_t since_of(const struct relay *relay, unsigned lane)
{
    return relay->is_guarded ? guard_since_sec(relay) : relay->tier_since[lane];
}

uint64_t relay_lane_tier_usec(const struct relay *relay, unsigned lane)
{
    uint64_t now = now_of(relay->owner), since = since_of(relay, lane) * SECOND_USEC;

    return now > since ? now - since : 0;
}
