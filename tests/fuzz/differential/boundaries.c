/* Says where our codec sees requests begin and end, for comparison with other parsers: what is read
 * from the standard input (four bytes of length, little-endian, then the bytes; again and again) is
 * taken as a client's bytes, and each becomes one line of JSON with every request that we accept,
 * as the proxy judges it, and with its head as the server gets it. Byte strings are in hexadecimal.
 */
#include "codec/http1.h"
#include "codec/http1_write.h"
#include "codec/url.h"
#include "codec/ws_handshake.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX_BYTES 1048576u
#define HEAD_MAX_BYTES  2097152u
#define FIELDS_ALLOWED  100

static void print_hex(struct bytes b)
{
    putchar('"');
    for (size_t i = 0; i < b.len; i++)
        printf("%02x", b.at[i]);
    putchar('"');
}

/* As the proxy: Host, framing, target, handshake. */
static enum reason judge(const struct http1_head *request, struct http1_body *ret_body,
                         bool *ret_is_handshake)
{
    struct url_target target;
    struct bytes host;
    uint16_t port;

    enum reason why = http1_request_host(request, &host, &port);
    if (why == REASON_DONE)
        why = http1_request_body(request, ret_body);
    if (why != REASON_DONE)
        return why;
    if (bytes_equal(request->method, bytes_of("CONNECT")))
        return REASON_METHOD_UNKNOWN;
    if (!url_target_parse(request->target, &target) ||
        (bytes_equal(target.path, bytes_of("*")) &&
         !bytes_equal(request->method, bytes_of("OPTIONS"))))
        return REASON_TARGET_WRONG;
    enum ws_asked asked = ws_request_judge(request, true, &why);
    *ret_is_handshake = asked == WS_HANDSHAKE;
    if (*ret_is_handshake)
        *ret_body = (struct http1_body){.kind = BODY_NONE};
    return asked == WS_BAD ? why : REASON_DONE;
}

static void print_head(const struct http1_head *request, struct bytes written, bool is_handshake)
{
    printf("{\"method\":");
    print_hex(request->method);
    printf(",\"target\":");
    print_hex(request->target);
    printf(",\"minor\":%u,\"handshake\":%s,\"keeps\":%s,\"written\":", request->minor_version,
           is_handshake ? "true" : "false", http1_keeps(request) ? "true" : "false");
    print_hex(written);
    printf(",\"fields\":[");
    for (size_t i = 0; i < request->field_count; i++) {
        printf("%s[", i ? "," : "");
        print_hex(request->field[i].name);
        putchar(',');
        print_hex(request->field[i].value);
        putchar(']');
    }
    printf("],\"body\":\"");
}

/* Prints the payload. How many bytes the body is; -1: bad; -2: not whole. */
static ssize_t print_body(struct http1_body *body, struct bytes in)
{
    struct bytes payload;
    size_t used = 0;

    while (used < in.len && !http1_body_has_ended(body)) {
        ssize_t piece = http1_body_piece(body, bytes_from(in, used), &payload);
        if (piece < 0)
            return -1;
        for (size_t i = 0; i < payload.len; i++)
            printf("%02x", payload.at[i]);
        used += (size_t)piece;
    }
    return http1_body_has_ended(body) ? (ssize_t)used : -2;
}

/* One request at the beginning of `in`: its length; or, with *ret_why, 0 for more input please and
 * -1 for what is refused. Prints it. */
static ssize_t take_request(struct bytes in, size_t begin, enum reason *ret_why)
{
    struct http1_head head;
    struct http1_body body;
    bool is_handshake = false;
    struct buf written;

    int used = http1_request_parse(bytes_from(in, begin), FIELDS_ALLOWED, &head, ret_why);
    if (used <= 0)
        return used;
    *ret_why = judge(&head, &body, &is_handshake);
    if (*ret_why != REASON_DONE)
        return -1;
    buf_init(&written, HEAD_MAX_BYTES);
    if (http1_write_request(&written, &head, is_handshake, NULL)) {
        *ret_why = REASON_PROTECTED_FIELD;
        buf_done(&written);
        return -1;
    }
    printf("%s", begin ? "," : "");
    print_head(&head, buf_bytes(&written), is_handshake);
    buf_done(&written);
    ssize_t len = print_body(&body, bytes_from(in, begin + (size_t)used));
    printf("\",\"begin\":%zu,\"head\":%d,\"end\":%zd}", begin, used,
           len < 0 ? len : (ssize_t)begin + used + len);
    if (len == -1)
        *ret_why = REASON_BODY_MALFORMED;
    return len < 0 ? len + 1 : used + len;
}

static void print_boundaries(struct bytes in)
{
    enum reason why = REASON_DONE;
    size_t at = 0;
    ssize_t used = 1;

    printf("{\"requests\":[");
    while (used > 0 && at < in.len) {
        used = take_request(in, at, &why);
        at += used > 0 ? (size_t)used : 0;
    }
    printf("],\"used\":%zu,\"why\":\"%s\"}\n", at, used < 0 ? reason_row(why)->name : "");
    fflush(stdout);
}

int main(void)
{
    uint8_t size[4];

    while (fread(size, 1, sizeof size, stdin) == sizeof size) {
        size_t len = size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
        uint8_t *memory = len <= INPUT_MAX_BYTES ? malloc(len + 1) : NULL;
        if (!memory || fread(memory, 1, len, stdin) != len)
            return 1;
        print_boundaries((struct bytes){memory, len});
        free(memory);
    }
    return 0;
}
