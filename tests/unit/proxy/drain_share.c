#include "crew.h"

#define connection_close_with note_close
#include "proxy/drain_share.c"

static struct drain *begin_drain(uint64_t over_usec, bool is_granted)
{
    const struct drain_spec spec = {
        .kind = DRAIN_SERVER,
        .server = member[0],
        .over_usec = over_usec,
        .reason = REASON_DRAINED,
        .is_granted = is_granted,
    };
    struct drain *drain;

    EXPECT(drains_start(&all_drains, &spec, &drain) == 0);
    turn();
    return drain;
}

/* 40 tunnels to the first server and 10 to another, most of them on one worker. */
static void join_fifty(void)
{
    for (unsigned i = 0; i < 50; i++)
        join(i, i < 40 ? 0 : 1, member[i % 5 ? 0 : 1]);
}

TEST(its_own_are_closed_evenly_whatever_each_worker_has)
{
    crew_begin();
    join_fifty();
    struct drain *drain = begin_drain(4 * SECOND, false);
    EXPECT(progress(drain).found == 40 && progress(drain).left == 40);
    for (unsigned i = 1; i <= 4; i++) {
        pass(SECOND);
        EXPECT(asked_count >= 10 * i - 1 && asked_count <= 10 * i + 1);
    }
    EXPECT(asked_count == 40 && asked_code == 1012 && !progress(drain).is_done);
    part_asked();
    turn();
    EXPECT(progress(drain).closed == 40 && progress(drain).left == 0 && crowd[0] && crowd[45]);
    EXPECT(progress(drain).is_done && list_is_empty(&crew[0]->drains));
    drain_unref(drain);
    crew_end();
}

TEST(the_old_and_the_new_end_alike)
{
    unsigned old = 0;

    crew_begin();
    for (unsigned i = 0; i < 60; i++)
        join(i, 0, member[0]);
    drain_unref(begin_drain(6 * SECOND, false));
    pass(3 * SECOND);
    for (unsigned i = 0; i < asked_count; i++)
        old += order[i] < 30;
    EXPECT(asked_count >= 29 && asked_count <= 31 && old >= 12 && old <= 18);
    crew_end();
}

TEST(who_joins_while_it_runs_is_closed_as_well_and_without_a_window_at_once)
{
    crew_begin();
    join(0, 0, member[0]);
    struct connection *waits = join(1, 1, member[0]);
    waits->is_tunnel = false; /* its handshake is under way */
    struct drain *drain = begin_drain(0, false);
    turn();
    EXPECT(asked_count == 1 && progress(drain).found == 1 && progress(drain).requests == 1);
    part(0);
    pass(SECOND);
    EXPECT(!progress(drain).is_done);
    waits->is_tunnel = true;
    drains_joined(waits);
    turn();
    EXPECT(was_asked[1] == 1 && progress(drain).found == 2);
    part(1);
    pass(SECOND);
    EXPECT(progress(drain).is_done && progress(drain).closed == 2 && progress(drain).requests == 0);
    drain_unref(drain);
    crew_end();
}

TEST(who_comes_to_one_that_is_done_makes_it_go_on)
{
    struct drain_spec spec = {.kind = DRAIN_SERVER, .reason = REASON_DRAINED, .keeps_out = true};
    struct drain *drain;

    crew_begin();
    spec.server = member[0];
    EXPECT(drains_start(&all_drains, &spec, &drain) == 0);
    turn();
    turn();
    EXPECT(progress(drain).is_done && drain_is_live(drain));
    join(0, 1, member[0]);
    EXPECT(!progress(drain).is_done);
    turn();
    EXPECT(was_asked[0] == 1 && !progress(drain).is_done);
    part(0);
    turn();
    EXPECT(progress(drain).is_done && progress(drain).closed == 1);
    drains_undo(&all_drains, drain);
    drain_unref(drain);
    crew_end();
}

TEST(who_leaves_by_himself_is_counted_apart_and_asked_for_nothing)
{
    crew_begin();
    for (unsigned i = 0; i < 10; i++)
        join(i, i % 2, member[0]);
    struct drain *drain = begin_drain(10 * SECOND, false);
    for (unsigned i = 0; i < 10; i++)
        part(i);
    turn();
    EXPECT(asked_count == 0 && progress(drain).ended == 10 && progress(drain).closed == 0);
    EXPECT(progress(drain).is_done);
    drain_unref(drain);
    crew_end();
}

TEST(undone_it_leaves_the_others_alone)
{
    crew_begin();
    for (unsigned i = 0; i < 10; i++)
        join(i, i % 2, member[0]);
    struct drain *drain = begin_drain(10 * SECOND, false);
    pass(5 * SECOND);
    unsigned before = asked_count;
    drains_undo(&all_drains, drain);
    drains_undo(&all_drains, drain); /* harmless */
    pass(10 * SECOND);
    EXPECT(before >= 4 && before <= 6 && asked_count == before);
    EXPECT(progress(drain).is_done && progress(drain).is_undone);
    EXPECT(progress(drain).closed == before && progress(drain).left == 10 - before);
    drain_unref(drain);
    crew_end();
}

TEST(two_of_them_count_the_same_tunnel)
{
    crew_begin();
    join(0, 0, member[0])->is_unaligned = true;
    struct drain *slow = begin_drain(3600 * SECOND, false);
    struct drain *fast = begin_drain(0, false);
    turn();
    EXPECT(was_asked[0] == 1);
    part(0);
    turn();
    EXPECT(progress(slow).closed == 1 && progress(fast).closed == 1);
    EXPECT(progress(slow).is_done && progress(fast).is_done && progress(fast).unaligned == 1);
    drain_unref(slow);
    drain_unref(fast);
    crew_end();
}

TEST(what_is_granted_is_closed_and_what_cannot_be_used_is_given_back)
{
    crew_begin();
    for (unsigned i = 0; i < 6; i++)
        join(i, i < 5 ? 0 : 1, member[0]);
    struct drain *drain = begin_drain(0, true);
    pass(SECOND);
    EXPECT(asked_count == 0);
    EXPECT(drain_grant(drain, 3) == 3);
    turn();
    EXPECT(asked_count == 3 && drain_pending(drain) == 3);
    part_asked();
    EXPECT(drain_pending(drain) == 0);
    EXPECT(drain_grant(drain, 10) == 3 && drain_pending(drain) == 3);
    part_all(); /* before the letter is read */
    turn();
    EXPECT(asked_count == 3 && drain_pending(drain) == 0);
    join(7, 0, member[0]);
    turn();
    EXPECT(was_asked[7] == 0 && drain_grant(drain, 1) == 1);
    turn();
    EXPECT(was_asked[7] == 1);
    drains_undo(&all_drains, drain);
    drain_unref(drain);
    crew_end();
}

TEST(the_node_is_kept_out_until_the_last_of_its_drains_is_undone)
{
    const struct drain_spec spec = {
        .kind = DRAIN_NODE, .reason = REASON_DRAINED, .keeps_out = true};
    struct drain *one, *two;

    crew_begin();
    EXPECT(drains_start(&all_drains, &spec, &one) == 0 &&
           drains_start(&all_drains, &spec, &two) == 0);
    turn();
    turn();
    EXPECT(progress(one).is_done && drain_is_live(one) && drains_whole_node(&all_drains));
    EXPECT(crew[0]->is_draining && crew[1]->is_draining);
    EXPECT(drains_refusal(crew[0], &(struct route){0}) == REASON_NODE_DRAINED);
    drains_undo(&all_drains, one);
    turn();
    EXPECT(crew[0]->is_draining && drains_whole_node(&all_drains));
    drains_undo(&all_drains, two);
    turn();
    EXPECT(!crew[0]->is_draining && !drains_whole_node(&all_drains));
    EXPECT(drains_refusal(crew[0], &(struct route){0}) == REASON_DONE);
    drain_unref(one);
    drain_unref(two);
    crew_end();
}
