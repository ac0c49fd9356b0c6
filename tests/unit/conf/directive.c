#include "conf/directive.c"

#include "source.h"

/* What a third line says about the minimal file. */
static void expect_line(const char *line, const char *wanted)
{
    char text[1024];

    snprintf(text, sizeof text, "%s%s\n", MINIMAL, line);
    expect_errors(text, wanted);
}

TEST(unknown_keys_are_told_what_is_near_or_what_there_is)
{
    expect_line("retires: 3", "f:3:1 unknown key \"retires\" | did you mean \"retries\"?\n");
    expect_line("timeouts: { conect: 3s }",
                "f:3:13 unknown key \"conect\" in timeouts | did you mean \"connect\"?\n");
    expect_line("tcp: { nothing: 1 }",
                "f:3:8 unknown key \"nothing\" in tcp | known here: keepalive, user_timeout\n");
    expect_line("routes: [ { pool: chat, match: { hots: a } } ]",
                "f:3:34 unknown key \"hots\" in match | did you mean \"host\"?\n");
    expect_line("routes: [ { pool: chat, match: { verb: GET } } ]",
                "f:3:34 unknown key \"verb\" in match | known here: host, path, prefix, scheme, "
                "methods, headers\n");
}
