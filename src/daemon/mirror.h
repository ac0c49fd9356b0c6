/* The WebSocket of `turnout echo`, as pure bytes: what a client sends becomes what it is answered,
 * in place, frame by frame, so that a message of any length costs no memory. */
#pragma once

#include "base/bytes.h"

#include <sys/types.h>

/* Where the client's frames stand. All zero: before the first. */
struct mirror {
    uint64_t left; /* of the payload under way */
    uint8_t head[14];
    uint8_t have; /* bytes in `head` */
    uint8_t mask_at;
    bool is_in_payload;
    bool is_in_message; /* its last fragment is still to come */
    bool has_closed;    /* a Close frame was answered: nothing follows */
    bool is_broken;     /* what came is no frame that a client may send: Close 1002 is due */
};

/* The answer may be longer than the last piece, by a header whose beginning came before. */
#define MIRROR_ROOM 16

/* Turns the `len` bytes of the client that lie at `at + MIRROR_ROOM` into the answer, which begins
 * at `at`, and returns the answer's length, at most len + MIRROR_ROOM. Frames of data come back as
 * they were cut, ping becomes pong, pong nothing, close the same close (RFC 6455 sections 5.4
 * and 5.5). Judged are masks, lengths, reserved bits and opcodes and the order of fragments
 * (sections 5.2 to 5.5); text is not checked to be UTF-8. After `has_closed` or `is_broken` nothing
 * is read any more. */
size_t mirror_turn(struct mirror *mirror, uint8_t *at, size_t len);
