/* Position p of a message with sequence s is table[(p + s) mod 256 ...]: one vector, or one
 * comparison, for up to 64 KiB. A masked table j holds byte i as i ^ key[i mod 4]; since reading
 * begins at p + s, the key that is told to the receiver is turned by s. */
#include "message.h"

#include <string.h>

void tables_init(struct tables *t, uint64_t seed)
{
    for (size_t i = 0; i < sizeof t->plain; i++)
        t->plain[i] = (uint8_t)i;
    for (unsigned m = 0; m < MASKS; m++) {
        for (unsigned k = 0; k < 4; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            t->key[m][k] = (uint8_t)(seed >> 40);
        }
        for (size_t i = 0; i < sizeof t->masked[m]; i++)
            t->masked[m][i] = (uint8_t)(i ^ t->key[m][i % 4]);
    }
}

size_t ws_write_header(uint8_t *at, enum ws_opcode opcode, uint64_t size, bool is_masked)
{
    uint8_t mask_bit = is_masked ? 0x80 : 0;

    at[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        at[1] = (uint8_t)(mask_bit | size);
        return 2;
    }
    if (size < 65536) {
        at[1] = mask_bit | 126;
        at[2] = (uint8_t)(size >> 8);
        at[3] = (uint8_t)size;
        return 4;
    }
    at[1] = mask_bit | 127;
    for (unsigned i = 0; i < 8; i++)
        at[2 + i] = (uint8_t)(size >> (56 - 8 * i));
    return 10;
}

void message_begin_ws(struct message *m, const struct tables *t, uint64_t size,
                      const struct stamp *stamp, bool is_masked)
{
    size_t used = ws_write_header(m->start, WS_BINARY, size, is_masked);

    m->table = t->plain;
    if (is_masked) {
        unsigned which = stamp->sequence % MASKS;
        m->table = t->masked[which];
        for (unsigned i = 0; i < 4; i++)
            m->start[used++] = t->key[which][(i + stamp->sequence) % 4];
    }
    memcpy(m->start + used, stamp, STAMP_BYTES);
    for (unsigned i = 0; is_masked && i < STAMP_BYTES; i++)
        m->start[used + i] ^= m->start[used - 4 + i % 4];
    m->lead_len = 0;
    m->start_len = (uint8_t)(used + STAMP_BYTES);
    m->stamp_len = STAMP_BYTES;
    m->sequence = stamp->sequence;
    m->at = 0;
    m->total = used + size;
}

void message_begin_plain(struct message *m, const struct tables *t, const void *lead,
                         size_t lead_len, uint64_t size, const struct stamp *stamp)
{
    m->lead = lead;
    m->lead_len = (uint32_t)lead_len;
    m->start_len = m->stamp_len = stamp ? STAMP_BYTES : 0;
    if (stamp)
        memcpy(m->start, stamp, STAMP_BYTES);
    m->table = t->plain;
    m->sequence = stamp ? stamp->sequence : 0;
    m->at = 0;
    m->total = lead_len + size;
}

int message_rest(const struct message *m, struct iovec *iov, int max)
{
    uint64_t at = m->at, head = (uint64_t)m->lead_len + m->start_len;
    int count = 0;

    if (at < m->lead_len) {
        iov[count++] = (struct iovec){(char *)m->lead + at, (size_t)(m->lead_len - at)};
        at = m->lead_len;
    }
    if (at < head) {
        uint64_t from = at - m->lead_len;
        iov[count++] = (struct iovec){(void *)(m->start + from), (size_t)(m->start_len - from)};
        at = head;
    }
    while (at < m->total && count < max) {
        uint64_t position = at - head + m->stamp_len, left = m->total - at;
        size_t len = left < TABLE_BYTES ? (size_t)left : TABLE_BYTES;
        iov[count++] = (struct iovec){(void *)(m->table + (uint8_t)(position + m->sequence)), len};
        at += len;
    }
    return count;
}

bool check_take(struct check *c, const struct tables *t, const uint8_t *at, size_t len,
                bool is_whole)
{
    while (len > 0) {
        size_t part = len < TABLE_BYTES ? len : TABLE_BYTES;

        if (c->at < STAMP_BYTES) {
            if (part > STAMP_BYTES - c->at)
                part = (size_t)(STAMP_BYTES - c->at);
            memcpy(c->bytes + c->at, at, part);
        } else if (!is_whole) {
            part = len;
        } else if (memcmp(at, t->plain + (uint8_t)(c->at + c->stamp.sequence), part) != 0) {
            return false;
        }
        c->at += part;
        at += part;
        len -= part;
    }
    return true;
}
