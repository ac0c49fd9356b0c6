/* Which route a request takes: pure decisions over a parsed target, first match in file order. */
#pragma once

#include "codec/url.h"

#define ROUTE_PARAMS_MAX 16

/* What a request must look like. Texts are borrowed (the configuration's arena outlives them);
 * NULL: any. */
struct route_match {
    const char *host;   /* without port; "*.example.com": any depth of labels before it, not none */
    const char *path;   /* the whole path, "{name}" for one segment */
    const char *prefix; /* ends on a segment border: /a matches /a and /a/b, not /ab */
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

/* `host` without port, in any case; `path` as url_path_normalise gives it. ret_params may be NULL,
 * and is untouched when the rule does not match. */
bool route_rule_matches(const struct route_rule *rule, struct bytes host,
                        const struct url_path *path, struct route_params *ret_params);

/* "host chat.example.com, path /rooms/{room}" or "everything": for explain. Returns `text`. */
const char *route_rule_describe(const struct route_rule *rule, char *text, size_t size);
