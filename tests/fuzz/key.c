/* A key, a pattern, and a request, with a line feed between. What is found is inside the request
 * (or was decoded into the memory that was given), and counts the same the next time; a pattern
 * without a star or a question mark matches itself alone. */
#include "route/key.h"

#include "fuzz.h"
#include "route/shard.h"
#include "route/template.h"

#include <stdio.h>

static void try_pattern(const char *pattern, struct bytes value)
{
    struct bytes own = bytes_of(pattern);
    bool matches = shard_matches(pattern, value);

    REQUIRE(shard_matches("*", value));
    REQUIRE(shard_matches(pattern, own));
    if (!strpbrk(pattern, "*?"))
        REQUIRE(matches == bytes_equal(own, value));
}

static void expect_inside(const struct key *key, const struct facts *facts, struct bytes value,
                          struct bytes text, const uint8_t *memory)
{
    if (key->kind == KEY_CLIENT)
        REQUIRE(bytes_equal(value, facts->client));
    else if (key->kind == KEY_QUERY)
        REQUIRE(value.at == memory && value.len <= key_find(key, facts).len);
    else
        REQUIRE(is_inside(value, text));
}

static void try_request(const struct key *key, const char *pattern, struct bytes text)
{
    uint8_t memory[KEY_BYTES_MAX], again[KEY_BYTES_MAX];
    struct http1_head head;
    struct url_target target = {0};
    enum reason why;

    if (http1_request_parse(text, HTTP1_FIELDS_MAX, &head, &why) <= 0 ||
        !url_target_parse(head.target, &target))
        return;
    const struct facts facts = {
        .request = &head, .query = target.query, .client = bytes_of("192.0.2.1")};
    struct bytes value = key_read(key, &facts, memory);
    struct bytes same = key_read(key, &facts, again);

    REQUIRE(value.len <= KEY_BYTES_MAX && bytes_equal(value, same));
    REQUIRE(key_hash(value) == key_hash(same));
    if (value.len)
        expect_inside(key, &facts, value, text, memory);
    try_pattern(pattern, value);
}

static char *text_of(struct bytes line)
{
    char *text = malloc(line.len + 1);

    if (text)
        snprintf(text, line.len + 1, "%.*s", (int)line.len, (const char *)line.at);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = exact((struct bytes){at, len});
    size_t end = bytes_find(in, bytes_of("\n"), 0);
    struct bytes rest = bytes_from(in, end + 1);
    size_t middle = bytes_find(rest, bytes_of("\n"), 0);
    char *name = text_of(bytes_slice(in, 0, end));
    char *pattern = text_of(bytes_slice(rest, 0, middle));
    struct key key;

    if (name && pattern && key_parse(name, &key)) {
        REQUIRE(key.kind != KEY_NONE);
        try_request(&key, pattern, bytes_from(rest, middle + 1));
    }
    free(name);
    free(pattern);
    exact_free(in);
    return 0;
}
