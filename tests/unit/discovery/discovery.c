#include "discovery/discovery.c"

#include "world.h"

static struct pool_settings by_file(uint64_t weight)
{
    return (struct pool_settings){.name = "chat", .file = "s.txt", .discovered_weight = weight};
}

TEST(a_reload_keeps_what_was_found_and_puts_new_defaults_in_force)
{
    struct pool_settings one = by_file(1), other = by_file(5);
    struct settings settings = {.pools = &one, .pool_count = 1};
    struct discovery *discovery;
    struct pool *next;

    world_begin();
    file_text = "127.0.0.1:1\n127.0.0.1:2 weight=2\n";
    EXPECT(discovery_new(&world_means, &discovery) == 0);
    discovery_adopt(discovery, &settings, &pool);
    EXPECT(pool_count(pool) == 2 && pool_weight(pool, 0) == 1 && changes == 1);
    EXPECT(strstr(said, "file s.txt: 2 servers, 2 more (127.0.0.1:1, 127.0.0.1:2)"));
    EXPECT(pool_new("chat", balancer_find("least_connections"), NULL, 0, pool, &next) == 0);
    pool_unref(pool);
    pool = next;
    EXPECT(pool_count(pool) == 2);
    discovery_adopt(discovery, &settings, &pool);
    EXPECT(pool_count(pool) == 2 && changes == 1);
    settings.pools = &other;
    discovery_adopt(discovery, &settings, &pool);
    EXPECT(pool_count(pool) == 2 && changes == 2);
    EXPECT(pool_weight(pool, 0) == 5 && pool_weight(pool, 1) == 2);
    discovery_free(discovery);
    world_end();
}

TEST(who_is_no_longer_configured_is_no_longer_followed)
{
    struct pool_settings one = by_file(1);
    struct settings settings = {.pools = &one, .pool_count = 1};
    struct discovery *discovery;

    world_begin();
    file_text = "127.0.0.1:1\n";
    EXPECT(discovery_new(&world_means, &discovery) == 0);
    discovery_adopt(discovery, &settings, &pool);
    EXPECT(state_of(discovery)->servers == 1);
    settings.pool_count = 0;
    discovery_adopt(discovery, &settings, NULL);
    EXPECT(!state_of(discovery)->pool && fake_calls.forgotten == 1);
    file_text = "127.0.0.1:2\n";
    pass(60000000);
    EXPECT(has_server("127.0.0.1:1"));
    discovery_free(discovery);
    world_end();
}

TEST(a_pool_is_filled_once_for_explain)
{
    struct pool_settings one = by_file(3);

    world_begin();
    file_text = "127.0.0.1:1\n";
    EXPECT(discovery_read_once(&files, &one, pool) == 0);
    EXPECT(pool_count(pool) == 1 && pool_weight(pool, 0) == 3);
    file_text = NULL;
    EXPECT(discovery_read_once(&files, &one, pool) == -ENOENT);
    world_end();
}

TEST(resolvers_are_written_as_they_are_asked)
{
    const char *two[] = {"127.0.0.1:53", "[::1]:5353"};
    struct texts texts = {.at = two, .count = 2};
    char *text = servers_of(&texts);

    EXPECT(strcmp(text, "127.0.0.1:53,[::1]:5353") == 0);
    free(text);
    texts.count = 0;
    EXPECT(!servers_of(&texts));
}
