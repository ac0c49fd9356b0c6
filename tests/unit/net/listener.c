#include "net/listener.c"

#include "fake_sys.h"
#include "test.h"

#define LISTENS 3

static struct loop loop;
static struct listener listener;
static unsigned accepted, spare, shortages;

static void on_accept(struct listener_sink *sink, int take_fd, const struct address *peer,
                      bool is_short)
{
    (void)sink;
    EXPECT(peer->any.sa_family == AF_INET);
    accepted++;
    spare += is_short;
    sys_close(take_fd);
}

static void on_shortage(struct listener_sink *sink, int error)
{
    (void)sink;
    EXPECT(error == -EMFILE);
    shortages++;
}

static void begin(void)
{
    static struct listener_sink sink = {on_accept, on_shortage};

    fake_reset();
    fake_calls.next_fd = 4;
    accepted = spare = shortages = 0;
    EXPECT(loop_init(&loop) == 0);
    EXPECT(listener_open(&listener, &loop, LISTENS, false, &sink) == 0);
}

static void turn(void)
{
    EXPECT(loop_look(&loop) == 0);
    loop_run(&loop);
}

static void end(void)
{
    listener_close(&listener);
    EXPECT(fake_fd[LISTENS].is_closed);
    loop_done(&loop);
}

TEST(a_queue_is_emptied_after_one_edge)
{
    begin();
    fake_fd[LISTENS].queued = 11; /* more than a batch */
    fake_event(LISTENS, EPOLLIN);
    turn();
    EXPECT(accepted == 11 && spare == 0);
    end();
}

TEST(a_client_that_left_in_the_queue_hides_no_other)
{
    begin();
    fake_fd[LISTENS].queued = 2;
    fake_fd[LISTENS].error = -ECONNABORTED;
    fake_event(LISTENS, EPOLLIN);
    turn();
    EXPECT(accepted == 2);
    end();
}

TEST(a_shortage_is_told_and_the_queue_served_later)
{
    begin();
    fake_fd[LISTENS].queued = 2;
    fake_fd[LISTENS].error = -EMFILE;
    fake_event(LISTENS, EPOLLIN);
    turn();
    EXPECT(accepted == 0 && shortages == 1);
    fake_now_usec += RETRY_USEC / 2;
    turn();
    EXPECT(accepted == 0 && shortages == 1); /* no spinning */
    fake_now_usec += RETRY_USEC;
    turn();
    EXPECT(accepted == 2);
    end();
}

TEST(a_spare_descriptor_is_handed_over_as_one)
{
    begin();
    loop.descriptor_ceiling = 6;
    fake_fd[LISTENS].queued = 3;
    fake_event(LISTENS, EPOLLIN);
    turn();
    EXPECT(accepted == 3 && spare == 1);
    end();
}

TEST(who_waits_when_the_door_closes_is_let_in)
{
    begin();
    fake_fd[LISTENS].queued = 10;
    end();
    EXPECT(accepted == 10);
}

TEST(the_queue_of_a_shared_socket_is_left_to_the_others)
{
    begin();
    listener.is_unix = true;
    fake_fd[LISTENS].queued = 10;
    end();
    EXPECT(accepted == 0);
}

static struct endpoint endpoint_of(const char *text)
{
    struct endpoint endpoint;

    fake_reset();
    EXPECT(endpoint_parse(text, &endpoint) == 0);
    return endpoint;
}

TEST(a_port_that_is_taken_is_an_error_and_nothing_stays_open)
{
    struct endpoint endpoint = endpoint_of("127.0.0.1:80");

    fake_calls.listen = -EADDRINUSE;
    EXPECT(listener_socket(&endpoint, true, 0) == -EADDRINUSE);
    EXPECT(fake_calls.next_fd == 9 && fake_fd[8].is_closed);
    EXPECT(listener_socket(&endpoint, false, 0) == -EADDRINUSE);
    EXPECT(fake_calls.next_fd == 10 && fake_fd[9].is_closed);
}

TEST(a_probe_is_closed_and_the_socket_after_it_stays)
{
    struct endpoint endpoint = endpoint_of("[::1]:80");

    EXPECT(listener_socket(&endpoint, true, 0) == 9);
    EXPECT(fake_fd[8].is_closed && !fake_fd[9].is_closed);
}

TEST(only_a_socket_that_no_one_answers_is_removed)
{
    struct endpoint endpoint = endpoint_of("unix:/run/x.sock");

    fake_calls.connect = 0;
    fake_calls.is_socket = true;
    EXPECT(listener_socket(&endpoint, true, 0600) == -EADDRINUSE && fake_calls.unlinks == 0);
    fake_calls.connect = -EAGAIN; /* its queue is full: someone lives there */
    EXPECT(listener_socket(&endpoint, true, 0600) == -EADDRINUSE && fake_calls.unlinks == 0);
    fake_calls.connect = -ECONNREFUSED;
    EXPECT(listener_socket(&endpoint, true, 0600) >= 0 && fake_calls.unlinks == 1);
}

TEST(a_file_is_never_removed)
{
    struct endpoint endpoint = endpoint_of("unix:/etc/hosts");

    fake_calls.connect = -ECONNREFUSED;
    fake_calls.bind = -EADDRINUSE;
    EXPECT(listener_socket(&endpoint, true, 0600) == -EADDRINUSE && fake_calls.unlinks == 0);
}
