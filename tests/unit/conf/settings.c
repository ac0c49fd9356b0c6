#include "conf/settings.c"

#include "source.h"

/* Of issue 3, word for word: these names are a contract. */
static const char contract[] =
    "workers: 2\n"
    "user: turnout                            # privileges dropped after binding; left out: stay "
    "who we are\n"
    "admin: { listen: \"unix:/run/turnout.sock\" }\n"
    "listeners:\n"
    "  - listen: 127.0.0.1:8080               # also \"[::1]:8080\", \"unix:/run/x.sock\"\n"
    "  - listen: 127.0.0.1:8443\n"
    "    tls: { mode: terminate, certificates: [ { cert: chat.crt, key: chat.key } ] }\n"
    "  - listen: 127.0.0.1:9443\n"
    "    tls: { mode: passthrough }           # routed by SNI, no key here\n"
    "timeouts: { request_head: 10s, body: 60s, queue: 5s, connect: 3s, handshake: 10s, response: "
    "60s, tunnel_idle: 1h, "
    "fin: 30s, lifetime: 0, keepalive: 60s, shutdown_grace: 30s }\n"
    "tcp: { keepalive: 60s, user_timeout: 120s }\n"
    "limits: { request_head: 32k, response_head: 32k, headers: 100, body: 0, unsent: 256k, "
    "unsent_worker: 64m }\n"
    "retries: 2\n"
    "trusted_proxies: []\n"
    "log: { level: info, format: json, file: /dev/stderr }\n"
    "pools:\n"
    "  chat:\n"
    "    balance: least_connections           # or round_robin\n"
    "    servers:\n"
    "      - 127.0.0.1:9001\n"
    "      - { address: 127.0.0.1:9002, weight: 2, max_connections: 1000 }\n"
    "routes:\n"
    "  - match: { host: chat.example.com, path: \"/rooms/{room}\" }\n"
    "    pool: chat\n"
    "    timeouts: { tunnel_idle: 10m }\n"
    "  - pool: chat\n";

TEST(the_contract_is_read)
{
    struct settings *settings = settings_of(contract);
    const struct listener_settings *listeners = settings->listeners;

    EXPECT(settings->workers == 2 && strcmp(settings->user, "turnout") == 0 &&
           settings->user_mark.line == 2);
    EXPECT(strcmp(settings->admin_listen, "unix:/run/turnout.sock") == 0 &&
           !settings->admin_is_default);
    EXPECT(settings->admin_mode == 0600 && settings->admin_mark.line == 3 &&
           settings->admin_mark.column == 18);

    EXPECT(settings->listener_count == 3 && listeners[0].tls_mode == TLS_NONE &&
           listeners[0].unix_mode == 0660);
    EXPECT(listeners[1].tls_mode == TLS_TERMINATE && listeners[1].certificate_count == 1);
    EXPECT(strcmp(listeners[1].certificates[0].cert, "chat.crt") == 0 &&
           listeners[1].certificates[0].mark.line == 7);
    EXPECT(listeners[2].tls_mode == TLS_PASSTHROUGH && listeners[2].certificate_count == 0);
    EXPECT(listeners[2].mark.line == 8 && listeners[2].mark.column == 13);

    const struct pool_settings *pool = settings->pools;
    EXPECT(settings->pool_count == 1 && strcmp(pool->name, "chat") == 0 &&
           pool->on_removed == ON_REMOVED_KEEP);
    EXPECT(strcmp(pool->balance, "least_connections") == 0 && pool->server_count == 2);
    EXPECT(pool->servers[0].weight == 1 && pool->servers[0].max_connections == 0);
    EXPECT(pool->servers[1].weight == 2 && pool->servers[1].max_connections == 1000);
    EXPECT(pool->servers[1].mark.line == 21 && pool->servers[1].mark.column == 20);
    settings_free(settings);
}

TEST(the_contract_s_routes_and_numbers)
{
    struct settings *settings = settings_of(contract);
    const struct route_settings *route = settings->routes;
    const struct timeouts wanted = {10000000,   60000000, 5000000, 3000000,  10000000, 60000000,
                                    3600000000, 30000000, 0,       60000000, 30000000};

    EXPECT(memcmp(&settings->timeouts, &wanted, sizeof wanted) == 0);
    EXPECT(settings->limits.unsent == 262144 && settings->limits.unsent_worker == 67108864);
    EXPECT(settings->trusted_proxy_count == 0 && strcmp(settings->log_file, "/dev/stderr") == 0);
    EXPECT(settings->route_count == 2 && strcmp(route[0].name, "1") == 0 &&
           strcmp(route[1].name, "2") == 0);
    EXPECT(strcmp(route[0].host, "chat.example.com") == 0 &&
           strcmp(route[0].path, "/rooms/{room}") == 0);
    EXPECT(!route[0].prefix && !route[1].host && !route[1].path && route[0].path_mark.column == 44);
    EXPECT(route[0].timeouts.tunnel_idle == 600000000 && route[0].timeouts.connect == 3000000);
    EXPECT(route[1].timeouts.tunnel_idle == 3600000000 && route[1].lifetime_jitter == 10);
    EXPECT(route[0].require_key && route[0].encoded_slashes == ENCODED_SLASHES_KEEP &&
           route[0].pool_index == 0);
    settings_free(settings);
}

TEST(the_shortest_form)
{
    struct settings *settings = settings_of(MINIMAL);

    EXPECT(settings->workers == 0 && !settings->user && settings->admin_is_default);
    EXPECT(strcmp(settings->admin_listen, "unix:/run/turnout.sock") == 0);
    EXPECT(settings->route_count == 1 && strcmp(settings->routes[0].pool, "chat") == 0);
    EXPECT(strcmp(settings->routes[0].name, "1") == 0 && settings->routes[0].require_key);
    EXPECT(settings->routes[0].timeouts.connect == 3000000 &&
           settings->routes[0].lifetime_jitter == 10);
    settings_free(settings);
}

TEST(admin_can_be_off)
{
    static const char *const rows[] = {MINIMAL "admin: no\n", MINIMAL "admin: { listen: no }\n"};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct settings *settings = settings_of(rows[i]);
        EXPECT(!settings->admin_listen && !settings->admin_is_default);
        settings_free(settings);
    }
}

TEST(route_wins_over_pool_over_all)
{
    struct settings *settings = settings_of(
        LISTEN "on_removed: close\n"
               "timeouts: { lifetime_jitter: 20%, fin: 1s }\n"
               "pools:\n  a: { servers: [ 127.0.0.1:1 ] }\n"
               "  b: { servers: [ 127.0.0.1:1 ], on_removed: keep }\n"
               "routes:\n"
               "  - { pool: a, match: { prefix: /1 } }\n"
               "  - { pool: b, match: { prefix: /2 }, timeouts: { fin: 2s } }\n"
               "  - { pool: b, on_removed: close, encoded_slashes: refuse,\n"
               "      websocket: { require_key: no }, timeouts: { lifetime_jitter: 5% } }\n");
    const struct route_settings *routes = settings->routes;

    EXPECT(routes[0].on_removed == ON_REMOVED_CLOSE && routes[1].on_removed == ON_REMOVED_KEEP);
    EXPECT(routes[2].on_removed == ON_REMOVED_CLOSE &&
           routes[2].encoded_slashes == ENCODED_SLASHES_REFUSE);
    EXPECT(routes[1].pool_index == 1 && !routes[2].require_key && routes[0].require_key);
    EXPECT(routes[1].lifetime_jitter == 20 && routes[2].lifetime_jitter == 5);
    EXPECT(routes[0].timeouts.fin == 1000000 && routes[1].timeouts.fin == 2000000);
    settings_free(settings);
}

TEST(what_a_configuration_needs)
{
    expect_errors(
        "", "f:1:1 \"listeners\" is missing | add listeners: [ { listen: 127.0.0.1:8080 } ]\n"
            "f:1:1 \"pools\" is missing | add pools: { NAME: { servers: [ 127.0.0.1:9001 ] } }\n");
    expect_errors("listeners: []\npools: {}\n",
                  "f:1:12 there is no listener | add { listen: 127.0.0.1:8080 }\n"
                  "f:2:8 there is no pool | add one: NAME: { servers: [ 127.0.0.1:9001 ] }\n");
    expect_errors(
        LISTEN
        "pools: { a: { servers: [] }, b: { balance: round_robin }, c: }\nroutes: [ { pool: a } ]\n",
        "f:2:10 pool \"a\" has no server | add servers: [ 127.0.0.1:9001 ]\n"
        "f:2:30 pool \"b\" has no server | add servers: [ 127.0.0.1:9001 ]\n"
        "f:2:59 pools: a map (key: value) is wanted here, not a single value\n");
    expect_errors(LISTEN
                  "pools: { a: { servers: [ 127.0.0.1:1 ] }, b: { servers: [ 127.0.0.1:1 ] } }\n",
                  "f:1:1 with more than one pool, \"routes\" must say which is meant | "
                  "add routes: [ { match: { host: ... }, pool: ... } ]\n");
    expect_errors(MINIMAL "routes: []\n",
                  "f:3:9 there is no route | add one, or leave \"routes\" out\n");
    expect_errors("- a\n",
                  "f:1:1 a configuration: a map (key: value) is wanted here, not a list\n");
}

TEST(listeners_are_checked)
{
    expect_errors("listeners: [ {}, { listen: x }, { listen: \"a:1\" }, { listen: a:1 }, "
                  "127.0.0.1:1 ]\n" POOL,
                  "f:1:14 \"listen\" is missing | write 127.0.0.1:8080, \"[::1]:8080\" or "
                  "\"unix:/run/x.sock\"\n"
                  "f:1:28 \"x\" is no address to listen on | write 127.0.0.1:8080, \"[::1]:8080\" "
                  "or \"unix:/run/x.sock\"\n"
                  "f:1:62 two listeners on a:1; the first in f:1:43 | leave one of the two out\n"
                  "f:1:69 listeners: a map (key: value) is wanted here, not a single value\n");
    expect_errors(
        "listeners:\n"
        "- { listen: a:1, tls: {} }\n"
        "- { listen: a:2, tls: { mode: terminate } }\n"
        "- { listen: a:3, tls: { mode: terminate, certificates: [ { cert: a }, { key: a } ] } }\n"
        "- { listen: a:4, tls: { mode: passthrough, certificates: [] } }\n"
        "- { listen: a:5, tls: { mode: both } }\n"
        "- { listen: a:6, mode: rw }\n" POOL,
        "f:2:23 \"mode\" is missing | write mode: terminate or mode: passthrough\n"
        "f:3:23 to terminate TLS, a certificate is needed | add certificates: [ { cert: FILE, key: "
        "FILE } ]\n"
        "f:4:58 \"key\" is missing | write { cert: FILE, key: FILE }\n"
        "f:4:71 \"cert\" is missing | write { cert: FILE, key: FILE }\n"
        "f:5:58 passthrough uses no certificates: the servers have them | "
        "leave them out, or write mode: terminate\n"
        "f:6:31 tls.mode: \"both\" will not do | write one of: none, terminate, passthrough\n"
        "f:7:24 listeners.mode: \"rw\" will not do | write permissions in octal, such as "
        "\"0660\"\n");
}

TEST(pools_are_checked)
{
    expect_errors(
        LISTEN
        "pools:\n"
        "  \"a b\": { servers: [ a:1 ] }\n"
        "  b: { balance: leest_connections, servers: [ a, { weight: 1 }, { address: a:1, weight: 0 "
        "} ] }\n"
        "  c: { servers: [ { adress: a:1 }, { address: b, weight: 257, max_connections: -1 } ] }\n"
        "routes: [ { pool: b } ]\n",
        "f:3:3 \"a b\" will not do as a pool's name | use letters, digits, \"_\", \"-\" and \".\", "
        "64 at most\n"
        "f:4:17 pools.balance: there is no balancer \"leest_connections\" | "
        "write one of: least_connections, round_robin, ip_hash, bounded_hash\n"
        "f:4:47 \"a\" is no server address | write an address with port, such as 127.0.0.1:9001 or "
        "\"[::1]:9001\"\n"
        "f:4:50 \"address\" is missing | write an address with port, such as 127.0.0.1:9001 or "
        "\"[::1]:9001\"\n"
        "f:4:89 servers.weight: \"0\" is too small | write a value from 1 to 256\n"
        "f:5:19 \"address\" is missing | write an address with port, such as 127.0.0.1:9001 or "
        "\"[::1]:9001\"\n"
        "f:5:21 unknown key \"adress\" in servers | did you mean \"address\"?\n"
        "f:5:47 \"b\" is no server address | write an address with port, such as 127.0.0.1:9001 or "
        "\"[::1]:9001\"\n"
        "f:5:58 servers.weight: \"257\" is too large | write a value from 1 to 256\n"
        "f:5:80 servers.max_connections: \"-1\" will not do | write a whole number\n");
}

TEST(routes_are_checked)
{
    expect_errors(LISTEN "pools: { chat: { servers: [ a:1 ] }, news: { servers: [ a:1 ] } }\n"
                         "routes:\n"
                         "- { match: { host: \"a:1\" } }\n"
                         "- { pool: chatt, match: { path: rooms } }\n"
                         "- { pool: archive, match: { prefix: rooms }, name: x }\n"
                         "- { pool: chat, match: { host: b }, name: x }\n"
                         "- { pool: chat, match: { host: c }, name: 1 }\n"
                         "- { pool: chat, match: [] }\n",
                  "f:4:3 \"pool\" is missing | add pool: NAME (or pools, respond, redirect)\n"
                  "f:4:20 \"a:1\" is wrong\n"
                  "f:5:11 there is no pool \"chatt\" | did you mean \"chat\"?\n"
                  "f:5:33 \"rooms\" is wrong\n"
                  "f:6:11 there is no pool \"archive\" | there are: chat, news\n"
                  "f:6:37 \"rooms\" is wrong\n"
                  "f:7:3 two routes are named \"x\"; the first in f:6:3 | give it another name\n"
                  "f:8:3 two routes are named \"1\"; the first in f:4:3 | give it another name\n"
                  "f:9:24 match: a map (key: value) is wanted here, not a list\n");
}

TEST(routes_that_nothing_reaches)
{
    static const struct {
        const char *first, *second;
        bool is_reached;
    } rows[] = {
        {"", "host: a", false},
        {"prefix: /", "path: /b", false},
        {"host: a", "host: A, path: /b", false},
        {"host: a, path: /b", "host: a, path: /b", false},
        {"prefix: /b", "prefix: /b", false},
        {"prefix: /b", "host: a, prefix: /b", false},
        {"host: a", "host: b", true},
        {"host: a", "", true},
        {"host: a, path: /b", "host: a", true},
        {"path: /b", "path: /c", true},
        {"path: /b", "prefix: /b", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 MINIMAL
                 "routes:\n- { pool: chat, match: { %s } }\n- { pool: chat, match: { %s } }\n",
                 rows[i].first, rows[i].second);
        expect_errors(text,
                      rows[i].is_reached
                          ? ""
                          : "f:5:3 nothing reaches this route: the one in f:4:3 takes all of it | "
                            "put it before that one, or leave it out\n");
    }
}

TEST(trusted_proxies_are_networks)
{
    expect_errors(MINIMAL "trusted_proxies: [ 10.0.0.0/8, 10.1 ]\n",
                  "f:3:32 trusted_proxies: \"10.1\" will not do | "
                  "write an address, a network such as 10.0.0.0/8 or \"fd00::/8\", or unix\n");
    expect_errors(MINIMAL "trusted_proxies: [ unix, \"::1\", 10.1.0.0/8 ]\n",
                  "f:3:33 trusted_proxies: \"10.1.0.0/8\" has bits behind its prefix | "
                  "write \"10.0.0.0/8\"\n");
}

TEST(tiers_are_known_and_one_serves_what_others_refuse)
{
    expect_errors(MINIMAL "relay: { tiers: [ splice, copy ] }\n", "");
    expect_errors(MINIMAL "relay: { tiers: copy }\n", "");
    expect_errors(MINIMAL "relay: { tiers: [ warp, copy ] }\n",
                  "f:3:19 relay.tiers: there is no tier \"warp\" | write some of: splice, copy\n");
    expect_errors(
        MINIMAL "relay: { tiers: [ splice ] }\n",
        "f:3:19 relay.tiers: copy must be among them, for what the others refuse | add copy\n");
}

TEST(values_come_from_files_and_the_environment)
{
    const struct fake_file files[] = {
        {"dir/main", LISTEN "pools: { a: { servers: [ { file: one }, { address: { file: /two }, "
                            "weight: { env: THREE } } ] } }\n"
                            "user: { env: SECRET }\ntrusted_proxies: [ { file: net } ]\n"},
        {"dir/one", "127.0.0.1:1\n"},
        {"/two", "127.0.0.1:2\r\n\n"},
        {"dir/net", "10.0.0.0/8"},
        {NULL, NULL},
    };
    struct fake_source fake = fake_source_of(files);
    struct report *report = report_new();
    struct settings *settings = settings_load(&fake.source, "dir/main", report);

    EXPECT(settings);
    EXPECT(strcmp(settings->pools[0].servers[0].address, "127.0.0.1:1") == 0);
    EXPECT(strcmp(settings->pools[0].servers[1].address, "127.0.0.1:2") == 0);
    EXPECT(settings->pools[0].servers[1].weight == 3 && strcmp(settings->user, "hunter2") == 0);
    EXPECT(strcmp(settings->trusted_proxies[0], "10.0.0.0/8") == 0 && settings->secret_count == 5);
    settings_free(settings);
    report_free(report);
}

TEST(errors_never_say_what_came_from_elsewhere)
{
    expect_errors(
        "listeners: [ { listen: { env: SECRET } } ]\n"
        "pools: { a: { balance: { env: SECRET }, servers: [ { env: SECRET }, { address: { env: "
        "SECRET } } ] } }\n"
        "workers: { env: SECRET }\nlog: { level: { env: SECRET } }\ntrusted_proxies: [ { env: "
        "SECRET } ]\n"
        "routes: [ { match: { path: { env: SECRET } }, pool: { env: SECRET } } ]\n"
        "user: { file: none }\nadmin: { listen: { env: SECRET } }\n",
        "f:1:24 \"***\" is no address to listen on | write 127.0.0.1:8080, \"[::1]:8080\" or "
        "\"unix:/run/x.sock\"\n"
        "f:2:24 pools.balance: there is no balancer \"***\" | write one of: least_connections, "
        "round_robin, ip_hash, bounded_hash\n"
        "f:2:52 \"***\" is no server address | write an address with port, such as 127.0.0.1:9001 "
        "or \"[::1]:9001\"\n"
        "f:2:80 \"***\" is no server address | write an address with port, such as 127.0.0.1:9001 "
        "or \"[::1]:9001\"\n"
        "f:3:10 workers: \"***\" will not do | write a whole number\n"
        "f:4:15 log.level: \"***\" will not do | write one of: debug, info, warning, error\n"
        "f:5:20 trusted_proxies: \"***\" will not do | "
        "write an address, a network such as 10.0.0.0/8 or \"fd00::/8\", or unix\n"
        "f:6:28 match: a value from elsewhere will not do\n"
        "f:6:53 there is no pool \"***\" | there are: a\n"
        "f:7:15 cannot read \"none\": No such file or directory | is the path right, and may this "
        "user read it?\n"
        "f:8:18 \"***\" is no address to listen on | write \"unix:/run/turnout.sock\" or "
        "127.0.0.1:9900\n");
}

TEST(lists_are_bounded)
{
    char *text = malloc(200000);
    size_t len = (size_t)snprintf(text, 200000, "%strusted_proxies: [", MINIMAL);

    for (int i = 0; i < 10001; i++)
        len += (size_t)snprintf(text + len, 200000 - len, "\"::1\",");
    snprintf(text + len, 200000 - len, "]\n");
    expect_errors(text, "f:3:18 trusted_proxies: 10001 are too many | 10000 is the most\n");
    free(text);
}

TEST(an_anchor_serves_two_places)
{
    struct settings *settings = settings_of(
        LISTEN "pools: { a: &a { servers: &s [ x:1 ] }, b: { <<: *a, balance: round_robin } }\n"
               "routes: [ { pool: a, match: { host: h } }, { pool: b } ]\n");

    EXPECT(strcmp(settings->pools[1].servers[0].address, "x:1") == 0);
    EXPECT(strcmp(settings->pools[1].balance, "round_robin") == 0);
    settings_free(settings);
}

#define ONE_POOL "pools: { a: { servers: [ x:1 ] } }\n"
#define POOL_A   "pools: { a: { servers: [ x:1 ] }, b: { servers: [ x:1 ], proxy_protocol: v2 } }\n"

TEST(who_may_introduce_clients)
{
    expect_errors("listeners: [ { listen: x:1, proxy_protocol: required } ]\n" ONE_POOL,
                  "f:1:45 nobody may speak PROXY here: trusted_proxies names no address | "
                  "add trusted_proxies: [ ADDRESS ] at the top of the file\n");
    expect_errors(
        "trusted_proxies: [ unix ]\nlisteners: [ { listen: x:1, proxy_protocol: optional } "
        "]\n" ONE_POOL,
        "f:2:45 nobody may speak PROXY here: trusted_proxies names no address | "
        "add trusted_proxies: [ ADDRESS ] at the top of the file\n");
    expect_errors("trusted_proxies: [ \"::1\" ]\nlisteners: [ { listen: \"unix:/x\", "
                  "proxy_protocol: optional } ]\n" ONE_POOL,
                  "f:2:51 nobody may speak PROXY here: trusted_proxies names no \"unix\" | "
                  "add trusted_proxies: [ unix ] at the top of the file\n");
    expect_errors(
        "trusted_proxies: [ unix, \"::1\" ]\nlisteners: [ { listen: \"unix:/x\", "
        "proxy_protocol: optional }, { listen: x:1, proxy_protocol: required } ]\n" ONE_POOL,
        "");
    expect_errors("listeners: [ { listen: x:1, proxy_protocol: yes } ]\n" ONE_POOL,
                  "f:1:45 listeners.proxy_protocol: \"yes\" will not do | "
                  "write one of: no, optional, required\n");
}

TEST(a_tcp_listener_has_a_route_of_its_own)
{
    struct settings *settings = settings_of("timeouts: { tunnel_idle: 7s }\n"
                                            "listeners: [ { listen: x:1, tcp: b } ]\n" POOL_A);
    const struct listener_settings *listener = &settings->listeners[0];

    EXPECT(settings->route_count == 0 && listener->tcp_route);
    EXPECT(listener->tcp_route->pool_index == 1 && strcmp(listener->tcp_route->pool, "b") == 0);
    EXPECT(listener->tcp_route->timeouts.tunnel_idle == 7000000);
    EXPECT(settings->pools[1].proxy_out == PROXY_OUT_V2 &&
           settings->pools[0].proxy_out == PROXY_OUT_NO);
    settings_free(settings);
}

TEST(tcp_listeners_that_will_not_do)
{
    expect_errors("listeners: [ { listen: x:1, tcp: c } ]\n" POOL_A,
                  "f:1:34 there is no pool \"c\" | there are: a, b\n");
    expect_errors("listeners: [ { listen: x:1, tcp: a, tls: { mode: passthrough } } ]\n" POOL_A,
                  "f:1:34 passthrough chooses the pool by server name, tcp names it | "
                  "leave one of the two out\n");
    expect_errors("trusted_proxies: [ \"::1\" ]\n"
                  "listeners: [ { listen: x:1, tcp: a, proxy_protocol: optional } ]\n" POOL_A,
                  "f:2:53 with tcp a header cannot be optional: where the server speaks first, "
                  "nothing might ever come | write required, or no\n");
    expect_errors("listeners: [ { listen: x:1, tcp: a }, { listen: x:2 } ]\n" POOL_A,
                  "f:1:1 with more than one pool, \"routes\" must say which is meant | "
                  "add routes: [ { match: { host: ... }, pool: ... } ]\n");
}
