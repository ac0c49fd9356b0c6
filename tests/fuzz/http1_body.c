/* Chunked bodies: any cut of the same bytes ends at the same byte with the same payload, and there
 * where a reader that goes line by line says it ends. */
#include "base/check.h"
#include "codec/http1.h"

#include "fuzz.h"

struct outcome {
    bool is_bad, has_ended;
    size_t used, payload_len;
    uint64_t payload_hash;
};

static void note_payload(struct outcome *o, struct bytes payload)
{
    for (size_t i = 0; i < payload.len; i++)
        o->payload_hash = o->payload_hash * 31 + payload.at[i] + 1;
    o->payload_len += payload.len;
}

/* --- the one under test ---------------------------------------------------------------------- */

static struct outcome follow(struct bytes in, bool is_cut)
{
    struct http1_body body = {.kind = BODY_CHUNKED};
    struct outcome o = {0};
    struct cutter cutter = cutter_of(in);

    while (o.used < in.len && !http1_body_has_ended(&body)) {
        size_t len = is_cut ? cutter_next(&cutter, in.len - o.used) : in.len - o.used;
        struct bytes piece = exact(bytes_slice(in, o.used, o.used + len)), payload;
        ssize_t used = http1_body_piece(&body, piece, &payload);
        if (used < 0) {
            exact_free(piece);
            return (struct outcome){.is_bad = true};
        }
        REQUIRE(used > 0 && (size_t)used <= len && is_inside(payload, piece));
        note_payload(&o, payload);
        o.used += (size_t)used;
        exact_free(piece);
    }
    o.has_ended = http1_body_has_ended(&body);
    return o;
}

static bool is_alike(struct outcome a, struct outcome b)
{
    return a.is_bad == b.is_bad && a.has_ended == b.has_ended && a.used == b.used &&
           a.payload_len == b.payload_len && a.payload_hash == b.payload_hash;
}

static void feeds_alike(struct bytes in, struct outcome whole)
{
    struct http1_body body = {.kind = BODY_CHUNKED};
    ssize_t used = http1_body_feed(&body, in);

    REQUIRE((used < 0) == whole.is_bad);
    REQUIRE(used < 0 ||
            ((size_t)used == whole.used && http1_body_has_ended(&body) == whole.has_ended));
}

/* --- the reader that goes line by line
 * ------------------------------------------------------------ */

static bool is_printable(struct bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if ((b.at[i] < 32 && b.at[i] != 9) || b.at[i] == 127)
            return false;
    return true;
}

/* The line at *at without its CRLF; false when there is none. */
static bool line_at(struct bytes in, size_t *at, struct bytes *ret_line)
{
    size_t end = bytes_find(in, bytes_of("\r\n"), *at);

    if (end >= in.len)
        return false;
    *ret_line = bytes_slice(in, *at, end);
    *at = end + 2;
    return is_printable(*ret_line);
}

static bool is_token_char(uint8_t c)
{
    return c > 32 && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static size_t token_end(struct bytes line, size_t at)
{
    while (at < line.len && is_token_char(line.at[at]))
        at++;
    return at;
}

/* Behind the last quote of the string at `at`; 0 when it has none. */
static size_t quoted_end(struct bytes line, size_t at)
{
    for (at++; at < line.len; at++) {
        if (line.at[at] == '"')
            return at + 1;
        at += line.at[at] == '\\';
    }
    return 0;
}

static bool are_extensions(struct bytes line, size_t at)
{
    while (at < line.len && line.at[at] == ';') {
        size_t begin = at + 1;
        at = token_end(line, begin);
        if (at == begin)
            return false;
        if (at == line.len || line.at[at] != '=')
            continue;
        begin = at + 1;
        at = begin < line.len && line.at[begin] == '"' ? quoted_end(line, begin)
                                                       : token_end(line, begin);
        if (at <= begin)
            return false;
    }
    return at == line.len;
}

static bool size_of(struct bytes line, size_t *ret_size)
{
    size_t digits = 0, size = 0;

    for (; digits < line.len && digits < 16; digits++) {
        const char *hex = "0123456789abcdefABCDEF", *found = strchr(hex, line.at[digits]);
        if (!found || !line.at[digits])
            break;
        size_t value = (size_t)(found - hex);
        size = size * 16 + (value > 15 ? value - 6 : value);
    }
    *ret_size = size;
    if (digits == 0 || digits > 15)
        return false;
    return digits == line.len || (line.len - digits <= 256 && are_extensions(line, digits));
}

static bool is_trailer(struct bytes line)
{
    static const char *const never[] = {
        "host",
        "content-length",
        "content_length",
        "transfer-encoding",
        "transfer_encoding",
        "upgrade",
        "connection",
        "te",
        "proxy-connection",
        "proxy_connection",
        "http2-settings",
        "http2_settings",
    };
    struct bytes name = bytes_slice(line, 0, bytes_find(line, bytes_of(":"), 0));

    if (name.len == 0 || name.len == line.len)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (bytes_equal_nocase(name, bytes_of(never[i])))
            return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_token_char(name.at[i]))
            return false;
    return true;
}

/* Whether a whole body begins `in`, and what it holds. */
static bool read_whole(struct bytes in, struct outcome *o)
{
    struct bytes line;
    size_t at = 0, size;

    *o = (struct outcome){.has_ended = true};
    while (line_at(in, &at, &line) && size_of(line, &size)) {
        if (size == 0) {
            size_t trailers = at;
            while (line_at(in, &at, &line)) {
                o->used = at;
                if (at - trailers > 8192)
                    return false;
                if (line.len == 0)
                    return true;
                if (!is_trailer(line))
                    return false;
            }
            return false;
        }
        if (size > in.len - at || in.len - at - size < 2 ||
            memcmp(in.at + at + size, "\r\n", 2) != 0)
            return false;
        note_payload(o, bytes_slice(in, at, at + size));
        at += size + 2;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes in = exact((struct bytes){at, len});
    struct outcome whole = follow(in, false), expected;

    REQUIRE(is_alike(whole, follow(in, true)));
    feeds_alike(in, whole);
    REQUIRE(read_whole(in, &expected) == whole.has_ended);
    REQUIRE(!whole.has_ended || is_alike(whole, expected));
    exact_free(in);
    return 0;
}
