/* RFC 6455 frames judged in passing: what may go on, and the first thing that is wrong.
 *
 * Nothing of a message is kept. What is held back is at most a header, with a Close frame's code,
 * or a Pong that may be the answer to a Ping of ours: 14 bytes. So a frame that its header
 * condemns has not been begun towards its receiver. */
#pragma once

#include "base/bytes.h"
#include "base/reason.h"

/* What was agreed in the handshake that changes frames. */
enum ws_extension {
    WS_PLAIN_FRAMES,
    WS_DEFLATE,      /* permessage-deflate, RFC 7692: RSV1 on a message's first frame */
    WS_OTHER_FRAMES, /* something else: RSV bits and text are not judged */
};

#define WS_NONCE_BYTES 8u
#define WS_PING_BYTES  (2 + WS_NONCE_BYTES)
#define WS_HELD_MAX    14u
#define WS_PIECES_MAX  4u
#define WS_AWAITED_MAX 2u
#define WS_NO_CREDIT   UINT32_MAX

/* What holds for one direction as long as it lives. */
struct ws_rules {
    uint64_t max_message;          /* payload bytes over all fragments, as they are on the wire;
                                      0: no limit */
    bool is_masked;                /* clients mask, servers do not */
    uint8_t extension;             /* enum ws_extension */
    uint8_t nonce[WS_NONCE_BYTES]; /* payload of our Pings: its Pong is for us */
};

/* The UTF-8 character under way: how many bytes it lacks, and between what the next one must be. */
struct ws_character {
    uint8_t left, from, to;
};

/* Where a direction stands. Zero it, and set credit. */
struct ws_guard {
    uint64_t left;    /* payload of the frame under way that is still to come */
    uint64_t message; /* payload of the message under way so far */
    uint64_t frames;  /* begun so far: the number of the one under way */
    uint32_t credit;  /* messages that may begin; WS_NO_CREDIT: any number */
    uint8_t awaited;  /* Pongs of ours that may come */
    uint8_t flags;
    uint8_t have; /* bytes in `held` */
    uint8_t held[WS_HELD_MAX];
    uint8_t mask[4];          /* of the frame under way, turned so that [0] is for its next byte */
    struct ws_character text; /* of a payload that is text */
};

/* What is wrong, and the row of reason.def that it belongs to. */
struct ws_fault {
    const char *words;
    enum reason reason;
};

/* What became of one batch. */
struct ws_judged {
    struct bytes piece[WS_PIECES_MAX]; /* to be passed on, in this order; in the batch, or in `held`
                                        */
    unsigned count;
    bool is_from_before; /* the first piece was held back, and lies in `held` */
    uint8_t held[WS_HELD_MAX];
    unsigned pongs;               /* ours: they are in no piece */
    const struct ws_fault *fault; /* NULL: none. Nothing may be fed behind it */
    size_t first_boundary;        /* offset in the batch at which a frame may be put between; 0 when
                                     what was passed on before ends with a frame; SIZE_MAX: none */
};

/* Moves the state over a batch. With a fault the pieces end with the last whole frame before it,
 * or are none where the frame was begun before this batch. What follows a Close frame is in no
 * piece: nobody may listen to it (RFC 6455 section 5.5.1). */
void ws_guard_feed(struct ws_guard *guard, const struct ws_rules *rules, struct bytes batch,
                   struct ws_judged *ret_judged);

/* Whether what was passed on ends with a frame, or is nothing: another may be put behind it. */
bool ws_guard_at_boundary(const struct ws_guard *guard);
bool ws_guard_has_closed(const struct ws_guard *guard); /* a Close frame has begun */

void ws_ping_write(const uint8_t nonce[WS_NONCE_BYTES], uint8_t ret_frame[WS_PING_BYTES]);

/* All faults, for tables and tests; NULL past the last. */
const struct ws_fault *ws_fault_at(unsigned number);
