/* What a guard does by the clock: pings, and the end of a token. */
#include "guarded.h"

TEST(a_silent_client_is_pinged_and_its_pong_is_ours)
{
    setup_guard(pinging());
    pass(30 * SECOND - 2000);
    EXPECT(fake_fd[CLIENT].out_len == 0);
    pass(4000);
    EXPECT(HEARD(CLIENT, PING) && shared.guard_pings == 1);
    EXPECT(lane_now(to_client)->produced == 10 && relay_moved_bytes(relay, 1) == 0);
    pass(9 * SECOND);
    FEED(CLIENT, PONG CLIENT_HI PONG);
    turn();
    EXPECT(HEARD(SERVER, CLIENT_HI PONG)); /* one ping, one pong */
    EXPECT(shared.guard_pongs == 1 && relay_moved_bytes(relay, 0) == 36);
    EXPECT(lane_now(to_server)->settled == 22);
    pass(29 * SECOND);
    EXPECT(fake_fd[CLIENT].out_len == 0);
    pass(2 * SECOND);
    EXPECT(HEARD(CLIENT, PING) && !relay_is_over(relay));
    end();
}

TEST(a_pong_in_pieces_and_one_of_the_servers_own)
{
    setup_guard(pinging());
    pass(30 * SECOND + 2000);
    EXPECT(HEARD(CLIENT, PING));
    for (size_t i = 0; i < 14; i++) {
        fake_feed(CLIENT, &(PONG)[i], 1);
        turn();
    }
    FEED(CLIENT, "\x8a\x83\0\0\0\0own");
    turn();
    EXPECT(HEARD(SERVER, "\x8a\x83\0\0\0\0own") && shared.guard_pongs == 1);
    end();
}

TEST(a_client_that_answers_nothing_is_told_so)
{
    setup_guard(pinging());
    pass(30 * SECOND + 2000);
    pass(10 * SECOND - 4000);
    EXPECT(HEARD(CLIENT, PING) && !relay_is_over(relay));
    pass(6000);
    EXPECT(ended_for(REASON_PONG_TOO_SLOW, 0, 0));
    EXPECT(relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
    end();
}

TEST(anything_from_the_client_is_a_sign_of_life)
{
    setup_guard(pinging());
    pass(30 * SECOND + 2000);
    EXPECT(HEARD(CLIENT, PING));
    pass(9 * SECOND);
    fake_feed(CLIENT, CLIENT_HI, 1);
    turn();
    pass(20 * SECOND);
    EXPECT(!relay_is_over(relay) && fake_fd[CLIENT].out_len == 0);
    pass(10 * SECOND + 2000); /* silent again */
    EXPECT(HEARD(CLIENT, PING));
    pass(10 * SECOND + 2000);
    EXPECT(ended_for(REASON_PONG_TOO_SLOW, 0, 0));
    end();
}

TEST(what_the_server_says_is_none)
{
    setup_guard(pinging());
    for (int i = 0; i < 4; i++) {
        FEED(SERVER, SERVER_HI);
        pass(10 * SECOND + 1000);
    }
    EXPECT(ended_for(REASON_PONG_TOO_SLOW, 0, 0));
    end();
}

TEST(a_ping_waits_for_the_servers_frame_to_end)
{
    setup_guard(pinging());
    FEED(SERVER, "\x82\x04"
                 "ab");
    turn();
    EXPECT(HEARD(CLIENT, "\x82\x04"
                         "ab"));
    pass(35 * SECOND);
    EXPECT(fake_fd[CLIENT].out_len == 0);
    FEED(SERVER, "cd" SERVER_HI "\x81");
    turn();
    EXPECT(HEARD(CLIENT, "cd" PING SERVER_HI));
    FEED(SERVER, "\x01x");
    turn();
    EXPECT(HEARD(CLIENT, "\x81\x01x") && relay_lane_is_aligned(relay, 1));
    EXPECT(relay_moved_bytes(relay, 1) == 13 && lane_now(to_client)->produced == 10);
    pass(10 * SECOND + 2000);
    EXPECT(ended_for(REASON_PONG_TOO_SLOW, 0, 0));
    end();
}

TEST(a_ping_goes_before_a_header_that_is_held)
{
    setup_guard(pinging());
    FEED(SERVER, "\x82");
    turn();
    pass(30 * SECOND + 2000);
    EXPECT(HEARD(CLIENT, PING));
    FEED(SERVER, "\x01x");
    turn();
    EXPECT(HEARD(CLIENT, "\x82\x01x"));
    end();
}

TEST(a_ping_waits_behind_what_is_read_slowly)
{
    setup_guard(pinging());
    fake_fd[CLIENT].out_room = 2;
    FEED(SERVER, SERVER_HI);
    pass(30 * SECOND + 2000);
    fake_fd[CLIENT].out_len = 0;
    pass(20 * SECOND);
    EXPECT(!relay_is_over(relay)); /* no ping, no deadline */
    fake_room(CLIENT, 5);
    turn();
    EXPECT(HEARD(CLIENT, "hi\x89\x08n")); /* its rest waits for room */
    pass(8 * SECOND);
    fake_room(CLIENT, 2);
    pass(8 * SECOND);
    EXPECT(HEARD(CLIENT, "on") && !relay_is_over(relay));
    fake_room(CLIENT, 100);
    pass(8 * SECOND);
    EXPECT(HEARD(CLIENT, "sense") && !relay_is_over(relay));
    pass(2 * SECOND + 2000); /* ten since it has gone out */
    EXPECT(!relay_is_over(relay));
    pass(8 * SECOND);
    EXPECT(ended_for(REASON_PONG_TOO_SLOW, 0, 0));
    end();
}

TEST(nobody_is_pinged_who_has_said_or_heard_goodbye)
{
    for (int who = 0; who < 3; who++) {
        setup_guard(pinging());
        if (who == 0)
            FEED(SERVER, "\x88\x02\x03\xe8");
        else if (who == 1)
            FEED(CLIENT, "\x88\x82\0\0\0\0\x03\xe8");
        else
            fake_end(CLIENT);
        turn();
        fake_fd[CLIENT].out_len = 0;
        pass(9 * SECOND);
        fake_input(SERVER, SERVER_HI); /* FIN has its own deadline */
        pass(9 * SECOND);
        fake_input(SERVER, SERVER_HI);
        pass(9 * SECOND);
        fake_input(SERVER, SERVER_HI);
        pass(9 * SECOND);
        EXPECT(shared.guard_pings == 0 && !relay_is_over(relay));
        end();
    }
}

TEST(a_tunnel_ends_with_its_token)
{
    struct guard_opts guard = guard_opts();

    guard.expires_usec = 20 * SECOND;
    setup_guard(guard);
    pass(19 * SECOND);
    FEED(CLIENT, CLIENT_HI);
    turn();
    EXPECT(!relay_is_over(relay));
    pass(2 * SECOND);
    EXPECT(ended_for(REASON_TOKEN_RAN_OUT, 0, 0));
    end();
}

TEST(idle_and_lifetime_hold_as_ever)
{
    struct guard_opts guard = pinging();
    struct relay_opts opts = guarded(&guard);

    opts.idle_usec = 20 * SECOND;
    setup(opts);
    pass(20 * SECOND + 2000);
    EXPECT(over_for(REASON_TUNNEL_IDLE) && !relay_guard_verdict(relay));
    end();

    opts.lifetime_usec = 25 * SECOND;
    opts.idle_usec = FOREVER;
    setup(opts);
    pass(25 * SECOND + 2000);
    EXPECT(over_for(REASON_LIFETIME) && !relay_guard_verdict(relay));
    end();
}
