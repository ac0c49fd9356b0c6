#include "route/action.c"

#include "test.h"

#define LEN(table) (sizeof(table) / sizeof((table)[0]))

static char told[2048];

static void hear(void *to, struct mark mark, const char *words)
{
    (void)to;
    (void)mark;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", words);
}

static struct route_action *action_of(const struct route_settings *settings)
{
    struct route_action *action = NULL;

    told[0] = '\0';
    int error = route_action_new(settings, hear, NULL, &action);
    if (error)
        print_error("%s", told);
    EXPECT(error == 0 && action);
    return action;
}

static const char *wrong(const struct route_settings *settings)
{
    struct route_action *action = NULL;

    told[0] = '\0';
    EXPECT(route_action_new(settings, hear, NULL, &action) == -EINVAL && !action);
    return told;
}

static void expect_location(const char *to, const struct facts *facts, const char *wanted)
{
    const struct route_settings settings = {
        .kind = ROUTE_REDIRECT, .redirect_to = to, .redirect_status = 308};
    struct route_action *action = action_of(&settings);
    struct buf text;

    buf_init(&text, 1000);
    EXPECT(route_action_locate(action, facts, &text) == 0);
    if (!bytes_equal(buf_bytes(&text), bytes_of(wanted)))
        print_error("%s: %.*s\n", to, (int)buf_bytes(&text).len, (const char *)buf_bytes(&text).at);
    EXPECT(bytes_equal(buf_bytes(&text), bytes_of(wanted)));
    buf_done(&text);
    route_action_free(action);
}

TEST(redirects_lead_where_they_should)
{
    const struct facts facts = {.scheme = bytes_of("http"),
                                .host = bytes_of("h.example"),
                                .path = bytes_of("/a/b"),
                                .rest = bytes_of("/b"),
                                .query = bytes_of("q=1")};
    const struct facts bare = {.path = bytes_of("*"), .host = bytes_of("h")};

    expect_location("https://api.example.com{path}", &facts, "https://api.example.com/a/b");
    expect_location("https://{host}{path}{query}", &facts, "https://h.example/a/b?q=1");
    expect_location("https://www.{host}:8443/new{rest}", &facts,
                    "https://www.h.example:8443/new/b");
    expect_location("{scheme}://x{query}", &facts, "http://x?q=1");
    expect_location("wss://x", &facts, "wss://x");
    expect_location("/here#{query.q}", &facts, "/here#1");
    expect_location("{rest}", &facts, "/b");
    expect_location("https://{host}{path}{query}", &bare, "https://h/");
}

TEST(a_redirect_is_never_open)
{
    const struct facts evil = {.host = bytes_of("h"),
                               .path = bytes_of("//evil.com/x"),
                               .rest = bytes_of("/\\evil.com"),
                               .query = bytes_of("u=evil.com")};

    expect_location("{path}", &evil, "/evil.com/x");
    expect_location("{rest}", &evil, "/%5Cevil.com");
    expect_location("/{query.none}{path}", &evil, "/evil.com/x");
    expect_location("/{query.none}/{query.u}", &evil, "/evil.com");
    expect_location("https://h{path}", &evil, "https://h//evil.com/x");
}

TEST(redirects_that_are_refused)
{
    static const struct {
        const char *to, *words;
    } rows[] = {
        {"example.com", "must begin with https://HOST"},
        {"//example.com", "must begin with"},
        {"javascript:alert(1)", "must begin with"},
        {"{header.To}", "must begin with"},
        {"{host}/x", "must begin with"},
        {"https://", "the host is missing"},
        {"https:///x", "the host is missing"},
        {"https://{header.To}/", "only {host} may stand in the host"},
        {"https://api.example.com{header.To}", "only {host} may stand in the host"},
        {"https://{path.tenant}.example.com/", "only {host}"},
        {"https://a{query}.example.com/", "only {host}"},
        {"https://user@example.com/", "\"@\" may not stand in a host"},
        {"https://a\\b/", "may not stand in a host"},
        {"https://{{/", "only {host}"},
        {"https://h/a b", "%20"},
        {"https://h/{path", "a \"{\" without \"}\""},
        {"https://h/{server}", "{server} is not known here"},
    };

    for (size_t i = 0; i < LEN(rows); i++) {
        const struct route_settings settings = {
            .kind = ROUTE_REDIRECT, .redirect_to = rows[i].to, .redirect_status = 308};
        const char *words = wrong(&settings);
        if (!strstr(words, rows[i].words))
            print_error("%s: %s", rows[i].to, words);
        EXPECT(strstr(words, rows[i].words));
    }
}

TEST(a_host_that_the_request_lacks_is_told)
{
    const struct route_settings settings = {
        .kind = ROUTE_REDIRECT, .redirect_to = "https://{host}{path}", .redirect_status = 301};
    struct route_action *action = action_of(&settings);
    struct buf lines;

    buf_init(&lines, 1000);
    EXPECT(route_action_answer(action, &(struct facts){.path = bytes_of("//evil")}, &lines) ==
           -EDESTADDRREQ);
    buf_done(&lines);
    route_action_free(action);
}

static void expect_answer(const struct route_settings *settings, const char *wanted)
{
    const struct facts facts = {.host = bytes_of("h"), .path = bytes_of("/a")};
    struct route_action *action = action_of(settings);
    struct buf lines;

    buf_init(&lines, 1000);
    EXPECT(route_action_answer(action, &facts, &lines) == 0);
    if (!bytes_equal(buf_bytes(&lines), bytes_of(wanted)))
        print_error("%.*s\n", (int)buf_bytes(&lines).len, (const char *)buf_bytes(&lines).at);
    EXPECT(bytes_equal(buf_bytes(&lines), bytes_of(wanted)));
    buf_done(&lines);
    route_action_free(action);
}

TEST(answers_have_their_lines)
{
    struct edit_settings type[] = {{.op = EDIT_SET, .name = "content-type", .value = "text/html"}};
    struct edit_settings more[] = {{.op = EDIT_ADD, .name = "X-Host", .value = "{host}"},
                                   {.op = EDIT_REMOVE, .name = "Content-Type"}};
    struct route_settings settings = {
        .kind = ROUTE_RESPOND, .respond_status = 200, .respond_body = "pong {host}"};

    expect_answer(&settings, "Content-Type: text/plain; charset=utf-8\r\n");
    settings.respond_fields = (struct edits_settings){type, 1};
    expect_answer(&settings, "content-type: text/html\r\n");
    settings.response_edits = (struct edits_settings){more, 2};
    expect_answer(&settings, "X-Host: h\r\n");
    settings.respond_body = NULL;
    settings.respond_status = 204;
    expect_answer(&settings, "X-Host: h\r\n");

    settings = (struct route_settings){
        .kind = ROUTE_REDIRECT, .redirect_to = "https://x{path}", .redirect_status = 307};
    expect_answer(&settings, "Location: https://x/a\r\n");
}

TEST(what_an_action_cannot_be)
{
    struct edit_settings server[] = {{.op = EDIT_ADD, .name = "A", .value = "{server}"}};
    struct route_settings settings = {
        .kind = ROUTE_RESPOND, .respond_status = 204, .respond_body = "x"};

    EXPECT(strstr(wrong(&settings), "204 has no body"));
    settings = (struct route_settings){.strip_prefix = "v1"};
    EXPECT(strstr(wrong(&settings), "strip_prefix: \"v1\" must begin with a slash"));
    settings = (struct route_settings){.response_edits = {server, 1}};
    route_action_free(action_of(&settings));
    settings.kind = ROUTE_RESPOND;
    settings.respond_status = 200;
    EXPECT(strstr(wrong(&settings), "{server} is not known here"));
    EXPECT(route_action_free(NULL) == NULL);
}

TEST(claims_want_a_token)
{
    struct edit_settings claim[] = {{.op = EDIT_REMOVE, .name = "A"},
                                    {.op = EDIT_ADD, .name = "B", .value = "{jwt.sub}"}};
    struct route_settings settings = {.request_edits = {claim, 2}};

    EXPECT(strstr(wrong(&settings), "B: {jwt.N} is a claim of a token"));
    settings.access.has_jwt = true;
    route_action_free(action_of(&settings));
    settings = (struct route_settings){.response_edits = {claim, 2}};
    EXPECT(strstr(wrong(&settings), "B: {jwt.N}"));
    settings = (struct route_settings){
        .kind = ROUTE_RESPOND, .respond_status = 200, .respond_fields = {claim + 1, 1}};
    EXPECT(strstr(wrong(&settings), "B: {jwt.N}"));
    settings = (struct route_settings){
        .kind = ROUTE_REDIRECT, .redirect_to = "/{jwt.sub}", .redirect_status = 307};
    EXPECT(strstr(wrong(&settings), "to: {jwt.N}"));
}
