#include "proxy/sessions_judge.c"

#include "test.h"

static struct http1_head head;
static struct session_request request;
static struct session_answer answer;
static struct store_ask ask;

/* The status of a refusal; 0: the store shall be asked. */
static unsigned judged(const char *text)
{
    enum reason why;

    EXPECT(http1_request_parse(bytes_of(text), 100, &head, &why) > 0);
    if (sessions_judge(&head, &request, &answer))
        return 0;
    EXPECT(answer.words && answer.words[strlen(answer.words) - 1] == '\n');
    return answer.status;
}

TEST(what_is_asked_of_the_store)
{
    EXPECT(judged("GET /sessions/a%2Fb?x=y HTTP/1.1\r\nHost: x\r\n\r\n") == 0);
    EXPECT(request.question.op == STORE_GET && !request.is_head);
    EXPECT(bytes_equal(request.question.key, bytes_of("a/b")));
    EXPECT(judged("HEAD /sessions/a HTTP/1.1\r\nHost: x\r\n\r\n") == 0 && request.is_head);
    EXPECT(judged("PUT /sessions/a HTTP/1.1\r\nHost: x\r\nContent-Type: t/t\r\nIf-Match: "
                  "\"00112233445566aa\"\r\n"
                  "Content-Length: 8192\r\n\r\n") == 0);
    EXPECT(request.question.op == STORE_PUT_STATE &&
           request.question.condition == STORE_IF_VERSION);
    EXPECT(bytes_equal(request.question.version, bytes_of("00112233445566aa")));
    EXPECT(bytes_equal(request.question.type, bytes_of("t/t")) && request.framing.left == 8192);
    EXPECT(judged("DELETE /sessions/a HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\n\r\n") == 0);
    EXPECT(request.question.op == STORE_DELETE && request.question.condition == STORE_IF_ANY);
    EXPECT(judged("PUT /sessions/a HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n") == 0);
    EXPECT(request.question.condition == STORE_IF_NONE && !request.question.state.len);
}

TEST(what_is_refused)
{
#define HEAD " HTTP/1.1\r\nHost: x\r\n"
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {"POST /sessions/a" HEAD "\r\n", 405},
        {"GET /sessions" HEAD "\r\n", 404},
        {"GET /sessions/" HEAD "\r\n", 404},
        {"GET /sessions/a/b" HEAD "\r\n", 404},
        {"GET http://x/sessions/a" HEAD "\r\n", 404},
        {"GET /sessions/%" HEAD "\r\n", 400},
        {"GET /sessions/%1" HEAD "\r\n", 400},
        {"GET /sessions/%1g" HEAD "\r\n", 400},
        {"GET /sessions/a HTTP/1.1\r\n\r\n", 400},
        {"GET /sessions/a" HEAD "Origin: http://x\r\n\r\n", 403},
        {"GET /sessions/a" HEAD "Sec-Fetch-Site: none\r\n\r\n", 403},
        {"GET /sessions/a" HEAD "Expect: x\r\n\r\n", 417},
        {"GET /sessions/a" HEAD "Content-Length: 1\r\n\r\n", 400},
        {"GET /sessions/a" HEAD "Transfer-Encoding: chunked\r\n\r\n", 400},
        {"PUT /sessions/a" HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"PUT /sessions/a" HEAD "Content-Length: 8193\r\n\r\n", 413},
        {"PUT /sessions/a" HEAD "Content-Encoding: gzip\r\n\r\n", 415},
        {"PUT /sessions/a" HEAD "If-None-Match: \"00112233445566aa\"\r\n\r\n", 400},
        {"PUT /sessions/a" HEAD "If-Match: *\r\nIf-Match: *\r\n\r\n", 400},
        {"PUT /sessions/a" HEAD "If-Match: *\r\nIf-None-Match: *\r\n\r\n", 400},
        {"PUT /sessions/a" HEAD "If-Match: 00112233445566aa\r\n\r\n", 412},
        {"PUT /sessions/a" HEAD "If-Match: W/\"00112233445566aa\"\r\n\r\n", 412},
        {"PUT /sessions/a" HEAD "If-Match: \"0011223344556677\", \"x\"\r\n\r\n", 412},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(judged(rows[i].text) == rows[i].status);
}

TEST(ids_have_a_limit)
{
    char text[1024] = "GET /sessions/";

    for (unsigned i = 0; i < STORE_KEY_MAX; i++)
        strcat(text, i % 2 ? "%00" : "a");
    size_t len = strlen(text);
    strcat(text, HEAD "\r\n");
    EXPECT(judged(text) == 0 && request.question.key.len == STORE_KEY_MAX);
    strcpy(text + len, "a" HEAD "\r\n");
    EXPECT(judged(text) == 400);
}

static void read_with(const char *condition, enum store_outcome outcome)
{
    char text[256];

    snprintf(text, sizeof text, "GET /sessions/a" HEAD "%s\r\n", condition);
    EXPECT(judged(text) == 0);
    ask.outcome = outcome;
    sessions_read(&request, &ask, &answer);
}

TEST(the_stores_answer)
{
    struct msg *kept = NULL;

    EXPECT(msg_new(bytes_of("d"), &kept) == 0);
    ask.entry =
        (struct store_entry){.server = "chat/a", .version = "00112233445566aa", .state = kept};
    read_with("", STORE_OK);
    EXPECT(answer.status == 200 && bytes_equal(answer.state, bytes_of("d")));
    EXPECT(bytes_equal(answer.type, bytes_of("application/octet-stream")));
    EXPECT(!strcmp(answer.lines,
                   "ETag: \"00112233445566aa\"\r\nX-Turnout-Session-Server: chat/a\r\n"
                   "Cache-Control: no-store\r\n"));
    read_with("If-None-Match: \"x\", W/\"00112233445566aa\"\r\n", STORE_OK);
    EXPECT(answer.status == 304);
    read_with("If-None-Match: *\r\n", STORE_OK);
    EXPECT(answer.status == 304);
    read_with("If-None-Match: \"x\"\r\n", STORE_OK);
    EXPECT(answer.status == 200);
    read_with("", STORE_ABSENT);
    EXPECT(answer.status == 404);
    ask.words = "it is gone";
    read_with("", STORE_GO_WITHOUT);
    EXPECT(answer.status == 503 && !strcmp(answer.words, "it is gone"));
    EXPECT(!strcmp(answer.lines, "Retry-After: 1\r\n"));
    ask.entry = (struct store_entry){.server = "chat/a"};
    read_with("", STORE_OK); /* a server, and no state yet */
    EXPECT(answer.status == 404 && strstr(answer.lines, "Server: chat/a\r\n"));
    msg_unref(kept);
}
