/* Compared by scheme, host and port, never as text: https://a.example and https://A.EXAMPLE:443 are
 * the same, https://a.example.evil.test is another. */
#include "access/origin.h"

#include "base/check.h"
#include "codec/url.h"

static uint16_t own_port(struct bytes scheme)
{
    if (bytes_equal_nocase(scheme, bytes_of("https")) ||
        bytes_equal_nocase(scheme, bytes_of("wss")))
        return 443;
    if (bytes_equal_nocase(scheme, bytes_of("http")) || bytes_equal_nocase(scheme, bytes_of("ws")))
        return 80;
    return 0;
}

/* RFC 3986 section 3.1. */
static bool is_scheme(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        bool is_more = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!is_letter && (i == 0 || !is_more))
            return false;
    }
    return text.len > 0;
}

bool origin_parse(struct bytes text, struct origin *ret_origin)
{
    struct bytes between = bytes_of("://");
    size_t at = bytes_find(text, between, 0);
    struct origin made = {.scheme = bytes_slice(text, 0, at)};

    if (bytes_equal(text, bytes_of("null"))) {
        *ret_origin = (struct origin){.is_null = true};
        return true;
    }
    if (at >= text.len || !is_scheme(made.scheme) ||
        !url_host_parse(bytes_from(text, at + between.len), &made.host, &made.port))
        return false;
    if (!made.port)
        made.port = own_port(made.scheme);
    *ret_origin = made;
    return true;
}

bool origin_pattern_parse(struct bytes text, struct origin *ret_pattern)
{
    struct bytes star = bytes_of("*.");
    struct origin made;

    if (bytes_equal(text, bytes_of("same"))) {
        *ret_pattern = (struct origin){.is_same = true};
        return true;
    }
    if (!origin_parse(text, &made))
        return false;
    if (bytes_equal(bytes_slice(made.host, 0, star.len), star)) {
        made.is_below = true;
        made.host = bytes_from(made.host, 1);
    }
    if (bytes_find(made.host, bytes_of("*"), 0) < made.host.len ||
        (made.is_below && made.host.len < 2))
        return false;
    *ret_pattern = made;
    return true;
}

/* By the origin's scheme where a port is left out: whether we were asked by TLS is not always
 * known here, behind other proxies. */
static bool is_same_host(const struct origin *origin, struct bytes host)
{
    struct bytes name;
    uint16_t port;

    if (!url_host_parse(host, &name, &port))
        return false;
    if (!port)
        port = own_port(origin->scheme);
    return port == origin->port && bytes_equal_nocase(name, origin->host);
}

static bool is_host(const struct origin *pattern, struct bytes host)
{
    if (!pattern->is_below)
        return bytes_equal_nocase(pattern->host, host);
    return host.len > pattern->host.len &&
           bytes_equal_nocase(bytes_from(host, host.len - pattern->host.len), pattern->host);
}

bool origin_matches(const struct origin *pattern, const struct origin *origin, struct bytes host)
{
    if (pattern->is_null || origin->is_null)
        return pattern->is_null && origin->is_null;
    if (pattern->is_same)
        return is_same_host(origin, host);
    return pattern->port == origin->port && bytes_equal_nocase(pattern->scheme, origin->scheme) &&
           is_host(pattern, origin->host);
}
