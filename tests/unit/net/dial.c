#include "net/dial.c"

#include "parent.h"

static struct dial dial;
static struct stream stream;

static void dial_towards(int connect_says)
{
    struct dial_opts opts = {.limit_usec = 3000000, .tuning = {60, 120000}};
    struct address to;

    parent_begin();
    dial = (struct dial){0};
    stream = (struct stream){0};
    fake_calls.connect = connect_says;
    EXPECT(address_parse("127.0.0.1:9001", &to) == 0);
    dial_start(&dial, parent, &to, &opts, &stream);
}

static bool ends_for(enum reason reason)
{
    parent_turn();
    bool is_so = flow_is_over(&dial.flow) && dial.flow.reason == reason &&
                 stream_is_open(&stream) == (reason == REASON_DONE);
    stream_close(&stream);
    parent_end();
    return is_so;
}

TEST(a_socket_that_becomes_writable_is_connected)
{
    dial_towards(-EINPROGRESS);
    parent_turn();
    EXPECT(!flow_is_over(&dial.flow) && fake_calls.options > 0);
    fake_event(8, EPOLLOUT);
    EXPECT(ends_for(REASON_DONE));
}

TEST(a_refusal_is_heard_and_the_descriptor_closed)
{
    dial_towards(-EINPROGRESS);
    parent_turn();
    fake_fd[8].error = -ECONNREFUSED;
    fake_event(8, EPOLLOUT | EPOLLERR | EPOLLHUP);
    EXPECT(ends_for(REASON_CONNECT_REFUSED));
    EXPECT(fake_fd[8].is_closed);
}

TEST(the_kernels_own_time_limit_is_slowness_too)
{
    dial_towards(-EINPROGRESS);
    parent_turn();
    fake_fd[8].error = -ETIMEDOUT;
    fake_event(8, EPOLLERR | EPOLLHUP);
    EXPECT(ends_for(REASON_CONNECT_TOO_SLOW));
}

TEST(a_dial_ends_at_its_limit_and_not_before)
{
    dial_towards(-EINPROGRESS);
    parent_turn();
    fake_now_usec += 2990000;
    parent_turn();
    EXPECT(!flow_is_over(&dial.flow));
    fake_now_usec += 20000;
    EXPECT(ends_for(REASON_CONNECT_TOO_SLOW));
    EXPECT(fake_fd[8].is_closed);
}

TEST(each_shortage_has_a_name)
{
    static const struct {
        int connect;
        enum reason reason;
    } rows[] = {
        {-EADDRNOTAVAIL, REASON_PORTS_SHORT},
        {-EAGAIN, REASON_PORTS_SHORT},
        {-ECONNREFUSED, REASON_CONNECT_REFUSED},
        {-ENETUNREACH, REASON_CONNECT_REFUSED},
        {-ENOBUFS, REASON_NO_MEMORY},
        {-ETIMEDOUT, REASON_CONNECT_TOO_SLOW},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        dial_towards(rows[i].connect);
        EXPECT(ends_for(rows[i].reason));
        EXPECT(fake_fd[8].is_closed);
    }
}

TEST(no_descriptor_is_a_shortage)
{
    dial_towards(0);
    fake_calls.next_fd = -EMFILE;
    EXPECT(ends_for(REASON_DESCRIPTORS_SHORT));
}

TEST(the_spare_descriptors_are_not_dialled_with)
{
    dial_towards(0);
    parent_worker.runner.loop.descriptor_ceiling = 8;
    EXPECT(ends_for(REASON_DESCRIPTORS_SHORT));
    EXPECT(fake_fd[8].is_closed);
}

TEST(a_dial_that_is_stopped_closes_its_socket)
{
    dial_towards(-EINPROGRESS);
    parent_turn();
    flow_stop(&dial.flow, REASON_CLIENT_LEFT);
    EXPECT(ends_for(REASON_CLIENT_LEFT));
    EXPECT(fake_fd[8].is_closed);
}
