#include "net/resolver.c"

#include "parent.h"

#define NAME "chat.test." /* with its root: no search list */

static struct resolver *resolver;
static struct question *question;
static struct sockaddr_in name_server;
static unsigned answers;
static int errors[RESOLVER_FAMILIES];
static size_t counts[RESOLVER_FAMILIES];
static uint32_t ttls[RESOLVER_FAMILIES];
static char first[RESOLVER_FAMILIES][ADDRESS_TEXT_BYTES];

static void keep_answer(void *owner, const struct resolver_answer *answer)
{
    EXPECT(owner == &answers);
    answers++;
    for (int i = 0; i < RESOLVER_FAMILIES; i++) {
        errors[i] = answer->half[i].error;
        counts[i] = answer->half[i].count;
        ttls[i] = answer->half[i].ttl_sec;
        EXPECT(!answer->half[i].error == !answer->half[i].words);
        if (counts[i])
            address_write(&answer->half[i].at[0], first[i]);
    }
}

static void ask(void)
{
    struct address address;

    parent_begin();
    answers = 0;
    EXPECT(address_parse("127.0.0.1:53", &address) == 0);
    name_server = address.v4;
    fake_calls.from = &name_server;
    EXPECT(resolver_new(&parent_worker.runner.loop, "127.0.0.1:53", &resolver) == 0);
    question = resolver_ask(resolver, NAME, 9001, keep_answer, &answers);
    EXPECT(question);
    parent_turn();
}

static void finish(void)
{
    resolver = resolver_free(resolver);
    parent_end();
}

/* A reply to the `number`th question in what `fd` was sent, with these records behind the question.
 */
static size_t reply_to(int fd, size_t skip, unsigned number, unsigned flags, unsigned records,
                       const uint8_t *at, size_t len, uint8_t *ret_reply)
{
    const size_t question_bytes = 12 + 11 + 4; /* head, \4chat\4test\0, type and class */
    const uint8_t *asked = (const uint8_t *)fake_fd[fd].out + skip + number * question_bytes;

    EXPECT(fake_fd[fd].out_len >= skip + (number + 1) * question_bytes);
    memcpy(ret_reply, asked, question_bytes);
    ret_reply[2] = (uint8_t)(flags >> 8);
    ret_reply[3] = (uint8_t)flags;
    ret_reply[6] = (uint8_t)(records >> 8);
    ret_reply[7] = (uint8_t)records;
    ret_reply[8] = ret_reply[9] = ret_reply[10] = ret_reply[11] = 0;
    memcpy(ret_reply + question_bytes, at, len);
    return question_bytes + len;
}

static void reply(unsigned number, unsigned flags, unsigned records, struct bytes of)
{
    uint8_t text[4096];

    fake_feed(8, text, reply_to(8, 0, number, flags, records, of.at, of.len, text));
    parent_turn();
}

#define GOOD      0x8180
#define NO_NAME   0x8183
#define FAILED    0x8182
#define CUT       0x8380
#define A(ttl, n) 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 10, 0, 0, n
#define AAAA(ttl, n)                                                                               \
    0xc0, 12, 0, 28, 0, 1, 0, 0, 0, ttl, 0, 16, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n

TEST(both_families_are_asked_and_told_together)
{
    ask();
    reply(0, GOOD, 2, BYTES(A(30, 1), A(20, 2)));
    EXPECT(!answers);
    reply(1, GOOD, 1, BYTES(AAAA(40, 1)));
    EXPECT(answers == 1 && !errors[0] && !errors[1]);
    EXPECT(counts[RESOLVER_V4] == 2 && ttls[RESOLVER_V4] == 20);
    EXPECT(strcmp(first[RESOLVER_V4], "10.0.0.1:9001") == 0);
    EXPECT(counts[RESOLVER_V6] == 1 && ttls[RESOLVER_V6] == 40);
    EXPECT(strcmp(first[RESOLVER_V6], "[fd00::1]:9001") == 0);
    finish();
}

TEST(a_family_that_has_none_and_a_name_that_is_none)
{
    ask();
    reply(0, GOOD, 1, BYTES(A(5, 1)));
    reply(1, GOOD, 0, BYTES(0));
    EXPECT(answers == 1 && !errors[RESOLVER_V4] && errors[RESOLVER_V6] == -ENOENT);
    finish();
    ask();
    reply(0, NO_NAME, 0, BYTES(0));
    reply(1, NO_NAME, 0, BYTES(0));
    EXPECT(answers == 1 && errors[RESOLVER_V4] == -ENOENT && errors[RESOLVER_V6] == -ENOENT);
    finish();
}

TEST(the_shortest_life_on_the_way_counts)
{
    ask();
    /* chat.test is a.test for 3 s (its name: 1, a, and test of the question), which is 10.0.0.9 */
    reply(0, GOOD, 2,
          BYTES(0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 3, 0, 4, 1, 'a', 0xc0, 17, 0xc0, 39, 0, 1, 0, 1, 0,
                0, 0, 60, 0, 4, 10, 0, 0, 9));
    reply(1, GOOD, 0, BYTES(0));
    EXPECT(answers == 1 && counts[RESOLVER_V4] == 1 && ttls[RESOLVER_V4] == 3);
    EXPECT(strcmp(first[RESOLVER_V4], "10.0.0.9:9001") == 0);
    finish();
}

TEST(a_stranger_is_not_heard)
{
    struct sockaddr_in stranger;

    ask();
    stranger = name_server;
    stranger.sin_addr.s_addr = htonl(0x7f000002);
    fake_calls.from = &stranger;
    reply(0, GOOD, 1, BYTES(A(5, 66)));
    fake_calls.from = &name_server;
    reply(0, GOOD, 1, BYTES(A(5, 1)));
    reply(1, GOOD, 0, BYTES(0));
    EXPECT(answers == 1 && counts[RESOLVER_V4] == 1);
    EXPECT(strcmp(first[RESOLVER_V4], "10.0.0.1:9001") == 0);
    finish();
}

TEST(an_answer_that_is_cut_is_asked_for_over_tcp)
{
    uint8_t text[4096];

    ask();
    reply(1, GOOD, 0, BYTES(0));
    reply(0, CUT, 0, BYTES(0));
    EXPECT(!answers && !fake_fd[9].out_len);
    fake_event(9, EPOLLOUT); /* connected */
    parent_turn();
    EXPECT(fake_fd[9].out_len == 2 + 12 + 11 + 4 && fake_fd[9].out[1] == 12 + 11 + 4);
    const struct bytes records = BYTES(A(30, 1), A(30, 2), A(30, 3));
    size_t len = reply_to(9, 2, 0, GOOD, 3, records.at, records.len, text + 2);
    text[0] = (uint8_t)(len >> 8);
    text[1] = (uint8_t)len;
    fake_feed(9, text, 1); /* a byte, then the rest: one change each */
    parent_turn();
    fake_feed(9, text + 1, len + 1);
    parent_turn();
    EXPECT(answers == 1 && counts[RESOLVER_V4] == 3 && errors[RESOLVER_V6] == -ENOENT);
    finish();
    EXPECT(fake_fd[8].is_closed && fake_fd[9].is_closed);
}

TEST(who_has_forgotten_is_told_nothing)
{
    ask();
    question_forget(question);
    reply(0, GOOD, 1, BYTES(A(5, 1)));
    reply(1, GOOD, 0, BYTES(0));
    EXPECT(!answers);
    question = resolver_ask(resolver, NAME, 1, keep_answer, &answers);
    question_forget(question); /* and the resolver ends before an answer comes */
    question_forget(NULL);
    finish();
    EXPECT(!answers);
}

TEST(a_name_server_that_cannot_be_reached)
{
    ask();
    for (int i = 0; i < 16 && !answers; i++) {
        fake_fd[8 + i % 8].error = -ECONNREFUSED;
        fake_event(8 + i % 8, EPOLLIN);
        parent_turn();
    }
    EXPECT(answers == 1 && errors[RESOLVER_V4] == -ECONNREFUSED);
    finish();
}

TEST(localhost_is_known)
{
    static const struct {
        const char *name;
        bool is_local;
    } rows[] = {{"localhost", true},
                {"LocalHost.", true},
                {"a.localhost", true},
                {"notlocalhost", false},
                {"localhost.a", false},
                {"ocalhost", false},
                {"", false},
                {".", false}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(is_localhost(rows[i].name) == rows[i].is_local);
    ask();
    question_forget(question);
    question_forget(resolver_ask(resolver, "localhost", 9001, keep_answer, &answers));
    parent_turn();
    EXPECT(!answers);
    EXPECT(resolver_ask(resolver, "localhost", 9001, keep_answer, &answers) && !answers);
    parent_turn();
    EXPECT(answers == 1 && counts[RESOLVER_V4] == 1 && counts[RESOLVER_V6] == 1);
    EXPECT(strcmp(first[RESOLVER_V4], "127.0.0.1:9001") == 0);
    EXPECT(strcmp(first[RESOLVER_V6], "[::1]:9001") == 0);
    finish();
}

TEST(what_the_words_are)
{
    const char *words = NULL;

    EXPECT(error_of(ARES_ETIMEOUT, &words) == -ETIMEDOUT && strstr(words, "in time"));
    EXPECT(error_of(ARES_EBADRESP, &words) == -EIO && words[0]);
    EXPECT(resolver_new(&parent_worker.runner.loop, "nonsense", &resolver) == -EINVAL);
    resolver = NULL;
}
