#include "relay/pipes.c"

#include "pair.h"

TEST(an_empty_pipe_is_used_again)
{
    setup(usual());
    EXPECT(lane_pipe_take(relay, 0) && relay->pipe[0] == 1);
    lane_pipe_drop(relay, 0);
    EXPECT(lane_pipe_take(relay, 1) && relay->pipe[1] == 1 && fake_pipes_open() == 1);
    EXPECT(lane_pipe_take(relay, 0) && relay->pipe[0] == 2 && fake_pipes_open() == 2);
    lane_pipe_drop(relay, 1);
    lane_pipe_drop(relay, 1);
    lane_pipe_drop(relay, 0);
    EXPECT(shared.pipes_taken == 0 && shared.pipes_open == 2);
    end();
}

TEST(what_stays_in_a_pipe_counts_until_it_leaves)
{
    setup(usual());
    lane_pipe_take(relay, 0);
    lane_pipe(relay, 0)->bytes = 500;
    lane_pipe_count(relay, 0);
    EXPECT(shared.unsent_bytes == 500);
    lane_pipe(relay, 0)->bytes = 100;
    lane_pipe_count(relay, 0);
    EXPECT(shared.unsent_bytes == 100);
    lane_pipe_drop(relay, 0);
    EXPECT(shared.unsent_bytes == 0 && fake_pipes_open() == 0); /* it was not empty */
    end();
}

TEST(few_rest_and_no_more_than_the_most_are_open)
{
    setup(usual());
    for (unsigned i = 0; i < RELAY_PIPES_MAX; i++) {
        EXPECT(!pipes_are_short(&shared) && lane_pipe_take(relay, 0));
        relay->pipe[0] = 0; /* held by some other lane */
    }
    EXPECT(pipes_are_short(&shared) && !lane_pipe_take(relay, 0));
    EXPECT(shared.pipe_error == -EBUSY);
    for (unsigned i = 1; i <= RELAY_PIPES_MAX; i++) {
        relay->pipe[0] = (uint8_t)i;
        lane_pipe_drop(relay, 0);
    }
    EXPECT(fake_pipes_open() == PIPES_AT_REST && shared.pipes_open == PIPES_AT_REST);
    end();
}

TEST(a_pipe_that_is_too_small_or_takes_a_spare_descriptor_is_none)
{
    setup(usual());
    fake_calls.pipe_size = PIPE_LEAST_BYTES - 1;
    EXPECT(!lane_pipe_take(relay, 0) && shared.pipe_error == -ENOBUFS);
    fake_calls.pipe_size = PIPE_LEAST_BYTES;
    EXPECT(lane_pipe_take(relay, 0) && shared.pipe_error == 0);
    pair_worker.runner.loop.descriptor_ceiling = FAKE_PIPE + 3; /* the second pipe ends on it */
    EXPECT(!lane_pipe_take(relay, 1) && shared.pipe_error == -EMFILE);
    pair_worker.runner.loop.descriptor_ceiling = FAKE_PIPE + 4;
    EXPECT(lane_pipe_take(relay, 1));
    fake_calls.pipe_error = -EMFILE;
    lane_pipe_drop(relay, 0);
    lane_pipe_drop(relay, 1);
    EXPECT(fake_pipes_open() == 2);
    end();
}
