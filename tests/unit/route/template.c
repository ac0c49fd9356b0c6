#include "route/template.c"

#include "test.h"

#define LEN(table) (sizeof(table) / sizeof((table)[0]))

static struct http1_head request_of(const char *text)
{
    struct http1_head head;
    enum reason why;

    EXPECT(http1_request_parse(bytes_of(text), 50, &head, &why) > 0);
    return head;
}

static struct bytes claim(const void *claims, struct bytes name)
{
    EXPECT(claims);
    if (bytes_equal(name, bytes_of("sub")))
        return bytes_of("anna");
    if (bytes_equal(name, bytes_of("evil")))
        return bytes_of("a\r\nX-Admin: 1");
    return (struct bytes){0};
}

static const char *const head_text = "GET /a%20b//c?q=1&r=%2F&s HTTP/1.1\r\nHost: h\r\n"
                                     "X-One: first\r\nX-One: second\r\nX-Slash: /\\ e?#%\r\n"
                                     "Cookie: a=1; token=abc\r\nCookie: later=2\r\n\r\n";

static void expect_written(const char *text, enum template_use use, const char *wanted)
{
    static struct http1_head head;
    static const struct route_params params = {
        .count = 2,
        .param = {{{(const uint8_t *)"room", 4}, {(const uint8_t *)"/evil\n", 6}},
                  {{(const uint8_t *)"id", 2}, {(const uint8_t *)"a b", 3}}}};
    struct template *template = NULL;
    struct buf to;
    char words[256] = "";

    head = request_of(head_text);
    const struct facts facts = {
        .method = bytes_of("GET"),
        .scheme = bytes_of("https"),
        .host = bytes_of("h.example"),
        .path = bytes_of("/a%20b//c"),
        .rest = bytes_of("/c"),
        .query = bytes_of("q=1&r=%2F&s"),
        .client = bytes_of("::1"),
        .server = bytes_of("127.0.0.1:9001"),
        .pool = bytes_of("web"),
        .route = bytes_of("main"),
        .request_id = bytes_of("7"),
        .request = &head,
        .params = &params,
        .claim = claim,
        .claims = "claims",
    };
    buf_init(&to, 4096);
    int error = template_new(text, use, &template, words);
    if (error)
        print_error("%s: %s\n", text, words);
    EXPECT(error == 0 && template_write(template, &facts, &to) == 0);
    if (!bytes_equal(buf_bytes(&to), bytes_of(wanted)))
        print_error("%s: %.*s\n", text, (int)buf_bytes(&to).len, (const char *)buf_bytes(&to).at);
    EXPECT(bytes_equal(buf_bytes(&to), bytes_of(wanted)));
    buf_done(&to);
    template_free(template);
}

TEST(every_name_has_its_value)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"{method} {scheme} {host} {path} {rest} {query}",
         "GET https h.example /a%20b//c /c ?q=1&r=%2F&s"},
        {"{client}|{server}|{pool}|{route}|{request_id}", "::1|127.0.0.1:9001|web|main|7"},
        {"{header.x-one}", "first"},
        {"{header.X-None}", ""},
        {"<{cookie.token}{cookie.a}{cookie.later}{cookie.oken}>", "<abc12>"},
        {"{query.q}{query.r}{query.s}{query.t}", "1%2F"},
        {"{path.id}", "a b"},
        {"{path.none}", ""},
        {"{jwt.sub}", "anna"},
        {"{jwt.none}", ""},
        {"{{{jwt.sub}}}", "{anna}"},
        {"a}}b{{c", "a}b{c"},
    };

    for (size_t i = 0; i < LEN(rows); i++)
        expect_written(rows[i].text, TEMPLATE_RESPONSE, rows[i].wanted);
}

TEST(no_value_begins_a_line_of_its_own)
{
    expect_written("a{jwt.evil}b", TEMPLATE_RESPONSE, "ab");
    expect_written("a{path.room}b", TEMPLATE_REQUEST, "ab");
    expect_written("/{path.room}", TEMPLATE_URL, "/%2Fevil%0A");
    expect_written("/{jwt.evil}", TEMPLATE_URL, "/a%0D%0AX-Admin%3A%201");
}

TEST(in_urls_values_are_encoded_as_far_as_they_must_be)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"{scheme}://{host}{path}{query}", "https://h.example/a%20b//c?q=1&r=%2F&s"},
        {"/x{rest}", "/x/c"},
        {"/{header.X-Slash}", "/%2F%5C%20e%3F%23%25"},
        {"/?n={path.id}&q={query.q}", "/?n=a%20b&q=1"},
    };

    for (size_t i = 0; i < LEN(rows); i++)
        expect_written(rows[i].text, TEMPLATE_URL, rows[i].wanted);
}

TEST(what_a_url_s_own_part_holds_wrongly_is_encoded_too)
{
    const struct facts facts = {.path = bytes_of("/a\\b<%zz%4"), .query = bytes_of("%q=\"#")};
    struct template *template = NULL;
    struct buf to;
    char words[256];

    buf_init(&to, 4096);
    EXPECT(template_new("{path}{query}", TEMPLATE_URL, &template, words) == 0);
    EXPECT(template_write(template, &facts, &to) == 0);
    EXPECT(bytes_equal(buf_bytes(&to), bytes_of("/a%5Cb%3C%25zz%254?%25q=%22%23")));
    buf_done(&to);
    template_free(template);
}

TEST(a_path_that_is_none_is_the_root)
{
    const struct facts facts = {.path = bytes_of("*")};
    struct template *template = NULL;
    struct buf to;
    char words[256];

    buf_init(&to, 4096);
    EXPECT(template_new("{path}{query}{rest}", TEMPLATE_URL, &template, words) == 0);
    EXPECT(template_write(template, &facts, &to) == 0);
    EXPECT(bytes_equal(buf_bytes(&to), bytes_of("//")));
    buf_done(&to);
    template_free(template);
}

TEST(what_is_wrong_is_said)
{
    static const struct {
        const char *text;
        enum template_use use;
        const char *words;
    } rows[] = {
        {"{", TEMPLATE_REQUEST, "a \"{\" without \"}\""},
        {"a}", TEMPLATE_REQUEST, "a \"}\" without \"{\""},
        {"{}", TEMPLATE_REQUEST, "there is no {}"},
        {"{sub}", TEMPLATE_REQUEST, "there is no {sub}; known are method"},
        {"{header}", TEMPLATE_REQUEST, "there is no {header}"},
        {"{header.}", TEMPLATE_REQUEST, "a name is wanted behind the dot"},
        {"{header.a b}", TEMPLATE_REQUEST, "a name is wanted"},
        {"{jwt.}", TEMPLATE_REQUEST, "a claim's name"},
        {"{host.x}", TEMPLATE_REQUEST, "there is no {host.x}"},
        {"{\"json\": 1}", TEMPLATE_RESPONSE, "write {{ for a brace that is meant"},
        {"a\nb", TEMPLATE_REQUEST, "a control character"},
        {"{server}", TEMPLATE_REQUEST, "{server} is not known here: no server has been chosen"},
        {"{server}", TEMPLATE_OWN, "no server has been chosen"},
        {"{pool}", TEMPLATE_URL, "no pool is asked"},
        {"/a b", TEMPLATE_URL, "may not stand in a URL: write it as %20"},
        {"/\\", TEMPLATE_URL, "%5C"},
    };

    for (size_t i = 0; i < LEN(rows); i++) {
        struct template *template = NULL;
        char words[256] = "";
        EXPECT(template_new(rows[i].text, rows[i].use, &template, words) == -EINVAL && !template);
        if (!strstr(words, rows[i].words))
            print_error("%s: %s\n", rows[i].text, words);
        EXPECT(strstr(words, rows[i].words));
    }
}

TEST(texts_are_bounded)
{
    static char text[TEXT_BYTES_MAX + 2];
    struct template *template = NULL;
    char words[256];

    memset(text, 'a', sizeof text - 1);
    EXPECT(template_new(text, TEMPLATE_REQUEST, &template, words) == -EINVAL);
    text[TEXT_BYTES_MAX] = '\0';
    EXPECT(template_new(text, TEMPLATE_REQUEST, &template, words) == 0);
    template = template_free(template);
    text[0] = '\0';
    for (int i = 0; i <= PIECES_MAX; i++)
        strcat(text, "{host}");
    EXPECT(template_new(text, TEMPLATE_REQUEST, &template, words) == -EINVAL);
    text[PIECES_MAX * 6] = '\0';
    EXPECT(template_new(text, TEMPLATE_REQUEST, &template, words) == 0);
    EXPECT(template_names(template, "host") && !template_names(template, "path"));
    EXPECT(template_free(template) == NULL);
}

TEST(a_literal_is_taken_as_it_is)
{
    struct template *template = NULL;
    char words[256];
    struct buf to;

    buf_init(&to, 100);
    EXPECT(template_new_literal("{jwt.sub", &template, words) == 0);
    EXPECT(template_write(template, &(struct facts){0}, &to) == 0);
    EXPECT(bytes_equal(buf_bytes(&to), bytes_of("{jwt.sub")));
    buf_done(&to);
    template = template_free(template);
    EXPECT(template_new_literal("a\nb", &template, words) == -EINVAL && !strstr(words, "a\nb"));
}
