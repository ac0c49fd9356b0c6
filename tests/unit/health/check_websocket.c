#include "health/check_websocket.c"

#include "talk.h"

#include <stdio.h>
#include <stdlib.h>

#define WS     &checker_websocket
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

/* What our end has said behind the handshake, unmasked. */
static uint8_t said[65536];
static size_t said_len;

static void unmask_what_was_said(void)
{
    struct bytes out = buf_bytes(&talk.out);
    size_t at = 0;

    said_len = 0;
    while (at < out.len) {
        EXPECT(out.at[at + 1] & 0x80); /* a client masks */
        size_t len = out.at[at + 1] & 0x7f, head = 2;
        if (len == 126) {
            len = (size_t)out.at[at + 2] << 8 | out.at[at + 3];
            head = 4;
        }
        said[said_len++] = out.at[at];
        said[said_len++] = (uint8_t)(len < 126 ? len : 126);
        for (size_t i = 0; i < len; i++)
            said[said_len++] = out.at[at + head + 4 + i] ^ out.at[at + head + (i & 3)];
        at += head + 4 + len;
    }
    buf_done(&talk.out);
}

static bool has_said(struct bytes wanted)
{
    unmask_what_was_said();
    return bytes_equal((struct bytes){said, said_len}, wanted);
}

#define CLOSE_1000 0x88, 2, 0x03, 0xe8

static void answer_head(char *to, size_t size, const char *more)
{
    uint8_t accept[WS_ACCEPT_LEN];

    EXPECT(ws_accept_write((struct bytes){own_of(&talk)->key, WS_KEY_LEN}, accept) == 0);
    snprintf(to, size, SWITCH "%sSec-WebSocket-Accept: %.*s\r\n\r\n", more, WS_ACCEPT_LEN, accept);
}

/* The handshake is done; `next` is what follows from it. */
static void open_with(const char *more, enum talk_next next)
{
    char head[512];

    settings.path = "/rooms/health";
    talk_begin(WS);
    buf_done(&talk.out);
    answer_head(head, sizeof head, more);
    EXPECT(hear_text(WS, head) == next);
}

TEST(the_handshake_is_a_real_one)
{
    static char before[WS_KEY_LEN];

    settings.path = "/rooms/health?a=b";
    talk_begin(WS);
    struct bytes out = buf_bytes(&talk.out);
    struct http1_head head;
    enum reason why = REASON_DONE;
    EXPECT(http1_request_parse(out, 20, &head, &why) == (int)out.len);
    EXPECT(ws_request_judge(&head, true, &why) == WS_HANDSHAKE);
    EXPECT(bytes_equal(head.target, bytes_of("/rooms/health?a=b")));
    EXPECT(bytes_equal(http1_find(&head, "host"), bytes_of("chat.example.com")));
    EXPECT(bytes_equal(http1_find(&head, "sec-websocket-version"), bytes_of("13")));
    memcpy(before, own_of(&talk)->key, sizeof before);
    buf_done(&talk.out);
    random_init(&random_numbers, 8);
    talk.own[0] = 0;
    EXPECT(begin(&talk) == TALK_ON && memcmp(before, own_of(&talk)->key, sizeof before) != 0);
    talk_done();
}

TEST(an_accepted_handshake_is_good_and_closed_as_it_should_be)
{
    open_with("", TALK_ON);
    EXPECT(has_said(BYTES(CLOSE_1000)));
    EXPECT(talk.why == REASON_DONE && talk.if_late == REASON_DONE);
    EXPECT(hear_bytes(WS, BYTES(0x81, 2, 'h', 'i')) == TALK_ON);
    EXPECT(hear_bytes(WS, BYTES(CLOSE_1000)) == TALK_OVER && talk.why == REASON_DONE);
    talk_done();
    open_with("", TALK_ON);
    EXPECT(hear_end(WS) == TALK_OVER && talk.why == REASON_DONE);
    talk_done();
    open_with("X-Turnout-Drain: yes\r\n", TALK_ON);
    EXPECT(hear_bytes(WS, BYTES(0xff, 0xff)) == TALK_OVER && talk.why == REASON_SERVER_DRAINS);
    talk_done();
}

TEST(an_accept_that_is_another_keys_is_no_handshake)
{
    static const char *const wrong[] = {
        SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        SWITCH "\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        talk_begin(WS);
        EXPECT(hear_text(WS, wrong[i]) == TALK_OVER && talk.why == REASON_ANSWER_WRONG);
    }
    talk_done();
    open_with("Sec-WebSocket-Extensions: permessage-deflate\r\n", TALK_OVER);
    EXPECT(talk.why == REASON_ANSWER_WRONG);
    talk_done();
}

TEST(a_refusal_is_read_to_its_end_as_it_may_ask_for_a_drain)
{
    static const struct {
        const char *answer;
        enum reason reason;
    } rows[] = {
        {"HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\ndraining", REASON_UPGRADE_REFUSED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", REASON_UPGRADE_REFUSED},
        {"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nDraining!", REASON_SERVER_DRAINS},
        {"HTTP/1.1 404 No\r\nX-Turnout-Drain: 1\r\nContent-Length: 0\r\n\r\n",
         REASON_SERVER_DRAINS},
        {"HTTP/1.1 503 No\r\n\r\nbusy", REASON_UPGRADE_REFUSED},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        talk_begin(WS);
        if (hear_text(WS, rows[i].answer) == TALK_ON)
            EXPECT(talk.if_late == REASON_UPGRADE_REFUSED && hear_end(WS) == TALK_OVER);
        EXPECT(talk.why == rows[i].reason);
    }
    talk_done();
}

TEST(a_ping_wants_the_pong_with_its_own_payload)
{
    uint8_t pong[2 + PING_BYTES] = {0x8a, PING_BYTES};

    settings.ping = true;
    open_with("", TALK_ON);
    unmask_what_was_said();
    EXPECT(said_len == sizeof pong && said[0] == 0x89 && said[1] == PING_BYTES);
    memcpy(pong + 2, said + 2, PING_BYTES);
    EXPECT(talk.if_late == REASON_CHECK_PONG_MISSING);
    EXPECT(hear_bytes(WS, BYTES(0x8a, 0)) == TALK_ON);
    EXPECT(hear_bytes(WS, BYTES(0x8a, 8, 1, 2, 3, 4, 5, 6, 7, 8)) == TALK_ON);
    EXPECT(talk.if_late == REASON_CHECK_PONG_MISSING && buf_is_empty(&talk.out));
    EXPECT(hear_bytes(WS, (struct bytes){pong, sizeof pong}) == TALK_ON);
    EXPECT(talk.if_late == REASON_DONE && has_said(BYTES(CLOSE_1000)));
    talk_done();
}

TEST(a_message_wants_one_that_holds_what_is_expected)
{
    settings.send = "hello";
    settings.expect = "world";
    open_with("", TALK_ON);
    EXPECT(has_said(BYTES(0x81, 5, 'h', 'e', 'l', 'l', 'o')));
    EXPECT(talk.if_late == REASON_CHECK_REPLY_MISSING);
    EXPECT(hear_bytes(WS, BYTES(0x81, 4, 'w', 'o', 'r', 'l')) == TALK_ON);
    /* in fragments, with a ping between them */
    EXPECT(hear_bytes(WS, BYTES(0x01, 3, '{', 'w', 'o', 0x89, 1, 'x', 0x00, 2, 'r', 'l')) ==
           TALK_ON);
    EXPECT(has_said(BYTES(0x8a, 1, 'x')));
    EXPECT(hear_bytes(WS, BYTES(0x80, 2, 'd', '}')) == TALK_ON);
    EXPECT(talk.why == REASON_DONE && has_said(BYTES(CLOSE_1000)));
    talk_done();
}

TEST(a_message_too_long_to_be_it_is_passed_over)
{
    static uint8_t much[16384 + 1];
    const uint8_t wanted[] = {0x82, 2, 'o', 'k'};

    settings.expect = "ok";
    open_with("", TALK_ON);
    memset(much, 'o', sizeof much);
    /* "ok" at its end would match if it were kept */
    EXPECT(hear_bytes(WS, BYTES(0x01, 127, 0, 0, 0, 0, 0, 0, 0x40, 0x02)) == TALK_ON);
    EXPECT(hear_bytes(WS, (struct bytes){much, sizeof much}) == TALK_ON);
    EXPECT(hear_bytes(WS, BYTES('k')) == TALK_ON && buf_is_empty(&talk.in));
    EXPECT(hear_bytes(WS, BYTES(0x80, 2, 'o', 'k')) == TALK_ON);
    EXPECT(talk.if_late == REASON_CHECK_REPLY_MISSING);
    EXPECT(hear_bytes(WS, (struct bytes){wanted, sizeof wanted}) == TALK_ON);
    EXPECT(talk.if_late == REASON_DONE);
    talk_done();
}

TEST(a_server_that_closes_or_speaks_something_else_has_failed)
{
    settings.ping = true;
    open_with("", TALK_ON);
    buf_done(&talk.out);
    EXPECT(hear_bytes(WS, BYTES(0x88, 0)) == TALK_OVER && talk.why == REASON_CHECK_CLOSED);
    EXPECT(has_said(BYTES(CLOSE_1000)));
    open_with("", TALK_ON);
    EXPECT(hear_end(WS) == TALK_OVER && talk.why == REASON_CHECK_CLOSED);

    static const uint8_t wrong[][2] = {
        {0x8a, 0x80}, {0xca, 0}, {0x0a, 0}, {0x8a, 126}, {0x83, 0}, {0x80, 0}, {0x8b, 0},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        open_with("", TALK_ON);
        EXPECT(hear_bytes(WS, (struct bytes){wrong[i], 2}) == TALK_OVER);
        EXPECT(talk.why == REASON_CHECK_FRAME_WRONG);
    }
    open_with("", TALK_ON);
    EXPECT(hear_bytes(WS, BYTES(0x01, 1, 'a', 0x81, 1, 'b')) == TALK_OVER);
    EXPECT(talk.why == REASON_CHECK_FRAME_WRONG);
    open_with("", TALK_ON);
    EXPECT(hear_bytes(WS, BYTES(0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0)) == TALK_OVER);
    EXPECT(talk.why == REASON_CHECK_FRAME_WRONG);
    talk_done();
}

TEST(a_long_message_of_ours_goes_out_whole)
{
    char *text = malloc(70001);

    EXPECT(text != NULL);
    memset(text, 'a', 70000);
    text[70000] = '\0';
    talk_begin(WS);
    buf_done(&talk.out);
    EXPECT(say_frame(&talk, TEXT, bytes_of(text)) == 0);
    struct bytes out = buf_bytes(&talk.out);
    EXPECT(out.len == 14 + 70000 && out.at[1] == 0xff && out.at[7] == 1 && out.at[8] == 0x11);
    for (size_t i = 0; i < 70000; i++)
        EXPECT((out.at[14 + i] ^ out.at[10 + (i & 3)]) == 'a');
    free(text);
    talk_done();
}
