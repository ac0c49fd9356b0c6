#include "route/route.c"

#include "test.h"

#define LEN(table) (sizeof(table) / sizeof((table)[0]))

static struct route_rule *rule_of(const char *host, const char *path, const char *prefix)
{
    const struct route_match match = {.host = host, .path = path, .prefix = prefix};
    struct route_rule *rule = NULL;
    char words[256];

    EXPECT(route_rule_new(&match, &rule, words) == 0);
    return rule;
}

static bool matches(const struct route_rule *rule, const char *host, const char *path,
                    struct route_params *ret_params)
{
    static uint8_t memory[8192];
    struct url_path normal;

    EXPECT(strlen(path) <= sizeof memory);
    EXPECT(url_path_normalise(bytes_of(path), memory, &normal));
    const struct route_asked asked = {.host = bytes_of(host), .path = &normal};
    return route_rule_matches(rule, &asked, ret_params);
}

/* --- hosts
 * ------------------------------------------------------------------------------------------ */

TEST(a_host_matches)
{
    static const struct {
        const char *rule, *host;
        bool matches;
    } rows[] = {
        {NULL, "chat.example.com", true},
        {NULL, "", true},
        {"chat.example.com", "chat.example.com", true},
        {"chat.example.com", "CHAT.Example.COM", true},
        {"Chat.EXAMPLE.com", "chat.example.com", true},
        {"chat.example.com", "chat.example.com.", true},
        {"chat.example.com.", "chat.example.com", true},
        {"chat.example.com.", "chat.example.com.", true},
        {"chat.example.com", "chat.example.com..", false},
        {"chat.example.com", "xchat.example.com", false},
        {"chat.example.com", "a.chat.example.com", false},
        {"chat.example.com", "chat.example.co", false},
        {"chat.example.com", "", false},
        {"*.example.com", "chat.example.com", true},
        {"*.example.com", "a.b.c.Example.com", true},
        {"*.example.com", "chat.example.com.", true},
        {"*.EXAMPLE.com.", "chat.example.com", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "badexample.com", false},
        {"*.example.com", "chat.example.com.evil", false},
        {"*.example.com", "", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"[::1]", "[::1]", true},
        {"[FE80::1]", "[fe80::1]", true},
    };

    for (size_t i = 0; i < LEN(rows); i++) {
        struct route_rule *rule = rule_of(rows[i].rule, NULL, NULL);
        if (matches(rule, rows[i].host, "/any/path", NULL) != rows[i].matches)
            print_error("row %zu: %s, %s\n", i, rows[i].rule, rows[i].host);
        EXPECT(matches(rule, rows[i].host, "/any/path", NULL) == rows[i].matches);
        route_rule_free(rule);
    }
}

/* --- paths
 * ------------------------------------------------------------------------------------------ */

struct path_row {
    const char *rule, *path;
    bool matches;
};

static void expect_rows(const struct path_row *row, size_t count, bool is_prefix)
{
    for (size_t i = 0; i < count; i++) {
        struct route_rule *rule =
            is_prefix ? rule_of(NULL, NULL, row[i].rule) : rule_of(NULL, row[i].rule, NULL);
        bool got = matches(rule, "any.host", row[i].path, NULL);
        if (got != row[i].matches)
            print_error("row %zu: %s, %s\n", i, row[i].rule, row[i].path);
        EXPECT(got == row[i].matches);
        route_rule_free(rule);
    }
}

TEST(a_whole_path_matches)
{
    static const struct path_row rows[] = {
        {"/", "/", true},
        {"/", "/a", false},
        {"/rooms", "/rooms", true},
        {"/rooms", "/Rooms", false},
        {"/rooms", "/rooms/", false},
        {"/rooms/", "/rooms/", true},
        {"/rooms/", "/rooms", false},
        {"/rooms", "/rooms/a", false},
        {"/rooms", "/roomsandmore", false},
        {"/rooms/{room}", "/rooms/blue", true},
        {"/rooms/{room}", "/rooms/blue%20sky", true},
        {"/rooms/{room}", "/rooms/", false}, /* a name wants a segment with something in it */
        {"/rooms/{room}", "/rooms", false},
        {"/rooms/{room}", "/rooms/blue/", false},
        {"/rooms/{room}", "/rooms/blue/door", false},
        {"/rooms/{room}", "/rooms/a%2Fb", true}, /* an encoded slash stays inside its segment */
        {"/rooms/{room}/", "/rooms/blue/", true},
        {"/{a}/x/{b}", "/1/x/2", true},
        {"/{a}/x/{b}", "/1/y/2", false},
        {"/a/b", "/a/./b", true}, /* dot segments are gone before */
        {"/a/b", "/a/c/../b", true},
        {"/a/b", "/a//b", false},
        {"/a//b", "/a//b", true},
        {"/a%2Fb", "/a%2fb", true}, /* templates are decoded as requests are */
        {"/a%2Fb", "/a/b", false},
        {"/a/b", "/a%2Fb", false},
        {"/%61b", "/ab", true},
        {"/ab", "/%61%62", true},
        {"/r\xc3\xa4ume", "/r%C3%A4ume", true},
        {"/a b", "/a%20b", true},
        {"/%7Ba%7D", "/{a}", true}, /* braces that are meant */
        {"/%7Ba%7D", "/b", false},
        {"/a", "*", false},
    };

    expect_rows(rows, LEN(rows), false);
}

TEST(a_prefix_ends_on_a_segment_border)
{
    static const struct path_row rows[] = {
        {"/", "/", true},           {"/", "/a/b", true},        {"/a", "/a", true},
        {"/a", "/a/", true},        {"/a", "/a/b", true},       {"/a", "/ab", false},
        {"/a", "/", false},         {"/a", "/b/a", false},      {"/a/", "/a/b", true},
        {"/a/", "/a", true},        {"/a/", "/ab", false},      {"/a/b", "/a", false},
        {"/a/b", "/a/b/c/d", true}, {"/a", "/a%2Fb", false},    {"/a/{x}", "/a/1/2/3", true},
        {"/a/{x}", "/a", false},    {"/a/{x}", "/a//2", false}, {"/a/{x}/", "/a/1", true},
    };

    expect_rows(rows, LEN(rows), true);
}

TEST(host_and_path_must_both_match)
{
    struct route_rule *rule = rule_of("chat.example.com", NULL, "/rooms");

    EXPECT(matches(rule, "chat.example.com", "/rooms/1", NULL));
    EXPECT(!matches(rule, "other.example.com", "/rooms/1", NULL));
    EXPECT(!matches(rule, "chat.example.com", "/halls/1", NULL));
    route_rule_free(rule);
}

/* --- names in braces
 * -------------------------------------------------------------------------------- */

static bool param_is(const struct route_params *params, size_t i, const char *name,
                     const char *value)
{
    return bytes_equal(params->param[i].name, bytes_of(name)) &&
           bytes_equal(params->param[i].value, bytes_of(value));
}

TEST(named_segments_are_handed_out_decoded)
{
    struct route_rule *rule = rule_of(NULL, "/{tenant}/rooms/{room-1}", NULL);
    struct route_params params;

    EXPECT(matches(rule, "h", "/acme%20ltd/rooms/a%2Fb", &params));
    EXPECT(params.count == 2);
    EXPECT(param_is(&params, 0, "tenant", "acme ltd") && param_is(&params, 1, "room-1", "a/b"));
    EXPECT(!matches(rule, "h", "/other/rooms/", &params));
    EXPECT(params.count == 2); /* untouched */
    route_rule_free(rule);

    rule = rule_of(NULL, "/rooms", NULL);
    EXPECT(matches(rule, "h", "/rooms", &params) && params.count == 0);
    route_rule_free(rule);
    rule = rule_of("h", NULL, NULL);
    params.count = 5;
    EXPECT(matches(rule, "h", "/x", &params) && params.count == 0);
    route_rule_free(rule);
}

TEST(as_many_names_as_fit)
{
    const struct route_match most = {
        .path = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}"};
    const struct route_match more = {
        .path = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}"};
    struct route_rule *rule = NULL;
    struct route_params params;
    char words[256];

    EXPECT(route_rule_new(&more, &rule, words) == -EINVAL && strstr(words, "more than 16"));
    EXPECT(route_rule_new(&most, &rule, words) == 0);
    EXPECT(matches(rule, "h", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", &params));
    EXPECT(params.count == ROUTE_PARAMS_MAX && param_is(&params, 15, "p", "16"));
    route_rule_free(rule);
}

/* --- errors
 * ----------------------------------------------------------------------------------------- */

TEST(what_cannot_be_is_refused_in_words)
{
    static const struct {
        struct route_match match;
        const char *words; /* some of them */
    } rows[] = {
        {{.path = "rooms"}, "must begin with a slash"},
        {{.prefix = "rooms"}, "must begin with a slash"},
        {{.path = ""}, "must begin with a slash"},
        {{.path = "/a", .prefix = "/b"}, "not both"},
        {{.path = "/{a"}, "around a whole segment"},
        {{.path = "/a}"}, "around a whole segment"},
        {{.path = "/a{b}"}, "around a whole segment"},
        {{.path = "/{a}b/c"}, "around a whole segment"},
        {{.path = "/{"}, "around a whole segment"},
        {{.path = "/{}"}, "a name in braces"},
        {{.path = "/{a b}"}, "a name in braces"},
        {{.path = "/{a}{b}"}, "a name in braces"},
        {{.path = "/{{a}}"}, "a name in braces"},
        {{.path = "/{a}/{b}/{a}"}, "names {a} twice"},
        {{.path = "/a?b=c"}, "has no query"},
        {{.prefix = "/a#b"}, "has no query"},
        {{.path = "/a/../b"}, "holds \"..\""},
        {{.path = "/%2e%2E"}, "holds \"..\""},
        {{.path = "/a%00"}, "an escape that is none"},
        {{.path = "/100%"}, "an escape that is none"},
        {{.path = "/%zz"}, "an escape that is none"},
        {{.path = "/a/./b"}, "holds \".\""},
        {{.path = "/a/%2e/b"}, "holds \".\""},
        {{.prefix = "/a/."}, "holds \".\""},
        {{.host = "chat.*.com"}, "only as the first label"},
        {{.host = "*chat.com"}, "only as the first label"},
        {{.host = "*.*.com"}, "only as the first label"},
        {{.host = "*"}, "only as the first label"},
        {{.host = "example.com:80"}, "leave the port out (write \"example.com\")"},
        {{.host = "example.com:"}, "leave the port out"},
        {{.host = "*.example.com:8080"}, "leave the port out (write \"*.example.com\")"},
        {{.host = "[::1]:80"}, "leave the port out (write \"[::1]\")"},
        {{.host = "::1"}, "is no host name"},
        {{.host = ""}, "is no host name"},
        {{.host = "*."}, "is no host name"},
        {{.host = ".example.com"}, "is no host name"},
        {{.host = "a..b"}, "is no host name"},
        {{.host = "http://example.com"}, "is no host name"},
        {{.host = "a b"}, "is no host name"},
        {{.host = "a/b"}, "is no host name"},
        {{.host = "*.[::1]"}, "is no host name"},
        {{.host = "chat.example.com", .path = "x"}, "must begin with a slash"},
    };

    for (size_t i = 0; i < LEN(rows); i++) {
        struct route_rule *rule = NULL;
        char words[256] = "";
        int error = route_rule_new(&rows[i].match, &rule, words);
        if (error != -EINVAL || rule || !strstr(words, rows[i].words))
            print_error("row %zu: %d, %s\n", i, error, words);
        EXPECT(error == -EINVAL && !rule && strstr(words, rows[i].words));
    }
}

/* Whatever is wrong in however long a text, its words say the end of their sentence too. */
static void expect_words(const struct route_match *match, const char *expected)
{
    struct route_rule *rule = NULL;
    char words[256];

    EXPECT(route_rule_new(match, &rule, words) == -EINVAL && !rule);
    EXPECT(strstr(words, expected));
}

static void expect_matches_itself(const char *path)
{
    struct route_rule *rule = rule_of(NULL, path, NULL);

    EXPECT(matches(rule, "h", path, NULL));
    route_rule_free(rule);
}

TEST(a_path_has_an_upper_bound)
{
    static char path[PATH_BYTES_MAX + 10];

    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    expect_words(&(struct route_match){.path = path}, "longer than 4096 bytes");
    path[PATH_BYTES_MAX] = '\0';
    expect_matches_itself(path);
    path[2000] = '{';
    expect_words(&(struct route_match){.prefix = path}, "%7B and %7D");
}

TEST(segments_have_an_upper_bound)
{
    enum { MOST = 2 * URL_SEGMENTS_MAX };
    char path[MOST + 3];

    for (unsigned i = 0; i < sizeof path - 1; i++)
        path[i] = i % 2 ? 'a' : '/';
    path[MOST + 2] = '\0';
    expect_words(&(struct route_match){.path = path}, "more than 128 segments");
    path[MOST] = '\0';
    expect_matches_itself(path);
}

TEST(a_host_has_an_upper_bound)
{
    char host[HOST_BYTES_MAX + 2];

    memset(host, 'a', sizeof host - 1);
    host[HOST_BYTES_MAX + 1] = '\0';
    expect_words(&(struct route_match){.host = host}, "(253 bytes)");
    host[HOST_BYTES_MAX] = '\0';
    route_rule_free(rule_of(host, NULL, NULL));
    host[HOST_BYTES_MAX - 1] = ':';
    expect_words(&(struct route_match){.host = host}, "whatever the port");
}

/* --- scheme, methods, fields
 * -------------------------------------------------------------------------------- */

static bool asks(const struct match_settings *more, const char *method, const char *fields,
                 bool is_https)
{
    const struct route_match match = {.prefix = "/", .more = more};
    struct route_rule *rule = NULL;
    static struct http1_head head;
    struct url_path path;
    uint8_t memory[8];
    char text[512], words[256];
    enum reason why;

    snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: h\r\n%s\r\n", method, fields);
    EXPECT(http1_request_parse(bytes_of(text), 50, &head, &why) > 0);
    EXPECT(url_path_normalise(bytes_of("/"), memory, &path));
    EXPECT(route_rule_new(&match, &rule, words) == 0);
    const struct route_asked asked = {
        .host = bytes_of("h"), .path = &path, .is_https = is_https, .head = &head};
    const struct route_asked blind = {.host = bytes_of("h"), .path = &path, .is_https = is_https};
    bool matches = route_rule_matches(rule, &asked, NULL);
    if (more->method_count || more->field_count)
        EXPECT(!route_rule_matches(rule, &blind, NULL));
    route_rule_free(rule);
    return matches;
}

TEST(methods_are_compared)
{
    const char *methods[] = {"GET", "PUT"};
    const struct match_settings more = {.methods = methods, .method_count = 2};
    const struct match_settings put = {.methods = methods + 1, .method_count = 1};

    EXPECT(asks(&more, "GET", "", false) && asks(&more, "PUT", "", false));
    EXPECT(asks(&more, "HEAD", "", false) && !asks(&put, "HEAD", "", false));
    EXPECT(!asks(&more, "POST", "", false) && !asks(&more, "get", "", false));
    EXPECT(!asks(&put, "GET", "", false));
}

TEST(fields_are_compared)
{
    struct field_match_settings fields[] = {{.name = "X-Beta", .value = "1"},
                                            {.name = "x-there", .kind = FIELD_PRESENT},
                                            {.name = "X-Not", .kind = FIELD_ABSENT}};
    const struct match_settings all = {.fields = fields, .field_count = 3};
    const struct match_settings beta = {.fields = fields, .field_count = 1};

    EXPECT(asks(&beta, "GET", "x-beta: 1\r\n", false));
    EXPECT(asks(&beta, "GET", "X-Beta: 2\r\nX-Beta:  1 \r\n", false));
    EXPECT(!asks(&beta, "GET", "X-Beta: 11\r\n", false) && !asks(&beta, "GET", "", false));
    EXPECT(asks(&all, "GET", "X-Beta: 1\r\nX-There:\r\n", false));
    EXPECT(!asks(&all, "GET", "X-Beta: 1\r\n", false));
    EXPECT(!asks(&all, "GET", "X-Beta: 1\r\nX-There: a\r\nX-Not: b\r\n", false));
}

TEST(schemes_are_compared)
{
    const struct match_settings http = {.scheme = SCHEME_HTTP}, https = {.scheme = SCHEME_HTTPS};

    EXPECT(asks(&http, "GET", "", false) && !asks(&http, "GET", "", true));
    EXPECT(asks(&https, "GET", "", true) && !asks(&https, "GET", "", false));
}

TEST(a_rule_describes_all_it_asks)
{
    const char *methods[] = {"GET", "PUT"};
    struct field_match_settings fields[] = {{.name = "A", .value = "1"},
                                            {.name = "B", .kind = FIELD_PRESENT},
                                            {.name = "C", .kind = FIELD_ABSENT},
                                            {.name = "D", .value = "hidden", .is_secret = true}};
    const struct match_settings more = {SCHEME_HTTPS, methods, 2, fields, 4};
    const struct route_match match = {.host = "h", .more = &more};
    struct route_rule *rule = NULL;
    char text[256], words[256];

    EXPECT(route_rule_new(&match, &rule, words) == 0);
    route_rule_describe(rule, text, sizeof text);
    EXPECT(strcmp(text, "host h, scheme https, GET or PUT, field A: 1, field B is there, "
                        "field C is not there, field D: ***") == 0);
    route_rule_free(rule);
}

/* --- describing
 * ------------------------------------------------------------------------------------- */

TEST(a_rule_describes_itself)
{
    static const struct {
        struct route_match match;
        const char *text;
    } rows[] = {
        {{0}, "everything"},
        {{.host = "Chat.example.com."}, "host chat.example.com"},
        {{.host = "*.Example.com"}, "host *.example.com"},
        {{.path = "/rooms/{room}"}, "path /rooms/{room}"},
        {{.prefix = "/"}, "prefix /"},
        {{.host = "a.b", .path = "/x/"}, "host a.b, path /x/"},
        {{.host = "a.b", .prefix = "/x"}, "host a.b, prefix /x"},
    };
    char text[64], small[8];

    for (size_t i = 0; i < LEN(rows); i++) {
        struct route_rule *rule =
            rule_of(rows[i].match.host, rows[i].match.path, rows[i].match.prefix);
        EXPECT(strcmp(route_rule_describe(rule, text, sizeof text), rows[i].text) == 0);
        route_rule_describe(rule, small, sizeof small);
        EXPECT(strlen(small) < sizeof small && strncmp(small, rows[i].text, strlen(small)) == 0);
        EXPECT(route_rule_free(rule) == NULL);
    }
    EXPECT(route_rule_free(NULL) == NULL);
}
