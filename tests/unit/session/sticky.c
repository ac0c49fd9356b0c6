#include "session/sticky.c"

#include "test.h"

static struct sticky_settings settings;
static struct sticky sticky;
static struct http1_head head;
static struct ip memory;

static void begin(enum sticky_kind kind, const char *name)
{
    settings = (struct sticky_settings){.kind = kind, .name = name, .path = "/", .http_only = true};
    settings.source_bits = 24;
    sticky_init(&sticky, &settings, "chat");
}

static void request(const char *text)
{
    enum reason why;

    EXPECT(http1_request_parse(bytes_of(text), HTTP1_FIELDS_MAX, &head, &why) > 0);
}

static void answer(const char *text)
{
    enum reason why;

    EXPECT(http1_response_parse(bytes_of(text), HTTP1_FIELDS_MAX, &head, &why) > 0);
}

static bool is(struct bytes bytes, const char *text)
{
    return text ? bytes_equal(bytes, bytes_of(text)) : !bytes.at;
}

static struct bytes value(const char *query, unsigned nth)
{
    const struct sticky_ask ask = {.request = &head,
                                   .query = query ? bytes_of(query) : (struct bytes){0}};

    return sticky_value(&sticky, &ask, nth, &memory);
}

TEST(cookies_are_found_wherever_they_stand)
{
    begin(STICKY_COOKIE, "turnout");
    request("GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b; turnout=1 ;turnout=\r\n"
            "cookie: xturnout=no; turnout=2=3; TURNOUT=4\r\n\r\n");
    EXPECT(is(value(NULL, 0), "1"));
    EXPECT(is(value(NULL, 1), "2=3"));
    EXPECT(is(value(NULL, 2), NULL));
    request("GET / HTTP/1.1\r\nHost: x\r\nCookie: turnout; =; ;;a\r\n\r\n");
    EXPECT(is(value(NULL, 0), NULL));
}

TEST(no_more_cookies_are_looked_at_than_anyone_has)
{
    begin(STICKY_COOKIE, "t");
    request("GET / HTTP/1.1\r\nHost: x\r\nCookie: t=1; t=2; t=3; t=4; t=5; t=6\r\n\r\n");
    EXPECT(is(value(NULL, STICKY_VALUES_MAX - 1), "4"));
    EXPECT(is(value(NULL, STICKY_VALUES_MAX), NULL));
}

TEST(a_parameter_and_a_field_can_name_a_session)
{
    begin(STICKY_QUERY, "sid");
    request("GET / HTTP/1.1\r\nHost: x\r\nX-Session: s1\r\nx-session: s2\r\n\r\n");
    EXPECT(is(value("EIO=4&sid=abc&sid=def", 0), "abc"));
    EXPECT(is(value("sid=&xsid=1", 0), NULL));
    EXPECT(is(value(NULL, 0), NULL));
    begin(STICKY_LEARN, "header.X-Session");
    EXPECT(is(value(NULL, 0), "s1"));
    begin(STICKY_SOCKET_IO, "socket.io");
    EXPECT(is(value("sid=abc", 0), "abc"));
}

TEST(a_source_is_a_network)
{
    struct sticky_ask ask = {0};
    struct ip wanted;

    begin(STICKY_SOURCE, NULL);
    EXPECT(!sticky_value(&sticky, &ask, 0, &memory).at); /* a Unix client */
    EXPECT(ip_parse(bytes_of("192.0.2.77"), &ask.client) == 0);
    EXPECT(ip_parse(bytes_of("192.0.2.0"), &wanted) == 0);
    EXPECT(sticky_value(&sticky, &ask, 0, &memory).len == sizeof(struct ip));
    EXPECT(ip_equal(&memory, &wanted));
    EXPECT(!sticky_value(&sticky, &ask, 1, &memory).at);
    EXPECT(ip_parse(bytes_of("2001:db8:1:2::3"), &ask.client) == 0);
    EXPECT(ip_parse(bytes_of("2001:db8:1::"), &wanted) == 0);
    memory = sticky_source(&ask.client, 24);
    EXPECT(ip_equal(&memory, &wanted)); /* a /48 */
    EXPECT(ip_parse(bytes_of("2001:db8:1:2::"), &wanted) == 0);
    memory = sticky_source(&ask.client, 32);
    EXPECT(ip_equal(&memory, &wanted)); /* a /64 */
}

TEST(a_key_is_of_what_names_it_and_of_nothing_else)
{
    struct sticky_key a, b;
    static char large[STICKY_VALUE_MAX + 1];
    char text[STICKY_KEY_TEXT_BYTES];

    begin(STICKY_QUERY, "sid");
    EXPECT(sticky_key_of(&sticky, bytes_of("abc"), &a) == 0);
    EXPECT(sticky_key_of(&sticky, bytes_of("abc"), &b) == 0);
    EXPECT(memcmp(&a, &b, sizeof a) == 0 && strlen(sticky_key_write(&a, text)) == 32);
    sticky.scope = "other";
    EXPECT(sticky_key_of(&sticky, bytes_of("abc"), &b) == 0 && memcmp(&a, &b, sizeof a) != 0);
    begin(STICKY_QUERY, "sidabc");
    EXPECT(sticky_key_of(&sticky, bytes_of(""), &b) == 0 && memcmp(&a, &b, sizeof a) != 0);
    begin(STICKY_LEARN, "header.sid");
    EXPECT(sticky_key_of(&sticky, bytes_of("abc"), &b) == 0 && memcmp(&a, &b, sizeof a) != 0);
    memset(large, 'x', sizeof large);
    EXPECT(sticky_key_of(&sticky, (struct bytes){(uint8_t *)large, sizeof large}, &b) == -EMSGSIZE);
}

/* --- servers ------------------------------------------------------------------------------------
 */

TEST(a_server_is_judged_as_it_stands)
{
    struct pool_member_spec specs[2] = {{.weight = 1}, {.weight = 1, .max_connections = 1}};
    struct pool *pool = NULL;
    struct server *server;
    struct address gone;

    EXPECT(address_parse("127.0.0.1:1", &specs[0].address) == 0);
    EXPECT(address_parse("127.0.0.1:2", &specs[1].address) == 0);
    EXPECT(address_parse("127.0.0.1:3", &gone) == 0);
    EXPECT(pool_new("chat", balancer_find("round_robin"), specs, 2, NULL, &pool) == 0);
    struct members *members = pool_members(pool);

    EXPECT(sticky_judge_server(members, &specs[0].address, 1, &server) == OUTCOME_valid && server);
    EXPECT(sticky_judge_server(members, &gone, 1, &server) == OUTCOME_server_down && !server);
    EXPECT(sticky_judge_server(members, &specs[1].address, 1, &server) == OUTCOME_valid);
    atomic_store(&server->active, 1);
    EXPECT(sticky_judge_server(members, &specs[1].address, 1, &server) == OUTCOME_reassigned);
    atomic_store(&server->active, 0);

    server_set_admin(server, SERVER_DRAIN, 1);
    EXPECT(sticky_judge_server(members, &specs[1].address, 1, &server) == OUTCOME_reassigned);
    server_set_admin(server, SERVER_DOWN, 1);
    EXPECT(sticky_judge_server(members, &specs[1].address, 1, &server) == OUTCOME_server_down);
    server_set_admin(server, SERVER_UP, 1);
    server_set_check(server, CHECK_DRAINING, 1);
    EXPECT(sticky_judge_server(members, &specs[1].address, 1, &server) == OUTCOME_reassigned);
    server_set_check(server, CHECK_DOWN, 1);
    EXPECT(sticky_judge_server(members, &specs[1].address, 1, &server) == OUTCOME_server_down);
    members_unref(members);
    pool_unref(pool);
}

TEST(what_answered_settles_it)
{
    EXPECT(sticky_settle(OUTCOME_valid, true, false) == OUTCOME_valid);
    EXPECT(sticky_settle(OUTCOME_valid, false, true) == OUTCOME_server_down);
    EXPECT(sticky_settle(OUTCOME_valid, false, false) == OUTCOME_reassigned);
    EXPECT(sticky_settle(OUTCOME_server_down, false, false) == OUTCOME_server_down);
    EXPECT(sticky_settle(OUTCOME_reassigned, false, false) == OUTCOME_reassigned);
    EXPECT(sticky_settle(OUTCOME_reassigned, true, false) == OUTCOME_valid);
    EXPECT(sticky_settle(OUTCOME_new, false, false) == OUTCOME_new);
    EXPECT(sticky_settle(OUTCOME_invalid, false, false) == OUTCOME_invalid);
    for (enum sticky_outcome o = 0; o < OUTCOME_COUNT; o++)
        EXPECT(sticky_outcome_name(o)[0] && sticky_outcome_words(o)[0]);
}

/* --- cookies ------------------------------------------------------------------------------------
 */

static void expect_cookie(bool is_https, const char *wanted)
{
    struct buf lines;

    buf_init(&lines, 1024);
    EXPECT(sticky_write_cookie(&settings, "v", is_https, &lines) == 0);
    EXPECT(is(buf_bytes(&lines), wanted));
    buf_done(&lines);
}

TEST(a_cookie_has_the_attributes_that_are_asked_for)
{
    begin(STICKY_COOKIE, "turnout");
    expect_cookie(false, "Set-Cookie: turnout=v; Path=/; HttpOnly; SameSite=Lax\r\n");
    expect_cookie(true, "Set-Cookie: turnout=v; Path=/; HttpOnly; Secure; SameSite=Lax\r\n");
    settings.secure = SECURE_NO;
    settings.http_only = false;
    settings.path = "/rooms";
    settings.max_age = 90 * USEC_PER_SEC;
    settings.same_site = SAME_SITE_STRICT;
    expect_cookie(true, "Set-Cookie: turnout=v; Path=/rooms; Max-Age=90; SameSite=Strict\r\n");
    settings.secure = SECURE_AUTO;
    settings.same_site = SAME_SITE_NONE;
    expect_cookie(false,
                  "Set-Cookie: turnout=v; Path=/rooms; Max-Age=90; Secure; SameSite=None\r\n");
    settings.secure = SECURE_YES;
    settings.same_site = SAME_SITE_LAX;
    expect_cookie(false,
                  "Set-Cookie: turnout=v; Path=/rooms; Max-Age=90; Secure; SameSite=Lax\r\n");
}

TEST(a_cookie_is_set_again_at_half_its_life)
{
    begin(STICKY_COOKIE, "turnout");
    EXPECT(!sticky_is_due(&settings, 0, 1u << 30)); /* it lives as long as the browser */
    settings.max_age = 100 * USEC_PER_SEC;
    EXPECT(!sticky_is_due(&settings, 1000, 1049) && sticky_is_due(&settings, 1000, 1050));
    EXPECT(!sticky_is_due(&settings, 2000, 1050)); /* another node's clock is ahead */
}

/* --- what answers teach -------------------------------------------------------------------------
 */

TEST(an_answer_teaches_what_its_server_gives_out)
{
    begin(STICKY_LEARN, "cookie.JSESSIONID");
    answer("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nset-cookie:  JSESSIONID=one.n1 ; Path=/\r\n"
           "Set-Cookie: JSESSIONID=two\r\nSet-Cookie: c=d; JSESSIONID=three\r\n\r\n");
    EXPECT(is(sticky_taught(&sticky, &head), "two"));
    answer("HTTP/1.1 200 OK\r\nSet-Cookie: JSESSIONID=; Max-Age=0\r\nJSESSIONID: x\r\n\r\n");
    EXPECT(!sticky_taught(&sticky, &head).len);
    begin(STICKY_LEARN, "header.X-Session");
    answer("HTTP/1.1 200 OK\r\nX-Session: abc\r\n\r\n");
    EXPECT(is(sticky_taught(&sticky, &head), "abc"));
    begin(STICKY_COOKIE, "X-Session");
    EXPECT(!sticky_taught(&sticky, &head).len);
}

TEST(socket_io_begins_without_a_sid)
{
    struct sticky_ask ask = {.request = &head, .query = bytes_of("EIO=4&transport=polling&t=a")};

    begin(STICKY_SOCKET_IO, "socket.io");
    request("GET /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT(sticky_begins_socket_io(&sticky, &ask));
    ask.query = bytes_of("EIO=4&transport=polling&sid=a");
    EXPECT(!sticky_begins_socket_io(&sticky, &ask));
    ask.query = bytes_of("transport=polling");
    EXPECT(!sticky_begins_socket_io(&sticky, &ask));
    request("POST /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n");
    ask.query = bytes_of("EIO=4");
    EXPECT(!sticky_begins_socket_io(&sticky, &ask));
    sticky_init(&sticky, &(struct sticky_settings){0}, "chat");
    EXPECT(!sticky_begins_socket_io(&sticky, &ask));
}

TEST(the_sid_is_found_in_each_form_of_the_handshake)
{
    static const struct {
        const char *payload, *sid;
    } rows[] = {
        {"0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\",\"upgrades\":[\"websocket\"]}",
         "lv_VI97HAXpY6yYWAAAC"},
        {"97:0{\"sid\":\"a-b\",\"upgrades\":[]}2:40", "a-b"},
        {"___eio[0](\"97:0{\\\"sid\\\":\\\"abc\\\",\\\"upgrades\\\":[]}\");", "abc"},
        {"0{\"sid\":\"lv_VI97HAXp", ""},
        {"0{\"sid\":\"\"}", ""},
        {"0{\"sid\":\"a b\"}", ""},
        {"{\"code\":1,\"message\":\"Session ID unknown\"}", ""},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(bytes_equal(sticky_socket_io_sid(bytes_of(rows[i].payload)), bytes_of(rows[i].sid)));
}
