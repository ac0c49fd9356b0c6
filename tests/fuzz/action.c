/* A redirect and a field from the configuration, and what a request says, with 0xff between them.
 * Whatever a client says: it begins no line, and leads to no host that the configuration does not
 * name. */
#include "route/action.h"

#include "fuzz.h"

#include <stdio.h>

#define PIECES 6

static void hear(void *to, struct mark mark, const char *words)
{
    (void)to;
    (void)mark;
    REQUIRE(words[0]);
}

static char *text_of(struct bytes piece)
{
    char *text = strndup(piece.at ? (const char *)piece.at : "", piece.len);

    REQUIRE(text);
    return text;
}

/* Up to where a path, a query or a fragment begins. */
static struct bytes authority_of(struct bytes url)
{
    size_t from = bytes_find(url, bytes_of("://"), 0) + 3, to = from;

    while (to < url.len && !strchr("/?#\\", url.at[to]))
        to++;
    return bytes_slice(url, from, to);
}

static struct buf locate(const struct route_action *action, const struct facts *facts)
{
    struct buf to;

    buf_init(&to, 1u << 20);
    REQUIRE(route_action_locate(action, facts, &to) == 0);
    return to;
}

static void check_location(const struct route_action *action, const struct facts *facts)
{
    const struct facts nothing = {.host = facts->host, .scheme = facts->scheme};
    struct buf some = locate(action, facts), none = locate(action, &nothing);
    struct bytes url = buf_bytes(&some), plain = buf_bytes(&none);

    for (size_t i = 0; i < url.len; i++)
        REQUIRE(url.at[i] > ' ' && url.at[i] < 0x7f && !strchr("\\\"<>^`{|}", url.at[i]));
    REQUIRE(url.len);
    if (url.at[0] == '/')
        REQUIRE(url.len < 2 || url.at[1] != '/');
    else
        REQUIRE(bytes_equal(authority_of(url), authority_of(plain)) && authority_of(url).len);
    buf_done(&some);
    buf_done(&none);
}

static void check_lines(const struct route_action *action, const struct facts *facts)
{
    struct buf lines;

    buf_init(&lines, 1u << 20);
    REQUIRE(route_action_answer(action, facts, &lines) == 0);
    struct bytes rest = buf_bytes(&lines);
    size_t count = 0;
    for (; rest.len; count++)
        rest = bytes_from(rest, bytes_find(rest, bytes_of("\r\n"), 0) + 2);
    REQUIRE(count <= 2); /* Location, and the field unless it is empty */
    buf_done(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes piece[PIECES] = {0}, rest = {at, len};
    struct route_action *action = NULL;

    for (size_t i = 0; i < PIECES; i++) {
        size_t end = bytes_find(rest, BYTES(0xff), 0);
        piece[i] = bytes_slice(rest, 0, end);
        rest = bytes_from(rest, end + 1);
    }
    char *to = text_of(piece[0]), *value = text_of(piece[1]);
    struct edit_settings field = {.op = EDIT_ADD, .name = "A", .value = value};
    const struct route_settings settings = {
        .kind = ROUTE_REDIRECT, .redirect_to = to, .response_edits = {&field, 1}};
    const struct route_params params = {.count = 1,
                                        .param = {{{(const uint8_t *)"p", 1}, piece[4]}}};
    const struct facts facts = {
        .scheme = bytes_of("https"),
        .host = bytes_of("h.example"),
        .path = piece[2],
        .rest = piece[3],
        .query = piece[5],
        .params = &params,
    };
    if (route_action_new(&settings, hear, NULL, &action) == 0) {
        check_location(action, &facts);
        check_lines(action, &facts);
    }
    route_action_free(action);
    free(to);
    free(value);
    return 0;
}
