#include "codec/http1_write.c"

#include "rows.h"

#define LINE   "GET /a HTTP/1.1\r\n"
#define STATUS "HTTP/1.1 200 OK\r\n"
#define LIMIT  4096

static const struct bytes nothing;

static struct http1_head request(const char *text)
{
    struct http1_head head;
    enum reason why;

    EXPECT(http1_request_parse(bytes_of(text), HTTP1_FIELDS_MAX, &head, &why) == (int)strlen(text));
    return head;
}

static struct http1_head answer(const char *text)
{
    struct http1_head head;
    enum reason why;

    EXPECT(http1_response_parse(bytes_of(text), HTTP1_FIELDS_MAX, &head, &why) ==
           (int)strlen(text));
    return head;
}

static const struct {
    const char *name, *in;
    bool is_handshake;
    const char *out; /* NULL: -EPERM */
} requests[] = {
    {"fields keep order and spelling", LINE "Host: x\r\nhOsT-2:1\r\nA:\r\nA: 2\r\n\r\n", false,
     LINE "Host: x\r\nhOsT-2: 1\r\nA: \r\nA: 2\r\n\r\n"},
    {"only whole names are known",
     LINE "Host: x\r\nTenant: 1\r\nUpgrade-Insecure-Requests: 1\r\n\r\n", false,
     LINE "Host: x\r\nTenant: 1\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"},
    {"our version", "GET http://x/ HTTP/1.0\r\nHost: x\r\n\r\n", false,
     "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"a missing Host", "GET / HTTP/1.0\r\nA: b\r\n\r\n", false,
     "GET / HTTP/1.1\r\nHost: \r\nA: b\r\n\r\n"},
    {"a missing Host, absolute", "GET http://x:1/ HTTP/1.0\r\n\r\n", false,
     "GET http://x:1/ HTTP/1.1\r\nHost: x:1\r\n\r\n"},
    {"hop by hop",
     LINE
     "Host: x\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\n"
     "TE: gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\nA: b\r\n\r\n",
     false, LINE "Host: x\r\nA: b\r\n\r\n"},
    {"trailers are taken", LINE "Host: x\r\nTE: gzip;q=0.5, Trailers\r\nConnection: TE\r\n\r\n",
     false, LINE "Host: x\r\nConnection: TE\r\nTE: trailers\r\n\r\n"},
    {"named by Connection",
     LINE "Host: x\r\nconnection: X-Internal-Auth, close\r\nX-Internal-auth: 1\r\nConnection: "
          "b\r\nB: 1\r\nC: 1\r\n\r\n",
     false, LINE "Host: x\r\nC: 1\r\n\r\n"},
    {"only whole names", LINE "Host: x\r\nConnection: AB\r\nA: 1\r\nABC: 2\r\n\r\n", false,
     LINE "Host: x\r\nA: 1\r\nABC: 2\r\n\r\n"},
    {"named in vain",
     LINE "Host: x\r\nConnection: Via, forwarded, X-Forwarded-For\r\nVia: 1.1 a\r\nForwarded: "
          "for=a\r\n"
          "X-Forwarded-For: a\r\n\r\n",
     false, LINE "Host: x\r\nVia: 1.1 a\r\nForwarded: for=a\r\nX-Forwarded-For: a\r\n\r\n"},
    {"framing passes", LINE "Host: x\r\nContent-Length: 5\r\n\r\n", false,
     LINE "Host: x\r\nContent-Length: 5\r\n\r\n"},
    {"chunked passes", LINE "Host: x\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n", false,
     LINE "Host: x\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"},
    {"a handshake",
     LINE "Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: h2c, "
          "websocket\r\nContent-Length: 0\r\n"
          "Sec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: a, b\r\nTE: trailers\r\n\r\n",
     true,
     LINE "Host: x\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: a, b\r\nConnection: "
          "Upgrade\r\n"
          "Upgrade: websocket\r\n\r\n"},
    {"Host may not be named", LINE "Host: x\r\nConnection: host\r\n\r\n", false, NULL},
    {"Content-Length may not be named", LINE "Host: x\r\nConnection: content-length\r\n\r\n", false,
     NULL},
    {"Transfer-Encoding may not be named",
     LINE "Host: x\r\nConnection: a,Transfer-Encoding\r\n\r\n", false, NULL},
    {"the key may not be named", LINE "Host: x\r\nConnection: upgrade, Sec-WebSocket-Key\r\n\r\n",
     true, NULL},
    {"the protocol may not be named", LINE "Host: x\r\nConnection: sec-websocket-protocol\r\n\r\n",
     true, NULL},
    {"Cookie may not be named", LINE "Host: x\r\nConnection: cookie\r\n\r\n", false, NULL},
    {"Authorization may not be named", LINE "Host: x\r\nConnection: Authorization\r\n\r\n", false,
     NULL},
};

TEST(requests_are_rewritten)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct http1_head head = request(requests[i].in);
        struct buf to;
        buf_init(&to, LIMIT);
        int error = http1_write_request(&to, &head, requests[i].is_handshake, NULL);
        EXPECT_ROW(requests[i].name, error == (requests[i].out ? 0 : -EPERM));
        EXPECT_ROW(requests[i].name, says(buf_bytes(&to), requests[i].out ? requests[i].out : ""));
        buf_done(&to);
    }
}

static const struct {
    const char *name, *in;
    bool is_handshake, keeps;
    unsigned minor_version;
    const char *out;
} answers[] = {
    {"kept", STATUS "A: b\r\nContent-Length: 5\r\n\r\n", false, true, 1,
     STATUS "A: b\r\nContent-Length: 5\r\nDate: now\r\n\r\n"},
    {"the server's Date", STATUS "date: then\r\n\r\n", false, true, 1, STATUS "date: then\r\n\r\n"},
    {"not kept", STATUS "Connection: keep-alive\r\nKeep-Alive: 5\r\n\r\n", false, false, 1,
     STATUS "Date: now\r\nConnection: close\r\n\r\n"},
    {"kept for HTTP/1.0", STATUS "\r\n", false, true, 0,
     STATUS "Date: now\r\nConnection: keep-alive\r\n\r\n"},
    {"our version", "HTTP/1.0 404 Nothing\r\n\r\n", false, true, 1,
     "HTTP/1.1 404 Nothing\r\nDate: now\r\n\r\n"},
    {"without words", "HTTP/1.1 200\r\n\r\n", false, true, 1, "HTTP/1.1 200 \r\nDate: now\r\n\r\n"},
    {"a 200 that pretends",
     STATUS "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            "x\r\nSec-WebSocket-Version: 13\r\n\r\n",
     false, true, 1, STATUS "Sec-WebSocket-Version: 13\r\nDate: now\r\n\r\n"},
    {"named by Connection", STATUS "Connection: X-Debug\r\nX-Debug: 1\r\n\r\n", false, true, 1,
     STATUS "Date: now\r\n\r\n"},
    {"framing is named in vain",
     STATUS "Connection: Content-Length, Set-Cookie\r\nContent-Length: 5\r\nSet-Cookie: a\r\n\r\n",
     false, true, 1, STATUS "Content-Length: 5\r\nDate: now\r\n\r\n"},
    {"chunked is named in vain",
     STATUS "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n", false, true, 1,
     STATUS "Transfer-Encoding: chunked\r\nDate: now\r\n\r\n"},
    {"a switch",
     "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n"
     "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: b\r\nContent-Length: "
     "0\r\nTransfer-Encoding: chunked\r\n\r\n",
     true, true, 1,
     "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: "
     "b\r\n"
     "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {"an interim answer", "HTTP/1.1 103 Early Hints\r\nLink: a\r\nConnection: close\r\n\r\n", false,
     true, 1, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"},
    {"204 has no framing",
     "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", false,
     true, 1, "HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n"},
    {"304 keeps its length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, true,
     1, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nDate: now\r\n\r\n"},
};

TEST(answers_are_rewritten)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct http1_head head = answer(answers[i].in);
        struct buf to;
        buf_init(&to, LIMIT);
        EXPECT_ROW(answers[i].name,
                   http1_write_answer(&to, &head, answers[i].is_handshake, answers[i].keeps,
                                      answers[i].minor_version, bytes_of("now"), NULL) == 0);
        EXPECT_ROW(answers[i].name, says(buf_bytes(&to), answers[i].out));
        buf_done(&to);
    }
}

TEST(extra_lines_come_last_and_the_date_may_be_empty)
{
    struct http1_head asked = request(LINE "Host: x\r\n\r\n"), answered = answer(STATUS "\r\n");
    const struct http1_edits extra = {.extra = bytes_of("X-A: 1\r\nX-B: 2\r\n")};
    struct buf to;

    buf_init(&to, LIMIT);
    EXPECT(http1_write_request(&to, &asked, false, &extra) == 0);
    EXPECT(says(buf_bytes(&to), LINE "Host: x\r\nX-A: 1\r\nX-B: 2\r\n\r\n"));
    buf_done(&to);
    EXPECT(http1_write_answer(&to, &answered, false, true, 1, nothing, &extra) == 0);
    EXPECT(says(buf_bytes(&to), STATUS "X-A: 1\r\nX-B: 2\r\n\r\n"));
    buf_done(&to);
}

TEST(edits_replace_and_leave_out)
{
    static const struct bytes dropped[] = {{(const uint8_t *)"x-debug", 7}};
    static const struct {
        struct http1_edits edits;
        const char *out;
    } rows[] = {
        {{.forwarded = FORWARDED_CHAIN_DROPPED},
         LINE "Host: x\r\nX-Forwarded-Proto: a\r\nx-debug: 1\r\n\r\n"},
        {{.forwarded = FORWARDED_DROPPED}, LINE "Host: x\r\nx-debug: 1\r\n\r\n"},
        {{.dropped = dropped, .dropped_count = 1},
         LINE "Host: x\r\nX-Forwarded-For: 1\r\nForwarded: for=1\r\nX-Forwarded-Proto: a\r\n\r\n"},
        {{.target = {(const uint8_t *)"/b", 2}, .forwarded = FORWARDED_DROPPED},
         "GET /b HTTP/1.1\r\nHost: x\r\nx-debug: 1\r\n\r\n"},
    };
    struct http1_head head = request(LINE "Host: x\r\nX-Forwarded-For: 1\r\nForwarded: for=1\r\n"
                                          "X-Forwarded-Proto: a\r\nx-debug: 1\r\n\r\n");

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf to;
        buf_init(&to, LIMIT);
        EXPECT(http1_write_request(&to, &head, false, &rows[i].edits) == 0);
        EXPECT_ROW(rows[i].out, says(buf_bytes(&to), rows[i].out));
        buf_done(&to);
    }
    struct http1_head alike = request(LINE "Host: x\r\nX_Debug: 1\r\nX_FORWARDED-For: 1\r\n"
                                           "x_forwarded_user: 1\r\nX-Debugs: 1\r\n\r\n");
    const struct http1_edits all = {
        .forwarded = FORWARDED_DROPPED, .dropped = dropped, .dropped_count = 1};
    struct buf rest;
    buf_init(&rest, LIMIT);
    EXPECT(http1_write_request(&rest, &alike, false, &all) == 0);
    EXPECT(says(buf_bytes(&rest), LINE "Host: x\r\nX-Debugs: 1\r\n\r\n"));
    buf_done(&rest);

    struct http1_head answered = answer(STATUS "X-Debug: 1\r\nA: b\r\n\r\n");
    struct buf to;
    buf_init(&to, LIMIT);
    EXPECT(http1_write_answer(&to, &answered, false, true, 1, nothing, &rows[2].edits) == 0);
    EXPECT(says(buf_bytes(&to), STATUS "A: b\r\n\r\n"));
    buf_done(&to);
}

TEST(our_own_answers)
{
    static const struct {
        struct http1_own own;
        const char *date, *out;
    } rows[] = {
        {{.status = 503,
          .type = {(const uint8_t *)"text/plain", 10},
          .body = {(const uint8_t *)"busy\n", 5},
          .extra = {(const uint8_t *)"Retry-After: 3\r\n", 16}},
         "now",
         "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
         "Date: now\r\nConnection: close\r\nRetry-After: 3\r\n\r\nbusy\n"},
        {{.status = 299, .keeps = true},
         "",
         "HTTP/1.1 299 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
        {{.status = 204, .keeps = true},
         "",
         "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"},
        {{.status = 404, .body = {(const uint8_t *)"none", 4}, .is_for_head = true, .keeps = true},
         "",
         "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf to;
        buf_init(&to, LIMIT);
        EXPECT(http1_write_own(&to, &rows[i].own, bytes_of(rows[i].date)) == 0);
        EXPECT_ROW(rows[i].out, says(buf_bytes(&to), rows[i].out));
        buf_done(&to);
    }
}

TEST(every_reason_has_words_for_its_status)
{
    for (int reason = 0; reason < REASON_COUNT; reason++) {
        unsigned status = reason_row((enum reason)reason)->http_status;
        EXPECT_ROW(reason_row((enum reason)reason)->name, !status || *http1_status_words(status));
    }
    EXPECT(!strcmp(http1_status_words(404), "Not Found") && !strcmp(http1_status_words(299), ""));
}

TEST(no_head_goes_beyond_the_limit)
{
    struct http1_head asked = request(LINE "Host: x\r\nA: b\r\nTE: trailers\r\n\r\n");
    struct http1_head answered = answer(STATUS "A: b\r\n\r\n");
    const struct http1_edits extra = {.extra = bytes_of("X: y\r\n")};
    struct buf to;

    buf_init(&to, LIMIT);
    EXPECT(http1_write_request(&to, &asked, false, &extra) == 0);
    uint32_t request_len = (uint32_t)buf_bytes(&to).len;
    buf_done(&to);
    EXPECT(http1_write_answer(&to, &answered, false, false, 1, bytes_of("now"), &extra) == 0);
    uint32_t answer_len = (uint32_t)buf_bytes(&to).len;
    buf_done(&to);

    for (uint32_t limit = 0; limit < request_len; limit++) {
        buf_init(&to, limit);
        EXPECT(http1_write_request(&to, &asked, false, &extra) == -EMSGSIZE);
        buf_done(&to);
    }
    for (uint32_t limit = 0; limit < answer_len; limit++) {
        buf_init(&to, limit);
        EXPECT(http1_write_answer(&to, &answered, false, false, 1, bytes_of("now"), &extra) ==
               -EMSGSIZE);
        buf_done(&to);
    }
}

TEST(connection_names_so_many_and_no_more)
{
    char text[512] = LINE "Host: x\r\nConnection: ";
    struct buf to;

    for (int i = 0; i < OPTIONS_MAX; i++)
        append(text, sizeof text, i ? ",a" : "a");
    append(text, sizeof text, "\r\nA: 1\r\n\r\n");
    struct http1_head head = request(text);
    buf_init(&to, LIMIT);
    EXPECT(http1_write_request(&to, &head, false, NULL) == 0);
    EXPECT(says(buf_bytes(&to), LINE "Host: x\r\n\r\n"));
    buf_done(&to);

    *strstr(text, "A: 1") = 0;
    append(text, sizeof text, "Connection: b\r\n\r\n");
    head = request(text);
    EXPECT(http1_write_request(&to, &head, false, NULL) == -EMSGSIZE);
    buf_done(&to);
}
