/* With a server by hand on a fake descriptor. */
#include "session/store_redis.c"

#include "ask.h"
#include "redis/served.h"

#define FD FIRST_FD

static struct store *store;
static struct store_ask ask;

static void begin(void)
{
    struct store_settings settings = store_settings_of(1);
    char words[256];

    served_begin();
    settings.kind = STORE_REDIS;
    settings.redis = "redis://127.0.0.1";
    ask = (struct store_ask){0};
    EXPECT(store_new(&settings, NULL, &store, words) == 0);
}

static void end(void)
{
    if (flow_is_started(&ask.flow) && !flow_is_over(&ask.flow))
        flow_stop(&ask.flow, REASON_CLIENT_LEFT);
    store_ask_done(&ask);
    store = store_unref(store);
    runner_stop_all(&parent_worker.runner, REASON_STOPPING);
    parent = NULL;
    parent_turn();
    worker_done(&parent_worker);
}

/* Asked, and heard by the server, with the digest or the text. */
static void begin_question(enum store_op op, const char *says)
{
    const struct store_question question = {.op = op,
                                            .key = bytes_of("k"),
                                            .server = bytes_of("chat/a"),
                                            .type = bytes_of("t/t"),
                                            .state = bytes_of("d")};

    begin();
    store_ask_start(&ask, store, &question, parent);
    parent_turn();
    served_accepts(FD);
    served_says(FD, "+PONG\r\n");
    served_says(FD, says);
}

static bool refused(const char *words)
{
    bool is_so = ask.outcome == STORE_GO_WITHOUT && !strcmp(ask.words, words);

    if (!is_so)
        print_error("%d: %s\n", ask.outcome, ask.words ? ask.words : "");
    return is_so;
}

TEST(an_entry_is_read)
{
    begin_question(STORE_GET,
                   "*4\r\n$6\r\nchat/a\r\n$16\r\n00112233445566aa\r\n$3\r\nt/t\r\n$3\r\nx\r\n\r\n");
    EXPECT(ask.outcome == STORE_OK && !strcmp(ask.entry.server, "chat/a"));
    EXPECT(!strcmp(ask.entry.version, "00112233445566aa") && !strcmp(ask.entry.type, "t/t"));
    EXPECT(bytes_equal(msg_bytes(ask.entry.state), bytes_of("x\r\n")));
    end();
}

TEST(what_is_not_there_is_absent)
{
    begin_question(STORE_GET, "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n");
    EXPECT(ask.outcome == STORE_ABSENT);
    end();
    begin_question(STORE_FIND, "*2\r\n$6\r\nchat/a\r\n$-1\r\n");
    EXPECT(ask.outcome == STORE_OK && !ask.entry.version[0]);
    end();
    begin_question(STORE_DELETE, ":2\r\n");
    EXPECT(ask.outcome == STORE_ABSENT);
    end();
    begin_question(STORE_PUT_STATE, ":0\r\n");
    EXPECT(ask.outcome == STORE_CONFLICT);
    end();
}

TEST(a_digest_that_is_not_known_is_followed_by_the_text)
{
    begin_question(STORE_PUT_SERVER, "-NOSCRIPT No matching script.\r\n");
    EXPECT(ask.outcome == STORE_PENDING);
    EXPECT(memmem(fake_fd[FD].out, fake_fd[FD].out_len, "EVALSHA", 7));
    EXPECT(memmem(fake_fd[FD].out, fake_fd[FD].out_len, "$4\r\nEVAL\r\n", 10));
    EXPECT(memmem(fake_fd[FD].out, fake_fd[FD].out_len, "turnout:session:k", 17));
    served_says(FD, ":1\r\n");
    EXPECT(ask.outcome == STORE_OK);
    end();
    begin_question(STORE_PUT_SERVER, "-NOSCRIPT No matching script.\r\n");
    served_says(FD, "-NOSCRIPT No matching script.\r\n"); /* once, not for ever */
    EXPECT(refused("it answers with an error"));
    end();
}

TEST(refusals_have_names)
{
    static const struct {
        enum store_op op;
        const char *says, *words;
    } rows[] = {
        {STORE_PUT_STATE, "-OOM command not allowed\r\n", "it is full (OOM: see maxmemory)"},
        {STORE_PUT_STATE, "-NOREPLICAS Not enough\r\n",
         "too few of its replicas are in touch (NOREPLICAS)"},
        {STORE_FIND, "-ERR something\r\n", "it answers with an error"},
        {STORE_FIND, ":1\r\n", "the entry there is none of ours"},
        {STORE_FIND, "*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n", "the entry there is none of ours"},
        {STORE_FIND, "*2\r\n$3\r\na\r\n\r\n$-1\r\n", "the entry there is none of ours"},
        {STORE_FIND, "*2\r\n$1\r\na\r\n$17\r\n00112233445566aab\r\n",
         "the entry there is none of ours"},
        {STORE_DELETE, ":3\r\n", "it answers what no script of ours says"},
        {STORE_DELETE, "+OK\r\n", "it answers what no script of ours says"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin_question(rows[i].op, rows[i].says);
        EXPECT(refused(rows[i].words));
        EXPECT(!strcmp(store_breaker_state(store, fake_now_usec), "closed"));
        end();
    }
}

TEST(what_is_waited_for_is_named_at_the_timeout)
{
    begin_question(STORE_PUT_STATE, "-READONLY You can't write\r\n");
    EXPECT(ask.outcome == STORE_PENDING);
    served_waits(51000);
    EXPECT(refused("it takes no writes, being a replica (READONLY)"));
    end();
}

TEST(a_command_has_room_for_the_largest_entry)
{
    static uint8_t much[STORE_STATE_MAX];
    static struct request request;
    const struct bytes key = {much, STORE_KEY_MAX};

    for (unsigned says = 0; says < 2; says++) {
        begin();
        ask.store = store;
        memcpy(ask.entry.version, "00112233445566aa", sizeof ask.entry.version);
        ask.question = (struct store_question){.op = STORE_PUT_STATE,
                                               .condition = STORE_IF_VERSION,
                                               .key = key,
                                               .version = {much, STORE_VERSION_LEN},
                                               .type = {much, STORE_TYPE_MAX},
                                               .state = {much, STORE_STATE_MAX}};
        request.says_script = says;
        EXPECT(write_command(&ask, &request) == 0);
        buf_done(&request.ask.command);
        end();
    }
}
