#include "conf/stores.c"

#include "source.h"

TEST(stores_and_who_uses_them)
{
    struct settings *settings =
        settings_of("listeners: [ { listen: a:1 }, { listen: a:2, sessions: far } ]\n" POOL
                    "stores: { near: { memory: {} }, far: { redis: \"redis://h:1/0\", fail: "
                    "closed, ttl: 1h } }\n"
                    "routes: [ { pool: chat, sticky: { cookie: c, store: far } } ]\n");
    const struct store_settings *stores = settings->stores;

    EXPECT(settings->store_count == 2 && stores[0].kind == STORE_MEMORY &&
           stores[0].entries == 100000);
    EXPECT(stores[0].ttl == UINT64_C(86400000000) && stores[0].timeout == 50000);
    EXPECT(stores[0].fail == STORE_FAIL_OPEN && stores[1].fail == STORE_FAIL_CLOSED);
    EXPECT(stores[1].kind == STORE_REDIS && strcmp(stores[1].redis, "redis://h:1/0") == 0);
    EXPECT(settings->listeners[1].sessions_index == 1 && !settings->listeners[0].sessions);
    EXPECT(settings->routes[0].sticky.store_index == 1);
    settings_free(settings);
}

TEST(a_listener_for_sessions_wants_no_route)
{
    struct settings *settings =
        settings_of("listeners: [ { listen: a:2, sessions: s } ]\nstores: { s: { memory: {} } }\n"
                    "pools: { a: { servers: [ a:1 ] }, b: { servers: [ a:1 ] } }\n");

    EXPECT(settings->route_count == 0);
    settings_free(settings);
}

TEST(errors)
{
    expect_errors(
        MINIMAL "stores: { a: {}, b: { redis: \"http://secret@h\" },\n"
                "  c: { memory: {}, redis: \"redis://h\", timeout: 0, fail: ajar }, d: x }\n"
                "routes: [ { pool: chat, sticky: { cookie: c, store: e } } ]\n",
        "f:3:11 stores: where \"a\" keeps its entries is missing | add memory: {} or redis: "
        "\"redis://127.0.0.1:6379/0\"\n"
        "f:3:30 stores.redis: no such scheme | write "
        "\"redis://127.0.0.1:6379/0\" or \"redis+sentinel://HOST:PORT/MASTER/0\"\n"
        "f:4:16 stores: \"c\" is one thing, and has `redis` already | leave one of the two out\n"
        "f:4:49 stores.timeout: clients would wait for ever | write a time such as 50ms\n"
        "f:4:58 stores.fail: \"ajar\" will not do | write one of: open, closed\n"
        "f:4:69 stores: a map (key: value) is wanted here, not a single value\n"
        "f:5:53 sticky.store: there is no store \"e\" | there are: a, b, c, d\n");
    expect_errors("listeners: [ { listen: a:1, sessions: s, tcp: chat } ]\n" POOL,
                  "f:1:39 listeners.sessions: there is no store \"s\" | add stores: { NAME: { "
                  "memory: {} } }\n"
                  "f:1:47 servers ask for their sessions here, by HTTP, and `tcp` speaks none | "
                  "leave one of the two out\n");
    expect_errors(MINIMAL "sticky_keys: short\n",
                  "f:3:14 sticky_keys: a key has at least 16 characters | make one by: openssl "
                  "rand -base64 32\n");
}
