/* A place that names two different tokens is refused: the server would decide by one of them, and
 * we by the other. The same token twice is no harm.
 *
 * Nothing is decoded, since no character of a token needs an escape anywhere. */
#include "access/token.h"

#include "base/check.h"
#include "codec/url.h"

/* What was found so far at one place. */
struct found {
    struct bytes token;
    bool is_two;
};

static void take(struct found *found, struct bytes token)
{
    if (!token.len)
        return;
    if (found->token.len && !bytes_equal(found->token, token))
        found->is_two = true;
    found->token = token;
}

static struct bytes trimmed(struct bytes text)
{
    while (text.len && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = bytes_from(text, 1);
    while (text.len && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* --- the places --------------------------------------------------------------------------------
 */

/* RFC 6750 section 2.1. Another scheme is no token; elsewhere than in Authorization the scheme may
 * be left out. */
static struct bytes bearer(struct bytes value, bool wants_scheme)
{
    struct bytes scheme = bytes_of("Bearer ");

    if (bytes_equal_nocase(bytes_slice(value, 0, scheme.len), scheme))
        return trimmed(bytes_from(value, scheme.len));
    return wants_scheme ? (struct bytes){0} : value;
}

static void look_into_headers(const char *name, const struct http1_head *request,
                              struct found *found)
{
    bool wants_scheme = bytes_equal_nocase(bytes_of(name), bytes_of("Authorization"));

    for (uint16_t i = 0; i < request->field_count; i++)
        if (bytes_equal_nocase(request->field[i].name, bytes_of(name)))
            take(found, bearer(request->field[i].value, wants_scheme));
}

/* The value of `name=value`; empty when it is another name. */
static struct bytes value_if(struct bytes pair, const char *name)
{
    struct bytes wanted = bytes_of(name);

    if (!bytes_equal(bytes_slice(pair, 0, wanted.len), wanted) || pair.len <= wanted.len ||
        pair.at[wanted.len] != '=')
        return (struct bytes){0};
    return bytes_from(pair, wanted.len + 1);
}

static void look_into_pairs(struct bytes pairs, const char *separator, const char *name,
                            struct found *found)
{
    while (pairs.len) {
        size_t end = bytes_find(pairs, bytes_of(separator), 0);
        struct bytes value = trimmed(value_if(trimmed(bytes_slice(pairs, 0, end)), name));
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
            value = bytes_slice(value, 1, value.len - 1); /* RFC 6265 section 4.1.1 */
        take(found, value);
        pairs = bytes_from(pairs, end + 1);
    }
}

static void look_into_cookies(const char *name, const struct http1_head *request,
                              struct found *found)
{
    for (uint16_t i = 0; i < request->field_count; i++)
        if (bytes_equal_nocase(request->field[i].name, bytes_of("Cookie")))
            look_into_pairs(request->field[i].value, ";", name, found);
}

/* A subprotocol's name has no two dots and does not begin like the JSON of a token's header. */
static bool looks_like_token(struct bytes text)
{
    struct bytes dot = bytes_of(".");
    size_t first = bytes_find(text, dot, 0), second = bytes_find(text, dot, first + 1);

    return bytes_equal(bytes_slice(text, 0, 3), bytes_of("eyJ")) && second < text.len;
}

/* Browsers can set no header of a WebSocket but this one: new WebSocket(url, ["chat", token]). */
static void look_into_subprotocols(const struct http1_head *request, struct found *found)
{
    struct bytes rest, element;

    for (uint16_t i = 0; i < request->field_count; i++) {
        if (!bytes_equal_nocase(request->field[i].name, bytes_of("Sec-WebSocket-Protocol")))
            continue;
        rest = request->field[i].value;
        while (http1_list_next(&rest, &element))
            if (looks_like_token(element))
                take(found, element);
    }
}

static void look_into_query(const char *name, const struct http1_head *request, struct found *found)
{
    struct url_target target;

    if (url_target_parse(request->target, &target) && target.query.len)
        look_into_pairs(target.query, "&", name, found);
}

/* --- the door ----------------------------------------------------------------------------------
 */

bool token_source_parse(const char *text, struct token_source *ret_source)
{
    static const struct {
        const char *prefix;
        enum token_place place;
    } places[] = {
        {"header.", TOKEN_IN_HEADER}, {"cookie.", TOKEN_IN_COOKIE}, {"query.", TOKEN_IN_QUERY}};

    if (strcmp(text, "subprotocol") == 0) {
        *ret_source = (struct token_source){TOKEN_IN_SUBPROTOCOL, ""};
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        size_t len = strlen(places[i].prefix);
        if (strncmp(text, places[i].prefix, len) != 0 || !text[len])
            continue;
        *ret_source = (struct token_source){places[i].place, text + len};
        return true;
    }
    return false;
}

enum reason token_find(const struct token_source *source, const struct http1_head *request,
                       struct bytes *ret_token)
{
    struct found found = {0};

    switch (source->place) {
    case TOKEN_IN_HEADER:
        look_into_headers(source->name, request, &found);
        break;
    case TOKEN_IN_COOKIE:
        look_into_cookies(source->name, request, &found);
        break;
    case TOKEN_IN_QUERY:
        look_into_query(source->name, request, &found);
        break;
    case TOKEN_IN_SUBPROTOCOL:
        look_into_subprotocols(request, &found);
        break;
    }
    if (!found.token.len)
        return REASON_TOKEN_MISSING;
    *ret_token = found.token;
    return found.is_two ? REASON_TOKEN_MALFORMED : REASON_DONE;
}
