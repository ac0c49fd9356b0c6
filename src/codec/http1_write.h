/* Heads on their way through: the rewriting that a gateway owes (RFC 9110 section 7.6). */
#pragma once

#include "base/buf.h"
#include "codec/http1.h"

/* What changes in a head beside what every gateway owes. All borrowed; NULL or zeroed: nothing. */
struct http1_edits {
    struct bytes target; /* of the request line; .at NULL: as received */
    enum {
        FORWARDED_PASSES,
        FORWARDED_CHAIN_DROPPED, /* X-Forwarded-For and Forwarded: extra has them, longer by one */
        FORWARDED_DROPPED,       /* and every other X-Forwarded-* */
    } forwarded;
    const struct bytes *dropped; /* names of further fields that are left out, '_' being '-' */
    size_t dropped_count;
    struct bytes extra; /* whole lines, behind all others */
};

/* Appends a request head for the server: the request line with our version (HTTP/1.1) and the
 * target bytes as received; `Host` where an HTTP/1.0 client said none; fields in their order and
 * spelling, without what Connection names and the hop-by-hop fields (Connection, Keep-Alive,
 * Proxy-Connection, TE, Upgrade, HTTP2-Settings); a body's framing passes as it came. Then, for a
 * handshake, `Connection: Upgrade` and `Upgrade: websocket` (without any Content-Length); for a
 * plain request nothing (persistent), but `Connection: TE` and `TE: trailers` when the client takes
 * trailers; then the edits' lines.
 *
 * What Connection may not name: -EPERM (REASON_PROTECTED_FIELD) for Host, Content-Length,
 * Transfer-Encoding, Sec-WebSocket-*, Cookie and Authorization; X-Forwarded-*, Forwarded and Via
 * are simply kept. 0, -EPERM, -ENOMEM, or -EMSGSIZE: beyond the limit of `to`, or Connection names
 * more than 32 fields. After a failure `to` holds a part of the head. */
int http1_write_request(struct buf *to, const struct http1_head *request, bool is_handshake,
                        const struct http1_edits *edits);

/* Appends an answer head for the client: status line with our version and the server's status and
 * words; fields without hop-by-hop ones and what Connection names (protected ones are named in
 * vain); 1xx and 204 without Content-Length and Transfer-Encoding (RFC 9110 section 8.6). For a
 * completed handshake (101) `Connection: Upgrade` and `Upgrade: websocket`; any other answer is
 * without Upgrade and Sec-WebSocket-Accept, and with `Connection: close` when !keeps (for an
 * HTTP/1.0 client that is kept, `Connection: keep-alive`). Without Transfer-Encoding for a client
 * of HTTP/1.0, who gets the payload alone. Date is added where missing (`date`, 29 characters, may
 * be empty); then the edits' lines. 0, -ENOMEM, or -EMSGSIZE as above. */
int http1_write_answer(struct buf *to, const struct http1_head *answer, bool is_handshake,
                       bool keeps, unsigned client_minor_version, struct bytes date,
                       const struct http1_edits *edits);

/* An answer of ours. */
struct http1_own {
    unsigned status;
    struct bytes type;  /* of the body; empty: no Content-Type */
    struct bytes body;  /* borrowed */
    struct bytes extra; /* whole lines */
    bool keeps;         /* Connection: keep-alive or close */
    bool is_for_head;   /* the body is not sent, its length is said */
};
/* Appends it whole: status and its words, Content-Type, Content-Length, Date (29 characters, may be
 * empty), Connection, the extra lines, the body. 204 and 304 are without body and length (RFC 9110
 * section 8.6). 0, -ENOMEM or -EMSGSIZE. */
int http1_write_own(struct buf *to, const struct http1_own *own, struct bytes date);
const char *http1_status_words(unsigned status); /* "Service Unavailable"; "" when unknown */
