/* A real handshake, whose Accept is checked, and what may be asked for behind it: a ping that gets
 * its own pong, a message that gets the expected one. Then a Close, so that the server does not see
 * a client that broke.
 *
 * Messages that are not the expected one are passed over, as many servers greet; so are those too
 * long to be it. A ping of the server's gets its pong (RFC 6455 section 5.5.2). */
#include "codec/ws_handshake.h"
#include "health/answer.h"

#define MESSAGE_BYTES 16384u /* a longer message is not the expected one */
#define PING_BYTES    8
#define NORMAL        1000

enum opcode { CONTINUATION = 0x0, TEXT = 0x1, BINARY = 0x2, CLOSE = 0x8, PING = 0x9, PONG = 0xa };

enum phase { HEAD, REFUSED, OPEN, CLOSING };

struct own {
    struct answer answer;
    uint64_t skip_bytes; /* of a payload that is passed over */
    uint8_t key[WS_KEY_LEN];
    uint8_t ping[PING_BYTES];
    uint8_t phase;
    bool wants_pong, wants_message;
    bool in_message, is_too_long;
};
_Static_assert(sizeof(struct own) <= TALK_OWN_BYTES, "it fits into its talk");

struct frame {
    uint8_t opcode;
    bool is_last;
    size_t head_bytes;
    uint64_t payload_bytes;
};

static struct own *own_of(struct talk *talk)
{
    return (struct own *)(void *)talk->own;
}

/* --- the handshake ------------------------------------------------------------------------------
 */

static enum talk_next begin(struct talk *t)
{
    struct own *own = own_of(t);
    const char *path = t->settings->path ? t->settings->path : "/";
    uint64_t random[3] = {random_next(t->random), random_next(t->random), random_next(t->random)};
    uint8_t nonce[WS_NONCE_LEN];

    memcpy(nonce, random, sizeof nonce);
    memcpy(own->ping, &random[2], sizeof own->ping);
    ws_key_write(nonce, own->key);
    own->wants_pong = t->settings->ping;
    own->wants_message = t->settings->expect;
    t->if_late = REASON_ANSWER_TOO_SLOW;
    if (talk_say(t,
                 "GET %s HTTP/1.1\r\nHost: %s\r\n" TALK_AGENT
                 "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: %.*s\r\n\r\n",
                 path, t->host, (int)sizeof own->key, own->key))
        return talk_end(t, REASON_NO_MEMORY);
    return TALK_ON;
}

/* What was not offered may not be taken (RFC 6455 section 4.1). */
static enum reason judge_head(const struct own *own, const struct http1_head *answer)
{
    struct http1_head request;

    request.field_count = 1;
    request.field[0] =
        (struct http1_field){bytes_of("Sec-WebSocket-Key"), {own->key, sizeof own->key}};
    enum reason why = ws_answer_judge(&request, answer);
    if (why == REASON_DONE && (http1_find(answer, "sec-websocket-extensions").len ||
                               http1_find(answer, "sec-websocket-protocol").len))
        return REASON_ANSWER_WRONG;
    return why;
}

/* --- frames -------------------------------------------------------------------------------------
 */

static int say_frame(struct talk *t, enum opcode opcode, struct bytes payload)
{
    uint64_t random = random_next(t->random);
    uint8_t head[14] = {(uint8_t)(0x80u | opcode)};
    size_t len = 2;

    if (payload.len < 126) {
        head[1] = (uint8_t)(0x80u | payload.len);
    } else {
        size_t extended = payload.len < 65536 ? 2 : 8;
        head[1] = extended == 2 ? 0xfe : 0xff;
        for (size_t i = 0; i < extended; i++)
            head[2 + i] = (uint8_t)((uint64_t)payload.len >> 8 * (extended - 1 - i));
        len += extended;
    }
    uint8_t *mask = head + len;
    memcpy(mask, &random, 4);
    int error = buf_append(&t->out, (struct bytes){head, len + 4});
    for (size_t i = 0; !error && i < payload.len;) {
        uint8_t masked[512];
        size_t part = 0;
        for (; part < sizeof masked && i < payload.len; part++, i++)
            masked[part] = payload.at[i] ^ mask[i & 3];
        error = buf_append(&t->out, (struct bytes){masked, part});
    }
    return error;
}

static int say_close(struct talk *t)
{
    const uint8_t code[2] = {NORMAL >> 8, NORMAL & 0xff};

    return say_frame(t, CLOSE, (struct bytes){code, sizeof code});
}

/* What may stand in a server's first two bytes here (RFC 6455 section 5.2). */
static bool may_begin(const uint8_t *at, bool in_message)
{
    unsigned opcode = at[0] & 0x0f, short_len = at[1] & 0x7f;
    bool is_last = at[0] & 0x80, is_control = opcode & 0x8;

    if (at[0] & 0x70 || at[1] & 0x80)
        return false;
    if (is_control)
        return opcode <= PONG && is_last && short_len <= 125;
    return opcode <= BINARY && (opcode == CONTINUATION) == in_message;
}

/* > 0: a head is whole; 0: more, please; < 0: what no server may send. */
static int read_frame_head(struct bytes in, bool in_message, struct frame *ret)
{
    if (!in.at || in.len < 2)
        return 0;
    if (!may_begin(in.at, in_message))
        return -1;

    unsigned short_len = in.at[1] & 0x7f;
    size_t extended = short_len == 126 ? 2 : short_len == 127 ? 8 : 0;
    uint64_t len = extended ? 0 : short_len;
    if (in.len < 2 + extended)
        return 0;
    for (size_t i = 0; i < extended; i++)
        len = len << 8 | in.at[2 + i];
    if (len >> 63)
        return -1;
    *ret = (struct frame){in.at[0] & 0x0f, in.at[0] & 0x80, 2 + extended, len};
    return 1;
}

/* Everything that was asked for is there: the verdict is known, and the rest is manners. */
static enum talk_next settle(struct talk *t)
{
    struct own *own = own_of(t);

    if (own->wants_pong || own->wants_message) {
        t->if_late = own->wants_pong ? REASON_CHECK_PONG_MISSING : REASON_CHECK_REPLY_MISSING;
        return TALK_ON;
    }
    t->why = own->answer.asks_for_drain ? REASON_SERVER_DRAINS : REASON_DONE;
    t->if_late = t->why;
    own->phase = CLOSING;
    return say_close(t) ? talk_end(t, REASON_NO_MEMORY) : TALK_ON;
}

static enum talk_next take_message(struct talk *t, const struct frame *frame, struct bytes payload)
{
    struct own *own = own_of(t);
    struct bytes expected = own->wants_message ? bytes_of(t->settings->expect) : (struct bytes){0};

    own->in_message = !frame->is_last;
    if (own->wants_message && !own->is_too_long && buf_append(&t->message, payload))
        own->is_too_long = true;
    if (!frame->is_last)
        return TALK_ON;
    struct bytes message = buf_bytes(&t->message);
    bool is_it = own->wants_message && !own->is_too_long &&
                 bytes_find(message, expected, 0) + expected.len <= message.len;
    buf_done(&t->message);
    own->is_too_long = false;
    if (!is_it)
        return TALK_ON;
    own->wants_message = false;
    return settle(t);
}

static enum talk_next take_frame(struct talk *t, const struct frame *frame, struct bytes payload)
{
    struct own *own = own_of(t);

    switch (frame->opcode) {
    case PING:
        return say_frame(t, PONG, payload) ? talk_end(t, REASON_NO_MEMORY) : TALK_ON;
    case PONG:
        if (!own->wants_pong || !bytes_equal(payload, (struct bytes){own->ping, PING_BYTES}))
            return TALK_ON; /* one that nobody asked for is allowed (section 5.5.3) */
        own->wants_pong = false;
        return settle(t);
    case CLOSE:
        return say_close(t) ? talk_end(t, REASON_NO_MEMORY) : talk_end(t, REASON_CHECK_CLOSED);
    default:
        return take_message(t, frame, payload);
    }
}

/* Takes one frame. 0: more, please. */
static int take_one(struct talk *t, enum talk_next *ret_next)
{
    struct own *own = own_of(t);
    struct bytes in = buf_bytes(&t->in);
    struct frame frame;

    if (own->skip_bytes) {
        size_t part = in.len < own->skip_bytes ? in.len : (size_t)own->skip_bytes;
        buf_consume(&t->in, part);
        own->skip_bytes -= part;
        return part > 0;
    }
    int got = read_frame_head(in, own->in_message, &frame);
    if (got < 0) {
        *ret_next = talk_end(t, REASON_CHECK_FRAME_WRONG);
        return 1;
    }
    if (!got)
        return 0;
    if (frame.payload_bytes > MESSAGE_BYTES) {
        own->skip_bytes = frame.payload_bytes;
        own->is_too_long = !frame.is_last;
        own->in_message = !frame.is_last;
        if (frame.is_last)
            buf_done(&t->message);
        buf_consume(&t->in, frame.head_bytes);
        return 1;
    }
    size_t whole = frame.head_bytes + (size_t)frame.payload_bytes;
    if (in.len < whole)
        return 0;
    *ret_next = take_frame(t, &frame, bytes_slice(in, frame.head_bytes, whole));
    buf_consume(&t->in, whole);
    return 1;
}

static enum talk_next open(struct talk *t)
{
    struct own *own = own_of(t);
    const char *message = t->settings->send;
    int error = 0;

    own->phase = OPEN;
    buf_init(&t->message, MESSAGE_BYTES);
    if (own->wants_pong)
        error = say_frame(t, PING, (struct bytes){own->ping, PING_BYTES});
    if (!error && message)
        error = say_frame(t, TEXT, bytes_of(message));
    return error ? talk_end(t, REASON_NO_MEMORY) : settle(t);
}

static enum talk_next hear_frames(struct talk *t)
{
    struct own *own = own_of(t);
    enum talk_next next = TALK_ON;

    while (own->phase == OPEN && next == TALK_ON && take_one(t, &next))
        ;
    if (next == TALK_OVER)
        return next;
    if (own->phase == OPEN)
        return t->has_ended ? talk_end(t, REASON_CHECK_CLOSED) : TALK_ON;
    /* what still comes before the server's Close is of no interest, but it is waited for */
    enum reason verdict = t->why;
    while (next == TALK_ON && take_one(t, &next))
        ;
    t->why = verdict;
    return t->has_ended ? TALK_OVER : next;
}

/* --- what came ----------------------------------------------------------------------------------
 */

static enum talk_next hear_head(struct talk *t)
{
    struct own *own = own_of(t);
    struct http1_head head;
    int used = answer_take_head(t, &own->answer, &head);

    if (used <= 0)
        return used ? TALK_OVER : TALK_ON;
    enum reason why = judge_head(own, &head);
    if (why == REASON_DONE) {
        buf_consume(&t->in, (size_t)used);
        return open(t);
    }
    if (why != REASON_UPGRADE_REFUSED)
        return talk_end(t, why);
    own->phase = REFUSED;
    t->if_late = REASON_UPGRADE_REFUSED;
    return answer_begin_body(&own->answer, t, &head, (size_t)used)
               ? TALK_ON
               : talk_end(t, REASON_ANSWER_MALFORMED);
}

static enum talk_next hear_refusal(struct talk *t)
{
    struct answer *answer = &own_of(t)->answer;

    if (answer_take_body(t, answer) == TALK_ON)
        return TALK_ON;
    bool drains = answer->asks_for_drain || (t->status == 503 && answer->says_draining);
    return talk_end(t, drains ? REASON_SERVER_DRAINS : REASON_UPGRADE_REFUSED);
}

static enum talk_next hear(struct talk *t)
{
    struct own *own = own_of(t);

    if (own->phase == HEAD && hear_head(t) == TALK_OVER)
        return TALK_OVER;
    switch (own->phase) {
    case HEAD:
        return TALK_ON;
    case REFUSED:
        return hear_refusal(t);
    default:
        return hear_frames(t);
    }
}

const struct checker checker_websocket = {
    .name = "websocket",
    .help = "a handshake is accepted; a ping gets its pong, a message its answer",
    .kind = CHECK_WEBSOCKET,
    .begin = begin,
    .hear = hear,
};
