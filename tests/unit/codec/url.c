#include "codec/url.c"

#include "base/check.h"

#include "rows.h"

static const struct {
    const char *name, *target, *scheme, *authority, *path, *query; /* path NULL: refused */
} targets[] = {
    {"origin", "/a/b", "", "", "/a/b", NULL},
    {"a query", "/a?b=c?d", "", "", "/a", "b=c?d"},
    {"an empty query", "/?", "", "", "/", ""},
    {"two slashes are a path", "//evil/x", "", "", "//evil/x", NULL},
    {"asterisk", "*", "", "", "*", NULL},
    {"absolute", "http://a:1/b?c", "http", "a:1", "/b", "c"},
    {"absolute in any case", "HTTPS://A/b", "HTTPS", "A", "/b", NULL},
    {"absolute ws", "ws://a/", "ws", "a", "/", NULL},
    {"absolute wss", "wss://a/", "wss", "a", "/", NULL},
    {"absolute without a path", "http://a", "http", "a", "/", NULL},
    {"absolute with only a query", "http://a?b/c", "http", "a", "/", "b/c"},
    {"empty", "", "", "", NULL, NULL},
    {"asterisk and more", "*a", "", "", NULL, NULL},
    {"relative", "a/b", "", "", NULL, NULL},
    {"CONNECT's form", "a:443", "", "", NULL, NULL},
    {"a fragment", "/a#b", "", "", NULL, NULL},
    {"another scheme", "ftp://a/", "", "", NULL, NULL},
    {"no authority", "http:///a", "", "", NULL, NULL},
    {"no authority but a query", "http://?a", "", "", NULL, NULL},
    {"one slash", "http:/a", "", "", NULL, NULL},
    {"only a scheme", "http://", "", "", NULL, NULL},
};

TEST(targets_fall_into_their_parts)
{
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct url_target target;
        bool is_good = url_target_parse(bytes_of(targets[i].target), &target);
        EXPECT_ROW(targets[i].name, is_good == (targets[i].path != NULL));
        if (!is_good)
            continue;
        EXPECT_ROW(targets[i].name, says(target.scheme, targets[i].scheme) &&
                                        says(target.authority, targets[i].authority));
        EXPECT_ROW(targets[i].name, says(target.path, targets[i].path));
        EXPECT_ROW(targets[i].name, (target.query.at != NULL) == (targets[i].query != NULL));
        EXPECT_ROW(targets[i].name, !targets[i].query || says(target.query, targets[i].query));
    }
}

/* The segments with '|' between them. */
static const char *joined(const struct url_path *path, char *memory, size_t size)
{
    size_t len = 0;

    for (size_t i = 0; i < path->count; i++)
        len += (size_t)snprintf(memory + len, size - len, "%s%.*s", i ? "|" : "",
                                (int)path->segment[i].len, (const char *)path->segment[i].at);
    return memory;
}

static const struct {
    const char *name, *path, *segments; /* NULL: refused */
    bool has_encoded_slash;
} paths[] = {
    {"the root", "/", "", false},
    {"one", "/a", "a", false},
    {"two", "/a/b", "a|b", false},
    {"a slash at the end", "/a/", "a|", false},
    {"two slashes", "//", "|", false},
    {"an empty segment inside", "/a//b", "a||b", false},
    {"asterisk", "*", "*", false},
    {"escapes", "/%41%7e%c3%A4/b%20c", "A~\xc3\xa4|b c", false},
    {"an escaped percent is decoded once", "/%252e%252e/%2541", "%2e%2e|%41", false},
    {"a dot", "/a/./b", "a|b", false},
    {"a dot at the end", "/a/.", "a|", false},
    {"two dots", "/a/../b", "b", false},
    {"two dots at the end", "/a/b/..", "a|", false},
    {"back to the root", "/a/..", "", false},
    {"back to the root and on", "/a/../", "", false},
    {"three dots are a name", "/.../b", "...|b", false},
    {"dots and more are a name", "/..a/.b/c..", "..a|.b|c..", false},
    {"escaped dots", "/a/%2e%2E/b/%2e/c", "b|c", false},
    {"half escaped dots", "/a/.%2e/b", "b", false},
    {"an escaped slash stays inside", "/foo%2Fbar/c", "foo/bar|c", true},
    {"an escaped slash in lower case", "/foo%2fbar", "foo/bar", true},
    {"an escaped backslash", "/foo%5cbar", "foo\\bar", true},
    {"a backslash", "/foo\\bar", "foo\\bar", false},
    {"dots behind an escaped slash that do not climb", "/a/b%2f..%2fc", "a|b/../c", true},
    {"empty", "", NULL, false},
    {"relative", "a", NULL, false},
    {"NUL escaped", "/a%00b", NULL, false},
    {"half an escape", "/%4", NULL, false},
    {"a percent at the end", "/a%", NULL, false},
    {"no hexadecimal", "/%4g", NULL, false},
    {"an escape over a slash", "/%4/1", NULL, false},
    {"climbs at once", "/..", NULL, false},
    {"climbs at once and on", "/../a", NULL, false},
    {"climbs later", "/a/../../b", NULL, false},
    {"climbs by dots only", "/./../a", NULL, false},
    {"climbs with escaped dots", "/%2e%2e/x", NULL, false},
    {"climbs with a half escaped pair", "/%2e./x", NULL, false},
    {"climbs over slashes that are not doubled for all", "/a//../../b", NULL, false},
    {"climbs once its slashes are decoded", "/a/..%2f..%2fb", NULL, false},
    {"climbs with everything escaped", "/a/%2e%2e%2f%2e%2e/x", NULL, false},
    {"climbs over an escaped backslash", "/a/..%5c..%5cb", NULL, false},
    {"climbs over a backslash", "/a/..\\..\\b", NULL, false},
    {"climbs at the root over an escaped slash", "/..%2fb", NULL, false},
    {"climbs at the end of a segment", "/a%2f..%2f..", NULL, false},
};

TEST(paths_are_decoded_and_their_dots_removed)
{
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct bytes path = exact(bytes_of(paths[i].path), strlen(paths[i].path));
        uint8_t *memory = malloc(path.len + !path.len);
        struct url_path normal;
        char text[256] = "";
        bool is_good = url_path_normalise(path, memory, &normal);
        EXPECT_ROW(paths[i].name, is_good == (paths[i].segments != NULL));
        EXPECT_ROW(paths[i].name,
                   !is_good || !strcmp(joined(&normal, text, sizeof text), paths[i].segments));
        EXPECT_ROW(paths[i].name,
                   !is_good || normal.has_encoded_slash == paths[i].has_encoded_slash);
        exact_free(path);
        free(memory);
    }
}

TEST(empty_segments_are_counted)
{
    static const struct {
        const char *path;
        size_t count;
    } rows[] = {{"/", 1},     {"/a", 1},       {"/a/", 2}, {"//", 2},
                {"/a/..", 1}, {"/a/b/../", 2}, {"/.", 1},  {"///", 3}};
    uint8_t memory[16];
    struct url_path path;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_ROW(rows[i].path, url_path_normalise(bytes_of(rows[i].path), memory, &path));
        EXPECT_ROW(rows[i].path, path.count == rows[i].count);
    }
}

TEST(a_raw_nul_is_refused)
{
    uint8_t memory[8];
    struct url_path path;

    EXPECT(!url_path_normalise((struct bytes)TEXT("/a\0b"), memory, &path));
}

TEST(so_many_segments_and_no_more)
{
    char text[2 * URL_SEGMENTS_MAX + 8] = "";
    uint8_t memory[sizeof text];
    struct url_path path;

    for (int i = 0; i < URL_SEGMENTS_MAX; i++)
        append(text, sizeof text, "/a");
    EXPECT(url_path_normalise(bytes_of(text), memory, &path) && path.count == URL_SEGMENTS_MAX);
    append(text, sizeof text, "/b");
    EXPECT(!url_path_normalise(bytes_of(text), memory, &path));
}

static const struct {
    const char *host, *name; /* NULL: refused */
    uint16_t port;
} hosts[] = {
    {"example.com", "example.com", 0},
    {"Example.COM:8080", "Example.COM", 8080},
    {"a:", "a", 0},
    {"a:0", "a", 0},
    {"a:65535", "a", 65535},
    {"a:00080", "a", 80},
    {"127.0.0.1:80", "127.0.0.1", 80},
    {"[::1]", "[::1]", 0},
    {"[::1]:80", "[::1]", 80},
    {"[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]", 80},
    {"under_score", "under_score", 0},
    {"", NULL, 0},
    {":80", NULL, 0},
    {"a:65536", NULL, 0},
    {"a:99999", NULL, 0},
    {"a:000080", NULL, 0},
    {"a:8o", NULL, 0},
    {"a:-1", NULL, 0},
    {"a:80:80", NULL, 0},
    {"a b", NULL, 0},
    {"a/b", NULL, 0},
    {"a\\b", NULL, 0},
    {"a?b", NULL, 0},
    {"a#b", NULL, 0},
    {"u@a", NULL, 0},
    {"a%2eb", NULL, 0},
    {"<a>", NULL, 0},
    {"\xc3\xa4", NULL, 0},
    {"::1", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]a", NULL, 0},
    {"[]", NULL, 0},
    {"[", NULL, 0},
    {"[1.2.3.4]", NULL, 0},
    {"[::g]", NULL, 0},
    {"[a:b]", NULL, 0},
    {"[fe80::1%eth0]", NULL, 0},
    {"[[::1]]", NULL, 0},
};

TEST(hosts_fall_into_name_and_port)
{
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct bytes host = exact(bytes_of(hosts[i].host), strlen(hosts[i].host)), name = {0};
        uint16_t port = 0;
        EXPECT_ROW(hosts[i].host, url_host_parse(host, &name, &port) == (hosts[i].name != NULL));
        EXPECT_ROW(hosts[i].host,
                   !hosts[i].name || (says(name, hosts[i].name) && port == hosts[i].port));
        exact_free(host);
    }
}

TEST(a_nul_is_no_host)
{
    struct bytes name;
    uint16_t port;

    EXPECT(!url_host_parse((struct bytes)TEXT("a\0b"), &name, &port));
}
