#include "http/forwarded.c"

#include "test.h"

#include <stdio.h>

static struct cidr_set trust;
static const struct cidr_set nobody;

static struct address host(const char *text)
{
    struct ip ip = {0};

    EXPECT(strcmp(text, "unix") == 0 || ip_parse(bytes_of(text), &ip) == 0);
    return address_of_ip(&ip, 0);
}

static struct http1_head request(const char *fields)
{
    static char text[4096];
    struct http1_head head;
    enum reason why;

    static const char *const networks[] = {"10.0.0.0/8", "fd00::/8"};

    cidr_set_done(&trust);
    EXPECT(cidr_set_init(&trust, networks, 2, NULL) == 0);
    snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: x.example:81\r\n%s\r\n", fields);
    EXPECT(http1_request_parse(bytes_of(text), HTTP1_FIELDS_MAX, &head, &why) > 0);
    return head;
}

TEST(the_client_is_the_last_that_no_trusted_proxy_is)
{
    static const struct {
        const char *peer, *fields, *client;
    } rows[] = {
        {"192.0.2.1", "", "192.0.2.1"},
        {"192.0.2.1", "X-Forwarded-For: 1.2.3.4\r\n", "192.0.2.1"},
        {"10.0.0.1", "", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 1.2.3.4\r\n", "1.2.3.4"},
        {"::ffff:10.0.0.1", "X-Forwarded-For: 1.2.3.4\r\n", "1.2.3.4"},
        {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n", "1.2.3.4"},
        {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, 1.2.3.4 , 10.0.0.2\r\n", "1.2.3.4"},
        {"10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.2.3.4, fd00::2\r\n",
         "1.2.3.4"},
        {"10.0.0.1", "X-Forwarded-For: 1.2.3.4,,\r\n", "1.2.3.4"},
        {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.2\r\n", "10.0.0.2"},
        {"10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"},
        {"10.0.0.1", "X-Forwarded-For: 1.2.3.4:567\r\n", "1.2.3.4"},
        {"10.0.0.1", "X-Forwarded-For: [2001:db8::1]:80\r\n", "2001:db8::1"},
        {"10.0.0.1", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"},
        {"10.0.0.1", "Forwarded: for=6.6.6.6, for=\"[2001:db8::1]:80\";proto=https\r\n",
         "2001:db8::1"},
        {"10.0.0.1", "Forwarded: proto=http; For=1.2.3.4\r\n", "1.2.3.4"},
        {"10.0.0.1", "Forwarded: for=_hidden\r\n", "10.0.0.1"},
        {"10.0.0.1", "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=6.6.6.6\r\n", "1.2.3.4"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct http1_head head = request(rows[i].fields);
        const struct address peer = host(rows[i].peer);
        const struct forwarded from = {.peer = &peer, .trust = &trust};
        char is[IP_TEXT_BYTES] = "";
        struct address client;
        forwarded_client(&head, &from, &client);
        const struct ip ip = address_ip(&client);
        ip_write(&ip, is);
        if (strcmp(is, rows[i].client) != 0)
            test_fail(rows[i].fields, is, (int)i);
    }
}

/* The head as the server gets it. */
static void expect_head(const char *fields, const struct forwarded *from, const char *wanted)
{
    const struct http1_head head = request(fields);
    struct http1_edits edits = {0};
    struct buf lines, out;

    buf_init(&lines, 4096);
    buf_init(&out, 4096);
    EXPECT(forwarded_write(&lines, &head, from, &edits) == 0);
    edits.extra = buf_bytes(&lines);
    EXPECT(http1_write_request(&out, &head, false, &edits) == 0);
    EXPECT(buf_append(&out, (struct bytes){(const uint8_t *)"", 1}) == 0);
    const char *is = (const char *)buf_bytes(&out).at;
    if (strcmp(is, wanted) != 0)
        test_fail(is, wanted, 0);
    buf_done(&lines);
    buf_done(&out);
}

#define START "GET / HTTP/1.1\r\nHost: x.example:81\r\n"
#define IDS                                                                                        \
    "X-Request-Id: 0123\r\ntraceparent: "                                                          \
    "00-00000000000000010000000000000002-0000000000000003-01\r\n"
#define VIA "Via: 1.1 turnout\r\n\r\n"

static struct forwarded from_peer(const struct address *peer, const struct cidr_set *whom)
{
    return (struct forwarded){
        .peer = peer,
        .trust = whom,
        .port = 8080,
        .makes_traceparent = true,
        .random = {0, 2, 2},
        .request_id = "0123",
    };
}

TEST(an_untrusted_peer_is_not_believed)
{
    const struct address peer = host("192.0.2.1");
    const struct forwarded from = from_peer(&peer, &trust);

    expect_head("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-User: root\r\n"
                "Forwarded: for=6.6.6.6\r\nA: b\r\n",
                &from,
                START "A: b\r\nX-Forwarded-For: 192.0.2.1\r\n"
                      "Forwarded: for=192.0.2.1;host=\"x.example:81\";proto=http\r\n"
                      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x.example:81\r\n"
                      "X-Forwarded-Port: 8080\r\n" IDS VIA);
}

TEST(a_trusted_peer_is_believed_and_added)
{
    const struct address peer = host("fd00::1");
    struct forwarded from = from_peer(&peer, &trust);

    from.is_tls = true;
    expect_head(
        "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 10.0.0.9\r\nForwarded: for=1.2.3.4\r\n"
        "X-Forwarded-Proto: http\r\n",
        &from,
        START "X-Forwarded-Proto: http\r\nX-Forwarded-For: 1.2.3.4, 10.0.0.9, fd00::1\r\n"
              "Forwarded: for=1.2.3.4, for=\"[fd00::1]\";host=\"x.example:81\";proto=https\r\n"
              "X-Forwarded-Host: x.example:81\r\nX-Forwarded-Port: 8080\r\n" IDS VIA);
}

TEST(a_client_of_a_unix_socket_has_no_address)
{
    const struct address peer = host("unix");
    struct forwarded from = from_peer(&peer, &nobody);

    from.port = 0;
    from.makes_traceparent = false;
    expect_head("", &from,
                START "Forwarded: for=unknown;host=\"x.example:81\";proto=http\r\n"
                      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x.example:81\r\n"
                      "X-Request-Id: 0123\r\n" VIA);
}

TEST(ids_pass_when_they_are_good)
{
    static const struct {
        const char *text;
        bool is_good;
    } parents[] = {
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", false},
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", true},
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", false},
        {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false},
    };
    static const struct {
        const char *fields, *id;
    } ids[] = {
        {"X-Request-Id: abc-1\r\n", "abc-1"}, {"X-Request-Id: a b\r\n", ""},
        {"X-Request-Id: a,b\r\n", ""},        {"X-Request-Id: a\r\nX-Request-Id: a\r\n", ""},
        {"X-Request-Id: a\"b\r\n", ""},       {"X-Request-Id:\r\n", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(parents); i++)
        if (is_traceparent(bytes_of(parents[i].text)) != parents[i].is_good)
            test_fail(parents[i].text, __FILE__, __LINE__);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        const struct http1_head head = request(ids[i].fields);
        EXPECT(bytes_equal(forwarded_request_id(&head), bytes_of(ids[i].id)));
    }
    const struct address peer = host("192.0.2.1");
    const struct forwarded from = from_peer(&peer, &nobody);
    expect_head("X-Request-Id: abc-1\r\ntracestate: a=1\r\n"
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n",
                &from,
                START "X-Request-Id: abc-1\r\ntracestate: a=1\r\n"
                      "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n"
                      "X-Forwarded-For: 192.0.2.1\r\n"
                      "Forwarded: for=192.0.2.1;host=\"x.example:81\";proto=http\r\n"
                      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x.example:81\r\n"
                      "X-Forwarded-Port: 8080\r\n" VIA);
    expect_head("traceparent: 00\r\ntracestate: a=1\r\n", &from,
                START "X-Forwarded-For: 192.0.2.1\r\n"
                      "Forwarded: for=192.0.2.1;host=\"x.example:81\";proto=http\r\n"
                      "X-Forwarded-Proto: http\r\nX-Forwarded-Host: x.example:81\r\n"
                      "X-Forwarded-Port: 8080\r\n" IDS VIA);
}
