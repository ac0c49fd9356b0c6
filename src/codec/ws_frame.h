/* RFC 6455 frames: headers read in passing, for relays that must know where frames begin. */
#pragma once

#include "base/bytes.h"

/* Where a direction of a WebSocket stands, in 16 bytes. All zero: before the first frame. While a
 * header is incomplete its bytes lie in `head`; behind it `left` counts the payload that is still
 * to come. A Close frame's code counts as a part of its header, so that it is seen however it is
 * cut. */
struct ws_track {
    union {
        uint64_t left;
        struct {
            uint8_t head[14];
            uint8_t have;  /* bytes in `head`; 0: no header has begun */
            uint8_t flags; /* enum track_flag, ws_frame.c */
        };
    };
};
_Static_assert(sizeof(struct ws_track) == 16, "a direction's frame state is 16 bytes");

/* What went by in one batch. */
struct ws_seen {
    uint32_t frames;       /* headers completed */
    uint16_t close_code;   /* 0: no Close frame; 1005: one without a code */
    size_t first_boundary; /* offset in the batch at which a frame may begin: 0 when the batch began
                              at a boundary, else the end of the frame under way; SIZE_MAX when it
                              does not end */
};

/* Moves the state over `bytes`. Bytes that are no frames (reserved opcode, a control frame that is
 * fragmented or longer than 125, a length that is not minimal or has its highest bit set, a
 * continuation without a beginning or a new message inside another, a mask where none may be or
 * none where one must) mark the direction unaligned for ever. RSV bits are not judged: extensions
 * use them. `is_masked`: what the direction must be (clients mask, servers do not). */
void ws_track_feed(struct ws_track *track, struct bytes bytes, bool is_masked,
                   struct ws_seen *ret_seen);
bool ws_track_is_aligned(const struct ws_track *track);  /* frames so far were frames */
bool ws_track_at_boundary(const struct ws_track *track); /* aligned, and between two frames */

/* Bytes of the frame under way that are payload for certain: they may go by unseen. 0 inside a
 * header and where a frame may begin; unaligned: UINT64_MAX, nothing is looked for any more. */
uint64_t ws_track_payload_left(const struct ws_track *track);
void ws_track_skip(struct ws_track *track, uint64_t len); /* at most that many went by */

/* A Close frame with that code and no reason text, unmasked or masked with `mask` (NULL: unmasked),
 * for a gateway that must end a connection. Returns its length: 4 or 8. */
size_t ws_close_write(uint16_t code, const uint8_t mask[4], uint8_t ret_frame[8]);
