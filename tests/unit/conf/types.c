#include "conf/types.c"

#include "source.h"

/* What a third line says about the minimal file. */
static void expect_line(const char *line, const char *wanted)
{
    char text[1024];

    snprintf(text, sizeof text, "%s%s\n", MINIMAL, line);
    expect_errors(text, wanted);
}

TEST(values_have_types_and_bounds)
{
    static const struct {
        const char *line, *wanted;
    } rows[] = {
        {"timeouts: { connect: 3 }", "f:3:22 timeouts.connect: \"3\" has no unit | write a time "
                                     "such as 3s, 500ms, 2m or 1h (0 means none)\n"},
        {"timeouts: { connect: \"3\" }", "f:3:22 timeouts.connect: \"3\" has no unit | write a "
                                         "time such as 3s, 500ms, 2m or 1h (0 means none)\n"},
        {"timeouts: { connect: 3x }", "f:3:22 timeouts.connect: \"3x\" will not do | write a time "
                                      "such as 3s, 500ms, 2m or 1h (0 means none)\n"},
        {"timeouts: { connect: -3s }", "f:3:22 timeouts.connect: \"-3s\" will not do | write a "
                                       "time such as 3s, 500ms, 2m or 1h (0 means none)\n"},
        {"timeouts: { connect: }", "f:3:13 timeouts.connect: \"\" will not do | write a time such "
                                   "as 3s, 500ms, 2m or 1h (0 means none)\n"},
        {"timeouts: { connect: 25h }",
         "f:3:22 timeouts.connect: \"25h\" is too large | write a value from 0 to 1d\n"},
        {"timeouts: { connect: 99999999999999999999d }",
         "f:3:22 timeouts.connect: \"99999999999999999999d\" is too large | write a value from 0 "
         "to 1d\n"},
        {"timeouts: { connect: [ 3s ] }",
         "f:3:22 connect: a single value is wanted here, not a list\n"},
        {"timeouts: { connect: { a: 3s } }",
         "f:3:22 connect: a single value is wanted here, not a map\n"},
        {"timeouts: { lifetime_jitter: 10 }",
         "f:3:30 timeouts.lifetime_jitter: \"10\" has no unit | write a share such as 10%\n"},
        {"timeouts: { lifetime_jitter: 101% }", "f:3:30 timeouts.lifetime_jitter: \"101%\" is too "
                                                "large | write a value from 0% to 100%\n"},
        {"limits: { request_head: 1023 }",
         "f:3:25 limits.request_head: \"1023\" is too small | write a value from 1k to 1m\n"},
        {"limits: { request_head: 2m }",
         "f:3:25 limits.request_head: \"2m\" is too large | write a value from 1k to 1m\n"},
        {"limits: { request_head: 3q }",
         "f:3:25 limits.request_head: \"3q\" will not do | write a size such as 32k, 64m or 1g\n"},
        {"limits: { body: 3q }", "f:3:17 limits.body: \"3q\" will not do | write a size such as "
                                 "32k, 64m or 1g (0 means none)\n"},
        {"limits: { body: 99999999999999999999 }",
         "f:3:17 limits.body: \"99999999999999999999\" is too large | write a smaller one\n"},
        {"limits: { headers: 201 }",
         "f:3:20 limits.headers: \"201\" is too large | write a value from 1 to 200\n"},
        {"workers: 65", "f:3:10 workers: \"65\" is too large | write a value from 0 to 64\n"},
        {"workers: two", "f:3:10 workers: \"two\" will not do | write a whole number\n"},
        {"on_removed: kep", "f:3:13 on_removed: \"kep\" will not do | write one of: keep, close\n"},
        {"log: { level: loud }",
         "f:3:15 log.level: \"loud\" will not do | write one of: debug, info, warning, error\n"},
        {"user: \"\"", "f:3:7 user: \"\" is empty | write something, or leave the key out\n"},
        {"admin: { mode: 8 }",
         "f:3:16 admin.mode: \"8\" will not do | write permissions in octal, such as \"0660\"\n"},
        {"admin: { mode: 06600 }", "f:3:16 admin.mode: \"06600\" will not do | write permissions "
                                   "in octal, such as \"0660\"\n"},
        {"routes: [ { pool: chat, websocket: { require_key: maybe } } ]",
         "f:3:51 websocket.require_key: \"maybe\" will not do | write yes or no\n"},
        {"timeouts: 3s",
         "f:3:11 timeouts: a map (key: value) is wanted here, not a single value\n"},
        {"tcp: [ 3s ]", "f:3:6 tcp: a map (key: value) is wanted here, not a list\n"},
        {"routes: { pool: chat }",
         "f:3:9 routes: a list (lines with \"- \", or [ a, b ]) is wanted here, not a map\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_line(rows[i].line, rows[i].wanted);
}

TEST(scalars_are_typed_by_the_table)
{
    struct settings *settings =
        settings_of(LISTEN "user: no\npools: { no: { servers: [ 127.0.0.1:1 ] } }\n"
                           "routes: [ { name: yes, pool: no } ]\n");

    EXPECT(strcmp(settings->user, "no") == 0 && strcmp(settings->pools[0].name, "no") == 0);
    EXPECT(strcmp(settings->routes[0].name, "yes") == 0);
    settings_free(settings);
}

TEST(values_of_every_unit)
{
    struct settings *settings =
        settings_of(MINIMAL "timeouts: { request_head: 1d, body: 2h, queue: 3m, connect: 4s, "
                            "handshake: 5ms, response: 6us,\n"
                            "  fin: 0, lifetime: 0s, lifetime_jitter: 0% }\n"
                            "limits: { request_head: 1024, response_head: 2k, headers: 1, body: "
                            "3g, unsent: 16M, unsent_worker: 7b }\n"
                            "admin: { mode: \"0\" }\n");
    const struct timeouts *t = &settings->timeouts;
    const struct limits *l = &settings->limits;

    EXPECT(t->request_head == UINT64_C(86400000000) && t->body == UINT64_C(7200000000) &&
           t->queue == 180000000);
    EXPECT(t->connect == 4000000 && t->handshake == 5000 && t->response == 6 && t->fin == 0 &&
           t->lifetime == 0);
    EXPECT(settings->lifetime_jitter == 0 && settings->admin_mode == 0);
    EXPECT(l->request_head == 1024 && l->response_head == 2048 && l->headers == 1 &&
           l->body == UINT64_C(3) << 30);
    EXPECT(l->unsent == 16 << 20 && l->unsent_worker == 7);
    settings_free(settings);
}

TEST(every_preset_is_taken_by_its_own_row)
{
    struct settings *settings = settings_of(MINIMAL); /* a wrong one would be an error */

    EXPECT(settings->timeouts.connect == 3000000 &&
           settings->timeouts.tunnel_idle == UINT64_C(3600000000));
    EXPECT(settings->limits.request_head == 32768 && settings->limits.headers == 100 &&
           settings->retries == 2);
    EXPECT(settings->tcp_keepalive == 60000000 && settings->tcp_user_timeout == 120000000);
    EXPECT(settings->log_level == LEVEL_INFO && settings->log_format == FORMAT_JSON);
    settings_free(settings);
}

TEST(a_value_is_written_in_its_largest_whole_unit)
{
    static const struct {
        enum directive_type type;
        uint64_t value;
        const char *text;
    } rows[] = {
        {TYPE_TIME, 0, "0"},          {TYPE_TIME, 1, "1us"},          {TYPE_TIME, 90000000, "90s"},
        {TYPE_TIME, 120000000, "2m"}, {TYPE_TIME, 86400000000, "1d"}, {TYPE_SIZE, 1025, "1025"},
        {TYPE_SIZE, 65536, "64k"},    {TYPE_SIZE, 1 << 30, "1g"},     {TYPE_PERCENT, 0, "0%"},
        {TYPE_NUMBER, 1024, "1024"},
    };
    char text[VALUE_CHARS];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        value_write(rows[i].type, rows[i].value, text);
        expect_text(text, rows[i].text);
    }
}
