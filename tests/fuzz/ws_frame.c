/* Frames: any cut of the same bytes leaves the same state and has seen the same things, and they
 * are what a reader sees that has all bytes before it. */
#include "codec/ws_frame.h"

#include "fuzz.h"

struct sight {
    bool is_aligned, is_at_boundary;
    uint64_t frames;
    uint16_t close_code; /* of the last Close */
};

/* --- the reader that has all bytes
 * ---------------------------------------------------------------- */

struct frame {
    unsigned opcode;
    bool is_fin, is_masked;
    size_t head_len; /* 0: not there yet */
    uint64_t payload_len;
};

/* What can be said about a frame by so many of its bytes. */
static struct frame frame_at(struct bytes in)
{
    struct frame f = {.opcode = in.at[0] & 15, .is_fin = in.at[0] >> 7, .is_masked = in.at[1] >> 7};
    size_t len_bytes = (in.at[1] & 127) == 126 ? 2 : (in.at[1] & 127) == 127 ? 8 : 0;

    f.payload_len = in.at[1] & 127;
    f.head_len = 2 + len_bytes + (f.is_masked ? 4 : 0);
    if (in.len < f.head_len)
        f.head_len = 0;
    else if (len_bytes)
        f.payload_len = 0;
    for (size_t i = 0; f.head_len && i < len_bytes; i++)
        f.payload_len = f.payload_len * 256 + in.at[2 + i];
    return f;
}

static bool is_allowed_at_once(const struct frame *f, unsigned short_len, bool is_masked,
                               bool is_in_message)
{
    switch (f->opcode) {
    case 0:
        return f->is_masked == is_masked && is_in_message;
    case 1:
    case 2:
        return f->is_masked == is_masked && !is_in_message;
    case 8:
        return f->is_masked == is_masked && f->is_fin && short_len <= 125 && short_len != 1;
    case 9:
    case 10:
        return f->is_masked == is_masked && f->is_fin && short_len <= 125;
    default:
        return false;
    }
}

static bool is_minimal(unsigned short_len, uint64_t len)
{
    if (short_len == 126)
        return len >= 126;
    return short_len != 127 || (len >= 65536 && len <= INT64_MAX);
}

static uint16_t code_of(const struct frame *f, struct bytes in)
{
    if (f->payload_len < 2)
        return 1005;
    const uint8_t *mask = f->is_masked ? in.at + f->head_len - 4 : (const uint8_t *)"\0\0";
    const uint8_t *code = in.at + f->head_len;
    unsigned number = (unsigned)(code[0] ^ mask[0]) * 256 + (code[1] ^ mask[1]);
    return number ? (uint16_t)number : 1005;
}

static struct sight look(struct bytes in, bool is_masked)
{
    struct sight s = {.is_aligned = true, .is_at_boundary = true};
    bool is_in_message = false;

    while (in.len) {
        s.is_at_boundary = false;
        if (in.len < 2)
            return s;
        struct frame f = frame_at(in);
        unsigned short_len = in.at[1] & 127;
        s.is_aligned = is_allowed_at_once(&f, short_len, is_masked, is_in_message);
        if (!s.is_aligned || !f.head_len)
            return s;
        s.is_aligned = is_minimal(short_len, f.payload_len);
        if (!s.is_aligned)
            return s;
        size_t wanted = f.head_len + (f.opcode == 8 && f.payload_len ? 2 : 0);
        if (in.len < wanted)
            return s;
        s.frames++;
        if (f.opcode == 8)
            s.close_code = code_of(&f, in);
        if (f.opcode < 8)
            is_in_message = !f.is_fin;
        if (f.payload_len > in.len - f.head_len)
            return s;
        in = bytes_from(in, f.head_len + (size_t)f.payload_len);
        s.is_at_boundary = true;
    }
    return s;
}

/* --- the one under test
 * --------------------------------------------------------------------------- */

enum cuts { WHOLE, SINGLE, RANDOM };

static struct sight follow(struct bytes in, bool is_masked, enum cuts cuts,
                           struct ws_track *ret_track)
{
    struct sight s = {0};
    struct cutter cutter = cutter_of(in);
    struct ws_track t = {0};

    for (size_t at = 0, len; at < in.len; at += len) {
        len = cuts == WHOLE ? in.len : cuts == SINGLE ? 1 : cutter_next(&cutter, in.len - at);
        struct bytes piece = exact(bytes_slice(in, at, at + len));
        bool was_at_boundary = ws_track_at_boundary(&t);
        struct ws_seen seen;
        ws_track_feed(&t, piece, is_masked, &seen);
        exact_free(piece);
        s.frames += seen.frames;
        if (seen.close_code)
            s.close_code = seen.close_code;
        REQUIRE((seen.first_boundary == 0) == was_at_boundary);
        REQUIRE(seen.first_boundary == SIZE_MAX || seen.first_boundary <= len);
        REQUIRE(seen.first_boundary != SIZE_MAX || !ws_track_at_boundary(&t));
        if (len == 1 && !was_at_boundary)
            REQUIRE((seen.first_boundary == 1) == ws_track_at_boundary(&t));
    }
    s.is_aligned = ws_track_is_aligned(&t);
    s.is_at_boundary = ws_track_at_boundary(&t);
    *ret_track = t;
    return s;
}

static bool is_alike(const struct sight *a, const struct sight *b)
{
    return a->is_aligned == b->is_aligned && a->is_at_boundary == b->is_at_boundary &&
           a->frames == b->frames && a->close_code == b->close_code;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = {at, len};

    for (int is_masked = 0; is_masked < 2; is_masked++) {
        struct sight expected = look(in, is_masked);
        struct ws_track first, other;
        for (int cuts = WHOLE; cuts <= RANDOM; cuts++) {
            struct sight s = follow(in, is_masked, (enum cuts)cuts, &other);
            REQUIRE(is_alike(&s, &expected));
            if (cuts == WHOLE)
                first = other;
            REQUIRE(memcmp(first.head, other.head, sizeof first.head) == 0);
            REQUIRE(first.have == other.have && first.flags == other.flags);
        }
    }
    return 0;
}
