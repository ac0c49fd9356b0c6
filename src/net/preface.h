/* What a trusted proxy says before anything else, by the PROXY protocol: read as a child flow.
 *
 * Not a byte more than the header is taken from the socket, so what follows (TLS, HTTP, anything)
 * finds its own first byte: the header is looked at (MSG_PEEK) until it is whole. */
#pragma once

#include "codec/proxy_protocol.h"
#include "loop/flow.h"
#include "net/stream.h"

/* Ends for DONE, PROXY_MISSING, PROXY_MALFORMED (also when it ends in the middle), PROXY_TOO_SLOW,
 * CLIENT_SILENT (not a byte came) or CLIENT_LEFT. */
struct preface {
    struct flow flow;
    struct stream *stream; /* plain still */
    uint64_t limit_usec;
    bool is_optional;           /* where the bytes begin otherwise: DONE, without a header */
    bool has_header;            /* once it is DONE */
    struct proxy_header header; /* its views point into `memory` */
    uint8_t memory[PROXY_HEADER_MAX_BYTES];
};

/* The struct's memory up to `memory` must be zeroed, its options set. */
void preface_start(struct preface *preface, struct flow *parent);
