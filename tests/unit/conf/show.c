#include "conf/show.c"

#include "source.h"

static char *read_example(void)
{
    const char *root = getenv("TURNOUT_SOURCE");
    char path[4096], *text = calloc(1, 65536);

    EXPECT(root && text);
    snprintf(path, sizeof path, "%s/docs/example.yaml", root);
    FILE *file = fopen(path, "r");
    EXPECT(file);
    size_t len = fread(text, 1, 65535, file);
    EXPECT(len > 0 && len < 65535);
    fclose(file);
    return text;
}

TEST(what_is_shown_means_the_same_again)
{
    char *example = read_example();
    const char *const texts[] = {
        example,
        MINIMAL,
        MINIMAL "admin: no\n",
        LISTEN
        "pools: { a: { servers: { dns: \"a.b:1\", weight: 3 }, health: { tcp: {}, http: {} } "
        "} }\nstores: { m: { memory: {} } }\n"
        "routes: [ { pool: a, sticky: { learn: cookie.x, store: m }, shard: { key: client } "
        "} ]\n",
        LISTEN POOL "routes: [ { pool: chat, sticky: { preset: socket.io }, match: { path: /a } }, "
                    "{ pool: chat, sticky: { source: 24 }, guard: {} } ]\nresolver: 127.0.0.1:53\n",
        LISTEN
        "pools: { a: { servers: [ x:1 ] } }\nroutes: [ { name: \"q\\\"\\\\\\n\\te\", pool: a } ]\n"
        "timeouts: { connect: 1500ms, fin: 7us, lifetime: 2d }\nlimits: { body: 1025 }\n"
        "trusted_proxies: [ 10.0.0.0/8, \"::1\" ]\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct settings *first = settings_of(texts[i]);
        char *shown = settings_text(first);
        struct settings *second = settings_of(shown);
        char *again = settings_text(second);
        expect_text(again, shown);
        EXPECT(memcmp(&first->timeouts, &second->timeouts, sizeof first->timeouts) == 0);
        EXPECT(memcmp(&first->limits, &second->limits, sizeof first->limits) == 0);
        EXPECT(first->route_count == second->route_count);
        EXPECT(strcmp(first->routes[0].name, second->routes[0].name) == 0);
        EXPECT(first->listener_count == second->listener_count && first->secret_count == 0);
        free(again);
        free(shown);
        settings_free(second);
        settings_free(first);
    }
    free(example);
}

/* Of issue 5, word for word: these names are a contract. */
static const char contract[] =
    "stores: { sessions: { redis: \"redis://127.0.0.1:6379/0\", timeout: 50ms, fail: open, ttl: "
    "24h } }   # or { memory: {} }\n"
    "listeners:\n"
    "  - { listen: 127.0.0.1:8080 }\n"
    "  - { listen: 127.0.0.1:7001, sessions: sessions }        # the backends' door\n"
    "pools:\n"
    "  chat:\n"
    "    balance: bounded_hash\n"
    "    hash: cookie.uid\n"
    "    slow_start: 30s\n"
    "    panic: 50%\n"
    "    admission: { rate: 200/s, burst: 50, queue: 1000 }\n"
    "    health:\n"
    "      websocket: { path: /rooms/health, interval: 5s, fast_interval: 1s, rise: 2, fall: 3, "
    "timeout: 2s, ping: true }\n"
    "      passive: { failures: 5, window: 10s, eject: 10s, eject_max: 5m, max_ejected: 50% }\n"
    "    on_down: drain\n"
    "    drain: { over: 30s, code: 1012 }\n"
    "    servers: [ 127.0.0.1:9001, { address: 127.0.0.1:9002, backup: true } ]\n"
    "routes:\n"
    "  - match: { path: \"/rooms/{room}\" }\n"
    "    name: rooms\n"
    "    pool: chat\n"
    "    shard: { key: path.room, servers: 2, larger: [ { match: \"vip-*\", servers: 4 } ], "
    "on_move: leave }\n"
    "    sticky: { cookie: turnout, store: sessions }\n"
    "    guard: { max_message: 64k, messages: 100/s, ping: 30s, pong: 10s, close_at_expiry: true "
    "}\n"
    "    timeouts: { lifetime: 12h, lifetime_jitter: 10% }\n";

TEST(policies_are_shown_with_every_default)
{
    static const char *const wanted[] = {
        "stores:\n  \"sessions\": { redis: \"redis://127.0.0.1:6379/0\", timeout: 50ms, fail: "
        "open, "
        "ttl: 1d }\n",
        "{ listen: \"127.0.0.1:7001\", mode: \"0660\", proxy_protocol: no, sessions: \"sessions\" "
        "}",
        "    admission: { rate: 200/s, burst: 50, queue: 1000 }\n    health:\n      websocket: { "
        "interval: 5s, fast_interval: 1s, rise: 2, fall: 3, timeout: 2s, path: \"/rooms/health\", "
        "ping: yes }\n      passive: { failures: 5, window: 10s, slow: 0, early: 1s, eject: 10s, "
        "eject_max: 5m, max_ejected: 50% }\n    servers:\n",
        "hash: \"cookie.uid\"\n    slow_start: 30s\n    panic: 50%\n    on_down: drain\n",
        "    shard: { key: \"path.room\", servers: 2, on_move: leave, larger: [ { match: "
        "\"vip-*\", "
        "servers: 4 } ] }\n    sticky: { cookie: \"turnout\", store: \"sessions\", same_site: lax, "
        "secure: auto, http_only: yes, path: \"/\", max_age: 0 }\n    guard: { max_message: 64k, "
        "messages: 100/s, ping: 30s, pong: 10s, close_at_expiry: yes }\n"};
    struct settings *settings = settings_of(contract);
    char *text = settings_text(settings);

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (!strstr(text, wanted[i]))
            expect_text(text, wanted[i]);
    free(text);
    settings_free(settings);
}

TEST(a_password_of_a_store_and_sticky_keys_are_never_shown)
{
    struct settings *settings =
        settings_of(MINIMAL "sticky_keys: [ hunter2hunter2hunter2, 0123456789abcdef ]\n"
                            "stores: { a: { redis: \"redis://me:hunter2@h:1/0\" } }\n");
    char *text = settings_text(settings);

    EXPECT(!strstr(text, "hunter2") && !strstr(text, "0123456789abcdef"));
    EXPECT(strstr(text, "sticky_keys: [ \"***\", \"***\" ]") && strstr(text, "redis: \"***\""));
    free(text);
    settings_free(settings);
}

TEST(access_is_shown_as_far_as_it_is_there)
{
    struct settings *settings = settings_of(
        MINIMAL "routes:\n  - pool: chat\n    access: { deny: 10.0.0.0/8, auth: { url: "
                "\"http://127.0.0.1\", copy: [ A, B ] }, jwt: { keys: visible, audience: x } }\n"
                "    rate: { requests: 30/m, connections: 5 }\n");
    char *text = settings_text(settings);

    EXPECT(strstr(text, "    access: { deny: [ \"10.0.0.0/8\" ], jwt: { keys: \"***\", audience: [ "
                        "\"x\" ], leeway: 30s, from: [ \"header.Authorization\" ] }, auth: { url: "
                        "\"http://127.0.0.1\", copy: [ \"A\", \"B\" ], timeout: 1s, fail: closed "
                        "} }\n    rate: { connections: 5, handshakes: 0, requests: 30/m }\n"));
    free(text);
    settings_free(settings);
}

TEST(the_whole_as_it_is_shown)
{
    struct settings *settings = settings_of(MINIMAL "user: web\n");
    char *text = settings_text(settings);
    const char *timeouts =
        "request_head: 10s, body: 1m, queue: 5s, connect: 3s, handshake: 10s, response: 1m, "
        "tunnel_idle: 1h, fin: 30s, lifetime: 0, keepalive: 1m, shutdown_grace: 30s, "
        "lifetime_jitter: 10%";
    char wanted[4096];

    snprintf(wanted, sizeof wanted,
             "workers: 0\nuser: \"web\"\nretries: 2\ntraceparent: make\non_removed: keep\n"
             "admin: { listen: \"unix:/run/turnout.sock\", mode: \"0600\" }\n"
             "timeouts: { %s }\ntcp: { keepalive: 1m, user_timeout: 2m }\n"
             "limits: { request_head: 32k, response_head: 32k, headers: 100, body: 0, unsent: "
             "256k, unsent_worker: 64m }\n"
             "log: { level: info, format: json, file: \"/dev/stderr\" }\n"
             "trusted_proxies: [ ]\n"
             "listeners:\n  - { listen: \"127.0.0.1:8080\", mode: \"0660\", proxy_protocol: no "
             "}\n"
             "pools:\n  \"chat\":\n    balance: \"least_connections\"\n    on_removed: keep\n    "
             "proxy_protocol: no\n    slow_start: 0\n    panic: 0%%\n    on_down: keep\n"
             "    keepalive: { idle: 1m, max: 100 }\n    drain: { over: 30s, code: 1012 }\n"
             "    servers:\n      - { address: \"127.0.0.1:9001\", weight: 1, max_connections: 0, "
             "backup: no }\n"
             "routes:\n  - match: { scheme: any }\n    name: \"1\"\n    pool: \"chat\"\n    "
             "encoded_slashes: "
             "keep\n    on_removed: keep\n"
             "    websocket: { require_key: yes }\n    timeouts: { %s }\n",
             timeouts, timeouts);
    expect_text(text, wanted);
    free(text);
    settings_free(settings);
}

TEST(what_came_from_elsewhere_is_masked_and_nothing_else)
{
    const struct fake_file files[] = {
        {"main",
         "listeners: [ { listen: { file: secret } } ]\n"
         "pools: { a: { servers: [ { file: secret }, { address: { file: secret } }, open:1 ] } }\n"
         "user: { env: SECRET }\ntimeouts: { fin: { file: fin }, lifetime_jitter: { file: jitter } "
         "}\n"
         "trusted_proxies: [ { file: net }, \"::1\" ]\nretries: { env: THREE }\n"},
        {"secret", "hidden:77\n"},
        {"fin", "77s\n"},
        {"jitter", "77%\n"},
        {"net", "77.7.7.7\n"},
        {NULL, NULL},
    };
    struct fake_source fake = fake_source_of(files);
    struct report *report = report_new();
    struct settings *settings = settings_load(&fake.source, "main", report);
    EXPECT(settings);
    char *text = settings_text(settings);

    EXPECT(!strstr(text, "hidden") && !strstr(text, "77") && !strstr(text, "hunter2"));
    EXPECT(strstr(text, "retries: \"***\"") && strstr(text, "user: \"***\""));
    EXPECT(strstr(text, "open:1") && strstr(text, "trusted_proxies: [ \"***\", \"::1\" ]"));
    char *route = strstr(text, "routes:");
    EXPECT(route && strstr(route, "fin: \"***\"") && strstr(route, "lifetime_jitter: \"***\""));
    free(text);
    settings_free(settings);
    report_free(report);
}

/* Whether the example says something of every key. */
TEST(the_example_names_every_key)
{
    static const struct section *const sections[] = {
        &section_top,           &section_timeouts,
        &section_lifetime,      &section_tcp,
        &section_limits,        &section_log,
        &section_admin,         &section_listener,
        &section_tls,           &section_certificate,
        &section_pool,          &section_server,
        &section_route,         &section_match,
        &section_websocket,     &section_share,
        &section_respond,       &section_redirect,
        &section_access,        &section_jwt,
        &section_auth,          &section_rate,
        &section_relay,         &section_discovered,
        &section_admission,     &section_check,
        &section_check_http,    &section_check_websocket,
        &section_passive,       &section_drain,
        &section_shard,         &section_larger,
        &section_sticky_kind,   &section_sticky,
        &section_sticky_cookie, &section_guard,
        &section_store,         &section_store_memory};
    char *example = read_example(), key[64];

    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        for (size_t k = 0; k < sections[i]->count; k++) {
            snprintf(key, sizeof key, "%s:", sections[i]->rows[k].name);
            EXPECT(strstr(example, key));
        }
        for (const char *const *other = sections[i]->others; other && *other; other++) {
            snprintf(key, sizeof key, "%s:", *other);
            EXPECT(strstr(example, key));
        }
    }
    free(example);
}
