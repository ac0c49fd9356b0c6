/* Heads on their way through: the rewriting that a gateway owes (RFC 9110 section 7.6). */
#pragma once

#include "base/buf.h"
#include "codec/http1.h"

/* Appends a request head for the server: the request line with our version (HTTP/1.1) and the target
 * bytes as received; fields in their order and spelling, without what Connection names and the hop-by-hop
 * fields (Connection, Keep-Alive, Proxy-Connection, TE other than trailers, Upgrade, HTTP2-Settings); a body's
 * framing passes as it came; then `Connection: Upgrade` and `Upgrade: websocket` for a handshake
 * (without any Content-Length), or nothing (persistent) for a plain request; then `extra` (whole lines).
 * Connection may not name Host, Content-Length, Sec-WebSocket-*, X-Forwarded-*, Forwarded, Via, Cookie,
 * Authorization: -EPERM (REASON_PROTECTED_FIELD) for those that framing or the handshake needs (Host,
 * Content-Length, Transfer-Encoding, Sec-WebSocket-*), while X-Forwarded-*, Forwarded and Via are simply kept.
 * 0, -EPERM, -ENOMEM or -EMSGSIZE. */
int http1_write_request(struct buf *to, const struct http1_head *request, bool is_handshake,
                        struct bytes extra);

/* Appends an answer head for the client: status line with our version and the server's status and words;
 * fields without hop-by-hop ones and what Connection names; for a completed handshake (101) with
 * `Connection: Upgrade`, `Upgrade: websocket` and without Content-Length and Transfer-Encoding; for any other
 * answer without Upgrade and Sec-WebSocket-Accept, with `Connection: close` when !keeps (for an HTTP/1.0 client that is kept, `Connection:
 * keep-alive`); Date added where missing (`date`, 29 characters, may be empty); then `extra`. */
int http1_write_answer(struct buf *to, const struct http1_head *answer, bool is_handshake, bool keeps,
                       unsigned client_minor_version, struct bytes date, struct bytes extra);

/* Appends a whole small answer of ours: status, words of the status, text/plain body, Content-Length,
 * Date, `Connection: close` or keep-alive, and `extra`. */
int http1_write_own(struct buf *to, unsigned status, struct bytes body, bool keeps, struct bytes date,
                    struct bytes extra);
const char *http1_status_words(unsigned status); /* "Service Unavailable"; "" when unknown */
