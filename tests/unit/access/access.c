#include "access/access.c"

#include "conf/source.h"
#include "sign.h"
#include "vectors.h"

#define ROUTE(access) MINIMAL "routes:\n  - pool: chat\n    access:\n" access

static struct settings *settings;
static struct access *compiled;

/* What compiling says of it, "" when nothing. */
static const char *compile(const char *text)
{
    static struct told told;
    struct report *report = report_new();

    settings = settings_of(text);
    told = (struct told){0};
    compiled = access_new(settings, &settings->routes[0].access, report);
    report_each(report, tell, &told);
    report_free(report);
    return told.text;
}

static void end(void)
{
    compiled = access_free(compiled);
    settings = settings_free(settings);
}

static enum reason judge(const char *client, const char *lines)
{
    static struct http1_head head;
    static char text[8192];
    struct access_ask ask = {.request = &head, .now_sec = 1000};
    struct claims *claims;
    enum reason why;

    snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: app.example.com\r\n%s\r\n", lines);
    EXPECT(http1_request_parse(bytes_of(text), 100, &head, &why) > 0);
    EXPECT(client[0] == 'u' || ip_parse(bytes_of(client), &ask.client) == 0);
    why = access_judge(compiled, &ask, &claims);
    EXPECT(why == REASON_DONE || !claims);
    claims_free(claims);
    return why;
}

TEST(nothing_is_asked_for)
{
    expect_text(compile(MINIMAL), "");
    EXPECT(!compiled && !access_auth(compiled));
    end();
}

TEST(addresses)
{
    expect_text(compile(ROUTE("      allow: [ 10.0.0.0/8, \"2001:db8::/32\" ]\n"
                              "      deny: 10.9.0.0/16\n")),
                "");
    EXPECT(judge("10.1.2.3", "") == REASON_DONE);
    EXPECT(judge("10.9.2.3", "") == REASON_ADDRESS_DENIED);
    EXPECT(judge("11.1.2.3", "") == REASON_ADDRESS_DENIED);
    EXPECT(judge("2001:db8::1", "") == REASON_DONE);
    EXPECT(judge("2001:db9::1", "") == REASON_ADDRESS_DENIED);
    EXPECT(judge("::ffff:10.1.2.3", "") == REASON_DONE);
    EXPECT(judge("unix", "") == REASON_ADDRESS_DENIED);
    end();
}

TEST(deny_alone_lets_all_others_in)
{
    expect_text(compile(ROUTE("      deny: [ 10.0.0.0/8, unix ]\n")), "");
    EXPECT(judge("11.1.2.3", "") == REASON_DONE);
    EXPECT(judge("10.1.2.3", "") == REASON_ADDRESS_DENIED);
    EXPECT(judge("unix", "") == REASON_ADDRESS_DENIED);
    end();
}

TEST(origins)
{
    expect_text(compile(ROUTE("      origins: [ \"https://app.example.com\", same ]\n")), "");
    EXPECT(judge("1.2.3.4", "") == REASON_DONE); /* no browser */
    EXPECT(judge("1.2.3.4", "Origin: https://app.example.com\r\n") == REASON_DONE);
    EXPECT(judge("1.2.3.4", "Origin: http://app.example.com\r\n") == REASON_DONE); /* same */
    EXPECT(judge("1.2.3.4", "Origin: https://evil.example\r\n") == REASON_ORIGIN_DENIED);
    EXPECT(judge("1.2.3.4", "Origin: null\r\n") == REASON_ORIGIN_DENIED);
    EXPECT(judge("1.2.3.4", "Origin:\r\n") == REASON_ORIGIN_DENIED);
    EXPECT(
        judge("1.2.3.4", "Origin: https://app.example.com\r\nOrigin: https://evil.example\r\n") ==
        REASON_ORIGIN_DENIED);
    end();
}

TEST(tokens_from_the_first_place_that_has_one)
{
    char good[4096], lines[8192];

    expect_text(compile(ROUTE("      jwt: { keys: \"" SECRET "\", issuer: id, audience: [ a, b ], "
                              "from: [ header.Authorization, cookie.token ] }\n")),
                "");
    sign("{\"iss\":\"id\",\"aud\":\"b\"}", good);
    EXPECT(judge("1.2.3.4", "") == REASON_TOKEN_MISSING);
    snprintf(lines, sizeof lines, "Authorization: Bearer %s\r\n", good);
    EXPECT(judge("1.2.3.4", lines) == REASON_DONE);
    snprintf(lines, sizeof lines, "Cookie: token=%s\r\n", good);
    EXPECT(judge("1.2.3.4", lines) == REASON_DONE);
    snprintf(lines, sizeof lines, "Authorization: Bearer bad\r\nCookie: token=%s\r\n", good);
    EXPECT(judge("1.2.3.4", lines) == REASON_TOKEN_MALFORMED);
    snprintf(lines, sizeof lines, "Authorization: Bearer " HS256_TOKEN "\r\n");
    EXPECT(judge("1.2.3.4", lines) == REASON_TOKEN_UNVERIFIED);
    end();
}

TEST(auth_is_a_server_and_a_target)
{
    char text[ADDRESS_TEXT_BYTES];

    expect_text(compile(ROUTE("      auth: { url: \"http://127.0.0.1:7100/check?a=b\", copy: [ "
                              "X-User ], timeout: 500ms, fail: open }\n")),
                "");
    const struct access_auth *auth = access_auth(compiled);
    EXPECT(strcmp(address_write(&auth->address, text), "127.0.0.1:7100") == 0);
    EXPECT(strcmp(auth->host, "127.0.0.1:7100") == 0);
    EXPECT(strcmp(auth->target, "/check?a=b") == 0);
    EXPECT(auth->copy_count == 1 && auth->timeout_usec == 500000 && auth->fails_open);
    end();
    expect_text(compile(ROUTE("      auth: { url: \"http://[::1]?x\" }\n")), "");
    auth = access_auth(compiled);
    EXPECT(strcmp(address_write(&auth->address, text), "[::1]:80") == 0);
    EXPECT(strcmp(auth->target, "/?x") == 0 && !auth->fails_open);
    end();
}

TEST(errors_say_where_what_and_what_to_write)
{
    expect_text(compile(ROUTE("      origins: [ \"https://a\", app.example.com ]\n"
                              "      jwt: { keys: short, from: body.x }\n"
                              "      auth: { url: \"https://auth.example.com/\", copy: Host }\n")),
                "f:6:31 access.origins: \"app.example.com\" is no origin | write "
                "\"https://app.example.com\", \"https://*.example.com\", \"null\" (files and "
                "sandboxes) or \"same\" (the host that is asked)\n"
                "f:7:20 access.jwt.keys: a secret for HS256 has at least 32 bytes, this one has 5 "
                "| a JWKS, a PEM public key, or a secret of 32 bytes or more: { file: PATH }\n"
                "f:7:33 access.jwt.from: no token can be at \"body.x\" | write header.NAME, "
                "cookie.NAME, query.NAME or subprotocol\n"
                "f:8:20 access.auth.url: \"https://auth.example.com/\" will not do | write http:// "
                "with a numeric address, such as http://127.0.0.1:7100/check\n"
                "f:8:55 access.auth.copy: \"Host\" cannot be copied | write the names of fields, "
                "such as X-User\n");
    EXPECT(!compiled);
    end();
}

TEST(what_came_from_elsewhere_is_not_said)
{
    expect_text(compile(ROUTE("      origins: { env: SECRET }\n")),
                "f:6:16 access.origins: \"***\" is no origin | write \"https://app.example.com\", "
                "\"https://*.example.com\", \"null\" (files and sandboxes) or \"same\" (the host "
                "that is asked)\n");
    end();
}

TEST(lines_of_refusals)
{
    char text[ACCESS_LINES_BYTES];

    expect_text(access_lines(REASON_TOKEN_MISSING, 0, text),
                "WWW-Authenticate: Bearer realm=\"turnout\"\r\n");
    expect_text(access_lines(REASON_TOKEN_EXPIRED, 0, text),
                "WWW-Authenticate: Bearer realm=\"turnout\", error=\"invalid_token\", "
                "error_description=\"the token has expired\"\r\n");
    expect_text(access_lines(REASON_RATE_REQUESTS, 1, text), "Retry-After: 1\r\n");
    expect_text(access_lines(REASON_RATE_REQUESTS, 1000001, text), "Retry-After: 2\r\n");
    expect_text(access_lines(REASON_ORIGIN_DENIED, 0, text), "");
    for (int i = 0; i < REASON_COUNT; i++)
        EXPECT(strlen(access_lines((enum reason)i, 1, text)) < ACCESS_LINES_BYTES - 1);
}
