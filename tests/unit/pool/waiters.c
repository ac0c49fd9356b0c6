/* Two workers, turned by hand, show who is served and when. */
#include "pool/waiters.c"

#include "test.h"

/* --- a guest: comes, waits, sits
 * -------------------------------------------------------------------- */

#define GUEST_STEPS(STEP)                                                                          \
    STEP(come) /* until there is a seat */                                                         \
    STEP(sit)  /* until it is told to go */

struct guest {
    struct flow flow;
    struct pool *pool; /* borrowed */
    struct tried tried;
    bool has_seen_it_full; /* already: it joins the queue at once */
    struct waiter *waiter;
    struct server *seat;
    size_t member;
    struct choice *choice;
};
FLOW(guest, GUEST_STEPS)

static unsigned seated;           /* so many have got a seat */
static struct guest *last_seated; /* by hand only */

static enum next come(struct guest *g)
{
    const struct pool_ask ask = {.tried = &g->tried};

    if (!g->waiter && !g->has_seen_it_full)
        g->seat = pool_pick(g->pool, &ask, &g->choice);
    if (!g->waiter && !g->seat)
        CHECK(pool_wait(g->pool, &ask, &g->flow, &g->waiter) == 0);
    if (!g->seat)
        g->seat = waiter_take(&g->waiter, &g->choice);
    if (g->seat)
        g->member = g->choice->seen[g->choice->chosen].member;
    return g->seat ? NEXT : flow_wait_notice(&g->flow, WITHIN(FOREVER, REASON_QUEUE_TOO_SLOW));
}

static enum next sit(struct guest *g)
{
    if (last_seated != g) {
        seated++;
        last_seated = g;
    }
    return flow_wait_notice(&g->flow, WITHIN(FOREVER, REASON_LIFETIME));
}

static void guest_leave(struct guest *g)
{
    waiter_leave(g->waiter);
    if (g->seat)
        pool_release(g->seat);
    choice_free(g->choice);
}

/* --- a house with two workers, turned by hand
 * ------------------------------------------------------- */

static void write_nowhere(struct log *log, struct bytes line)
{
    (void)log;
    (void)line;
}

static struct log nowhere = {.write = write_nowhere};
static struct worker worker[2];

static void open_house(void)
{
    seated = 0;
    last_seated = NULL;
    for (unsigned i = 0; i < 2; i++)
        EXPECT(worker_init(&worker[i], i, &nowhere) == 0);
}

static void close_house(void)
{
    for (unsigned i = 0; i < 2; i++)
        runner_stop_all(&worker[i].runner, REASON_STOPPING);
    for (unsigned i = 0; i < 2; i++)
        worker_done(&worker[i]);
}

static void do_nothing(struct task *task)
{
    (void)task;
}

/* Both workers' turns, until letters of the one to the other have come; never asleep. */
static void turn_all(void)
{
    for (unsigned i = 0; i < 6; i++) {
        struct task awake;
        task_init(&awake, do_nothing);
        loop_post(&worker[i % 2].runner.loop, &awake);
        EXPECT(worker_turn(&worker[i % 2]) == 0);
    }
}

static struct guest *arrive(struct pool *pool, unsigned worker_number)
{
    struct guest *g = calloc(1, sizeof *g);

    g->pool = pool;
    flow_start(&g->flow, &guest_kind, &worker[worker_number].runner, NULL);
    return g;
}

static struct pool *pool_with(unsigned servers, uint32_t max_connections, struct pool *before)
{
    struct pool_member_spec spec[4];
    struct pool *pool = NULL;

    for (unsigned i = 0; i < servers; i++) {
        spec[i] = (struct pool_member_spec){.weight = 1, .max_connections = max_connections};
        EXPECT(address_parse(
                   (const char *[]){"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "[::1]:4"}[i],
                   &spec[i].address) == 0);
    }
    EXPECT(pool_new("chat", balancer_find("least_connections"), spec, servers, before, &pool) == 0);
    return pool;
}

static unsigned active_of(const struct pool *pool, size_t member)
{
    return atomic_load(&pool_server(pool, member)->active);
}

TEST(a_freed_seat_goes_to_the_longest_waiter_on_whatever_worker)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *guest[8];

    open_house();
    for (unsigned i = 0; i < 8; i++) {
        guest[i] = arrive(pool, i % 2);
        turn_all();
    }
    EXPECT(seated == 1 && pool_waiting(pool) == 7);
    for (unsigned i = 0; i < 7; i++) {
        flow_stop(&guest[i]->flow, REASON_DONE);
        turn_all();
        EXPECT(last_seated == guest[i + 1] && seated == i + 2);
        EXPECT(active_of(pool, 0) == 1 && pool_waiting(pool) == 6 - i);
        EXPECT(guest[i + 1]->member == 0 && guest[i + 1]->choice);
    }
    flow_stop(&guest[7]->flow, REASON_DONE);
    struct server *seat = pool_pick(pool, &(struct pool_ask){0}, NULL);
    EXPECT(seat); /* no one waits any more: newcomers need no queue */
    pool_release(seat);
    close_house();
    EXPECT(active_of(pool, 0) == 0);
    pool_unref(pool);
}

/* The seat was given back after the look and before the queue was joined: no one else will tell. */
TEST(who_joins_the_queue_too_late_for_the_last_release_is_served)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *late;

    open_house();
    late = arrive(pool, 1);
    late->has_seen_it_full = true;
    turn_all();
    EXPECT(last_seated == late && pool_waiting(pool) == 0);
    close_house();
    pool_unref(pool);
}

TEST(newcomers_do_not_overtake_who_waits)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *first, *second;
    const struct pool_ask any = {0};

    open_house();
    first = arrive(pool, 0);
    turn_all();
    second = arrive(pool, 1);
    turn_all();
    /* A seat that someone gives back elsewhere: for a moment it is free, and the queue not yet
     * served. */
    atomic_fetch_sub(&first->seat->active, 1);
    EXPECT(pool_pick(pool, &any, NULL) == NULL && pool_may_wait(pool, &any));
    pool_serve_waiters(pool);
    turn_all();
    EXPECT(last_seated == second);
    atomic_fetch_add(&first->seat->active, 1);
    close_house();
    EXPECT(active_of(pool, 0) == 0);
    pool_unref(pool);
}

TEST(who_leaves_the_queue_is_passed_over)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *guest[4];

    open_house();
    for (unsigned i = 0; i < 4; i++) {
        guest[i] = arrive(pool, i % 2);
        turn_all();
    }
    flow_stop(&guest[1]->flow, REASON_CLIENT_LEFT);
    EXPECT(pool_waiting(pool) == 2);
    flow_stop(&guest[0]->flow, REASON_DONE);
    turn_all();
    EXPECT(last_seated == guest[2]);
    close_house();
    EXPECT(active_of(pool, 0) == 0 && pool_waiting(pool) == 0);
    pool_unref(pool);
}

TEST(a_seat_whose_letter_finds_no_one_goes_to_the_next)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *guest[3];

    open_house();
    for (unsigned i = 0; i < 3; i++) {
        guest[i] = arrive(pool, i % 2);
        turn_all();
    }
    flow_stop(&guest[0]->flow, REASON_DONE); /* the letter to guest 1 is on its way */
    flow_stop(&guest[1]->flow, REASON_CLIENT_LEFT);
    EXPECT(active_of(pool, 0) == 1 && pool_waiting(pool) == 1);
    turn_all();
    EXPECT(last_seated == guest[2] && active_of(pool, 0) == 1);
    close_house();
    pool_unref(pool);
}

TEST(who_has_a_seat_knows_it_before_his_letter_has_come)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *first, *second;

    open_house();
    first = arrive(pool, 0);
    turn_all();
    second = arrive(pool, 1);
    turn_all();
    EXPECT(!waiter_has_seat(second->waiter));
    flow_stop(&first->flow, REASON_DONE); /* the letter is on its way */
    EXPECT(waiter_has_seat(second->waiter) && waiter_take(&second->waiter, NULL) == NULL);
    turn_all();
    EXPECT(last_seated == second);
    close_house();
    pool_unref(pool);
}

TEST(a_letter_that_comes_after_its_worker_stopped_gives_the_seat_back)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *first;

    open_house();
    first = arrive(pool, 0);
    turn_all();
    arrive(pool, 1);
    turn_all();
    flow_stop(&first->flow, REASON_DONE);
    close_house(); /* delivers what is left */
    EXPECT(active_of(pool, 0) == 0 && pool_waiting(pool) == 0);
    pool_unref(pool);
}

TEST(who_leaves_after_his_letter_came_gives_the_seat_back)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *first, *second, *third;

    open_house();
    first = arrive(pool, 0);
    turn_all();
    second = arrive(pool, 1);
    turn_all();
    third = arrive(pool, 0);
    turn_all();
    flow_stop(&first->flow, REASON_DONE);
    EXPECT(mailbox_deliver(&worker[1].mailbox) == 1); /* and before the flow is asked, it must go */
    flow_stop(&second->flow, REASON_CLIENT_LEFT);
    turn_all();
    EXPECT(last_seated == third && active_of(pool, 0) == 1);
    close_house();
    EXPECT(active_of(pool, 0) == 0);
    pool_unref(pool);
}

/* Of two servers, both full: one waiter has tried the first in vain, and waits for the second
 * alone. */
TEST(a_waiter_gets_no_server_that_it_tried_and_holds_up_the_others_only_while_it_waits)
{
    struct pool *pool = pool_with(2, 1, NULL);
    struct guest *on[2], *picky, *other, *g;

    open_house();
    for (unsigned i = 0; i < 2; i++) {
        g = arrive(pool, 0);
        turn_all();
        on[g->member] = g;
    }
    picky = arrive(pool, 1);
    picky->tried = (struct tried){.count = 1, .id = {pool_server(pool, 0)->id}};
    turn_all();
    other = arrive(pool, 0);
    turn_all();

    flow_stop(&on[0]->flow, REASON_DONE);
    turn_all();
    EXPECT(seated == 2 && pool_waiting(pool) == 2); /* first come, first served */
    flow_stop(&picky->flow, REASON_QUEUE_TOO_SLOW);
    turn_all();
    EXPECT(last_seated == other && other->member == 0 && pool_waiting(pool) == 0);
    close_house();
    pool_unref(pool);
}

TEST(who_waits_under_the_old_configuration_does_not_hold_up_the_new)
{
    struct pool *old = pool_with(1, 1, NULL), *new;
    struct guest *sitting, *waiting[2], *newcomer[2];

    open_house();
    sitting = arrive(old, 0);
    turn_all();
    for (unsigned i = 0; i < 2; i++) {
        waiting[i] = arrive(old, i);
        turn_all();
    }
    new = pool_with(2, 1, old); /* a second server */
    newcomer[0] = arrive(new, 0);
    turn_all();
    EXPECT(last_seated == newcomer[0] && newcomer[0]->member == 1);
    newcomer[1] = arrive(new, 1);
    turn_all();
    EXPECT(pool_waiting(new) == 3 && pool_waiting(old) == 3);

    flow_stop(&newcomer[0]->flow,
              REASON_DONE); /* the second server's seat: the old ones do not know it */
    turn_all();
    EXPECT(last_seated == newcomer[1] && newcomer[1]->member == 1);
    flow_stop(&sitting->flow,
              REASON_DONE); /* the first server's: who has waited longest, under either */
    turn_all();
    EXPECT(last_seated == waiting[0] && pool_waiting(new) == 1);
    close_house();
    EXPECT(active_of(new, 0) == 0 && active_of(new, 1) == 0 && pool_waiting(new) == 0);
    pool_unref(old);
    pool_unref(new);
}

TEST(a_pool_lives_as_long_as_someone_waits_for_it)
{
    struct pool *pool = pool_with(1, 1, NULL);
    struct guest *first;

    open_house();
    first = arrive(pool, 0);
    turn_all();
    arrive(pool, 1);
    turn_all();
    pool_unref(pool);
    flow_stop(&first->flow, REASON_DONE);
    turn_all();
    EXPECT(seated == 2);
    close_house();
}
