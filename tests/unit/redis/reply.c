#include "redis/reply.c"

#include "test.h"

#include <stdio.h>

static struct redis_reader *reader;
static struct redis_reply *reply;

static void open_reader(size_t limit)
{
    EXPECT(redis_reader_new(limit, &reader) == 0);
    reply = NULL;
}

static void close_reader(void)
{
    reply = redis_reply_free(reply);
    reader = redis_reader_free(reader);
}

/* What comes after all of it was fed, in so large pieces. */
static int feed(const char *text, size_t piece)
{
    struct bytes left = bytes_of(text);
    int next = 0;

    reply = redis_reply_free(reply);
    while (left.len && !next) {
        EXPECT(redis_reader_feed(reader, bytes_slice(left, 0, piece)) == 0);
        left = bytes_from(left, piece);
        next = redis_reader_next(reader, &reply);
    }
    return next;
}

static bool text_is(const struct redis_reply *of, const char *text)
{
    return bytes_equal(redis_reply_text(of), bytes_of(text));
}

TEST(each_kind_in_pieces_of_any_size)
{
    for (size_t piece = 1; piece < 64; piece++) {
        open_reader(1000);
        EXPECT(feed("+OK\r\n", piece) == 1 && redis_reply_kind(reply) == REDIS_TEXT);
        EXPECT(text_is(reply, "OK") && redis_reply_number(reply) == 0);
        EXPECT(feed("$4\r\na\r\nb\r\n", piece) == 1 && text_is(reply, "a\r\nb"));
        EXPECT(feed(":-7\r\n", piece) == 1 && redis_reply_kind(reply) == REDIS_NUMBER);
        EXPECT(redis_reply_number(reply) == -7 && redis_reply_count(reply) == 0);
        EXPECT(feed("$-1\r\n", piece) == 1 && redis_reply_kind(reply) == REDIS_NIL);
        EXPECT(feed("*-1\r\n", piece) == 1 && redis_reply_kind(reply) == REDIS_NIL);
        EXPECT(feed("*3\r\n$1\r\nx\r\n$-1\r\n*1\r\n:1\r\n", piece) == 1);
        EXPECT(redis_reply_kind(reply) == REDIS_LIST && redis_reply_count(reply) == 3);
        EXPECT(text_is(redis_reply_at(reply, 0), "x"));
        EXPECT(redis_reply_kind(redis_reply_at(reply, 1)) == REDIS_NIL);
        EXPECT(redis_reply_number(redis_reply_at(redis_reply_at(reply, 2), 0)) == 1);
        EXPECT(feed("*0\r\n", piece) == 1 && redis_reply_count(reply) == 0);
        close_reader();
    }
}

TEST(several_at_once)
{
    open_reader(100);
    EXPECT(redis_reader_feed(reader, bytes_of(":1\r\n:2\r\n:3")) == 0);
    for (int64_t i = 1; i <= 2; i++) {
        EXPECT(redis_reader_next(reader, &reply) == 1 && redis_reply_number(reply) == i);
        redis_reply_free(TAKE(reply));
    }
    EXPECT(redis_reader_next(reader, &reply) == 0);
    EXPECT(feed("4\r\n", 9) == 1 && redis_reply_number(reply) == 34);
    close_reader();
}

TEST(errors_have_codes_in_scripts_too)
{
    open_reader(1000);
    EXPECT(feed("-READONLY You can't write\r\n", 99) == 1);
    EXPECT(redis_reply_is_error(reply, "READONLY") && !redis_reply_is_error(reply, "READ"));
    EXPECT(feed("-OOM\r\n", 99) == 1 && redis_reply_is_error(reply, "OOM"));
    EXPECT(
        feed(
            "-ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command"
            " not allowed\r\n",
            99) == 1);
    EXPECT(redis_reply_is_error(reply, "OOM") && !redis_reply_is_error(reply, "ERR"));
    EXPECT(feed("-ERR Error running script OOM\r\n", 99) == 1);
    EXPECT(!redis_reply_is_error(reply, "OOM") && redis_reply_is_error(reply, "ERR"));
    EXPECT(feed("$3\r\nOOM\r\n", 99) == 1 && !redis_reply_is_error(reply, "OOM"));
    close_reader();
}

TEST(what_is_no_resp2_is_refused)
{
    static const char *const rows[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "x\r\n",
        "\r\n",
        ":x\r\n",
        "$x\r\n",
        "*x\r\n",
        "$-2\r\n",
        "*-2\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ">1\r\n:1\r\n",
        "$99999999999999999999\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        open_reader(1000);
        EXPECT(feed(rows[i], 99) == -EBADMSG);
        close_reader();
    }
}

TEST(nothing_larger_than_allowed_is_kept)
{
    static const char *const rows[] = {
        "*1024\r\n",
        "*2147483647\r\n",
        "*600\r\n*600\r\n",
        ("*2\r\n$60\r\n......................................................------\r\n"
         "$60\r\n......................................................------\r\n"),
    };
    char line[256];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        open_reader(100);
        EXPECT(feed(rows[i], 999) == -EMSGSIZE);
        close_reader();
    }
    for (unsigned i = 0; i < 2; i++) { /* a text that never ends, by length and by line */
        open_reader(100);
        EXPECT(feed(i ? "$1000000\r\n" : "+", 99) == 0);
        memset(line, 'x', 150);
        line[150] = '\0';
        EXPECT(feed(line, 10) == -EMSGSIZE);
        close_reader();
    }
}

TEST(the_limit_is_for_each_reply_not_for_all)
{
    open_reader(100);
    for (unsigned i = 0; i < 1000; i++)
        EXPECT(feed("*2\r\n$30\r\n..............................\r\n$30\r\n"
                    "..............................\r\n",
                    7) == 1);
    close_reader();
}
