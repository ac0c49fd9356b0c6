/* A body is passed on verbatim; it is followed only to know where it ends. Chunked framing (RFC
 * 9112 section 7.1) is an automaton over bytes, so that any cut gives the same answer; payload is
 * skipped, not looked at. */
#include "codec/http1.h"

#include "base/check.h"

#define DIGITS_MAX          15 /* of a chunk size: less than 2^60 */
#define EXTENSION_MAX_BYTES 256
#define TRAILERS_MAX_BYTES  8192

enum chunk_state {
    SIZE,      /* the digits of a chunk size */
    EXT_BEGIN, /* behind the ';' of an extension */
    EXT_NAME,
    EXT_VALUE_BEGIN, /* behind its '=' */
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED, /* behind a backslash in quotes */
    EXT_END,     /* behind the last quote */
    SIZE_LF,     /* LF of the size line */
    DATA,        /* payload */
    DATA_CR,     /* CR behind it */
    DATA_LF,
    TRAILER_START, /* the first byte of a trailer line, or CR of the last line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    ENDED,
};

/* --- which framing --------------------------------------------------------------------------- */

static bool parse_length(struct bytes text, uint64_t *ret_length)
{
    uint64_t length = 0;

    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        length = length * 10 + (uint64_t)(text.at[i] - '0');
    }
    *ret_length = length;
    return true;
}

/* Servers that hand fields on as variables (CGI, RFC 3875 section 4.1.18) cannot tell '_' from '-'.
 */
static bool is_alike(struct bytes name, struct bytes framing)
{
    if (name.len != framing.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i] == '_' ? '-' : name.at[i];
        if (!bytes_equal_nocase((struct bytes){&c, 1}, bytes_slice(framing, i, i + 1)))
            return false;
    }
    return true;
}

/* How many fields someone may take for that one, by whatever spelling. */
static unsigned count_alike(const struct http1_head *head, const char *framing)
{
    unsigned count = 0;

    for (size_t i = 0; i < head->field_count; i++)
        count += is_alike(head->field[i].name, bytes_of(framing));
    return count;
}

/* NONE when no framing field is there; false when they could be read in two ways. */
static bool framing_of(const struct http1_head *head, struct http1_body *ret_body)
{
    unsigned lengths = count_alike(head, "content-length");
    unsigned codings = count_alike(head, "transfer-encoding");
    struct bytes coding = http1_find(head, "transfer-encoding");

    *ret_body = (struct http1_body){.kind = BODY_NONE};
    if (lengths + codings > 1)
        return false;
    if (codings) {
        ret_body->kind = BODY_CHUNKED;
        return head->minor_version == 1 && bytes_equal_nocase(coding, bytes_of("chunked"));
    }
    if (!lengths)
        return true;
    if (!parse_length(http1_find(head, "content-length"), &ret_body->left))
        return false;
    ret_body->kind = ret_body->left ? BODY_LENGTH : BODY_NONE;
    return true;
}

enum reason http1_request_body(const struct http1_head *request, struct http1_body *ret_body)
{
    return framing_of(request, ret_body) ? REASON_DONE : REASON_FRAMING_AMBIGUOUS;
}

enum reason http1_response_body(const struct http1_head *response, struct bytes request_method,
                                struct http1_body *ret_body)
{
    bool is_head = bytes_equal(request_method, bytes_of("HEAD"));
    bool has_framing =
        http1_count(response, "content-length") || http1_count(response, "transfer-encoding");

    if (!framing_of(response, ret_body))
        return REASON_ANSWER_MALFORMED;
    if (is_head || response->status < 200 || response->status == 204 || response->status == 304)
        *ret_body = (struct http1_body){.kind = BODY_NONE};
    else if (!has_framing)
        ret_body->kind = BODY_UNTIL_CLOSE;
    return REASON_DONE;
}

/* --- following it ---------------------------------------------------------------------------- */

static int hex_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool feed_size(struct http1_body *b, uint8_t c)
{
    int digit = hex_of(c);

    if (digit >= 0) {
        b->left = b->left << 4 | (uint64_t)digit;
        return ++b->digits <= DIGITS_MAX;
    }
    if (b->digits == 0)
        return false;
    b->line_bytes = 0;
    b->state = c == '\r' ? SIZE_LF : EXT_BEGIN;
    return c == '\r' || c == ';';
}

static bool is_text(uint8_t c)
{
    return c >= ' ' ? c != 0x7f : c == '\t';
}

static bool is_name_char(uint8_t c)
{
    bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

    return is_alnum || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool end_extension(struct http1_body *b, uint8_t c)
{
    b->state = c == ';' ? EXT_BEGIN : SIZE_LF;
    return c == ';' || c == '\r';
}

/* `;name`, `;name=token` or `;name="quoted"` (section 7.1.1), without blanks: where an extension
 * ends is where parsers have been led astray. */
static bool feed_extension(struct http1_body *b, uint8_t c)
{
    if (++b->line_bytes > EXTENSION_MAX_BYTES)
        return false;
    switch ((enum chunk_state)b->state) {
    case EXT_BEGIN:
        b->state = EXT_NAME;
        return is_name_char(c);
    case EXT_NAME:
        if (c == '=')
            b->state = EXT_VALUE_BEGIN;
        return c == '=' || is_name_char(c) || end_extension(b, c);
    case EXT_VALUE_BEGIN:
        b->state = c == '"' ? EXT_QUOTED : EXT_VALUE;
        return c == '"' || is_name_char(c);
    case EXT_VALUE:
        return is_name_char(c) || end_extension(b, c);
    case EXT_QUOTED:
        if (c == '"' || c == '\\')
            b->state = c == '"' ? EXT_END : EXT_ESCAPED;
        return is_text(c);
    case EXT_ESCAPED:
        b->state = EXT_QUOTED;
        return is_text(c);
    default: /* EXT_END */
        return end_extension(b, c);
    }
}

static bool end_size_line(struct http1_body *b, uint8_t c)
{
    b->digits = 0;
    b->line_bytes = 0;
    b->state = b->left ? DATA : TRAILER_START;
    return c == '\n';
}

/* A trailer that speaks of framing, routing or the connection could be read as a field by whoever
 * merges them; llhttp obeys Connection and Upgrade there. */
static bool is_forbidden_name(const struct http1_body *b)
{
    static const char *const forbidden[] = {
        "content-length", "transfer-encoding", "host",           "connection",
        "upgrade",        "proxy-connection",  "http2-settings", "te",
    };
    struct bytes name = {b->name, b->name_len};

    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        if (is_alike(name, bytes_of(forbidden[i])))
            return true;
    return false;
}

static bool feed_name(struct http1_body *b, uint8_t c)
{
    if (c == ':') {
        b->state = TRAILER_VALUE;
        return b->name_len && !is_forbidden_name(b);
    }
    if (b->name_len < sizeof b->name)
        b->name[b->name_len++] = c;
    return is_name_char(c);
}

static bool feed_trailer(struct http1_body *b, uint8_t c)
{
    if (++b->line_bytes > TRAILERS_MAX_BYTES)
        return false;
    switch ((enum chunk_state)b->state) {
    case TRAILER_START:
        b->name_len = 0;
        b->state = c == '\r' ? LAST_LF : TRAILER_NAME;
        return c == '\r' || feed_name(b, c);
    case TRAILER_NAME:
        return feed_name(b, c);
    case TRAILER_VALUE:
        if (c == '\r')
            b->state = TRAILER_LF;
        return c == '\r' || is_text(c);
    case TRAILER_LF:
        b->state = TRAILER_START;
        return c == '\n';
    default: /* LAST_LF */
        b->state = ENDED;
        return c == '\n';
    }
}

static bool feed_byte(struct http1_body *b, uint8_t c)
{
    switch ((enum chunk_state)b->state) {
    case SIZE:
        return feed_size(b, c);
    case EXT_BEGIN:
    case EXT_NAME:
    case EXT_VALUE_BEGIN:
    case EXT_VALUE:
    case EXT_QUOTED:
    case EXT_ESCAPED:
    case EXT_END:
        return feed_extension(b, c);
    case SIZE_LF:
        return end_size_line(b, c);
    case DATA_CR:
        b->state = DATA_LF;
        return c == '\r';
    case DATA_LF:
        b->state = SIZE;
        return c == '\n';
    default:
        return feed_trailer(b, c);
    }
}

static size_t skip(struct http1_body *b, size_t len)
{
    size_t skipped = b->left < len ? (size_t)b->left : len;

    b->left -= skipped;
    return skipped;
}

ssize_t http1_body_piece(struct http1_body *b, struct bytes in, struct bytes *ret_payload)
{
    *ret_payload = (struct bytes){0};
    if (http1_body_has_ended(b) || in.len == 0)
        return 0;
    if (b->kind == BODY_UNTIL_CLOSE)
        *ret_payload = in;
    else if (b->kind == BODY_LENGTH || b->state == DATA)
        *ret_payload = bytes_slice(in, 0, skip(b, in.len));
    if (ret_payload->len) {
        if (b->kind == BODY_CHUNKED && b->left == 0)
            b->state = DATA_CR;
        return (ssize_t)ret_payload->len;
    }

    size_t used = 0;
    while (used < in.len && b->state != DATA && b->state != ENDED)
        if (!feed_byte(b, in.at[used++]))
            return -1;
    return (ssize_t)used;
}

ssize_t http1_body_feed(struct http1_body *body, struct bytes in)
{
    struct bytes payload;
    size_t used = 0;

    while (used < in.len && !http1_body_has_ended(body)) {
        ssize_t piece = http1_body_piece(body, bytes_from(in, used), &payload);
        if (piece < 0)
            return -1;
        used += (size_t)piece;
    }
    return (ssize_t)used;
}

bool http1_body_has_ended(const struct http1_body *body)
{
    switch (body->kind) {
    case BODY_NONE:
        return true;
    case BODY_LENGTH:
        return body->left == 0;
    case BODY_CHUNKED:
        return body->state == ENDED;
    case BODY_UNTIL_CLOSE:
        break;
    }
    return false;
}
