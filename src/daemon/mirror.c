/* The answer to a frame is shorter than the frame, by the mask, so it can be written behind the
 * place that is read from. Only a header that came in pieces is written when most of it was read
 * before, in an earlier call: for that there is room in front. */
#include "daemon/mirror.h"

enum { OP_CONTINUATION = 0, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

#define FIN      0x80
#define RESERVED 0x70
#define MASKED   0x80
#define MASK_LEN 4u

static uint8_t opcode_of(const struct mirror *m)
{
    return m->head[0] & 0x0f;
}

static size_t extended_len(const struct mirror *m)
{
    uint8_t len = m->head[1] & 0x7f;

    return len == 126 ? 2 : len == 127 ? 8 : 0;
}

/* RFC 6455 section 5.5. A Close frame has a code, which is two bytes, or nothing. */
static bool is_control_frame(const struct mirror *m)
{
    bool is_known = opcode_of(m) >= OP_CLOSE && opcode_of(m) <= OP_PONG;

    return is_known && (m->head[0] & FIN) && m->left <= 125 &&
           !(opcode_of(m) == OP_CLOSE && m->left == 1);
}

/* A message begins with its opcode and goes on with continuations (section 5.4). */
static bool is_data_frame(const struct mirror *m)
{
    return opcode_of(m) <= OP_BINARY && (opcode_of(m) == OP_CONTINUATION) == m->is_in_message;
}

static bool is_shortest_len(const struct mirror *m)
{
    size_t extended = extended_len(m);

    return extended == 2   ? m->left > 125
           : extended == 8 ? m->left > 0xffff && !(m->left >> 63)
                           : true;
}

/* With the whole header in `head`. */
static bool open_frame(struct mirror *m)
{
    size_t extended = extended_len(m);
    bool is_data = !(opcode_of(m) & 8);

    m->left = extended ? 0 : m->head[1] & 0x7f;
    for (size_t i = 0; i < extended; i++)
        m->left = m->left << 8 | m->head[2 + i];
    if (!is_shortest_len(m) || !(is_data ? is_data_frame(m) : is_control_frame(m)))
        return false;
    if (is_data)
        m->is_in_message = !(m->head[0] & FIN);
    m->mask_at = 0;
    m->is_in_payload = true;
    return true;
}

/* Bytes used. Sees what is wrong with the first two at once: the rest of a header may never come.
 */
static size_t take_header(struct mirror *m, struct bytes in)
{
    size_t used = 0;

    while (used < in.len && !m->is_in_payload && !m->is_broken) {
        m->head[m->have++] = in.at[used++];
        if (m->have >= 2 && (!(m->head[1] & MASKED) || (m->head[0] & RESERVED)))
            m->is_broken = true;
        else if (m->have >= 2 && m->have == 2 + extended_len(m) + MASK_LEN)
            m->is_broken = !open_frame(m);
    }
    return used;
}

/* The same header without a mask. Its length. */
static size_t write_header(const struct mirror *m, uint8_t *to)
{
    size_t len = m->have - MASK_LEN;

    memcpy(to, m->head, len);
    to[1] &= 0x7f;
    if (opcode_of(m) == OP_PING)
        to[0] = FIN | OP_PONG;
    return len;
}

static void unmask(struct mirror *m, uint8_t *at, size_t len)
{
    const uint8_t *mask = m->head + m->have - MASK_LEN;
    uint8_t turned[8];
    uint64_t wide, word;
    size_t i = 0;

    for (size_t k = 0; k < sizeof turned; k++)
        turned[k] = mask[(m->mask_at + k) % MASK_LEN];
    memcpy(&wide, turned, sizeof wide);
    for (; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, at + i, sizeof word);
        word ^= wide;
        memcpy(at + i, &word, sizeof word);
    }
    for (size_t k = 0; i < len; i++, k++)
        at[i] ^= turned[k];
    m->mask_at = (uint8_t)((m->mask_at + len) % MASK_LEN);
}

static void end_frame(struct mirror *m)
{
    m->has_closed = opcode_of(m) == OP_CLOSE;
    m->is_in_payload = false;
    m->have = 0;
}

size_t mirror_turn(struct mirror *m, uint8_t *at, size_t len)
{
    size_t from = MIRROR_ROOM, to = 0, end = MIRROR_ROOM + len;

    while (from < end && !m->has_closed && !m->is_broken) {
        if (!m->is_in_payload) {
            from += take_header(m, (struct bytes){at + from, end - from});
            if (!m->is_in_payload)
                continue;
            if (opcode_of(m) != OP_PONG)
                to += write_header(m, at + to);
        }
        size_t piece = m->left < end - from ? (size_t)m->left : end - from;
        if (opcode_of(m) != OP_PONG) {
            unmask(m, at + from, piece);
            memmove(at + to, at + from, piece);
            to += piece;
        }
        from += piece;
        m->left -= piece;
        if (m->left == 0)
            end_frame(m);
    }
    return to;
}
