/* Both sockets asked back, at any place in a frame. */
#include "pair.h"

/* Frames without and with a mask, as servers and clients send them. */
#define SERVER_HI "\x81\x02hi"
#define CLIENT_HI "\x81\x82\x01\x01\x01\x01ih"

TEST(reclaimed_between_frames_it_is_over_at_once)
{
    setup(usual());
    fake_input(CLIENT, CLIENT_HI);
    turn();
    relay_reclaim(relay, SECOND);
    relay_reclaim(relay, SECOND); /* harmless */
    turn();
    EXPECT(over_for(REASON_RECLAIMED));
    EXPECT(relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
    end();
}

TEST(reclaimed_in_mid_frame_each_lane_goes_to_its_end_and_no_further)
{
    setup(usual());
    fake_feed(CLIENT,
              "\x81\x85"
              "\0\0\0\0"
              "he",
              8);
    fake_feed(SERVER, "\x82\x7e\x00", 3); /* in a header */
    turn();
    relay_reclaim(relay, SECOND);
    turn();
    EXPECT(!relay_is_over(relay));
    EXPECT(!relay_lane_is_aligned(relay, 0) && !relay_lane_is_aligned(relay, 1));

    fake_fd[SERVER].out_len = fake_fd[CLIENT].out_len = 0;
    fake_input(CLIENT, "llo" CLIENT_HI);
    turn();
    EXPECT(heard(SERVER, "llo") && !relay_is_over(relay));
    EXPECT(relay_lane_is_aligned(relay, 0));

    char rest[1 + 200 + 4] = "\xc8";
    memset(rest + 1, 'y', 200);
    memcpy(rest + 201, "\x88\x02\x03\xe8", 4);
    fake_feed(SERVER, rest, sizeof rest);
    turn();
    EXPECT(fake_fd[CLIENT].out_len == 201);
    EXPECT(over_for(REASON_RECLAIMED));
    EXPECT(relay_lane_is_aligned(relay, 1) && to_client->close_code == 0);
    EXPECT(relay_moved_bytes(relay, 0) == 11 && relay_moved_bytes(relay, 1) == 204);
    end();
}

TEST(a_reclaim_waits_for_slow_readers)
{
    setup(usual());
    fake_fd[CLIENT].out_room = 1;
    fake_input(SERVER, SERVER_HI);
    turn();
    relay_reclaim(relay, SECOND);
    turn();
    EXPECT(!relay_is_over(relay) && !relay_lane_is_aligned(relay, 1));
    fake_input(SERVER, SERVER_HI);
    fake_room(CLIENT, 100);
    turn();
    EXPECT(heard(CLIENT, SERVER_HI) && over_for(REASON_RECLAIMED));
    EXPECT(relay_lane_is_aligned(relay, 1));
    end();
}

TEST(a_reclaim_has_a_deadline)
{
    setup(usual());
    fake_feed(SERVER,
              "\x82\x05"
              "abc",
              5);
    turn();
    relay_reclaim(relay, SECOND);
    pass(SECOND - 2000);
    EXPECT(!relay_is_over(relay));
    pass(4000);
    EXPECT(over_for(REASON_RECLAIMED));
    EXPECT(relay_lane_is_aligned(relay, 0) && !relay_lane_is_aligned(relay, 1));
    EXPECT(!relay_end_is_reset(relay, 0)); /* nothing was lost that had been taken */
    end();
}

TEST(what_is_no_frames_is_reclaimed_at_once_and_counted_once)
{
    setup(usual());
    fake_input(CLIENT, "no frames at all");
    fake_input(SERVER, SERVER_HI);
    turn();
    fake_input(CLIENT, "still none");
    turn();
    EXPECT(heard(SERVER, "no frames at allstill none")); /* untouched */
    EXPECT(shared.unaligned == 1);
    relay_reclaim(relay, SECOND);
    turn();
    EXPECT(over_for(REASON_RECLAIMED));
    EXPECT(!relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
    end();

    setup(raw());
    fake_input(CLIENT, "raw");
    turn();
    relay_reclaim(relay, SECOND);
    turn();
    EXPECT(over_for(REASON_RECLAIMED) && !relay_lane_is_aligned(relay, 1));
    EXPECT(shared.unaligned == 0);
    end();
}

TEST(an_end_that_was_sent_the_fin_is_not_aligned)
{
    setup(usual());
    fake_end(CLIENT);
    turn();
    relay_reclaim(relay, SECOND);
    turn();
    EXPECT(over_for(REASON_RECLAIMED));
    EXPECT(!relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
    end();
}

TEST(a_reclaim_after_the_end_is_harmless)
{
    setup(usual());
    fake_end(CLIENT);
    fake_end(SERVER);
    turn();
    EXPECT(over_for(REASON_DONE));
    relay_reclaim(relay, SECOND);
    pass(2 * SECOND);
    EXPECT(over_for(REASON_DONE));
    end();
}
