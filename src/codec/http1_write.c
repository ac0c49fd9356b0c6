/* One pass over the fields, each kept or left out by one question; then what we owe ourselves. What
 * Connection names is gathered first and bounded, so that a head full of names costs no more than
 * another. */
#include "codec/http1_write.h"

#include "base/check.h"
#include "codec/url.h"

#include <errno.h>
#include <stdio.h>

static int append_text(struct buf *to, const char *text)
{
    return buf_append(to, bytes_of(text));
}

static int append_field(struct buf *to, struct bytes name, struct bytes value)
{
    int error = buf_append(to, name);

    if (!error)
        error = append_text(to, ": ");
    if (!error)
        error = buf_append(to, value);
    return error ? error : append_text(to, "\r\n");
}

/* --- which fields ---------------------------------------------------------------------------- */

enum fate {
    PASSES,    /* unless Connection names it */
    HOP,       /* never passed on (RFC 9110 section 7.6.1; HTTP2-Settings is h2c smuggling) */
    PROTECTED, /* a request may not name it in Connection; an answer names it in vain */
    TRUSTED,   /* named in vain: others rely on what we and proxies before us say */
};

#define LITERAL(text) (text), sizeof(text) - 1

static const struct {
    const char *name;
    uint8_t len; /* of the name, or of the prefix it is */
    bool is_prefix;
    enum fate fate;
} known[] = {
    {LITERAL("connection"), false, HOP},
    {LITERAL("keep-alive"), false, HOP},
    {LITERAL("proxy-connection"), false, HOP},
    {LITERAL("te"), false, HOP},
    {LITERAL("upgrade"), false, HOP},
    {LITERAL("http2-settings"), false, HOP},
    {LITERAL("host"), false, PROTECTED},
    {LITERAL("content-length"), false, PROTECTED},
    {LITERAL("transfer-encoding"), false, PROTECTED},
    {LITERAL("cookie"), false, PROTECTED},
    {LITERAL("authorization"), false, PROTECTED},
    {LITERAL("sec-websocket-"), true, PROTECTED},
    {LITERAL("via"), false, TRUSTED},
    {LITERAL("forwarded"), false, TRUSTED},
    {LITERAL("x-forwarded-"), true, TRUSTED},
};

static enum fate fate_of(struct bytes name)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].is_prefix ? name.len < known[i].len : name.len != known[i].len)
            continue;
        struct bytes row = {(const uint8_t *)known[i].name, known[i].len};
        if (bytes_equal_nocase(bytes_slice(name, 0, row.len), row))
            return known[i].fate;
    }
    return PASSES;
}

#define OPTIONS_MAX 32

/* The fields that Connection names, over all its lines. */
struct options {
    size_t count;
    struct bytes option[OPTIONS_MAX];
};

/* 0, or -EMSGSIZE for more than anyone needs. */
static int gather_options(const struct http1_head *head, struct options *ret_options)
{
    ret_options->count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        struct bytes rest = head->field[i].value, element;
        if (!bytes_equal_nocase(head->field[i].name, bytes_of("connection")))
            continue;
        while (http1_list_next(&rest, &element)) {
            if (ret_options->count == OPTIONS_MAX)
                return -EMSGSIZE;
            ret_options->option[ret_options->count++] = element;
        }
    }
    return 0;
}

static bool names_protected(const struct options *options)
{
    for (size_t i = 0; i < options->count; i++)
        if (fate_of(options->option[i]) == PROTECTED)
            return true;
    return false;
}

static bool goes_no_further(const struct options *options, struct bytes name)
{
    enum fate fate = fate_of(name);

    if (fate != PASSES)
        return fate == HOP;
    for (size_t i = 0; i < options->count; i++)
        if (bytes_equal_nocase(options->option[i], name))
            return true;
    return false;
}

static uint8_t folded(uint8_t c)
{
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Whether a server may read both as one: CGI, and what came after it, knows no difference between
 * '-' and '_', so what is left out is left out either way. */
static bool is_alike(struct bytes a, struct bytes b)
{
    for (size_t i = 0; a.len == b.len && i < a.len; i++)
        if (folded(a.at[i]) != folded(b.at[i]))
            return false;
    return a.len == b.len;
}

static bool is_dropped(const struct http1_edits *edits, struct bytes name)
{
    struct bytes family = bytes_of("x-forwarded-");

    if (!edits)
        return false;
    for (size_t i = 0; i < edits->dropped_count; i++)
        if (is_alike(edits->dropped[i], name))
            return true;
    if (edits->forwarded == FORWARDED_PASSES || name.len < 9 || (name.at[0] | 0x20) < 'f')
        return false;
    if (is_alike(name, bytes_of("forwarded")) || is_alike(name, bytes_of("x-forwarded-for")))
        return true;
    return edits->forwarded == FORWARDED_DROPPED &&
           is_alike(bytes_slice(name, 0, family.len), family);
}

static int append_extra(struct buf *to, const struct http1_edits *edits)
{
    return edits ? buf_append(to, edits->extra) : 0;
}

static bool is_framing(struct bytes name)
{
    return bytes_equal_nocase(name, bytes_of("content-length")) ||
           bytes_equal_nocase(name, bytes_of("transfer-encoding"));
}

/* --- the request ----------------------------------------------------------------------------- */

static int write_request_line(struct buf *to, const struct http1_head *request,
                              const struct http1_edits *edits)
{
    int error = buf_append(to, request->method);

    if (!error)
        error = append_text(to, " ");
    if (!error)
        error = buf_append(to, edits && edits->target.at ? edits->target : request->target);
    return error ? error : append_text(to, " HTTP/1.1\r\n");
}

/* An HTTP/1.0 request may lack the Host that ours must have; it may be empty (RFC 9112
 * section 3.2). */
static int write_missing_host(struct buf *to, const struct http1_head *request)
{
    struct url_target target;

    if (http1_find(request, "host").at)
        return 0;
    if (!url_target_parse(request->target, &target))
        target.authority = (struct bytes){0};
    return append_field(to, bytes_of("Host"), target.authority);
}

static int write_request_fields(struct buf *to, const struct http1_head *request, bool is_handshake,
                                const struct options *options, const struct http1_edits *edits)
{
    for (size_t i = 0; i < request->field_count; i++) {
        const struct http1_field *field = &request->field[i];
        if (goes_no_further(options, field->name) || (is_handshake && is_framing(field->name)))
            continue; /* a handshake's Content-Length was 0: some servers refuse even that */
        if (is_dropped(edits, field->name))
            continue;
        int error = append_field(to, field->name, field->value);
        if (error)
            return error;
    }
    return 0;
}

int http1_write_request(struct buf *to, const struct http1_head *request, bool is_handshake,
                        const struct http1_edits *edits)
{
    struct options options;

    int error = gather_options(request, &options);
    if (!error && names_protected(&options))
        error = -EPERM;
    if (!error)
        error = write_request_line(to, request, edits);
    if (!error)
        error = write_missing_host(to, request);
    if (!error)
        error = write_request_fields(to, request, is_handshake, &options, edits);
    if (!error && is_handshake)
        error = append_text(to, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    else if (!error && http1_lists(request, "te", "trailers"))
        error = append_text(to, "Connection: TE\r\nTE: trailers\r\n"); /* RFC 9110 section 10.1.4 */
    if (!error)
        error = append_extra(to, edits);
    return error ? error : append_text(to, "\r\n");
}

/* --- the answer ------------------------------------------------------------------------------ */

static int write_status_line(struct buf *to, unsigned status, struct bytes words)
{
    char line[] = "HTTP/1.1 000 ";

    for (size_t i = 11; i >= 9; i--, status /= 10)
        line[i] = (char)('0' + status % 10);
    int error = append_text(to, line);
    if (!error)
        error = buf_append(to, words);
    return error ? error : append_text(to, "\r\n");
}

static int write_answer_fields(struct buf *to, const struct http1_head *answer, bool is_handshake,
                               bool knows_chunks, const struct options *options,
                               const struct http1_edits *edits)
{
    bool has_no_body = answer->status < 200 || answer->status == 204; /* RFC 9110 section 8.6 */

    for (size_t i = 0; i < answer->field_count; i++) {
        const struct http1_field *field = &answer->field[i];
        if (goes_no_further(options, field->name) || (has_no_body && is_framing(field->name)))
            continue;
        if (!is_handshake && bytes_equal_nocase(field->name, bytes_of("sec-websocket-accept")))
            continue;
        if (is_dropped(edits, field->name))
            continue;
        if (!knows_chunks && bytes_equal_nocase(field->name, bytes_of("transfer-encoding")))
            continue;
        int error = append_field(to, field->name, field->value);
        if (error)
            return error;
    }
    return 0;
}

static int write_persistence(struct buf *to, bool keeps, unsigned client_minor_version)
{
    if (!keeps)
        return append_text(to, "Connection: close\r\n");
    return client_minor_version == 0 ? append_text(to, "Connection: keep-alive\r\n") : 0;
}

/* NOLINTNEXTLINE(readability-function-size): each parameter is a thing that its caller knows */
int http1_write_answer(struct buf *to, const struct http1_head *answer, bool is_handshake,
                       bool keeps, unsigned client_minor_version, struct bytes date,
                       const struct http1_edits *edits)
{
    bool is_interim = answer->status < 200;
    struct options options;

    int error = gather_options(answer, &options);
    if (!error)
        error = write_status_line(to, answer->status, answer->words);
    if (!error)
        error = write_answer_fields(to, answer, is_handshake, client_minor_version > 0, &options,
                                    edits);
    if (!error && date.len && !is_interim && !http1_find(answer, "date").at)
        error = append_field(to, bytes_of("Date"), date);
    if (!error && is_handshake)
        error = append_text(to, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    else if (!error && !is_interim)
        error = write_persistence(to, keeps, client_minor_version);
    if (!error)
        error = append_extra(to, edits);
    return error ? error : append_text(to, "\r\n");
}

/* --- our own --------------------------------------------------------------------------------- */

const char *http1_status_words(unsigned status)
{
    static const struct {
        unsigned status;
        const char *words;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].words;
    return "";
}

int http1_write_own(struct buf *to, const struct http1_own *own, struct bytes date)
{
    bool has_no_body = own->status < 200 || own->status == 204 || own->status == 304;
    char length[48];

    int error = write_status_line(to, own->status, bytes_of(http1_status_words(own->status)));
    if (!error && own->type.len)
        error = append_field(to, bytes_of("Content-Type"), own->type);
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", own->body.len);
    if (!error && !has_no_body)
        error = append_text(to, length);
    if (!error && date.len)
        error = append_field(to, bytes_of("Date"), date);
    if (!error)
        error =
            append_text(to, own->keeps ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
    if (!error)
        error = buf_append(to, own->extra);
    if (!error)
        error = append_text(to, "\r\n");
    return error || has_no_body || own->is_for_head ? error : buf_append(to, own->body);
}
