#include "access/token.c"

#include "test.h"

#include <stdio.h>

static struct http1_head head;
static char text[2048];

/* What the place holds of a request with these lines. */
static const char *found(const char *place, const char *target, const char *lines)
{
    static char token[256];
    struct token_source source;
    struct bytes at;
    enum reason why;

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, lines);
    EXPECT(http1_request_parse(bytes_of(text), 100, &head, &why) > 0);
    EXPECT(token_source_parse(place, &source));
    why = token_find(&source, &head, &at);
    if (why == REASON_TOKEN_MISSING)
        return "-";
    if (why == REASON_TOKEN_MALFORMED)
        return "two";
    snprintf(token, sizeof token, "%.*s", (int)at.len, (const char *)at.at);
    return token;
}

#define FOUND(place, target, lines, wanted) EXPECT(strcmp(found(place, target, lines), wanted) == 0)

TEST(in_authorization_with_its_scheme)
{
    FOUND("header.Authorization", "/", "Authorization: Bearer a.b.c\r\n", "a.b.c");
    FOUND("header.authorization", "/", "AUTHORIZATION: bearer   a.b.c\r\n", "a.b.c");
    FOUND("header.Authorization", "/", "Authorization: Basic a.b.c\r\n", "-");
    FOUND("header.Authorization", "/", "Authorization: a.b.c\r\n", "-");
    FOUND("header.Authorization", "/", "Authorization: Bearer \r\n", "-");
    FOUND("header.Authorization", "/", "", "-");
    FOUND("header.Authorization", "/",
          "Authorization: Bearer a.b.c\r\nAuthorization: Bearer d.e.f\r\n", "two");
    FOUND("header.X-Token", "/", "X-Token: a.b.c\r\n", "a.b.c");
    FOUND("header.X-Token", "/", "X-Token: Bearer a.b.c\r\n", "a.b.c");
}

TEST(in_a_cookie)
{
    FOUND("cookie.token", "/", "Cookie: token=a.b.c\r\n", "a.b.c");
    FOUND("cookie.token", "/", "Cookie: a=b; token=\"a.b.c\"; mytoken=d\r\n", "a.b.c");
    FOUND("cookie.token", "/", "Cookie: mytoken=a.b.c; tokens=x; token\r\n", "-");
    FOUND("cookie.token", "/", "Cookie: Token=a.b.c\r\n", "-");
    FOUND("cookie.token", "/", "Cookie: token=\r\n", "-");
    FOUND("cookie.token", "/", "Cookie: a=b\r\nCookie: token=a.b.c\r\n", "a.b.c");
    FOUND("cookie.token", "/", "Cookie: token=a.b.c; token=a.b.c\r\n", "a.b.c");
    FOUND("cookie.token", "/", "Cookie: token=a.b.c; token=d.e.f\r\n", "two");
}

TEST(in_the_query)
{
    FOUND("query.access_token", "/?access_token=a.b.c", "", "a.b.c");
    FOUND("query.access_token", "/x?a=1&access_token=a.b.c&b", "", "a.b.c");
    FOUND("query.access_token", "/access_token=a.b.c", "", "-");
    FOUND("query.access_token", "/?my_access_token=a.b.c", "", "-");
    FOUND("query.access_token", "/?access_token", "", "-");
    FOUND("query.access_token", "/?access_token=a&access_token=b", "", "two");
    FOUND("query.access_token", "http://x/?access_token=a.b.c", "", "a.b.c");
}

TEST(among_the_subprotocols)
{
    FOUND("subprotocol", "/", "Sec-WebSocket-Protocol: chat, eyJh.b.c\r\n", "eyJh.b.c");
    FOUND("subprotocol", "/",
          "Sec-WebSocket-Protocol: v1.chat.example\r\nSec-WebSocket-Protocol: eyJh.b.c\r\n",
          "eyJh.b.c");
    FOUND("subprotocol", "/", "Sec-WebSocket-Protocol: chat, eyJh.b\r\n", "-");
    FOUND("subprotocol", "/", "Sec-WebSocket-Protocol: eyJh.b.c, eyJh.b.d\r\n", "two");
}

TEST(places_that_are_none)
{
    static const char *const wrong[] = {"", "header", "header.", "Header.X", "cookie.", "form.x"};
    struct token_source source;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        EXPECT(!token_source_parse(wrong[i], &source));
}
