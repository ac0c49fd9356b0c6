#include "net/preface.c"

#include "parent.h"

#define FD   4
#define LINE "PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"

static struct preface preface;
static struct stream stream;

static void begin(bool is_optional)
{
    parent_begin();
    memset(&preface, 0, sizeof preface);
    EXPECT(stream_open(&stream, &parent_worker.runner.loop, FD) == 0);
    preface.stream = &stream;
    preface.limit_usec = 3000000;
    preface.is_optional = is_optional;
    preface_start(&preface, parent);
    parent_turn();
    EXPECT(!flow_is_over(&preface.flow));
}

static bool is_over(enum reason reason)
{
    parent_turn();
    return flow_is_over(&preface.flow) && preface.flow.reason == reason;
}

static void end(void)
{
    stream_close(&stream);
    parent_end();
}

static bool is_left(const char *text)
{
    char rest[256];
    ssize_t got = stream_read(&stream, rest, sizeof rest);

    return got == (ssize_t)strlen(text) && memcmp(rest, text, strlen(text)) == 0;
}

TEST(just_the_header_is_taken)
{
    begin(false);
    fake_input(FD, LINE "GET / HTTP/1.1\r\n");
    EXPECT(is_over(REASON_DONE) && preface.has_header);
    EXPECT(preface.header.source_port == 4711 && preface.header.version == 1);
    EXPECT(stream.source.ready & READABLE);
    EXPECT(is_left("GET / HTTP/1.1\r\n"));
    end();
}

TEST(a_header_may_come_byte_by_byte)
{
    begin(false);
    for (size_t i = 0; i + 1 < strlen(LINE); i++) {
        fake_feed(FD, &LINE[i], 1);
        parent_turn();
        EXPECT(!flow_is_over(&preface.flow) && !(stream.source.ready & READABLE));
    }
    fake_input(FD, "\n");
    EXPECT(is_over(REASON_DONE) && preface.header.destination_port == 443);
    end();
}

TEST(what_a_trickling_peer_sends_does_not_move_the_deadline)
{
    begin(false);
    for (size_t i = 0; i < 3; i++) {
        fake_now_usec += 900000;
        fake_feed(FD, &LINE[i], 1);
        parent_turn();
        EXPECT(!flow_is_over(&preface.flow));
    }
    fake_now_usec += 400000;
    parent_turn();
    EXPECT(is_over(REASON_PROXY_TOO_SLOW));
    end();
}

TEST(silence_is_late_where_a_header_is_required_and_no_fault_where_it_is_optional)
{
    for (int is_optional = 0; is_optional < 2; is_optional++) {
        begin(is_optional);
        fake_now_usec += 3100000;
        parent_turn();
        EXPECT(is_over(is_optional ? REASON_CLIENT_SILENT : REASON_PROXY_TOO_SLOW));
        end();
    }
}

TEST(other_bytes_are_missing_or_left_alone)
{
    begin(false);
    fake_input(FD, "GET / HTTP/1.1\r\n");
    EXPECT(is_over(REASON_PROXY_MISSING));
    end();
    begin(true);
    fake_input(FD, "PUT / HTTP/1.1\r\n");
    EXPECT(is_over(REASON_DONE) && !preface.has_header);
    EXPECT(is_left("PUT / HTTP/1.1\r\n"));
    end();
    begin(true);
    fake_input(FD, "PROXY nonsense\r\n");
    EXPECT(is_over(REASON_PROXY_MALFORMED)); /* a header it is, so it has to be a good one */
    end();
}

TEST(how_a_peer_may_leave)
{
    begin(false);
    fake_end(FD);
    EXPECT(is_over(REASON_CLIENT_SILENT));
    end();
    begin(false);
    fake_input(FD, "PROXY TCP4");
    parent_turn();
    fake_end(FD);
    EXPECT(is_over(REASON_PROXY_MALFORMED));
    end();
    begin(true);
    fake_input(FD, "PRO");
    fake_end(FD);
    EXPECT(is_over(REASON_DONE) && !preface.has_header && is_left("PRO"));
    end();
    begin(false);
    fake_break(FD);
    EXPECT(is_over(REASON_CLIENT_LEFT));
    end();
    begin(false);
    fake_input(FD, LINE);
    fake_end(FD);
    EXPECT(is_over(REASON_DONE) && preface.has_header);
    end();
}
