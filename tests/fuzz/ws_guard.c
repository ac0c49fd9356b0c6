/* The guard: any cut of the same bytes comes to the same verdict, at the same frame, and passes on
 * what a slow reader would that has all bytes before it and reads each message from its beginning.
 *
 * Every input is read as both directions, with every extension, with and without limits, and while
 * answers to pings of ours are awaited and not. */
#include "codec/ws_guard.h"

#include "base/utf8.h"

#include "fuzz.h"

#include <string.h>

#define MAX_MESSAGE 20u
#define CREDIT      4u

static const uint8_t nonce[WS_NONCE_BYTES] = {'o', 'u', 'r', 's', '1', '2', '3', '4'};

struct verdict {
    const char *fault; /* a word of its words; NULL: none */
    uint64_t frame;
    uint8_t *out;   /* what passes for certain: up to the frame that is wrong or not whole */
    size_t out_len; /* of it */
    size_t may_len; /* what may have passed of a frame whose payload is wrong */
    bool has_closed;
};

/* --- the reader that has all bytes --------------------------------------------------------------
 */

struct reader {
    const struct ws_rules *rules;
    struct bytes in;
    uint32_t credit;
    unsigned awaited;
    bool is_in_message, is_text;
    uint64_t message; /* its size so far */
    uint8_t *text;    /* the message's, unmasked */
    size_t text_len;
    struct verdict v;
};

/* Whether it is the beginning of a character: there is a way to go on. */
static bool begins_character(struct bytes rest)
{
    static const uint8_t tails[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
    uint8_t whole[4] = {0};

    if (rest.len > 3)
        return false;
    memcpy(whole, rest.at, rest.len);
    for (size_t len = rest.len + 1; len <= 4; len++)
        for (size_t i = 0; i < sizeof tails; i++) {
            memset(whole + rest.len, 0x80, 4 - rest.len);
            whole[rest.len] = tails[i];
            if (utf8_len((struct bytes){whole, len}) == len)
                return true;
        }
    return false;
}

/* 0: whole characters; 1: and the beginning of one; 2: no text. */
static int look_at_text(struct bytes text)
{
    while (text.len) {
        size_t len = utf8_len(text);
        if (!len)
            return begins_character(text) ? 1 : 2;
        text = bytes_from(text, len);
    }
    return 0;
}

static bool is_code(unsigned code)
{
    if (code >= 3000)
        return code < 5000;
    return code >= 1000 && code < 1015 && code != 1004 && code != 1005 && code != 1006;
}

static const char *wrong_start(const struct reader *r, unsigned first, unsigned second)
{
    unsigned opcode = first & 15, rsv = first & 0x70, len = second & 127;
    bool is_data = opcode < 8, is_masked = second & 128;

    if (r->rules->extension == WS_DEFLATE && opcode >= 1 && is_data)
        rsv &= 0x30u;
    if (rsv && r->rules->extension != WS_OTHER_FRAMES)
        return "reserved bit";
    if (opcode > 10 || (opcode > 2 && opcode < 8))
        return "opcode";
    if (is_masked != r->rules->is_masked)
        return "masked";
    if (is_data && opcode == 0 && !r->is_in_message)
        return "continues nothing";
    if (is_data && opcode != 0 && r->is_in_message)
        return "inside another";
    if (!is_data && first < 128)
        return "is fragmented";
    if (!is_data && len > 125)
        return "longer than 125";
    return opcode == 8 && len == 1 ? "single byte" : NULL;
}

static void stop(struct reader *r, const char *fault)
{
    r->v.fault = fault;
    r->in.len = 0;
}

static void pass(struct reader *r, size_t len)
{
    len = len < r->in.len ? len : r->in.len;
    memcpy(r->v.out + r->v.out_len, r->in.at, len);
    r->v.out_len += len;
    r->v.may_len = r->v.out_len;
    r->in = bytes_from(r->in, len);
}

/* The payload, as far as it is there, behind what the message had. False: it is wrong. */
static bool is_text_so_far(struct reader *r, struct bytes payload, const uint8_t *mask,
                           bool is_whole, bool is_final)
{
    for (size_t i = 0; i < payload.len; i++)
        r->text[r->text_len++] = payload.at[i] ^ mask[i % 4];
    int found = look_at_text((struct bytes){r->text, r->text_len});
    if (found == 2)
        stop(r, "not UTF-8");
    else if (found == 1 && is_whole && is_final)
        stop(r, "inside a character");
    return !r->v.fault;
}

/* Text of a Close begins behind its code; 0 bytes are text. */
static void read_close(struct reader *r, size_t head, struct bytes payload, const uint8_t *mask,
                       uint64_t len)
{
    struct bytes words = bytes_from(payload, 2);
    const uint8_t turned[4] = {mask[2], mask[3], mask[0], mask[1]};

    r->v.has_closed = true;
    if (!len) {
        pass(r, head);
        r->in.len = 0;
        return;
    }
    unsigned code = (unsigned)(payload.at[0] ^ mask[0]) * 256 + (payload.at[1] ^ mask[1]);
    if (!is_code(code)) {
        stop(r, "must not be sent");
        return;
    }
    r->text_len = 0;
    size_t whole = head + payload.len;
    r->v.may_len = r->v.out_len + whole;
    memcpy(r->v.out + r->v.out_len, r->in.at, whole);
    if (!is_text_so_far(r, words, turned, payload.len == len, true))
        return;
    pass(r, head + (size_t)len);
    r->in.len = 0;
}

static bool is_ours(const struct reader *r, struct bytes payload, const uint8_t *mask)
{
    for (size_t i = 0; i < payload.len; i++)
        if ((payload.at[i] ^ mask[i % 4]) != nonce[i])
            return false;
    return r->awaited > 0;
}

static void read_data(struct reader *r, size_t head, struct bytes payload, const uint8_t *mask,
                      uint64_t len, unsigned first)
{
    bool is_final = first & 128;

    if (first & 15) {
        r->message = 0;
        r->text_len = 0;
        r->is_text = (first & 15) == 1 && !(first & 64) && r->rules->extension != WS_OTHER_FRAMES;
    }
    r->message = len > UINT64_MAX - r->message ? UINT64_MAX : r->message + len;
    if (r->rules->max_message && r->message > r->rules->max_message) {
        stop(r, "max_message");
        return;
    }
    r->is_in_message = !is_final;
    r->v.may_len = r->v.out_len + head + payload.len;
    memcpy(r->v.out + r->v.out_len, r->in.at, head + payload.len);
    if (r->is_text && !is_text_so_far(r, payload, mask, payload.len == len, is_final))
        return;
    pass(r, head + payload.len);
    if (payload.len < len)
        r->in.len = 0;
}

static void read_frame(struct reader *r)
{
    static const uint8_t no_mask[4];
    struct bytes in = r->in;

    r->v.frame++;
    if (in.len < 2) {
        stop(r, NULL);
        return;
    }
    const char *wrong = wrong_start(r, in.at[0], in.at[1]);
    if (wrong) {
        stop(r, wrong);
        return;
    }
    unsigned opcode = in.at[0] & 15, second = in.at[1] & 127;
    size_t extra = second == 126 ? 2 : second == 127 ? 8 : 0;
    uint64_t len = second;
    if (in.len < 2 + extra) {
        stop(r, NULL);
        return;
    }
    if (extra) {
        len = 0;
        for (size_t i = 0; i < extra; i++)
            len = len * 256 + in.at[2 + i];
        if ((extra == 2 && len < 126) || (extra == 8 && len < 65536)) {
            stop(r, "shortest form");
            return;
        }
        if (len > INT64_MAX) {
            stop(r, "highest bit");
            return;
        }
    }
    size_t head = 2 + extra + (r->rules->is_masked ? 4 : 0);
    if (in.len < head + (opcode == 8 && len ? 2 : 0)) {
        stop(r, NULL);
        return;
    }
    const uint8_t *mask = r->rules->is_masked ? in.at + head - 4 : no_mask;
    struct bytes payload = bytes_from(in, head);
    if (payload.len > len)
        payload.len = (size_t)len;
    if (opcode == 10 && len == 8 && is_ours(r, payload, mask)) {
        if (payload.len == 8)
            r->awaited--;
        r->in = payload.len == 8 ? bytes_from(in, head + 8) : (struct bytes){0};
        return;
    }
    bool costs = opcode || (!len && in.at[0] < 128);
    if (costs && r->credit != WS_NO_CREDIT && r->credit-- == 0) {
        stop(r, "guard.messages");
        return;
    }
    if (opcode == 8) {
        read_close(r, head, payload, mask, len);
    } else if (opcode > 8) {
        pass(r, head + payload.len);
        if (payload.len < len)
            r->in.len = 0;
    } else {
        read_data(r, head, payload, mask, len, in.at[0]);
    }
}

static struct verdict look(struct bytes in, const struct ws_rules *rules, uint32_t credit,
                           unsigned awaited)
{
    struct reader r = {.rules = rules, .in = in, .credit = credit, .awaited = awaited};

    r.text = malloc(in.len + 1);
    r.v.out = malloc(in.len + 1);
    REQUIRE(r.text && r.v.out);
    while (r.in.len)
        read_frame(&r);
    free(r.text);
    return r.v;
}

/* --- the one under test ------------------------------------------------------------------------
 */

enum cuts { WHOLE, SINGLE, RANDOM };

static void follow(struct bytes in, const struct ws_rules *rules, uint32_t credit, unsigned awaited,
                   enum cuts cuts, const struct verdict *expected)
{
    struct ws_guard guard = {.credit = credit, .awaited = (uint8_t)awaited};
    const struct ws_fault *fault = NULL;
    struct cutter cutter = cutter_of(in);
    size_t out = 0;

    for (size_t at = 0, len; at < in.len && !fault; at += len) {
        len = cuts == WHOLE ? in.len : cuts == SINGLE ? 1 : cutter_next(&cutter, in.len - at);
        struct bytes piece = exact(bytes_slice(in, at, at + len));
        bool was_at_boundary = ws_guard_at_boundary(&guard);
        struct ws_judged judged;
        ws_guard_feed(&guard, rules, piece, &judged);
        REQUIRE(judged.count <= WS_PIECES_MAX);
        for (unsigned i = 0; i < judged.count; i++) {
            struct bytes p = judged.piece[i];
            REQUIRE(p.len && (is_inside(p, piece) || (i == 0 && judged.is_from_before)));
            REQUIRE(out + p.len <= expected->may_len);
            REQUIRE(memcmp(expected->out + out, p.at, p.len) == 0);
            out += p.len;
        }
        REQUIRE((judged.first_boundary == 0) == was_at_boundary);
        fault = judged.fault;
        exact_free(piece);
    }
    REQUIRE(out >= expected->out_len);
    REQUIRE(guard.frames == expected->frame || expected->has_closed);
    REQUIRE((fault != NULL) == (expected->fault != NULL));
    REQUIRE(!fault || strstr(fault->words, expected->fault));
    REQUIRE(fault || out == expected->out_len);
    REQUIRE(cuts != WHOLE || out == expected->out_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = {at, len};

    for (unsigned kind = 0; kind < 24; kind++) {
        struct ws_rules rules = {
            .max_message = kind & 2 ? MAX_MESSAGE : 0,
            .is_masked = kind & 1,
            .extension = (uint8_t)(kind / 8),
        };
        uint32_t credit = kind & 2 ? CREDIT : WS_NO_CREDIT;
        unsigned awaited = kind & 4 ? WS_AWAITED_MAX : 0;
        memcpy(rules.nonce, nonce, sizeof nonce);
        struct verdict expected = look(in, &rules, credit, awaited);
        for (int cuts = WHOLE; cuts <= RANDOM; cuts++)
            follow(in, &rules, credit, awaited, (enum cuts)cuts, &expected);
        free(expected.out);
    }
    return 0;
}
