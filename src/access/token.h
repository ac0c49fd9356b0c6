/* Where a request may carry its token. */
#pragma once

#include "codec/http1.h"

enum token_place { TOKEN_IN_HEADER, TOKEN_IN_COOKIE, TOKEN_IN_QUERY, TOKEN_IN_SUBPROTOCOL };

struct token_source {
    enum token_place place;
    const char *name; /* borrowed from the text; "" for the subprotocol */
};

/* "header.NAME", "cookie.NAME", "query.NAME" or "subprotocol". */
bool token_source_parse(const char *text, struct token_source *ret_source);

/* TOKEN_MISSING: there is none at that place; TOKEN_MALFORMED: there are two, and whoever comes
 * after us could take the other; DONE: *ret_token lies in the head. */
enum reason token_find(const struct token_source *source, const struct http1_head *request,
                       struct bytes *ret_token);
