#include "health/check_http.c"

#include "base/check.h"
#include "talk.h"

#define HTTP &checker_http

static void begin_with(const char *status)
{
    settings = (struct check_settings){.path = "/health", .status = status};
    talk_begin(HTTP);
}

/* The verdict over that answer, and its end. */
static enum reason verdict_over(const char *answer)
{
    begin_with(settings.status);
    if (hear_text(HTTP, answer) == TALK_ON)
        EXPECT(hear_end(HTTP) == TALK_OVER);
    return talk.why;
}

TEST(a_get_with_host_is_asked)
{
    begin_with(NULL);
    struct bytes out = buf_bytes(&talk.out);
    EXPECT(bytes_find(out, bytes_of("GET /health HTTP/1.1\r\nHost: chat.example.com\r\n"), 0) == 0);
    EXPECT(bytes_find(out, bytes_of("\r\nConnection: close\r\n\r\n"), 0) + 23 == out.len);
    EXPECT(talk.if_late == REASON_ANSWER_TOO_SLOW);
    talk_done();
}

TEST(a_whole_answer_with_a_wanted_status_is_good_however_it_is_cut)
{
    const char *answer = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\nA: b\r\n\r\n";

    begin_with(NULL);
    for (size_t i = 0; answer[i]; i++) {
        enum talk_next next = hear_bytes(HTTP, (struct bytes){(const uint8_t *)answer + i, 1});
        EXPECT((next == TALK_OVER) == !answer[i + 1]);
    }
    EXPECT(talk.why == REASON_DONE && talk.status == 204);
    talk_done();
}

TEST(an_answer_is_waited_for_to_its_last_byte)
{
    begin_with(NULL);
    EXPECT(hear_text(HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell") == TALK_ON);
    EXPECT(talk.if_late == REASON_CHECK_TOO_SLOW);
    EXPECT(hear_text(HTTP, "o") == TALK_OVER && talk.why == REASON_DONE);
    talk_done();
}

TEST(what_is_wrong_has_a_name)
{
    static const struct {
        const char *answer;
        enum reason reason;
    } rows[] = {
        {"", REASON_SERVER_LEFT},
        {"HTTP/1.1 200 OK\r\n", REASON_SERVER_LEFT},
        {"hello\r\n\r\n", REASON_ANSWER_MALFORMED},
        {"HTTP/1.1 101 Switching\r\n\r\n", REASON_ANSWER_UNASKED},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", REASON_CHECK_STATUS},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", REASON_RESPONSE_CUT},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", REASON_ANSWER_MALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", REASON_RESPONSE_MALFORMED},
        {"HTTP/1.1 200 OK\r\n\r\nall of it", REASON_DONE},
        {"HTTP/1.1 503 No\r\n\r\nbusy", REASON_CHECK_STATUS},
        {"HTTP/1.1 500 No\r\n\r\ndraining", REASON_CHECK_STATUS},
        {"HTTP/1.1 503 No\r\n\r\n{\"state\": \"drdraINing\"}", REASON_SERVER_DRAINS},
        {"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndra\r\n5\r\nining\r\n0\r\n\r\n",
         REASON_SERVER_DRAINS},
        {"HTTP/1.1 503 No\r\n\r\ndraindraindrainin", REASON_CHECK_STATUS},
        {"HTTP/1.1 200 OK\r\nX-Turnout-Drain: 1\r\nContent-Length: 0\r\n\r\n",
         REASON_SERVER_DRAINS},
        {"HTTP/1.1 200 OK\r\nX-Turnout-Drain: 0\r\nContent-Length: 0\r\n\r\n", REASON_DONE},
        {"HTTP/1.1 200 OK\r\nX-Turnout-Drain: Off\r\nContent-Length: 0\r\n\r\n", REASON_DONE},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (verdict_over(rows[i].answer) == rows[i].reason)
            continue;
        print_error("%s: %s\n", rows[i].answer, reason_row(talk.why)->name);
        test_fail(rows[i].answer, __FILE__, __LINE__);
    }
    talk_done();
}

TEST(head_and_body_have_their_limits)
{
    static uint8_t much[8192];

    memset(much, 'a', sizeof much);
    begin_with(NULL);
    EXPECT(hear_text(HTTP, "HTTP/1.1 200 OK\r\nA: ") == TALK_ON);
    EXPECT(hear_bytes(HTTP, (struct bytes){much, sizeof much}) == TALK_ON);
    EXPECT(hear_bytes(HTTP, (struct bytes){much, sizeof much}) == TALK_OVER);
    EXPECT(talk.why == REASON_ANSWER_TOO_LARGE);

    begin_with(NULL);
    EXPECT(hear_text(HTTP, "HTTP/1.1 200 OK\r\n\r\n") == TALK_ON);
    for (size_t i = 0; i < ANSWER_BODY_BYTES / sizeof much; i++)
        EXPECT(hear_bytes(HTTP, (struct bytes){much, sizeof much}) == TALK_ON);
    EXPECT(hear_bytes(HTTP, (struct bytes){much, 1}) == TALK_OVER);
    EXPECT(talk.why == REASON_CHECK_TOO_LARGE);

    begin_with(NULL);
    for (unsigned i = 0; i < ANSWER_INTERIM_MAX; i++)
        EXPECT(hear_text(HTTP, "HTTP/1.1 100 Continue\r\n\r\n") == TALK_ON);
    EXPECT(hear_text(HTTP, "HTTP/1.1 100 Continue\r\n\r\n") == TALK_OVER);
    EXPECT(talk.why == REASON_ANSWER_MALFORMED);
    talk_done();
}
