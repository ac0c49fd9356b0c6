#include "session/sticky_table.c"

#include "test.h"

static struct sticky_table *table;

static void begin(void)
{
    static const uint64_t seed[2] = {7, 11};

    table = sticky_table_new(seed);
    EXPECT(table);
}

static struct sticky_key key(uint64_t number)
{
    struct sticky_key made;
    uint64_t words[2] = {number * 0x9e3779b97f4a7c15u, ~number};

    memcpy(made.at, words, sizeof made.at);
    return made;
}

static struct sticky_home home(uint16_t port)
{
    const uint8_t ip[4] = {10, 0, 0, 1};
    struct ip at = ip_of_v4(ip);

    return (struct sticky_home){address_of_ip(&at, port), sticky_pool("chat")};
}

static uint16_t find_port(uint64_t number, uint64_t now_usec)
{
    struct sticky_key wanted = key(number);
    struct sticky_home found;

    return sticky_table_find(table, &wanted, now_usec, &found) ? address_port(&found.server) : 0;
}

static void put(uint64_t number, uint16_t port, uint64_t now_usec)
{
    struct sticky_key wanted = key(number);
    struct sticky_home there = home(port);

    sticky_table_put(table, &wanted, &there, now_usec);
}

TEST(what_is_put_is_found_and_may_move)
{
    begin();
    EXPECT(find_port(1, 5) == 0);
    put(1, 80, 5);
    EXPECT(find_port(1, 6) == 80 && find_port(2, 6) == 0);
    put(1, 81, 7);
    EXPECT(find_port(1, 8) == 81);
    EXPECT(!sticky_table_unref(sticky_table_ref(table)));
    EXPECT(find_port(1, 9) == 81); /* one reference is left */
    sticky_table_unref(table);
}

TEST(ten_thousand_sessions_keep_their_servers)
{
    struct sticky_table *keep;

    begin();
    keep = table;
    for (uint64_t i = 0; i < 10000; i++)
        put(i, (uint16_t)(1 + i % 60000), 1 + i);
    for (uint64_t i = 0; i < 10000; i++)
        EXPECT(find_port(i, 20000) == 1 + i % 60000);
    sticky_table_unref(keep);
}

TEST(what_nobody_asked_for_longest_makes_room)
{
    uint64_t same[STICKY_TABLE_PLACES + 1];
    size_t count = 0;

    begin();
    struct sticky_key first = key(0);
    for (uint64_t i = 0; count <= STICKY_TABLE_PLACES; i++) {
        struct sticky_key other = key(i);
        if (set_of(table, &other) == set_of(table, &first))
            same[count++] = i;
    }
    for (size_t i = 0; i < STICKY_TABLE_PLACES; i++)
        put(same[i], 80, 10 + i);
    EXPECT(find_port(same[0], 100) == 80); /* the first is asked for, so the second is oldest */
    put(same[STICKY_TABLE_PLACES], 81, 101);
    EXPECT(find_port(same[STICKY_TABLE_PLACES], 102) == 81);
    EXPECT(find_port(same[0], 102) == 80 && find_port(same[1], 102) == 0);
    EXPECT(find_port(same[2], 102) == 80);
    sticky_table_unref(table);
}

TEST(a_day_without_a_question_and_it_is_forgotten)
{
    begin();
    put(1, 80, 1);
    EXPECT(find_port(1, STICKY_TABLE_USEC) == 80);
    EXPECT(find_port(1, 2 * STICKY_TABLE_USEC - 1) == 80); /* asking had kept it alive */
    EXPECT(find_port(1, 4 * STICKY_TABLE_USEC) == 0);
    put(2, 80, 0); /* the clock's first moment is one, too */
    EXPECT(find_port(2, 1) == 80);
    sticky_table_unref(table);
}

TEST(pools_are_told_apart)
{
    EXPECT(sticky_pool("a") != sticky_pool("b") && sticky_pool("a") == sticky_pool("a"));
}
