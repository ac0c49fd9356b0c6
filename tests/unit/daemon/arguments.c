#include "daemon/arguments.c"

#include "base/check.h"
#include "conf/settings.h"

#include "test.h"

static struct settings *read_back(const struct options *options)
{
    struct conf_source source = {0};
    struct report *report = report_new();
    char *text = arguments_to_yaml(options);

    EXPECT(report && text);
    struct settings *settings = settings_parse(&source, "command line", bytes_of(text), report);
    if (!settings)
        print_error("%s%s", text, report_text(report));
    EXPECT(settings);
    report_free(report);
    free(text);
    return settings;
}

TEST(arguments_become_settings)
{
    const struct options options = {
        .listen = {"127.0.0.1:80", "[::1]:80"},
        .listen_count = 2,
        .to = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"},
        .to_count = 3,
        .balance = "round_robin",
        .admin = "unix:/tmp/a",
        .admin_is_given = true,
        .workers = 3,
    };
    struct settings *settings = read_back(&options);

    EXPECT(settings->workers == 3 && settings->listener_count == 2 && settings->pool_count == 1);
    EXPECT(strcmp(settings->listeners[1].listen, "[::1]:80") == 0);
    EXPECT(settings->pools[0].server_count == 3 &&
           strcmp(settings->pools[0].balance, "round_robin") == 0);
    EXPECT(strcmp(settings->pools[0].servers[2].address, "127.0.0.1:3") == 0);
    EXPECT(strcmp(settings->admin_listen, "unix:/tmp/a") == 0 && !settings->admin_is_default);
    settings_free(settings);
}

TEST(an_admin_listener_that_was_not_asked_for_may_fail)
{
    const struct options options = {.listen = {"127.0.0.1:80"},
                                    .listen_count = 1,
                                    .to = {"127.0.0.1:1"},
                                    .to_count = 1,
                                    .admin = "unix:/x"};
    struct settings *settings = read_back(&options);

    EXPECT(settings->admin_is_default);
    settings_free(settings);
}

TEST(arguments_stay_inside_their_quotes)
{
    static const char *const texts[] = {"a: b",
                                        "\"",
                                        "\\",
                                        "x\"\nuser: root\n#",
                                        "{ env: HOME }",
                                        "\t\x01\x7f",
                                        "*alias",
                                        "grün",
                                        "%",
                                        "'",
                                        " ",
                                        "\\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct options options = {
            .listen = {texts[i]}, .listen_count = 1, .to = {texts[i]}, .to_count = 1};
        struct settings *settings = read_back(&options);
        EXPECT(strcmp(settings->listeners[0].listen, texts[i]) == 0);
        EXPECT(strcmp(settings->pools[0].servers[0].address, texts[i]) == 0);
        EXPECT(!settings->user);
        settings_free(settings);
    }
}

TEST(many_servers_are_all_there)
{
    static struct options options = {
        .listen = {"127.0.0.1:80"}, .listen_count = 1, .to_count = OPTIONS_LIST_MAX};
    static char texts[OPTIONS_LIST_MAX][32];

    for (unsigned i = 0; i < OPTIONS_LIST_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "127.0.0.1:%u", i + 1);
        options.to[i] = texts[i];
    }
    struct settings *settings = read_back(&options);
    EXPECT(settings->pools[0].server_count == OPTIONS_LIST_MAX);
    settings_free(settings);
}
