#include "net/stream.c"

#include "fake_sys.h"
#include "test.h"

#define FD 3

static struct loop loop;
static struct stream stream;
static uint8_t scratch[4096];

static void begin(void)
{
    fake_reset();
    EXPECT(loop_init(&loop) == 0);
    EXPECT(stream_open(&stream, &loop, FD) == 0);
}

static void end(void)
{
    stream_close(&stream);
    EXPECT(!stream_is_open(&stream) && fake_fd[FD].is_closed);
    stream_close(&stream); /* harmless */
    loop_done(&loop);
}

TEST(a_short_read_forgets_that_there_was_something)
{
    begin();
    fake_input(FD, "hello");
    EXPECT(loop_look(&loop) == 0 && stream.source.ready & READABLE);
    EXPECT(stream_read(&stream, scratch, 5) == 5);
    EXPECT(stream.source.ready & READABLE); /* as much as asked for: perhaps there is more */
    EXPECT(stream_read(&stream, scratch, 5) == -EAGAIN);
    EXPECT(!(stream.source.ready & READABLE));
    end();
}

TEST(after_the_peers_end_a_short_read_is_not_the_last)
{
    begin();
    fake_input(FD, "bye");
    fake_fd[FD].in_ends = true;
    fake_event(FD, EPOLLIN | EPOLLRDHUP);
    EXPECT(loop_look(&loop) == 0);
    EXPECT(stream_read(&stream, scratch, sizeof scratch) == 3);
    EXPECT(stream.source.ready & READABLE);
    EXPECT(stream_read(&stream, scratch, sizeof scratch) == 0);
    end();
}

TEST(a_short_write_forgets_that_there_was_room)
{
    begin();
    fake_fd[FD].out_room = 4;
    EXPECT(stream.source.ready & WRITABLE);
    EXPECT(stream_write(&stream, bytes_of("hello")) == 4);
    EXPECT(!(stream.source.ready & WRITABLE));
    EXPECT(stream_write(&stream, bytes_of("o")) == -EAGAIN);
    EXPECT(fake_output_is(FD, "hell"));
    EXPECT(!stream_has_unsent(&stream) && stream_flush(&stream) == 0);
    end();
}

TEST(a_buf_is_filled_to_its_limit_and_no_further)
{
    struct buf in;

    begin();
    buf_init(&in, 8);
    fake_input(FD, "0123456789");
    EXPECT(stream_read_into(&stream, &in, scratch) == 8);
    EXPECT(stream_read_into(&stream, &in, scratch) == -EMSGSIZE);
    buf_consume(&in, 4);
    EXPECT(stream_read_into(&stream, &in, scratch) == 2);
    EXPECT(bytes_equal(buf_bytes(&in), bytes_of("456789")));
    buf_done(&in);
    end();
}

TEST(a_buf_is_written_until_the_kernel_has_no_room)
{
    struct buf out;

    begin();
    buf_init(&out, 64);
    EXPECT(buf_append(&out, bytes_of("0123456789")) == 0);
    fake_fd[FD].out_room = 7;
    EXPECT(stream_write_from(&stream, &out) == -EAGAIN);
    EXPECT(bytes_equal(buf_bytes(&out), bytes_of("789")));
    fake_fd[FD].out_room = 7;
    EXPECT(stream_write_from(&stream, &out) == 0 && buf_is_empty(&out));
    EXPECT(fake_output_is(FD, "0123456789"));
    fake_fd[FD].error = -ECONNRESET;
    EXPECT(buf_append(&out, bytes_of("x")) == 0);
    EXPECT(stream_write_from(&stream, &out) == -ECONNRESET);
    buf_done(&out);
    end();
}

TEST(an_end_is_a_fin)
{
    begin();
    stream_end(&stream);
    EXPECT(fake_fd[FD].is_ended && !fake_fd[FD].is_closed);
    end();
}

TEST(an_abort_closes_as_well)
{
    begin();
    stream_abort(&stream);
    EXPECT(fake_fd[FD].is_closed && !stream_is_open(&stream));
    loop_done(&loop);
}

/* What the first says is no knowledge about the socket; a full socket is one about the second. */
TEST(a_splice_forgets_only_that_there_was_room)
{
    int pipe[2];

    begin();
    EXPECT(sys_pipe_open(pipe, 65536) == 65536);
    fake_input(FD, "abcd");
    loop_look(&loop);
    EXPECT(stream_splice_in(&stream, pipe[1], 100) == 4);
    EXPECT(stream_splice_in(&stream, pipe[1], 100) == -EAGAIN);
    EXPECT(stream.source.ready & READABLE);
    fake_fd[FD].out_room = 3;
    EXPECT(stream_splice_out(&stream, pipe[0], 100) == 3);
    EXPECT(stream.source.ready & WRITABLE);
    EXPECT(stream_splice_out(&stream, pipe[0], 100) == -EAGAIN);
    EXPECT(!(stream.source.ready & WRITABLE) && fake_output_is(FD, "abc"));
    sys_close(pipe[0]);
    sys_close(pipe[1]);
    end();
}
