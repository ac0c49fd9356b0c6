/* Who may come in: what a route's `access` asks for, compiled once, and the judgement over one
 * request, whether it is a handshake or not. Pure: no clock, nothing that waits; what must be asked
 * elsewhere is access/subrequest.h. */
#pragma once

#include "access/jwt.h"
#include "codec/http1.h"
#include "conf/settings.h"
#include "net/address.h"

#define ACCESS_COPY_MAX 16 /* fields that `auth` hands on */

/* The server of `auth`, who is asked about each request. */
struct access_auth {
    struct address address;
    const char *host, *target; /* of its request */
    const char *const *copy;   /* fields of its answer that go to the server */
    size_t copy_count;
    uint64_t timeout_usec; /* 0: none */
    bool fails_open;
};

/* Immutable; any thread. */
struct access;

/* NULL without an error in the report: nothing is asked for, everyone may. The settings outlive it;
 * `whole` knows what of them may not be shown. */
struct access *access_new(const struct settings *whole, const struct access_settings *settings,
                          struct report *report);
struct access *access_free(struct access *access);                  /* accepts NULL, returns NULL */
const struct access_auth *access_auth(const struct access *access); /* NULL: nobody is asked */

struct access_ask {
    const struct http1_head *request;
    struct ip client;
    uint64_t now_sec; /* since 1970 */
};

/* In this order: ADDRESS_DENIED, ORIGIN_DENIED, then the token's (TOKEN_*). DONE: *ret_claims is
 * what the token said, and the caller's; NULL without `jwt`. */
enum reason access_judge(const struct access *access, const struct access_ask *ask,
                         struct claims **ret_claims);

/* What can be asked of a connection that is no HTTP: its address. `access` may be NULL. */
bool access_welcomes(const struct access *access, const struct ip *client);
/* Whether more is asked, of a request's head. NULL: no. */
bool access_wants_head(const struct access *access);

/* The lines that belong into the answer to a refusal: WWW-Authenticate with 401 (RFC 6750 section
 * 3), Retry-After with 429. Empty for other reasons. Returns `text`. */
#define ACCESS_LINES_BYTES 256
const char *access_lines(enum reason reason, uint64_t wait_usec, char text[ACCESS_LINES_BYTES]);
