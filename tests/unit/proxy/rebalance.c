#include "crew.h"

#include "proxy/rebalance.c"

static struct rebalances all;
static struct snapshot snapshot, *in_force = &snapshot;
static struct settings settings;
static struct pool_settings pool_settings = {.name = "chat"};

static void open_crew(void)
{
    crew_begin();
    settings = (struct settings){.pools = &pool_settings, .pool_count = 1};
    snapshot = (struct snapshot){.settings = &settings, .pools = &chat_pool};
    rebalances_init(&all, &all_drains, &in_force);
}

static void finish_all(void)
{
    rebalances_done(&all);
    for (unsigned i = 0; i < 3; i++)
        atomic_store(&member[i]->tunnels, 0);
    crew_end();
}

static void fill(unsigned from, unsigned to, struct server *where)
{
    for (unsigned i = from; i < to; i++) {
        join(i, i % WORKERS, where);
        atomic_fetch_add(&where->tunnels, 1);
    }
}

static struct connection *asked_of(struct drain_share *share, size_t i)
{
    return share->entry[i].is_asked ? share->entry[i].c : NULL;
}

/* Those whose end a worker was told to bring about: here nothing relays, so a test ends them. */
static unsigned end_share(struct drain_share *share, unsigned ret_ended[3])
{
    unsigned count = 0;

    for (size_t i = 0; i < share->count; i++) {
        struct connection *c = asked_of(share, i);
        if (!c)
            continue;
        c->end_reason = REASON_REBALANCED;
        atomic_fetch_sub(&c->chosen->tunnels, 1);
        ret_ended[c->chosen == member[0] ? 0 : 1]++;
        count++;
        part((unsigned)(c->flow.number >> RUNNER_NUMBER_BITS) - 1);
    }
    return count;
}

static unsigned ended[3]; /* by server, in the last end_asked */

static unsigned end_asked(void)
{
    unsigned count = 0;

    memset(ended, 0, sizeof ended);
    for (unsigned w = 0; w < WORKERS; w++)
        list_each(node, &crew[w]->drains)
            count += end_share(container_of(node, struct drain_share, node), ended);
    return count;
}

static struct rebalance *start(const char *rate_of, uint64_t a_second, uint64_t tolerance)
{
    const struct rebalance_spec spec = {rate_of, {a_second, SECOND}, tolerance};
    struct rebalance *r = NULL;

    EXPECT(rebalance_start(&all, &spec, &r) == 0);
    return r;
}

TEST(the_fullest_are_emptied_at_the_rate_and_no_further)
{
    struct rebalance_progress at;
    unsigned closed = 0;

    open_crew();
    fill(0, 30, member[0]);
    fill(30, 60, member[1]);
    struct rebalance *r = start("chat", 10, 10);
    rebalance_progress(r, &at);
    EXPECT(at.left == 16 && at.above_percent == 50);
    for (unsigned i = 0; i < 40; i++) {
        pass(SECOND / 20);
        closed += end_asked();
        EXPECT(closed <= 2 + i / 2 + 1);
    }
    rebalance_progress(r, &at);
    EXPECT(closed == 16 && at.closed == 16 && at.left == 0 && at.is_done);
    EXPECT(atomic_load(&member[0]->tunnels) == 22 && atomic_load(&member[1]->tunnels) == 22);
    EXPECT(at.above_percent == 10);
    finish_all();
}

TEST(what_is_closing_already_is_not_counted_twice)
{
    open_crew();
    fill(0, 30, member[0]);
    fill(30, 60, member[1]);
    start("chat", 1000, 10);
    pass(SECOND); /* nobody has ended yet */
    EXPECT(end_asked() == 16 && ended[0] == 8 && ended[1] == 8);
    finish_all();
}

/* As with a balancer that sends everyone back to where he was. */
TEST(whoever_comes_back_to_the_fullest_does_not_make_it_go_on_for_ever)
{
    struct rebalance_progress at;
    unsigned closed = 0;

    open_crew();
    fill(0, 30, member[0]);
    struct rebalance *r = start("chat", 100, 10);
    rebalance_progress(r, &at);
    EXPECT(at.left == 19);
    for (unsigned i = 0; i < 100; i++) {
        pass(SECOND / 20);
        unsigned now = end_asked();
        fill(30 + closed % 30, 30 + closed % 30 + (now && closed % 30 + now <= 30 ? now : 0),
             member[0]);
        closed += now;
    }
    rebalance_progress(r, &at);
    EXPECT(closed == 19 && at.is_done && at.above_percent > 10);
    finish_all();
}

TEST(one_at_a_time_of_a_pool_that_there_is)
{
    const struct rebalance_spec none = {"none", {0}, 10}, chat = {"chat", {0}, 10};
    struct rebalance *r;

    open_crew();
    fill(0, 30, member[0]);
    start("chat", 1, 10);
    EXPECT(rebalance_start(&all, &chat, &r) == -EBUSY);
    EXPECT(rebalance_start(&all, &none, &r) == -ENOENT);
    finish_all();
}

TEST(stopped_it_closes_no_more_and_a_pool_that_goes_stops_it)
{
    struct rebalance_progress at;

    open_crew();
    fill(0, 30, member[0]);
    struct rebalance *r = start("chat", 10, 0);
    pass(SECOND / 2);
    unsigned closed = end_asked();
    rebalance_stop(r);
    rebalance_progress(r, &at);
    EXPECT(at.is_done && at.is_undone && at.closed == closed && closed >= 4 && closed <= 6);
    pass(SECOND);
    EXPECT(end_asked() == 0);
    r = start("chat", 10, 0);
    settings.pool_count = 0;
    pass(SECOND);
    rebalance_progress(r, &at);
    EXPECT(at.is_done && !at.is_undone);
    finish_all();
}

TEST(who_may_not_be_chosen_takes_no_part)
{
    struct rebalance_progress at;

    open_crew();
    fill(0, 30, member[0]);
    server_set_admin(member[1], SERVER_DRAIN, fake_now_usec);
    server_set_admin(member[2], SERVER_DOWN, fake_now_usec);
    rebalance_progress(start("chat", 10, 10), &at);
    EXPECT(at.left == 0);
    pass(SECOND);
    EXPECT(end_asked() == 0);
    finish_all();
}
