#include "access/subrequest.c"

#include "net/parent.h"

#include <stdio.h>
#include <sys/epoll.h>

#define FD      8
#define REQUEST "POST /chat?a=b HTTP/1.1\r\nHost: app.example.com\r\nCookie: sid=1\r\n"
#define UPGRADED                                                                                   \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nContent-Length: 5\r\n"   \
    "TE: trailers\r\nX-Original-URI: /forged\r\n"

static struct subrequest *s;
static const char *const copied[] = {"X-User", "X-Role"};
static struct access_auth auth;
static struct http1_head request;

static void begin(const char *text)
{
    static struct address peer;
    static const struct cidr_set nobody;
    const struct forwarded how = {
        .peer = &peer, .trust = &nobody, .port = 80, .request_id = "0123456789abcdef"};
    enum reason why;

    parent_begin();
    auth = (struct access_auth){.host = "127.0.0.1:7100",
                                .target = "/check",
                                .copy = copied,
                                .copy_count = 2,
                                .timeout_usec = 1000000};
    EXPECT(address_parse("127.0.0.1:7100", &auth.address) == 0);
    EXPECT(address_parse("192.0.2.7:1234", &peer) == 0);
    EXPECT(http1_request_parse(bytes_of(text), 100, &request, &why) > 0);
    const struct subrequest_ask asked = {.auth = &auth,
                                         .request = &request,
                                         .forwarded = &how,
                                         .tuning = {60, 120000},
                                         .head_limit_bytes = 4096,
                                         .fields_max = 100};
    EXPECT(subrequest_new(&asked, &s) == REASON_DONE);
    subrequest_start(s, parent);
}

/* Ends the flow if need be; the verdict. */
static enum reason end(void)
{
    EXPECT(flow_is_over(&s->flow));
    return subrequest_verdict(s);
}

static void clean(void)
{
    s = subrequest_free(s);
    EXPECT(fake_fd[FD].is_closed);
    parent_end();
}

static void answer_with(const char *answer)
{
    parent_turn();
    fake_event(FD, EPOLLOUT);
    parent_turn();
    fake_input(FD, answer);
    parent_turn();
    parent_turn();
}

static bool lines_are(const char *wanted)
{
    bool is = bytes_equal(buf_bytes(&s->lines), bytes_of(wanted));

    if (!is)
        print_error("%.*s\n", (int)buf_bytes(&s->lines).len, (const char *)buf_bytes(&s->lines).at);
    return is;
}

TEST(the_head_is_asked_about_and_what_is_named_is_copied)
{
    begin(REQUEST UPGRADED "\r\n");
    answer_with("HTTP/1.1 200 OK\r\nx-user: joe\r\nX-Other: 1\r\nX-Role: a\r\nX-Role: b\r\n"
                "Content-Length: 100\r\n\r\n");
    EXPECT(end() == REASON_DONE);
    EXPECT(lines_are("X-User: joe\r\nX-Role: a\r\nX-Role: b\r\n"));
    char *sent = fake_fd[FD].out;
    const char *begins = "GET /check HTTP/1.1\r\nHost: 127.0.0.1:7100\r\nCookie: sid=1\r\n";
    EXPECT(strncmp(sent, begins, strlen(begins)) == 0);
    static const char *const there[] = {
        "X-Original-Method: POST\r\n",    "X-Original-URI: /chat?a=b\r\n",
        "X-Forwarded-For: 192.0.2.7\r\n", "X-Forwarded-Host: app.example.com\r\n",
        "X-Forwarded-Uri: /chat?a=b\r\n", "Connection: close\r\n"};
    static const char *const not_there[] = {"Sec-WebSocket", "Upgrade", "Content-Length",
                                            "TE:", "forged"};
    for (size_t i = 0; i < ARRAY_LEN(there); i++)
        EXPECT(strstr(sent, there[i]));
    for (size_t i = 0; i < ARRAY_LEN(not_there); i++)
        EXPECT(!strstr(sent, not_there[i]));
    clean();
}

TEST(a_refusal_is_told_whole)
{
    begin(REQUEST "\r\n");
    answer_with("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nX-User: joe\r\n"
                "Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n3\r\nwho\r\n");
    EXPECT(!flow_is_over(&s->flow));
    fake_input(FD, "1\r\n?\r\n0\r\n\r\n");
    parent_turn();
    EXPECT(end() == REASON_AUTH_DENIED && s->status == 401);
    EXPECT(lines_are("WWW-Authenticate: Basic realm=\"x\"\r\nContent-Type: text/plain\r\n"));
    EXPECT(bytes_equal(buf_bytes(&s->body), bytes_of("who?")));
    clean();
}

TEST(a_redirection_goes_to_the_client)
{
    begin(REQUEST "\r\n");
    answer_with("HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
                "Content-Length: 0\r\n\r\n");
    EXPECT(end() == REASON_AUTH_DENIED && s->status == 302);
    EXPECT(lines_are("Location: /login\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"));
    clean();
}

TEST(a_refusal_whose_body_never_ends_is_still_one)
{
    begin(REQUEST "\r\n");
    answer_with("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\npart");
    EXPECT(!flow_is_over(&s->flow));
    fake_now_usec += 2000000;
    parent_turn();
    EXPECT(end() == REASON_AUTH_DENIED && s->status == 403 && buf_is_empty(&s->body));
    clean();
}

TEST(a_refusal_whose_body_is_cut_is_still_one)
{
    begin(REQUEST "\r\n");
    answer_with("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\npart");
    fake_end(FD);
    parent_turn();
    EXPECT(end() == REASON_AUTH_DENIED && buf_is_empty(&s->body));
    clean();
    begin(REQUEST "\r\n");
    answer_with("HTTP/1.1 403 No\r\n\r\nall of it");
    fake_end(FD);
    parent_turn();
    EXPECT(end() == REASON_AUTH_DENIED);
    EXPECT(bytes_equal(buf_bytes(&s->body), bytes_of("all of it")));
    clean();
}

TEST(what_says_neither_yes_nor_no_has_failed)
{
    static const char *const rows[] = {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
                                       "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                                       "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                                       "HTTP/1.1 304 Not Modified\r\n\r\n",
                                       "nonsense\r\n\r\n",
                                       "HTTP/1.1 403 No\r\nContent-Length: x\r\n\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        begin(REQUEST "\r\n");
        answer_with(rows[i]);
        if (end() != REASON_AUTH_FAILED)
            print_error("%s\n", rows[i]);
        EXPECT(end() == REASON_AUTH_FAILED);
        clean();
    }
}

TEST(the_timeout_is_for_all_of_it_together)
{
    begin(REQUEST "\r\n");
    fake_calls.connect = -EINPROGRESS;
    parent_turn();
    fake_now_usec += 600000;
    fake_event(FD, EPOLLOUT);
    parent_turn();
    EXPECT(!flow_is_over(&s->flow));
    fake_now_usec += 300000;
    parent_turn();
    EXPECT(!flow_is_over(&s->flow));
    fake_now_usec += 150000;
    parent_turn();
    EXPECT(end() == REASON_AUTH_FAILED);
    clean();
}

TEST(who_is_not_there_has_failed)
{
    begin(REQUEST "\r\n");
    fake_calls.connect = -ECONNREFUSED;
    parent_turn();
    parent_turn();
    EXPECT(end() == REASON_AUTH_FAILED);
    clean();
}
