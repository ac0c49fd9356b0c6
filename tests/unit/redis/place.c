#include "redis/place.c"

#include <errno.h>

#include "served.h"

static struct place_visit visit;
static struct stream stream;

static bool parses(const char *text)
{
    return redis_place_parse(bytes_of(text), 7, &visit.place);
}

TEST(places)
{
    static const struct {
        const char *text, *name, *address;
        uint16_t port;
    } rows[] = {
        {"redis", "redis", NULL, 7},
        {"redis.example.com:6380", "redis.example.com", NULL, 6380},
        {"10-0-0-1.pod", "10-0-0-1.pod", NULL, 7},
        {"localhosts", "localhosts", NULL, 7},
        {"Localhost:1", "", "127.0.0.1:1", 1},
        {"127.0.0.1", "", "127.0.0.1:7", 7},
        {"127.0.0.1:65535", "", "127.0.0.1:65535", 65535},
        {"[::1]", "", "[::1]:7", 7},
        {"[::1]:8", "", "[::1]:8", 8},
    };
    static const char *const wrong[] = {"",       ":1",  "a:",       "a:0",     "a:65536", "a:1x",
                                        "a b",    ".a",  "-a",       "1.2.3",   "::1",     "[::1",
                                        "[::1]x", "a/b", "\xc3\xa9", "a:000001"};
    char words[ADDRESS_TEXT_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(parses(rows[i].text));
        EXPECT(!strcmp(visit.place.name, rows[i].name) && visit.place.port == rows[i].port);
        EXPECT(!rows[i].address ||
               !strcmp(address_write(&visit.place.endpoint.address, words), rows[i].address));
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        EXPECT(!parses(wrong[i]));
}

static void go(const char *text)
{
    struct redis_place place;

    served_begin();
    visit = (struct place_visit){0};
    stream = (struct stream){0};
    EXPECT(redis_place_parse(bytes_of(text), 7, &place));
    place_visit_start(&visit, parent, &place, 100000, &stream);
    parent_turn();
}

static bool ends_for(enum reason reason, const char *words)
{
    bool is_so = flow_is_over(&visit.flow) && visit.flow.reason == reason &&
                 stream_is_open(&stream) == (reason == REASON_DONE) &&
                 (!words || !strcmp(visit.words, words));
    stream_close(&stream);
    parent_end();
    return is_so;
}

TEST(an_address_is_dialled)
{
    go("127.0.0.1");
    served_accepts(FIRST_FD);
    EXPECT(ends_for(REASON_DONE, NULL));
}

TEST(who_refuses_and_who_is_silent_have_their_words)
{
    go("127.0.0.1");
    served_refuses(FIRST_FD);
    EXPECT(ends_for(REASON_CONNECT_REFUSED, "it refuses connections"));
    go("127.0.0.1");
    served_waits(101000);
    EXPECT(ends_for(REASON_CONNECT_REFUSED, "it does not accept connections in time"));
}

TEST(of_a_name_one_address_after_another_is_tried)
{
    struct address found[2];
    const struct resolver_answer answer = {
        .half = {[RESOLVER_V4] = {.at = found, .count = 2}, [RESOLVER_V6] = {.error = -ENOENT}}};

    go("redis.example.com");
    EXPECT(address_parse("127.0.0.1:7", &found[0]) == 0 &&
           address_parse("127.0.0.2:7", &found[1]) == 0);
    question_forget(visit.question);
    int fd = fake_calls.next_fd; /* what the resolver opened stands before it */
    on_answer(&visit, &answer);
    parent_turn();
    served_refuses(fd);
    EXPECT(!flow_is_over(&visit.flow));
    served_accepts(fd + 1);
    EXPECT(ends_for(REASON_DONE, NULL));
}

TEST(a_name_that_nobody_knows_and_a_dns_that_is_silent)
{
    const struct resolver_answer nothing = {.half = {{.error = -ENOENT}, {.error = -ENOENT}}};

    go("redis.example.com");
    question_forget(visit.question);
    on_answer(&visit, &nothing);
    parent_turn();
    EXPECT(ends_for(REASON_CONNECT_REFUSED, "its name is not known to DNS"));
    go("redis.example.com");
    served_waits(101000);
    EXPECT(ends_for(REASON_CONNECT_TOO_SLOW, "DNS does not answer for its name"));
}
