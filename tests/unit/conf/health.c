#include "conf/health.c"

#include "source.h"

#define HEALTH(what) LISTEN "pools: { a: { servers: [ a:1 ], health: " what " } }\n"

TEST(nothing_is_on_that_is_not_written)
{
    struct settings *settings = settings_of(MINIMAL);

    for (int kind = 0; kind < CHECK_KINDS; kind++)
        EXPECT(!settings->pools[0].checks[kind].is_on);
    EXPECT(!settings->pools[0].passive.is_on);
    EXPECT(settings->pools[0].drain_over == 30000000 && settings->pools[0].drain_code == 1012);
    settings_free(settings);
}

TEST(an_empty_map_is_every_default)
{
    struct settings *settings =
        settings_of(HEALTH("{ tcp: {}, http: { interval: 500ms }, websocket: {}, passive: {} }"));
    const struct pool_settings *pool = &settings->pools[0];
    const struct check_settings *tcp = &pool->checks[CHECK_TCP], *http = &pool->checks[CHECK_HTTP],
                                *websocket = &pool->checks[CHECK_WEBSOCKET];

    EXPECT(tcp->is_on && tcp->interval == 5000000 && tcp->fast_interval == 1000000);
    EXPECT(tcp->rise == 2 && tcp->fall == 3 && tcp->timeout == 2000000);
    EXPECT(http->is_on && http->interval == 500000 && http->fast_interval == 500000);
    EXPECT(strcmp(http->path, "/") == 0 && !http->host && strcmp(http->status, "200-399") == 0);
    EXPECT(websocket->is_on && !websocket->ping && !websocket->send && !websocket->expect);
    EXPECT(pool->passive.is_on && pool->passive.failures == 5 && pool->passive.slow == 0);
    EXPECT(pool->passive.early == 1000000 && pool->passive.max_ejected == 50);
    settings_free(settings);
}

TEST(statuses)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {{"200", true},      {"200-399", true}, {"200,204, 300-302", true},
                {"", false},        {"99", false},     {"600", false},
                {"300-200", false}, {"2xx", false},    {"200,", false},
                {"200 204", false}, {"200-", false},   {"-200", false}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(is_status(rows[i].text) == rows[i].is_good);
}

TEST(errors)
{
    expect_errors(
        HEALTH("{ tcp: { path: / }, http: { path: health, status: 2xx, rise: 0 },\n"
               "  websocket: { interval: 0, timeout: 9ms, send: a, host: a/b }, udp: {},\n"
               "  passive: { eject: 10m, eject_max: 5m, max_ejected: 0% } }"),
        "f:2:50 unknown key \"path\" in health | known here: interval, fast_interval, rise, fall, "
        "timeout\n"
        "f:2:75 health.http.path: \"health\" is no path | write a path such as /health\n"
        "f:2:91 health.http.status: \"2xx\" will not do | write 200, 200-399, or several with "
        "commas\n"
        "f:2:102 health.rise: \"0\" is too small | write a value from 1 to 1000\n"
        "f:3:26 health.interval: that is too short | write a value from 10ms on\n"
        "f:3:38 health.timeout: that is too short | write a value from 10ms on\n"
        "f:3:49 health.websocket.send: what must be answered is missing | add expect: TEXT, or "
        "leave send out\n"
        "f:3:58 health.websocket.host: \"a/b\" is no host | write a host, such as "
        "chat.example.com\n"
        "f:3:65 unknown key \"udp\" in health | did you mean \"tcp\"?\n"
        "f:4:37 health.passive.eject_max is shorter than eject | write a longer time\n"
        "f:4:54 health.passive.max_ejected: \"0%\" is too small | write a value from 1% to 100%\n");
    expect_errors(HEALTH("{ tcp: { interval: 1s, fast_interval: 2s }, http: yes }"),
                  "f:2:79 health.fast_interval is longer than interval | write a shorter time\n"
                  "f:2:91 health.http: a map (key: value) is wanted here, not a single value\n");
}
