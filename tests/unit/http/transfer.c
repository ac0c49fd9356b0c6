#include "http/transfer.c"

#include "fake_sys.h"
#include "test.h"

#include <sys/epoll.h>

enum { FROM = 3, TO = 4 };

static struct loop loop;
static struct stream from, to;
static struct buf ahead;
static struct transfer t;
static uint8_t scratch[TRANSFER_READ_BYTES];

static void begin(enum body_kind kind, uint64_t left)
{
    const struct http1_body body = {.kind = kind, .left = left};

    fake_reset();
    EXPECT(loop_init(&loop) == 0);
    EXPECT(stream_open(&from, &loop, FROM) == 0 && stream_open(&to, &loop, TO) == 0);
    buf_init(&ahead, TRANSFER_AHEAD_BYTES);
    transfer_init(&t, &from, &to, &ahead, &body);
}

static void end(void)
{
    transfer_done(&t);
    buf_done(&ahead);
    stream_close(&from);
    stream_close(&to);
    loop_done(&loop);
}

static enum transfer_state move(void)
{
    return transfer_move(&t, scratch);
}

TEST(a_length_is_passed_on_and_what_comes_behind_stays_in_the_kernel)
{
    begin(BODY_LENGTH, 5);
    fake_input(FROM, "hel");
    EXPECT(move() == TRANSFER_WANTS_INPUT);
    fake_input(FROM, "loGET /");
    EXPECT(move() == TRANSFER_ENDED);
    EXPECT(fake_output_is(TO, "hello") && fake_fd[FROM].in_len == 5 && t.moved_bytes == 5);
    end();
}

TEST(what_came_ahead_goes_first_and_its_rest_stays)
{
    begin(BODY_LENGTH, 4);
    EXPECT(buf_append(&ahead, bytes_of("bodyGET /next")) == 0);
    EXPECT(move() == TRANSFER_ENDED);
    EXPECT(fake_output_is(TO, "body") && bytes_equal(buf_bytes(&ahead), bytes_of("GET /next")));
    end();
}

TEST(chunks_pass_verbatim_and_what_comes_behind_goes_ahead)
{
    begin(BODY_CHUNKED, 0);
    fake_input(FROM, "3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\nGET /next");
    EXPECT(move() == TRANSFER_ENDED);
    EXPECT(fake_output_is(TO, "3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n"));
    EXPECT(bytes_equal(buf_bytes(&ahead), bytes_of("GET /next")));
    end();
}

TEST(without_their_framing_chunks_are_payload_alone)
{
    begin(BODY_CHUNKED, 0);
    t.unframes = true;
    fake_input(FROM, "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    EXPECT(move() == TRANSFER_ENDED && fake_output_is(TO, "abcde"));
    end();
}

TEST(a_head_goes_before_the_body_even_when_it_is_empty)
{
    struct buf head;

    begin(BODY_NONE, 0);
    buf_init(&head, 100);
    EXPECT(buf_append(&head, bytes_of("HEAD\r\n\r\n")) == 0);
    transfer_put_first(&t, &head);
    EXPECT(move() == TRANSFER_ENDED && fake_output_is(TO, "HEAD\r\n\r\n") && !head.memory);
    end();
}

TEST(a_slow_reader_stops_the_reading)
{
    begin(BODY_LENGTH, 10);
    fake_fd[TO].out_room = 3;
    fake_input(FROM, "hello");
    EXPECT(move() == TRANSFER_WANTS_ROOM);
    fake_input(FROM, "again");
    EXPECT(move() == TRANSFER_WANTS_ROOM && fake_fd[FROM].in_len == 5);
    fake_room(TO, 100);
    EXPECT(move() == TRANSFER_ENDED && fake_output_is(TO, "helloagain"));
    end();
}

TEST(an_end_in_the_middle_is_a_cut_and_where_the_end_is_the_frame_it_is_none)
{
    begin(BODY_LENGTH, 10);
    fake_input(FROM, "hel");
    fake_end(FROM);
    EXPECT(move() == TRANSFER_CUT);
    end();
    begin(BODY_UNTIL_CLOSE, 0);
    fake_input(FROM, "all of it");
    fake_end(FROM);
    EXPECT(move() == TRANSFER_ENDED && fake_output_is(TO, "all of it"));
    end();
}

TEST(a_limit_and_malformed_chunks_end_it)
{
    begin(BODY_CHUNKED, 0);
    t.limit_bytes = 8;
    fake_input(FROM, "9\r\nabcdefghi\r\n0\r\n\r\n");
    EXPECT(move() == TRANSFER_TOO_LARGE);
    end();
    begin(BODY_CHUNKED, 0);
    fake_input(FROM, "zz\r\n");
    EXPECT(move() == TRANSFER_MALFORMED);
    end();
}

TEST(a_reader_that_has_left_is_told_apart)
{
    begin(BODY_LENGTH, 5);
    fake_fd[TO].error = -EPIPE;
    fake_input(FROM, "hello");
    EXPECT(move() == TRANSFER_TO_LEFT);
    end();
}
