#include "proxy/keepalive.c"

#include "fake_sys.h"
#include "test.h"

#include <sys/epoll.h>

static struct loop loop;
static struct keepalive keepalive;
static struct pool *pool;
static struct pool_keepalive limits;

static void begin(uint32_t max)
{
    struct pool_member_spec members[2] = {{.weight = 1}, {.weight = 1}};

    fake_reset();
    EXPECT(address_parse("127.0.0.1:9001", &members[0].address) == 0);
    EXPECT(address_parse("127.0.0.1:9002", &members[1].address) == 0);
    EXPECT(pool_new("web", balancer_find("round_robin"), members, 2, NULL, &pool) == 0);
    EXPECT(loop_init(&loop) == 0);
    keepalive_init(&keepalive, &loop);
    limits = (struct pool_keepalive){.idle_usec = 1000000, .max = max};
}

static void end(void)
{
    keepalive_done(&keepalive);
    EXPECT(keepalive.resting == 0 && list_is_empty(&keepalive.pools));
    pool_unref(pool);
    loop_done(&loop);
}

static struct stream *connected(int fd)
{
    struct stream *stream = calloc(1, sizeof *stream);

    EXPECT(stream && stream_open(stream, &loop, fd) == 0);
    return stream;
}

static void give(unsigned server, int fd)
{
    keepalive_give(&keepalive, pool_server(pool, server), connected(fd), &limits, 0);
}

static void turn(void)
{
    EXPECT(loop_look(&loop) == 0);
    loop_run(&loop);
}

TEST(the_newest_is_taken_first_and_only_for_its_server)
{
    begin(8);
    give(0, 3);
    give(0, 4);
    give(1, 5);
    struct stream *first = keepalive_take(&keepalive, pool_server(pool, 0), 0);
    struct stream *second = keepalive_take(&keepalive, pool_server(pool, 0), 0);
    EXPECT(first->source.fd == 4 && second->source.fd == 3);
    EXPECT(keepalive_take(&keepalive, pool_server(pool, 0), 0) == NULL && keepalive.resting == 1);
    keepalive_discard(first);
    keepalive_discard(second);
    end();
    EXPECT(fake_fd[5].is_closed);
}

TEST(beyond_the_limit_the_one_that_rested_longest_goes)
{
    begin(2);
    give(0, 3);
    give(1, 4);
    give(0, 5);
    EXPECT(fake_fd[3].is_closed && !fake_fd[4].is_closed && !fake_fd[5].is_closed);
    end();
    begin(0);
    give(0, 3);
    EXPECT(fake_fd[3].is_closed && keepalive.resting == 0);
    end();
}

TEST(rest_is_over_after_idle)
{
    begin(8);
    give(0, 3);
    fake_now_usec += 900000;
    turn();
    EXPECT(!fake_fd[3].is_closed);
    fake_now_usec += 200000;
    turn();
    EXPECT(fake_fd[3].is_closed && keepalive.resting == 0);
    end();
}

TEST(a_server_that_leaves_or_speaks_unasked_is_let_go)
{
    begin(8);
    give(0, 3);
    give(0, 4);
    give(0, 5);
    fake_event(3, EPOLLIN | EPOLLRDHUP);
    fake_event(4, EPOLLIN);
    EXPECT(loop_look(&loop) == 0);
    struct stream *taken = keepalive_take(&keepalive, pool_server(pool, 0), 0);
    EXPECT(taken->source.fd == 5 && keepalive_take(&keepalive, pool_server(pool, 0), 0) == NULL);
    loop_run(&loop);
    EXPECT(fake_fd[3].is_closed && fake_fd[4].is_closed && !fake_fd[5].is_closed);
    keepalive_discard(taken);
    end();
}

TEST(what_is_not_clean_does_not_rest)
{
    begin(8);
    struct stream *more = connected(3), *none = connected(4), *left = connected(5);
    fake_input(3, "HTTP/1.1 200 OK\r\n");
    more->source.ready |= READABLE;
    none->source.ready |= READABLE; /* nobody asked whether there is more: there is not */
    left->source.ready |= ENDED;
    keepalive_give(&keepalive, pool_server(pool, 0), more, &limits, 0);
    keepalive_give(&keepalive, pool_server(pool, 0), none, &limits, 0);
    keepalive_give(&keepalive, pool_server(pool, 0), left, &limits, 0);
    EXPECT(fake_fd[3].is_closed && !fake_fd[4].is_closed && fake_fd[5].is_closed);
    end();
}

static bool is_second(const struct server *server, const void *context)
{
    (void)context;
    return server == pool_server(pool, 1);
}

TEST(a_sweep_closes_what_is_not_configured)
{
    begin(8);
    give(0, 3);
    give(1, 4);
    keepalive_sweep(&keepalive, is_second, NULL);
    EXPECT(fake_fd[3].is_closed && !fake_fd[4].is_closed && keepalive.resting == 1);
    end();
}

TEST(what_has_an_owner_is_taken_by_no_one_else_and_goes_with_him)
{
    begin(8);
    give(0, 3);
    keepalive_give(&keepalive, pool_server(pool, 0), connected(4), &limits, 71);
    keepalive_give(&keepalive, pool_server(pool, 0), connected(5), &limits, 72);
    keepalive_give(&keepalive, pool_server(pool, 1), connected(6), &limits, 71);
    EXPECT(keepalive_take(&keepalive, pool_server(pool, 1), 0) == NULL);
    EXPECT(keepalive_take(&keepalive, pool_server(pool, 0), 73) == NULL);
    struct stream *his = keepalive_take(&keepalive, pool_server(pool, 0), 72);
    struct stream *any = keepalive_take(&keepalive, pool_server(pool, 0), 0);
    EXPECT(his->source.fd == 5 && any->source.fd == 3);
    keepalive_forget(&keepalive, 72);
    EXPECT(keepalive.resting == 2);
    keepalive_forget(&keepalive, 71);
    EXPECT(fake_fd[4].is_closed && fake_fd[6].is_closed && keepalive.resting == 0);
    keepalive_discard(his);
    keepalive_discard(any);
    end();
}
