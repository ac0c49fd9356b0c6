#include "route/shard.c"

#include "base/random.h"
#include "test.h"

TEST(patterns_match)
{
    static const struct {
        const char *pattern, *key;
        bool matches;
    } cases[] = {
        {"vip-*", "vip-1", true},
        {"vip-*", "vip-", true},
        {"vip-*", "vip", false},
        {"vip-*", "avip-1", false},
        {"*", "", true},
        {"*", "anything", true},
        {"", "", true},
        {"", "a", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"a?c", "abbc", false},
        {"*-vip", "a-vip", true},
        {"*-vip", "a-vip-b", false},
        {"a*b*c", "a1b2b3c", true},
        {"a*b*c", "a1c2b", false},
        {"**a**", "bab", true},
        {"room", "room", true},
        {"room", "rooms", false},
        {"?*", "", false},
        {"*ab", "aab", true},
        {"*?b", "b", false},
        {"[a]", "a", false},
        {"\xff?", "\xff\x01", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        EXPECT(shard_matches(cases[i].pattern, bytes_of(cases[i].key)) == cases[i].matches);
}

/* As it is defined, without a thought for time. */
static bool matches_plainly(const char *pattern, struct bytes key)
{
    if (!*pattern)
        return key.len == 0;
    if (*pattern == '*')
        return matches_plainly(pattern + 1, key) ||
               (key.len && matches_plainly(pattern, bytes_from(key, 1)));
    return key.len && (*pattern == '?' || (uint8_t)*pattern == key.at[0]) &&
           matches_plainly(pattern + 1, bytes_from(key, 1));
}

TEST(it_matches_what_the_definition_does)
{
    struct random random;
    char pattern[9], key[9];

    random_init(&random, 1);
    for (unsigned i = 0; i < 200000; i++) {
        size_t p = (size_t)random_below(&random, 9), k = (size_t)random_below(&random, 9);
        for (size_t at = 0; at < p; at++)
            pattern[at] = "ab*?"[random_below(&random, 4)];
        for (size_t at = 0; at < k; at++)
            key[at] = "ab"[random_below(&random, 2)];
        pattern[p] = key[k] = '\0';
        EXPECT(shard_matches(pattern, bytes_of(key)) == matches_plainly(pattern, bytes_of(key)));
    }
}

/* What makes careless matchers take for ever. */
TEST(many_stars_cost_little)
{
    char pattern[201], key[1025];

    for (size_t i = 0; i < 200; i++)
        pattern[i] = "*a"[i % 2];
    pattern[199] = 'b';
    pattern[200] = '\0';
    memset(key, 'a', 1024);
    key[1024] = '\0';
    for (unsigned i = 0; i < 100; i++)
        EXPECT(!shard_matches(pattern, bytes_of(key)));
}

TEST(the_first_larger_one_that_matches_counts)
{
    struct larger_settings larger[] = {{.match = "vip-*", .servers = 4},
                                       {.match = "*", .servers = 3}};
    const struct shard_settings shard = {.servers = 2, .larger = larger, .larger_count = 1};
    const struct shard_settings both = {.servers = 2, .larger = larger, .larger_count = 2};

    EXPECT(shard_servers(&shard, bytes_of("room")) == 2);
    EXPECT(shard_servers(&shard, bytes_of("vip-room")) == 4);
    EXPECT(shard_servers(&both, bytes_of("vip-room")) == 4);
    EXPECT(shard_servers(&both, bytes_of("room")) == 3);
}
