#include "admin/call.c"

#include "test.h"

static struct call *call_of(const char *target)
{
    struct call *call = call_new(bytes_of(target));

    EXPECT(call && query_parse(bytes_of(call->target), &call->query));
    return call;
}

static void expect_text(const struct call *call, const char *name, const char *wanted)
{
    const char *text = call_text(call, name);

    EXPECT(!text == !wanted);
    if (text && wanted)
        EXPECT(strcmp(text, wanted) == 0);
}

TEST(a_path_is_what_its_pattern_says)
{
    static const struct {
        const char *pattern, *path;
        bool fits;
        const char *pool, *address; /* NULL: not given */
    } rows[] = {
        {"/api/pools", "/api/pools", true, NULL, NULL},
        {"/api/pools", "/api/pool", false, NULL, NULL},
        {"/api/pools", "/api/pools/", false, NULL, NULL},
        {"/api/pools", "/api", false, NULL, NULL},
        {"/api/pools", "", false, NULL, NULL},
        {"/api/{pool}", "/api/chat", true, "chat", NULL},
        {"/api/{pool}", "/api/", false, NULL, NULL},
        {"/api/{pool}", "/api/a/b", false, NULL, NULL},
        {"/api/{pool}", "/api/a%2Fb+c%20d", true, "a/b+c d", NULL},
        {"/api/{pool}", "/api/%", false, NULL, NULL},
        {"/api/{pool}", "/api/%00", false, NULL, NULL},
        {"/api/{pool}", "/api/%ff", false, NULL, NULL},
        {"/api/{pool}", "/api/caf%C3%A9", true, "caf\xc3\xa9", NULL},
        {"/p/{pool}/s/{address}", "/p/chat/s/[::1]:9001", true, "chat", "[::1]:9001"},
        {"/p/{pool}/s/{address}", "/p/chat/s/%5B%3A%3A1%5D%3A9001", true, "chat", "[::1]:9001"},
        {"/p/{pool}/s/{address}", "/p/chat/t/1", false, NULL, NULL},
        {"/p/{pool}/s", "/p/chat/s?address=1.2.3.4%3A5&pool=other", true, "chat", "1.2.3.4:5"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call *call = call_of(rows[i].path);
        if (call_matches(call, rows[i].pattern) != rows[i].fits)
            print_error("%s %s\n", rows[i].pattern, rows[i].path);
        EXPECT(call_matches(call, rows[i].pattern) == rows[i].fits);
        if (rows[i].fits) {
            expect_text(call, "pool", rows[i].pool);
            expect_text(call, "address", rows[i].address);
        }
        call_free(call);
    }
}

TEST(a_name_that_is_too_long_does_not_fit)
{
    char path[CALL_PARAM_BYTES + 2] = "/";

    memset(path + 1, 'x', CALL_PARAM_BYTES - 1);
    struct call *call = call_of(path);
    EXPECT(call_matches(call, "/{pool}"));
    expect_text(call, "pool", path + 1);
    call_free(call);
    path[CALL_PARAM_BYTES] = 'x';
    call = call_of(path);
    EXPECT(!call_matches(call, "/{pool}"));
    call_free(call);
}

TEST(a_body_is_one_json_object)
{
    static const struct {
        const char *text, *error; /* NULL: it will do */
    } rows[] = {
        {"{}", NULL},
        {" {\"a\": [1, {\"b\": null}]} ", NULL},
        {"", "a body is missing"},
        {"[]", "the body is no JSON object"},
        {"{", "the body cannot be read as JSON: line 1"},
        {"{\"a\":1,}", "line 1"},
        {"{\n\"a\":1,\"a\":2}", "line 2"},
        {"{} {}", "line 1"},
        {"a=b", "line 1"},
        {"{\"a\":\"\xff\"}", "line 1"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call *call = call_of("/");
        char error[256] = "";
        bool is_good = call_take_body(call, bytes_of(rows[i].text), error);
        if (is_good != !rows[i].error || (!is_good && !strstr(error, rows[i].error)))
            print_error("%s: %s\n", rows[i].text, error);
        EXPECT(is_good == !rows[i].error);
        EXPECT(is_good || strstr(error, rows[i].error));
        call_free(call);
    }
}

TEST(a_body_nested_without_end_is_refused)
{
    char deep[20000], error[256];

    memset(deep, '[', sizeof deep);
    struct call *call = call_of("/");
    EXPECT(!call_take_body(call, (struct bytes){(const uint8_t *)deep, sizeof deep}, error));
    call_free(call);
}

TEST(what_was_cut_in_a_character_is_still_an_answer)
{
    static const char *const rows[][2] = {
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"caf\xc3", "caf?"},
        {"\xff\xfe", "??"},
        {"\xe2\x82x", "??x"},
        {"", ""},
    };
    struct call *call = call_of("/");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[16];
        snprintf(text, sizeof text, "%s", rows[i][0]);
        call_make_utf8(text);
        EXPECT(strcmp(text, rows[i][1]) == 0);
    }
    json_t *answer = call_refuse(call, 404, "\xc3", "no \"%.4s\"", "caf\xc3\xa9");
    EXPECT(answer && call->status == 404);
    json_decref(answer);
    call_free(call);
}
