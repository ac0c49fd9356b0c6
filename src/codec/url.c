/* Decoding comes first, dot segments second, because the servers behind us do it in that order;
 * then the climbing test is made again on the path as someone would see it who decodes its slashes
 * too. */
#include "codec/url.h"

#include "base/check.h"

static int hex_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* --- targets --------------------------------------------------------------------------------- */

static bool begins_with_nocase(struct bytes b, const char *prefix)
{
    struct bytes wanted = bytes_of(prefix);

    return bytes_equal_nocase(bytes_slice(b, 0, wanted.len), wanted);
}

static void split_query(struct bytes rest, struct url_target *target)
{
    size_t mark = bytes_find(rest, bytes_of("?"), 0);

    target->path = bytes_slice(rest, 0, mark);
    if (mark < rest.len)
        target->query = bytes_from(rest, mark + 1);
}

/* The length of the scheme that "://" ends; 0: none that we serve. */
static size_t scheme_len(struct bytes target)
{
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (begins_with_nocase(target, schemes[i]))
            return strlen(schemes[i]) - 3;
    return 0;
}

static bool parse_absolute(struct bytes target, struct url_target *ret_target)
{
    size_t scheme = scheme_len(target);

    if (!scheme)
        return false;
    struct bytes rest = bytes_from(target, scheme + 3);
    size_t end = bytes_find(rest, bytes_of("/"), 0), mark = bytes_find(rest, bytes_of("?"), 0);
    if (mark < end)
        end = mark;
    ret_target->scheme = bytes_slice(target, 0, scheme);
    ret_target->authority = bytes_slice(rest, 0, end);
    split_query(bytes_from(rest, end), ret_target);
    if (ret_target->path.len == 0)
        ret_target->path = bytes_of("/"); /* RFC 9110 section 4.2.3 */
    return end != 0;
}

bool url_target_parse(struct bytes target, struct url_target *ret_target)
{
    *ret_target = (struct url_target){0};
    if (target.len == 0 || memchr(target.at, '#', target.len))
        return false;
    if (target.at[0] != '/' && !bytes_equal(target, bytes_of("*")))
        return parse_absolute(target, ret_target);
    split_query(target, ret_target);
    return true;
}

/* --- paths ----------------------------------------------------------------------------------- */

/* Where a segment ends and what it decodes to. */
struct reader {
    struct bytes path;
    size_t at;
    uint8_t *out;
};

static bool decode_byte(struct reader *r, uint8_t *ret_byte)
{
    uint8_t c = r->path.at[r->at++];

    *ret_byte = c;
    if (c != '%')
        return c != 0;
    if (r->path.len - r->at < 2)
        return false;
    int high = hex_of(r->path.at[r->at]), low = hex_of(r->path.at[r->at + 1]);
    if (high < 0 || low < 0 || (high == 0 && low == 0))
        return false;
    r->at += 2;
    *ret_byte = (uint8_t)(high << 4 | low);
    return true;
}

/* The next segment, decoded; r->at stands on its '/' or at the end. */
static bool decode_segment(struct reader *r, struct bytes *ret_segment, bool *ret_has_slash)
{
    uint8_t *from = r->out;

    while (r->at < r->path.len && r->path.at[r->at] != '/') {
        bool was_raw = r->path.at[r->at] != '%';
        if (!decode_byte(r, r->out))
            return false;
        if (*r->out == '/' || (*r->out == '\\' && !was_raw))
            *ret_has_slash = true;
        r->out++;
    }
    *ret_segment = (struct bytes){from, (size_t)(r->out - from)};
    return true;
}

static bool is_dots(struct bytes segment, size_t count)
{
    return segment.len == count && memcmp(segment.at, "..", count) == 0;
}

/* Adds a segment; "." and ".." do their work instead. False: it climbs out, or there are too many.
 */
static bool add_segment(struct url_path *path, struct bytes segment, bool is_last)
{
    if (is_dots(segment, 1) || is_dots(segment, 2)) {
        if (segment.len == 2 && path->count-- == 0)
            return false;
        segment.len = 0;
        if (!is_last)
            return true; /* "/a/../" ends in an empty segment, "/a/../b" does not have one */
    }
    if (path->count == URL_SEGMENTS_MAX)
        return false;
    path->segment[path->count++] = segment;
    return true;
}

/* Whether the decoded bytes climb above the root when every slash and backslash in them counts. */
static bool climbs_when_decoded(const uint8_t *at, const uint8_t *end, long *depth)
{
    while (at <= end) {
        const uint8_t *from = at;
        while (at < end && *at != '/' && *at != '\\')
            at++;
        struct bytes part = {from, (size_t)(at - from)};
        if (is_dots(part, 2)) {
            if (--*depth < 0)
                return true;
        } else if (part.len && !is_dots(part, 1)) {
            ++*depth;
        }
        at++;
    }
    return false;
}

bool url_path_normalise(struct bytes path, uint8_t *memory, struct url_path *ret_path)
{
    struct reader r = {.path = path};
    long depth = 0;

    r.out = memory;
    ret_path->count = 0;
    ret_path->has_encoded_slash = false;
    if (bytes_equal(path, bytes_of("*"))) {
        ret_path->segment[ret_path->count++] = path;
        return true;
    }
    if (path.len == 0 || path.at[0] != '/')
        return false;
    while (r.at < path.len) {
        struct bytes segment;
        r.at++; /* the '/' */
        if (!decode_segment(&r, &segment, &ret_path->has_encoded_slash))
            return false;
        if (climbs_when_decoded(segment.at, segment.at + segment.len, &depth))
            return false;
        if (!add_segment(ret_path, segment, r.at == path.len))
            return false;
    }
    return true;
}

/* --- hosts ----------------------------------------------------------------------------------- */

static bool is_host_char(uint8_t c)
{
    bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

    return is_alnum || (c && strchr("-._~!$&'()*+,;=", c));
}

/* "[...]" with what an IPv6 address is written with; whether it is one matters to nobody who
 * compares. */
static bool is_ip_literal(struct bytes name)
{
    unsigned colons = 0;

    for (size_t i = 1; i + 1 < name.len; i++) {
        if (hex_of(name.at[i]) < 0 && name.at[i] != ':' && name.at[i] != '.')
            return false;
        colons += name.at[i] == ':';
    }
    return colons >= 2;
}

static bool parse_port(struct bytes text, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        port = port * 10 + (uint32_t)(text.at[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= 65535;
}

bool url_host_parse(struct bytes host, struct bytes *ret_name, uint16_t *ret_port)
{
    size_t name_end = bytes_find(host, bytes_of(":"), 0);

    if (host.len && host.at[0] == '[') {
        size_t bracket = bytes_find(host, bytes_of("]"), 0);
        if (bracket == host.len || !is_ip_literal(bytes_slice(host, 0, bracket + 1)))
            return false;
        name_end = bracket + 1;
    } else {
        for (size_t i = 0; i < name_end; i++)
            if (!is_host_char(host.at[i]))
                return false;
    }
    struct bytes rest = bytes_from(host, name_end);
    if (name_end == 0 || (rest.len && rest.at[0] != ':'))
        return false;
    *ret_name = bytes_slice(host, 0, name_end);
    *ret_port = 0;
    return parse_port(bytes_from(rest, 1), ret_port);
}
