#include <stdlib.h>

static void *scarce_calloc(size_t count, size_t len);
#define calloc scarce_calloc
#include "relay/guard.c"
#undef calloc

#define STREAM_BYTES 20000
#define FRAME_SIZES  1500
#define FRAME_MOST   2000
#define BURST_BYTES  2000
#include "guarded.h"
#include "plans.h"

static bool has_memory = true;

static void *scarce_calloc(size_t count, size_t len)
{
    return has_memory ? calloc(count, len) : NULL;
}

/* --- what passes --------------------------------------------------------------------------------
 */

TEST(frames_pass_as_without_a_guard)
{
    setup_guard(guard_opts());
    FEED(CLIENT, CLIENT_HI);
    FEED(SERVER, SERVER_HI SERVER_HI);
    turn();
    EXPECT(HEARD(SERVER, CLIENT_HI) && HEARD(CLIENT, SERVER_HI SERVER_HI));
    EXPECT(relay_moved_bytes(relay, 0) == 8 && relay_moved_bytes(relay, 1) == 8);
    EXPECT(is_idle_without_buffers() && !relay_is_over(relay) && !relay_guard_verdict(relay));
    end();
}

TEST(a_guard_costs_the_lane_its_better_tiers)
{
    setup_guard(guard_opts());
    for (unsigned lane = 0; lane < 2; lane++) {
        EXPECT(strcmp(relay_lane_tier(relay, lane), "copy") == 0);
        EXPECT(strcmp(relay_lane_why(relay, lane), "the frame guard reads every byte") == 0);
    }
    pass(7 * SECOND);
    EXPECT(relay_lane_tier_usec(relay, 1) / SECOND == 7);
    end();
}

TEST(what_is_no_websocket_has_no_guard)
{
    struct guard_opts guard = guard_opts();
    struct relay_opts opts = guarded(&guard);

    opts.is_websocket = false;
    setup(opts);
    EXPECT(!relay->is_guarded && !relay_guard_verdict(relay));
    FEED(CLIENT, "no frames");
    turn();
    EXPECT(HEARD(SERVER, "no frames"));
    end();
}

TEST(half_a_header_is_held_and_counts_as_come)
{
    setup_guard(guard_opts());
    fake_feed(CLIENT, CLIENT_HI, 5);
    turn();
    EXPECT(fake_fd[SERVER].out_len == 0 && relay_moved_bytes(relay, 0) == 5);
    EXPECT(lane_now(to_server)->settled == 0 && is_idle_without_buffers());
    fake_feed(CLIENT, &(CLIENT_HI)[5], 3);
    turn();
    EXPECT(HEARD(SERVER, CLIENT_HI) && relay_moved_bytes(relay, 0) == 8);
    EXPECT(lane_now(to_server)->settled == 8 && lane_now(to_server)->produced == 0);
    end();
}

TEST(an_end_after_half_a_header_is_passed_on)
{
    setup_guard(guard_opts());
    fake_feed(CLIENT, CLIENT_HI, 5);
    fake_end(CLIENT);
    turn();
    EXPECT(fake_fd[SERVER].out_len == 0 && fake_fd[SERVER].is_ended);
    fake_end(SERVER);
    turn();
    EXPECT(over_for(REASON_DONE));
    end();
}

/* --- faults -------------------------------------------------------------------------------------
 */

TEST(the_good_frames_before_a_fault_arrive_and_nothing_more)
{
    for (size_t cut = 0; cut <= 14; cut++) {
        setup_guard(guard_opts());
        fake_feed(CLIENT, CLIENT_HI BAD, cut);
        turn();
        fake_feed(CLIENT, &(CLIENT_HI BAD "more")[cut], 18 - cut);
        turn();
        EXPECT(HEARD(SERVER, CLIENT_HI));
        EXPECT(ended_for(REASON_FRAME_OPCODE, 0, 2));
        EXPECT(relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
        EXPECT(!relay_end_is_reset(relay, 0) && !relay_end_is_reset(relay, 1));
        end();
    }
}

TEST(a_servers_fault)
{
    setup_guard(guard_opts());
    FEED(SERVER, SERVER_HI "\x81\x80\0\0\0\0");
    turn();
    EXPECT(HEARD(CLIENT, SERVER_HI) && ended_for(REASON_FRAME_MASK, 1, 2));
    end();
}

TEST(a_fault_inside_a_frame_that_has_begun_leaves_it_unfinished)
{
    setup_guard(guard_opts());
    FEED(CLIENT, "\x81\x85\0\0\0\0he");
    turn();
    FEED(CLIENT, "l\xff!");
    turn();
    EXPECT(ended_for(REASON_FRAME_TEXT, 0, 1));
    EXPECT(HEARD(SERVER, "\x81\x85\0\0\0\0he"));
    EXPECT(!relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
    end();
}

TEST(the_other_directions_frame_is_ended_first)
{
    setup_guard(guard_opts());
    FEED(SERVER, "\x82\x05"
                 "ab");
    turn();
    FEED(CLIENT, BAD);
    turn();
    EXPECT(!relay_is_over(relay) && relay->reason == REASON_FRAME_OPCODE);
    FEED(SERVER, "cde" SERVER_HI);
    turn();
    EXPECT(HEARD(CLIENT, "\x82\x05"
                         "abcde") &&
           ended_for(REASON_FRAME_OPCODE, 0, 1));
    EXPECT(relay_lane_is_aligned(relay, 1));
    end();

    setup_guard(guard_opts());
    FEED(SERVER, "\x82\x05"
                 "ab");
    turn();
    FEED(CLIENT, BAD);
    turn();
    pass(RELAY_PATIENCE_USEC + 2000); /* but not for ever */
    EXPECT(ended_for(REASON_FRAME_OPCODE, 0, 1) && !relay_lane_is_aligned(relay, 1));
    end();
}

TEST(a_slow_reader_still_gets_the_good_frames)
{
    setup_guard(guard_opts());
    fake_fd[SERVER].out_room = 3;
    FEED(CLIENT, CLIENT_HI BAD);
    turn();
    EXPECT(!relay_is_over(relay));
    fake_room(SERVER, 100);
    turn();
    EXPECT(HEARD(SERVER, CLIENT_HI) && ended_for(REASON_FRAME_OPCODE, 0, 2));
    end();
}

TEST(early_bytes_are_judged_and_the_101_comes_first)
{
    struct guard_opts guard = guard_opts();

    begin_without_relay();
    start_with(guarded(&guard), bytes_of("101"),
               (struct bytes[2]){{(const uint8_t *)BAD, 6}, bytes_of(SERVER_HI)});
    turn();
    EXPECT(HEARD(CLIENT, "101" SERVER_HI) && fake_fd[SERVER].out_len == 0);
    EXPECT(ended_for(REASON_FRAME_OPCODE, 0, 1));
    end();

    begin_without_relay();
    fake_fd[CLIENT].out_room = 0;
    start_with(guarded(&guard), bytes_of("101"),
               (struct bytes[2]){bytes_of(CLIENT_HI), bytes_of(SERVER_HI "\xff\xff")});
    turn();
    EXPECT(!relay_is_over(relay));
    fake_room(CLIENT, 100);
    turn();
    EXPECT(HEARD(CLIENT, "101" SERVER_HI) && ended_for(REASON_FRAME_RESERVED, 1, 2));
    EXPECT(fake_fd[SERVER].out_len == 0); /* what the client sent early stands behind the end */
    end();

    begin_without_relay();
    start_with(guarded(&guard), bytes_of("101"),
               (struct bytes[2]){{(const uint8_t *)CLIENT_HI, 3}, {(const uint8_t *)SERVER_HI, 1}});
    fake_feed(CLIENT, &(CLIENT_HI)[3], 5);
    fake_feed(SERVER, &(SERVER_HI)[1], 3);
    turn();
    EXPECT(HEARD(CLIENT, "101" SERVER_HI) && HEARD(SERVER, CLIENT_HI));
    EXPECT(relay_moved_bytes(relay, 0) == 8 && relay_moved_bytes(relay, 1) == 4);
    end();
}

TEST(the_size_of_a_message_to_the_byte)
{
    struct guard_opts guard = guard_opts();

    guard.max_message = 5;
    setup_guard(guard);
    FEED(SERVER, "\x01\x03"
                 "abc\x80\x02"
                 "de\x82\x06");
    turn();
    EXPECT(HEARD(CLIENT, "\x01\x03"
                         "abc\x80\x02"
                         "de"));
    EXPECT(ended_for(REASON_MESSAGE_TOO_LARGE, 1, 3));
    end();
}

TEST(a_token_bucket_of_messages)
{
    struct guard_opts guard = guard_opts();

    guard.messages = 4;
    setup_guard(guard);
    FEED(CLIENT, CLIENT_HI CLIENT_HI CLIENT_HI CLIENT_HI);
    turn();
    pass(600000); /* two and a half have come back */
    FEED(CLIENT, CLIENT_HI CLIENT_HI);
    turn();
    EXPECT(!relay_is_over(relay));
    pass(150000); /* and the half is not lost */
    FEED(CLIENT, CLIENT_HI);
    turn();
    EXPECT(!relay_is_over(relay) && fake_fd[SERVER].out_len == 56);
    FEED(CLIENT, CLIENT_HI);
    turn();
    EXPECT(ended_for(REASON_MESSAGES_TOO_MANY, 0, 8) && fake_fd[SERVER].out_len == 56);
    end();
}

TEST(the_bucket_holds_no_more_than_once_the_rate)
{
    struct guard_opts guard = guard_opts();

    guard.messages = 2;
    guard.per_usec = 60 * (uint64_t)SECOND;
    setup_guard(guard);
    pass(90 * SECOND);
    FEED(CLIENT, CLIENT_HI CLIENT_HI CLIENT_HI);
    turn();
    EXPECT(ended_for(REASON_MESSAGES_TOO_MANY, 0, 3));
    end();
}

TEST(servers_are_not_counted)
{
    struct guard_opts guard = guard_opts();

    guard.messages = 1;
    setup_guard(guard);
    FEED(SERVER, SERVER_HI SERVER_HI SERVER_HI);
    turn();
    EXPECT(HEARD(CLIENT, SERVER_HI SERVER_HI SERVER_HI) && !relay_is_over(relay));
    end();
}

TEST(behind_a_close_nothing_is_passed_on)
{
    setup_guard(guard_opts());
    FEED(CLIENT, "\x88\x82\0\0\0\0\x03\xe8" BAD);
    turn();
    FEED(CLIENT, BAD);
    turn();
    EXPECT(HEARD(SERVER, "\x88\x82\0\0\0\0\x03\xe8") && !relay_is_over(relay));
    EXPECT(to_server->close_code == 1000 && relay_moved_bytes(relay, 0) == 20);
    end();
}

/* --- reclaim, memory ----------------------------------------------------------------------------
 */

TEST(a_reclaim_ends_with_the_frame_under_way)
{
    setup_guard(pinging());
    FEED(CLIENT, "\x81\x83\0\0\0\0a");
    FEED(SERVER, "\x81"); /* held: the direction stands at a boundary */
    turn();
    relay_reclaim(relay, SECOND);
    turn();
    EXPECT(!relay_is_over(relay));
    FEED(CLIENT, "bc" BAD);
    turn();
    EXPECT(HEARD(SERVER, "\x81\x83\0\0\0\0abc") && over_for(REASON_RECLAIMED));
    EXPECT(relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
    EXPECT(!relay_guard_verdict(relay));
    end();
}

TEST(a_fault_in_the_last_frame_of_a_reclaim)
{
    setup_guard(guard_opts());
    FEED(CLIENT, "\x81\x83\0\0\0\0a");
    turn();
    relay_reclaim(relay, SECOND);
    FEED(CLIENT, "\xff");
    turn();
    EXPECT(relay_is_over(relay) && !relay_lane_is_aligned(relay, 0));
    end();
}

TEST(a_relay_without_memory_for_its_guard_does_not_go_on_without_it)
{
    struct guard_opts guard = guard_opts();

    begin_without_relay();
    has_memory = false;
    start_with(guarded(&guard), bytes_of("101"), (struct bytes[2]){bytes_of(CLIENT_HI)});
    has_memory = true;
    turn();
    EXPECT(over_for(REASON_NO_MEMORY) && !fake_fd[CLIENT].out_len && !fake_fd[SERVER].out_len);
    end();
}

/* --- the reference ------------------------------------------------------------------------------
 */

static size_t held_bytes(unsigned lane)
{
    return state_now(relay, lane)->have;
}

/* The keeper's invariants: what has come is R - E; what is written and what waits are R. */
static void check_guarded(unsigned number)
{
    const struct plan *plan = &plans[number];
    const struct lane *lane = &relay->lane[number];
    const struct lane_record *now = lane_now(lane);
    size_t taken = plan->fed - plan->head - fake_fd[fd_from(number)].in_len;

    check_arrival(number);
    EXPECT(relay_moved_bytes(relay, number) == taken);
    EXPECT(now->settled == plan->head + taken - held_bytes(number));
    EXPECT(lane->written == plan->arrived);
    EXPECT((lane->backlog != NULL) == (now->settled != lane->written));
    EXPECT(!lane->backlog || !memcmp(lane->backlog + (lane->written - now->base),
                                     plan->bytes + lane->written, now->settled - lane->written));
    EXPECT(ws_track_is_aligned(&now->frames));
    EXPECT(ws_track_at_boundary(&now->frames) == ws_guard_at_boundary(state_now(relay, number)));
}

static struct relay_opts any_guarded(struct guard_opts *guard)
{
    struct relay_opts opts = usual();

    *guard = guard_opts();
    guard->extension = (enum ws_extension)roll(3);
    guard->max_message = roll(2) ? FRAME_SIZES : 0;
    opts.guard = guard;
    opts.idle_usec = FOREVER;
    opts.unsent_bytes = 1 + (uint32_t)roll(700);
    return opts;
}

TEST(every_byte_once_and_in_order_whatever_the_schedule)
{
    struct guard_opts guard;

    begin_without_relay();
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        random_init(&dice, seed);
        make_plan(0, true);
        make_plan(1, true);
        start_plans(any_guarded(&guard));
        for (int round = 0; round < 60; round++) {
            play_a_round();
            check_guarded(0);
            check_guarded(1);
            EXPECT(shared.unsent_bytes == stuck_bytes(0) + stuck_bytes(1));
        }
        EXPECT(!relay_is_over(relay));
        while (plans[0].fed < plans[0].len || plans[1].fed < plans[1].len) {
            feed_some(0);
            feed_some(1);
            drain_all();
        }
        fake_end(CLIENT);
        fake_end(SERVER);
        drain_all();
        turn();
        check_guarded(0);
        check_guarded(1);
        EXPECT(plans[0].arrived == plans[0].len && plans[1].arrived == plans[1].len);
        EXPECT(over_for(REASON_DONE) && is_idle_without_buffers() && shared.unaligned == 0);
        pair_close();
        pair_open();
    }
    end();
}

TEST(reclaimed_at_any_moment_both_lanes_stop_at_a_frame)
{
    struct guard_opts guard;

    begin_without_relay();
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        random_init(&dice, seed);
        make_plan(0, true);
        make_plan(1, true);
        start_plans(any_guarded(&guard));
        for (size_t round = roll(40); round > 0; round--)
            play_a_round();
        relay_reclaim(relay, 10000 * (uint64_t)SECOND);
        for (int i = 0; i < 400 && !relay_is_over(relay); i++) {
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

/* One after another in the same memory: nothing of a guard stays behind. */
TEST(a_relay_without_one_is_as_ever)
{
    struct guard_opts guard;
    struct relay_opts opts;

    begin_without_relay();
    for (uint64_t seed = 1; seed <= 200; seed++) {
        random_init(&dice, seed);
        make_plan(0, true);
        make_plan(1, true);
        opts = any_guarded(&guard);
        if (seed % 2)
            opts.guard = NULL;
        start_plans(opts);
        for (int round = 0; round < 20; round++) {
            play_a_round();
            if (seed % 2)
                check_all();
        }
        pair_close();
        pair_open();
    }
    end();
}

/* What has arrived at the client, with pings of ours in it: out of it they are what was sent. */
struct heard {
    uint8_t bytes[2 * STREAM_BYTES];
    size_t len;
    unsigned pings;
};

static void hear_client(struct heard *heard)
{
    struct fake_fd *client = &fake_fd[CLIENT];

    EXPECT(heard->len + client->out_len <= sizeof heard->bytes);
    memcpy(heard->bytes + heard->len, client->out, client->out_len);
    heard->len += client->out_len;
    client->out_len = 0;
}

static size_t frame_bytes(const uint8_t *at)
{
    if (at[1] < 126)
        return 2u + at[1];
    return 4u + ((size_t)at[2] << 8 | at[3]);
}

static bool is_what_was_sent(struct heard *heard)
{
    const struct plan *plan = &plans[1];
    size_t at = plan->head, sent = plan->head;

    EXPECT(memcmp(heard->bytes, plan->bytes, plan->head) == 0);
    while (at < heard->len) {
        size_t len = frame_bytes(heard->bytes + at);
        EXPECT(at + len <= heard->len);
        if (len == WS_PING_BYTES && !memcmp(heard->bytes + at, PING, len)) {
            heard->pings++;
        } else {
            EXPECT(sent + len <= plan->len && !memcmp(heard->bytes + at, plan->bytes + sent, len));
            sent += len;
        }
        at += len;
    }
    return sent == plan->len;
}

TEST(pings_stand_between_frames_whatever_the_schedule)
{
    static struct heard heard;
    struct guard_opts guard;
    unsigned pings = 0;

    begin_without_relay();
    for (uint64_t seed = 1; seed <= 500; seed++) {
        random_init(&dice, seed);
        make_plan(0, true);
        make_plan(1, true);
        struct relay_opts opts = any_guarded(&guard);
        guard.ping_usec = 1 + roll(SECOND);
        guard.pong_usec = 1000 * (uint64_t)SECOND;
        heard = (struct heard){.len = 0};
        start_plans(opts);
        for (int round = 0; round < 200 || plans[1].fed < plans[1].len; round++) {
            play_a_round();
            check_arrival(0);
            hear_client(&heard);
        }
        for (int i = 0; i < 3; i++) {
            fake_room(CLIENT, FAKE_BYTES);
            turn();
            hear_client(&heard);
        }
        EXPECT(is_what_was_sent(&heard) && !relay_is_over(relay));
        EXPECT(relay_moved_bytes(relay, 1) == plans[1].len - plans[1].head);
        EXPECT(lane_now(to_client)->produced == plans[1].head + heard.pings * WS_PING_BYTES);
        EXPECT(ws_track_at_boundary(&lane_now(to_client)->frames));
        pings += heard.pings;
        pair_close();
        pair_open();
    }
    EXPECT(pings > 500 && shared.guard_pings == pings);
    end();
}
