#include "redis/target.c"

#include "test.h"

static struct redis_target target;

static bool parses(const char *url)
{
    char words[256] = "";
    int error = redis_target_parse(url, &target, words);

    EXPECT(!error == !words[0]);
    return !error;
}

static bool is_at(unsigned number, const char *text)
{
    char words[ADDRESS_TEXT_BYTES];

    return !target.place[number].endpoint.is_unix &&
           strcmp(address_write(&target.place[number].endpoint.address, words), text) == 0;
}

TEST(one_server)
{
    static const struct {
        const char *url, *at;
        unsigned db;
    } rows[] = {
        {"redis://127.0.0.1:6379/0", "127.0.0.1:6379", 0},
        {"redis://127.0.0.1", "127.0.0.1:6379", 0},
        {"redis://127.0.0.1/", "127.0.0.1:6379", 0},
        {"redis://[::1]/3", "[::1]:6379", 3},
        {"redis://[2001:db8::1]:1/3", "[2001:db8::1]:1", 3},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(parses(rows[i].url));
        EXPECT(target.count == 1 && !target.is_sentinel && target.db == rows[i].db);
        EXPECT(is_at(0, rows[i].at) && !target.user[0] && !target.password[0]);
    }
}

TEST(user_and_password)
{
    EXPECT(parses("redis://joe:p%40ss%3Aw%2ford@127.0.0.1/1"));
    EXPECT(!strcmp(target.user, "joe") && !strcmp(target.password, "p@ss:w/ord"));
    EXPECT(parses("redis://:a@b:c@127.0.0.1"));
    EXPECT(!target.user[0] && !strcmp(target.password, "a@b:c"));
}

TEST(a_name)
{
    EXPECT(parses("redis://redis.internal:7000/2"));
    EXPECT(!strcmp(target.place[0].name, "redis.internal") && target.place[0].port == 7000);
    EXPECT(parses("redis+sentinel://s-1,s_2:5/m") && target.count == 2);
    EXPECT(!strcmp(target.place[1].name, "s_2") && target.place[1].port == 5 &&
           target.place[0].port == 26379);
}

TEST(a_socket)
{
    EXPECT(parses("redis+unix:///run/redis.sock?db=2"));
    EXPECT(target.place[0].endpoint.is_unix && target.db == 2);
    EXPECT(!strcmp(target.place[0].endpoint.path.sun_path, "/run/redis.sock"));
    EXPECT(parses("redis+unix:///r") && target.db == 0 && !target.password[0]);
    EXPECT(parses("redis+unix://:pw@/r") && !strcmp(target.password, "pw"));
}

TEST(sentinels)
{
    EXPECT(parses("redis+sentinel://:secret@127.0.0.1:1,127.0.0.2,[::1]:3/my%20master/4"));
    EXPECT(target.is_sentinel && target.count == 3 && target.db == 4);
    EXPECT(is_at(0, "127.0.0.1:1") && is_at(1, "127.0.0.2:26379") && is_at(2, "[::1]:3"));
    EXPECT(!strcmp(target.master, "my master") && !strcmp(target.password, "secret"));
    EXPECT(parses("redis+sentinel://127.0.0.1/m") && target.db == 0);
}

TEST(what_is_wrong_is_said_without_secrets)
{
    static const char *const rows[] = {
        "",
        "redis:/127.0.0.1",
        "http://127.0.0.1",
        "rediss://127.0.0.1",
        "redis://",
        "redis:///0",
        "redis://127.0.0.1:0/0",
        "redis://127.0.0.1:65536",
        "redis://127.0.0.1:x",
        "redis://127.0.0.1/zero",
        "redis://127.0.0.1/10000",
        "redis://127.0.0.1/0/1",
        "redis://127.0.0.1 /0",
        "redis://s3cret@127.0.0.1/0",
        "redis://s3cret:@127.0.0.1/0",
        "redis://joe:s3cret%4@127.0.0.1/0",
        "redis://joe:s3cret%00@127.0.0.1/0",
        "redis://joe:s3cret@no where/0",
        "redis://joe:s3cret@1.2.3/0",
        "redis://joe:s3cret@-x/0",
        "redis+sentinel://127.0.0.1:1",
        "redis+sentinel://127.0.0.1:1/",
        "redis+sentinel:///m",
        "redis+sentinel://127.0.0.1:1,,127.0.0.1:2/m",
        "redis+sentinel://127.0.0.1:1/m/x",
        "redis+unix://run/redis.sock",
        "redis+unix:///run/redis.sock?user=1",
        "redis+unix:///run/redis.sock?db=x",
    };
    char words[256];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        words[0] = '\0';
        EXPECT(redis_target_parse(rows[i], &target, words) == -EINVAL);
        EXPECT(words[0] && !strstr(words, "s3cret") && !strstr(words, "joe"));
    }
}

TEST(there_are_limits)
{
    char url[2048] = "redis+sentinel://";

    for (unsigned i = 0; i < 17; i++)
        strcat(url, i ? ",127.0.0.1" : "127.0.0.1");
    strcat(url, "/m");
    EXPECT(redis_target_parse(url, &target, (char[256]){0}) == -EINVAL);

    strcpy(url, "redis://:");
    memset(url + 9, 'x', 600);
    strcpy(url + 609, "@127.0.0.1");
    EXPECT(redis_target_parse(url, &target, (char[256]){0}) == -EINVAL);

    strcpy(url, "redis+unix:///");
    memset(url + 14, 'x', 200);
    url[214] = '\0';
    EXPECT(redis_target_parse(url, &target, (char[256]){0}) == -EINVAL);
}
