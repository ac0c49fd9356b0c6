/* The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): the first bytes of a
 * connection, in which the proxy in front says who the client is. */
#pragma once

#include "base/cidr.h"
#include "base/reason.h"

#define PROXY_V1_MAX_BYTES     107u /* with CR LF */
#define PROXY_V2_HEAD_BYTES    16u
#define PROXY_HEADER_MAX_BYTES (PROXY_V2_HEAD_BYTES + 4096u) /* a longer one is refused */
#define PROXY_AUTHORITY_MAX    255u
#define PROXY_ALPN_MAX         255u
#define PROXY_UNIQUE_ID_MAX    128u
#define PROXY_SSL_MAX          512u /* that we pass on; a longer one is read, not passed on */

struct proxy_header {
    uint8_t version;    /* 1 or 2 */
    bool is_local;      /* LOCAL: the proxy's own connection, a health check for instance */
    bool has_addresses; /* else (LOCAL, UNKNOWN, UNSPEC) the connection's own ends count */
    struct ip source, destination; /* family IP_UNIX: behind the proxy is a Unix socket */
    uint16_t source_port, destination_port;
    /* Version 2's TLVs; empty where there is none. Views of what was parsed. */
    struct bytes alpn, authority, unique_id;
    struct bytes ssl;  /* the value of PP2_TYPE_SSL, its parts checked */
    bool has_checksum; /* CRC32C: there, and right; or: to be written */
};

/* Reads a header from a connection's first bytes. > 0: its length, 0: more please, < 0: no header,
 * with the reason PROXY_MISSING where the bytes begin otherwise and PROXY_MALFORMED where they
 * begin so; said at the byte at which it is certain, but for what is inside, which is judged when
 * it is whole. What two readers could take differently (a TLV twice, a checksum that does not fit,
 * bytes between the lines) is malformed. */
int proxy_header_parse(struct bytes in, struct proxy_header *ret_header, enum reason *ret_why);

/* Whether the client spoke TLS to the proxy (section 2.2.6). */
bool proxy_header_is_tls(const struct proxy_header *header);

/* Writes a header of header->version; returns its length. Version 1 has no TLVs, and "UNKNOWN" for
 * what has no address. Texts longer than their maximum are left out. Of two families the IPv4
 * address is written as mapped. */
#define PROXY_OUT_MAX_BYTES 1536u
size_t proxy_header_write(const struct proxy_header *header, uint8_t ret_at[PROXY_OUT_MAX_BYTES]);

/* The value of PP2_TYPE_SSL for a client whose TLS ended here and that showed no certificate, as
 * proxy_header.ssl: with "TLSv1.3" and the cipher's name. Returns its length. */
size_t proxy_ssl_write(struct bytes version, struct bytes cipher, uint8_t ret_at[PROXY_SSL_MAX]);
