#include "admin/call.c"

#include "test.h"

static struct call *call_of(const char *target)
{
    struct call *call = call_new(bytes_of(target));

    EXPECT(call && query_parse(bytes_of(call->target), &call->query));
    return call;
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
        bool fits = call_matches(call, rows[i].pattern);
        const char *pool = fits ? call_text(call, "pool") : NULL,
                   *address = fits ? call_text(call, "address") : NULL;
        if (fits != rows[i].fits)
            print_error("%s %s\n", rows[i].pattern, rows[i].path);
        EXPECT(fits == rows[i].fits);
        EXPECT(!pool == !rows[i].pool && (!pool || strcmp(pool, rows[i].pool) == 0));
        EXPECT(!address == !rows[i].address || (address && strcmp(address, rows[i].address) == 0));
        call_free(call);
    }
}

TEST(a_name_that_is_too_long_does_not_fit)
{
    char path[CALL_PARAM_BYTES + 2] = "/";

    memset(path + 1, 'x', CALL_PARAM_BYTES - 1);
    struct call *call = call_of(path);
    EXPECT(call_matches(call, "/{pool}"));
    EXPECT(strlen(call_text(call, "pool")) == CALL_PARAM_BYTES - 1);
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
