/* Four workers with threads of their own, and more guests than seats: some wait for ever, some not
 * long, some have tried a server already, some come under the next configuration. No server ever
 * has more than its seats taken, everyone who waits for ever is served (else this test does not
 * end), and in the end no seat is taken and no one waits. Under -Db_sanitize=thread it shows that
 * nothing races.
 *
 * Meanwhile the main thread changes weights, and takes a server out and in again. */
#include "base/random.h"
#include "pool/pool.h"
#include "test.h"

#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#define WORKERS 4
#define SERVERS 3
#define SEATS   2
#define AT_ONCE 24    /* guests, on each worker */
#define GUESTS  20000 /* on each worker, one after another */

#define GUEST_STEPS(STEP)                                                                          \
    STEP(come) /* until there is a seat */                                                         \
    STEP(sit)  /* until it was asked often enough */

/* Of one worker: lets in the next guest when one has left. */
struct door {
    struct worker worker;
    struct random random;
    struct task task;
    unsigned inside, to_come;
};

struct guest {
    struct flow flow;
    struct pool *pool; /* borrowed */
    struct tried tried;
    struct waiter *waiter;
    struct server *seat;
    size_t member;
    uint64_t patience_usec;
    unsigned stay; /* turns at the table */
};
FLOW(guest, GUEST_STEPS)

static struct pool *pools[2]; /* two configurations */
static struct members *all;   /* of both: the same servers */
static struct door doors[WORKERS];
static atomic_uint at_table[SERVERS], too_many, served, gave_up, doors_open;
static sem_t all_gone;

static struct door *door_of(const struct guest *g)
{
    return container_of(worker_of(&g->flow), struct door, worker);
}

static size_t member_of(const struct server *server)
{
    size_t i = 0;

    while (members_server(all, i) != server)
        i++;
    return i;
}

static enum next come(struct guest *g)
{
    const struct pool_ask ask = {.tried = &g->tried};

    if (!g->waiter)
        g->seat = pool_pick(g->pool, &ask, NULL);
    if (!g->waiter && !g->seat)
        CHECK(pool_wait(g->pool, &ask, &g->flow, &g->waiter) == 0);
    if (g->waiter)
        g->seat = waiter_take(&g->waiter, NULL);
    if (!g->seat)
        return flow_wait_notice(&g->flow, WITHIN(g->patience_usec, REASON_QUEUE_TOO_SLOW));
    g->member = member_of(g->seat);
    if (atomic_fetch_add(&at_table[g->member], 1) >= SEATS)
        atomic_fetch_add(&too_many, 1);
    return NEXT;
}

static enum next sit(struct guest *g)
{
    if (g->stay-- == 0)
        return flow_leave(&g->flow, REASON_DONE);
    flow_wake(&g->flow);
    return flow_wait_notice(&g->flow, WITHIN(FOREVER, REASON_LIFETIME));
}

static void guest_leave(struct guest *g)
{
    struct door *door = door_of(g);

    waiter_leave(g->waiter);
    atomic_fetch_add(g->seat ? &served : &gave_up, 1);
    if (g->seat) {
        atomic_fetch_sub(&at_table[g->member], 1);
        pool_release(g->seat);
    }
    door->inside--;
    loop_post(&door->worker.runner.loop, &door->task);
}

static void let_in(struct door *door)
{
    struct guest *g = calloc(1, sizeof *g);

    CHECK(g);
    g->pool = pools[random_below(&door->random, 2)];
    if (random_below(&door->random, 4) == 0)
        g->tried = (struct tried){
            1, {members_server(all, (size_t)random_below(&door->random, SERVERS))->id}};
    g->patience_usec =
        random_below(&door->random, 4) == 0 ? FOREVER : 1000 * random_below(&door->random, 3);
    g->stay = (unsigned)random_below(&door->random, 40);
    door->inside++;
    door->to_come--;
    flow_start(&g->flow, &guest_kind, &door->worker.runner, NULL);
}

static void mind_the_door(struct task *task)
{
    struct door *door = container_of(task, struct door, task);

    while (door->to_come && door->inside < AT_ONCE)
        let_in(door);
    if (!door->inside && atomic_fetch_sub(&doors_open, 1) == 1)
        sem_post(&all_gone);
}

static void write_nowhere(struct log *log, struct bytes line)
{
    (void)log;
    (void)line;
}

static void make_pools(const char *balancer)
{
    struct pool_member_spec spec[SERVERS];

    for (unsigned i = 0; i < SERVERS; i++) {
        spec[i] = (struct pool_member_spec){.weight = 1 + i, .max_connections = SEATS};
        EXPECT(address_parse((const char *[]){"127.0.0.1:1", "[::1]:2", "127.0.0.1:3"}[i],
                             &spec[i].address) == 0);
    }
    EXPECT(pool_new("chat", balancer_find(balancer), spec, SERVERS, NULL, &pools[0]) == 0);
    EXPECT(pool_new("chat", balancer_find(balancer), spec, SERVERS, pools[0], &pools[1]) == 0);
    all = pool_members(pools[1]);
}

static void open_door(struct door *door, unsigned number)
{
    static struct log nowhere = {.write = write_nowhere};

    *door = (struct door){.to_come = GUESTS};
    random_init(&door->random, number);
    EXPECT(worker_init(&door->worker, number, &nowhere) == 0);
    task_init(&door->task, mind_the_door);
    loop_post(&door->worker.runner.loop, &door->task);
}

static void open_doors(void)
{
    atomic_store(&served, 0);
    atomic_store(&gave_up, 0);
    atomic_store(&doors_open, WORKERS);
    EXPECT(sem_init(&all_gone, 0, 0) == 0);
    for (unsigned i = 0; i < WORKERS; i++)
        open_door(&doors[i], i);
    for (unsigned i = 0; i < WORKERS; i++)
        EXPECT(worker_start(&doors[i].worker) == 0);
}

static void change(enum pool_change_kind what, unsigned number)
{
    const struct server *server = members_server(all, number % SERVERS);
    const struct pool_change change = {
        .what = what,
        .member = {.address = server->address, .weight = 1 + number % 7, .max_connections = SEATS},
    };

    EXPECT(pool_change(pools[number % 2], &change) == 0);
}

/* Nobody is refused for want of a server: it is out for no longer than two others serve. */
static void change_something(unsigned number)
{
    change(CHANGE_WEIGHT, number);
    change(CHANGE_REMOVE, number);
    change(CHANGE_ADD, number);
}

/* When all have been in and out: else the test fails. */
static void close_doors(void)
{
    const struct timespec pause = {.tv_nsec = 200000};
    struct timespec limit, now;

    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 25;
    for (unsigned i = 0; sem_trywait(&all_gone) != 0; i++) {
        change_something(i);
        clock_gettime(CLOCK_REALTIME, &now);
        EXPECT(now.tv_sec < limit.tv_sec);
        nanosleep(&pause, NULL);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        worker_stop(&doors[i].worker);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_done(&doors[i].worker);
}

static void crowd_in(const char *balancer)
{
    make_pools(balancer);
    open_doors();
    close_doors();

    EXPECT(atomic_load(&too_many) == 0);
    EXPECT(atomic_load(&served) + atomic_load(&gave_up) == WORKERS * GUESTS);
    EXPECT(atomic_load(&served) > WORKERS * GUESTS / 4);
    EXPECT(pool_waiting(pools[0]) == 0);
    for (unsigned i = 0; i < SERVERS; i++) {
        EXPECT(pool_has(pools[0], members_server(all, i)) &&
               pool_has(pools[1], members_server(all, i)));
        EXPECT(atomic_load(&members_server(all, i)->active) == 0 && at_table[i] == 0);
    }
    members_unref(all);
    pool_unref(pools[0]);
    pool_unref(pools[1]);
}

TEST(a_crowd_is_served_by_least_connections)
{
    crowd_in("least_connections");
}

TEST(a_crowd_is_served_by_round_robin)
{
    crowd_in("round_robin");
}
