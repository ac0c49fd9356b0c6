/* What both lanes of a pair are to carry, at random, and how far it has got: the reference for
 * every tier. Before it: STREAM_BYTES, FRAME_SIZES (a list), FRAME_MOST (the largest with its
 * header), BURST_BYTES. */
#pragma once

#include "base/random.h"
#include "pair.h"

/* What one direction is to carry, and how far it has got. */
struct plan {
    uint8_t bytes[STREAM_BYTES];
    size_t len, head, fed, arrived;
    bool is_frames;
};

static struct plan plans[2];
static struct random dice;

static size_t roll(size_t below)
{
    return (size_t)random_below(&dice, below);
}

static int fd_from(unsigned lane)
{
    return lane == 0 ? CLIENT : SERVER;
}

static int fd_to(unsigned lane)
{
    return lane == 0 ? SERVER : CLIENT;
}

/* One frame of a random size and kind; the number of its bytes. */
static size_t make_frame(uint8_t *at, bool is_masked)
{
    static const size_t sizes[] = {0, 1, 2, 30, 125, 126, 127, 300, 1500, FRAME_SIZES};
    size_t len = sizes[roll(ARRAY_LEN(sizes))], used = 2;
    bool is_ping = len <= 125 && roll(4) == 0;

    at[0] = is_ping ? 0x89 : 0x82;
    at[1] = (uint8_t)((is_masked ? 0x80 : 0) | (len < 126 ? len : len < 65536 ? 126 : 127));
    if (len >= 126)
        for (int shift = len < 65536 ? 8 : 56; shift >= 0; shift -= 8)
            at[used++] = (uint8_t)((uint64_t)len >> shift);
    for (size_t i = 0; i < len + (is_masked ? 4u : 0u); i++)
        at[used++] = (uint8_t)roll(256);
    return used;
}

static void make_plan(unsigned lane, bool is_frames)
{
    struct plan *plan = &plans[lane];
    size_t most = 200 + roll(STREAM_BYTES - FRAME_MOST);

    *plan = (struct plan){.is_frames = is_frames};
    if (lane == 1) {
        plan->head = roll(40);
        memset(plan->bytes, 'H', plan->head);
        plan->len = plan->head;
    }
    while (plan->len < most) {
        if (is_frames)
            plan->len += make_frame(plan->bytes + plan->len, lane == 0);
        else
            plan->bytes[plan->len++] = (uint8_t)roll(256);
    }
}

static void start_plans(struct relay_opts opts)
{
    struct bytes early[2];

    for (unsigned lane = 0; lane < 2; lane++) {
        struct plan *plan = &plans[lane];
        size_t len = roll(3) ? 0 : roll(100);
        early[lane] = (struct bytes){plan->bytes + plan->head, len};
        plan->fed = plan->head + len;
        fake_fd[fd_to(lane)].out_room = roll(100);
    }
    start_with(opts, (struct bytes){plans[1].bytes, plans[1].head}, early);
}

/* Takes out what has arrived and compares it. */
static void check_arrival(unsigned lane)
{
    struct plan *plan = &plans[lane];
    struct fake_fd *to = &fake_fd[fd_to(lane)];

    EXPECT(plan->arrived + to->out_len <= plan->fed);
    EXPECT(memcmp(to->out, plan->bytes + plan->arrived, to->out_len) == 0);
    plan->arrived += to->out_len;
    to->out_len = 0;
}

/* Where the unsent bytes lie: first in the pipe, then in the backlog. */
static void check_unsent(unsigned number)
{
    const uint8_t *bytes = plans[number].bytes;
    const struct lane *lane = &relay->lane[number];
    const struct lane_record *now = lane_now(lane);
    const struct relay_pipe *pipe = lane_pipe(relay, number);
    size_t piped = pipe ? pipe->bytes : 0;

    EXPECT(!pipe || (piped && pipe->stuck_bytes == piped)); /* an empty one has gone back */
    if (pipe) {
        const struct fake_pipe *content = &fake_pipe[(pipe->fd[0] - FAKE_PIPE) / 2];
        EXPECT(content->len == piped);
        EXPECT(memcmp(content->at, bytes + lane->written, piped) == 0);
    }
    EXPECT(now->settled - lane->written - piped <= lane->backlog_bytes);
    EXPECT((lane->backlog != NULL) == (now->settled != lane->written + piped));
    if (!lane->backlog)
        return;
    size_t at = lane->written + piped;
    EXPECT(memcmp(lane->backlog + (at - now->base), bytes + at, now->settled - at) == 0);
}

/* The keeper's invariants, from outside. */
static void check_lane(unsigned number)
{
    const struct plan *plan = &plans[number];
    const struct lane *lane = &relay->lane[number];
    const struct lane_record *now = lane_now(lane);
    size_t taken = plan->fed - fake_fd[fd_from(number)].in_len;
    struct ws_track track = {0};
    struct ws_seen seen;

    check_arrival(number);
    EXPECT(now->settled == taken && now->produced == plan->head);
    EXPECT(lane->written == plan->arrived);
    check_unsent(number);
    if (!plan->is_frames)
        return;
    ws_track_feed(&track, (struct bytes){plan->bytes + plan->head, taken - plan->head}, number == 0,
                  &seen);
    EXPECT(memcmp(&track, &now->frames, sizeof track) == 0);
}

static uint64_t stuck_bytes(unsigned lane)
{
    const struct relay_pipe *pipe = lane_pipe(relay, lane);

    return relay->lane[lane].backlog_bytes + (pipe ? pipe->stuck_bytes : 0);
}

static void check_all(void)
{
    check_lane(0);
    check_lane(1);
    EXPECT(shared.unsent_bytes == stuck_bytes(0) + stuck_bytes(1));
}

static void feed_some(unsigned lane)
{
    struct plan *plan = &plans[lane];
    size_t len = roll(roll(4) ? 60 : BURST_BYTES);

    if (len > plan->len - plan->fed)
        len = plan->len - plan->fed;
    if (!len)
        return;
    fake_feed(fd_from(lane), plan->bytes + plan->fed, len);
    plan->fed += len;
}

static void play_a_round(void)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        if (roll(2))
            feed_some(lane);
        if (roll(3) == 0)
            fake_room(fd_to(lane), roll(roll(4) ? 50 : BURST_BYTES));
    }
    if (roll(5) == 0)
        fake_now_usec += roll(SECOND);
    turn();
}

/* Everyone takes everything, until nothing moves any more. */
static void drain_all(void)
{
    size_t before;

    do {
        for (unsigned lane = 0; lane < 2; lane++) {
            check_arrival(lane);
            fake_fd[fd_to(lane)].out_room = 0;
            fake_room(fd_to(lane), FAKE_BYTES);
        }
        before = fake_fd[CLIENT].in_len + fake_fd[SERVER].in_len;
        turn();
    } while (fake_fd[CLIENT].in_len + fake_fd[SERVER].in_len != before);
}

static bool is_boundary(const struct plan *plan, unsigned lane, size_t at)
{
    struct ws_track track = {0};
    struct ws_seen seen;

    if (at < plan->head)
        return false;
    ws_track_feed(&track, (struct bytes){plan->bytes + plan->head, at - plan->head}, lane == 0,
                  &seen);
    return ws_track_at_boundary(&track);
}
