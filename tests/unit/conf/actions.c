#include "conf/actions.c"

#include "source.h"

#define POOLS                                                                                      \
    "pools: { web: { servers: [ a:1 ] }, canary: { servers: [ a:2 ], on_removed: close } }\n"
#define ROUTES LISTEN POOLS "routes:\n" /* a route begins in line 4 */

/* Of issue 4, word for word: these names are a contract. */
static const char contract[] = ROUTES
    "  - match: { host: api.example.com, prefix: /v1, methods: [GET, POST], headers: { X-Beta: "
    "\"1\" } }\n"
    "    pools: [ { pool: web, weight: 95 }, { pool: canary, weight: 5 } ]\n"
    "    strip_prefix: /v1\n"
    "    headers: { request: { set: { X-User: \"{jwt.sub}\" }, remove: [ X-Debug ] }, response: { "
    "add: { X-Served-By: \"{server}\" } } }\n"
    "  - match: { path: /ping }\n"
    "    respond: { status: 200, headers: { Content-Type: text/plain }, body: pong }\n"
    "  - match: { host: old.example.com }\n"
    "    redirect: { to: \"https://api.example.com{path}\", status: 308 }\n"
    "error_pages: { 503: busy.html }\n";

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

TEST(the_contract_s_actions_are_read)
{
    struct settings *settings = settings_of(contract);
    const struct route_settings *route = settings->routes;

    EXPECT(settings->route_count == 3 && route->kind == ROUTE_POOLS && !route->pool);
    EXPECT(route->share_count == 2 && is(route->shares[1].pool, "canary"));
    EXPECT(route->shares[0].weight == 95 && route->shares[1].weight == 5);
    EXPECT(route->shares[1].pool_index == 1 && route->pool_index == 0);
    EXPECT(route->more.method_count == 2 && is(route->more.methods[1], "POST"));
    EXPECT(route->more.field_count == 1 && is(route->more.fields[0].name, "X-Beta") &&
           route->more.fields[0].kind == FIELD_IS && is(route->more.fields[0].value, "1"));
    EXPECT(is(route->strip_prefix, "/v1") && route->on_removed == ON_REMOVED_KEEP);
    EXPECT(route->request_edits.count == 2 && route->request_edits.at[0].op == EDIT_SET &&
           is(route->request_edits.at[0].value, "{jwt.sub}"));
    EXPECT(route->request_edits.at[1].op == EDIT_REMOVE &&
           is(route->request_edits.at[1].name, "X-Debug"));
    EXPECT(route->response_edits.count == 1 && route->response_edits.at[0].op == EDIT_ADD);

    EXPECT(route[1].kind == ROUTE_RESPOND && route[1].respond_status == 200 &&
           is(route[1].respond_body, "pong") && route[1].respond_fields.count == 1);
    EXPECT(route[2].kind == ROUTE_REDIRECT && route[2].redirect_status == 308 &&
           is(route[2].redirect_to, "https://api.example.com{path}"));
    EXPECT(settings->error_page_count == 1 && settings->error_pages[0].status == 503 &&
           is(settings->error_pages[0].path, "busy.html"));
    settings_free(settings);
}

TEST(what_is_left_out_has_defaults)
{
    struct settings *settings =
        settings_of(ROUTES "- { match: { path: /a }, respond: {} }\n"
                           "- { match: { path: /b, scheme: http }, redirect: { to: /c } }\n"
                           "- { match: { headers: { A: true, B: false, C: \"true\" } }, pools: [ "
                           "canary, { pool: web } ] }\n");
    const struct route_settings *route = settings->routes;

    EXPECT(route[0].respond_status == 200 && !route[0].respond_body);
    EXPECT(route[1].redirect_status == 307 && route[1].more.scheme == SCHEME_HTTP);
    EXPECT(route[2].shares[0].weight == 1 && route[2].shares[1].weight == 1);
    EXPECT(route[2].on_removed == ON_REMOVED_CLOSE && route[2].pool_index == 1);
    EXPECT(route[2].more.fields[0].kind == FIELD_PRESENT &&
           route[2].more.fields[1].kind == FIELD_ABSENT &&
           route[2].more.fields[2].kind == FIELD_IS);
    settings_free(settings);
}

TEST(a_route_does_one_thing)
{
    expect_errors(ROUTES "- { pool: web, match: { path: /a }, respond: {} }\n"
                         "- { redirect: { to: / }, pools: [ web ], match: { path: /b } }\n"
                         "- { match: { path: /c } }\n",
                  "f:4:37 a route does one thing, and this one has `pool` already | leave one of "
                  "the two out\n"
                  "f:5:5 a route does one thing, and this one has `pools` already | leave one of "
                  "the two out\n"
                  "f:6:3 \"pool\" is missing | add pool: NAME (or pools, respond, redirect)\n");
}

TEST(matches_are_checked)
{
    expect_errors(
        ROUTES "- { pool: web, match: { methods: [ get, CONNECT, \"a b\" ], path: /a } }\n"
               "- { pool: web, match: { methods: [], path: /b } }\n"
               "- { pool: web, match: { methods: GET, path: /c } }\n"
               "- { pool: web, match: { headers: { Host: a, \"b c\": d, E: [] } } }\n"
               "- { pool: web, match: { headers: [], path: /d } }\n"
               "- { pool: web, match: { scheme: ftp, path: /e } }\n",
        "f:4:36 methods: \"get\" is no method: they are written in capitals | write GET, POST, "
        "PUT, "
        "...\n"
        "f:4:41 methods: CONNECT is not served | leave it out\n"
        "f:4:50 methods: this is no method | write methods: [ GET, POST ]\n"
        "f:5:34 methods: there is none | add one, or leave \"methods\" out\n"
        "f:6:34 methods: a list (lines with \"- \", or [ a, b ]) is wanted here, not a single "
        "value\n"
        "f:7:36 a host is matched by `host`, which knows ports and capitals | write match: { host: "
        "NAME }\n"
        "f:7:45 \"b c\" is no name of a field\n"
        "f:7:58 E: a single value is wanted here, not a list\n"
        "f:8:34 match.headers: a map (key: value) is wanted here, not a list\n"
        "f:9:33 match.scheme: \"ftp\" will not do | write one of: any, http, https\n");
}

TEST(shares_are_checked)
{
    expect_errors(
        ROUTES
        "- { match: { path: /a }, pools: [ { pool: web, weight: 1001 }, { weight: 2 }, wep ] }\n"
        "- { match: { path: /b }, pools: [ web, canary, web ] }\n"
        "- { match: { path: /c }, pools: [ { pool: web, weight: 0 } ] }\n"
        "- { match: { path: /d }, pools: [] }\n"
        "- { match: { path: /e }, pools: web }\n",
        "f:4:56 pools.weight: \"1001\" is too large | write a value from 0 to 1000\n"
        "f:4:64 \"pool\" is missing | write { pool: NAME, weight: 5 }\n"
        "f:4:79 there is no pool \"wep\" | did you mean \"web\"?\n"
        "f:5:48 pools: \"web\" is named twice | add up their weights\n"
        "f:6:33 pools: all weights are 0 | add { pool: NAME, weight: 1 }\n"
        "f:7:33 pools: there is none | add { pool: NAME, weight: 1 }\n"
        "f:8:33 pools: a list (lines with \"- \", or [ a, b ]) is wanted here, not a single "
        "value\n");
}

TEST(answers_and_redirects_are_checked)
{
    expect_errors(
        ROUTES "- { match: { path: /a }, respond: { status: 101, boddy: x } }\n"
               "- { match: { path: /b }, redirect: {} }\n"
               "- { match: { path: /c }, redirect: { to: /, status: 304 } }\n"
               "- { match: { path: /d }, redirect: /x }\n"
               "- { match: { path: /e }, respond: {}, headers: { request: { set: { A: b } } } }\n",
        "f:4:45 respond.status: \"101\" is too small | write a value from 200 to 599\n"
        "f:4:50 unknown key \"boddy\" in respond | did you mean \"body\"?\n"
        "f:5:36 \"to\" is missing | write redirect: { to: \"https://{host}{path}{query}\" }\n"
        "f:6:53 redirect.status: 304 leads nowhere | write 301, 302, 303, 307 or 308\n"
        "f:7:36 redirect: a map (key: value) is wanted here, not a single value\n"
        "f:8:59 headers.request changes what a server is asked, and this route asks none | leave "
        "it out\n");
}

TEST(headers_are_checked)
{
    expect_errors(
        ROUTES
        "- { match: { path: /a }, pool: web, headers: { requst: {}, request: { put: {}, set: [], "
        "remove: { a: b }, add: { A: \"\", B: [] } } } }\n"
        "- { match: { path: /b }, pool: web, headers: [] }\n",
        "f:4:48 unknown key \"requst\" in headers | did you mean \"request\"?\n"
        "f:4:71 unknown key \"put\" in headers.request | did you mean \"set\"?\n"
        "f:4:85 set: a map (key: value) is wanted here, not a list\n"
        "f:4:97 remove: a list (lines with \"- \", or [ a, b ]) is wanted here, not a map\n"
        "f:4:117 A is empty | write something, or remove: [ NAME ]\n"
        "f:4:124 B: a single value is wanted here, not a list\n"
        "f:5:46 headers: a map (key: value) is wanted here, not a list\n");
}

TEST(error_pages_are_checked)
{
    expect_errors(
        LISTEN POOL "error_pages: { 503: a.html, 200: b.html, 418: c.html, x: d.html }\n",
        "f:3:29 error_pages: \"200\" is no status that turnout itself answers with | write "
        "a status such as 404, 502, 503 or 504\n"
        "f:3:42 error_pages: \"418\" is no status that turnout itself answers with | write "
        "a status such as 404, 502, 503 or 504\n"
        "f:3:55 error_pages: \"x\" is no status that turnout itself answers with | write a "
        "status such as 404, 502, 503 or 504\n");
    expect_errors(LISTEN POOL "error_pages: [ a.html ]\n",
                  "f:3:14 error_pages: a map (key: value) is wanted here, not a list\n");
}

TEST(lists_of_a_route_are_bounded)
{
    char text[4096] = ROUTES "- { pools: [ web";

    for (int i = 0; i < ENTRIES_MAX; i++)
        strcat(text, ", web");
    strcat(text, " ] }\n");
    expect_errors(text, "f:4:12 pools: 65 are too many | 64 is the most\n");
}

static void judge(const struct route_settings *route,
                  void (*say)(void *to, struct mark mark, const char *words), void *to)
{
    say(to, route->strip_mark, route->strip_prefix ? route->strip_prefix : "nothing");
}

TEST(floors_above_judge_and_nothing_from_elsewhere_is_said)
{
    struct fake_source fake = fake_source_of(NULL);
    struct report *report = report_new();
    struct told told = {0};
    const char *text =
        ROUTES "- { match: { path: /a }, pool: web, strip_prefix: /b }\n"
               "- { match: { path: /c }, pool: web, strip_prefix: { env: SECRET } }\n"
               "- { match: { path: /d }, pool: wen, strip_prefix: /e }\n";

    fake.source.judge = judge;
    EXPECT(!settings_parse(&fake.source, "f", bytes_of(text), report));
    report_each(report, tell, &told);
    expect_text(told.text, "f:4:51 /b\nf:5:51 a value from elsewhere will not do\n"
                           "f:6:32 there is no pool \"wen\" | did you mean \"web\"?\n");
    report_free(report);
}

TEST(values_from_elsewhere_are_literal_and_masked)
{
    struct settings *settings = settings_of(
        ROUTES "- { pool: web, match: { headers: { X-Key: { env: SECRET } } },\n"
               "    headers: { request: { set: { A: { env: SECRET }, B: plain } } } }\n");
    char *text = settings_text(settings);

    EXPECT(settings->routes[0].request_edits.at[0].is_literal &&
           !settings->routes[0].request_edits.at[1].is_literal);
    EXPECT(settings->routes[0].more.fields[0].is_secret);
    EXPECT(!strstr(text, "hunter2") && strstr(text, "\"A\": \"***\"") && strstr(text, "plain"));
    EXPECT(strstr(text, "\"X-Key\": \"***\""));
    free(text);
    settings_free(settings);
}
