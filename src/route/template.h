/* A text with places in braces for what only a request knows: "https://api.example.com{path}".
 * Compiled once when the configuration is loaded, with words for what cannot be; then written per
 * request, without a way to fail but memory. "{{" and "}}" are braces that are meant. */
#pragma once

#include "base/buf.h"
#include "codec/http1.h"
#include "route/route.h"

struct template;

/* What stands where decides what is known there, and how values are written. */
enum template_use {
    TEMPLATE_REQUEST,  /* a field for the server: the server is not chosen yet */
    TEMPLATE_RESPONSE, /* a field of a server's answer */
    TEMPLATE_OWN,      /* a field of an answer of ours: no server */
    TEMPLATE_URL,      /* a URL: values are percent-encoded as far as they must be */
};

/* What a template may name; empty or NULL: there is none. All borrowed.
 * {method} {scheme} {host} {path} {rest} {query} {client} {server} {pool} {route} {request_id}
 * {header.N} {cookie.N} {query.N} {path.N} {jwt.N} */
struct facts {
    struct bytes method, scheme, host;
    struct bytes path;  /* as received */
    struct bytes rest;  /* the path that the server is asked: behind strip_prefix */
    struct bytes query; /* without '?'; .at NULL: there is none. {query} writes the '?' too */
    struct bytes client, server, pool, route, request_id;
    const struct http1_head *request;
    const struct route_params *params;
    struct bytes (*claim)(const void *claims, struct bytes name); /* of the token; NULL: none */
    const void *claims;
};

/* 0; -ENOMEM; or -EINVAL with words that say what is wrong and what to write. The text is copied.
 */
int template_new(const char *text, enum template_use use, struct template **ret_template,
                 char ret_words[256]);
/* The text as it is, whatever braces it has: for what came from elsewhere and is not shown.
 * -EINVAL when it holds what no field may. */
int template_new_literal(const char *text, struct template **ret_template, char ret_words[256]);
struct template *template_free(struct template *template); /* accepts NULL, returns NULL */

/* Whether {NAME} (without its braces) stands in it. */
bool template_names(const struct template *template, const char *name);

/* Appends the text. In fields a value that no field may hold (control characters, which claims and
 * decoded paths can have) counts as none: nothing that a peer says begins a line of its own. 0,
 * -ENOMEM or -EMSGSIZE. */
int template_write(const struct template *template, const struct facts *facts, struct buf *to);
