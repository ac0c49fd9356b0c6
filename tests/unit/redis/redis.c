#include "redis/redis.c"

#include "served.h"

#define ASKERS  6
#define COMMAND "*1\r\n$1\r\nC\r\n"
#define PING    "*1\r\n$4\r\nPING\r\n"
#define FD      FIRST_FD

static struct redis_target target;
static struct redis *redis; /* NULL: it has left */
static struct redis_ask ask[ASKERS];

static void on_gone(void *owner, unsigned worker)
{
    EXPECT(owner == &target && worker == 1);
    redis = NULL;
}

static void begin(const char *url)
{
    char words[256];
    const struct redis_opts opts = {.target = &target,
                                    .connect_usec = 500000,
                                    .stall_usec = 1000000,
                                    .idle_usec = 60000000,
                                    .reply_max_bytes = 100,
                                    .on_leave = on_gone,
                                    .owner = &target};

    served_begin();
    memset(ask, 0, sizeof ask);
    EXPECT(redis_target_parse(url, &target, words) == 0);
    redis = redis_start(&opts, &parent_worker.runner);
    parent_turn();
}

static void end(void)
{
    for (size_t i = 0; i < ASKERS; i++)
        redis_ask_leave(&ask[i]);
    if (redis)
        flow_stop(&redis->flow, REASON_STOPPING);
    EXPECT(!redis);
    parent_end();
}

static void put(unsigned number)
{
    ask[number].flow = parent;
    buf_init(&ask[number].command, 100);
    EXPECT(buf_append(&ask[number].command, bytes_of(COMMAND)) == 0);
    redis_ask(redis, &ask[number]);
    parent_turn();
}

/* A server without a password that has taken one question. */
static void begin_talking(void)
{
    begin("redis://127.0.0.1");
    put(0);
    served_accepts(FD);
    EXPECT(served_heard(FD, PING));
    served_says(FD, "+PONG\r\n");
    EXPECT(served_heard(FD, COMMAND));
}

static bool answered(unsigned number, int64_t with)
{
    return ask[number].is_over && ask[number].reply &&
           redis_reply_number(ask[number].reply) == with;
}

static bool failed(unsigned number, const char *words)
{
    if (ask[number].is_over && ask[number].trouble && strcmp(ask[number].trouble, words))
        print_error("says: %s\n", ask[number].trouble);
    return ask[number].is_over && !ask[number].reply && !strcmp(ask[number].trouble, words);
}

TEST(nothing_is_dialled_before_something_is_asked)
{
    begin("redis://127.0.0.1");
    EXPECT(fake_calls.next_fd == FD);
    end();
}

TEST(answers_come_in_the_order_of_the_questions)
{
    begin_talking();
    put(1);
    put(2);
    EXPECT(served_heard(FD, COMMAND COMMAND));
    served_says(FD, ":10\r\n:11\r\n:1");
    EXPECT(answered(0, 10) && answered(1, 11) && !ask[2].is_over);
    served_says(FD, "2\r\n");
    EXPECT(answered(2, 12));
    end();
}

TEST(an_answer_whose_asker_has_left_is_thrown_away)
{
    begin_talking();
    put(1);
    EXPECT(!redis_ask_leave(&ask[0]));
    served_says(FD, ":10\r\n:11\r\n");
    EXPECT(answered(1, 11));
    end();
}

TEST(user_password_database_and_role_are_said_first)
{
    begin("redis://joe:pw@127.0.0.1/3");
    put(0);
    served_accepts(FD);
    EXPECT(served_heard(
        FD, "*3\r\n$4\r\nAUTH\r\n$3\r\njoe\r\n$2\r\npw\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" PING));
    served_says(FD, "+OK\r\n+OK\r\n");
    EXPECT(served_heard(FD, ""));
    served_says(FD, "+PONG\r\n");
    EXPECT(served_heard(FD, COMMAND));
    end();
}

TEST(a_greeting_that_is_refused_is_told_by_name)
{
    static const struct {
        const char *url, *says, *words;
    } rows[] = {
        {"redis://:pw@127.0.0.1", "-WRONGPASS no\r\n", "it does not take this user and password"},
        {"redis://127.0.0.1", "-NOAUTH Authentication required.\r\n",
         "it wants a password, and the URL has none"},
        {"redis://127.0.0.1/99", "-ERR DB index is out of range\r\n", "it has no such database"},
        {"redis://127.0.0.1", "SSH-2.0\r\n", "what stands there speaks no RESP2"},
        {"redis://127.0.0.1", "*1000000\r\n", "its answer is larger than any entry"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(rows[i].url);
        put(0);
        served_accepts(FD);
        served_says(FD, rows[i].says);
        EXPECT(failed(0, rows[i].words) && fake_fd[FD].is_closed);
        end();
    }
}

TEST(who_cannot_be_reached_is_not_tried_all_the_time)
{
    begin("redis://127.0.0.1");
    put(0);
    served_refuses(FD);
    EXPECT(failed(0, "it refuses connections"));
    put(1);
    EXPECT(!ask[1].is_over && fake_calls.next_fd == FD + 1);
    EXPECT(!strcmp(redis_ask_leave(&ask[1]), "it refuses connections")); /* what he waited for */
    put(2);
    served_waits(RECOVER_USEC * 3 / 2 + 1000);
    EXPECT(fake_calls.next_fd == FD + 2);
    served_accepts(FD + 1);
    served_says(FD + 1, "+PONG\r\n");
    served_says(FD + 1, ":1\r\n");
    EXPECT(answered(2, 1));
    end();
}

TEST(one_that_accepts_and_says_nothing_is_left)
{
    begin("redis://127.0.0.1");
    put(0);
    served_accepts(FD);
    served_waits(501000);
    EXPECT(failed(0, "it accepts connections and does not answer") && fake_fd[FD].is_closed);
    end();
}

TEST(what_is_not_answered_when_the_connection_breaks_is_asked_again)
{
    begin_talking();
    served_waits(RECOVER_USEC); /* it has served for a while */
    put(1);
    put(2);
    served_says(FD, ":10\r\n");
    fake_break(FD);
    parent_turn();
    put(3);
    EXPECT(answered(0, 10) && !ask[1].is_over && !ask[2].is_over);
    served_accepts(FD + 1);
    served_says(FD + 1, "+PONG\r\n");
    EXPECT(served_heard(FD + 1, PING COMMAND COMMAND COMMAND));
    served_says(FD + 1, ":11\r\n:12\r\n:13\r\n");
    EXPECT(answered(1, 11) && answered(2, 12) && answered(3, 13));
    end();
}

TEST(a_question_that_kills_the_server_is_not_asked_for_ever)
{
    begin_talking();
    for (int fd = FD; !ask[0].is_over; fd++) {
        EXPECT(fd < FAKE_FDS - 1);
        served_waits(RECOVER_USEC);
        fake_calls.next_fd = fd + 1;
        fake_end(fd);
        parent_turn();
        served_waits(RECOVER_USEC);
        if (ask[0].is_over)
            break;
        served_accepts(fd + 1);
        served_says(fd + 1, "+PONG\r\n");
        if (fd == FD + 3)
            ask[0].sent = SENT_MAX; /* the fake kernel has not that many descriptors */
    }
    EXPECT(failed(0, "it closed the connection"));
    end();
}

TEST(what_may_pass_is_asked_again)
{
    for (size_t i = 0; i < ARRAY_LEN(passing); i++) {
        char line[64];
        begin_talking();
        put(1);
        EXPECT(served_heard(FD, COMMAND));
        snprintf(line, sizeof line, "-%s wait\r\n:11\r\n", passing[i].code);
        served_says(FD, line);
        EXPECT(!ask[0].is_over && answered(1, 11) && served_heard(FD, ""));
        served_waits(LATER_USEC + 1000);
        EXPECT(served_heard(FD, COMMAND));
        EXPECT(!strcmp(redis_ask_leave(&ask[0]), passing[i].words));
        end();
    }
}

TEST(another_error_is_an_answer)
{
    begin_talking();
    served_says(FD, "-ERR no\r\n");
    EXPECT(ask[0].is_over && redis_reply_kind(ask[0].reply) == REDIS_ERROR);
    end();
}

TEST(one_that_stands_still_is_left)
{
    begin_talking();
    redis_ask_leave(&ask[0]); /* his own timeout */
    served_waits(900000);
    put(1);
    EXPECT(!fake_fd[FD].is_closed);
    served_waits(101000);
    EXPECT(fake_fd[FD].is_closed && !ask[1].is_over);
    served_accepts(FD + 1);
    served_says(FD + 1, "+PONG\r\n");
    served_says(FD + 1, ":11\r\n");
    EXPECT(answered(1, 11));
    end();
}

TEST(what_was_not_asked_for_ends_the_connection)
{
    begin_talking();
    served_says(FD, ":1\r\n:2\r\n");
    EXPECT(answered(0, 1) && fake_fd[FD].is_closed);
    end();
}

TEST(unused_it_leaves)
{
    begin_talking();
    served_says(FD, ":1\r\n");
    served_waits(59000000);
    EXPECT(redis && !fake_fd[FD].is_closed);
    served_waits(1100000);
    EXPECT(!redis && fake_fd[FD].is_closed);
    end();
}

TEST(who_waits_when_it_ends_is_told)
{
    begin_talking();
    flow_stop(&redis->flow, REASON_STOPPING);
    EXPECT(failed(0, "this process is stopping"));
    end();
}

TEST(so_many_may_wait_and_no_more)
{
    begin_talking();
    redis->waiting_count += WAITING_MAX;
    put(1);
    EXPECT(failed(1, "too many questions wait for it already"));
    redis->waiting_count -= WAITING_MAX;
    end();
}

/* --- behind Sentinels ----------------------------------------------------------------------------
 */

#define MASTER    "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n"
#define ROLE      "*1\r\n$4\r\nROLE\r\n"
#define IS_MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"

/* The Sentinel on that descriptor, the server on the next. */
static void find_master(int fd)
{
    served_accepts(fd);
    served_says(fd, MASTER);
    EXPECT(fake_fd[fd].is_closed);
    served_accepts(fd + 1);
    EXPECT(served_heard(fd + 1, ROLE));
}

TEST(the_role_is_asked)
{
    begin("redis+sentinel://127.0.0.1:1/m");
    put(0);
    find_master(FD);
    served_says(FD + 1, "*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$7\r\nconnect\r\n:0\r\n");
    EXPECT(failed(0, "the server that Sentinel names is no master yet"));
    put(1);
    served_waits(RECOVER_USEC * 3 / 2 + 1000);
    find_master(FD + 2);
    served_says(FD + 3, IS_MASTER);
    served_says(FD + 3, ":11\r\n");
    EXPECT(answered(1, 11));
    end();
}

TEST(a_master_that_became_a_replica_is_left_and_the_new_one_asked)
{
    begin("redis+sentinel://127.0.0.1:1/m");
    put(0);
    find_master(FD);
    served_says(FD + 1, IS_MASTER);
    served_waits(RECOVER_USEC);
    served_says(FD + 1, "-READONLY You can't write\r\n");
    EXPECT(fake_fd[FD + 1].is_closed && !ask[0].is_over);
    served_waits(LATER_USEC + 1000);
    find_master(FD + 2);
    served_says(FD + 3, IS_MASTER);
    served_says(FD + 3, ":10\r\n");
    EXPECT(answered(0, 10));
    end();
}

TEST(no_sentinel)
{
    begin("redis+sentinel://127.0.0.1:1/m");
    put(0);
    served_refuses(FD);
    EXPECT(failed(0, "no Sentinel is reached"));
    end();
}
