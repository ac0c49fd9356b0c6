/* HTTP/1.1 as a client hears it: heads, bodies by length, by chunks or by the end. Heads are read
 * where they lie when they came whole; only one in pieces is collected. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int head_take(struct client *c, const uint8_t **at, size_t *len, const char **ret_head,
              size_t *ret_len)
{
    const uint8_t *end = c->head_len ? NULL : memmem(*at, *len, "\r\n\r\n", 4);

    if (end) {
        *ret_head = (const char *)*at;
        *ret_len = (size_t)(end - *at) + 4;
        *len -= *ret_len;
        *at += *ret_len;
        return 1;
    }
    size_t had = c->head_len, room = HEAD_MAX_BYTES - had, part = *len < room ? *len : room;
    if (!c->head)
        c->head = malloc(HEAD_MAX_BYTES);
    if (!c->head)
        return -ENOMEM;
    memcpy(c->head + had, *at, part);
    size_t from = had > 3 ? had - 3 : 0;
    char *found = memmem(c->head + from, had + part - from, "\r\n\r\n", 4);
    if (!found && part < *len)
        return -EMSGSIZE;
    size_t used = found ? (size_t)(found + 4 - c->head) - had : part;
    c->head_len += used;
    *at += used;
    *len -= used;
    if (!found)
        return 0;
    *ret_head = c->head;
    *ret_len = c->head_len;
    return 1;
}

void head_done(struct client *c)
{
    free(c->head);
    c->head = NULL;
    c->head_len = 0;
}

const char *head_find(const char *head, size_t len, const char *name, size_t *ret_len)
{
    size_t name_len = strlen(name);
    const char *end = head + len, *line = memchr(head, '\n', len);

    while (line && line + 1 + name_len < end) {
        const char *next = memchr(line + 1, '\n', (size_t)(end - line - 1));
        if (!next)
            return NULL;
        if (line[1 + name_len] == ':' && strncasecmp(line + 1, name, name_len) == 0) {
            const char *from = line + 2 + name_len, *to = next;
            while (from < to && (*from == ' ' || *from == '\t'))
                from++;
            while (to > from && (to[-1] == '\r' || to[-1] == ' ' || to[-1] == '\t'))
                to--;
            *ret_len = (size_t)(to - from);
            return from;
        }
        line = next;
    }
    return NULL;
}

int http_make_request(struct load *l)
{
    const struct options *o = l->options;
    const bool has_body = o->mode != MODE_GET;
    char length[64] = "", path[NAME_MAX_BYTES];

    if (has_body)
        snprintf(length, sizeof length, "Content-Length: %llu\r\n", (unsigned long long)o->size);
    int len = asprintf(&l->request, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n",
                       has_body ? "POST" : "GET", mode_path(o, path, sizeof path), o->authority,
                       length, o->headers ? o->headers : "");
    if (len < 0)
        return -ENOMEM;
    l->request_len = (size_t)len;
    return 0;
}

static bool is_word(const char *value, size_t len, const char *word)
{
    return value && len == strlen(word) && strncasecmp(value, word, len) == 0;
}

/* Status and framing of one answer. */
static bool take_head(struct load *l, struct client *c, const char *head, size_t len)
{
    size_t value_len = 0;

    if (len < 15 || memcmp(head, "HTTP/1.", 7) != 0) {
        client_fail(l, c, "an answer that is not HTTP/1", EPROTO);
        return false;
    }
    int status = atoi(head + 9);
    if (status >= 100 && status < 200)
        return true; /* the real one follows */
    if (status != 200) {
        char what[64];
        snprintf(what, sizeof what, "answered with status %d", status);
        client_fail(l, c, what, EPROTO);
        return false;
    }
    const char *value = head_find(head, len, "connection", &value_len);
    c->is_last = is_word(value, value_len, "close");
    value = head_find(head, len, "transfer-encoding", &value_len);
    if (value) {
        c->part = PART_CHUNK_LINE;
        c->left = 0;
        return true;
    }
    value = head_find(head, len, "content-length", &value_len);
    if (!value) {
        c->part = PART_UNTIL_CLOSE;
        return true;
    }
    c->left = strtoull(value, NULL, 10);
    c->part = PART_LENGTH;
    return true;
}

/* A chunk's size, or a line of a trailer, byte by byte. True when a line is whole. */
static bool take_line(struct client *c, const uint8_t **at, size_t *len)
{
    while (*len > 0) {
        uint8_t byte = *(*at)++;
        (*len)--;
        if (byte == '\n')
            return true;
        if (c->header_have < sizeof c->header - 1 && byte != '\r')
            c->header[c->header_have++] = byte;
    }
    return false;
}

static void on_line(struct client *c)
{
    c->header[c->header_have] = '\0';
    if (c->part == PART_CHUNK_LINE) {
        c->left = strtoull((char *)c->header, NULL, 16);
        c->part = c->left ? PART_CHUNK : PART_TRAILER;
    } else if (c->part == PART_CHUNK_END) {
        c->part = PART_CHUNK_LINE;
    }
    c->header_have = 0;
}

/* One step of an answer. 1: its body is whole; 0: go on; -1: failed. */
static int take_part(struct load *l, struct client *c, const uint8_t **at, size_t *len)
{
    const char *head;
    size_t head_len, part;
    int got;

    switch (c->part) {
    case PART_HEAD:
        got = head_take(c, at, len, &head, &head_len);
        if (got < 0)
            client_fail(l, c, "an answer's head is too large", -got);
        if (got <= 0)
            return got;
        if (!take_head(l, c, head, head_len))
            return -1;
        head_done(c);
        return c->part == PART_LENGTH && !c->left;
    case PART_CHUNK_LINE:
    case PART_CHUNK_END:
        if (take_line(c, at, len))
            on_line(c);
        return 0;
    case PART_TRAILER:
        if (!take_line(c, at, len))
            return 0;
        got = c->header_have == 0;
        c->header_have = 0;
        return got;
    default:
        part = c->part == PART_UNTIL_CLOSE || *len < c->left ? *len : (size_t)c->left;
        if (!mode_on_payload(l, c, *at, part))
            return -1;
        *at += part;
        *len -= part;
        c->left -= c->part == PART_UNTIL_CLOSE ? 0 : part;
        if (c->part == PART_CHUNK && !c->left)
            c->part = PART_CHUNK_END;
        return c->part == PART_LENGTH && !c->left;
    }
}

bool http_take(struct load *l, struct client *c, const uint8_t *at, size_t len)
{
    while (len > 0) {
        if (c->next_in == c->next_out && message_is_sent(&c->out)) {
            client_fail(l, c, "an answer to no request", EPROTO);
            return false;
        }
        int whole = take_part(l, c, &at, &len);
        if (whole < 0)
            return false;
        if (!whole)
            continue;
        c->part = PART_HEAD;
        if (!mode_on_message(l, c))
            return false;
        if (c->stream.fd < 0)
            return true;
    }
    return true;
}
