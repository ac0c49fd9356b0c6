#include "daemon/mirror.c"

#include "base/check.h"

#include "test.h"

#include <stdlib.h>

/* A frame of a client with the payload, masked. Its length. */
static size_t frame(uint8_t *to, uint8_t first, const char *payload, size_t len)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    size_t at = 0;

    to[at++] = first;
    if (len < 126) {
        to[at++] = (uint8_t)(0x80 | len);
    } else {
        int bytes = len < 65536 ? 2 : 8;
        to[at++] = (uint8_t)(0x80 | (bytes == 2 ? 126 : 127));
        while (bytes-- > 0)
            to[at++] = (uint8_t)(len >> (8 * bytes));
    }
    memcpy(to + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < len; i++)
        to[at + i] = (uint8_t)payload[i] ^ mask[i % 4];
    return at + len;
}

struct answer {
    struct mirror mirror;
    uint8_t at[300000];
    size_t len;
};

/* The answer to `in`, given in pieces of so many bytes. */
static void turn_in_pieces(struct bytes in, size_t size, struct answer *ret_answer)
{
    uint8_t *piece = malloc(MIRROR_ROOM + size);

    EXPECT(piece);
    ret_answer->mirror = (struct mirror){0};
    ret_answer->len = 0;
    while (in.len) {
        size_t len = in.len < size ? in.len : size;
        memcpy(piece + MIRROR_ROOM, in.at, len);
        size_t answered = mirror_turn(&ret_answer->mirror, piece, len);
        EXPECT(answered <= len + MIRROR_ROOM);
        EXPECT(ret_answer->len + answered <= sizeof ret_answer->at);
        memcpy(ret_answer->at + ret_answer->len, piece, answered);
        ret_answer->len += answered;
        in = bytes_from(in, len);
    }
    free(piece);
}

static void expect_answer(struct bytes in, struct bytes wanted)
{
    static struct answer answer;

    for (size_t size = 1; size <= in.len; size++) {
        turn_in_pieces(in, size, &answer);
        EXPECT(!answer.mirror.is_broken);
        EXPECT(bytes_equal((struct bytes){answer.at, answer.len}, wanted));
    }
}

TEST(data_comes_back_as_it_was_cut)
{
    uint8_t in[200];
    size_t len = frame(in, 0x01, "Hel", 3); /* RFC 6455 section 5.7 */

    len += frame(in + len, 0x80, "lo", 2);
    len += frame(in + len, 0x82, "", 0);
    expect_answer((struct bytes){in, len},
                  BYTES(0x01, 3, 'H', 'e', 'l', 0x80, 2, 'l', 'o', 0x82, 0));
}

TEST(control_frames_are_answered_inside_a_message)
{
    uint8_t in[200];
    size_t len = frame(in, 0x01, "Hel", 3);

    len += frame(in + len, 0x89, "ping", 4);
    len += frame(in + len, 0x8a, "pong", 4);
    len += frame(in + len, 0x80, "lo", 2);
    expect_answer((struct bytes){in, len},
                  BYTES(0x01, 3, 'H', 'e', 'l', 0x8a, 4, 'p', 'i', 'n', 'g', 0x80, 2, 'l', 'o'));
}

TEST(close_is_answered_once_and_ends_it)
{
    uint8_t in[200];
    size_t len = frame(in, 0x88, "\x03\xe8 bye", 6);

    len += frame(in + len, 0x81, "more", 4);
    expect_answer((struct bytes){in, len}, BYTES(0x88, 6, 0x03, 0xe8, ' ', 'b', 'y', 'e'));

    static struct answer answer;
    turn_in_pieces((struct bytes){in, len}, len, &answer);
    EXPECT(answer.mirror.has_closed);
}

TEST(long_frames_of_every_length_come_back)
{
    static const size_t lens[] = {125, 126, 127, 65535, 65536, 200000};
    static char payload[200000];
    static uint8_t in[200100];
    static struct answer answer;

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)(i * 7 + i / 251);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        for (size_t size = 1; size < 2 * lens[i]; size = size * 5 + 2) {
            size_t len = frame(in, 0x82, payload, lens[i]);
            turn_in_pieces((struct bytes){in, len}, size, &answer);
            EXPECT(answer.len == len - 4);
            EXPECT(memcmp(answer.at + answer.len - lens[i], payload, lens[i]) == 0);
            EXPECT((answer.at[1] & 0x80) == 0);
        }
}

TEST(what_no_client_may_send_is_broken)
{
    static const struct {
        const char *what;
        uint8_t at[14];
        size_t len;
    } rows[] = {
        {"no mask", {0x81, 0x01}, 2},
        {"a reserved bit", {0xc1, 0x81}, 2},
        {"a reserved opcode", {0x83, 0x80, 1, 2, 3, 4}, 6},
        {"a reserved control opcode", {0x8b, 0x80, 1, 2, 3, 4}, 6},
        {"a continuation of nothing", {0x80, 0x80, 1, 2, 3, 4}, 6},
        {"a fragmented ping", {0x09, 0x80, 1, 2, 3, 4}, 6},
        {"a long ping", {0x89, 0xfe, 0, 126, 1, 2, 3, 4}, 8},
        {"a close of one byte", {0x88, 0x81, 1, 2, 3, 4}, 6},
        {"a length of 16 bits that fits in 7", {0x82, 0xfe, 0, 125, 1, 2, 3, 4}, 8},
        {"a length of 64 bits that fits in 16",
         {0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4},
         14},
        {"a length with its highest bit", {0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, 14},
    };
    static struct answer answer;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t size = 1; size <= rows[i].len; size++) {
            uint8_t in[64];
            size_t len = frame(in, 0x81, "ok", 2);
            memcpy(in + len, rows[i].at, rows[i].len);
            turn_in_pieces((struct bytes){in, len + rows[i].len}, size, &answer);
            if (!answer.mirror.is_broken)
                print_error("%s\n", rows[i].what);
            EXPECT(answer.mirror.is_broken);
            EXPECT(bytes_equal((struct bytes){answer.at, answer.len}, BYTES(0x81, 2, 'o', 'k')));
        }
}

TEST(a_new_message_inside_another_is_broken)
{
    static struct answer answer;
    uint8_t in[64];
    size_t len = frame(in, 0x01, "a", 1);

    len += frame(in + len, 0x81, "b", 1);
    turn_in_pieces((struct bytes){in, len}, len, &answer);
    EXPECT(answer.mirror.is_broken);
    EXPECT(answer.len == 3);
}
