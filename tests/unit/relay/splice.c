/* The tier against the same reference as `copy`, and what only it can get wrong: pipes that are
 * full, short or missing, splices that say nothing. */
#include "relay/splice.c"

#define STREAM_BYTES 200000
#define FRAME_SIZES  4095, 16384, 20000, 40000, 70000
#define FRAME_MOST   71000
#define BURST_BYTES  60000
#include "plans.h"

static uint8_t much[FAKE_BYTES];

static void use_splice(void)
{
    relay->tier[0] = relay->tier[1] = 0;
}

static struct relay_opts wide(bool is_websocket)
{
    struct relay_opts opts = usual();

    opts.is_websocket = is_websocket;
    opts.unsent_bytes = 262144;
    return opts;
}

static void setup_splice(bool is_websocket)
{
    setup(wide(is_websocket));
    use_splice();
}

/* A frame from the server. The number of its bytes. */
static size_t long_frame(size_t len)
{
    memset(much, 'p', sizeof much);
    much[0] = 0x82;
    much[1] = 127;
    for (int i = 0; i < 8; i++)
        much[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    return len + 10;
}

TEST(all_that_is_raw_goes_by_unseen)
{
    setup_splice(false);
    memset(pair_worker.scratch, 's', WORKER_SCRATCH_BYTES);
    fake_feed(CLIENT, much, 100000);
    turn();
    EXPECT(fake_fd[SERVER].out_len == 100000 && is_idle_without_buffers());
    EXPECT(pair_worker.scratch[0] == 's'); /* not through it */
    EXPECT(relay_moved_bytes(relay, 0) == 100000 && shared.moved_bytes[0] == 100000);
    EXPECT(fake_pipes_open() == 1);
    end();
}

TEST(of_a_frame_only_the_head_is_seen)
{
    size_t len = long_frame(100000);

    setup_splice(true);
    memset(pair_worker.scratch, 's', WORKER_SCRATCH_BYTES);
    fake_feed(SERVER, much, len);
    turn();
    EXPECT(fake_fd[CLIENT].out_len == len && memcmp(fake_fd[CLIENT].out, much, len) == 0);
    EXPECT(pair_worker.scratch[HEAD_BYTES - 1] == 'p' && pair_worker.scratch[HEAD_BYTES] == 's');
    EXPECT(relay_lane_is_aligned(relay, 1) && is_idle_without_buffers());
    end();
}

TEST(small_frames_take_no_way_round)
{
    setup_splice(true);
    fake_input(SERVER, "\x81\x01x\x81\x01y");
    turn();
    EXPECT(heard(CLIENT, "\x81\x01x\x81\x01y") && fake_pipe[0].pieces == 0);
    end();
}

TEST(a_slow_reader_holds_the_pipe_and_stops_its_writer)
{
    setup_splice(false);
    fake_fd[CLIENT].out_room = 1000;
    fake_feed(SERVER, much, 200000);
    turn();
    EXPECT(relay_unsent_bytes(relay, 1) == 199000 && shared.unsent_bytes == 199000);
    EXPECT(shared.pipes_taken == 1 && !to_client->backlog);
    fake_feed(SERVER, much, 1000);
    fake_input(CLIENT, "hello"); /* the other lane has a pipe of its own, and needs it no longer */
    turn();
    EXPECT(heard(SERVER, "hello") && fake_fd[SERVER].in_len == 1000 && fake_pipes_open() == 2);
    fake_fd[CLIENT].out_len = 0;
    fake_room(CLIENT, 100000);
    turn();
    EXPECT(shared.unsent_bytes == 99000 && relay_unsent_bytes(relay, 1) == 99000);
    fake_fd[CLIENT].out_len = 0;
    fake_room(CLIENT, 200000);
    turn();
    EXPECT(fake_fd[CLIENT].out_len == 100000 && is_idle_without_buffers());
    EXPECT(fake_pipe[0].len == 0 && fake_pipe[1].len == 0);
    end();
}

TEST(a_pipe_that_is_not_empty_is_closed_not_given_back)
{
    setup_splice(false);
    fake_fd[CLIENT].out_room = 1000;
    fake_feed(SERVER, much, 5000);
    turn();
    EXPECT(shared.pipes_taken == 1 && fake_pipes_open() == 1);
    fake_break(CLIENT);
    turn();
    EXPECT(over_for(REASON_CLIENT_RESET) && shared.pipes_taken == 0 && !fake_pipe[0].is_open[0]);
    EXPECT(shared.unsent_bytes == 0);
    end();
}

TEST(a_full_pipe_lets_what_was_read_follow_it)
{
    size_t len = long_frame(70000);

    for (unsigned pieces = 1; pieces <= 4; pieces++)
        for (size_t room = 0; room <= 80000; room += 8000) {
            setup_splice(true);
            fake_calls.pipe_pieces = pieces;
            fake_calls.splice_most = 10000;
            fake_fd[CLIENT].out_room = room;
            fake_feed(SERVER, much, len);
            turn();
            EXPECT(relay_unsent_bytes(relay, 1) + fake_fd[CLIENT].out_len +
                       fake_fd[SERVER].in_len ==
                   len);
            for (int i = 0; i < 20; i++) {
                fake_room(CLIENT, 10000);
                turn();
            }
            EXPECT(fake_fd[CLIENT].out_len == len && memcmp(fake_fd[CLIENT].out, much, len) == 0);
            EXPECT(is_idle_without_buffers() && relay_lane_is_aligned(relay, 1));
            end();
        }
}

/* An urgent byte in the way makes splice say EAGAIN; so does nothing else that we may believe. */
TEST(a_splice_that_moves_nothing_is_not_believed)
{
    setup_splice(false);
    fake_calls.splice_error = -EAGAIN;
    fake_input(CLIENT, "urgent");
    turn();
    fake_calls.splice_error = 0;
    EXPECT(fake_fd[SERVER].out_len == 0 &&
           relay_unsent_bytes(relay, 0) == 6); /* it cannot go out either */
    fake_room(SERVER, 100);
    turn();
    EXPECT(heard(SERVER, "urgent") && is_idle_without_buffers());
    end();
}

TEST(an_end_behind_bytes_in_a_pipe_is_found_when_they_have_gone)
{
    setup_splice(false);
    fake_fd[CLIENT].out_room = 1000;
    fake_feed(SERVER, much, 50000);
    fake_end(SERVER);
    turn();
    EXPECT(to_client->state == LANE_OPEN && !fake_fd[CLIENT].is_ended);
    fake_room(CLIENT, 100000);
    turn();
    EXPECT(fake_fd[CLIENT].out_len == 50000 && fake_fd[CLIENT].is_ended);
    EXPECT(to_client->state == LANE_DONE && !relay_is_over(relay));
    fake_end(CLIENT);
    turn();
    EXPECT(over_for(REASON_DONE));
    end();
}

TEST(a_reset_behind_bytes_in_a_pipe_waits_for_them)
{
    setup_splice(false);
    fake_fd[CLIENT].out_room = 1000;
    fake_feed(SERVER, much, 50000);
    fake_break(SERVER);
    turn();
    EXPECT(to_client->state == LANE_BREAKING && !relay_is_over(relay));
    fake_room(CLIENT, 100000);
    turn();
    EXPECT(fake_fd[CLIENT].out_len == 50000);
    EXPECT(over_for(REASON_SERVER_RESET) && relay_end_is_reset(relay, 0));
    end();
}

TEST(without_a_pipe_copy_takes_over)
{
    setup_splice(false);
    fake_calls.pipe_error = -EMFILE;
    fake_feed(CLIENT, much, 50000);
    turn();
    EXPECT(fake_fd[SERVER].out_len == 50000 && relay->tier[0] == 1 && relay->tier[1] == 0);
    EXPECT(strcmp(relay_lane_why(relay, 0), "no pipe could be had") == 0);
    end();
}

TEST(where_the_kernel_refuses_copy_takes_over)
{
    setup_splice(false);
    fake_calls.splice_error = -EINVAL;
    fake_feed(CLIENT, much, 50000);
    turn();
    EXPECT(fake_fd[SERVER].out_len == 50000 && relay->tier[0] == 1 && is_idle_without_buffers());
    end();
}

TEST(when_every_pipe_is_held_up_the_last_one_is_not)
{
    setup_splice(false);
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (uint8_t)(i * 31 >> 4);
    for (unsigned i = 1; i < RELAY_PIPES_MAX; i++) /* by others */
        shared.pipes[i] = (struct relay_pipe){.is_open = true, .is_taken = true};
    shared.pipes_taken = shared.pipes_open = RELAY_PIPES_MAX - 1;
    fake_fd[CLIENT].out_room = 1000;
    fake_feed(SERVER, much, 50000);
    turn();
    EXPECT(to_client->backlog && to_client->backlog_bytes == 49000 && !relay->pipe[1]);
    EXPECT(memcmp(to_client->backlog, much + 1000, 49000) == 0 &&
           lane_now(to_client)->base == 1000);
    EXPECT(shared.pipes_taken == RELAY_PIPES_MAX - 1 && fake_pipe[0].is_open[0]);
    fake_feed(CLIENT, much, 50000); /* the healthy lane */
    turn();
    EXPECT(fake_fd[SERVER].out_len == 50000 && relay->tier[0] == 0);
    fake_room(CLIENT, 100000);
    turn();
    EXPECT(fake_fd[CLIENT].out_len == 50000 && is_idle_without_buffers());
    for (unsigned i = 1; i < RELAY_PIPES_MAX; i++)
        shared.pipes[i] = (struct relay_pipe){0};
    shared.pipes_taken = 0;
    shared.pipes_open = 1;
    end();
}

TEST(a_reclaimed_lane_stops_behind_its_frame)
{
    size_t len = long_frame(100000);

    setup_splice(true);
    fake_feed(SERVER, much, 50000);
    turn();
    relay_reclaim(relay, SECOND);
    memcpy(much + len, "\x81\x01z", 3);
    fake_feed(SERVER, much + 50000, len + 3 - 50000);
    turn();
    EXPECT(over_for(REASON_RECLAIMED) && fake_fd[CLIENT].out_len == len);
    EXPECT(relay_lane_is_aligned(relay, 1));
    end();
}

TEST(near_the_workers_limit_only_a_trickle_is_read)
{
    setup_splice(false);
    shared.unsent_limit_bytes = 100000;
    shared.unsent_bytes = 99999; /* of others */
    fake_fd[CLIENT].out_room = 0;
    fake_feed(SERVER, much, 50000);
    turn();
    EXPECT(relay_unsent_bytes(relay, 1) == 4096 && !relay->pipe[1]);
    shared.unsent_bytes -= 99999;
    end();
}

TEST(tls_and_small_limits_are_refused)
{
    struct relay_opts opts = wide(true);

    setup(opts);
    EXPECT(!refuses(relay, 0));
    pair->client.tls = (struct tls_session *)much;
    EXPECT(refuses(relay, 0) && refuses(relay, 1));
    pair->client.tls = NULL;
    relay->read_bytes = 4 * LARGE_BYTES - 1;
    EXPECT(refuses(relay, 0) && refuses(relay, 1));
    end();
}

TEST(a_probe_finds_what_the_kernel_lacks)
{
    fake_reset();
    EXPECT(!probe());
    fake_calls.splice_error = -ENOSYS;
    EXPECT(probe());
    fake_calls.pipe_error = -EMFILE;
    EXPECT(probe() && fake_pipes_open() == 0);
}

/* --- the reference -----------------------------------------------------------------------------
 */

static void start_any(bool is_websocket)
{
    struct relay_opts opts = wide(is_websocket);

    make_plan(0, is_websocket);
    make_plan(1, is_websocket);
    opts.unsent_bytes = 16384 + (uint32_t)roll(250000);
    shared.unsent_limit_bytes = roll(2) ? 0 : 1 + roll(400000);
    fake_calls.splice_most = roll(2) ? 0 : 1 + roll(30000);
    fake_calls.pipe_pieces = roll(2) ? 0 : 1 + (unsigned)roll(6);
    start_plans(opts);
    use_splice();
}

/* Forced into the tier again and again; a lane that has something unsent is left where it is. */
static void use_splice_where_it_may(void)
{
    fake_calls.pipe_error = roll(20) ? 0 : -EMFILE;
    for (unsigned lane = 0; lane < 2; lane++)
        if (!lane_has_unsent(relay, lane))
            relay->tier[lane] = 0;
}

TEST(every_byte_once_and_in_order_whatever_the_schedule)
{
    begin_without_relay();
    for (uint64_t seed = 1; seed <= 400; seed++) {
        random_init(&dice, seed);
        start_any(roll(2));
        for (int round = 0; round < 60; round++) {
            play_a_round();
            check_all();
            use_splice_where_it_may();
        }
        EXPECT(!relay_is_over(relay));
        fake_end(CLIENT);
        fake_end(SERVER);
        drain_all();
        turn();
        check_arrival(0);
        check_arrival(1);
        EXPECT(plans[0].arrived == plans[0].fed && plans[1].arrived == plans[1].fed);
        EXPECT(over_for(REASON_DONE) && is_idle_without_buffers());
        EXPECT(shared.unaligned == 0);
        pair_close();
        pair_open();
    }
    end();
}

TEST(last_words_are_delivered_whatever_the_schedule)
{
    begin_without_relay();
    for (uint64_t seed = 1; seed <= 400; seed++) {
        random_init(&dice, seed);
        start_any(true);
        for (size_t round = roll(30); round > 0; round--) {
            play_a_round();
            check_all();
            use_splice_where_it_may();
        }
        unsigned broken = (unsigned)roll(2);
        fake_break(fd_from(broken));
        for (size_t round = roll(30); round > 0; round--) {
            if (roll(2))
                feed_some(!broken);
            if (roll(2))
                fake_room(fd_to(broken), roll(1000));
            turn();
            check_arrival(broken);
        }
        drain_all();
        turn();
        check_arrival(broken);
        EXPECT(plans[broken].arrived == plans[broken].fed);
        EXPECT(over_for(broken == 0 ? REASON_CLIENT_RESET : REASON_SERVER_RESET));
        EXPECT(relay_end_is_reset(relay, !broken) && !fake_fd[fd_to(broken)].is_ended);
        EXPECT(is_idle_without_buffers());
        pair_close();
        pair_open();
    }
    end();
}

TEST(reclaimed_at_any_moment_both_lanes_stop_at_a_frame)
{
    begin_without_relay();
    for (uint64_t seed = 1; seed <= 400; seed++) {
        random_init(&dice, seed);
        start_any(true);
        for (size_t round = roll(40); round > 0; round--) {
            play_a_round();
            check_all();
            use_splice_where_it_may();
        }
        relay_reclaim(relay, 10000 * (uint64_t)SECOND);
        for (int round = 0; round < 100 && !relay_is_over(relay); round++) {
            play_a_round();
            check_arrival(0);
            check_arrival(1);
        }
        for (int i = 0; i < 100 && !relay_is_over(relay); i++) {
            feed_some(0);
            feed_some(1);
            drain_all();
        }
        turn();
        EXPECT(over_for(REASON_RECLAIMED));
        for (unsigned lane = 0; lane < 2; lane++) {
            check_arrival(lane);
            EXPECT(relay_lane_is_aligned(relay, lane));
            EXPECT(is_boundary(&plans[lane], lane, plans[lane].arrived));
        }
        pair_close();
        pair_open();
    }
    end();
}
