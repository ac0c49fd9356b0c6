/* Asking somebody else whether a request may come in, as a child flow: the server of `auth` gets
 * the request's head as a GET, without its body, and its answer is the verdict. */
#pragma once

#include "access/access.h"
#include "http/forwarded.h"
#include "http/read_head.h"
#include "net/dial.h"

struct subrequest {
    struct flow flow;
    const struct access_auth *auth;
    uint64_t began_usec;
    struct tcp_tuning tuning;
    struct dial dial;
    struct stream stream;
    struct read_head read;
    struct http1_body framing;
    struct buf asking, reply;
    /* what is to be told: with DONE lines for the server; with AUTH_DENIED the client's answer */
    unsigned status; /* 0: not denied */
    struct buf lines, body;
    struct http1_head head; /* big, and not zeroed */
};

/* All borrowed, and only while subrequest_new runs, but `auth`. */
struct subrequest_ask {
    const struct access_auth *auth;
    const struct http1_head *request;
    const struct forwarded *forwarded; /* how the request came */
    struct tcp_tuning tuning;
    uint32_t head_limit_bytes;
    unsigned fields_max;
};

/* Written, but not sent. DONE, NO_MEMORY, or why the request itself is wrong. */
enum reason subrequest_new(const struct subrequest_ask *ask, struct subrequest **ret_subrequest);
struct subrequest *subrequest_free(struct subrequest *subrequest); /* NULL: NULL. Not under way. */

void subrequest_start(struct subrequest *subrequest, struct flow *parent);

/* When it is over. DONE: it may come in, with `lines`. AUTH_DENIED: status (401, 403, 429 or a
 * redirection), lines and body are for the client. AUTH_FAILED: nobody has said anything, and
 * `fail: closed` decides. */
enum reason subrequest_verdict(const struct subrequest *subrequest);
