#include "route/key.c"

#include "test.h"

#include <stdio.h>

#define LEN(table) (sizeof(table) / sizeof((table)[0]))

/* --- what can be named
 * ---------------------------------------------------------------------------------------- */

TEST(keys_are_read)
{
    static const struct {
        const char *text, *name;
        enum key_kind kind;
    } good[] = {
        {"client", "", KEY_CLIENT},
        {"subprotocol", "", KEY_SUBPROTOCOL},
        {"header.X-User", "X-User", KEY_HEADER},
        {"cookie.uid", "uid", KEY_COOKIE},
        {"query.room", "room", KEY_QUERY},
        {"path.room", "room", KEY_PATH},
        {"jwt.sub", "sub", KEY_JWT},
        {"jwt.realm.role", "realm.role", KEY_JWT},
        {"jwt.https://a/b", "https://a/b", KEY_JWT},
    };
    struct key key;

    for (size_t i = 0; i < LEN(good); i++) {
        EXPECT(key_parse(good[i].text, &key));
        EXPECT(key.kind == good[i].kind && bytes_equal(key.name, bytes_of(good[i].name)));
    }
}

TEST(what_is_no_key_is_refused)
{
    static const char *const bad[] = {
        "",         "clients",       "client.x", "cookie",  "cookie.", "cookie.a b", "header.a:b",
        "Cookie.a", "subprotocol.x", "jwt.",     "jwt.a b", "path./",  "uid",        "."};
    struct key key;

    for (size_t i = 0; i < LEN(bad); i++)
        EXPECT(!key_parse(bad[i], &key));
}

/* --- what is found
 * ------------------------------------------------------------------------------------------ */

static struct bytes claim(const void *claims, struct bytes name)
{
    return bytes_equal(name, bytes_of("sub")) ? bytes_of(claims) : (struct bytes){0};
}

static struct bytes read_of(const char *text, const char *query)
{
    static uint8_t memory[KEY_BYTES_MAX];
    static struct http1_head head;
    static const struct route_params params = {
        .count = 1, .param = {{{(const uint8_t *)"room", 4}, {(const uint8_t *)"b/c", 3}}}};
    const struct facts facts = {
        .client = bytes_of("192.0.2.7"),
        .query = bytes_of(query),
        .request = &head,
        .params = &params,
        .claim = claim,
        .claims = "anna",
    };
    enum reason why;
    struct key key;

    EXPECT(http1_request_parse(bytes_of("GET / HTTP/1.1\r\nHost: h\r\nX-A: one\r\nx-a: two\r\n"
                                        "Cookie: uid=; b=2\r\nCookie: x=1; uid=u7 ;c=3\r\n"
                                        "Sec-WebSocket-Protocol: chat, superchat\r\n\r\n"),
                               50, &head, &why) > 0);
    EXPECT(key_parse(text, &key));
    return key_read(&key, &facts, memory);
}

TEST(each_kind_is_found)
{
    static const struct {
        const char *key, *query, *value;
    } cases[] = {
        {"client", "", "192.0.2.7"},
        {"header.X-A", "", "one"},
        {"header.X-B", "", ""},
        {"cookie.uid", "", "u7 "}, /* an empty one is none */
        {"cookie.c", "", "3"},
        {"cookie.d", "", ""},
        {"path.room", "", "b/c"},
        {"path.other", "", ""},
        {"jwt.sub", "", "anna"},
        {"jwt.iss", "", ""},
        {"subprotocol", "", "chat"},
        {"query.room", "room=7", "7"},
        {"query.room", "a=1&room=x%2Fy+z&room=2", "x/y z"},
        {"query.room", "room=100%", "100%"},
        {"query.room", "room=%4", "%4"},
        {"query.room", "room=%zz%41", "%zzA"},
        {"query.room", "rooms=1", ""},
        {"query.room", "", ""},
    };

    for (size_t i = 0; i < LEN(cases); i++)
        EXPECT(bytes_equal(read_of(cases[i].key, cases[i].query), bytes_of(cases[i].value)));
}

TEST(a_long_one_counts_by_its_beginning)
{
    static char query[4 * KEY_BYTES_MAX];

    snprintf(query, sizeof query, "a=%%41%0*d", 2 * KEY_BYTES_MAX, 0);
    struct bytes value = read_of("query.a", query);
    EXPECT(value.at && value.len == KEY_BYTES_MAX && value.at[0] == 'A');
}

/* --- the hash
 * -----------------------------------------------------------------------------------------------
 */

/* The vectors of SipHash's reference implementation, for 0, 1, ... n-1. */
TEST(the_hash_is_siphash_2_4)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } vectors[] = {{0, 0x726fdb47dd0e0e31u},  {1, 0x74f839c593dc67fdu}, {2, 0x0d6c8009d9a94f5au},
                   {3, 0x85676696d7fb7e2du},  {7, 0xab0200f58b01d137u}, {8, 0x93f5f5799a932462u},
                   {15, 0xa129ca6149be45e5u}, {63, 0x958a324ceb064572u}};
    uint8_t in[64];

    for (uint8_t i = 0; i < 64; i++)
        in[i] = i;
    for (size_t i = 0; i < LEN(vectors); i++)
        EXPECT(key_hash((struct bytes){in, vectors[i].len}) == vectors[i].hash);
    EXPECT(key_hash((struct bytes){0}) == vectors[0].hash);
}
