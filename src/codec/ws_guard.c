/* Three states: inside a header (its bytes are held), inside a payload (counted down, and read
 * where it is text), and behind a Close frame (nothing counts any more).
 *
 * Text is judged byte by byte as the grammar of RFC 3629 section 4 has it, eight at a time where
 * they are ASCII, with the mask taken off in passing; a character may be cut by fragments and
 * batches anywhere (RFC 6455 section 8.1). */
#include "codec/ws_guard.h"

#include "base/check.h"

#define FIN_BIT     0x80
#define RSV_BITS    0x70
#define RSV1_BIT    0x40
#define MASK_BIT    0x80
#define CONTROL_BIT 0x08
#define OPCODES     0x0707 /* a bit each: continuation, text, binary; close, ping, pong */

enum opcode { CONTINUATION = 0, TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

enum flag {
    IN_MESSAGE = 1, /* a fragmented message has begun and not ended */
    IS_TEXT = 2,    /* that message must be UTF-8 */
    IS_READ = 4,    /* the payload under way must be UTF-8 */
    IS_LAST = 8,    /* behind it no character may be unfinished */
    HAS_CLOSED = 16,
};

/* --- what can be wrong --------------------------------------------------------------------------
 */

#define FAULTS(FAULT)                                                                              \
    FAULT(RESERVED, FRAME_RESERVED, "a reserved bit is set for no extension")                      \
    FAULT(OPCODE, FRAME_OPCODE, "the opcode is reserved")                                          \
    FAULT(FRAGMENTED, FRAME_CONTROL, "a control frame is fragmented")                              \
    FAULT(LONG_CONTROL, FRAME_CONTROL, "a control frame is longer than 125 bytes")                 \
    FAULT(UNMASKED, FRAME_MASK, "a client's frame is not masked")                                  \
    FAULT(MASKED, FRAME_MASK, "a server's frame is masked")                                        \
    FAULT(LONG_FORM, FRAME_LENGTH, "the length is not written in its shortest form")               \
    FAULT(NEGATIVE, FRAME_LENGTH, "the highest bit of a 64-bit length is set")                     \
    FAULT(NO_BEGINNING, FRAME_SEQUENCE, "a continuation continues nothing")                        \
    FAULT(INTERLEAVED, FRAME_SEQUENCE, "a message begins inside another one")                      \
    FAULT(CLOSE_OF_ONE, FRAME_CLOSE, "a Close frame's payload is a single byte")                   \
    FAULT(CLOSE_CODE, FRAME_CLOSE, "a Close frame has a code that must not be sent")               \
    FAULT(NOT_UTF8, FRAME_TEXT, "text is not UTF-8")                                               \
    FAULT(CUT_UTF8, FRAME_TEXT, "text ends inside a character")                                    \
    FAULT(TOO_LARGE, MESSAGE_TOO_LARGE, "the message exceeds guard.max_message")                   \
    FAULT(TOO_MANY, MESSAGES_TOO_MANY, "more messages than guard.messages")

enum fault {
    NO_FAULT = -1,
#define FAULT(name, reason, words) FAULT_##name,
    FAULTS(FAULT)
#undef FAULT
};

static const struct ws_fault faults[] = {
#define FAULT(name, reason, words) {words, REASON_##reason},
    FAULTS(FAULT)
#undef FAULT
};

const struct ws_fault *ws_fault_at(unsigned number)
{
    return number < ARRAY_LEN(faults) ? &faults[number] : NULL;
}

/* --- text ---------------------------------------------------------------------------------------
 */

/* RFC 3629 section 4: the second byte's range keeps out what could be written shorter, surrogates,
 * and what lies beyond U+10FFFF. False: no character begins so. */
static inline bool begin_character(struct ws_character *c, uint8_t byte)
{
    if (byte < 0xc2 || byte > 0xf4)
        return byte < 0x80;
    c->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    c->from = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    c->to = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static inline bool take_byte(struct ws_character *c, uint8_t byte)
{
    if (!c->left)
        return begin_character(c, byte);
    if (byte < c->from || byte > c->to)
        return false;
    c->left--;
    c->from = 0x80;
    c->to = 0xbf;
    return true;
}

/* How many of the bytes, in eights, are ASCII. */
static size_t ascii_bytes(const uint8_t *at, size_t len, const uint8_t mask[4])
{
    uint64_t word, key, high = UINT64_C(0x8080808080808080);
    size_t used = 0;

    memcpy(&key, mask, 4);
    memcpy((uint8_t *)&key + 4, mask, 4);
    for (; used + sizeof word <= len; used += sizeof word) {
        memcpy(&word, at + used, sizeof word);
        if ((word ^ key) & high)
            break;
    }
    return used;
}

/* All by local copies: what is read through `at` may not alias them. */
static bool read_text(struct ws_guard *g, const uint8_t *at, size_t len)
{
    struct ws_character character = g->text;
    uint8_t mask[4];
    size_t i = 0;

    memcpy(mask, g->mask, sizeof mask);
    while (i < len) {
        if (!character.left)
            i += ascii_bytes(at + i, len - i, mask);
        for (size_t end = i + 4 < len ? i + 4 : len; i < end; i++)
            if (!take_byte(&character, at[i] ^ mask[i % 4]))
                return false;
    }
    g->text = character;
    return true;
}

static void turn_mask(struct ws_guard *g, size_t len)
{
    uint8_t old[4];

    memcpy(old, g->mask, sizeof old);
    for (size_t i = 0; i < 4; i++)
        g->mask[i] = old[(i + len) % 4];
}

/* --- headers ------------------------------------------------------------------------------------
 */

struct header {
    unsigned opcode;
    bool is_final;
    size_t size;      /* with a Close frame's code */
    uint64_t payload; /* whole */
    const uint8_t *mask;
};

/* RFC 6455 section 7.4, and the codes that IANA has registered since. */
static bool may_be_sent(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static bool is_reserved(const struct ws_rules *rules, unsigned first)
{
    unsigned allowed = 0, opcode = first & 15;

    if (rules->extension == WS_OTHER_FRAMES)
        allowed = RSV_BITS;
    else if (rules->extension == WS_DEFLATE && opcode != CONTINUATION && !(opcode & CONTROL_BIT))
        allowed = RSV1_BIT;
    return first & RSV_BITS & ~allowed;
}

/* What is wrong by the first two bytes. */
static enum fault judge_start(const struct ws_guard *g, const struct ws_rules *rules,
                              const uint8_t *at)
{
    unsigned opcode = at[0] & 15, short_len = at[1] & 127;

    if (is_reserved(rules, at[0]))
        return FAULT_RESERVED;
    if (!(OPCODES >> opcode & 1))
        return FAULT_OPCODE;
    if (((at[1] & MASK_BIT) != 0) != rules->is_masked)
        return rules->is_masked ? FAULT_UNMASKED : FAULT_MASKED;
    if (!(opcode & CONTROL_BIT)) {
        bool goes_on = g->flags & IN_MESSAGE;
        if ((opcode == CONTINUATION) == goes_on)
            return NO_FAULT;
        return goes_on ? FAULT_INTERLEAVED : FAULT_NO_BEGINNING;
    }
    if (!(at[0] & FIN_BIT))
        return FAULT_FRAGMENTED;
    if (short_len > 125)
        return FAULT_LONG_CONTROL;
    return opcode == CLOSE && short_len == 1 ? FAULT_CLOSE_OF_ONE : NO_FAULT;
}

static size_t long_length_bytes(unsigned short_len)
{
    return short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
}

static enum fault read_length(const uint8_t *at, size_t len, uint64_t *ret_length)
{
    uint64_t length = 0;

    for (size_t i = 0; i < len; i++)
        length = length << 8 | at[i];
    *ret_length = length;
    if (length < (len == 2 ? 126u : 65536u))
        return FAULT_LONG_FORM;
    return length >> 63 ? FAULT_NEGATIVE : NO_FAULT;
}

/* > 0: *ret is filled; 0: more bytes are needed; < 0: *ret_fault says why not. */
static int read_header(const struct ws_guard *g, const struct ws_rules *rules, struct bytes in,
                       struct header *ret, enum fault *ret_fault)
{
    if (in.len < 2)
        return 0;
    *ret_fault = judge_start(g, rules, in.at);
    if (*ret_fault != NO_FAULT)
        return -1;

    unsigned short_len = in.at[1] & 127;
    size_t extended = long_length_bytes(short_len);
    size_t plain = 2 + extended + (rules->is_masked ? 4 : 0);
    bool has_code = (in.at[0] & 15) == CLOSE && short_len;
    uint64_t payload = short_len;

    if (in.len < 2 + extended)
        return 0;
    if (extended)
        *ret_fault = read_length(in.at + 2, extended, &payload);
    if (*ret_fault != NO_FAULT)
        return -1;
    if (in.len < plain + (has_code ? 2 : 0))
        return 0;
    *ret = (struct header){
        .opcode = in.at[0] & 15,
        .is_final = in.at[0] & FIN_BIT,
        .size = plain + (has_code ? 2 : 0),
        .payload = payload,
        .mask = rules->is_masked ? in.at + plain - 4 : (const uint8_t *)"\0\0\0\0",
    };
    return 1;
}

/* > 0: the Pong that answers a Ping of ours; 0: it may be, and more bytes are needed. */
static int is_for_us(const struct ws_guard *g, const struct ws_rules *rules,
                     const struct header *header, struct bytes in)
{
    if (!g->awaited || header->opcode != PONG || header->payload != WS_NONCE_BYTES)
        return -1;
    for (size_t i = 0; i < WS_NONCE_BYTES; i++) {
        if (header->size + i >= in.len)
            return 0;
        if ((in.at[header->size + i] ^ header->mask[i % 4]) != rules->nonce[i])
            return -1;
    }
    return 1;
}

/* A message of the peer's: data, and every control frame. An empty fragment counts as one as well,
 * since nothing else would bound how many there are. */
static bool pay(struct ws_guard *g, const struct header *header)
{
    bool is_free = header->opcode == CONTINUATION && (header->payload || header->is_final);

    if (is_free || g->credit == WS_NO_CREDIT)
        return true;
    if (!g->credit)
        return false;
    g->credit--;
    return true;
}

static bool fits(struct ws_guard *g, const struct ws_rules *rules, const struct header *header)
{
    if (header->opcode != CONTINUATION)
        g->message = 0;
    bool is_over = header->payload > UINT64_MAX - g->message;
    g->message = is_over ? UINT64_MAX : g->message + header->payload;
    return !rules->max_message || g->message <= rules->max_message;
}

static enum fault begin_close(struct ws_guard *g, const struct header *header, struct bytes in)
{
    if (header->payload) {
        const uint8_t *at = in.at + header->size - 2;
        unsigned code =
            (unsigned)(at[0] ^ header->mask[0]) << 8 | (unsigned)(at[1] ^ header->mask[1]);
        if (!may_be_sent(code))
            return FAULT_CLOSE_CODE;
        turn_mask(g, 2);
        g->left -= 2;
    }
    memset(&g->text, 0, sizeof g->text);
    g->flags |= HAS_CLOSED | IS_READ | IS_LAST;
    return NO_FAULT;
}

static enum fault begin_data(struct ws_guard *g, const struct ws_rules *rules,
                             const struct header *header, unsigned first)
{
    bool is_plain = rules->extension != WS_OTHER_FRAMES && !(first & RSV1_BIT);

    if (!fits(g, rules, header))
        return FAULT_TOO_LARGE;
    if (header->opcode != CONTINUATION) {
        g->flags &= (uint8_t)~IS_TEXT;
        g->flags |= header->opcode == TEXT && is_plain ? IS_TEXT : 0;
        memset(&g->text, 0, sizeof g->text);
    }
    g->flags &= (uint8_t)~IN_MESSAGE;
    g->flags |= header->is_final ? 0 : IN_MESSAGE;
    if (g->flags & IS_TEXT)
        g->flags |= (uint8_t)(IS_READ | (header->is_final ? IS_LAST : 0));
    return NO_FAULT;
}

/* The frame whose header is whole begins. */
static enum fault begin_frame(struct ws_guard *g, const struct ws_rules *rules,
                              const struct header *header, struct bytes in)
{
    if (!pay(g, header))
        return FAULT_TOO_MANY;
    g->left = header->payload;
    g->flags &= (uint8_t) ~(IS_READ | IS_LAST);
    memcpy(g->mask, header->mask, sizeof g->mask);
    if (header->opcode == CLOSE)
        return begin_close(g, header, in);
    return header->opcode & CONTROL_BIT ? NO_FAULT : begin_data(g, rules, header, in.at[0]);
}

/* --- a batch ------------------------------------------------------------------------------------
 */

struct walk {
    struct ws_guard *g;
    const struct ws_rules *rules;
    struct bytes batch;
    size_t at, begun, from; /* now; the frame under way; what is not yet in a piece */
    struct ws_judged *judged;
};

static void add_piece(struct ws_judged *judged, struct bytes piece)
{
    if (piece.len)
        judged->piece[judged->count++] = piece;
}

/* What stands before `end` goes on; what stands there does not, up to now. */
static void leave_out(struct walk *w, size_t end)
{
    add_piece(w->judged, bytes_slice(w->batch, w->from, end));
    w->from = w->at;
}

static void find(struct walk *w, enum fault fault)
{
    w->judged->fault = &faults[fault];
    w->at = w->batch.len;
    if (w->begun == 0) {
        w->judged->count = 0; /* of what was held as well */
        w->judged->is_from_before = false;
    }
    leave_out(w, w->begun);
}

static void end_frame(struct walk *w)
{
    struct ws_guard *g = w->g;

    if (g->left)
        return;
    if (g->flags & IS_LAST && g->text.left) {
        find(w, FAULT_CUT_UTF8);
        return;
    }
    w->begun = w->at;
    if (w->judged->first_boundary == SIZE_MAX)
        w->judged->first_boundary = w->at;
    if (!(g->flags & HAS_CLOSED))
        return;
    w->at = w->batch.len;
    leave_out(w, w->begun);
}

static void take_payload(struct walk *w)
{
    struct ws_guard *g = w->g;
    size_t len = w->batch.len - w->at;

    len = g->left < len ? (size_t)g->left : len;
    if (g->flags & IS_READ && !read_text(g, w->batch.at + w->at, len)) {
        find(w, FAULT_NOT_UTF8);
        return;
    }
    turn_mask(g, len);
    g->left -= len;
    w->at += len;
    end_frame(w);
}

/* The header as far as it is here: where it was begun earlier, behind what was held. */
static struct bytes gather(struct walk *w, uint8_t space[WS_HELD_MAX])
{
    struct ws_guard *g = w->g;
    struct bytes here = {w->batch.at + w->at, w->batch.len - w->at};

    if (!g->have)
        return here;
    size_t more = WS_HELD_MAX - g->have < here.len ? WS_HELD_MAX - g->have : here.len;
    memcpy(space, g->held, g->have);
    memcpy(space + g->have, here.at, more);
    return (struct bytes){space, g->have + more};
}

static void hold(struct walk *w, struct bytes in)
{
    CHECK(in.len < WS_HELD_MAX);
    memcpy(w->g->held, in.at, in.len);
    w->g->have = (uint8_t)in.len;
    w->at = w->batch.len;
    leave_out(w, w->begun);
}

/* What was held of a frame that may go on. */
static void release(struct walk *w)
{
    struct ws_judged *judged = w->judged;

    if (!w->g->have)
        return;
    memcpy(judged->held, w->g->held, w->g->have);
    judged->is_from_before = true;
    add_piece(judged, (struct bytes){judged->held, w->g->have});
}

static void forget_held(struct walk *w)
{
    memset(w->g->held, 0, sizeof w->g->held);
    w->g->have = 0;
}

static void take_header(struct walk *w)
{
    struct ws_guard *g = w->g;
    uint8_t space[WS_HELD_MAX];
    struct header header;
    struct bytes in = gather(w, space);
    size_t had = g->have;

    if (!had) {
        w->begun = w->at;
        g->frames++;
    }
    enum fault fault = NO_FAULT;
    int found = read_header(g, w->rules, in, &header, &fault);
    int ours = found > 0 ? is_for_us(g, w->rules, &header, in) : -1;
    if (found < 0) {
        find(w, fault);
        return;
    }
    if (found == 0 || ours == 0) {
        hold(w, in);
        return;
    }
    if (ours > 0) {
        forget_held(w);
        g->awaited--;
        w->judged->pongs++;
        w->at += header.size + WS_NONCE_BYTES - had;
        leave_out(w, w->begun);
        w->begun = w->at;
        return;
    }
    fault = begin_frame(g, w->rules, &header, in);
    if (fault != NO_FAULT) {
        find(w, fault);
        return;
    }
    release(w);
    forget_held(w);
    size_t beyond = had > header.size ? had - header.size : 0; /* held of a Pong that is not ours */
    g->left -= beyond;
    turn_mask(g, beyond);
    w->at += header.size + beyond - had;
    end_frame(w);
}

void ws_guard_feed(struct ws_guard *guard, const struct ws_rules *rules, struct bytes batch,
                   struct ws_judged *ret_judged)
{
    struct ws_judged *judged = ret_judged;
    struct walk w = {.g = guard, .rules = rules, .batch = batch, .judged = judged};

    judged->count = judged->pongs = 0;
    judged->is_from_before = false;
    judged->fault = NULL;
    judged->first_boundary = ws_guard_at_boundary(guard) ? 0 : SIZE_MAX;
    if (guard->flags & HAS_CLOSED && !guard->left)
        return;
    while (w.at < batch.len && !judged->fault) {
        if (guard->left)
            take_payload(&w);
        else
            take_header(&w);
    }
    if (!judged->fault)
        leave_out(&w, batch.len);
}

bool ws_guard_at_boundary(const struct ws_guard *guard)
{
    return !guard->left;
}

bool ws_guard_has_closed(const struct ws_guard *guard)
{
    return guard->flags & HAS_CLOSED;
}

void ws_ping_write(const uint8_t nonce[WS_NONCE_BYTES], uint8_t ret_frame[WS_PING_BYTES])
{
    ret_frame[0] = FIN_BIT | PING;
    ret_frame[1] = WS_NONCE_BYTES;
    memcpy(ret_frame + 2, nonce, WS_NONCE_BYTES);
}
