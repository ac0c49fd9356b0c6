/* Requests of kept connections, and handshakes. */
#include "load.h"
#include "serve.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct request {
    const char *head;
    size_t len;
    char path[128];
    bool is_post;
};

static int say_status(struct server *s, struct guest *g, const char *status, uint64_t length)
{
    char text[160];
    int len =
        snprintf(text, sizeof text,
                 "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\n"
                 "Content-Length: %llu\r\n%s\r\n",
                 status, (unsigned long long)length, g->is_last ? "Connection: close\r\n" : "");

    return say_bytes(s, text, (size_t)len);
}

static int say_101(struct server *s, const char *key, size_t key_len)
{
    uint8_t digest[20];
    char text[128], accept[29];
    unsigned digest_len = sizeof digest;

    if (key_len != 24)
        return -EPROTO;
    int used = snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    EVP_Digest(text, (size_t)used, digest, &digest_len, EVP_sha1(), NULL);
    EVP_EncodeBlock((uint8_t *)accept, digest, sizeof digest);
    used = snprintf(text, sizeof text,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    if (say_bytes(s, text, (size_t)used) || say_bytes(s, accept, 28) || say_bytes(s, "\r\n\r\n", 4))
        return -ENOMEM;
    return 0;
}

static void become(struct server *s, struct guest *g, const char *path)
{
    g->is_ws = true;
    g->trade = ECHO;
    if (strcmp(path, "/sink") == 0) {
        g->trade = SINK;
    } else if (strcmp(path, "/pub") == 0) {
        g->trade = PUBLISHER;
    } else if (strncmp(path, "/send/", 6) == 0 && strtoull(path + 6, NULL, 10) >= STAMP_BYTES) {
        g->trade = SOURCE;
        g->size = strtoull(path + 6, NULL, 10);
        source_next(s, g);
    } else if (strcmp(path, "/sub") == 0) {
        g->trade = SUBSCRIBER;
        g->next = s->subscribers;
        if (g->next)
            g->next->prev = g;
        s->subscribers = g;
    }
}

static int answer_get(struct server *s, struct guest *g, const char *path)
{
    uint64_t size = strncmp(path, "/bytes/", 7) == 0 ? strtoull(path + 7, NULL, 10) : 3;

    if (say_status(s, g, "200 OK", size))
        return -ENOMEM;
    if (size <= TABLE_BYTES)
        return say_bytes(s, s->tables->plain, (size_t)size);
    message_begin_plain(&g->out, s->tables, NULL, 0, size, NULL);
    return 0;
}

static bool is_nth(const struct server *s, unsigned long every)
{
    return every && s->count % every == 0;
}

static int answer(struct server *s, struct guest *g, const struct request *r)
{
    size_t len = 0;
    const char *value = head_find(r->head, r->len, "connection", &len);

    g->is_last = value && len == 5 && strncasecmp(value, "close", 5) == 0;
    s->count++;
    value = head_find(r->head, r->len, "sec-websocket-key", &len);
    if (value) {
        become(s, g, r->path);
        return say_101(s, value, len);
    }
    if (head_find(r->head, r->len, "transfer-encoding", &len)) {
        g->is_last = true;
        guest_end(g);
        return say_status(s, g, "501 Not Implemented", 0);
    }
    value = head_find(r->head, r->len, "content-length", &len);
    g->left = value ? strtoull(value, NULL, 10) : 0;
    g->position = 0;
    g->is_sink_body = !r->is_post || strcmp(r->path, "/sink") == 0 || is_nth(s, s->options.refuse);
    if (is_nth(s, s->options.cut))
        return -ECONNRESET;
    if (is_nth(s, s->options.refuse))
        return say_status(s, g, "503 Service Unavailable", 0);
    if (!r->is_post)
        return answer_get(s, g, r->path);
    return say_status(s, g, "200 OK", g->is_sink_body ? 0 : g->left);
}

static ptrdiff_t take_request(struct server *s, struct guest *g, const uint8_t *at, size_t len)
{
    const uint8_t *end = memmem(at, len, "\r\n\r\n", 4);
    struct request r = {.head = (const char *)at};

    if (!end)
        return len < HELD_MAX ? 0 : -EMSGSIZE;
    r.len = (size_t)(end - at) + 4;
    r.is_post = at[0] == 'P';
    const uint8_t *from = memchr(at, ' ', r.len);
    const uint8_t *to = from ? memchr(from + 1, ' ', r.len - (size_t)(from + 1 - at)) : NULL;
    if (!to || (size_t)(to - from) > sizeof r.path)
        return -EPROTO;
    memcpy(r.path, from + 1, (size_t)(to - from - 1));
    int bad = answer(s, g, &r);
    return bad ? bad : (ptrdiff_t)r.len;
}

ptrdiff_t http_serve(struct server *s, struct guest *g, uint8_t *at, size_t len)
{
    size_t used = 0;

    while (used < len && message_is_sent(&g->out) && !g->is_ws && g->trade != ENDING) {
        if (g->left) {
            size_t part = len - used < g->left ? len - used : (size_t)g->left;
            if (!g->is_sink_body && say_bytes(s, at + used, part))
                return -ENOMEM;
            g->left -= part;
            if (!g->left && !g->is_sink_body && is_nth(s, s->options.damage))
                s->out[s->out_len - 1] ^= 1;
            used += part;
        } else {
            ptrdiff_t head = take_request(s, g, at + used, len - used);
            if (head < 0)
                return head;
            if (!head)
                break;
            used += (size_t)head;
        }
        if (!g->left && g->is_last)
            guest_end(g);
    }
    return (ptrdiff_t)used;
}
