/* A TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3) read in passing: who is asked for.
 */
#pragma once

#include "base/bytes.h"

#define TLS_HELLO_MAX_BYTES 16384 /* a hello that is longer is refused */

struct tls_hello {
    struct bytes server_name; /* SNI host_name, lower case not applied; empty when there is none */
    struct bytes alpn;        /* the first protocol offered; empty when there is none */
    uint16_t version;         /* highest offered: supported_versions, else legacy_version */
};

/* Reads a ClientHello from the beginning of a connection, split over records and reads in any way.
 * > 0: the hello is whole (bytes used; they stay in `in` and belong to the server), 0: more please,
 * < 0: no ClientHello, which is said as soon as it is certain. `memory` (TLS_HELLO_MAX_BYTES)
 * receives the handshake message without its record headers; the views point into it. */
int tls_hello_parse(struct bytes in, uint8_t *memory, struct tls_hello *ret_hello);
