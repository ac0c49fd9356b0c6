/* The PROXY protocol on both sides: the client is introduced to us by a trusted proxy in front, and
 * by us to a server whose pool asks for it. */
#pragma once

#include "net/preface.h"
#include "proxy/connection.h"

/* What was said of the client; on the heap, and only where a proxy stands in front. */
struct introduction {
    struct preface *preface;    /* while it is heard; NULL afterwards */
    struct address through;     /* the proxy's end: the peer, before the header named another */
    struct proxy_header header; /* its views point into `texts`; version 0: none was there */
    uint8_t texts[];
};

struct introduction *introduction_free(struct introduction *introduction); /* accepts NULL */

/* For a connection's first step: NEXT at once where the listener asks for no header (or it is
 * optional, and the peer not trusted), else when it is read; then c->peer is the client, unless the
 * proxy speaks for itself or does not know. Fails for PROXY_*, CLIENT_SILENT, CLIENT_LEFT or
 * NO_MEMORY. */
enum next introduction_hear(struct connection *c);

/* Whether a connection ended for want of a good introduction: worth a line in the log. */
static inline bool introduction_failed(enum reason reason)
{
    return reason == REASON_PROXY_MISSING || reason == REASON_PROXY_MALFORMED ||
           reason == REASON_PROXY_TOO_SLOW || reason == REASON_PROXY_UNTRUSTED;
}

/* Whether the client spoke TLS: to us, or to the proxy in front that says so. */
bool introduction_is_tls(const struct connection *c);

/* What c's server is told, by the pool's proxy_protocol; alike whenever it is asked. `server_name`:
 * what a passed-through ClientHello asks for, else empty. Returns its length. */
size_t introduction_write(const struct connection *c, enum proxy_out version,
                          struct bytes server_name, uint8_t ret_at[PROXY_OUT_MAX_BYTES]);
