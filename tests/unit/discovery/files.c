#include "discovery/files.c"

#include "world.h"

static struct discovery *discovery;

static void begin_with(const char *text)
{
    static struct pool_settings one = {.name = "chat", .file = "dir/s.txt", .discovered_weight = 1};
    static struct settings settings = {.pools = &one, .pool_count = 1};

    world_begin();
    file_text = text;
    EXPECT(discovery_new(&world_means, &discovery) == 0);
    discovery_adopt(discovery, &settings, &pool);
}

static void end_all(void)
{
    discovery = discovery_free(discovery);
    world_end();
}

TEST(it_is_read_at_once_and_then_when_it_was_read_twice_alike)
{
    begin_with("127.0.0.1:1\n");
    EXPECT(has_server("127.0.0.1:1") && changes == 1);
    file_text = "127.0.0.1:2\n"; /* half of it */
    pass(LOOK_USEC + 2000);
    EXPECT(!has_server("127.0.0.1:2"));
    file_text = "127.0.0.1:2\n127.0.0.1:3\n";
    pass(SETTLE_USEC + 2000);
    EXPECT(!has_server("127.0.0.1:2") && changes == 1);
    pass(SETTLE_USEC + 2000);
    EXPECT(has_server("127.0.0.1:2") && has_server("127.0.0.1:3") && !has_server("127.0.0.1:1"));
    EXPECT(changes == 2 && strstr(said, "2 servers, 2 more (127.0.0.1:2, 127.0.0.1:3), 1 less "
                                        "(127.0.0.1:1)"));
    end_all();
}

TEST(a_bad_line_changes_nothing_and_is_said_once)
{
    begin_with("127.0.0.1:1\n");
    file_text = "127.0.0.1:2\nnonsense\n";
    for (int i = 0; i < 5; i++)
        pass(LOOK_USEC + 2000);
    EXPECT(has_server("127.0.0.1:1") && !has_server("127.0.0.1:2"));
    const char *first = strstr(said, "words=\"dir/s.txt:2: ");
    EXPECT(first && !strstr(first + 8, "dir/s.txt:2: "));
    EXPECT(strstr(said, "the last good servers stay"));
    EXPECT(state_of(discovery)->failures == 1);
    EXPECT(strncmp(state_of(discovery)->error, "line 2: \"nonsense\"", 18) == 0);
    file_text = "127.0.0.1:2\n";
    pass(LOOK_USEC + 2000);
    pass(SETTLE_USEC + 2000);
    EXPECT(has_server("127.0.0.1:2") && state_of(discovery)->failures == 0);
    EXPECT(strstr(said, "is good again"));
    end_all();
}

TEST(an_empty_or_missing_file_empties_no_pool)
{
    static const char *const texts[] = {"", NULL, "# nobody\n"};

    begin_with("127.0.0.1:1\n");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        file_text = texts[i];
        pass(LOOK_USEC + 2000);
        pass(SETTLE_USEC + 2000);
        EXPECT(has_server("127.0.0.1:1") && state_of(discovery)->failures > 0);
    }
    EXPECT(strstr(said, "it names no server") && strstr(said, "cannot be read: No such file"));
    file_text = "127.0.0.1:1\n";
    pass(LOOK_USEC + 2000);
    pass(SETTLE_USEC + 2000);
    EXPECT(state_of(discovery)->failures == 0 && changes == 1);
    end_all();
}

TEST(a_notice_has_it_looked_at)
{
    begin_with("127.0.0.1:1\n");
    file_text = "127.0.0.1:2\n";
    on_notice(discovery, 8, IN_CLOSE_WRITE); /* of another directory */
    pass(2000);
    pass(SETTLE_USEC + 2000);
    EXPECT(!has_server("127.0.0.1:2"));
    on_notice(discovery, 7, IN_MOVED_TO);
    pass(2000);
    pass(SETTLE_USEC + 2000);
    EXPECT(has_server("127.0.0.1:2"));
    file_text = "127.0.0.1:3\n";
    on_notice(discovery, -1, IN_Q_OVERFLOW); /* which is not known any more */
    pass(2000);
    pass(SETTLE_USEC + 2000);
    EXPECT(has_server("127.0.0.1:3"));
    end_all();
}

TEST(a_directory_that_is_replaced_is_watched_anew)
{
    begin_with("127.0.0.1:1\n");
    fake_calls.watch = 9;
    on_notice(discovery, 7, IN_DELETE_SELF);
    pass(2000);
    file_text = "127.0.0.1:2\n";
    on_notice(discovery, 9, IN_CREATE);
    pass(2000);
    pass(SETTLE_USEC + 2000);
    EXPECT(has_server("127.0.0.1:2"));
    end_all();
}
