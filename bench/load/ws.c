/* RFC 6455 as a client speaks it: the handshake with its checked Accept, frames in, control frames
 * out. Fragments of a message are put together by position alone. */
#include "load.h"
#include "stream.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_key(struct load *l, struct client *c, char key[25])
{
    uint8_t random[16], digest[20];
    char text[80];
    unsigned len = sizeof digest;

    for (unsigned i = 0; i < sizeof random; i++) {
        l->seed = l->seed * 6364136223846793005u + 1442695040888963407u;
        random[i] = (uint8_t)(l->seed >> 40);
    }
    EVP_EncodeBlock((uint8_t *)key, random, sizeof random);
    int used = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(text, (size_t)used, digest, &len, EVP_sha1(), NULL);
    EVP_EncodeBlock((uint8_t *)c->accept, digest, sizeof digest);
}

int ws_ask(struct load *l, struct client *c)
{
    char key[25], path[NAME_MAX_BYTES], text[1024];
    bool publishes = c == l->publisher;

    make_key(l, c, key);
    int len = snprintf(text, sizeof text,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                       "Sec-WebSocket-Version: 13\r\n%s\r\n",
                       publishes ? "/pub" : mode_path(l->options, path, sizeof path),
                       l->options->authority, key, l->options->headers ? l->options->headers : "");
    if (len < 0 || (size_t)len >= sizeof text)
        return -EMSGSIZE;
    struct iovec all = {text, (size_t)len};
    ssize_t sent = stream_sendv(&c->stream, &all, 1);
    if (sent != len)
        return sent < 0 ? (int)sent : -EIO;
    return 0;
}

bool ws_take_answer(struct load *l, struct client *c, const uint8_t **at, size_t *len)
{
    const char *head, *accept;
    size_t head_len, accept_len = 0;
    int got = head_take(c, at, len, &head, &head_len);

    if (got < 0)
        client_fail(l, c, "an answer's head is too large", -got);
    if (got <= 0)
        return got == 0;
    accept = head_find(head, head_len, "sec-websocket-accept", &accept_len);
    if (head_len < 15 || memcmp(head, "HTTP/1.1 101", 12) != 0 || !accept ||
        accept_len != strlen(c->accept) || memcmp(accept, c->accept, accept_len) != 0) {
        char what[80];
        snprintf(what, sizeof what, "no good 101, but \"%.*s\"",
                 head_len < 34 ? (int)head_len - 4 : 30, head);
        what[strcspn(what, "\r\n")] = '\0';
        client_fail(l, c, what, EPROTO);
        return false;
    }
    head_done(c);
    c->state = OPEN;
    return true;
}

int ws_control(struct client *c, enum ws_opcode opcode, const void *payload, size_t len)
{
    if (!c->control)
        c->control = malloc(CONTROL_MAX);
    if (!c->control || len > 125)
        return -ENOMEM;
    size_t used = ws_write_header(c->control, opcode, len, true);
    memset(c->control + used, 0, 4); /* a mask of nought is a mask */
    memcpy(c->control + used + 4, payload, len);
    c->control_len = (uint8_t)(used + 4 + len);
    c->control_at = 0;
    return 0;
}

/* Collects a header; false while it is not whole. */
static bool take_header(struct client *c, const uint8_t **at, size_t *len)
{
    for (;;) {
        unsigned have = c->header_have, need = 2;
        if (have >= 2)
            need += (c->header[1] & 127) == 126 ? 2 : (c->header[1] & 127) == 127 ? 8 : 0;
        if (have == need)
            return true;
        if (!*len)
            return false;
        c->header[c->header_have++] = *(*at)++;
        (*len)--;
    }
}

static uint64_t header_size(const struct client *c)
{
    unsigned from = 2, to = c->header_have;
    uint64_t size = 0;

    if (to == 2)
        return c->header[1];
    for (; from < to; from++)
        size = size << 8 | c->header[from];
    return size;
}

static bool begin_frame(struct load *l, struct client *c)
{
    unsigned opcode = c->header[0] & 15;

    if (c->header[0] & 0x70 || c->header[1] & 0x80 ||
        (opcode > WS_BINARY && (opcode < WS_CLOSE || opcode > WS_PONG))) {
        client_fail(l, c, "a frame that is none", EBADMSG);
        return false;
    }
    c->left = header_size(c);
    if (opcode >= WS_CLOSE && c->left > 125) {
        client_fail(l, c, "a control frame that is too large", EBADMSG);
        return false;
    }
    if (opcode < WS_CLOSE && (opcode == WS_CONTINUATION) != (c->in.at > 0)) {
        client_fail(l, c, "a fragment out of order", EBADMSG);
        return false;
    }
    return true;
}

/* A control frame is collected in `head`, which nobody needs now. */
static bool take_control(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
    if (!c->head)
        c->head = malloc(HEAD_MAX_BYTES);
    if (!c->head) {
        client_fail(l, c, "no memory", ENOMEM);
        return false;
    }
    memcpy(c->head + c->head_len, at, len);
    c->head_len += len;
    return true;
}

static bool on_control(struct load *l, struct client *c)
{
    unsigned opcode = c->header[0] & 15, len = (unsigned)c->head_len;
    char what[64];

    if (opcode == WS_PING && c->state == OPEN && ws_control(c, WS_PONG, c->head, len)) {
        client_fail(l, c, "no memory", ENOMEM);
        return false;
    }
    if (opcode == WS_CLOSE && c->state == OPEN) {
        unsigned code = len < 2 ? 1005u : (uint8_t)c->head[0] * 256u + (uint8_t)c->head[1];
        snprintf(what, sizeof what, "the server closed with %u", code);
        client_fail(l, c, what, ECONNABORTED);
        return false;
    }
    head_done(c);
    if (opcode == WS_PING)
        client_pump(l, c);
    return c->stream.fd >= 0;
}

static bool end_frame(struct load *l, struct client *c)
{
    bool is_control = c->header[0] & 8, is_last = c->header[0] & 0x80;

    if (is_control && !on_control(l, c))
        return false;
    c->header_have = 0;
    return is_control || !is_last || mode_on_message(l, c);
}

bool ws_take(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
    bool is_begun = c->left > 0;

    while (len > 0 || is_begun) {
        if (!is_begun && (!take_header(c, &at, &len) || !begin_frame(l, c)))
            return c->stream.fd >= 0;
        is_begun = true;
        size_t part = c->left < len ? (size_t)c->left : len;
        bool is_good = c->header[0] & 8 ? take_control(l, c, at, part)
                                        : !part || mode_on_payload(l, c, at, part);
        if (!is_good)
            return false;
        c->left -= part;
        at += part;
        len -= part;
        if (c->left)
            return true;
        if (!end_frame(l, c))
            return false;
        if (c->stream.fd < 0)
            return true;
        is_begun = false;
    }
    return true;
}
