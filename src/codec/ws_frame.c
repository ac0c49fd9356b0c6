/* The state machine has two states: inside a header (its bytes are collected, 14 at most) and
 * inside a payload (a number that is counted down). A header that lies whole in the batch is read
 * where it lies. */
#include "codec/ws_frame.h"

#define WS_CONTINUATION 0x0
#define WS_BINARY       0x2
#define WS_CLOSE        0x8
#define WS_PONG         0xa
#define CONTROL_BIT     0x8
#define FIN_BIT         0x80
#define MASK_BIT        0x80
#define NO_CODE         1005

enum track_flag {
    UNALIGNED = 1,
    IN_MESSAGE = 2, /* a fragmented message has begun and not ended */
};

struct header {
    size_t size;         /* of the header, with a Close frame's code */
    uint64_t payload;    /* behind it */
    uint16_t close_code; /* 0: no Close frame */
};

/* The code lies last in what counts as the header. One that says 0, which nobody may, counts as
 * none. */
static uint16_t close_code_at(const uint8_t *at, size_t size, bool is_masked, unsigned payload_len)
{
    const uint8_t *mask = is_masked ? at + 2 : (const uint8_t[2]){0};

    if (payload_len < 2)
        return NO_CODE;
    unsigned code = (unsigned)(at[size - 2] ^ mask[0]) << 8 | (unsigned)(at[size - 1] ^ mask[1]);
    return code ? (uint16_t)code : NO_CODE;
}

/* > 0: the header is whole, *ret is filled; 0: more bytes are needed; < 0: no frame. */
static int read_header(const uint8_t *at, size_t have, bool is_masked, uint8_t *flags,
                       struct header *ret)
{
    if (have < 2)
        return 0;

    unsigned opcode = at[0] & 0x0f;
    bool is_control = opcode & CONTROL_BIT, is_fin = at[0] & FIN_BIT;
    unsigned short_len = at[1] & 0x7f;
    size_t extended = short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
    size_t size = 2 + extended + (is_masked ? 4 : 0);
    uint64_t payload = short_len;

    if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
        return -1;
    if (is_control && (!is_fin || short_len > 125))
        return -1;
    if (((at[1] & MASK_BIT) != 0) != is_masked)
        return -1;
    if (!is_control && (opcode == WS_CONTINUATION) != ((*flags & IN_MESSAGE) != 0))
        return -1;
    if (opcode == WS_CLOSE && short_len == 1)
        return -1;
    if (opcode == WS_CLOSE && short_len >= 2)
        size += 2;
    if (have < size)
        return 0;

    if (extended) {
        payload = 0;
        for (size_t i = 0; i < extended; i++)
            payload = payload << 8 | at[2 + i];
        if (payload < (extended == 2 ? 126u : 65536u) || payload >> 63)
            return -1;
    }
    *ret = (struct header){.size = size, .payload = payload};
    if (opcode == WS_CLOSE) {
        ret->close_code = close_code_at(at, size, is_masked, short_len);
        ret->payload -= short_len ? 2 : 0;
    }
    if (!is_control)
        *flags = is_fin ? (uint8_t)(*flags & ~IN_MESSAGE) : (uint8_t)(*flags | IN_MESSAGE);
    return 1;
}

/* Reads the header that begins, or goes on, at `at`. Bytes used; SIZE_MAX: no frame. */
static size_t take_header(struct ws_track *t, const uint8_t *at, size_t len, bool is_masked,
                          struct ws_seen *seen)
{
    struct header header;
    size_t had = t->have;
    const uint8_t *from = at;
    size_t have = len;

    if (had) { /* it began in an earlier batch: go on where it is collected */
        size_t room = sizeof t->head - had;
        size_t more = len < room ? len : room;
        memcpy(t->head + had, at, more);
        from = t->head;
        have = had + more;
    }
    int found = read_header(from, have, is_masked, &t->flags, &header);
    if (found < 0)
        return SIZE_MAX;
    if (found == 0) {
        if (!had)
            memcpy(t->head, at, have);
        t->have = (uint8_t)have;
        return len;
    }
    seen->frames++;
    if (header.close_code)
        seen->close_code = header.close_code;
    t->have = 0;
    memset(t->head, 0, sizeof t->head);
    t->left = header.payload;
    return header.size - had;
}

void ws_track_feed(struct ws_track *track, struct bytes bytes, bool is_masked,
                   struct ws_seen *ret_seen)
{
    struct ws_track t = *track;
    struct ws_seen seen = {.first_boundary = SIZE_MAX};
    size_t at = 0;

    if (ws_track_at_boundary(&t))
        seen.first_boundary = 0;
    while (at < bytes.len && !(t.flags & UNALIGNED)) {
        if (!t.have && t.left) {
            size_t skipped = t.left < bytes.len - at ? (size_t)t.left : bytes.len - at;
            t.left -= skipped;
            at += skipped;
        } else {
            size_t used = take_header(&t, bytes.at + at, bytes.len - at, is_masked, &seen);
            if (used == SIZE_MAX)
                t = (struct ws_track){.flags = UNALIGNED};
            else
                at += used;
        }
        if (seen.first_boundary == SIZE_MAX && ws_track_at_boundary(&t))
            seen.first_boundary = at;
    }
    *track = t;
    *ret_seen = seen;
}

bool ws_track_is_aligned(const struct ws_track *track)
{
    return !(track->flags & UNALIGNED);
}

bool ws_track_at_boundary(const struct ws_track *track)
{
    return !(track->flags & UNALIGNED) && !track->have && !track->left;
}

size_t ws_close_write(uint16_t code, const uint8_t mask[4], uint8_t ret_frame[8])
{
    const uint8_t body[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    ret_frame[0] = FIN_BIT | WS_CLOSE;
    ret_frame[1] = 2;
    if (!mask) {
        memcpy(ret_frame + 2, body, 2);
        return 4;
    }
    ret_frame[1] |= MASK_BIT;
    memcpy(ret_frame + 2, mask, 4);
    ret_frame[6] = body[0] ^ mask[0];
    ret_frame[7] = body[1] ^ mask[1];
    return 8;
}
