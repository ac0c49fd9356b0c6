/* The state machine has two states: inside a header (its bytes are collected, 14 at most) and
 * inside a payload (a number that is counted down). A header that lies whole in the batch is read
 * where it lies. */
#include "codec/ws_frame.h"

#define WS_CONTINUATION 0x0
#define WS_CLOSE        0x8
#define OPCODES         0x0707 /* a bit each: continuation, text, binary; close, ping, pong */
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

/* Whether a frame may begin with these two bytes, here. */
static bool is_allowed(const uint8_t *at, bool is_masked, uint8_t flags)
{
    unsigned opcode = at[0] & 0x0f, short_len = at[1] & 0x7f;

    if (!(OPCODES >> opcode & 1) || ((at[1] & MASK_BIT) != 0) != is_masked)
        return false;
    if (!(opcode & CONTROL_BIT))
        return (opcode == WS_CONTINUATION) == ((flags & IN_MESSAGE) != 0);
    return at[0] & FIN_BIT && short_len <= 125 && !(opcode == WS_CLOSE && short_len == 1);
}

/* A length in 2 or 8 bytes. False: not minimal, or negative. */
static bool read_long_length(const uint8_t *at, size_t len, uint64_t *ret_length)
{
    uint64_t length = 0;

    for (size_t i = 0; i < len; i++)
        length = length << 8 | at[i];
    *ret_length = length;
    return length >= (len == 2 ? 126u : 65536u) && !(length >> 63);
}

static size_t long_length_bytes(unsigned short_len)
{
    return short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
}

/* > 0: the header is whole, *ret is filled; 0: more bytes are needed; < 0: no frame. */
static int read_header(const uint8_t *at, size_t have, bool is_masked, uint8_t *flags,
                       struct header *ret)
{
    if (have < 2)
        return 0;
    if (!is_allowed(at, is_masked, *flags))
        return -1;

    unsigned opcode = at[0] & 0x0f, short_len = at[1] & 0x7f;
    size_t extended = long_length_bytes(short_len);
    bool has_code = opcode == WS_CLOSE && short_len;
    size_t size = 2 + extended + (is_masked ? 4 : 0) + (has_code ? 2 : 0);
    uint64_t payload = short_len;

    if (have < size)
        return 0;
    if (extended && !read_long_length(at + 2, extended, &payload))
        return -1;
    *ret = (struct header){
        .size = size,
        .payload = payload - (has_code ? 2 : 0),
        .close_code = opcode == WS_CLOSE ? close_code_at(at, size, is_masked, short_len) : 0};
    if (!(opcode & CONTROL_BIT))
        *flags = (uint8_t)((*flags & ~IN_MESSAGE) | (at[0] & FIN_BIT ? 0 : IN_MESSAGE));
    return 1;
}

/* Reads the header that begins, or goes on, at `at`. Bytes used; 0 when it is no frame's. */
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
    if (found < 0) {
        *t = (struct ws_track){.flags = UNALIGNED};
        return 0;
    }
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

static size_t skip_payload(struct ws_track *t, size_t len)
{
    size_t skipped = t->left < len ? (size_t)t->left : len;

    t->left -= skipped;
    return skipped;
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
        if (!t.have && t.left)
            at += skip_payload(&t, bytes.len - at);
        else
            at += take_header(&t, bytes.at + at, bytes.len - at, is_masked, &seen);
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

uint64_t ws_track_payload_left(const struct ws_track *track)
{
    if (track->flags & UNALIGNED)
        return UINT64_MAX;
    return track->have ? 0 : track->left;
}

void ws_track_skip(struct ws_track *track, uint64_t len)
{
    if (!(track->flags & UNALIGNED))
        track->left -= len;
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
