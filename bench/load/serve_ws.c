/* Frames, as they stream by: echoed, swallowed or handed round. A frame's header is answered as
 * soon as it is whole; its payload is unmasked on its way from one buffer to the other. */
#include "serve.h"

#include <errno.h>
#include <string.h>

static void unmask(uint8_t *to, const uint8_t *from, size_t len, const uint8_t mask[4],
                   uint64_t position)
{
    uint8_t turned[8];
    uint64_t wide;
    size_t i = 0;

    for (unsigned k = 0; k < 8; k++)
        turned[k] = mask[(position + k) % 4];
    memcpy(&wide, turned, 8);
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(to + i, &word, 8);
    }
    for (; i < len; i++)
        to[i] = from[i] ^ turned[i % 8];
}

static bool is_nth(const struct server *s, unsigned long every)
{
    return every && s->count % every == 0;
}

static int begin_frame(struct server *s, struct guest *g)
{
    uint8_t header[WS_HEADER_MAX];
    size_t len;

    g->position = 0;
    s->count++;
    if (is_nth(s, s->options.cut))
        return -ECONNRESET;
    g->swallows = is_nth(s, s->options.lose);
    if (g->trade == PUBLISHER)
        s->published_len = ws_write_header(s->published, WS_BINARY, g->left, false);
    if (g->trade == PUBLISHER && g->left > PUBLISHED_MAX)
        return -EMSGSIZE;
    if (g->trade != ECHO || g->swallows)
        return 0;
    len = ws_write_header(header, WS_BINARY, g->left, false);
    header[0] = g->opcode; /* with its FIN */
    return say_bytes(s, header, len);
}

/* To all; one whose socket is broken is found out at its next event. */
static void hand_round(struct server *s)
{
    for (struct guest *g = s->subscribers; g; g = g->next)
        tell(s, g, s->published, s->published_len);
}

static int end_frame(struct server *s, struct guest *g)
{
    if (g->trade == ECHO && !g->swallows && g->position && is_nth(s, s->options.damage))
        s->out[s->out_len - 1] ^= 1;
    if (g->trade == SINK && g->opcode & 0x80)
        return sink_end(g);
    if (g->trade == PUBLISHER)
        hand_round(s);
    return 0;
}

static int take_payload(struct server *s, struct guest *g, uint8_t *at, size_t len)
{
    uint8_t *to = at;

    if (g->trade == ECHO && g->swallows)
        return 0;
    if (g->trade == ECHO) {
        to = say(s, len);
    } else if (g->trade == PUBLISHER) {
        to = s->published + s->published_len;
        s->published_len += len;
    } else if (g->trade != SINK) {
        return 0;
    }
    if (!to)
        return -ENOMEM;
    size_t wanted = len;
    if (g->trade == SINK && !s->options.checks_all && wanted > STAMP_BYTES)
        wanted = STAMP_BYTES; /* enough for its stamp */
    unmask(to, at, wanted, g->mask, g->position);
    if (g->trade != SINK)
        return 0;
    int due = sink_take(s, g, at, len);
    return due > 0 ? sink_acknowledge(s, g) : due;
}

/* A whole control frame, unmasked. */
static int on_control(struct server *s, struct guest *g, const uint8_t *at, size_t len)
{
    uint8_t header[2];

    if ((g->opcode & 15) == WS_PONG)
        return 0;
    ws_write_header(header, (g->opcode & 15) == WS_PING ? WS_PONG : WS_CLOSE, len, false);
    if ((g->opcode & 15) == WS_CLOSE) {
        if (g->trade == SINK && sink_acknowledge(s, g))
            return -ENOMEM;
        if (g->trade == SOURCE) {
            /* frames do not lie within each other: what is begun is ended first */
            uint8_t rest[65536];
            while (!message_is_sent(&g->out)) {
                struct iovec part;
                message_rest(&g->out, &part, 1);
                size_t size = part.iov_len < sizeof rest ? part.iov_len : sizeof rest;
                memcpy(rest, part.iov_base, size);
                g->out.at += size;
                if (say_bytes(s, rest, size))
                    return -ENOMEM;
            }
        }
        guest_end(g);
    }
    return say_bytes(s, header, 2) || say_bytes(s, at, len) ? -ENOMEM : 0;
}

/* Bytes of a header; 0: not whole, negative: bad. A control frame is wanted whole. */
static ptrdiff_t take_header(struct server *s, struct guest *g, uint8_t *at, size_t len)
{
    size_t need = 6;
    uint64_t size;

    if (len < 2)
        return 0;
    if (!(at[1] & 0x80) || at[0] & 0x70)
        return -EPROTO;
    size = at[1] & 127;
    need += size == 126 ? 2 : size == 127 ? 8 : 0;
    if (len < need)
        return 0;
    if (size >= 126) {
        size = 0;
        for (size_t i = 2; i < need - 4; i++)
            size = size << 8 | at[i];
    }
    g->opcode = at[0];
    memcpy(g->mask, at + need - 4, 4);
    if (!(at[0] & 8)) {
        g->left = size;
        int bad = begin_frame(s, g);
        if (!bad && !size)
            bad = end_frame(s, g);
        return bad ? bad : (ptrdiff_t)need;
    }
    if (size > 125)
        return -EPROTO;
    if (len < need + size)
        return 0;
    unmask(at + need, at + need, (size_t)size, g->mask, 0);
    int bad = on_control(s, g, at + need, (size_t)size);
    return bad ? bad : (ptrdiff_t)(need + size);
}

ptrdiff_t frames_serve(struct server *s, struct guest *g, uint8_t *at, size_t len)
{
    size_t used = 0;

    while (used < len && g->trade != ENDING) {
        if (!g->left) {
            ptrdiff_t header = take_header(s, g, at + used, len - used);
            if (header < 0)
                return header;
            if (!header)
                break;
            used += (size_t)header;
            continue;
        }
        size_t part = len - used < g->left ? len - used : (size_t)g->left;
        int bad = take_payload(s, g, at + used, part);
        if (bad)
            return bad;
        used += part;
        g->position += part;
        g->left -= part;
        if (!g->left && (bad = end_frame(s, g)))
            return bad;
    }
    return (ptrdiff_t)(g->trade == ENDING ? len : used);
}
