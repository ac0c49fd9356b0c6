/* RFC 6455 frames: headers read in passing, for relays that must know where frames begin. */
#pragma once

#include "base/bytes.h"

/* Where a direction of a WebSocket stands, in 16 bytes. All zero: before the first frame. */
struct ws_track {
    union {
        uint64_t left; /* payload bytes of the frame that are still to come */
        uint8_t head[8]; /* the header so far; its rest is in `more` */
    };
    uint8_t more[6];
    uint8_t have;  /* bytes of a header that has begun; 0: none */
    uint8_t flags; /* enum in ws_frame.c: unaligned, in a fragmented message, close seen ... */
};
_Static_assert(sizeof(struct ws_track) == 16, "a direction's frame state is 16 bytes");

/* What went by in one batch. */
struct ws_seen {
    uint32_t frames;     /* headers completed */
    uint16_t close_code; /* 0: no Close frame; 1005: one without a code */
    size_t boundary;     /* offset in the batch of the last frame boundary in it (an end of a frame, or 0
                            when the batch began at one); SIZE_MAX when there is none */
    size_t first_boundary; /* likewise the first one */
};

/* Moves the state over `bytes`. Bytes that are no frames (reserved opcode, a control frame that is
 * fragmented or longer than 125, a non-minimal or negative length, a continuation without a beginning)
 * mark the direction unaligned for ever. RSV bits are not judged: extensions use them, but a reserved
 * opcode is. `is_masked`: what the direction must be (clients mask, servers do not). */
void ws_track_feed(struct ws_track *track, struct bytes bytes, bool is_masked, struct ws_seen *ret_seen);
bool ws_track_is_aligned(const struct ws_track *track);   /* frames so far were frames */
bool ws_track_at_boundary(const struct ws_track *track);  /* aligned, and between two frames */

/* A Close frame with that code and no reason text, unmasked or masked with `mask` (NULL: unmasked), for a
 * gateway that must end a connection: 4 or 8 bytes. */
size_t ws_close_write(uint16_t code, const uint8_t mask[4], uint8_t ret_frame[8]);
