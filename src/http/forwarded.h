/* What a gateway tells the server of who asked, and what it believes of what it is told: the
 * X-Forwarded-* fields, Forwarded (RFC 7239), Via (RFC 9110 section 7.6.3), X-Request-Id and
 * traceparent (W3C Trace Context). Pure: nothing here waits. */
#pragma once

#include "base/buf.h"
#include "base/cidr.h"
#include "codec/http1_write.h"
#include "net/address.h"

/* The conversation as the client sees it. Borrowed. */
struct forwarded {
    const struct address *peer;   /* who is connected to us */
    const struct cidr_set *trust; /* whose X-Forwarded-* and Forwarded count */
    bool is_tls;                  /* to us */
    uint16_t port;                /* ours; 0: none (a Unix socket) */
    bool makes_traceparent;       /* where the request has no good one */
    uint64_t random[3];           /* for that */
    const char *request_id;       /* ours; for a request without a good X-Request-Id */
};

/* Whom the request is from: the peer, or, when that is trusted, the last address of X-Forwarded-For
 * (without one: of Forwarded) that is not; what cannot be read ends the walk. Its port is 0 when it
 * is not the peer. */
void forwarded_client(const struct http1_head *request, const struct forwarded *from,
                      struct address *ret_client);

/* Appends whole lines to `to`, and sets in *edits what they replace. From who is not trusted,
 * nothing of what these fields said goes on. 0, -ENOMEM or -EMSGSIZE. */
int forwarded_write(struct buf *to, const struct http1_head *request, const struct forwarded *from,
                    struct http1_edits *edits);

/* The request's own X-Request-Id when it is one of up to 128 visible characters; else empty. */
struct bytes forwarded_request_id(const struct http1_head *request);

/* Appends a Via line for a message that came with that version. */
int forwarded_write_via(struct buf *to, unsigned minor_version);
