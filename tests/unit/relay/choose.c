#include "relay/choose.c"

#include "pair.h"

static struct relay_opts wide(void)
{
    struct relay_opts opts = raw();

    opts.unsent_bytes = 262144;
    return opts;
}

static void note(unsigned lane, uint64_t piece_bytes, unsigned times)
{
    while (times--)
        relay_note_batch(relay, lane, piece_bytes);
}

TEST(a_lane_is_raised_after_some_large_batches_in_a_row)
{
    setup(wide());
    note(0, LARGE_BYTES, BATCHES - 1);
    note(0, LARGE_BYTES - 1, 1);
    note(0, LARGE_BYTES, BATCHES - 1);
    EXPECT(relay->tier[0] == 1);
    note(0, LARGE_BYTES, 1);
    EXPECT(relay->tier[0] == 0 && relay->tier[1] == 1); /* each for itself */
    end();
}

TEST(and_lowered_after_some_small_ones)
{
    setup(wide());
    note(1, LARGE_BYTES, BATCHES);
    EXPECT(relay->tier[1] == 0 && relay->tier[0] == 1);
    note(1, LARGE_BYTES - 1, BATCHES - 1);
    note(1, LARGE_BYTES, 1);
    note(1, 0, BATCHES - 1);
    EXPECT(relay->tier[1] == 0);
    note(1, 0, 1);
    EXPECT(relay->tier[1] == 1);
    end();
}

TEST(the_scores_of_the_lanes_do_not_mix)
{
    setup(wide());
    for (unsigned i = 0; i < 100; i++) {
        note(0, LARGE_BYTES, 1);
        note(1, 0, 1);
    }
    EXPECT(relay->tier[0] == 0 && relay->tier[1] == 1);
    end();
}

TEST(a_lane_with_something_unsent_waits_for_another_tier)
{
    setup(wide());
    fake_fd[SERVER].out_room = 1;
    fake_input(CLIENT, "ab");
    turn();
    note(0, LARGE_BYTES, 100);
    EXPECT(relay->tier[0] == 1);
    fake_room(SERVER, 100);
    turn();
    note(0, LARGE_BYTES, 1);
    EXPECT(relay->tier[0] == 0);
    end();
}

TEST(what_may_not_or_cannot_serve_does_not_and_it_is_said_why)
{
    struct relay_opts opts = wide();

    opts.tiers_left_out = 1;
    setup(opts);
    EXPECT(strcmp(relay_lane_why(relay, 0), "the configuration leaves it out") == 0);
    note(0, LARGE_BYTES, 100);
    EXPECT(relay->tier[0] == 1);
    relay->tiers_left_out = 0;
    shared.refused[0] = "no such kernel";
    EXPECT(strcmp(relay_lane_why(relay, 0), "no such kernel") == 0);
    note(0, LARGE_BYTES, 100);
    EXPECT(relay->tier[0] == 1);
    shared.refused[0] = NULL;
    EXPECT(strcmp(relay_lane_why(relay, 0), "its batches are small") == 0);
    note(0, LARGE_BYTES, BATCHES);
    EXPECT(relay->tier[0] == 0 && relay_lane_why(relay, 0) == NULL);
    end();
}

TEST(without_a_pipe_a_lane_is_not_raised_and_asks_again)
{
    setup(wide());
    fake_calls.pipe_error = -EMFILE;
    note(0, LARGE_BYTES, 3 * BATCHES);
    EXPECT(relay->tier[0] == 1);
    EXPECT(strcmp(relay_lane_why(relay, 0), "no pipe could be had") == 0);
    fake_calls.pipe_error = 0;
    note(0, LARGE_BYTES, BATCHES - 1);
    EXPECT(relay->tier[0] == 1);
    note(0, LARGE_BYTES, 1);
    EXPECT(relay->tier[0] == 0 && shared.pipe_error == 0 && shared.pipes_taken == 0);
    end();
}

TEST(how_long_a_tier_has_served_is_known)
{
    setup(wide());
    pass(5 * SECOND);
    EXPECT(relay_lane_tier_usec(relay, 0) == 5 * SECOND);
    note(0, LARGE_BYTES, BATCHES);
    pass(2 * SECOND);
    EXPECT(relay_lane_tier_usec(relay, 0) == 2 * SECOND);
    EXPECT(relay_lane_tier_usec(relay, 1) == 7 * SECOND);
    end();
}

TEST(large_reads_are_large_batches_and_frames_cut_them_up)
{
    static uint8_t much[65536], frames[65536];
    struct relay_opts opts = wide();

    setup(opts);
    for (unsigned i = 0; i < BATCHES; i++) {
        fake_feed(CLIENT, much, sizeof much);
        turn();
    }
    EXPECT(relay->tier[0] == 0);
    end();

    for (size_t i = 0; i < sizeof frames; i += 4)
        memcpy(frames + i, "\x82\x02xy", 4);
    opts.is_websocket = true;
    setup(opts);
    for (unsigned i = 0; i < 3 * BATCHES; i++) {
        fake_feed(SERVER, frames, sizeof frames);
        turn();
        fake_fd[CLIENT].out_len = 0;
        fake_room(CLIENT, sizeof frames);
    }
    EXPECT(relay->tier[1] == 1);
    end();
}
