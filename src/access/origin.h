/* Origins (RFC 6454): from where a page's script asks. */
#pragma once

#include "base/bytes.h"

/* Borrowed views. */
struct origin {
    struct bytes scheme, host; /* of a pattern that begins with "*.": from its dot on */
    uint16_t port;             /* the scheme's own where none is written; 0: it has none */
    bool is_below;             /* any host that ends so */
    bool is_null, is_same;     /* the words "null" and "same" */
};

/* As browsers send it, "https://app.example.com:8443" or "null"; no path, no trailing slash. */
bool origin_parse(struct bytes text, struct origin *ret_origin);
/* The same, or with a host "*.example.com" (every host below, not example.com itself), or "same":
 * the host that is asked. */
bool origin_pattern_parse(struct bytes text, struct origin *ret_pattern);

/* `host` is the request's Host, with its port. */
bool origin_matches(const struct origin *pattern, const struct origin *origin, struct bytes host);
