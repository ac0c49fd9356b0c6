#include "conf/discovered.c"

#include "base/check.h"

#include "source.h"

#define SERVERS(what) LISTEN "pools: { a: { servers: " what " } }\n"

TEST(servers_by_name_and_by_file)
{
    const struct fake_file files[] = {
        {"dir/main", SERVERS("{ file: list.txt, max_connections: 7 }")},
        {"dir/list.txt", "127.0.0.1:1\n"},
        {NULL, NULL},
    };
    struct fake_source fake = fake_source_of(files);
    struct report *report = report_new();
    struct settings *by_file = settings_load(&fake.source, "dir/main", report);
    struct settings *by_name = settings_of(SERVERS("{ dns: \"chat.internal:9001\", weight: 3 }"));
    const struct pool_settings *pool = &by_name->pools[0];

    EXPECT(strcmp(pool->dns, "chat.internal:9001") == 0 && pool->discovered_weight == 3);
    EXPECT(!pool->file && !pool->server_count && pool->discovered_max_connections == 0);
    EXPECT(pool->discovery_mark.line == 2 && pool->discovery_mark.column == 31);
    EXPECT(by_file && strcmp(by_file->pools[0].file, "dir/list.txt") == 0);
    EXPECT(by_file->pools[0].discovered_weight == 1 && !by_file->pools[0].dns);
    EXPECT(by_file->pools[0].discovered_max_connections == 7);
    settings_free(by_file);
    settings_free(by_name);
    report_free(report);
}

TEST(names_that_are_none)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {{"a", true},        {"a.b", true},   {"_ws._tcp.a", true}, {"a-1.b.", true},
                {"1.2.3.4", false}, {"a..b", false}, {".a", false},        {"a b", false},
                {"", false},        {"::1", false},  {"1.2.a", true},      {"\xc3\xa4", false}};
    char label[80];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        EXPECT(is_name(rows[i].text, strlen(rows[i].text)) == rows[i].is_good);
    memset(label, 'a', sizeof label);
    EXPECT(is_name(label, 63) && !is_name(label, 64));
    EXPECT(is_port("1") && is_port("65535"));
    EXPECT(!is_port("0") && !is_port("65536") && !is_port("") && !is_port("-1") && !is_port("1x"));
}

TEST(errors)
{
    const struct fake_file files[] = {{"list", "127.0.0.1:1\nbad\n"}, {NULL, NULL}};

    expect_errors(SERVERS("{ dns: a }"), "f:2:31 servers.dns: \"a\" has no port | write a name "
                                         "with port: \"chat.internal:9001\"\n");
    expect_errors(SERVERS("{ dns: \"1.2.3.4:1\" }"),
                  "f:2:31 servers.dns: \"1.2.3.4:1\" is no name | write a name with port: "
                  "\"chat.internal:9001\"; addresses stand in a list: servers: [ 127.0.0.1:9001 "
                  "]\n");
    expect_errors(SERVERS("{ weight: 0 }"),
                  "f:2:24 servers: where they are found is missing | write [ 127.0.0.1:9001 ], { "
                  "dns: \"chat.internal:9001\" } or { file: PATH }\n"
                  "f:2:34 servers.weight: \"0\" is too small | write a value from 1 to 256\n");
    expect_errors(SERVERS("{ file: nowhere }"),
                  "f:2:32 cannot read \"nowhere\": No such file or directory | is the path right, "
                  "and may this user read it?\n");
    expect_errors_with(files, SERVERS("{ dns: \"a:1\", file: list }"),
                       "f:2:44 servers are found in one way, and this pool has `dns` already | "
                       "leave one of the two out\n"
                       "list:2:1 it is bad | write ADDRESS [weight=N] [max_connections=N] "
                       "[backup]\n");
    expect_errors(SERVERS("yes"),
                  "f:2:10 pool \"a\" has no server | add servers: [ 127.0.0.1:9001 ]\n"
                  "f:2:24 servers: a list (lines with \"- \", or [ a, b ]) is wanted here, not a "
                  "single value\n");
    expect_errors(
        MINIMAL "resolver: [ 127.0.0.1:53, localhost ]\n",
        "f:3:27 resolver: \"localhost\" will not do | write an address with port, such as "
        "127.0.0.1:53 or \"[::1]:53\"\n");
}
