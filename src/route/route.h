/* Which route a request takes: pure decisions over a parsed target, first match in file order. */
#pragma once

#include "codec/http1.h"
#include "codec/url.h"
#include "conf/settings.h"

#define ROUTE_PARAMS_MAX 16

/* What a request must look like. Texts are borrowed (the configuration's arena outlives them);
 * NULL: any. */
struct route_match {
    const char *host;   /* without port; "*.example.com": any depth of labels before it, not none */
    const char *path;   /* the whole path, "{name}" for one segment */
    const char *prefix; /* ends on a segment border: /a matches /a and /a/b, not /ab */
    const struct match_settings *more; /* scheme, methods, fields; borrowed; NULL: any */
};

struct route_rule; /* a compiled match */

/* 0; -ENOMEM; or -EINVAL with words (256 bytes) that say what is wrong and what to write. */
int route_rule_new(const struct route_match *match, struct route_rule **ret_rule,
                   char ret_words[256]);
struct route_rule *route_rule_free(struct route_rule *rule); /* accepts NULL, returns NULL */

struct route_params {
    size_t count;
    struct {
        struct bytes name, value; /* the value decoded; both borrowed */
    } param[ROUTE_PARAMS_MAX];
};

/* What is asked; all borrowed. */
struct route_asked {
    struct bytes host;             /* without port, in any case */
    const struct url_path *path;   /* as url_path_normalise gives it */
    bool is_https;                 /* as the client sees it */
    const struct http1_head *head; /* for methods and fields; NULL: a rule that asks for any of them
                                      does not match */
};

/* ret_params may be NULL, and is untouched when the rule does not match. Methods are compared as
 * they are written, and GET is HEAD's too; a field's value is the whole of one of its lines. */
bool route_rule_matches(const struct route_rule *rule, const struct route_asked *asked,
                        struct route_params *ret_params);
size_t route_rule_segments(const struct route_rule *rule); /* of its path or prefix; "/": 0 */

/* "host chat.example.com, path /rooms/{room}" or "everything": for explain. Returns `text`. */
const char *route_rule_describe(const struct route_rule *rule, char *text, size_t size);
