#include "conf/policy.c"

#include "source.h"

#define ROUTE(more)   MINIMAL "routes:\n  - pool: chat\n" more
#define POOL_OF(more) LISTEN "pools: { a: { servers: [ a:1 ], " more " } }\n"

TEST(what_is_left_out)
{
    struct settings *settings = settings_of(MINIMAL);
    const struct pool_settings *pool = &settings->pools[0];
    const struct route_settings *route = &settings->routes[0];

    EXPECT(!pool->hash && !pool->slow_start && !pool->panic && pool->on_down == ON_DOWN_KEEP);
    EXPECT(!pool->admission.rate.count && !pool->admission_pool.rate.count);
    EXPECT(!route->shard.key && route->sticky.kind == STICKY_NONE && !route->guard.is_on);
    settings_free(settings);
}

TEST(a_hashing_balancer_hashes_the_client_unless_told)
{
    struct settings *settings = settings_of(POOL_OF("balance: bounded_hash"));

    EXPECT(strcmp(settings->pools[0].hash, "client") == 0);
    settings_free(settings);
    settings = settings_of(POOL_OF("balance: bounded_hash, hash: cookie.uid"));
    EXPECT(strcmp(settings->pools[0].hash, "cookie.uid") == 0);
    settings_free(settings);
}

TEST(every_kind_of_stickiness)
{
    static const struct {
        const char *text;
        enum sticky_kind kind;
        const char *name;
        uint64_t bits;
    } rows[] = {{"{ cookie: c, same_site: none, secure: yes }", STICKY_COOKIE, "c", 0},
                {"{ query: sid }", STICKY_QUERY, "sid", 0},
                {"{ learn: header.X-Session }", STICKY_LEARN, "header.X-Session", 0},
                {"{ source: 24 }", STICKY_SOURCE, NULL, 24},
                {"{ preset: socket.io }", STICKY_SOCKET_IO, "socket.io", 0}};
    char text[512];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(text, sizeof text, ROUTE("    sticky: %s\n"), rows[i].text);
        struct settings *settings = settings_of(text);
        const struct sticky_settings *sticky = &settings->routes[0].sticky;
        EXPECT(sticky->kind == rows[i].kind && sticky->source_bits == rows[i].bits);
        EXPECT(rows[i].name ? strcmp(sticky->name, rows[i].name) == 0 : !sticky->name);
        EXPECT(sticky->http_only && strcmp(sticky->path, "/") == 0 && !sticky->max_age);
        settings_free(settings);
    }
}

TEST(shards_and_guards)
{
    struct settings *settings = settings_of(
        MINIMAL
        "routes:\n  - match: { path: \"/r/{room}\" }\n    pool: chat\n"
        "    shard: { key: path.room, larger: [ { match: \"a*\", servers: 9 } ], on_move: drain }\n"
        "    guard: { max_message: 64k, messages: 100/s, ping: 30s }\n");
    const struct route_settings *route = &settings->routes[0];

    EXPECT(strcmp(route->shard.key, "path.room") == 0 && route->shard.servers == 2);
    EXPECT(route->shard.on_move == ON_MOVE_DRAIN && route->shard.larger_count == 1);
    EXPECT(route->shard.larger[0].servers == 9 && strcmp(route->shard.larger[0].match, "a*") == 0);
    EXPECT(route->guard.is_on && route->guard.max_message == 65536 &&
           route->guard.messages.count == 100);
    EXPECT(route->guard.ping == 30000000 && route->guard.pong == 10000000);
    settings_free(settings);
}

TEST(errors_of_pools)
{
    expect_errors(POOL_OF("hash: cookie.uid"),
                  "f:2:39 pools.hash: least_connections looks at no hash | write balance: "
                  "bounded_hash, maglev or rendezvous, or leave hash out\n");
    expect_errors(
        POOL_OF("balance: ip_hash, hash: cookie.uid"),
        "f:2:57 pools.hash: ip_hash hashes the client's address, and nothing else | write "
        "balance: bounded_hash, maglev or rendezvous, or leave hash out\n");
    expect_errors(POOL_OF("balance: bounded_hash, hash: uid"),
                  "f:2:62 pools.hash: \"uid\" names nothing of a request | write client, header.N, "
                  "cookie.N, query.N, path.N, jwt.N or subprotocol\n");
    expect_errors(POOL_OF("admission: { burst: 0 }, drain: { code: 1005 }, panic: 50"),
                  "f:2:44 admission: \"rate\" is missing | add rate: 200/s\n"
                  "f:2:53 admission.burst: \"0\" is too small | write a value from 1 to 1000000\n"
                  "f:2:73 drain.code: 1005 says something else | write 1001 (going away) or 1012 "
                  "(restart)\n"
                  "f:2:88 pools.panic: \"50\" has no unit | write a share such as 10%\n");
}

TEST(what_tcp_cannot_do)
{
    expect_errors("listeners: [ { listen: a:1, tcp: a } ]\n"
                  "pools: { a: { servers: [ a:1 ], balance: bounded_hash, hash: cookie.x } }\n",
                  "f:2:62 pools.hash: a listener relays to this pool as `tcp`, where there is no "
                  "request to look at | write hash: client, or take another pool\n");
}

TEST(errors_of_shards)
{
    expect_errors(
        ROUTE(
            "    match: { path: /a }\n"
            "    shard: { key: path.room, servers: 3, larger: [ { match: a, servers: 3 }, { match: "
            "b } ] }\n"),
        "f:6:19 shard.key: the route's path has no {room} | write match: { path: "
        "\"/rooms/{room}\" } and key: path.room\n"
        "f:6:52 shard.larger: 3 servers are no more than the 3 of every set | write a larger "
        "number "
        "of servers\n"
        "f:6:78 shard.larger: \"servers\" is missing | write { match: \"vip-*\", servers: 4 }\n");
    expect_errors(ROUTE("    shard: { servers: 2 }\n"),
                  "f:5:12 shard: \"key\" is missing | add key: path.room, query.N, header.N, "
                  "cookie.N or jwt.N\n");
    expect_errors(ROUTE("    shard: { key: jwt.sub }\n"),
                  "f:5:19 shard.key: the route asks for no token | add access: { jwt: { keys: { "
                  "file: PATH } } }\n");
    expect_errors(ROUTE("    shard: { key: x }\n"),
                  "f:5:19 shard.key: \"x\" names nothing of a request | write client, header.N, "
                  "cookie.N, query.N, path.N, jwt.N or subprotocol\n");
    expect_errors(MINIMAL
                  "routes: [ { respond: { status: 204 }, guard: {}, shard: { key: client } } ]\n",
                  "f:3:46 guard: this route asks no server | leave it out\n"
                  "f:3:57 shard: this route asks no server | leave it out\n");
}

TEST(errors_of_stickiness)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"{ cookie: a, query: b }", "f:5:26 a route sticks in one way, and this one has `cookie` "
                                    "already | leave one of the two out\n"},
        {"{ http_only: no }",
         "f:5:13 sticky: what it goes by is missing | add cookie: NAME, query: NAME, learn: "
         "cookie.NAME, source: 24 or preset: socket.io\n"
         "f:5:15 sticky.http_only is of a cookie that turnout sets, and it sets none | leave it "
         "out, "
         "or write cookie: NAME\n"},
        {"{ cookie: \"a b\" }",
         "f:5:23 sticky.cookie: \"a b\" is no name of a cookie | use letters, "
         "digits, \"_\" and \"-\"\n"},
        {"{ query: \"a&b\" }", "f:5:22 sticky.query: \"a&b\" is no name of a parameter | use "
                               "letters, digits, \"_\" and \"-\"\n"},
        {"{ learn: query.x }",
         "f:5:22 sticky.learn: \"query.x\" is nothing that an answer gives out "
         "| write cookie.NAME or header.NAME\n"},
        {"{ preset: sockjs }",
         "f:5:23 sticky.preset: there is none named \"sockjs\" | write socket.io\n"},
        {"{ source: 33 }",
         "f:5:23 sticky.source: \"33\" is too large | write a value from 1 to 32\n"},
        {"{ cookie: a, same_site: none, secure: no, path: a }",
         "f:5:37 sticky.same_site: browsers take `none` only with secure | leave secure out, or "
         "write yes\n"
         "f:5:61 sticky.path: \"a\" is no path | write a path such as /\n"},
        {"{ query: a, store: s }",
         "f:5:32 sticky.store: there is no store \"s\" | add stores: { NAME: { memory: {} } }\n"},
        {"{ query: a, keys: b }",
         "f:5:25 unknown key \"keys\" in sticky | known here: store, cookie, "
         "query, learn, source, preset, same_site, secure, http_only, path, "
         "max_age\n"},
    };
    char text[512];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(text, sizeof text, ROUTE("    sticky: %s\n"), rows[i].text);
        expect_errors(text, rows[i].wanted);
    }
}

TEST(errors_of_guards)
{
    expect_errors(
        ROUTE("    guard: { ping: 10s, pong: 10s, close_at_expiry: yes }\n"),
        "f:5:31 guard.pong must be shorter than ping, so that one is under way at a time | "
        "write ping: 30s, pong: 10s\n");
    expect_errors(
        ROUTE("    guard: { pong: 1s }\n"),
        "f:5:20 guard.pong: there is no ping to be answered | add ping: 30s, or leave pong "
        "out\n");
    expect_errors(
        ROUTE("    guard: { ping: 5s }\n"),
        "f:5:20 guard.pong must be shorter than ping, so that one is under way at a time | "
        "write ping: 30s, pong: 10s\n");
}
