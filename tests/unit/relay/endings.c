#include "relay/endings.c"

#include "pair.h"

static void check_action(const struct ending *row, unsigned lane)
{
    unsigned other = !lane;
    int to = lane == 0 ? SERVER : CLIENT;
    bool is_over = row->action == END_ALL;

    EXPECT(fake_fd[to].is_ended == (row->action == PASS_END));
    EXPECT(relay_is_over(relay) == is_over);
    EXPECT(relay_end_is_reset(relay, other) == (row->action == DROP_OTHER));
    EXPECT(relay_end_is_reset(relay, lane) == (row->action == DROP_OWN));
    EXPECT(relay->lane[other].state == (row->action == DROP_OTHER ? LANE_DONE : LANE_OPEN));
    EXPECT(list_is_empty(&relay->again.node) == (row->action != DROP_OWN));
}

TEST(every_row_does_what_it_says_on_either_lane)
{
    begin_without_relay();
    for (size_t i = 0; i < ARRAY_LEN(endings); i++)
        for (unsigned lane = 0; lane < 2; lane++) {
            const struct ending *row = &endings[i];
            uint8_t is = row->state == LANE_ANY ? LANE_OPEN : row->state;
            uint8_t next = row->next == LANE_ANY ? is : row->next;

            start(usual());
            fake_fd[SERVER].undelivered = fake_fd[CLIENT].undelivered = 1; /* BREAKING stays */
            relay->lane[lane].state = is;
            relay_found(relay, lane, row->event);
            if (next == LANE_STOPPED && row->action == NOTHING)
                next = LANE_DONE; /* nothing was unsent */
            EXPECT(relay->lane[lane].state == next);
            EXPECT(relay->reason == row->reason[lane]);
            check_action(row, lane);
            pair_close();
            pair_open();
        }
    end();
}

TEST(no_row_is_shadowed_by_another)
{
    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        uint8_t is = endings[i].state == LANE_ANY ? LANE_OPEN : endings[i].state;
        EXPECT(find(is, endings[i].event) == &endings[i]);
    }
}

TEST(a_lane_that_is_done_finds_nothing_more)
{
    for (unsigned event = FOUND_END; event <= FOUND_TARGET_SLOW; event++)
        EXPECT(find(LANE_DONE, event) == NULL);
}

TEST(the_first_reason_stands)
{
    setup(usual());
    relay_found(relay, 1, FOUND_TARGET_GONE);
    relay_found(relay, 0, FOUND_SOURCE_SLOW);
    turn();
    EXPECT(over_for(REASON_CLIENT_RESET));
    end();
}

TEST(a_lane_that_waits_for_its_backlog_is_done_with_the_last_byte)
{
    setup(raw());
    fake_fd[SERVER].out_room = 2;
    fake_input(CLIENT, "abcd");
    turn();
    relay_found(relay, 0, FOUND_BOUNDARY);
    EXPECT(to_server->state == LANE_STOPPED);
    fake_room(SERVER, 1);
    turn();
    EXPECT(to_server->state == LANE_STOPPED);
    fake_room(SERVER, 1);
    turn();
    EXPECT(to_server->state == LANE_DONE);
    end();
}

TEST(a_lost_network_is_told_from_a_reset)
{
    setup(raw());
    fake_fd[CLIENT].error = -ETIMEDOUT;
    fake_event(CLIENT, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    turn();
    EXPECT(over_for(REASON_CLIENT_UNREACHABLE) && relay_end_is_reset(relay, 1));
    end();

    setup(raw());
    fake_fd[SERVER].error = -EHOSTUNREACH; /* found by writing */
    fake_input(CLIENT, "x");
    turn();
    EXPECT(relay->reason == REASON_SERVER_UNREACHABLE && relay_end_is_reset(relay, 0));
    end();
}
