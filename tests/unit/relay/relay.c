#include "relay/relay.c"

#include "pair.h"

/* Frames without and with a mask, as servers and clients send them. */
#define SERVER_HI "\x81\x02hi"
#define CLIENT_HI "\x81\x82\x01\x01\x01\x01ih"

TEST(bytes_go_both_ways_and_nothing_is_held)
{
    setup(usual());
    fake_input(CLIENT, CLIENT_HI);
    fake_input(SERVER, SERVER_HI);
    turn();
    EXPECT(heard(SERVER, CLIENT_HI) && heard(CLIENT, SERVER_HI));
    EXPECT(relay_moved_bytes(relay, 0) == 8 && relay_moved_bytes(relay, 1) == 4);
    EXPECT(shared.moved_bytes[0] == 8 && shared.moved_bytes[1] == 4);
    EXPECT(is_idle_without_buffers() && !relay_is_over(relay));
    end();
}

TEST(every_lane_begins_in_the_last_tier_which_never_refuses)
{
    unsigned last = relay_tier_count() - 1;

    setup(usual());
    for (unsigned lane = 0; lane < 2; lane++) {
        EXPECT(relay->tier[lane] == last && strcmp(relay_lane_tier(relay, lane), "copy") == 0);
        EXPECT(!relay_tier_at(last)->refuses(relay, lane) && !relay_tier_at(last)->probe);
    }
    EXPECT(relay_tier_at(last + 1) == NULL && last < RELAY_TIERS_MAX);
    end();
}

TEST(heads_and_early_bytes_come_first_on_both_sides)
{
    begin_without_relay();
    fake_input(CLIENT, CLIENT_HI);
    fake_input(SERVER, SERVER_HI);
    turn(); /* it came while no one listened */
    start_with(usual(), bytes_of("HTTP/1.1 101 \r\n\r\n"),
               (struct bytes[2]){bytes_of(CLIENT_HI), bytes_of(SERVER_HI SERVER_HI)});
    EXPECT(heard(SERVER, CLIENT_HI CLIENT_HI));
    EXPECT(heard(CLIENT, "HTTP/1.1 101 \r\n\r\n" SERVER_HI SERVER_HI SERVER_HI));
    EXPECT(relay_moved_bytes(relay, 1) == 12); /* the head did not come from the server */
    EXPECT(relay->lane[1].record[relay->lane[1].selected].produced == 17);
    EXPECT(shared.unaligned == 0 && shared.moved_bytes[1] == 12);
    EXPECT(relay_lane_is_aligned(relay, 0) && relay_lane_is_aligned(relay, 1));
    EXPECT(is_idle_without_buffers());
    end();
}

TEST(a_head_for_a_client_that_takes_it_in_pieces)
{
    begin_without_relay();
    fake_fd[CLIENT].out_room = 3;
    start_with(usual(), bytes_of("HTTP"), (struct bytes[2]){{0}, bytes_of(SERVER_HI)});
    EXPECT(relay_unsent_bytes(relay, 1) == 5 && shared.unsent_bytes == 8);
    fake_input(SERVER, SERVER_HI);
    for (int i = 0; i < 12; i++) {
        fake_room(CLIENT, 1);
        turn();
    }
    EXPECT(heard(CLIENT, "HTTP" SERVER_HI SERVER_HI));
    EXPECT(is_idle_without_buffers());
    end();
}

TEST(half_close_goes_on_the_other_way)
{
    for (int from = CLIENT; from <= SERVER; from++) {
        int to = from == CLIENT ? SERVER : CLIENT;

        setup(raw());
        fake_input(from, "last");
        fake_end(from);
        turn();
        EXPECT(heard(to, "last") && fake_fd[to].is_ended);
        EXPECT(!relay_is_over(relay));
        fake_input(to, "but I go on");
        pass(9 * SECOND);
        fake_input(to, " and on");
        pass(9 * SECOND);
        EXPECT(heard(from, "but I go on and on") && !relay_is_over(relay));
        fake_end(to);
        turn();
        EXPECT(over_for(REASON_DONE));
        EXPECT(!fake_fd[from].is_ended); /* closing says it */
        EXPECT(!relay_end_is_reset(relay, 0) && !relay_end_is_reset(relay, 1));
        end();
    }
}

TEST(who_does_not_finish_names_the_reason)
{
    setup(raw());
    pass(60 * SECOND);
    fake_end(CLIENT);
    turn();
    pass(10 * SECOND - 1000);
    EXPECT(!relay_is_over(relay));
    pass(2000);
    EXPECT(over_for(REASON_SERVER_FIN_TOO_SLOW));
    end();

    setup(raw());
    fake_end(SERVER);
    turn();
    pass(10 * SECOND + 1000);
    EXPECT(over_for(REASON_FIN_TOO_SLOW));
    end();
}

/* The client has sent all and ended; the server neither reads nor ends. */
TEST(who_does_not_read_after_an_end_is_the_slow_one)
{
    setup(raw());
    fake_fd[SERVER].out_room = 3;
    fake_input(CLIENT, "abcdef");
    fake_end(CLIENT);
    turn();
    EXPECT(!fake_fd[SERVER].is_ended); /* not before the last byte */
    pass(9 * SECOND);
    fake_room(SERVER, 1);
    pass(SECOND);
    pass(8 * SECOND); /* 18 since the end, 9 since it took a byte */
    EXPECT(!relay_is_over(relay));
    pass(2 * SECOND + 2000);
    EXPECT(over_for(REASON_SERVER_FIN_TOO_SLOW));
    EXPECT(relay_end_is_reset(relay, 1)); /* bytes for it are lost */
    EXPECT(!relay_end_is_reset(relay, 0));
    end();

    setup(raw());
    fake_fd[CLIENT].out_room = 0;
    fake_input(SERVER, "abcdef");
    fake_end(SERVER);
    turn();
    pass(10 * SECOND + 1000);
    EXPECT(over_for(REASON_FIN_TOO_SLOW));
    EXPECT(relay_end_is_reset(relay, 0) && !relay_end_is_reset(relay, 1));
    end();
}

TEST(the_fin_follows_the_last_byte)
{
    setup(raw());
    fake_fd[SERVER].out_room = 3;
    fake_input(CLIENT, "abcdef");
    fake_end(CLIENT);
    turn();
    fake_room(SERVER, 2);
    turn();
    EXPECT(!fake_fd[SERVER].is_ended);
    fake_room(SERVER, 10);
    turn();
    EXPECT(heard(SERVER, "abcdef") && fake_fd[SERVER].is_ended);
    end();
}

TEST(last_words_of_who_resets_are_delivered_then_the_reset)
{
    for (int from = CLIENT; from <= SERVER; from++) {
        int to = from == CLIENT ? SERVER : CLIENT;

        setup(raw());
        fake_fd[to].out_room = 4;
        fake_input(from, "last words");
        fake_break(from);
        turn();
        EXPECT(!relay_is_over(relay));
        fake_fd[to].undelivered = 6; /* by the kernel */
        fake_room(to, 100);
        turn();
        EXPECT(heard(to, "last words") && !relay_is_over(relay));
        pass(20000);
        EXPECT(!relay_is_over(relay));
        fake_fd[to].undelivered = 0;
        pass(20000);
        EXPECT(over_for(from == CLIENT ? REASON_CLIENT_RESET : REASON_SERVER_RESET));
        EXPECT(relay_end_is_reset(relay, to == SERVER));
        EXPECT(!relay_end_is_reset(relay, from == SERVER));
        EXPECT(!fake_fd[to].is_ended);
        end();
    }
}

TEST(what_waits_for_delivery_does_not_wait_for_the_dead)
{
    setup(raw());
    fake_fd[SERVER].undelivered = 1;
    fake_break(CLIENT);
    turn();
    EXPECT(!relay_is_over(relay));
    fake_break(SERVER);
    turn();
    EXPECT(over_for(REASON_CLIENT_RESET));
    end();
}

TEST(last_words_wait_for_a_slow_reader_at_most_until_fin)
{
    setup(raw());
    fake_fd[SERVER].out_room = 4;
    fake_input(CLIENT, "last words");
    fake_break(CLIENT);
    turn();
    pass(10 * SECOND + 1000);
    EXPECT(over_for(REASON_CLIENT_RESET));
    EXPECT(relay_end_is_reset(relay, 1));
    end();
}

TEST(delivery_is_waited_for_at_most_until_fin)
{
    setup(raw());
    fake_fd[SERVER].undelivered = 6;
    fake_input(CLIENT, "x");
    fake_break(CLIENT);
    turn();
    for (int i = 0; i < 9; i++)
        pass(SECOND);
    EXPECT(!relay_is_over(relay));
    pass(2 * SECOND);
    EXPECT(over_for(REASON_CLIENT_RESET));
    end();
}

/* Writing to the client finds the reset out, before its last words are read. */
TEST(a_failed_write_leaves_last_words_to_read)
{
    setup(raw());
    fake_input(SERVER, "for nobody");
    fake_input(CLIENT, "farewell");
    fake_fd[CLIENT].is_reset = true; /* epoll has not told yet */
    fake_fd[CLIENT].reset = -ECONNRESET;
    fake_fd[SERVER].out_room = 3;
    turn();
    EXPECT(to_client->state == LANE_DONE && !relay_is_over(relay));
    EXPECT(relay->reason == REASON_CLIENT_RESET);
    fake_event(CLIENT, EPOLLIN | EPOLLRDHUP | EPOLLHUP);
    turn();
    EXPECT(!relay_is_over(relay));
    fake_fd[SERVER].undelivered = 8;
    fake_room(SERVER, 100);
    turn();
    EXPECT(heard(SERVER, "farewell") && !fake_fd[SERVER].is_ended);
    EXPECT(!relay_is_over(relay));
    fake_fd[SERVER].undelivered = 0;
    pass(20000);
    EXPECT(over_for(REASON_CLIENT_RESET));
    EXPECT(relay_end_is_reset(relay, 1) && !relay_end_is_reset(relay, 0));
    end();
}

TEST(a_failed_flush_drops_the_backlog)
{
    setup(raw());
    fake_fd[CLIENT].out_room = 3;
    fake_input(SERVER, "for nobody");
    turn();
    EXPECT(relay_unsent_bytes(relay, 1) == 7);
    fake_fd[CLIENT].error = -EPIPE;
    fake_room(CLIENT, 1);
    turn();
    EXPECT(is_idle_without_buffers() && relay_unsent_bytes(relay, 1) == 0);
    EXPECT(!relay_is_over(relay)); /* its last words may still come */
    fake_end(CLIENT);
    turn();
    EXPECT(over_for(REASON_CLIENT_RESET) && relay_end_is_reset(relay, 1));
    end();
}

TEST(the_first_to_break_names_the_reason)
{
    setup(raw());
    fake_fd[CLIENT].out_room = 0;
    fake_input(SERVER, "x");
    turn();
    fake_break(SERVER); /* cannot be read: the lane waits for the client */
    turn();
    EXPECT(!relay_is_over(relay));
    fake_break(CLIENT);
    turn();
    EXPECT(over_for(REASON_CLIENT_RESET));
    end();
}

/* Two FINs make epoll say that a socket is dead, but no one has reset it. */
TEST(a_dead_end_whose_words_are_stuck_was_reset_unless_it_was_sent_the_fin)
{
    setup(raw());
    fake_fd[CLIENT].out_room = 1;
    fake_input(SERVER, "stuck");
    turn();
    fake_end(CLIENT);
    turn();
    EXPECT(fake_fd[SERVER].is_ended);
    fake_end(SERVER);
    fake_event(SERVER, EPOLLHUP);
    turn();
    pass(10 * SECOND + 1000);
    EXPECT(over_for(REASON_FIN_TOO_SLOW) && relay_end_is_reset(relay, 0));
    end();

    setup(raw());
    fake_fd[CLIENT].out_room = 1;
    fake_input(SERVER, "stuck");
    turn();
    fake_break(SERVER);
    turn();
    pass(10 * SECOND + 1000);
    EXPECT(over_for(REASON_SERVER_RESET) && relay_end_is_reset(relay, 0));
    end();
}

TEST(a_reset_after_the_fin_ends_it_at_once)
{
    for (int from = CLIENT; from <= SERVER; from++) {
        setup(raw());
        fake_end(from);
        turn();
        EXPECT(!relay_is_over(relay));
        fake_break(from);
        turn();
        EXPECT(over_for(from == CLIENT ? REASON_CLIENT_RESET : REASON_SERVER_RESET));
        EXPECT(relay_end_is_reset(relay, from == CLIENT));
        end();
    }
}

TEST(a_unix_client_that_closes_has_not_reset)
{
    setup(raw());
    fake_end(CLIENT);
    fake_event(CLIENT, EPOLLHUP);
    turn();
    EXPECT(!relay_is_over(relay) && fake_fd[SERVER].is_ended);
    fake_end(SERVER);
    turn();
    EXPECT(over_for(REASON_DONE) && !relay_end_is_reset(relay, 1));
    end();
}

/* With TLS a close_notify that the kernel did not take is nothing lost. */
TEST(a_lane_that_is_done_owes_nothing)
{
    setup(raw());
    fake_end(CLIENT);
    turn();
    EXPECT(to_server->state == LANE_DONE);
    relay->lane[0].written--; /* as if something were unsent */
    fake_end(SERVER);
    fake_room(SERVER, 1);
    turn();
    EXPECT(over_for(REASON_DONE) && !relay_end_is_reset(relay, 1));
    relay->lane[0].written++;
    end();
}

TEST(silence_in_both_directions_is_idle)
{
    setup(raw());
    pass(100 * SECOND - 2000);
    EXPECT(!relay_is_over(relay));
    pass(4000);
    EXPECT(over_for(REASON_TUNNEL_IDLE));
    EXPECT(!relay_end_is_reset(relay, 0) && !relay_end_is_reset(relay, 1));
    end();
}

TEST(bytes_in_one_direction_keep_it_open)
{
    for (int from = CLIENT; from <= SERVER; from++) {
        setup(raw());
        for (int i = 0; i < 10; i++) {
            pass(60 * SECOND);
            fake_input(from, "x");
            turn();
        }
        EXPECT(!relay_is_over(relay));
        EXPECT(relay->lane[from - CLIENT].active_usec == fake_now_usec);
        pass(100 * SECOND + 2000);
        EXPECT(over_for(REASON_TUNNEL_IDLE));
        end();
    }
}

TEST(a_slow_reader_that_reads_keeps_it_open)
{
    setup(raw());
    fake_fd[CLIENT].out_room = 1;
    fake_input(SERVER, "abcdef");
    turn();
    for (int i = 0; i < 4; i++) {
        pass(90 * SECOND);
        fake_room(CLIENT, 1);
        turn();
    }
    EXPECT(!relay_is_over(relay) && relay_unsent_bytes(relay, 1) == 1);
    pass(101 * SECOND);
    EXPECT(over_for(REASON_TUNNEL_IDLE));
    EXPECT(relay_end_is_reset(relay, 0)); /* a byte is lost */
    end();
}

TEST(a_lifetime_ends_also_what_is_busy)
{
    struct relay_opts opts = raw();

    opts.lifetime_usec = 250 * SECOND;
    setup(opts);
    for (int i = 0; i < 5; i++) {
        fake_input(CLIENT, "x");
        pass(49 * SECOND);
    }
    EXPECT(!relay_is_over(relay));
    pass(6 * SECOND);
    EXPECT(over_for(REASON_LIFETIME));
    end();
}

TEST(a_lifetime_ends_behind_the_frame_that_is_under_way)
{
    struct relay_opts opts = usual();

    opts.lifetime_usec = 5 * SECOND;
    setup(opts);
    fake_input(SERVER, "\x81\x02h");
    pass(5 * SECOND + 1000);
    EXPECT(!relay_is_over(relay) && heard(CLIENT, "\x81\x02h"));
    fake_input(SERVER, "i" SERVER_HI);
    turn();
    EXPECT(over_for(REASON_LIFETIME) && heard(CLIENT, "i"));
    EXPECT(relay_lane_is_aligned(relay, 1) && relay_lane_is_aligned(relay, 0));
    end();

    setup(opts);
    fake_input(SERVER, "\x81\x02h");
    pass(5 * SECOND + 1000);
    pass(RELAY_PATIENCE_USEC + 2000);
    EXPECT(over_for(REASON_LIFETIME)); /* it has waited long enough */
    EXPECT(!relay_lane_is_aligned(relay, 1) && relay_lane_is_aligned(relay, 0));
    end();
}

TEST(without_limits_it_lives_for_ever)
{
    setup((struct relay_opts){.idle_usec = FOREVER, .fin_usec = FOREVER, .lifetime_usec = FOREVER});
    pass(1000000u * (uint64_t)SECOND);
    fake_end(SERVER);
    turn();
    pass(1000000u * (uint64_t)SECOND);
    EXPECT(!relay_is_over(relay));
    fake_input(CLIENT, "still here"); /* unsent_bytes 0 is no limit, not no bytes */
    turn();
    EXPECT(heard(SERVER, "still here"));
    end();
}

TEST(close_codes_are_noted_by_direction)
{
    setup(usual());
    fake_feed(SERVER, "\x88\x02\x03\xe9", 4);
    fake_feed(CLIENT, "\x88\x82\x01\x02\x03\x04\x02\xea", 8);
    turn();
    EXPECT(to_client->close_code == 1001 && to_server->close_code == 1000);
    end();
}

TEST(both_ends_gone_before_it_began)
{
    begin_without_relay();
    fake_input(SERVER, "bye");
    fake_end(SERVER);
    fake_end(CLIENT);
    turn();
    start(raw());
    turn();
    EXPECT(heard(CLIENT, "bye") && over_for(REASON_DONE));
    end();
}

/* The edge came before the relay, and the client takes nothing: no other event will come. */
TEST(a_death_before_it_began_is_noticed)
{
    begin_without_relay();
    fake_fd[CLIENT].out_room = 0;
    fake_input(SERVER, "bye");
    fake_break(SERVER);
    turn();
    start(raw());
    pass(10 * SECOND + 2000);
    EXPECT(over_for(REASON_SERVER_RESET));
    end();
}

TEST(stopping_it_gives_all_back)
{
    setup(raw());
    fake_fd[CLIENT].out_room = 1;
    fake_input(SERVER, "abcdef");
    turn();
    EXPECT(shared.unsent_bytes == 5);
    relay_stop(relay);
    relay_stop(relay);
    EXPECT(shared.unsent_bytes == 0);
    fake_input(CLIENT, "x");
    pass(1000 * SECOND);
    EXPECT(fake_fd[SERVER].out_len == 0 && pair->asked == 1);
    end();
}

TEST(what_was_never_started_is_stopped_in_peace)
{
    struct relay none = {0};

    EXPECT(!relay_is_started(&none));
    relay_stop(&none);
}
