#include "http/read_head.c"

#include "fake_sys.h"
#include "test.h"

#include <stdlib.h>
#include <sys/epoll.h>

#define FD 3

static struct worker worker;
static struct stream stream;
static struct buf into;
static struct http1_head head;
static struct read_head r;

static enum next wait_for_child(struct flow *flow)
{
    return flow_wait_notice(flow, WITHIN(FOREVER, REASON_LIFETIME));
}

static void do_nothing(struct flow *flow)
{
    (void)flow;
}

static const struct flow_step parent_steps[] = {{"wait", wait_for_child}};
static const struct flow_kind parent_kind = {
    "parent", parent_steps, 1, 0, do_nothing, NULL, FLOW_NO_LAST_STEP,
};

static void begin(uint32_t limit_bytes)
{
    static struct log log;
    struct flow *parent = calloc(1, sizeof *parent);

    fake_reset();
    EXPECT(worker_init(&worker, 0, &log) == 0);
    EXPECT(stream_open(&stream, &worker.runner.loop, FD) == 0);
    buf_init(&into, 4096);
    flow_start(parent, &parent_kind, &worker.runner, NULL);
    r = (struct read_head){
        .kind = &head_of_request,
        .stream = &stream,
        .into = &into,
        .head = &head,
        .limit_bytes = limit_bytes,
        .fields_max = 10,
        .within_usec = 1000000,
    };
    read_head_start(&r, parent);
}

static void turn(uint64_t usec)
{
    fake_now_usec += usec;
    EXPECT(worker_turn(&worker) == 0);
}

static enum reason end(void)
{
    bool was_over = flow_is_over(&r.flow);
    enum reason reason = r.flow.reason;

    runner_stop_all(&worker.runner, REASON_STOPPING);
    stream_close(&stream);
    buf_done(&into);
    worker_done(&worker);
    return was_over ? reason : REASON_COUNT;
}

TEST(a_head_in_pieces_and_what_comes_behind_it)
{
    begin(1000);
    fake_input(FD, "GET / HTTP/1.1\r\nHo");
    turn(0);
    EXPECT(!flow_is_over(&r.flow));
    fake_input(FD, "st: a\r\n\r\nbehind");
    turn(0);
    EXPECT(flow_is_over(&r.flow) && r.used == 27 && head.field_count == 1);
    EXPECT(bytes_equal(bytes_from(buf_bytes(&into), r.used), bytes_of("behind")));
    EXPECT(end() == REASON_DONE);
}

TEST(a_bad_line_is_known_before_the_head_is_whole)
{
    begin(1000);
    fake_input(FD, "GET / HTTP/1.1\r\nnonsense\r\n");
    turn(0);
    EXPECT(end() == REASON_HEAD_MALFORMED);
}

TEST(the_limit_counts_before_the_end_and_at_the_end)
{
    begin(20);
    fake_input(FD, "GET / HTTP/1.1\r\nHost: ");
    turn(0);
    EXPECT(end() == REASON_HEAD_TOO_LARGE);
    begin(20);
    fake_input(FD, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    turn(0);
    EXPECT(end() == REASON_HEAD_TOO_LARGE);
}

TEST(trickling_does_not_move_the_deadline)
{
    begin(1000);
    for (int i = 0; i < 5; i++) {
        fake_input(FD, "G");
        turn(150000);
        EXPECT(!flow_is_over(&r.flow));
    }
    turn(300000);
    EXPECT(end() == REASON_HEAD_TOO_SLOW);
}

TEST(an_end_and_a_reset_are_told_apart)
{
    begin(1000);
    fake_end(FD);
    turn(0);
    EXPECT(end() == REASON_CLIENT_LEFT);
    begin(1000);
    fake_break(FD);
    turn(0);
    EXPECT(end() == REASON_CLIENT_RESET);
}
