#include "conf/include.c"

#include "conf/sections.h"
#include "source.h"

/* Loads "main" of the files; compares what is wrong with it. NULL when something is. */
static struct settings *load_files(const struct fake_file *files, const char *wanted)
{
    struct fake_source fake = fake_source_of(files);
    struct report *report = report_new();
    struct told told = {0};
    struct settings *settings = settings_load(&fake.source, "main", report);

    report_each(report, tell, &told);
    expect_text(told.text, wanted);
    EXPECT(!settings == (wanted[0] != '\0'));
    report_free(report);
    return settings;
}

TEST(lists_are_appended_and_maps_merged_in_file_order)
{
    const struct fake_file files[] = {
        {"main", "include: conf.d/*.yaml\n" MINIMAL
                 "timeouts: { connect: 1s }\nroutes: [ { pool: chat, name: z } ]\n"},
        {"conf.d/a.yaml",
         "listeners: [ { listen: 127.0.0.1:2 } ]\npools: { b: { servers: [ 127.0.0.1:3 ] } }\n"
         "timeouts: { fin: 2s }\n"},
        {"conf.d/b.yaml",
         "listeners: [ { listen: 127.0.0.1:3 } ]\npools: { chat: { servers: [ 127.0.0.1:4 ] } }\n"},
        {"conf.d/c.txt", "nonsense: 1\n"},
        {NULL, NULL},
    };
    struct settings *settings = load_files(files, "");

    EXPECT(settings->listener_count == 3 &&
           strcmp(settings->listeners[1].listen, "127.0.0.1:2") == 0);
    EXPECT(strcmp(settings->listeners[2].mark.file, "conf.d/b.yaml") == 0 &&
           settings->listeners[2].mark.line == 1);
    EXPECT(settings->pool_count == 2 && settings->pools[0].server_count == 2 &&
           settings->pools[1].server_count == 1);
    EXPECT(strcmp(settings->pools[0].servers[1].address, "127.0.0.1:4") == 0);
    EXPECT(settings->timeouts.connect == 1000000 && settings->timeouts.fin == 2000000);
    settings_free(settings);
}

TEST(includes_are_beside_the_file_that_names_them)
{
    const struct fake_file files[] = {
        {"main", "include: [ sub/a.yaml, \"none*.yaml\" ]\n" LISTEN},
        {"sub/a.yaml", "include: b.yaml\n"},
        {"sub/b.yaml", POOL "listeners:\n- listen: 127.0.0.1:2\n  tls: { mode: terminate, "
                            "certificates: [ { cert: c, key: /k } ] }\n"},
        {NULL, NULL},
    };
    struct settings *settings = load_files(files, "");

    EXPECT(strcmp(settings->listeners[1].certificates[0].cert, "sub/c") == 0);
    EXPECT(strcmp(settings->listeners[1].certificates[0].key, "/k") == 0);
    settings_free(settings);
}

TEST(errors_stand_in_the_file_that_has_them)
{
    const struct fake_file files[] = {
        {"main", "include: a.yaml\n" MINIMAL "workers: 1\n"},
        {"a.yaml", "workers: 2\npools: { chat: { balance: x } }\nretires: 3\nlisteners: { }\n"},
        {NULL, NULL},
    };

    load_files(files,
               "a.yaml:1:1 \"workers\" is set here and in main:4:1 | leave one of the two out\n"
               "a.yaml:2:27 pools.balance: there is no balancer \"x\" | write one of: "
               "least_connections, round_robin, ip_hash, bounded_hash\n"
               "a.yaml:3:1 unknown key \"retires\" | did you mean \"retries\"?\n"
               "a.yaml:4:1 \"listeners\" is set here and in main:2:1 | leave one of the two out\n");
}

TEST(what_cannot_be_included)
{
    const struct fake_file missing[] = {{"main", "include: [ none.yaml, { env: NOT } ]\n" MINIMAL},
                                        {NULL, NULL}};
    const struct fake_file list[] = {
        {"main", "include: a.yaml\n" MINIMAL}, {"a.yaml", "- 1\n"}, {NULL, NULL}};
    const struct fake_file itself[] = {{"main", "include: main\n" MINIMAL}, {NULL, NULL}};
    const struct fake_file circle[] = {{"main", "include: a\n" MINIMAL},
                                       {"a", "include: b\n"},
                                       {"b", "\ninclude: a\n"},
                                       {NULL, NULL}};

    load_files(
        missing,
        "main:1:12 include: there is no file none.yaml | is the path right?\n"
        "main:1:30 the environment has no variable \"NOT\" | set it before turnout is started\n");
    load_files(list, "a.yaml:1:1 a configuration: a map (key: value) is wanted here, not a list\n");
    load_files(itself, "main:1:10 a file includes itself: main, which includes main | take one of "
                       "the includes out\n");
    load_files(circle, "b:2:10 a file includes itself: a, which includes b, which includes a | "
                       "take one of the includes out\n");
    load_files(NULL, "main:0:0 cannot read main: No such file or directory\n");
}

TEST(includes_are_nested_at_most_8_deep)
{
    struct fake_file files[11] = {{"main", "include: f1\n" MINIMAL}};
    char path[10][8], text[10][32];

    for (int i = 1; i < 10; i++) {
        snprintf(path[i], sizeof path[i], "f%d", i);
        snprintf(text[i], sizeof text[i], i == 8 ? "workers: 1" : "include: f%d\n", i + 1);
        files[i] = (struct fake_file){path[i], text[i]};
    }
    settings_free(load_files(files, ""));
    snprintf(text[8], sizeof text[8], "include: f9\n");
    load_files(files, "f8:1:10 includes are nested more than 8 deep\n");
}

TEST(files_are_bounded_in_number)
{
    struct fake_file files[2] = {{"main", NULL}};
    struct fake_source fake = fake_source_of(files);
    struct report *report = report_new();
    char *text = calloc(1, 65536);

    /* 40 times the same file, which includes 40 times another, which is empty: 1,641 */
    strcpy(text, "include: [");
    for (int i = 0; i < 40; i++)
        strcat(text, " a,");
    strcat(text, " ]\n" MINIMAL);
    struct fake_file all[] = {{"main", text}, {"a", NULL}, {"b", ""}, {NULL, NULL}};
    char *inner = strdup(text);
    *strstr(inner, "\n") = '\0';
    for (char *at = inner + 10; *at; at++)
        if (*at == 'a')
            *at = 'b';
    all[1].text = inner;
    fake.files = all;
    EXPECT(!settings_load(&fake.source, "main", report));
    EXPECT(report_count(report) == 1 && fake.reads == 1001);
    report_free(report);
    free(inner);
    free(text);
}

TEST(what_an_alias_shares_is_not_changed_by_merging)
{
    const struct fake_file files[] = {
        {"main", "include: [ a, b ]\n" LISTEN
                 "pools: { one: &x { servers: &y [ 127.0.0.1:1 ] }, two: *x }\n"
                 "routes: [ { pool: one } ]\n"},
        {"a", "pools: { one: { balance: round_robin, servers: &z [ 127.0.0.1:2, 127.0.0.1:3 ] }, "
              "two: { servers: *z } }\n"},
        {"b", "pools: { two: { servers: [ 127.0.0.1:4 ] } }\n"},
        {NULL, NULL},
    };
    struct settings *settings = load_files(files, "");

    EXPECT(settings->pools[0].server_count == 3 && settings->pools[1].server_count == 4);
    EXPECT(strcmp(settings->pools[0].balance, "round_robin") == 0);
    EXPECT(strcmp(settings->pools[1].balance, "least_connections") == 0);
    settings_free(settings);
}

TEST(merging_woven_aliases_ends)
{
    static char one[65536], two[65536];
    const struct fake_file files[] = {{"main", one}, {"a", two}, {NULL, NULL}};
    size_t len = 0;

    len += (size_t)snprintf(one, sizeof one, "include: a\na0: &a0 { x: { y: { z: 1 } } }\n");
    for (int i = 1; i < 40; i++)
        len += (size_t)snprintf(one + len, sizeof one - len, "a%d: &a%d { l: *a%d, r: *a%d }\n", i,
                                i, i - 1, i - 1);
    strcpy(two, one + strlen("include: a\n"));

    struct fake_source fake = fake_source_of(files);
    struct report *report = report_new();
    EXPECT(!settings_load(&fake.source, "main", report));
    EXPECT(report_count(report) > 100);
    report_free(report);
}
