/* A request and the answer to it, one behind the other: what is judged a handshake is one in every
 * respect, is one again for the server behind us, and only a 101 with the right Accept completes
 * it. */
#include "codec/ws_handshake.h"
#include "codec/http1_write.h"

#include "fuzz.h"

#define LIMIT_BYTES (1u << 20)

static void is_base64(const uint8_t accept[WS_ACCEPT_LEN])
{
    for (size_t i = 0; i + 1 < WS_ACCEPT_LEN; i++)
        REQUIRE(
            accept[i] &&
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", accept[i]));
    REQUIRE(accept[WS_ACCEPT_LEN - 1] == '=');
}

static void is_handshake_behind_us(const struct http1_head *request, bool require_key)
{
    struct http1_head behind;
    enum reason why;
    struct buf to;

    buf_init(&to, LIMIT_BYTES);
    if (http1_write_request(&to, request, true, NULL) == 0) {
        struct bytes text = buf_bytes(&to);
        REQUIRE(http1_request_parse(text, HTTP1_FIELDS_MAX, &behind, &why) == (int)text.len);
        REQUIRE(ws_request_judge(&behind, require_key, &why) == WS_HANDSHAKE);
        REQUIRE(bytes_equal(http1_find(&behind, "sec-websocket-key"),
                            http1_find(request, "sec-websocket-key")));
        REQUIRE(http1_count(&behind, "upgrade") == 1 &&
                bytes_equal(http1_find(&behind, "upgrade"), bytes_of("websocket")));
        REQUIRE(http1_count(&behind, "connection") == 1 &&
                !http1_find(&behind, "content-length").at);
    }
    buf_done(&to);
}

static void judge_request(const struct http1_head *request, bool require_key)
{
    enum reason why = REASON_DONE;

    switch (ws_request_judge(request, require_key, &why)) {
    case WS_PLAIN:
        REQUIRE(why == REASON_DONE);
        break;
    case WS_BAD:
        REQUIRE(why == REASON_UPGRADE_NOT_GET || why == REASON_KEY_MISSING ||
                why == REASON_BODY_IN_UPGRADE);
        break;
    case WS_HANDSHAKE:
        REQUIRE(why == REASON_DONE && request->minor_version == 1 &&
                bytes_equal(request->method, bytes_of("GET")));
        REQUIRE(http1_lists(request, "connection", "upgrade") &&
                http1_lists(request, "upgrade", "websocket"));
        REQUIRE(http1_count(request, "sec-websocket-key") == 1 ||
                (!require_key && !http1_count(request, "sec-websocket-key")));
        is_handshake_behind_us(request, require_key);
    }
}

static void judge_answer(const struct http1_head *request, struct bytes in)
{
    struct http1_head answer;
    uint8_t accept[WS_ACCEPT_LEN];
    enum reason why;

    if (http1_response_parse(in, HTTP1_FIELDS_MAX, &answer, &why) <= 0)
        return;
    why = ws_answer_judge(request, &answer);
    REQUIRE(why == REASON_DONE || why == REASON_ANSWER_WRONG || why == REASON_UPGRADE_REFUSED);
    REQUIRE((why == REASON_UPGRADE_REFUSED) == (answer.status != 101));
    struct bytes key = http1_find(request, "sec-websocket-key");
    if (why != REASON_DONE || !key.at)
        return;
    ws_accept_write(key, accept);
    REQUIRE(bytes_equal(http1_find(&answer, "sec-websocket-accept"),
                        (struct bytes){accept, sizeof accept}));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = exact((struct bytes){at, len});
    uint8_t accept[WS_ACCEPT_LEN];
    struct http1_head request;
    enum reason why;

    ws_accept_write(bytes_slice(in, 0, 64), accept);
    is_base64(accept);
    int used = http1_request_parse(in, HTTP1_FIELDS_MAX, &request, &why);
    if (used > 0) {
        judge_request(&request, true);
        judge_request(&request, false);
        judge_answer(&request, bytes_from(in, (size_t)used));
    }
    exact_free(in);
    return 0;
}
