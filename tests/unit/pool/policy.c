/* Health, backups, panic, slow start, stickiness, sets, admission, and changes at run time: who is
 * chosen when. */
#include "pool/pool.c"

#include "base/random.h"
#include "test.h"

#include <stdio.h>

#define NOW  1000000000u
#define MANY 2000

static struct pool_member_spec at(unsigned port)
{
    struct pool_member_spec spec = {.weight = 1};
    char text[ADDRESS_TEXT_BYTES];

    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    EXPECT(address_parse(text, &spec.address) == 0);
    return spec;
}

static struct pool *pool_of(unsigned servers, unsigned backups, const char *balancer)
{
    struct pool_member_spec spec[64];
    struct pool *pool = NULL;

    for (unsigned i = 0; i < servers; i++) {
        spec[i] = at(i + 1);
        spec[i].is_backup = i >= servers - backups;
    }
    EXPECT(pool_new("chat", balancer_find(balancer), spec, servers, NULL, &pool) == 0);
    return pool;
}

struct tally {
    unsigned of[64], none;
};

static size_t index_of(const struct pool *pool, const struct server *server)
{
    size_t i = 0;

    while (pool_server(pool, i) != server)
        i++;
    return i;
}

/* Many choices, each seat given back at once. */
static struct tally choose_many(struct pool *pool, struct pool_ask ask)
{
    struct tally tally = {0};
    struct random random;

    random_init(&random, 7);
    ask.now_usec = ask.now_usec ? ask.now_usec : NOW;
    for (unsigned i = 0; i < MANY; i++) {
        ask.random = random_next(&random);
        struct server *server = pool_pick(pool, &ask, NULL);
        if (server)
            tally.of[index_of(pool, server)]++;
        else
            tally.none++;
        if (server)
            pool_release(server);
    }
    return tally;
}

TEST(who_is_not_usable_is_not_chosen)
{
    struct pool *pool = pool_of(4, 0, "least_connections");

    server_set_admin(pool_server(pool, 0), SERVER_DRAIN, NOW);
    server_set_check(pool_server(pool, 1), CHECK_DOWN, NOW);
    atomic_store(&pool_server(pool, 2)->passive.ejected_until_usec, NOW + 1);
    struct tally tally = choose_many(pool, (struct pool_ask){0});
    EXPECT(tally.of[3] == MANY);
    tally = choose_many(pool, (struct pool_ask){.now_usec = NOW + 1});
    EXPECT(tally.of[3] == MANY / 2 && tally.of[2] == MANY / 2);
    server_set_check(pool_server(pool, 3), CHECK_DRAINING, NOW);
    atomic_store(&pool_server(pool, 2)->admin, SERVER_DOWN);
    EXPECT(choose_many(pool, (struct pool_ask){.now_usec = NOW + 1}).none == MANY);
    EXPECT(!pool_may_wait(pool, &(struct pool_ask){.now_usec = NOW + 1}));
    pool_unref(pool);
}

TEST(backups_serve_when_no_other_can)
{
    struct pool *pool = pool_of(4, 2, "least_connections");

    struct tally tally = choose_many(pool, (struct pool_ask){0});
    EXPECT(tally.of[0] == MANY / 2 && tally.of[1] == MANY / 2);
    server_set_check(pool_server(pool, 0), CHECK_DOWN, NOW);
    EXPECT(choose_many(pool, (struct pool_ask){0}).of[1] == MANY);
    server_set_check(pool_server(pool, 1), CHECK_DOWN, NOW);
    tally = choose_many(pool, (struct pool_ask){0});
    EXPECT(tally.of[2] == MANY / 2 && tally.of[3] == MANY / 2);
    pool_unref(pool);
}

TEST(when_too_few_are_well_health_is_not_believed)
{
    struct pool *pool = pool_of(4, 0, "least_connections");
    const struct pool_policy policy = {.panic_percent = 50};

    pool_set_policy(pool, &policy);
    server_set_check(pool_server(pool, 0), CHECK_DOWN, NOW);
    server_set_check(pool_server(pool, 1), CHECK_DOWN, NOW);
    struct tally tally = choose_many(pool, (struct pool_ask){0});
    EXPECT(tally.of[0] == 0 && tally.of[1] == 0 && tally.none == 0); /* half: believed */
    server_set_check(pool_server(pool, 2), CHECK_DOWN, NOW);
    server_set_admin(pool_server(pool, 3), SERVER_DOWN, NOW); /* the operator is always believed */
    tally = choose_many(pool, (struct pool_ask){0});
    EXPECT(tally.of[3] == 0 && tally.none == 0);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(tally.of[i] > MANY / 4);
    pool_unref(pool);
}

TEST(a_recovered_server_is_part_of_a_growing_share_of_choices)
{
    struct pool *pool = pool_of(3, 0, "least_connections");
    const struct pool_policy policy = {.slow_start_usec = 1000000};
    struct server *recovered = pool_server(pool, 2);
    unsigned before = 0;

    pool_set_policy(pool, &policy);
    for (unsigned i = 0; i < 2; i++)
        atomic_store(&pool_server(pool, i)->active, 100);
    server_set_check(recovered, CHECK_DOWN, NOW);
    server_set_check(recovered, CHECK_UP, NOW);
    for (unsigned tenth = 1; tenth <= 9; tenth += 2) {
        uint64_t now = NOW + tenth * 100000;
        unsigned got = choose_many(pool, (struct pool_ask){.now_usec = now}).of[2];
        EXPECT(got > MANY / 10 * tenth - MANY / 20 && got < MANY / 10 * tenth + MANY / 20);
        EXPECT(got > before);
        before = got;
    }
    EXPECT(choose_many(pool, (struct pool_ask){.now_usec = NOW + 1000000}).of[2] == MANY);
    pool_unref(pool);
}

TEST(a_slow_start_refuses_no_one)
{
    struct pool *pool = pool_of(2, 0, "round_robin");
    const struct pool_policy policy = {.slow_start_usec = 1000000};

    pool_set_policy(pool, &policy);
    atomic_store(&pool_server(pool, 0)->ramp_usec, NOW);
    atomic_store(&pool_server(pool, 1)->ramp_usec, NOW);
    struct tally tally = choose_many(pool, (struct pool_ask){0});
    EXPECT(tally.none == 0 && tally.of[0] == MANY / 2);
    pool_unref(pool);
}

TEST(the_wanted_server_is_taken_and_waited_for_while_it_is_usable)
{
    struct pool *pool = pool_of(3, 0, "round_robin");
    struct server *wanted = pool_server(pool, 1);
    struct choice *choice = NULL;
    struct pool_ask ask = {.wanted = wanted, .now_usec = NOW};
    const struct pool_change one = {.what = CHANGE_MAX_CONNECTIONS,
                                    .member = {.address = wanted->address, .max_connections = 1}};

    EXPECT(choose_many(pool, ask).of[1] == MANY);
    EXPECT(pool_change(pool, &one) == 0);
    struct server *seat = pool_pick(pool, &ask, &choice);
    EXPECT(seat == wanted && choice->how == CHOICE_STICKY &&
           choice->seen[choice->chosen].member == 1);
    choice_free(choice);
    EXPECT(pool_pick(pool, &ask, NULL) == NULL && pool_may_wait(pool, &ask));
    server_set_check(wanted, CHECK_DOWN, NOW);
    struct server *other = pool_pick(pool, &ask, &choice);
    EXPECT(other && other != wanted && choice->how == CHOICE_BALANCED);
    choice_free(choice);
    pool_release(other);
    pool_release(seat);
    server_set_check(wanted, CHECK_UP, NOW);
    const struct tried tried = {.count = 1, .id = {wanted->id}};
    ask.tried = &tried;
    EXPECT(choose_many(pool, ask).of[1] == 0);
    pool_unref(pool);
}

TEST(who_sticks_to_a_server_of_another_shard_stays_in_his_own)
{
    struct pool *pool = pool_of(10, 0, "least_connections");
    struct pool_ask ask = {.shard_hash = 77, .shard_servers = 2, .now_usec = NOW};
    struct tally tally = choose_many(pool, ask);

    for (size_t i = 0; i < 10; i++) {
        ask.wanted = pool_server(pool, i);
        EXPECT(choose_many(pool, ask).of[i] == (tally.of[i] ? MANY : 0));
    }
    pool_unref(pool);
}

TEST(who_sticks_takes_no_turn)
{
    struct pool *pool = pool_of(3, 0, "round_robin");
    const struct pool_ask any = {.now_usec = NOW}, sticks = {.wanted = pool_server(pool, 0)};
    bool was_chosen[3] = {false};

    for (size_t i = 0; i < 3; i++) {
        struct server *seat = pool_pick(pool, &any, NULL);
        for (size_t k = 0; k < 3; k++)
            was_chosen[k] = was_chosen[k] || seat == pool_server(pool, k);
        pool_release(seat);
        pool_release(pool_pick(pool, &sticks, NULL));
        pool_release(pool_pick(pool, &sticks, NULL));
    }
    EXPECT(was_chosen[0] && was_chosen[1] && was_chosen[2]);
    pool_unref(pool);
}

TEST(a_shard_stays_in_its_set_and_leaves_it_only_for_health)
{
    struct pool *pool = pool_of(10, 0, "least_connections");

    for (uint64_t key = 1; key <= 20; key++) {
        struct pool_ask ask = {.shard_hash = key * 77, .shard_servers = 2};
        struct tally tally = choose_many(pool, ask);
        unsigned members = 0;
        size_t first = SIZE_MAX;
        for (size_t i = 0; i < 10; i++) {
            members += tally.of[i] > 0;
            first = tally.of[i] && first == SIZE_MAX ? i : first;
        }
        EXPECT(members == 2 && tally.none == 0 && tally.of[first] == MANY / 2);
        server_set_check(pool_server(pool, first), CHECK_DOWN, NOW);
        tally = choose_many(pool, ask);
        members = 0;
        for (size_t i = 0; i < 10; i++)
            members += tally.of[i] > 0;
        EXPECT(members == 2 && tally.of[first] == 0);
        server_set_check(pool_server(pool, first), CHECK_UP, NOW);
    }
    pool_unref(pool);
}

TEST(handshakes_are_admitted_at_a_rate_and_requests_are_not_counted)
{
    struct pool *pool = pool_of(2, 0, "round_robin");
    const struct pool_policy policy = {.per_server = {.interval_nsec = 10000000, .burst = 3}};
    struct pool_ask ask = {.is_handshake = true};

    pool_set_policy(pool, &policy);
    struct tally tally = choose_many(pool, ask);
    EXPECT(tally.of[0] == 3 && tally.of[1] == 3 && tally.none == MANY - 6);
    EXPECT(choose_many(pool, (struct pool_ask){0}).none == 0);
    ask.now_usec = NOW + 10000;
    tally = choose_many(pool, ask);
    EXPECT(tally.of[0] == 1 && tally.of[1] == 1);
    EXPECT(pool_may_wait(pool, &ask));
    pool_unref(pool);
}

TEST(a_pool_admits_no_more_than_it_may_as_a_whole)
{
    struct pool *pool = pool_of(2, 0, "round_robin");
    const struct pool_policy policy = {.per_server = {.interval_nsec = 10000000, .burst = 3},
                                       .whole = {.interval_nsec = 10000000, .burst = 5}};

    pool_set_policy(pool, &policy);
    struct tally tally = choose_many(pool, (struct pool_ask){.is_handshake = true});
    EXPECT(tally.of[0] + tally.of[1] == 5);
    pool_unref(pool);
}

/* --- changes at run time ------------------------------------------------------------------------
 */

static int change(struct pool *pool, enum pool_change_kind what, unsigned port, uint32_t weight)
{
    struct pool_change change = {.what = what, .member = at(port)};

    change.member.weight = weight;
    return pool_change(pool, &change);
}

TEST(servers_come_go_and_weigh_something_else_while_seats_are_taken)
{
    struct pool *pool = pool_of(2, 0, "round_robin");
    struct pool_ask ask = {.now_usec = NOW};

    struct server *seat = pool_pick(pool, &ask, NULL);
    EXPECT(change(pool, CHANGE_ADD, 3, 1) == 0 && pool_count(pool) == 3);
    EXPECT(change(pool, CHANGE_ADD, 3, 1) == -EEXIST);
    EXPECT(change(pool, CHANGE_WEIGHT, 3, 2) == 0);
    struct tally tally = choose_many(pool, ask);
    EXPECT(tally.of[2] == MANY / 2 && tally.of[0] == MANY / 4);
    EXPECT(change(pool, CHANGE_REMOVE, 1, 0) == 0 && change(pool, CHANGE_REMOVE, 1, 0) == -ENOENT);
    EXPECT(!pool_has(pool, seat) && atomic_load(&seat->active) == 1);
    EXPECT(change(pool, CHANGE_ADD, 1, 1) == 0);
    EXPECT(pool_has(pool, seat)); /* the same one, with its count */
    pool_release(seat);
    pool_unref(pool);
}

static unsigned told;
static void count_change(void *to, const struct pool_change *change)
{
    (void)to;
    (void)change;
    told++;
}

TEST(a_reload_keeps_what_was_changed_and_the_state)
{
    struct pool_member_spec file[] = {at(1), at(2)};
    struct pool *pool = pool_of(2, 0, "round_robin"), *after = NULL;
    struct pool_change drain = {.what = CHANGE_STATE, .member = at(1), .admin = SERVER_DRAIN};

    EXPECT(pool_change(pool, &drain) == 0 && change(pool, CHANGE_WEIGHT, 2, 9) == 0);
    EXPECT(pool_new("chat", balancer_find("maglev") ? balancer_find("maglev") : pool->balancer,
                    file, 2, pool, &after) == 0);
    pool_in_force(after);
    EXPECT(pool_weight(after, 1) == 9);
    EXPECT(atomic_load(&pool_server(after, 0)->admin) == SERVER_DRAIN);
    told = 0;
    pool_each_change(after, count_change, NULL);
    EXPECT(told == 2);
    pool_unref(pool);
    pool_unref(after);
}

TEST(what_is_discovered_replaces_what_was_and_lives_over_a_reload)
{
    struct pool_member_spec first[] = {at(1), at(2)}, second[] = {at(2), at(3)};
    struct pool *pool = NULL, *after = NULL;
    struct pool_ask ask = {.now_usec = NOW};

    EXPECT(pool_new("chat", balancer_find("round_robin"), NULL, 0, NULL, &pool) == 0);
    EXPECT(pool_pick(pool, &ask, NULL) == NULL && !pool_may_wait(pool, &ask));
    EXPECT(pool_set_discovered(pool, first, 2) == 0 && pool_count(pool) == 2);
    struct server *stays = pool_server(pool, 1);
    EXPECT(pool_set_discovered(pool, second, 2) == 0 && pool_server(pool, 0) == stays);
    second[1] = second[0];
    EXPECT(pool_set_discovered(pool, second, 2) == -EEXIST && pool_count(pool) == 2);
    EXPECT(pool_new("chat", balancer_find("round_robin"), NULL, 0, pool, &after) == 0);
    pool_in_force(after);
    EXPECT(pool_count(after) == 2 && pool_server(after, 0) == stays);
    pool_unref(pool);
    pool_unref(after);
}

TEST(a_server_that_was_added_while_others_serve_begins_slowly)
{
    struct pool *pool = pool_of(1, 0, "round_robin");

    EXPECT(atomic_load(&pool_server(pool, 0)->ramp_usec) == 0);
    EXPECT(change(pool, CHANGE_ADD, 2, 1) == 0);
    EXPECT(atomic_load(&pool_server(pool, 1)->ramp_usec) != 0);
    EXPECT(atomic_load(&pool_server(pool, 0)->ramp_usec) == 0);
    pool_unref(pool);
}
