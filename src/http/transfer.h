/* A message body on its way from one stream to another, at layer 7: its framing is followed, so
 * that we know where it ends, and its bytes pass verbatim. Not a flow: a step asks it to move and
 * then knows what to wait for. */
#pragma once

#include "base/buf.h"
#include "codec/http1.h"
#include "net/stream.h"

#define TRANSFER_READ_BYTES 65536u
#define TRANSFER_AHEAD_BYTES                                                                       \
    16384u /* what `ahead` must take besides what it holds at most otherwise */

struct transfer {
    struct stream *from, *to;
    struct buf
        *ahead; /* bytes read from `from` before this body; what is no body stays or goes there */
    struct buf unsent; /* for a `to` that takes no more */
    struct http1_body body;
    uint64_t moved_bytes; /* ever taken in */
    uint64_t limit_bytes; /* of a body; 0: none */
    /* Hears what is taken of the body, as it came, before it goes on; NULL: nobody does. */
    void (*listen)(struct transfer *transfer, struct bytes part);
    bool has_begun;
    bool has_sent; /* `to` has been given something */
    bool unframes; /* only the payload is passed on: for a client of HTTP/1.0, which knows no chunks
                    */
};

enum transfer_state {
    TRANSFER_ENDED,       /* the body is whole and sent */
    TRANSFER_WANTS_INPUT, /* wait until `from` is READABLE */
    TRANSFER_WANTS_ROOM,  /* wait until `to` is WRITABLE */
    TRANSFER_GOES_ON,     /* it moved much: let others have their turn, then ask again */
    TRANSFER_MALFORMED,
    TRANSFER_TOO_LARGE,
    TRANSFER_CUT,     /* `from` ended or broke in the middle */
    TRANSFER_TO_LEFT, /* `to` broke */
    TRANSFER_NO_MEMORY,
};

/* `ahead` is the caller's. Start it once per body; at most TRANSFER_READ_BYTES are held for a slow
 * reader. */
void transfer_init(struct transfer *transfer, struct stream *from, struct stream *to,
                   struct buf *ahead, const struct http1_body *body);
/* Bytes that go out before the body: its head. Takes the buffer's memory; nothing may be unsent
 * yet. */
void transfer_put_first(struct transfer *transfer, struct buf *take_head);
void transfer_done(struct transfer *transfer); /* harmless when never begun (zero) */

/* Moves what can be moved now, through `scratch` (at least TRANSFER_READ_BYTES). */
enum transfer_state transfer_move(struct transfer *transfer, uint8_t *scratch);
