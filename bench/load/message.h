/* Messages whose every byte follows from their stamp, so that neither side keeps what it sent: a
 * sender fills vectors from a table, a receiver compares with it, whatever the size.
 *
 * A payload is the stamp (16 bytes: intended time, connection, sequence; in this machine's order)
 * and then bytes (position + sequence) mod 256. What is masked is masked in the table already: the
 * pattern repeats after 256 bytes, and 4 divides 256. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define STAMP_BYTES   16u
#define TABLE_BYTES   65536u
#define MASKS         4u
#define WS_HEADER_MAX 14u
#define MESSAGE_IOV   34
#define PEEK_BYTES    4096u /* read of a message before its rest is skipped */

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

struct stamp {
    uint64_t intended_nsec;
    uint32_t connection, sequence;
};

struct tables {
    uint8_t plain[TABLE_BYTES + 256];
    uint8_t masked[MASKS][TABLE_BYTES + 256];
    uint8_t key[MASKS][4];
};

/* One on its way out; at == total: none is. */
struct message {
    const void *lead; /* borrowed: an HTTP head */
    uint32_t lead_len;
    uint8_t start_len, stamp_len;
    uint8_t start[WS_HEADER_MAX + STAMP_BYTES];
    const uint8_t *table;
    uint32_t sequence;
    uint64_t at, total;
};

/* One that comes in. */
struct check {
    uint64_t at; /* of the payload */
    union {
        struct stamp stamp;
        uint8_t bytes[STAMP_BYTES];
    };
};

void tables_init(struct tables *t, uint64_t seed);

/* Writes a frame's header without its mask; returns its length. */
size_t ws_write_header(uint8_t *at, enum ws_opcode opcode, uint64_t size, bool is_masked);

/* A binary frame; masked if a client sends it. `size` is that of the payload, at least a stamp. */
void message_begin_ws(struct message *m, const struct tables *t, uint64_t size,
                      const struct stamp *stamp, bool is_masked);

/* `lead`, then a payload of `size` bytes, which begins with the stamp if there is one. */
void message_begin_plain(struct message *m, const struct tables *t, const void *lead,
                         size_t lead_len, uint64_t size, const struct stamp *stamp);

/* What is still to be sent, at most `max` vectors and 2 MiB of it; returns how many. */
int message_rest(const struct message *m, struct iovec *iov, int max);

static inline bool message_is_sent(const struct message *m)
{
    return m->at == m->total;
}

/* The next bytes of a payload: false if one is not what the stamp promises. With `is_whole` unset
 * only the stamp is collected. */
bool check_take(struct check *c, const struct tables *t, const uint8_t *at, size_t len,
                bool is_whole);
