#include "conf/access.c"

#include "source.h"

#define ROUTE(more) MINIMAL "routes:\n  - pool: chat\n" more

TEST(what_is_left_out_has_its_preset)
{
    struct settings *settings = settings_of(MINIMAL);
    const struct access_settings *access = &settings->routes[0].access;

    EXPECT(!access->has_jwt && !access->has_auth && !access->allow.count);
    EXPECT(access->jwt_from.count == 1 && access->jwt_leeway == 30000000);
    EXPECT(access->auth_timeout == 1000000 && access->auth_fail == AUTH_FAIL_CLOSED);
    EXPECT(settings->routes[0].rate.requests.count == 0);
    settings_free(settings);
}

TEST(lists_may_be_one_text)
{
    struct settings *settings =
        settings_of(ROUTE("    access: { allow: 10.0.0.0/8, origins: [ \"https://a\", same ],\n"
                          "      jwt: { keys: k, from: [ cookie.a, query.b ], leeway: 0 } }\n"));
    const struct access_settings *access = &settings->routes[0].access;

    EXPECT(access->allow.count == 1 && strcmp(access->allow.at[0], "10.0.0.0/8") == 0);
    EXPECT(access->origins.count == 2 && strcmp(access->origins.at[1], "same") == 0);
    EXPECT(access->origins.marks[1].line == 5 && access->origins.marks[1].column == 58);
    EXPECT(access->jwt_from.count == 2 && access->jwt_leeway == 0 && access->has_jwt);
    EXPECT(settings_is_secret(settings, &access->jwt_keys));
    settings_free(settings);
}

TEST(rates_have_a_unit)
{
    struct settings *settings =
        settings_of(ROUTE("    rate: { connections: 50, handshakes: 10/s, requests: 100/h }\n"));
    const struct rate_settings *rate = &settings->routes[0].rate;

    EXPECT(rate->connections == 50);
    EXPECT(rate->handshakes.count == 10 && rate->handshakes.per_usec == 1000000);
    EXPECT(rate->requests.count == 100 && rate->requests.per_usec == 3600000000);
    settings_free(settings);
}

TEST(errors)
{
    expect_errors(
        ROUTE(
            "    rate: { handshakes: 10, requests: fast, connections: -1 }\n"
            "    access: { allow: [], deny: [ 10.0.0.1/8, nowhere ], jwt: {}, auth: {}, x: 1 }\n"),
        "f:5:25 rate.handshakes: \"10\" has no unit | write a rate such as 10/s, 30/m or 100/h (0 "
        "means no limit)\n"
        "f:5:39 rate.requests: \"fast\" will not do | write a rate such as 10/s, 30/m or 100/h (0 "
        "means no limit)\n"
        "f:5:58 rate.connections: \"-1\" will not do | write a whole number\n"
        "f:6:22 access.allow: an empty list | write something, or leave the key out\n"
        "f:6:34 access.deny: \"10.0.0.1/8\" has bits behind its prefix | write \"10.0.0.0/8\"\n"
        "f:6:46 access.deny: \"nowhere\" will not do | write an address, a network such as "
        "10.0.0.0/8 or \"fd00::/8\", or unix\n"
        "f:6:62 \"keys\" is missing | add keys: { file: jwks.json }\n"
        "f:6:72 \"url\" is missing | add url: http://127.0.0.1:7100/check\n"
        "f:6:76 unknown key \"x\" in access | known here: allow, deny, origins, jwt, auth\n");
    expect_errors(ROUTE("    rate: { requests: 10/d, handshakes: 99999999/s }\n    access: no\n"),
                  "f:5:23 rate.requests: \"10/d\" will not do | write a rate such as 10/s, 30/m or "
                  "100/h (0 means no limit)\n"
                  "f:5:41 rate.handshakes: \"99999999/s\" is too large | write a smaller one, or 0 "
                  "for no limit\n"
                  "f:6:13 access: a map (key: value) is wanted here, not a single value\n");
}
