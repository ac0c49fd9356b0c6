/* Without a store, which is asked by flows (tests/e2e). */
#include "proxy/recall.c"

#include "test.h"

static struct proxy proxy;
static struct snapshot snapshot;
static struct route_settings route_settings;
static struct route route;
static struct pool *pools[2];
static uint32_t weights[2] = {1, 1};
static struct connection c;
static struct recall recalled;
static struct reach reach;
static struct http1_head request, answer;

static struct pool *pool_of(const char *name, const char *one, const char *other)
{
    struct pool_member_spec specs[2] = {{.weight = 1}, {.weight = 1}};
    struct pool *pool = NULL;

    EXPECT(address_parse(one, &specs[0].address) == 0);
    EXPECT(address_parse(other, &specs[1].address) == 0);
    EXPECT(pool_new(name, balancer_find("round_robin"), specs, 2, NULL, &pool) == 0);
    return pool;
}

static void begin(enum sticky_kind kind, const char *name)
{
    static const uint64_t seed[2] = {7, 11};
    const struct bytes secret = bytes_of("a secret");

    proxy = (struct proxy){0};
    proxy.worker.runner.loop.now_usec = 1000;
    list_init(&proxy.drains);
    pools[0] = pool_of("stable", "127.0.0.1:1", "127.0.0.1:2");
    pools[1] = pool_of("canary", "127.0.0.1:3", "127.0.0.1:4");
    snapshot = (struct snapshot){.learnt = sticky_table_new(seed)};
    EXPECT(snapshot.learnt && seal_new(&secret, 1, "test", &snapshot.seal) == 0);
    route_settings = (struct route_settings){
        .share_count = 2,
        .sticky = {.kind = kind, .name = name, .path = "/", .source_bits = 24},
    };
    route = (struct route){
        .pool = pools[0], .pools = pools, .weights = weights, .settings = &route_settings};
    sticky_init(&route.sticky, &route_settings.sticky, "stable");
    c = (struct connection){.snapshot = &snapshot, .route = &route};
    c.flow.runner = &proxy.worker.runner;
    answer = (struct http1_head){.status = 200};
    recalled = (struct recall){.reach = &reach};
    reach = (struct reach){0};
}

static void end(void)
{
    reach_end(&reach);
    if (c.chosen)
        pool_release(TAKE(c.chosen));
    sticky_table_unref(snapshot.learnt);
    seal_unref(snapshot.seal);
    pool_unref(pools[0]);
    pool_unref(pools[1]);
}

static enum sticky_outcome ask(const char *head, const char *query)
{
    const struct sticky_ask asked = {.request = &request, .query = bytes_of(query)};
    enum reason why;

    reach_end(&reach);
    reach_begin(&reach);
    EXPECT(http1_request_parse(bytes_of(head), HTTP1_FIELDS_MAX, &request, &why) > 0);
    c.share = 0;
    recall_begin(&recalled, &c, &asked);
    EXPECT(recall_look(&recalled, &c, &reach) == NEXT);
    return c.trail.sticky;
}

/* The server of that pool answers. */
static enum sticky_outcome answered_by(unsigned share, size_t server)
{
    if (c.chosen)
        pool_release(TAKE(c.chosen));
    c.share = (uint8_t)share;
    const struct pool_ask wanted = {.wanted = pool_server(pools[share], server)};
    c.chosen = pool_pick(pools[share], &wanted, NULL);
    EXPECT(c.chosen == pool_server(pools[share], server));
    EXPECT(recall_remember(&recalled, &c, &answer) == NEXT);
    EXPECT(recall_remember(&recalled, &c, &answer) == NEXT); /* a second question changes nothing */
    return c.trail.sticky;
}

static void learn(const char *text)
{
    enum reason why;

    EXPECT(http1_response_parse(bytes_of(text), HTTP1_FIELDS_MAX, &answer, &why) > 0);
}

/* Without a cookie "". */
static const char *set_cookie_line(void)
{
    static char text[512];
    struct buf lines;

    buf_init(&lines, sizeof text);
    EXPECT(recall_write_answer(&recalled, &c, false, &lines) == 0);
    struct bytes line = buf_bytes(&lines);
    if (line.len)
        memcpy(text, line.at, line.len);
    text[line.len] = '\0';
    buf_done(&lines);
    return text;
}

#define GET "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

TEST(a_cookie_leads_to_its_pool_and_server_and_is_set_once)
{
    char head[600], value[256];

    begin(STICKY_COOKIE, "t");
    EXPECT(ask(GET, "") == OUTCOME_new && !reach.wanted);
    EXPECT(answered_by(1, 1) == OUTCOME_new);
    EXPECT(sscanf(set_cookie_line(), "Set-Cookie: %255[^;];", value) == 1);

    snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: x\r\nCookie: t=no; %s\r\n\r\n", value);
    EXPECT(ask(head, "") == OUTCOME_valid);
    EXPECT(c.share == 1 && reach.wanted == pool_server(pools[1], 1));
    EXPECT(answered_by(1, 1) == OUTCOME_valid);
    EXPECT(!set_cookie_line()[0]);

    EXPECT(ask(head, "") == OUTCOME_valid);
    reach.tried = (struct tried){1, {pool_server(pools[1], 1)->id}};
    EXPECT(answered_by(1, 0) == OUTCOME_server_down); /* it did not answer, this one did */
    EXPECT(set_cookie_line()[0]);

    snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: x\r\nCookie: %s.\r\n\r\n", value);
    EXPECT(ask(head, "") == OUTCOME_invalid && !reach.wanted && c.share == 0);
    EXPECT(answered_by(0, 0) == OUTCOME_invalid && set_cookie_line()[0]);

    weights[1] = 0; /* its pool takes no part any more */
    snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n", value);
    EXPECT(ask(head, "") == OUTCOME_invalid);
    weights[1] = 1;
    EXPECT(atomic_load(&proxy.counters.sticky_new_ever) == 1);
    EXPECT(atomic_load(&proxy.counters.sticky_valid_ever) == 1);
    EXPECT(atomic_load(&proxy.counters.sticky_server_down_ever) == 1);
    EXPECT(atomic_load(&proxy.counters.sticky_invalid_ever) == 1);
    end();
}

TEST(a_parameter_is_bound_by_the_first_good_answer)
{
    begin(STICKY_QUERY, "k");
    answer.status = 503;
    EXPECT(ask(GET, "k=1") == OUTCOME_given && answered_by(0, 0) == OUTCOME_given);
    EXPECT(ask(GET, "k=1") == OUTCOME_given);
    answer.status = 404;
    EXPECT(answered_by(1, 0) == OUTCOME_given);
    EXPECT(ask(GET, "k=1") == OUTCOME_valid && c.share == 1);
    EXPECT(reach.wanted == pool_server(pools[1], 0));
    EXPECT(ask(GET, "k=2") == OUTCOME_given);
    EXPECT(ask(GET, "") == OUTCOME_new && answered_by(0, 0) == OUTCOME_new);
    EXPECT(!set_cookie_line()[0]);
    end();
}

TEST(a_drained_server_loses_its_sessions_for_good)
{
    begin(STICKY_QUERY, "k");
    EXPECT(ask(GET, "k=1") == OUTCOME_given && answered_by(0, 0) == OUTCOME_given);
    server_set_admin(pool_server(pools[0], 0), SERVER_DRAIN, 1);
    EXPECT(ask(GET, "k=1") == OUTCOME_reassigned && !reach.wanted);
    EXPECT(answered_by(0, 1) == OUTCOME_reassigned);
    server_set_admin(pool_server(pools[0], 0), SERVER_UP, 1);
    EXPECT(ask(GET, "k=1") == OUTCOME_valid && reach.wanted == pool_server(pools[0], 1));
    end();
}

TEST(only_servers_begin_sessions_of_applications)
{
    begin(STICKY_LEARN, "header.S");
    EXPECT(ask("GET / HTTP/1.1\r\nHost: x\r\nS: a\r\n\r\n", "") == OUTCOME_given);
    EXPECT(answered_by(0, 1) == OUTCOME_given);
    EXPECT(ask("GET / HTTP/1.1\r\nHost: x\r\nS: a\r\n\r\n", "") == OUTCOME_given);
    learn("HTTP/1.1 500 Oh\r\nS: b\r\n\r\n");
    EXPECT(answered_by(0, 1) == OUTCOME_given);
    EXPECT(ask("GET / HTTP/1.1\r\nHost: x\r\nS: b\r\n\r\n", "") == OUTCOME_valid);
    EXPECT(reach.wanted == pool_server(pools[0], 1));
    end();
}

TEST(a_number_is_heard_whatever_cuts_it)
{
    static const char text[] =
        "30\r\n0{\"sid\":\"abc\",\"upgrades\":[\"websocket\"],\"a\":1234}\r\n0\r\n\r\n";
    struct bytes body = bytes_of(text);
    static struct recall_ear ear;

    for (size_t piece = 1; piece < body.len; piece++) {
        bool goes_on = true;
        begin(STICKY_SOCKET_IO, "socket.io");
        EXPECT(ask(GET, "EIO=4&transport=polling") == OUTCOME_new && recalled.listens);
        EXPECT(answered_by(1, 0) == OUTCOME_new);
        learn("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        ear = (struct recall_ear){0};
        EXPECT(http1_response_body(&answer, bytes_of("GET"), &ear.body) == REASON_DONE);
        for (size_t at = 0; goes_on && at < body.len; at += piece)
            goes_on = recall_hear(&ear, &c, bytes_slice(body, at, at + piece));
        EXPECT(!goes_on);
        EXPECT(ask(GET, "EIO=4&sid=abc") == OUTCOME_valid && !recalled.listens);
        EXPECT(reach.wanted == pool_server(pools[1], 0));
        end();
    }
}

TEST(what_has_no_number_is_soon_left_alone)
{
    static struct recall_ear ear;
    static char large[2 * RECALL_SID_BYTES];

    begin(STICKY_SOCKET_IO, "socket.io");
    memset(large, 'x', sizeof large);
    EXPECT(ask(GET, "EIO=4") == OUTCOME_new && answered_by(0, 0) == OUTCOME_new);
    ear = (struct recall_ear){.body = {.kind = BODY_LENGTH, .left = sizeof large}};
    EXPECT(recall_hear(&ear, &c, (struct bytes){(uint8_t *)large, 100}));
    EXPECT(!recall_hear(&ear, &c, (struct bytes){(uint8_t *)large, sizeof large - 100}));
    EXPECT(ear.len == RECALL_SID_BYTES);
    end();
}

TEST(a_route_that_does_not_stick_costs_nothing)
{
    begin(STICKY_NONE, NULL);
    EXPECT(ask(GET, "k=1") == OUTCOME_none && answered_by(0, 0) == OUTCOME_none);
    EXPECT(!set_cookie_line()[0]);
    recall_done(&recalled);
    end();
}
