#include "redis/sentinel.c"

#include "served.h"

#define QUESTION "*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$1\r\nm\r\n"

static struct sentinel sentinel;
static struct redis_target target;

static void begin(void)
{
    char words[256];

    served_begin();
    sentinel = (struct sentinel){.target = &target, .limit_usec = 100000};
    EXPECT(redis_target_parse("redis+sentinel://127.0.0.1:1,127.0.0.1:2/m", &target, words) == 0);
    sentinel_start(&sentinel, parent);
    parent_turn();
}

static bool ends_for(enum reason reason, const char *words)
{
    bool is_so = flow_is_over(&sentinel.flow) && sentinel.flow.reason == reason &&
                 (!words || !strcmp(sentinel.words, words));
    for (int fd = FIRST_FD; fd < fake_calls.next_fd; fd++)
        is_so = is_so && fake_fd[fd].is_closed;
    parent_end();
    return is_so;
}

TEST(the_first_one_tells)
{
    char words[ADDRESS_TEXT_BYTES];

    begin();
    served_accepts(FIRST_FD);
    EXPECT(served_heard(FIRST_FD, QUESTION));
    served_says(FIRST_FD, "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n");
    EXPECT(!flow_is_over(&sentinel.flow));
    served_says(FIRST_FD, "9001\r\n");
    EXPECT(!strcmp(address_write(&sentinel.master.endpoint.address, words), "127.0.0.1:9001"));
    EXPECT(sentinel.first == 0 && ends_for(REASON_DONE, NULL));
}

TEST(addresses_of_ipv6_and_names)
{
    begin();
    served_accepts(FIRST_FD);
    served_says(FIRST_FD, "*2\r\n$3\r\n::1\r\n$4\r\n9001\r\n");
    EXPECT(address_port(&sentinel.master.endpoint.address) == 9001 && ends_for(REASON_DONE, NULL));
    begin();
    served_accepts(FIRST_FD);
    served_says(FIRST_FD, "*2\r\n$4\r\nr-01\r\n$4\r\n9001\r\n");
    EXPECT(!strcmp(sentinel.master.name, "r-01") && ends_for(REASON_DONE, NULL));
}

TEST(the_next_one_is_asked_and_remembered)
{
    begin();
    served_refuses(FIRST_FD);
    served_accepts(FIRST_FD + 1);
    EXPECT(served_heard(FIRST_FD + 1, QUESTION));
    served_says(FIRST_FD + 1, "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n");
    EXPECT(sentinel.first == 1 && ends_for(REASON_DONE, NULL));
}

TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *says, *words;
    } rows[] = {
        {"*-1\r\n", "no Sentinel knows a master of that name"},
        {"-NOAUTH Authentication required.\r\n",
         "the Sentinels want a password, and none is said to them"},
        {"*2\r\n$1\r\n \r\n$1\r\n1\r\n", "the Sentinels say no address"},
        {"*1\r\n:1\r\n", "the Sentinels say no address"},
        {"-ERR unknown command\r\n", "the Sentinels say no address"},
        {"HTTP/1.1 400\r\n", "what stands there is no Sentinel"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin();
        for (int fd = FIRST_FD; fd < FIRST_FD + 2; fd++) {
            EXPECT(!flow_is_over(&sentinel.flow));
            served_accepts(fd);
            served_says(fd, rows[i].says);
        }
        EXPECT(ends_for(REASON_CONNECT_REFUSED, rows[i].words));
    }
}

TEST(one_that_is_silent_is_left)
{
    begin();
    served_accepts(FIRST_FD);
    served_waits(101000);
    EXPECT(fake_fd[FIRST_FD].is_closed && !flow_is_over(&sentinel.flow));
    served_accepts(FIRST_FD + 1);
    fake_end(FIRST_FD + 1);
    parent_turn();
    EXPECT(ends_for(REASON_CONNECT_REFUSED, "a Sentinel left instead of answering"));
}
