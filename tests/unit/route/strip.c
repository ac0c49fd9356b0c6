#include "route/strip.c"

#include "test.h"

#define LEN(table) (sizeof(table) / sizeof((table)[0]))

TEST(paths_lose_their_first_segments)
{
    static const struct {
        const char *prefix, *path, *wanted; /* NULL: it does not begin so */
    } rows[] = {
        {"/v1", "/v1/x", "/x"},
        {"/v1", "/v1/x/y/", "/x/y/"},
        {"/v1", "/v1", "/"},
        {"/v1", "/v1/", "/"},
        {"/v1/", "/v1/x", "/x"},
        {"/v1", "/v12", NULL},
        {"/v1", "/x/v1", NULL},
        {"/v1", "/", NULL},
        {"/v1", "*", NULL},
        {"/v1", "/%761/x", "/x"},
        {"/v1", "/v1/a%2Fb", "/a%2Fb"},
        {"/v1", "/v1%2Fb", NULL},
        {"/v1", "/./v1/x", "/x"},
        {"/v1", "/a/../v1/x", "/x"},
        {"/v1", "/a/%2e%2E/v1/x", "/x"},
        {"/v1", "/v1/x/../y", "/y"},
        {"/v1", "/v1/..", NULL},
        {"/v1", "/v1/../x", NULL},
        {"/v1", "/v1/x/..", "/"},
        {"/v1", "/v1/x/.", "/x/"},
        {"/v1", "/v1//x", "/x"},
        {"/v1", "/v1///evil.com/x", "/evil.com/x"},
        {"/v1", "/v1//", "/"},
        {"/v1", "/v1/x//y", "/x//y"},
        {"/v1", "/v1/...", "/..."},
        {"/a/b", "/a/b/c", "/c"},
        {"/a/{x}", "/a/any%20one/c", "/c"},
        {"/a/{x}", "/a/", NULL},
        {"/", "/x", "/x"},
        {"/", "//x", "/x"},
    };
    static uint8_t memory[256];

    for (size_t i = 0; i < LEN(rows); i++) {
        const struct route_match match = {.prefix = rows[i].prefix};
        struct route_rule *rule = NULL;
        struct url_path normal;
        struct buf to;
        char words[256];
        int error = -1;
        buf_init(&to, 1000);
        EXPECT(route_rule_new(&match, &rule, words) == 0);
        EXPECT(url_path_normalise(bytes_of(rows[i].path), memory, &normal));
        bool is_done = strip_write(rule, bytes_of(rows[i].path), &normal, &to, &error);
        struct bytes got = buf_bytes(&to);
        if (is_done != !!rows[i].wanted || (is_done && !bytes_equal(got, bytes_of(rows[i].wanted))))
            print_error("%s off %s: %d %.*s\n", rows[i].prefix, rows[i].path, is_done, (int)got.len,
                        (const char *)got.at);
        EXPECT(is_done == !!rows[i].wanted && error == 0);
        EXPECT(is_done ? bytes_equal(got, bytes_of(rows[i].wanted)) : got.len == 0);
        buf_done(&to);
        route_rule_free(rule);
    }
}

TEST(what_does_not_fit_is_an_error)
{
    const struct route_match match = {.prefix = "/v1"};
    struct route_rule *rule = NULL;
    struct url_path normal;
    uint8_t memory[64];
    struct buf to;
    char words[256];
    int error = 0;

    buf_init(&to, 4);
    EXPECT(route_rule_new(&match, &rule, words) == 0);
    EXPECT(url_path_normalise(bytes_of("/v1/longer"), memory, &normal));
    EXPECT(!strip_write(rule, bytes_of("/v1/longer"), &normal, &to, &error) && error == -EMSGSIZE);
    buf_done(&to);
    route_rule_free(rule);
}
