#include "access/rate.c"

#include "test.h"

#include <stdio.h>

static struct rate_table *table;
static struct rate_settings limits;
static uint64_t waits;

static void begin(void)
{
    static const uint64_t seed[2] = {7, 11};

    limits = (struct rate_settings){0};
    table = rate_table_new(seed);
    EXPECT(table);
}

static void end(void)
{
    table = rate_table_unref(table);
}

static struct ip ip(const char *text)
{
    struct ip made;

    EXPECT(ip_parse(bytes_of(text), &made) == 0);
    return made;
}

static enum reason ask(const char *client, bool is_handshake, uint64_t now_usec,
                       struct rate_hold *hold)
{
    struct rate_hold none = {0};
    const struct rate_ask asked = {&limits, 1, ip(client), is_handshake, now_usec};

    return rate_take(table, &asked, hold ? hold : &none, &waits);
}

TEST(as_many_at_once_as_the_limit_says_then_one_by_one)
{
    begin();
    limits.requests = (struct rate){10, 1000000};
    for (int i = 0; i < 10; i++)
        EXPECT(ask("10.0.0.1", false, 5000000, NULL) == REASON_DONE);
    EXPECT(ask("10.0.0.1", false, 5000000, NULL) == REASON_RATE_REQUESTS && waits == 100000);
    EXPECT(ask("10.0.0.1", true, 5000000, NULL) == REASON_DONE); /* no limit of handshakes */
    EXPECT(ask("10.0.0.2", false, 5000000, NULL) == REASON_DONE);
    EXPECT(ask("10.0.0.1", false, 5099999, NULL) == REASON_RATE_REQUESTS && waits == 1);
    EXPECT(ask("10.0.0.1", false, 5100000, NULL) == REASON_DONE);
    EXPECT(ask("10.0.0.1", false, 5100000, NULL) == REASON_RATE_REQUESTS);
    end();
}

TEST(over_a_long_time_it_is_the_rate_and_no_more)
{
    unsigned passed = 0;

    begin();
    limits.handshakes = (struct rate){30, 60000000};
    for (uint64_t usec = 1; usec < 600000000; usec += 250000)
        passed += ask("10.0.0.1", true, usec, NULL) == REASON_DONE;
    EXPECT(passed >= 329 && passed <= 331); /* ten minutes, and the burst */
    end();
}

TEST(connections_count_until_they_end)
{
    struct rate_hold hold[3] = {{0}};

    begin();
    limits.connections = 2;
    EXPECT(ask("10.0.0.1", true, 1, &hold[0]) == REASON_DONE && hold[0].place);
    EXPECT(ask("10.0.0.1", false, 1, &hold[1]) == REASON_DONE);
    EXPECT(ask("10.0.0.1", true, 1, &hold[2]) == REASON_RATE_CONNECTIONS && !hold[2].place);
    EXPECT(waits == 1000000);
    rate_release(table, &hold[0]);
    rate_release(table, &hold[0]); /* harmless */
    EXPECT(ask("10.0.0.1", true, 1, &hold[0]) == REASON_DONE);
    EXPECT(ask("10.0.0.1", true, 1, &hold[2]) == REASON_RATE_CONNECTIONS);
    rate_release(table, &hold[0]);
    rate_release(table, &hold[1]);
    end();
}

TEST(what_is_refused_costs_nothing)
{
    struct rate_hold hold = {0};

    begin();
    limits.connections = 1;
    limits.handshakes = (struct rate){2, 1000000};
    EXPECT(ask("10.0.0.1", true, 1, &hold) == REASON_DONE);
    for (int i = 0; i < 10; i++)
        EXPECT(ask("10.0.0.1", true, 1, NULL) == REASON_RATE_CONNECTIONS);
    rate_release(table, &hold);
    EXPECT(ask("10.0.0.1", true, 1, &hold) == REASON_DONE);
    rate_release(table, &hold);
    EXPECT(ask("10.0.0.1", true, 1, NULL) == REASON_RATE_HANDSHAKES);
    end();
}

TEST(an_ipv6_client_is_its_64)
{
    begin();
    limits.requests = (struct rate){1, 1000000};
    EXPECT(ask("2001:db8:0:1::1", false, 1, NULL) == REASON_DONE);
    EXPECT(ask("2001:db8:0:1:ffff::2", false, 1, NULL) == REASON_RATE_REQUESTS);
    EXPECT(ask("2001:db8:0:2::1", false, 1, NULL) == REASON_DONE);
    EXPECT(ask("10.0.0.1", false, 1, NULL) == REASON_DONE);
    EXPECT(ask("::ffff:10.0.0.1", false, 1, NULL) == REASON_RATE_REQUESTS);
    EXPECT(ask("10.0.0.2", false, 1, NULL) == REASON_DONE);
    end();
}

TEST(routes_are_counted_apart)
{
    struct rate_hold none = {0};
    struct rate_ask asked = {&limits, rate_route("a"), ip("10.0.0.1"), false, 1};

    begin();
    limits.requests = (struct rate){1, 1000000};
    EXPECT(rate_take(table, &asked, &none, &waits) == REASON_DONE);
    EXPECT(rate_take(table, &asked, &none, &waits) == REASON_RATE_REQUESTS);
    asked.route = rate_route("b");
    EXPECT(rate_take(table, &asked, &none, &waits) == REASON_DONE);
    EXPECT(rate_route("a") != rate_route("b"));
    end();
}

/* 10^5 strangers push nobody out who holds a connection, and most who were here lately stay. */
TEST(the_table_stays_as_it_is_whoever_comes)
{
    struct rate_hold hold = {0};
    unsigned remembered = 0;
    char client[32];

    begin();
    limits.connections = 1;
    EXPECT(ask("192.0.2.1", true, 1, &hold) == REASON_DONE);
    limits = (struct rate_settings){.requests = {1, 3600000000u}};
    for (unsigned i = 0; i < 400000; i++) {
        snprintf(client, sizeof client, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        EXPECT(ask(client, false, 2 + i, NULL) == REASON_DONE);
    }
    for (unsigned i = 350000; i < 400000; i++) {
        snprintf(client, sizeof client, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        remembered += ask(client, false, 400002, NULL) == REASON_RATE_REQUESTS;
    }
    EXPECT(remembered > 45000);
    limits = (struct rate_settings){.connections = 1};
    EXPECT(ask("192.0.2.1", true, 400003, NULL) == REASON_RATE_CONNECTIONS);
    rate_release(table, &hold);
    end();
}

/* --- many threads --- */

#define THREADS 4
#define ROUNDS  20000

static void *hammer(void *granted)
{
    const struct rate_ask asked = {&limits, 1, ip("10.0.0.1"), true, 1};

    for (int i = 0; i < ROUNDS; i++) {
        struct rate_hold hold = {0};
        uint64_t wait;
        if (rate_take(table, &asked, &hold, &wait) == REASON_DONE) {
            ++*(unsigned *)granted;
            rate_release(table, &hold);
        }
    }
    return NULL;
}

TEST(threads_share_the_limits)
{
    pthread_t thread[THREADS];
    unsigned granted[THREADS] = {0}, sum = 0;

    begin();
    limits.connections = 2;
    limits.handshakes = (struct rate){1000, 3600000000u};
    for (int i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&thread[i], NULL, hammer, &granted[i]) == 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        sum += granted[i];
    }
    EXPECT(sum == 1000);
    limits.handshakes.count = 0;
    struct rate_hold one = {0}, two = {0};
    EXPECT(ask("10.0.0.1", true, 1, &one) == REASON_DONE);
    EXPECT(ask("10.0.0.1", true, 1, &two) == REASON_DONE);
    rate_release(table, &one);
    rate_release(table, &two);
    end();
}
