#include "codec/ws_guard.c"

#include "rows.h"

#define CLIENT true
#define SERVER false
#define M      "\0\0\0\0" /* a mask that changes nothing */
#define KEY    "\x01\x02\x03\x04"

static const uint8_t nonce[WS_NONCE_BYTES] = {'o', 'u', 'r', 's', '1', '2', '3', '4'};

/* One row: a stream, and what becomes of it. */
struct row {
    const char *name;
    struct bytes text;
    bool is_masked;
    enum ws_extension extension;
    uint64_t max_message;
    uint32_t credit; /* 0: any */
    enum fault fault;
    uint64_t frame;
    size_t good; /* bytes before the frame that is wrong */
};

/* clang-format off */
static const struct row bad[] = {
    {"RSV1 without an extension", TEXT("\xc1\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_RESERVED, 1, 0},
    {"RSV2 with compression", TEXT("\xa1\x00"), SERVER, WS_DEFLATE, 0, 0, FAULT_RESERVED, 1, 0},
    {"RSV3 of a client", TEXT("\x91\x80" M), CLIENT, WS_DEFLATE, 0, 0, FAULT_RESERVED, 1, 0},
    {"RSV1 on a continuation", TEXT("\x41\x00\xc0\x00"), SERVER, WS_DEFLATE, 0, 0, FAULT_RESERVED, 2, 2},
    {"RSV1 on a ping", TEXT("\xc9\x00"), SERVER, WS_DEFLATE, 0, 0, FAULT_RESERVED, 1, 0},
    {"opcode 3", TEXT("\x81\x01x\x83\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_OPCODE, 2, 3},
    {"opcode 7", TEXT("\x87\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_OPCODE, 1, 0},
    {"opcode 11", TEXT("\x8b\x80" M), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_OPCODE, 1, 0},
    {"opcode 15", TEXT("\x8f\x00"), SERVER, WS_OTHER_FRAMES, 0, 0, FAULT_OPCODE, 1, 0},
    {"a fragmented ping", TEXT("\x09\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_FRAGMENTED, 1, 0},
    {"a fragmented close", TEXT("\x08\x80" M), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_FRAGMENTED, 1, 0},
    {"a ping of 126 bytes", TEXT("\x89\x7e\x00\x7e"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_LONG_CONTROL, 1, 0},
    {"a pong of 64 KiB", TEXT("\x8a\xff"), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_LONG_CONTROL, 1, 0},
    {"a client without a mask", TEXT("\x81\x01x"), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_UNMASKED, 1, 0},
    {"a server with a mask", TEXT("\x82\x00\x81\x81" M "x"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_MASKED, 2, 2},
    {"a 16-bit length of 125", TEXT("\x82\x7e\x00\x7d"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_LONG_FORM, 1, 0},
    {"a 64-bit length of 65535", TEXT("\x82\xff\0\0\0\0\0\0\xff\xff" M), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_LONG_FORM, 1, 0},
    {"a length of 2 to the 63", TEXT("\x82\x7f\x80\0\0\0\0\0\0\0"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NEGATIVE, 1, 0},
    {"a continuation of nothing", TEXT("\x80\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NO_BEGINNING, 1, 0},
    {"a continuation behind the end", TEXT("\x01\x00\x80\x00\x80\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NO_BEGINNING, 3, 4},
    {"a message in a message", TEXT("\x01\x01x\x89\x00\x81\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_INTERLEAVED, 3, 5},
    {"a fragment in a message", TEXT("\x02\x00\x02\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_INTERLEAVED, 2, 2},
    {"a close of one byte", TEXT("\x88\x01\x03"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_OF_ONE, 1, 0},
    {"close code 0", TEXT("\x88\x02\x00\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"close code 999", TEXT("\x88\x02\x03\xe7"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"close code 1004", TEXT("\x88\x02\x03\xec"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"close code 1005", TEXT("\x88\x02\x03\xed"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"close code 1006 masked", TEXT("\x88\x82" KEY "\x02\xec"), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"close code 1015", TEXT("\x88\x02\x03\xf7"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"close code 2999", TEXT("\x88\x02\x0b\xb7"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"close code 5000", TEXT("\x88\x02\x13\x88"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CLOSE_CODE, 1, 0},
    {"a close whose words are no text", TEXT("\x88\x03\x03\xe8\xff"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"a close whose words end early", TEXT("\x88\x03\x03\xe8\xc3"), SERVER, WS_DEFLATE, 0, 0, FAULT_CUT_UTF8, 1, 0},
    {"a byte that no text has", TEXT("\x81\x03" "a\xff" "b"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"the same, masked", TEXT("\x81\x83" KEY "\x60\xfd\x61"), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"an overlong slash", TEXT("\x81\x02\xc0\xaf"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"a surrogate", TEXT("\x81\x03\xed\xa0\x80"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"beyond U+10FFFF", TEXT("\x81\x04\xf4\x90\x80\x80"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"a lonely tail", TEXT("\x81\x01\x80"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"in the second fragment", TEXT("\x01\x01\xe2\x89\x01p\x80\x01" "a"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_NOT_UTF8, 3, 6},
    {"text that ends early", TEXT("\x81\x02\xe2\x82"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CUT_UTF8, 1, 0},
    {"an empty last fragment too early", TEXT("\x01\x01\xc3\x80\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, FAULT_CUT_UTF8, 2, 3},
    {"uncompressed although agreed", TEXT("\x81\x01\xff"), SERVER, WS_DEFLATE, 0, 0, FAULT_NOT_UTF8, 1, 0},
    {"one byte above the limit", TEXT("\x82\x05" "abcde"), SERVER, WS_PLAIN_FRAMES, 4, 0, FAULT_TOO_LARGE, 1, 0},
    {"one byte above over fragments", TEXT("\x02\x03" "abc\x89\x01p\x80\x02" "de"), SERVER, WS_PLAIN_FRAMES, 4, 0, FAULT_TOO_LARGE, 3, 8},
    {"above the limit, compressed", TEXT("\xc1\x05" "\xff\xff\xff\xff\xff"), SERVER, WS_DEFLATE, 4, 0, FAULT_TOO_LARGE, 1, 0},
    {"lengths that overflow together", TEXT("\x02\x01x\x00\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), SERVER, WS_PLAIN_FRAMES, INT64_MAX, 0, FAULT_TOO_LARGE, 2, 3},
    {"a third message", TEXT("\x81\x80" M "\x81\x80" M "\x81\x80" M), CLIENT, WS_PLAIN_FRAMES, 0, 2, FAULT_TOO_MANY, 3, 12},
    {"a ping too many", TEXT("\x81\x80" M "\x89\x80" M "\x89\x80" M), CLIENT, WS_PLAIN_FRAMES, 0, 2, FAULT_TOO_MANY, 3, 12},
    {"an empty fragment too many", TEXT("\x01\x80" M "\x00\x80" M "\x00\x80" M), CLIENT, WS_PLAIN_FRAMES, 0, 2, FAULT_TOO_MANY, 3, 12},
    {"HTTP", TEXT("GET / HTTP/1.1\r\n"), CLIENT, WS_PLAIN_FRAMES, 0, 0, FAULT_RESERVED, 1, 0},
};

static const struct row good[] = {
    {"a text", TEXT("\x81\x05Hello"), SERVER, WS_PLAIN_FRAMES, 5, 0, NO_FAULT, 1, 7},
    {"a masked text", TEXT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), CLIENT, WS_PLAIN_FRAMES, 5, 1, NO_FAULT, 1, 11},
    {"fragments with a ping between", TEXT("\x01\x03Hel\x89\x01p\x80\x02lo"), SERVER, WS_PLAIN_FRAMES, 5, 0, NO_FAULT, 3, 12},
    {"a character over three fragments", TEXT("\x01\x01\xe2\x00\x01\x82\x89\x00\x80\x01\xac"), SERVER, WS_PLAIN_FRAMES, 0, 0, NO_FAULT, 4, 11},
    {"the ends of every row of UTF-8", TEXT("\x81\x2e" "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xe1\x80\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf1\x80\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf" "abcdefghij"), SERVER, WS_PLAIN_FRAMES, 0, 0, NO_FAULT, 1, 48},
    {"compressed text is not read", TEXT("\xc1\x02\xff\xff\x01\x01" "a\x80\x00"), SERVER, WS_DEFLATE, 0, 0, NO_FAULT, 3, 9},
    {"a compressed message in fragments", TEXT("\x41\x01\xff\x80\x01\xff"), SERVER, WS_DEFLATE, 0, 0, NO_FAULT, 2, 6},
    {"another extension's bits", TEXT("\xf1\x01\xff\x81\x01\xff"), SERVER, WS_OTHER_FRAMES, 0, 0, NO_FAULT, 2, 6},
    {"binary is not read", TEXT("\x02\x01\xff\x80\x01\xff"), SERVER, WS_PLAIN_FRAMES, 0, 0, NO_FAULT, 2, 6},
    {"control frames are no message's size", TEXT("\x02\x02" "ab\x89\x05" "ping!\x80\x02" "cd"), SERVER, WS_PLAIN_FRAMES, 4, 0, NO_FAULT, 3, 15},
    {"messages one after the other", TEXT("\x82\x04" "abcd\x82\x04" "abcd"), SERVER, WS_PLAIN_FRAMES, 4, 0, NO_FAULT, 2, 12},
    {"fragments are one message", TEXT("\x01\x81" M "a\x00\x81" M "b\x80\x80" M), CLIENT, WS_PLAIN_FRAMES, 0, 1, NO_FAULT, 3, 20},
    {"a close without a code", TEXT("\x88\x00"), SERVER, WS_PLAIN_FRAMES, 0, 0, NO_FAULT, 1, 2},
    {"a close with words", TEXT("\x88\x87" KEY "\x02\xea\xc1\xa7" "acd"), CLIENT, WS_PLAIN_FRAMES, 0, 0, NO_FAULT, 1, 13},
    {"close code 4999 in a message", TEXT("\x01\x01\xc3\x88\x02\x13\x87"), SERVER, WS_PLAIN_FRAMES, 0, 0, NO_FAULT, 2, 7},
    {"an answer to nothing of ours", TEXT("\x8a\x88" M "ours1234"), CLIENT, WS_PLAIN_FRAMES, 0, 0, NO_FAULT, 1, 14},
};
/* clang-format on */

struct out {
    uint8_t at[512];
    size_t len;
    unsigned pongs;
    const struct ws_fault *fault;
};

static struct ws_guard guard_of(const struct row *row)
{
    return (struct ws_guard){.credit = row->credit ? row->credit : WS_NO_CREDIT};
}

static struct ws_rules rules_of(const struct row *row)
{
    struct ws_rules rules = {
        .max_message = row->max_message,
        .is_masked = row->is_masked,
        .extension = (uint8_t)row->extension,
    };

    memcpy(rules.nonce, nonce, sizeof nonce);
    return rules;
}

static void feed(struct ws_guard *guard, const struct ws_rules *rules, struct bytes batch,
                 struct out *out)
{
    struct ws_judged judged;

    if (out->fault)
        return;
    struct bytes memory = exact(batch, batch.len);
    ws_guard_feed(guard, rules, memory, &judged);
    for (unsigned i = 0; i < judged.count; i++) {
        EXPECT(judged.piece[i].len && out->len + judged.piece[i].len <= sizeof out->at);
        memcpy(out->at + out->len, judged.piece[i].at, judged.piece[i].len);
        out->len += judged.piece[i].len;
    }
    EXPECT(judged.is_from_before == (judged.count && judged.piece[0].at == judged.held));
    out->pongs += judged.pongs;
    out->fault = judged.fault;
    exact_free(memory);
}

/* In two pieces, the second of them byte by byte. */
static void is_refused(const struct row *row, size_t cut, bool in_bytes)
{
    const struct ws_rules rules = rules_of(row);
    struct ws_guard guard = guard_of(row);
    struct out out = {.len = 0};

    feed(&guard, &rules, bytes_slice(row->text, 0, cut), &out);
    for (size_t i = cut; i < row->text.len; i += in_bytes ? 1 : row->text.len)
        feed(&guard, &rules, bytes_slice(row->text, i, in_bytes ? i + 1 : row->text.len), &out);
    EXPECT_ROW(row->name, out.fault == &faults[row->fault]);
    EXPECT_ROW(row->name, guard.frames == row->frame);
    EXPECT_ROW(row->name, !memcmp(out.at, row->text.at, out.len));
    bool is_about_payload = row->fault == FAULT_NOT_UTF8 || row->fault == FAULT_CUT_UTF8;
    EXPECT_ROW(row->name, out.len >= row->good);
    EXPECT_ROW(row->name, out.len == row->good || (is_about_payload && (in_bytes || cut)));
    EXPECT_ROW(row->name, out.len < row->text.len);
}

TEST(every_fault_however_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (size_t cut = 0; cut <= bad[i].text.len; cut++) {
            is_refused(&bad[i], cut, false);
            is_refused(&bad[i], cut, true);
        }
}

TEST(every_fault_has_a_row_here)
{
    unsigned count = 0;

    while (ws_fault_at(count)) {
        bool is_shown = false;
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
            is_shown |= bad[i].fault == (enum fault)count;
        EXPECT_ROW(ws_fault_at(count)->words, is_shown);
        EXPECT(reason_row(ws_fault_at(count)->reason)->who == 'f');
        count++;
    }
    EXPECT(count == ARRAY_LEN(faults));
}

static void passes(const struct row *row, size_t first, size_t second)
{
    const struct ws_rules rules = rules_of(row);
    struct ws_guard guard = guard_of(row);
    struct out out = {.len = 0};

    feed(&guard, &rules, bytes_slice(row->text, 0, first), &out);
    feed(&guard, &rules, bytes_slice(row->text, first, second), &out);
    feed(&guard, &rules, bytes_from(row->text, second), &out);
    EXPECT_ROW(row->name, !out.fault && guard.frames == row->frame);
    EXPECT_ROW(row->name, row->good == row->text.len);
    EXPECT_ROW(row->name, bytes_equal((struct bytes){out.at, out.len}, row->text));
    EXPECT_ROW(row->name, ws_guard_at_boundary(&guard) && !guard.have);
}

TEST(what_is_right_passes_however_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        for (size_t first = 0; first <= good[i].text.len; first++)
            for (size_t second = first; second <= good[i].text.len; second++)
                passes(&good[i], first, second);
}

TEST(a_header_is_held_until_it_is_whole)
{
    const struct row row = {"", TEXT("\x82\xfe\x00\x7e" KEY), CLIENT, WS_PLAIN_FRAMES, 0, 0, 0, 0,
                            0};
    const struct ws_rules rules = rules_of(&row);
    struct ws_guard guard = guard_of(&row);
    struct out out = {.len = 0};

    for (size_t i = 0; i + 1 < row.text.len; i++) {
        feed(&guard, &rules, bytes_slice(row.text, i, i + 1), &out);
        EXPECT(!out.len && ws_guard_at_boundary(&guard));
    }
    feed(&guard, &rules, bytes_from(row.text, row.text.len - 1), &out);
    EXPECT(out.len == row.text.len && !ws_guard_at_boundary(&guard));
}

/* What a batch is made of: our pong between two messages, a foreign one, and ours again. */
#define OURS    "\x8a\x88" KEY "\x6e\x77\x71\x77\x30\x30\x30\x30" /* "ours1234" */
#define FOREIGN "\x8a\x88" KEY "\x6e\x77\x71\x77\x30\x30\x30\x31"
#define HI      "\x81\x82" M "hi"

static void takes_out(struct bytes text, struct bytes left, uint8_t awaited, unsigned pongs,
                      size_t first, size_t second)
{
    const struct row row = {"", text, CLIENT, WS_PLAIN_FRAMES, 0, 0, 0, 0, 0};
    const struct ws_rules rules = rules_of(&row);
    struct ws_guard guard = guard_of(&row);
    struct out out = {.len = 0};

    guard.awaited = awaited;
    feed(&guard, &rules, bytes_slice(text, 0, first), &out);
    feed(&guard, &rules, bytes_slice(text, first, second), &out);
    feed(&guard, &rules, bytes_from(text, second), &out);
    EXPECT(!out.fault);
    EXPECT(out.pongs == pongs);
    EXPECT(guard.awaited == awaited - pongs);
    EXPECT(bytes_equal((struct bytes){out.at, out.len}, left));
}

TEST(our_pongs_are_taken_out_and_no_others)
{
    struct bytes text = TEXT(HI OURS FOREIGN HI OURS HI OURS);
    struct bytes two = TEXT(HI FOREIGN HI HI OURS), one = TEXT(HI FOREIGN HI OURS HI OURS);

    for (size_t first = 0; first <= text.len; first++)
        for (size_t second = first; second <= text.len; second++) {
            takes_out(text, two, 2, 2, first, second);
            takes_out(text, one, 1, 1, first, second);
            takes_out(text, text, 0, 0, first, second);
        }
}

TEST(pongs_of_ours_cost_the_client_nothing)
{
    const struct row row = {"", TEXT(OURS HI), CLIENT, WS_PLAIN_FRAMES, 0, 1, 0, 0, 0};
    const struct ws_rules rules = rules_of(&row);
    struct ws_guard guard = guard_of(&row);
    struct out out = {.len = 0};

    guard.awaited = 1;
    feed(&guard, &rules, row.text, &out);
    EXPECT(!out.fault && out.len == 8 && guard.credit == 0);
}

TEST(behind_a_close_nothing_passes)
{
    struct bytes text = TEXT("\x88\x02\x03\xe8\x81\x01x\xff\xff\xff");
    const struct row row = {"", text, SERVER, WS_PLAIN_FRAMES, 0, 0, 0, 0, 0};
    const struct ws_rules rules = rules_of(&row);

    for (size_t cut = 0; cut <= text.len; cut++) {
        struct ws_guard guard = guard_of(&row);
        struct out out = {.len = 0};
        feed(&guard, &rules, bytes_slice(text, 0, cut), &out);
        EXPECT(ws_guard_has_closed(&guard) == (cut >= 4));
        feed(&guard, &rules, bytes_from(text, cut), &out);
        EXPECT(!out.fault && out.len == 4 && ws_guard_has_closed(&guard));
    }
}

TEST(a_frame_may_be_put_where_one_ends)
{
    const struct row row = {"", TEXT(""), SERVER, WS_PLAIN_FRAMES, 0, 0, 0, 0, 0};
    const struct ws_rules rules = rules_of(&row);
    struct ws_guard guard = guard_of(&row);
    struct ws_judged judged;

    ws_guard_feed(&guard, &rules,
                  bytes_of("\x81\x03"
                           "a"),
                  &judged);
    EXPECT(judged.first_boundary == 0);
    ws_guard_feed(&guard, &rules, bytes_of("b"), &judged);
    EXPECT(judged.first_boundary == SIZE_MAX);
    ws_guard_feed(&guard, &rules, bytes_of("c\x81\x01"), &judged);
    EXPECT(judged.first_boundary == 1);
    ws_guard_feed(&guard, &rules, bytes_of("x\x81"), &judged); /* half a header is held */
    EXPECT(judged.first_boundary == 1 && judged.count == 1 && judged.piece[0].len == 1);
    ws_guard_feed(&guard, &rules, bytes_of("\x01"), &judged);
    EXPECT(judged.first_boundary == 0 && judged.is_from_before);
}

TEST(a_ping_of_ours_is_a_frame)
{
    const struct row row = {"", TEXT(""), SERVER, WS_PLAIN_FRAMES, 0, 0, 0, 0, 0};
    const struct ws_rules rules = rules_of(&row);
    struct ws_guard guard = guard_of(&row);
    struct out out = {.len = 0};
    uint8_t ping[WS_PING_BYTES];

    ws_ping_write(nonce, ping);
    feed(&guard, &rules, (struct bytes){ping, sizeof ping}, &out);
    EXPECT(!out.fault && ws_guard_at_boundary(&guard) && guard.frames == 1);
    EXPECT(bytes_equal((struct bytes){ping, sizeof ping}, bytes_of("\x89\x08ours1234")));
}

/* Texts of all lengths and phases of the mask, right but for one byte. */
TEST(one_wrong_byte_in_a_long_text_is_found_wherever_it_is)
{
    uint8_t frame[6 + 100] = {0x81, 0x80 | 100, 0x11, 0x22, 0x33, 0x44};
    const struct row row = {"", TEXT(""), CLIENT, WS_PLAIN_FRAMES, 0, 0, 0, 0, 0};
    const struct ws_rules rules = rules_of(&row);

    for (size_t at = 0; at < 100; at++)
        for (size_t cut = 6; cut < sizeof frame; cut += 5) {
            struct ws_guard guard = guard_of(&row), whole = guard;
            struct out out = {.len = 0}, fine = {.len = 0};
            for (size_t i = 0; i < 100; i++)
                frame[6 + i] = 'a' ^ frame[2 + i % 4];
            feed(&whole, &rules, (struct bytes){frame, cut}, &fine);
            feed(&whole, &rules, (struct bytes){frame + cut, sizeof frame - cut}, &fine);
            EXPECT(!fine.fault && fine.len == sizeof frame);
            frame[6 + at] ^= 0x9e; /* 0xff */
            feed(&guard, &rules, (struct bytes){frame, cut}, &out);
            feed(&guard, &rules, (struct bytes){frame + cut, sizeof frame - cut}, &out);
            EXPECT(out.fault == &faults[FAULT_NOT_UTF8]);
        }
}
