#include "codec/ws_frame.c"

#include "base/check.h"

#include "rows.h"

#define MASKED true
#define PLAIN  false

/* RFC 6455 section 5.7, one after the other; the extended ones with their payload filled up. */
static const struct {
    const char *name;
    struct bytes text;
    bool is_masked;
    size_t payload; /* zeros behind it */
    unsigned frames;
    bool is_in_message;
} examples[] = {
    {"an unmasked text", TEXT("\x81\x05Hello"), PLAIN, 0, 1, false},
    {"a masked text", TEXT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), MASKED, 0, 1, false},
    {"the first fragment", TEXT("\x01\x03Hel"), PLAIN, 0, 1, true},
    {"both fragments", TEXT("\x01\x03Hel\x80\x02lo"), PLAIN, 0, 2, false},
    {"a ping", TEXT("\x89\x05Hello"), PLAIN, 0, 1, false},
    {"a pong", TEXT("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), MASKED, 0, 1, false},
    {"256 bytes", TEXT("\x82\x7e\x01\x00"), PLAIN, 256, 1, false},
    {"64 KiB", TEXT("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), PLAIN, 65536, 1, false},
    {"a ping between fragments", TEXT("\x01\x01H\x89\x00\x00\x01i\x80\x00"), PLAIN, 0, 4, false},
    {"an empty text", TEXT("\x81\x00"), PLAIN, 0, 1, false},
    {"an empty masked text", TEXT("\x81\x80\x01\x02\x03\x04"), MASKED, 0, 1, false},
    {"the longest control frame", TEXT("\x8a\x7d"), PLAIN, 125, 1, false},
    {"the shortest 16-bit length", TEXT("\x82\xfe\x00\x7e\x01\x02\x03\x04"), MASKED, 126, 1, false},
    {"compressed (RSV1)", TEXT("\xc1\x01x"), PLAIN, 0, 1, false},
    {"a close", TEXT("\x88\x02\x03\xe8"), PLAIN, 0, 1, false},
    {"a close in a message", TEXT("\x01\x01x\x88\x00"), PLAIN, 0, 2, true},
};

static void is_tracked(size_t example, struct bytes all, size_t cut)
{
    const char *name = examples[example].name;
    struct ws_track t = {0};
    struct ws_seen seen, more;

    struct bytes first = exact(all, cut), second = exact(bytes_from(all, cut), all.len - cut);
    ws_track_feed(&t, first, examples[example].is_masked, &seen);
    ws_track_feed(&t, second, examples[example].is_masked, &more);
    exact_free(first);
    exact_free(second);
    EXPECT_ROW(name, seen.frames + more.frames == examples[example].frames);
    EXPECT_ROW(name, ws_track_is_aligned(&t) && ws_track_at_boundary(&t));
    EXPECT_ROW(name, t.flags == (examples[example].is_in_message ? IN_MESSAGE : 0));
    EXPECT_ROW(name, !memcmp(t.head, (uint8_t[sizeof t.head]){0},
                             sizeof t.head)); /* one state, one form */
    EXPECT_ROW(name, t.have == 0);
}

TEST(the_examples_of_the_rfc_however_they_are_cut)
{
    static uint8_t memory[65536 + 64];

    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct bytes all = {memory, examples[i].text.len + examples[i].payload};
        memset(memory, 0, sizeof memory);
        memcpy(memory, examples[i].text.at, examples[i].text.len);
        for (size_t cut = 0; cut <= all.len && cut < 300; cut++)
            is_tracked(i, all, cut);
        is_tracked(i, all, all.len - 1);
    }
}

TEST(an_end_is_no_boundary_before_its_last_byte)
{
    struct bytes text = TEXT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    struct ws_track t = {0};
    struct ws_seen seen;

    for (size_t i = 0; i + 1 < text.len; i++) {
        ws_track_feed(&t, bytes_slice(text, i, i + 1), MASKED, &seen);
        EXPECT(!ws_track_at_boundary(&t) && ws_track_is_aligned(&t));
        EXPECT(seen.first_boundary == (i ? SIZE_MAX : 0));
        EXPECT(seen.frames == (i == 5));
    }
    ws_track_feed(&t, bytes_from(text, text.len - 1), MASKED, &seen);
    EXPECT(ws_track_at_boundary(&t) && seen.first_boundary == 1);
}

/* Each ends with the byte at which it must be known. */
static const struct {
    const char *name;
    struct bytes text;
    bool is_masked;
} bad[] = {
    {"opcode 3", TEXT("\x83\x00"), PLAIN},
    {"opcode 7", TEXT("\x87\x00"), PLAIN},
    {"opcode 11", TEXT("\x8b\x00"), PLAIN},
    {"opcode 15", TEXT("\x8f\x00"), PLAIN},
    {"a fragmented ping", TEXT("\x09\x00"), PLAIN},
    {"a fragmented close", TEXT("\x08\x00"), PLAIN},
    {"a ping of 126 bytes", TEXT("\x89\x7e"), PLAIN},
    {"a close of 64 KiB", TEXT("\x88\x7f"), PLAIN},
    {"a close of one byte", TEXT("\x88\x01"), PLAIN},
    {"a 16-bit length of 125", TEXT("\x82\x7e\x00\x7d"), PLAIN},
    {"a masked 16-bit length of 0", TEXT("\x82\xfe\x00\x00\x01\x02\x03\x04"), MASKED},
    {"a 64-bit length of 65535", TEXT("\x82\x7f\0\0\0\0\0\0\xff\xff"), PLAIN},
    {"a negative length", TEXT("\x82\x7f\x80\0\0\0\0\0\0\0"), PLAIN},
    {"a continuation of nothing", TEXT("\x80\x00"), PLAIN},
    {"a continuation behind the end", TEXT("\x01\x00\x80\x00\x80\x00"), PLAIN},
    {"a message in a message", TEXT("\x01\x00\x81\x00"), PLAIN},
    {"a fragment in a message", TEXT("\x01\x00\x02\x00"), PLAIN},
    {"an unmasked frame from a client", TEXT("\x81\x00"), MASKED},
    {"a masked frame from a server", TEXT("\x81\x80"), PLAIN},
    {"HTTP", TEXT("GE"), PLAIN},
};

static void is_unaligned_for_ever(size_t row, size_t cut)
{
    const char *name = bad[row].name;
    struct ws_track t = {0};
    struct ws_seen seen;

    ws_track_feed(&t, bytes_slice(bad[row].text, 0, cut), bad[row].is_masked, &seen);
    EXPECT_ROW(name, ws_track_is_aligned(&t));
    ws_track_feed(&t, bytes_from(bad[row].text, cut), bad[row].is_masked, &seen);
    EXPECT_ROW(name, !ws_track_is_aligned(&t) && !ws_track_at_boundary(&t));
    ws_track_feed(&t, bytes_of("\x81\x01x\x81\x01y"), bad[row].is_masked, &seen);
    EXPECT_ROW(name, !ws_track_is_aligned(&t) && seen.frames == 0);
    EXPECT_ROW(name, seen.first_boundary == SIZE_MAX && seen.close_code == 0);
}

TEST(what_is_no_frame_unaligns_for_ever)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (size_t cut = 0; cut < bad[i].text.len; cut++)
            is_unaligned_for_ever(i, cut);
}

static const struct close_row {
    const char *name;
    struct bytes text;
    bool is_masked;
    uint16_t code;
} closes[] = {
    {"unmasked", TEXT("\x88\x02\x03\xe8"), PLAIN, 1000},
    {"unmasked with words",
     TEXT("\x88\x05\x03\xe9"
          "bye"),
     PLAIN, 1001},
    {"masked", TEXT("\x88\x82\x11\x22\x33\x44\x12\xca"), MASKED, 1000},
    {"masked with words",
     TEXT("\x88\x85\xff\x00\xff\x00\xf3\xe9"
          "bye"),
     MASKED, 3305},
    {"without a code", TEXT("\x88\x00"), PLAIN, 1005},
    {"masked without a code", TEXT("\x88\x80\x01\x02\x03\x04"), MASKED, 1005},
    {"with a code that nobody may send", TEXT("\x88\x02\x00\x00"), PLAIN, 1005},
    {"behind a ping",
     TEXT("\x89\x03"
          "abc"
          "\x88\x02\x0f\xa0"),
     PLAIN, 4000},
};

static void is_seen_once(const struct close_row *row, size_t cut)
{
    struct ws_track t = {0};
    struct ws_seen seen, more;

    ws_track_feed(&t, bytes_slice(row->text, 0, cut), row->is_masked, &seen);
    ws_track_feed(&t, bytes_from(row->text, cut), row->is_masked, &more);
    EXPECT_ROW(row->name, seen.close_code + more.close_code == row->code); /* one of them is 0 */
    EXPECT_ROW(row->name, !seen.close_code || !more.close_code);
    EXPECT_ROW(row->name, ws_track_at_boundary(&t));
}

TEST(the_code_of_a_close_is_seen_however_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(closes); i++)
        for (size_t cut = 0; cut <= closes[i].text.len; cut++)
            is_seen_once(&closes[i], cut);
}

TEST(the_first_boundary_of_a_batch)
{
    struct ws_track t = {0};
    struct ws_seen seen;

    ws_track_feed(&t,
                  bytes_of("\x81\x03"
                           "a"),
                  PLAIN, &seen);
    EXPECT(seen.first_boundary == 0);
    ws_track_feed(&t, bytes_of("bc\x81\x01x\x81\x02y"), PLAIN, &seen);
    EXPECT(seen.first_boundary == 2 && seen.frames == 2);
    ws_track_feed(&t, (struct bytes){0}, PLAIN, &seen);
    EXPECT(seen.first_boundary == SIZE_MAX && seen.frames == 0);
    ws_track_feed(&t, bytes_of("z"), PLAIN, &seen);
    EXPECT(seen.first_boundary == 1);
    ws_track_feed(&t, (struct bytes){0}, PLAIN, &seen);
    EXPECT(seen.first_boundary == 0);
}

TEST(a_frame_of_2_to_the_63_less_1_is_counted_down)
{
    struct ws_track t = {0};
    struct ws_seen seen;

    ws_track_feed(&t,
                  (struct bytes)TEXT("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"
                                     "abc"),
                  PLAIN, &seen);
    EXPECT(t.left == INT64_MAX - 3 && ws_track_is_aligned(&t) && !ws_track_at_boundary(&t));
}

TEST(a_close_that_we_write_is_one_that_we_read)
{
    const uint8_t mask[4] = {0xde, 0xad, 0xbe, 0xef};
    uint8_t frame[8];
    struct ws_track t = {0};
    struct ws_seen seen;

    EXPECT(ws_close_write(1001, NULL, frame) == 4);
    EXPECT(bytes_equal((struct bytes){frame, 4}, BYTES(0x88, 0x02, 0x03, 0xe9)));
    EXPECT(ws_close_write(1012, mask, frame) == 8);
    ws_track_feed(&t, (struct bytes){frame, 8}, MASKED, &seen);
    EXPECT(seen.close_code == 1012 && ws_track_at_boundary(&t));
}

TEST(the_rest_of_a_payload_may_go_by_unseen)
{
    static const uint8_t head[] = {0x82, 0x7e, 0x01, 0x00, 'x'};
    struct ws_track t = {0};
    struct ws_seen seen;

    EXPECT(ws_track_payload_left(&t) == 0);
    ws_track_feed(&t, (struct bytes){head, 3}, PLAIN, &seen);
    EXPECT(ws_track_payload_left(&t) == 0); /* inside a header */
    ws_track_feed(&t, (struct bytes){head + 3, 2}, PLAIN, &seen);
    EXPECT(ws_track_payload_left(&t) == 255);
    ws_track_skip(&t, 254);
    EXPECT(ws_track_payload_left(&t) == 1 && !ws_track_at_boundary(&t));
    ws_track_skip(&t, 1);
    EXPECT(ws_track_payload_left(&t) == 0 && ws_track_at_boundary(&t));
    ws_track_feed(&t, bytes_of("no frame"), PLAIN, &seen);
    EXPECT(ws_track_payload_left(&t) == UINT64_MAX);
    ws_track_skip(&t, 1000);
    EXPECT(!ws_track_is_aligned(&t) && ws_track_payload_left(&t) == UINT64_MAX);
}
